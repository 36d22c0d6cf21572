//! What several extracts together say about each person, by a slow and obvious method.
//!
//! The lines that are true now are put into one extract, and the rules for one extract are applied to that. Only the
//! protections of several agreements do not fit into it.

use std::collections::{BTreeMap, BTreeSet};

use super::Extract;
use super::choose::{Facts, key};
use super::protect::{Elsewhere, tied};
use super::shifted::is_shifted;
use crate::reference_reader::Rules;

/// An extract with its place in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptExtract {
    /// The agreement that delivered it.
    pub agreement: String,
    /// The date that places it, `YYYY-MM-DD`.
    pub date: String,
    /// The place among extracts of one date.
    pub sequence: u64,
    /// The bytes: lines that end with LF.
    pub bytes: Vec<u8>,
}

/// The state of several extracts.
#[derive(Debug, Clone)]
pub struct State {
    /// An extract that says what is true now. Persons who have ended have a receipt in it, and nothing else.
    pub extract: Extract,
    /// The extract of each line of a table, in the order of the rows: date and agreement.
    pub origins: BTreeMap<String, Vec<(String, String)>>,
    /// The persons with a state.
    pub persons: BTreeSet<String>,
    /// The newest date.
    pub day: String,
}

/// What an agreement says about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// The extract at this place, counted from the newest, has the 001.
    At(usize),
    /// That extract ended the subscription.
    EndedAt(usize),
}

/// Returns the state. `gone` are persons who may be in no extract; they have ended too if they are not.
pub fn state(rules: &Rules, extracts: &[KeptExtract], gone: &BTreeSet<String>) -> State {
    let mut newest_first: Vec<&KeptExtract> = extracts.iter().collect();
    newest_first.sort_by_key(|one| std::cmp::Reverse((one.date.clone(), one.sequence)));
    let lines: Vec<Vec<&[u8]>> = newest_first.iter().map(|one| lines(&one.bytes)).collect();

    // The newest word of each agreement about each number.
    let mut said: BTreeMap<(&str, String), Said> = BTreeMap::new();
    for (place, extract) in newest_first.iter().enumerate() {
        for (wanted, what) in [("997", Said::EndedAt(place)), ("001", Said::At(place))] {
            for line in lines[place].iter().filter(|line| kind(line) == wanted) {
                let of = (extract.agreement.as_str(), number(line));
                said.entry(of).or_insert(what);
            }
        }
    }
    let mut current: BTreeMap<String, usize> = BTreeMap::new();
    let mut ended: BTreeSet<String> = gone.clone();
    for ((_, person), what) in &said {
        match what {
            Said::At(place) => {
                let newest = current.entry(person.clone()).or_insert(*place);
                *newest = (*newest).min(*place);
            }
            Said::EndedAt(_) => drop(ended.insert(person.clone())),
        }
    }
    ended.retain(|person| !current.contains_key(person));

    let mut taken: Vec<Vec<u8>> = Vec::new();
    let mut origins: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut events = BTreeSet::new();
    let mut protected = BTreeSet::new();
    let mut damaged = BTreeSet::new();
    // The places of the 001 of each agreement, and of all.
    let mut delivered: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for (place, extract) in newest_first.iter().enumerate() {
        for line in lines[place].iter().filter(|line| kind(line) == "001") {
            let of = (extract.agreement.as_str(), number(line));
            let is_ended = said
                .get(&of)
                .is_some_and(|said| matches!(said, Said::EndedAt(end) if *end <= place));
            delivered.entry(of).or_insert(place);
            if !is_ended {
                shown.entry(number(line)).or_insert(place);
            }
        }
    }
    let mut ties: Vec<Vec<u8>> = Vec::new();
    for (place, extract) in newest_first.iter().enumerate() {
        let persons = lines[place].iter().filter(|line| kind(line) == "001");
        let persons: Vec<String> = persons.map(|line| number(line)).collect();
        let is_doubled = |person: &String| persons.iter().filter(|one| *one == person).count() > 1;
        let mut of_doubled = BTreeSet::new();
        let mut ties_here: Vec<Vec<u8>> = Vec::new();
        for line in &lines[place] {
            let person = number(line);
            // What a record says of a protection counts until the agreement delivers its person again. A receipt says
            // nothing about it.
            let is_newest_of = |person: &String| {
                let newest = delivered.get(&(extract.agreement.as_str(), person.clone()));
                newest.is_none_or(|newest| place <= *newest)
            };
            let is_taken = match kind(line).as_str() {
                "000" | "997" | "999" | "910" => false,
                "099" => !ended.contains(&person) && events.insert(padded(line, 0, 30)),
                // The records of a person who is there twice can be there twice too.
                _ => {
                    let newest = match kind(line).as_str() {
                        // Protection is the union over the agreements.
                        "004" => {
                            said.get(&(extract.agreement.as_str(), person.clone()))
                                == Some(&Said::At(place))
                        }
                        _ => current.get(&person) == Some(&place),
                    };
                    newest && (!is_doubled(&person) || of_doubled.insert(line.trim_ascii_end()))
                }
            };
            if is_taken {
                let table = &rules[&kind(line)].table;
                let origin = (extract.date.clone(), extract.agreement.clone());
                origins.entry(table.clone()).or_default().push(origin);
                taken.push(line.to_vec());
            }
            // A protection whose line end before it is lost stands after the layout of another record.
            let fields = rules[&kind(line)].fields.iter();
            let length = fields.map(|field| field.position + field.length - 1).max();
            let tail = line.get(length.unwrap_or_default()..).unwrap_or_default();
            if kind(tail) == "004" && is_newest_of(&number(tail)) && !is_other_protection(tail) {
                damaged.insert(number(tail));
            }
            if kind(line) == "004" && is_newest_of(&person) && !is_other_protection(line) {
                protected.insert(person.clone());
            } else if matches!(kind(line).as_str(), "031" | "032" | "033")
                && is_newest_of(&person)
                && padded(line, 259, 10) != b"          "
            {
                let relative = padded(line, 13, 10);
                protected.insert(String::from_utf8_lossy(&relative).into_owned());
            }
            let is_newest_of_all = shown.get(&person).is_none_or(|newest| place <= *newest);
            let is_kept = is_newest_of(&person) && is_newest_of_all;
            if matches!(kind(line).as_str(), "001" | "022") && (is_taken || is_kept) {
                ties_here.push(line.to_vec());
            }
            if !is_taken && is_kept {
                let own = lines[place]
                    .iter()
                    .filter(|one| kind(one) == "001" && number(one) == person);
                let own: BTreeSet<&[u8]> = own.map(|line| line.trim_ascii_end()).collect();
                if own.len() > 1 {
                    damaged.insert(person);
                }
            }
        }
        // The newest ones come last, so that what they say counts.
        ties.splice(0..0, ties_here);
    }
    protected.remove("0000000000");
    taken.extend(
        ended
            .iter()
            .map(|person| format!("997{person}").into_bytes()),
    );

    let day = newest_first.first().map(|one| one.date.clone());
    let day = day.unwrap_or_else(|| "2026-01-01".to_owned());
    let date = day.replace('-', "");
    let mut bytes = format!("0000000000000111901{date}{date}\n").into_bytes();
    for line in &taken {
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
    }
    let mut extract = Extract::of_lines(rules, &bytes);
    ties.insert(0, format!("0000000000000111901{date}{date}").into_bytes());
    let ties = Extract::of_lines(rules, &ties.join(&b'\n')).rows().clone();
    let persons = ties.get("person").into_iter().flatten();
    let shifted = persons.filter(|row| is_shifted("person", row));
    damaged.extend(shifted.filter_map(key).map(str::to_owned));
    extract.elsewhere = Elsewhere {
        protected,
        damaged,
        ties,
    };
    State {
        extract,
        origins,
        persons: current.into_keys().collect(),
        day,
    }
}

/// Returns the persons whom the agreements protect, each judged by its own extracts as if it were the only one, under
/// all numbers that any of them ties. The newest record of another agreement does not change that. There are none if all
/// extracts are of one agreement, because then the state itself has them.
pub fn protected_by_agreements(rules: &Rules, extracts: &[KeptExtract]) -> BTreeSet<String> {
    let agreements: BTreeSet<&String> = extracts.iter().map(|one| &one.agreement).collect();
    if agreements.len() < 2 {
        return BTreeSet::new();
    }
    let of_agreement = |agreement: &String| {
        let own = extracts.iter().filter(|one| one.agreement == *agreement);
        let own: Vec<KeptExtract> = own.cloned().collect();
        state(rules, &own, &BTreeSet::new()).extract
    };
    let states: Vec<Extract> = agreements.into_iter().map(of_agreement).collect();
    let mut protected = BTreeSet::new();
    for own in &states {
        let facts = Facts::of(&own.rows, None, &own.elsewhere, None);
        protected.extend(facts.protected);
        if facts.has_unknown_protection {
            protected.extend(facts.delivered);
        }
    }
    loop {
        let before = protected.len();
        for own in &states {
            protected = tied(&own.rows, &own.elsewhere, &protected);
        }
        if protected.len() == before {
            return protected;
        }
    }
}

impl State {
    /// Adds persons who are protected by something that the state does not have.
    pub fn protect(&mut self, persons: &BTreeSet<String>) {
        let protected = &mut self.extract.elsewhere.protected;
        protected.extend(persons.iter().cloned());
    }
}

/// Returns the extract without the lines keyed by these numbers. The counter of the end record is less by as many.
pub fn without(bytes: &[u8], persons: &BTreeSet<String>) -> Vec<u8> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut removed = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line).into_owned();
        let is_control = text.starts_with("000") || text.starts_with("999");
        if !is_control && persons.contains(&number(line)) {
            removed += 1;
        } else {
            kept.push(line.to_vec());
        }
    }
    for line in kept.iter_mut().filter(|line| line.starts_with(b"999")) {
        let count = String::from_utf8_lossy(&line[13..21]).parse::<u64>();
        if let Ok(count) = count {
            line[13..21].copy_from_slice(format!("{:08}", count - removed).as_bytes());
        }
    }
    kept.concat()
}

/// Returns whether a 004 is of another type that exists, and has dates or blanks in its places.
fn is_other_protection(line: &[u8]) -> bool {
    let kind = padded(line, 13, 4);
    let is_date = |from: usize| {
        let date = padded(line, from, 10);
        let digits: Vec<u8> = [&date[..4], &date[5..7], &date[8..]].concat();
        date == b"          "
            || digits.iter().all(u8::is_ascii_digit)
                && (date[4], date[7]) == (b'-', b'-')
                && date[5..7] <= b"12"[..]
                && date[8..] <= b"31"[..]
    };
    matches!(&kind[..], b"0002" | b"0003" | b"0004" | b"0005") && is_date(17) && is_date(27)
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty()).collect()
}

fn kind(line: &[u8]) -> String {
    String::from_utf8_lossy(&padded(line, 0, 3)).into_owned()
}

fn number(line: &[u8]) -> String {
    String::from_utf8_lossy(&padded(line, 3, 10)).into_owned()
}

/// Returns bytes of a line, with spaces after its end.
fn padded(line: &[u8], from: usize, count: usize) -> Vec<u8> {
    let byte = |place| line.get(place).copied().unwrap_or(b' ');
    (from..from + count).map(byte).collect()
}
