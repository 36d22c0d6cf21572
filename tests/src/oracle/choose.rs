//! Whose records: the filter, protections, and who leaves.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, TimeDelta};
use cprflow::policy::{Persons, Policy, Protection};

use super::Slip;
use crate::cut::{Row, Tables, Value};

/// What an extract tells of its persons, each by number.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The day on which ages are judged, in days since 1970-01-01.
    pub day: Option<i64>,
    /// The day on which the extract was produced, and protections are judged.
    pub produced: Option<i64>,
    /// Whoever has a record.
    pub seen: BTreeSet<String>,
    /// Whoever has a 001.
    pub delivered: BTreeSet<String>,
    /// Whoever has a protection of name and address in force on the day when the extract was produced.
    pub protected: BTreeSet<String>,
    statuses: BTreeSet<(String, String)>,
    births: BTreeMap<String, BTreeSet<i64>>,
    homes: BTreeSet<(String, String)>,
    /// Numbers that were deleted or changed, and what the person has instead.
    valid: BTreeSet<(String, String)>,
    events: BTreeSet<(String, String)>,
    slip: Option<Slip>,
}

/// Whom a policy chooses.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Whoever is chosen and has a record in the extract.
    pub chosen: BTreeSet<String>,
    /// Whoever was in the roster, is delivered and is not chosen, and why not.
    pub left: BTreeMap<String, &'static str>,
}

impl Facts {
    /// What the rows tell; ages are judged on that day, or else on the day of the start record.
    pub fn of(rows: &Tables, day: Option<&str>, slip: Option<Slip>) -> Self {
        let mut facts = Self {
            day: match day {
                Some(day) => Some(days(day.parse().expect("the policy's day is a date"))),
                None => produced(rows),
            },
            produced: produced(rows),
            slip,
            ..Self::default()
        };
        for (table, rows) in rows {
            for row in rows {
                if let Some(number) = key(row) {
                    facts.note(table, row, number);
                }
            }
        }
        facts
    }

    fn note(&mut self, table: &str, row: &Row, number: &str) {
        let number = number.to_owned();
        self.seen.insert(number.clone());
        let code = |column| text(row, column).map(str::to_owned);
        match table {
            "person" => {
                self.delivered.insert(number.clone());
                if let Value::Days(born) = value(row, "birth_date") {
                    self.births.entry(number.clone()).or_default().insert(*born);
                }
                let is_number = |text: &String| {
                    text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit())
                };
                if matches!(code("status").as_deref(), Some("50" | "60")) {
                    let valid = code("current_pnr").filter(is_number);
                    self.valid
                        .extend(valid.map(|valid| (number.clone(), valid)));
                }
                self.statuses
                    .extend(code("status").map(|status| (number, status)));
            }
            "address" => {
                let home = code("municipality_code");
                self.homes.extend(home.map(|home| (number, home)));
            }
            "event" => {
                let event = code("event_code");
                self.events.extend(event.map(|event| (number, event)));
            }
            "protection" if self.is_in_force(row) => {
                self.protected.insert(number);
            }
            _ => {}
        }
    }

    /// Only a whole and valid date can lift a protection or put it off, and only where there is a day to hold it
    /// against.
    fn is_in_force(&self, row: &Row) -> bool {
        let day = match self.slip {
            Some(Slip::PolicyDayLifts) => self.day,
            _ => self.produced,
        };
        let is_of = |column, holds: &dyn Fn(i64, i64) -> bool| match (value(row, column), day) {
            (Value::Days(date), Some(day)) => holds(*date, day),
            _ => false,
        };
        let starts_later =
            is_of("start_date", &|start, day| start > day) && self.slip != Some(Slip::StartsAtOnce);
        let is_over = match self.slip {
            Some(Slip::NeverEnds) => false,
            Some(Slip::IrregularDateLifts) if is_irregular(row, "deletion_date") => true,
            Some(Slip::LastDayCounts) => is_of("deletion_date", &|deletion, day| deletion < day),
            _ => is_of("deletion_date", &|deletion, day| deletion <= day),
        };
        text(row, "protection_type") == Some("0001") && !starts_later && !is_over
    }

    /// Whether name and address of the person must be kept back: also of whoever is not delivered.
    pub fn is_protected(&self, number: &str) -> bool {
        let is_so = |number: &str| {
            let is_unknown = !self.delivered.contains(number);
            self.protected.contains(number) || is_unknown && self.slip != Some(Slip::UnknownIsOpen)
        };
        let others = (number.to_owned(), String::new())..=(number.to_owned(), ":".to_owned());
        let mut valid = self.valid.range(others);
        is_so(number)
            || valid.any(|(_, valid)| is_so(valid)) && self.slip != Some(Slip::FormerNumberIsOpen)
    }

    fn is_of_age(&self, number: &str, (youngest, oldest): (u16, u16), day: i64) -> bool {
        let births = self.births.get(number);
        if births.is_none() && self.slip == Some(Slip::AgeUnknownPasses) {
            return true;
        }
        let mut ages = births.into_iter().flatten().map(|born| match self.slip {
            Some(Slip::AgeByYear) => date(day).year() - date(*born).year(),
            _ => age(*born, day),
        });
        ages.any(|age| (i32::from(youngest)..=i32::from(oldest)).contains(&age))
    }
}

/// Whom the policy chooses; none where ages are asked for and nothing says on which day.
pub fn choose(facts: &Facts, policy: &Policy, roster: &BTreeSet<String>) -> Option<Choice> {
    let filter = &policy.persons;
    if filter.ages.is_some() && facts.day.is_none() {
        return None;
    }
    let meeting = |number: &&String| failing(facts, filter, number).is_none();
    let everybody = facts.seen.iter().filter(meeting).cloned();
    let mut chosen: BTreeSet<String> = everybody.collect();
    if policy.protection == Protection::Drop {
        chosen.retain(|number| !facts.is_protected(number));
    }
    let is_there = |number: &String| match facts.slip {
        Some(Slip::AbsentLeave) => true,
        _ => facts.delivered.contains(number),
    };
    let gone = roster
        .iter()
        .filter(|number| is_there(number) && !chosen.contains(*number));
    let left = gone.map(|number| (number.clone(), reason(facts, policy, number)));
    Some(Choice {
        left: left.collect(),
        chosen,
    })
}

/// The first condition that the person does not meet, as the reason of one who leaves.
fn failing(facts: &Facts, filter: &Persons, number: &str) -> Option<&'static str> {
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
    // Whoever is dead or gone may have a last known address, and lives nowhere.
    let lives = || {
        let of_residents: Vec<_> = (0..30).map(|status| format!("{status:02}")).collect();
        is_any(&facts.statuses, &of_residents) || facts.slip == Some(Slip::LastAddressIsHome)
    };
    if homes.is_some_and(|codes| !is_any(&facts.homes, codes) || statuses.is_none() && !lives()) {
        return Some("moved");
    }
    if let (Some(ages), Some(day)) = (filter.ages, facts.day)
        && !facts.is_of_age(number, ages, day)
    {
        return Some("age");
    }
    if statuses.is_some_and(|codes| !is_any(&facts.statuses, codes)) {
        return Some("status");
    }
    if events.is_some_and(|codes| !is_any(&facts.events, codes)) {
        return Some("event");
    }
    let is_listed = |list: &Vec<cprflow::Pnr>| list.iter().any(|pnr| pnr.as_str() == number);
    let is_missing = is_all && !facts.delivered.contains(number);
    match filter.numbers.as_ref().is_some_and(|list| !is_listed(list)) || is_missing {
        true => Some("not-listed"),
        false => None,
    }
}

fn reason(facts: &Facts, policy: &Policy, number: &str) -> &'static str {
    const BY_STATUS: [(&str, &str); 6] = [
        ("90", "dead"),
        ("80", "emigrated"),
        ("70", "disappeared"),
        ("60", "number-changed"),
        ("50", "number-deleted"),
        ("30", "number-annulled"),
    ];
    let failing = failing(facts, &policy.persons, number);
    let has = |status: &str| {
        facts
            .statuses
            .contains(&(number.to_owned(), status.to_owned()))
    };
    let by_status = BY_STATUS
        .iter()
        .find(|(status, _)| has(status) && facts.slip != Some(Slip::StatusIsNoReason));
    match (failing, by_status) {
        (Some(_), Some((_, reason))) => reason,
        _ if policy.protection == Protection::Drop && facts.is_protected(number) => "protected",
        (Some(condition), None) => condition,
        (None, _) => panic!("whoever meets every condition and is not protected stays"),
    }
}

/// The number of the person whose row it is; none for rows of nobody.
pub fn key(row: &Row) -> Option<&str> {
    match row.first() {
        Some((column, Value::Text(number))) if column == "pnr" => Some(number),
        _ => None,
    }
}

/// The value of a column.
pub fn value<'a>(row: &'a Row, column: &str) -> &'a Value {
    let found = row.iter().find(|(name, _)| name == column);
    found.map_or(&Value::Null, |(_, value)| value)
}

/// The text of a column, if there is one.
pub fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match value(row, column) {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Whether what stood in the column did not fit it.
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

/// Whole years from birth to the day; below nought for whoever is yet to be born.
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
