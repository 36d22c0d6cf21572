//! Which persons a policy selects, which persons are protected, and who leaves the scope.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate, TimeDelta};
use cprflow::policy::{PersonFilter, Policy, ProtectionRule};

use super::InjectedBug;
use crate::reference_reader::{Row, Tables, Value};

/// The facts that an extract states about its persons, by person number.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The date on which ages are evaluated, in days since 1970-01-01.
    pub day: Option<i64>,
    /// The production date of the extract, on which protections are evaluated.
    pub produced: Option<i64>,
    /// Persons with any record.
    pub seen: BTreeSet<String>,
    /// Persons with a record 001.
    pub delivered: BTreeSet<String>,
    /// Persons with a protection of name and address that is in force on the production date.
    pub protected: BTreeSet<String>,
    statuses: BTreeSet<(String, String)>,
    births: BTreeMap<String, BTreeSet<i64>>,
    homes: BTreeSet<(String, String)>,
    /// Person numbers that were deleted or changed, each with the person's current number.
    valid: BTreeSet<(String, String)>,
    events: BTreeSet<(String, String)>,
    bug: Option<InjectedBug>,
}

/// The persons that a policy selects.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Persons who are selected and have a record in the extract.
    pub chosen: BTreeSet<String>,
    /// Persons of the roster who are delivered and not selected, with the reason.
    pub left: BTreeMap<String, &'static str>,
}

impl Facts {
    /// Collects the facts of the rows. Ages are evaluated on `day`, or on the production date without one.
    pub fn of(rows: &Tables, day: Option<&str>, bug: Option<InjectedBug>) -> Self {
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
        facts
    }

    fn add_row(&mut self, table: &str, row: &Row, number: &str) {
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

    /// Only a valid date can end or postpone a protection, and only if there is a production date to compare with.
    fn is_in_force(&self, row: &Row) -> bool {
        let day = match self.bug {
            Some(InjectedBug::ProtectionJudgedOnPolicyDay) => self.day,
            _ => self.produced,
        };
        let is_of = |column, holds: &dyn Fn(i64, i64) -> bool| match (value(row, column), day) {
            (Value::Days(date), Some(day)) => holds(*date, day),
            _ => false,
        };
        let starts_later = is_of("start_date", &|start, day| start > day)
            && self.bug != Some(InjectedBug::ProtectionStartsEarly);
        let is_over = match self.bug {
            Some(InjectedBug::ProtectionNeverEnds) => false,
            Some(InjectedBug::IrregularDateEndsProtection)
                if is_irregular(row, "deletion_date") =>
            {
                true
            }
            Some(InjectedBug::ProtectionIncludesDeletionDay) => {
                is_of("deletion_date", &|deletion, day| deletion < day)
            }
            _ => is_of("deletion_date", &|deletion, day| deletion <= day),
        };
        text(row, "protection_type") == Some("0001") && !starts_later && !is_over
    }

    /// Returns whether the person's name and address must be hidden. Persons without a record 001 count as protected.
    pub fn is_protected(&self, number: &str) -> bool {
        let is_so = |number: &str| {
            let is_unknown = !self.delivered.contains(number);
            self.protected.contains(number)
                || is_unknown && self.bug != Some(InjectedBug::UnknownPersonUnprotected)
        };
        let others = (number.to_owned(), String::new())..=(number.to_owned(), ":".to_owned());
        let mut valid = self.valid.range(others);
        is_so(number)
            || valid.any(|(_, valid)| is_so(valid))
                && self.bug != Some(InjectedBug::FormerNumberUnprotected)
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
}

/// Returns the persons that the policy selects. Returns `None` if the policy has an age condition and there is no date.
pub fn choose(facts: &Facts, policy: &Policy, roster: &BTreeSet<String>) -> Option<Choice> {
    let filter = &policy.persons;
    if filter.ages.is_some() && facts.day.is_none() {
        return None;
    }
    let meeting = |number: &&String| failing(facts, filter, number).is_none();
    let everybody = facts.seen.iter().filter(meeting).cloned();
    let mut chosen: BTreeSet<String> = everybody.collect();
    if policy.protection == ProtectionRule::Drop {
        chosen.retain(|number| !facts.is_protected(number));
    }
    let is_there = |number: &String| match facts.bug {
        Some(InjectedBug::UndeliveredPersonLeaves) => true,
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

/// Returns the first condition that the person does not meet, as the reason of a leaver.
fn failing(facts: &Facts, filter: &PersonFilter, number: &str) -> Option<&'static str> {
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
    let lives = || {
        let of_residents: Vec<_> = (0..30).map(|status| format!("{status:02}")).collect();
        is_any(&facts.statuses, &of_residents)
            || facts.bug == Some(InjectedBug::LastAddressIsResidence)
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
        .find(|(status, _)| has(status) && facts.bug != Some(InjectedBug::StatusIgnoredAsReason));
    match (failing, by_status) {
        (Some(_), Some((_, reason))) => reason,
        _ if policy.protection == ProtectionRule::Drop && facts.is_protected(number) => "protected",
        (Some(condition), None) => condition,
        (None, _) => {
            panic!("a person who meets every condition and is not protected does not leave")
        }
    }
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
