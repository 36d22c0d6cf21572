//! Which persons a policy selects, and who leaves the scope.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, TimeDelta};
use cprflow::policy::{LeaverRule, Policy, ProtectionRule};

use super::InjectedBug;
use super::events::{self, EVENTS, MARKS};
use super::protect::{self, Elsewhere, Protected};
use super::shifted::is_shifted;
use crate::reference_reader::{Row, Tables, Value};

/// The facts that an extract states about its persons, by person number.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The date on which ages are evaluated, in days since 1970-01-01.
    pub day: Option<i64>,
    /// The production date of the extract.
    pub produced: Option<i64>,
    /// Persons with any record.
    pub seen: BTreeSet<String>,
    /// Persons with a record 001.
    pub delivered: BTreeSet<String>,
    /// Persons with two records 001 that differ.
    pub doubled: BTreeSet<String>,
    /// Persons with a receipt (997): their subscription has ended.
    pub unsubscribed: BTreeSet<String>,
    /// Persons with a protection of name and address, and persons who must be treated like them.
    pub protected: BTreeSet<String>,
    /// Those whose protection is certain.
    pub certain: BTreeSet<String>,
    /// Persons whose protection is damaged.
    pub damaged: BTreeSet<String>,
    /// Whether a damaged protection may belong to any person.
    pub has_unknown_protection: bool,
    statuses: BTreeSet<(String, String)>,
    births: BTreeMap<String, BTreeSet<i64>>,
    homes: BTreeSet<(String, String)>,
    plaintext_homes: BTreeSet<(String, String)>,
    /// Persons with a municipality that is neither a code nor empty.
    unreadable_homes: BTreeSet<String>,
    /// The events of each person: code and derived mark.
    events: BTreeSet<(String, String, Option<String>)>,
    bug: Option<InjectedBug>,
}

/// The persons that a policy selects.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Persons who are selected and have a record in the extract.
    pub chosen: BTreeSet<String>,
    /// Persons of the roster who are delivered and not selected, with the reason.
    pub left: BTreeMap<String, &'static str>,
    /// Those who left and whose rows are repeated.
    pub repeated: BTreeSet<String>,
    /// Selected persons who were not in the roster.
    pub entered: BTreeSet<String>,
    /// The persons in scope after the extract.
    pub roster: BTreeSet<String>,
}

impl Facts {
    /// Collects the facts of the rows. Ages are evaluated on `day`, or on the production date without one.
    /// `elsewhere` are persons whose protection is known from other rows.
    pub fn of(
        rows: &Tables,
        day: Option<&str>,
        elsewhere: &Elsewhere,
        bug: Option<InjectedBug>,
    ) -> Self {
        let mut facts = Self {
            day: match day {
                Some(day) => Some(days(day.parse().expect("the policy's day is a date"))),
                None => produced(rows),
            },
            produced: produced(rows),
            bug,
            ..Self::default()
        };
        for (table, rows) in rows {
            for row in rows {
                if let Some(number) = key(row) {
                    facts.add_row(table, row, number);
                }
            }
        }
        facts.doubled = doubled(rows);
        let shown_doubled = BTreeSet::new();
        let doubled = match bug {
            Some(InjectedBug::DoubledPersonShown) => &shown_doubled,
            _ => &facts.doubled,
        };
        let Protected {
            persons,
            certain,
            damaged,
            has_unknown,
        } = protect::protected(rows, &facts.delivered, doubled, elsewhere, bug);
        facts.protected = persons;
        facts.certain = certain;
        facts.damaged = damaged;
        facts.has_unknown_protection = has_unknown;
        facts
    }

    fn add_row(&mut self, table: &str, row: &Row, number: &str) {
        let number = number.to_owned();
        self.seen.insert(number.clone());
        // A row whose values stand in wrong columns says nothing for certain.
        if is_shifted(table, row) {
            match table {
                "person" => drop(self.delivered.insert(number)),
                "address" | "plaintext_address" => drop(self.unreadable_homes.insert(number)),
                "event" => drop(self.events.insert((number, String::new(), None))),
                _ => {}
            }
            return;
        }
        let code = |column| text(row, column).map(str::to_owned);
        match table {
            "person" => {
                self.delivered.insert(number.clone());
                if let Value::Days(born) = value(row, "birth_date") {
                    self.births.entry(number.clone()).or_default().insert(*born);
                }
                self.statuses
                    .extend(code("status").map(|status| (number, status)));
            }
            "address" => {
                let home = code("municipality_code");
                self.add_unreadable_home(&number, home.as_deref());
                self.homes.extend(home.map(|home| (number, home)));
            }
            "plaintext_address" => {
                let home = code("municipality_code");
                self.add_unreadable_home(&number, home.as_deref());
                self.plaintext_homes.extend(home.map(|home| (number, home)));
            }
            "event" => {
                let event = code("event_code");
                let mark = code("derived_mark");
                self.events
                    .insert((number, event.unwrap_or_default(), mark));
            }
            "subscription_receipt" if self.bug != Some(InjectedBug::UnsubscribedStays) => {
                self.unsubscribed.insert(number);
            }
            _ => {}
        }
    }

    fn add_unreadable_home(&mut self, number: &str, home: Option<&str>) {
        let is_empty = home.is_none_or(|home| home == "0000");
        if !is_empty && !home.is_some_and(|home| is_filled_code(home, 4)) {
            self.unreadable_homes.insert(number.to_owned());
        }
    }

    /// Returns whether the person's name and address must be hidden. Persons without a record 001 count as protected.
    pub fn is_protected(&self, number: &str) -> bool {
        let is_unknown = !self.delivered.contains(number);
        self.has_unknown_protection
            || self.protected.contains(number)
            || is_unknown && self.bug != Some(InjectedBug::UnknownPersonUnprotected)
    }

    /// Returns whether it is not certain what holds for the person, so that the roster does not change.
    fn is_uncertain(&self, number: &str) -> bool {
        self.has_unknown_protection
            || self.damaged.contains(number) && self.bug != Some(InjectedBug::DamageChangesRoster)
            || self.doubled.contains(number)
                && self.bug != Some(InjectedBug::DoubledPersonChangesRoster)
    }

    fn has_status(&self, number: &str, status: &str) -> bool {
        self.statuses
            .contains(&(number.to_owned(), status.to_owned()))
    }

    fn is_of_age(&self, number: &str, (youngest, oldest): (u16, u16), day: i64) -> bool {
        let births = self.births.get(number);
        if births.is_none() && self.bug == Some(InjectedBug::UnknownAgePasses) {
            return true;
        }
        let mut ages = births.into_iter().flatten().map(|born| match self.bug {
            Some(InjectedBug::AgeByCalendarYear) => date(day).year() - date(*born).year(),
            _ => age(*born, day),
        });
        ages.any(|age| (i32::from(youngest)..=i32::from(oldest)).contains(&age))
    }

    /// Returns whether the person has an address in a municipality that is none of these.
    fn lives_elsewhere(&self, number: &str, codes: &[String]) -> bool {
        let all = self.homes.iter().chain(&self.plaintext_homes);
        let mut homes = all.filter(|(person, _)| person == number);
        homes.any(|(_, home)| is_filled_code(home, 4) && !codes.contains(home))
    }
}

/// Returns whether a text is a code of that many digits, and not only zeros.
fn is_filled_code(text: &str, length: usize) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit();
    text.len() == length && text.bytes().all(is_digit) && text.bytes().any(|byte| byte != b'0')
}

/// Returns the persons with two records 001 that differ.
fn doubled(rows: &Tables) -> BTreeSet<String> {
    let mut first: BTreeMap<&str, Row> = BTreeMap::new();
    let mut doubled = BTreeSet::new();
    for row in rows.get("person").into_iter().flatten() {
        let Some(number) = key(row) else {
            continue;
        };
        let mut row = row.clone();
        row.retain(|(column, _)| column != "line");
        let before = first.entry(number).or_insert_with(|| row.clone());
        if *before != row {
            doubled.insert(number.to_owned());
        }
    }
    doubled
}

/// Returns the persons that the policy selects. Returns `None` if the policy has an age condition and there is no date.
pub fn choose(facts: &Facts, policy: &Policy, roster: &BTreeSet<String>) -> Option<Choice> {
    let filter = &policy.persons;
    if filter.ages.is_some() && facts.day.is_none() {
        return None;
    }
    let meeting = |number: &&String| {
        failing(facts, policy, number).is_empty() && !facts.unsubscribed.contains(*number)
    };
    let everybody = facts.seen.iter().filter(meeting).cloned();
    let mut chosen: BTreeSet<String> = everybody.collect();
    if policy.protection == ProtectionRule::Drop {
        chosen.retain(|number| !facts.is_protected(number));
    }
    let is_there = |number: &String| match facts.bug {
        Some(InjectedBug::UndeliveredPersonLeaves) => true,
        _ => facts.delivered.contains(number) || facts.unsubscribed.contains(number),
    };
    // A person who is left out only because of a doubt has not left.
    let is_doubt = |number: &String| {
        policy.protection == ProtectionRule::Drop
            && meeting(&number)
            && !facts.certain.contains(number)
            && facts.bug != Some(InjectedBug::DoubtToldAsProtected)
    };
    // A receipt is certain, whatever else is damaged.
    let is_certain =
        |number: &String| !facts.is_uncertain(number) || facts.unsubscribed.contains(number);
    let gone = roster.iter().filter(|number| {
        is_there(number) && !chosen.contains(*number) && is_certain(number) && !is_doubt(number)
    });
    // A person without a reason stays on the roster.
    let left: BTreeMap<String, &str> = gone
        .filter_map(|number| Some((number.clone(), reason(facts, policy, number)?)))
        .collect();
    let repeated = left
        .iter()
        .filter(|(number, reason)| is_repeated(facts, policy, number, reason))
        .map(|(number, _)| number.clone())
        .collect();
    // Whoever is published is on the roster.
    let entered = chosen.iter().filter(|number| !roster.contains(*number));
    let entered: BTreeSet<String> = entered.cloned().collect();
    let stayed = roster.iter().filter(|number| !left.contains_key(*number));
    Some(Choice {
        roster: stayed.chain(&entered).cloned().collect(),
        repeated,
        left,
        entered,
        chosen,
    })
}

/// Returns whether the rows of a leaver are returned once more. They are if they still describe what was in scope.
fn is_repeated(facts: &Facts, policy: &Policy, number: &str, reason: &str) -> bool {
    let ended = [
        "dead",
        "disappeared",
        "number-changed",
        "number-deleted",
        "number-annulled",
    ];
    let codes = policy.persons.municipality_codes.as_deref();
    let elsewhere = codes.is_some_and(|codes| {
        let here = |code: &String| facts.homes.contains(&(number.to_owned(), code.clone()));
        facts.lives_elsewhere(number, codes) || !codes.iter().any(here)
    });
    let is_unreadable = codes.is_some() && facts.unreadable_homes.contains(number);
    let is_dropped = policy.protection == ProtectionRule::Drop && facts.is_protected(number);
    let is_in_scope = ended.contains(&reason) && !elsewhere && !is_unreadable
        || facts.bug == Some(InjectedBug::NewAddressRepeated);
    policy.leavers == LeaverRule::Last && is_in_scope && !is_dropped
}

/// The condition that a person does not meet whose value is missing or damaged. It is no reason to leave.
const UNKNOWN: &str = "unknown";

/// Returns the conditions that the person does not meet, as the reasons of a leaver.
fn failing(facts: &Facts, policy: &Policy, number: &str) -> Vec<&'static str> {
    let filter = &policy.persons;
    let mut reasons = Vec::new();
    let is_any = |of: &BTreeSet<(String, String)>, codes: &[String]| {
        codes
            .iter()
            .any(|code| of.contains(&(number.to_owned(), code.clone())))
    };
    let homes = filter.municipality_codes.as_deref();
    let statuses = filter.status_codes.as_deref();
    let events = filter.event_codes.as_deref();
    let is_all = homes.is_none()
        && statuses.is_none()
        && events.is_none()
        && filter.ages.is_none()
        && filter.numbers.is_none();
    // Persons who are dead or have left may have a last known address, but are residents of no municipality.
    let is_resident = || match facts.bug {
        Some(InjectedBug::LastAddressIsResidence) => true,
        Some(InjectedBug::OtherStatusIsResidence) => {
            (0..30).any(|status| facts.has_status(number, &format!("{status:02}")))
        }
        _ => ["01", "03", "05", "07"]
            .iter()
            .any(|status| facts.has_status(number, status)),
    };
    let is_at_home = homes.is_none_or(|codes| is_any(&facts.homes, codes));
    let has_readable_status = || {
        let own = facts.statuses.iter().filter(|(person, _)| person == number);
        let mut own = own.map(|(_, status)| status);
        own.any(|status| is_filled_code(status, 2))
    };
    if homes.is_some() && statuses.is_none() && !is_resident() {
        reasons.push(match facts.bug {
            Some(InjectedBug::StatusToldAsMoved) => "moved",
            _ if has_readable_status() => "status",
            _ => UNKNOWN,
        });
    }
    if let Some(codes) = homes.filter(|_| !is_at_home) {
        let is_known = facts.lives_elsewhere(number, codes)
            || facts.bug == Some(InjectedBug::MissingAddressToldAsMoved);
        reasons.push(if is_known { "moved" } else { UNKNOWN });
    }
    if let (Some(ages), Some(day)) = (filter.ages, facts.day)
        && !facts.is_of_age(number, ages, day)
    {
        let is_known = facts.births.contains_key(number);
        reasons.push(if is_known { "age" } else { UNKNOWN });
    }
    if statuses.is_some_and(|codes| !is_any(&facts.statuses, codes)) {
        let is_known = has_readable_status();
        reasons.push(if is_known { "status" } else { UNKNOWN });
    }
    if events.is_some_and(|codes| !has_event(facts, policy, number, codes)) {
        let odd = |(person, code, _): &(String, String, Option<String>)| {
            person == number
                && !(code.chars().count() == 3 && code.chars().all(char::is_alphanumeric))
        };
        let is_known = !facts.events.iter().any(odd);
        reasons.push(if is_known { "event" } else { UNKNOWN });
    }
    let is_listed = |list: &Vec<cprflow::Pnr>| list.iter().any(|pnr| pnr.as_str() == number);
    let is_missing = is_all && !facts.delivered.contains(number);
    if filter.numbers.as_ref().is_some_and(|list| !is_listed(list)) || is_missing {
        reasons.push("not-listed");
    }
    reasons
}

/// Returns whether the person has an event with one of these codes that the policy does not hide.
fn has_event(facts: &Facts, policy: &Policy, number: &str, codes: &[String]) -> bool {
    let is_masked = policy.protection == ProtectionRule::Mask
        && facts.is_protected(number)
        && facts.bug != Some(InjectedBug::PlaceEventSelects);
    let shows_mark = |mark: &Option<String>| {
        policy.may_reveal
            || events::is_shown(&MARKS, mark.as_deref(), &policy.classes)
            || facts.bug == Some(InjectedBug::HiddenMarkSelects)
    };
    let is_of_place = |code: &String| EVENTS.get(code).is_some_and(|event| event.is_of_place);
    facts.events.iter().any(|(person, code, mark)| {
        person == number
            && codes.contains(code)
            && shows_mark(mark)
            && !(is_masked && is_of_place(code))
    })
}

/// Returns the reason why a person left; `None` if it is not known that the person left.
fn reason(facts: &Facts, policy: &Policy, number: &str) -> Option<&'static str> {
    const BY_STATUS: [(&str, &str); 6] = [
        ("90", "dead"),
        ("80", "emigrated"),
        ("70", "disappeared"),
        ("60", "number-changed"),
        ("50", "number-deleted"),
        ("30", "number-annulled"),
    ];
    let failing = failing(facts, policy, number);
    let is_unsubscribed = facts.unsubscribed.contains(number);
    let by_status = BY_STATUS.iter().find(|(status, _)| {
        facts.has_status(number, status) && facts.bug != Some(InjectedBug::StatusIgnoredAsReason)
    });
    // The status is no reason for a person whom only the protection keeps out, and not certain if two 001 differ.
    if let Some((_, reason)) = by_status
        && !facts.doubled.contains(number)
        && (!failing.is_empty() || is_unsubscribed)
    {
        return Some(reason);
    }
    if is_unsubscribed {
        return Some("unsubscribed");
    }
    let is_protected = match facts.bug {
        Some(InjectedBug::DoubtToldAsProtected) => facts.is_protected(number),
        _ => facts.certain.contains(number),
    };
    if policy.protection == ProtectionRule::Drop && is_protected {
        // A reason of its own would point at protected persons.
        return Some("unsubscribed");
    }
    assert!(
        !failing.is_empty(),
        "a person who meets every condition and is not protected does not leave"
    );
    failing.into_iter().find(|reason| *reason != UNKNOWN)
}

/// Returns the number of the person to whom the row belongs, if it belongs to a person.
pub fn key(row: &Row) -> Option<&str> {
    match row.first() {
        Some((column, Value::Text(number))) if column == "pnr" => Some(number),
        _ => None,
    }
}

/// Returns the value of a column, and null if the row does not have it.
pub fn value<'a>(row: &'a Row, column: &str) -> &'a Value {
    let found = row.iter().find(|(name, _)| name == column);
    found.map_or(&Value::Null, |(_, value)| value)
}

/// Returns the text of a column, if it holds text.
pub fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match value(row, column) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Returns whether the field had contents that its column cannot hold.
pub fn is_irregular(row: &Row, column: &str) -> bool {
    match value(row, "irregular") {
        Value::Map(entries) => entries.iter().any(|(key, _)| key == column),
        _ => false,
    }
}

fn produced(rows: &Tables) -> Option<i64> {
    let start = rows.get("delivery_start")?.first()?;
    match value(start, "production_date") {
        Value::Days(day) => Some(*day),
        _ => None,
    }
}

/// Returns the whole years from birth to the day. The result is negative before birth.
fn age(born: i64, day: i64) -> i32 {
    let (born, day) = (date(born), date(day));
    let years = day.year() - born.year();
    match (day.month(), day.day()) < (born.month(), born.day()) {
        true => years - 1,
        false => years,
    }
}

fn date(days: i64) -> NaiveDate {
    NaiveDate::default() + TimeDelta::days(days)
}

fn days(date: NaiveDate) -> i64 {
    date.signed_duration_since(NaiveDate::default()).num_days()
}
