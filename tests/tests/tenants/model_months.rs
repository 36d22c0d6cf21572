//! The daily job over generated months: every day, the current tables of the dataset and of each tenant are what an
//! independent model computes.
//!
//! A month has an initial load of each of two agreements, moves, deaths, births, number changes and protections, days
//! without deliveries, late and repeated deliveries, several deliveries in one run and on one day, a second full load,
//! receipts, and birthdays at the limits of ages. Old extracts are compacted.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use chrono::{NaiveDate, TimeDelta};
use cprflow::policy::{LeaverRule, Policy, ProtectionRule};
use cprflow_connector::generate::{self, Settings};
use cprflow_delivery::GenerationManifest;
use cprflow_tests::extract::{self, Dice};
use cprflow_tests::oracle::TestPolicy;
use cprflow_tests::oracle::state::{KeptExtract, State, protected_by_agreements, state};
use cprflow_tests::raw_record::Record;
use cprflow_tests::reference_reader::{Row, Tables, Value};
use cprflow_tests::test_run::{TestRun, tables, transfer};

use crate::random_policy::RULES;
use crate::register_state::{add_receipts, assert_same, expected_tables};

/// The number of days. Extracts are compacted after 10 days.
const DAYS: i64 = 32;

/// The number of persons of a month.
const PERSONS: u64 = 36;

/// The ages at which the persons of a tenant enter or leave the scope.
const LIMITS: [usize; 4] = [5, 17, 18, 67];

/// The agreements, each with the task number that tells its deliveries.
const AGREEMENTS: [(&str, &str); 2] = [("north", "111111"), ("south", "222222")];

/// The number of months. `CPRFLOW_MODEL_MONTHS` sets it.
fn months() -> u64 {
    let wanted = std::env::var("CPRFLOW_MODEL_MONTHS");
    wanted.map_or(1, |months| months.parse().unwrap())
}

#[test]
fn the_current_tables_are_what_the_model_computes_every_day() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 1..=months() {
        for (what, count) in Month::new(seed).run() {
            *seen.entry(what).or_default() += count;
        }
    }
    // Together, the months must have every case that the rules are about.
    assert_eq!(seen.len(), 10, "{seen:?}");
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");
}

/// A tenant, and the persons in its scope.
struct Tenant {
    name: &'static str,
    agreements: &'static [&'static str],
    /// The rules in the form of the configuration.
    section: &'static str,
    wanted: TestPolicy,
    /// The persons in scope at the end of the day before.
    before: BTreeSet<String>,
    /// The persons in scope now.
    now: BTreeSet<String>,
}

impl Tenant {
    fn new(
        name: &'static str,
        agreements: &'static [&'static str],
        section: &'static str,
        change: impl FnOnce(&mut Policy),
    ) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        Self {
            name,
            agreements,
            section,
            wanted: TestPolicy::new(policy),
            before: BTreeSet::new(),
            now: BTreeSet::new(),
        }
    }
}

fn tenants() -> Vec<Tenant> {
    let both = &["north", "south"];
    let codes = ["0851", "0101", "0751", "0461", "0265"];
    vec![
        Tenant::new(
            "schools",
            both,
            "persons = { ages = [5, 16] }\n",
            |policy| policy.persons.ages = Some((5, 16)),
        ),
        Tenant::new(
            "towns",
            both,
            "persons = { municipalities = ['0851', '0101', '0751', '0461', '0265'] }\n\
             protection = 'drop'\nleavers = 'last'\n",
            |policy| {
                policy.persons.municipality_codes = Some(codes.map(str::to_owned).into());
                policy.protection = ProtectionRule::Drop;
                policy.leavers = LeaverRule::Last;
            },
        ),
        Tenant::new(
            "adults",
            &both[..1],
            "persons = { ages = [18, 66] }\nprotection = 'include'\nclasses = ['default', 'identity', 'family']\n",
            |policy| {
                policy.persons.ages = Some((18, 66));
                policy.protection = ProtectionRule::Include;
                policy
                    .classes
                    .extend(["identity", "family"].map(str::to_owned));
            },
        ),
        Tenant::new("everybody", &both[1..], "", |_| {}),
    ]
}

/// A month of the daily job.
struct Month {
    test: TestRun,
    settings: Settings,
    tenants: Vec<Tenant>,
    /// The extracts that were applied, in the order of their arrival.
    kept: Vec<KeptExtract>,
    /// The number of the last delivery.
    number: u32,
    /// Whether something was delivered today.
    is_delivered: bool,
    /// How often the cases occurred.
    seen: BTreeMap<&'static str, u64>,
}

impl Month {
    fn new(seed: u64) -> Self {
        let test = TestRun::local();
        let mut text = "publish = [\"current\"]\nkeep_deliveries = \"10d\"\n".to_owned();
        for (name, task) in AGREEMENTS {
            text.push_str(&format!(
                "[agreement.{name}]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
                 files = {{ task_numbers = [\"{task}\"] }}\n"
            ));
        }
        let tenants = tenants();
        for tenant in &tenants {
            let (name, agreements) = (tenant.name, tenant.agreements);
            text.push_str(&format!(
                "[tenant.{name}]\nagreements = {agreements:?}\npurpose = \"test\"\n\
                 dataset = \"tenants/{name}\"\n{}",
                tenant.section
            ));
        }
        test.configure(&text);
        Self {
            test,
            settings: Settings::busy(PERSONS, seed),
            tenants,
            kept: Vec::new(),
            number: 0,
            is_delivered: false,
            seen: BTreeMap::new(),
        }
    }

    /// Returns how often each case occurred.
    fn run(mut self) -> BTreeMap<&'static str, u64> {
        let first: NaiveDate = self.date(0).parse().unwrap();
        let mut night = 0;
        let mut held_back = None;
        for index in 0..DAYS {
            let day = first + TimeDelta::days(index);
            for tenant in &mut self.tenants {
                tenant.before = tenant.now.clone();
            }
            self.is_delivered = false;
            let is_working_day = self.date(night) == day.to_string();
            let of = usize::from(night % 3 == 1);
            if is_working_day {
                match night {
                    // These nights are delivered later.
                    5 | 14 => held_back = Some((of, self.extract(night, of))),
                    15 => {
                        // The names are not in the order of the dates.
                        let (late, extract) = held_back.take().unwrap();
                        self.put("a-newer", night, of, self.extract(night, of));
                        self.put("b-older", night - 1, late, extract);
                    }
                    _ => self.put("morning", night, of, self.extract(night, of)),
                }
            }
            // On every other day, the job runs after midnight in Denmark, which is the day before in UTC.
            let time = match index % 2 {
                0 => format!("{day}T08:00:00Z"),
                _ => format!("{}T23:30:00Z", day - TimeDelta::days(1)),
            };
            self.sync(&time);
            self.check(day);
            if is_working_day && (night % 4 == 0 || night == 9) {
                self.evening(day, night, 1 - of, &mut held_back);
            }
            night += u32::from(is_working_day);
        }
        self.count_cases();
        self.seen
    }

    /// Runs the job a second time on a day, with other deliveries.
    fn evening(
        &mut self,
        day: NaiveDate,
        night: u32,
        of: usize,
        held_back: &mut Option<(usize, Vec<u8>)>,
    ) {
        let time = format!("{day}T20:00:00Z");
        if night == 9 {
            // The same bytes come again. They are set aside, and then accepted.
            let again = self.kept.last().unwrap().clone();
            let name = format!("again-{}", self.number + 1);
            self.number += 1;
            self.test.put(&name, &again.bytes, &transfer(self.number));
            self.sync(&time);
            self.check(day);
            let accept = [name.as_str(), "--accept", "same-content"];
            let ended = self.test.run("retry", &accept);
            assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
            self.kept.push(KeptExtract {
                sequence: self.number.into(),
                ..again
            });
            self.check(day);
            return;
        }
        self.put("evening", night, of, self.extract(night, of));
        self.sync(&time);
        self.check(day);
        if night == 8
            && let Some((late, extract)) = held_back.take()
        {
            self.put("late", 5, late, extract);
            self.sync(&time);
            self.check(day);
        }
    }

    /// Returns the production date of a night, `YYYY-MM-DD`.
    fn date(&self, night: u32) -> String {
        self.settings.production_date(night).to_string()
    }

    /// Returns what an agreement delivers in a night.
    fn extract(&self, night: u32, of: usize) -> Vec<u8> {
        let settings = Settings {
            night,
            task_number: AGREEMENTS[of].1.to_owned(),
            ..self.settings.clone()
        };
        let is_whole = matches!(night, 0 | 11);
        let bytes = match is_whole {
            true => extract::status(&settings),
            false => {
                let mut bytes = Vec::new();
                generate::changes(&settings, night, &mut bytes).unwrap();
                bytes
            }
        };
        let mut lines = Vec::new();
        for line in extract::lines(&bytes) {
            self.add(line, night, of, &mut lines);
        }
        if !is_whole {
            let mut dice = Dice::new(self.settings.seed << 16 | u64::from(night) << 1 | of as u64);
            add_receipts(&mut lines, &mut dice);
        }
        let records = lines.len() - 2;
        let end = lines.last_mut().unwrap();
        assert!(end.starts_with(b"999"));
        end[13..21].copy_from_slice(format!("{records:08}").as_bytes());
        extract::join(&lines, b"\n")
    }

    /// Adds a line of a generated extract, with the cases of this test.
    fn add(&self, line: Vec<u8>, night: u32, of: usize, lines: &mut Vec<Vec<u8>>) {
        let number = String::from_utf8_lossy(line.get(3..13).unwrap_or_default()).into_owned();
        let digit = |place: usize| usize::from(number.as_bytes()[place] - b'0');
        let kind = line.get(..3).unwrap_or_default().to_vec();
        match kind.as_slice() {
            // It follows the end record, and belongs to no person.
            b"910" => {}
            b"001" => {
                let mut record = Record::of(&RULES, &line).unwrap();
                // Birthdays in this month, at the limits of the tenants' ages.
                if let Some(age) = LIMITS.get(digit(9)) {
                    let born = format!("{}-03-{:02}", 2026 - age, 3 + digit(8) * 3 % 28);
                    record.set("birth_date", &born);
                }
                lines.push(record.line());
                // A protection that is planned for later.
                if night > 2 && digit(8) > 5 && digit(9) % 2 == 0 {
                    lines.push(format!("004{number}00012026-06-01").into_bytes());
                }
            }
            // One agreement lacks some protections of the other.
            b"004" if of == 1 && digit(8) < 4 => {}
            _ => lines.push(line),
        }
    }

    /// Puts a delivery into the inbox.
    fn put(&mut self, name: &str, night: u32, of: usize, extract: Vec<u8>) {
        self.number += 1;
        let name = format!("{name}-{night:02}");
        self.test.put(&name, &extract, &transfer(self.number));
        self.kept.push(KeptExtract {
            agreement: AGREEMENTS[of].0.to_owned(),
            date: self.date(night),
            sequence: self.number.into(),
            bytes: extract,
        });
        self.is_delivered = true;
    }

    fn sync(&self, time: &str) {
        self.test.set_time(time);
        let ended = self.test.sync();
        assert!(ended.code < 2, "{time}: {}{}", ended.stderr, ended.text());
    }

    /// Compares all current tables with the model.
    fn check(&mut self, day: NaiveDate) {
        let what = format!(
            "seed {}, {day}, {} extracts",
            self.settings.seed,
            self.kept.len()
        );
        let whole = state(&RULES, &self.kept, &BTreeSet::new());
        let current = self.test.dataset().join("current");
        assert_whole(&tables(&current), &whole, &what);
        let of_both = protected_by_agreements(&RULES, &self.kept);
        for tenant in &mut self.tenants {
            let is_own = |one: &&KeptExtract| tenant.agreements.contains(&one.agreement.as_str());
            let own: Vec<KeptExtract> = self.kept.iter().filter(is_own).cloned().collect();
            if own.is_empty() {
                continue;
            }
            let mut model = state(&RULES, &own, &tenant.before);
            if tenant.agreements.len() > 1 {
                model.protect(&of_both);
            }
            let mut wanted = tenant.wanted.clone();
            wanted.policy.day = Some(day.to_string());
            let answer = model.extract.expected(&wanted, &tenant.before).unwrap();
            let current = self.test.dataset_of(tenant.name).join("current");
            let what = format!("{what}, tenant {}", tenant.name);
            let expected = expected_tables(&wanted, &answer, &model.day);
            assert_same(&tables(&current), &expected, &what);
            let manifest = fs::read(current.join("_generation.json")).unwrap();
            let manifest: GenerationManifest = serde_json::from_slice(&manifest).unwrap();
            let delivery = &answer.delivery;
            assert_eq!(
                (manifest.persons, manifest.entered, manifest.left),
                (delivery.persons, delivery.entered, delivery.left),
                "{what}"
            );
            assert_eq!(manifest.day, day.to_string(), "{what}");
            if !self.is_delivered {
                *self.seen.entry("entered by age").or_default() += delivery.entered;
                *self.seen.entry("left by age").or_default() += delivery.left;
            }
            for row in delivery.tables.get("out_of_scope").into_iter().flatten() {
                let has = |reason: &str| row.contains(&("reason".to_owned(), text(reason)));
                *self.seen.entry("moved").or_default() += u64::from(has("moved"));
                *self.seen.entry("died").or_default() += u64::from(has("dead"));
                *self.seen.entry("unsubscribed").or_default() += u64::from(has("unsubscribed"));
            }
            tenant.now = answer.roster;
        }
    }

    /// Counts the cases of the state at the end of the month.
    fn count_cases(&mut self) {
        let model = state(&RULES, &self.kept, &BTreeSet::new());
        let rows = model.extract.rows();
        let with_status = |status: &str| {
            let is_so = |row: &&Row| row.contains(&("status".to_owned(), text(status)));
            rows["person"].iter().filter(is_so).count() as u64
        };
        self.seen.insert("status 60", with_status("60"));
        self.seen.insert("status 90", with_status("90"));
        let loaded = state(&RULES, &self.kept[..1], &BTreeSet::new());
        let new = model.persons.difference(&loaded.persons).count();
        self.seen.insert("new numbers", new as u64);
        let protections = rows.get("protection").map_or(0, Vec::len);
        self.seen.insert("protections", protections as u64);
        let protected = protected_by_agreements(&RULES, &self.kept);
        self.seen
            .insert("protected by an agreement", protected.len() as u64);
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// Asserts that the tables of the dataset have the rows of the model, each with date and agreement of its extract.
fn assert_whole(got: &Tables, model: &State, what: &str) {
    let mut expected = Tables::new();
    for (table, origins) in &model.origins {
        let rows = &model.extract.rows()[table];
        assert_eq!(rows.len(), origins.len(), "{table}");
        let with_origin = |(row, (date, agreement)): (&Row, &(String, String))| {
            let date: NaiveDate = date.parse().unwrap();
            let days = (date - NaiveDate::default()).num_days();
            let mut row = row.clone();
            row.retain(|(name, _)| name != "line");
            row.push(("as_of".to_owned(), Value::Days(days)));
            row.push(("agreement".to_owned(), text(agreement)));
            row
        };
        let rows = rows.iter().zip(origins).map(with_origin).collect();
        expected.insert(table.clone(), rows);
    }
    let names: BTreeSet<&String> = got.keys().chain(expected.keys()).collect();
    for table in names {
        let sorted = |tables: &Tables| {
            let mut rows = tables.get(table).cloned().unwrap_or_default();
            rows.sort();
            rows
        };
        let (got, expected) = (sorted(got), sorted(&expected));
        assert!(
            got == expected,
            "{what}: {table} has {} rows, expected {}; wrong {:?}, missing {:?}",
            got.len(),
            expected.len(),
            got.iter().find(|row| !expected.contains(row)),
            expected.iter().find(|row| !got.contains(row)),
        );
    }
}
