//! Random policies in a form that proptest can shrink.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use cprflow::policy::{DATA_CLASSES, LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow_tests::extract::Dice;
use cprflow_tests::layout_data;
use cprflow_tests::oracle::predicate::Predicate;
use cprflow_tests::oracle::product::Tenant;
use cprflow_tests::oracle::{Extract, TestPolicy, refusal, view};
use cprflow_tests::reference_reader::{Rules, Tables, Value};
use proptest::prelude::*;

pub(crate) static RULES: LazyLock<Rules> = LazyLock::new(layout_data::rules);

/// A delivery, as bytes and as the oracle reads it.
pub(crate) type Delivery = (Vec<u8>, Extract);

/// A policy in a form that proptest can shrink. Seeds select its tables, columns and rows.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    classes: u16,
    municipalities: Option<u8>,
    statuses: Option<u8>,
    ages: Option<(u16, u16)>,
    events: Option<u8>,
    numbers_of: Option<u8>,
    day: Option<u8>,
    protection: ProtectionRule,
    numbers: NumberRule,
    leavers: LeaverRule,
    also: bool,
    may_reveal: bool,
    tables: Option<u64>,
    columns: Option<u64>,
    rows: Option<u64>,
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let often = |strategy| prop::option::weighted(0.3, strategy);
    let persons = (
        often(any::<u8>()),
        often(any::<u8>()),
        prop::option::weighted(0.3, (0..60_u16, 0..90_u16).prop_map(|(a, b)| (a, a + b))),
        prop::option::weighted(0.1, any::<u8>()),
        often(any::<u8>()),
        often(any::<u8>()),
    );
    let rules = (
        prop_oneof![
            Just(ProtectionRule::Mask),
            Just(ProtectionRule::Drop),
            Just(ProtectionRule::Include)
        ],
        prop_oneof![
            Just(NumberRule::Keep),
            Just(NumberRule::Pseudonym),
            Just(NumberRule::Drop)
        ],
        prop_oneof![Just(LeaverRule::Notice), Just(LeaverRule::Last)],
        any::<bool>(),
        any::<bool>(),
    );
    let choices = || prop::option::weighted(0.4, any::<u64>());
    let what = (choices(), choices(), choices());
    let classes = prop_oneof![Just(u16::MAX), any::<u16>()];
    (classes, persons, rules, what).prop_map(|(classes, persons, rules, what)| Plan {
        classes,
        municipalities: persons.0,
        statuses: persons.1,
        ages: persons.2,
        events: persons.3,
        numbers_of: persons.4,
        day: persons.5,
        protection: rules.0,
        numbers: rules.1,
        leavers: rules.2,
        also: rules.3,
        may_reveal: rules.4,
        tables: what.0,
        columns: what.1,
        rows: what.2,
    })
}

impl Plan {
    /// Returns the policy. Its lists have numbers and values of this extract.
    pub(crate) fn wanted(&self, first: &Extract) -> TestPolicy {
        let some = |codes: &[&str], mask: u8| {
            let codes = codes.iter().enumerate();
            let chosen = codes.filter(|(place, _)| mask >> (place % 8) & 1 == 1);
            chosen
                .map(|(_, code)| (*code).to_owned())
                .collect::<Vec<_>>()
        };
        let numbers = |mask: u8| {
            let persons = first.persons();
            let listed = persons.iter().enumerate();
            let listed = listed.filter(|(place, _)| mask >> (place % 8) & 1 == 1);
            listed.map(|(_, number)| number.parse().unwrap()).collect()
        };
        let persons = PersonFilter {
            municipality_codes: self.municipalities.map(|mask| {
                some(
                    &[
                        "0851", "0101", "0461", "0751", "0561", "0265", "0607", "0615",
                    ],
                    mask,
                )
            }),
            status_codes: self
                .statuses
                .map(|mask| some(&["01", "03", "60", "90", "80", "70", "20", "30"], mask)),
            ages: self.ages,
            event_codes: self.events.map(|mask| {
                some(
                    &[
                        "A34", "P56", "A01", "A02", "A21", "A33", "P55", "A13", "A42", "P10",
                    ],
                    mask,
                )
            }),
            numbers: self.numbers_of.map(numbers),
        };
        let classes = DATA_CLASSES.iter().filter(|class| self.allows(class));
        let mut wanted = TestPolicy::new(Policy {
            persons,
            day: self
                .day
                .map(|day| format!("20{:02}-0{}-28", day % 60, 1 + day % 9)),
            classes: classes.map(|class| (*class).to_owned()).collect(),
            protection: self.protection,
            numbers: self.numbers,
            leavers: self.leavers,
            may_reveal: self.may_reveal,
            ..Policy::default()
        });
        self.name_tables(&mut wanted);
        self.name_columns(&mut wanted);
        self.name_rows(&wanted, first)
    }

    fn allows(&self, class: &str) -> bool {
        let place = DATA_CLASSES.iter().position(|known| *known == class);
        place.is_some_and(|place| self.classes >> place & 1 == 1)
    }

    fn name_tables(&self, wanted: &mut TestPolicy) {
        if self.also
            && wanted.policy.classes.contains("identity")
            && self.numbers != NumberRule::Keep
        {
            wanted.policy.classes.insert("person-id".to_owned());
        }
        let Some(seed) = self.tables else {
            return;
        };
        let mut dice = Dice::new(seed);
        let mut tables: BTreeSet<String> = view::view(&RULES, &wanted.policy, None)
            .into_keys()
            .collect();
        tables.retain(|table| {
            let is_raw = matches!(
                table.as_str(),
                "unknown_record" | "rejected_record" | "out_of_scope"
            );
            !is_raw && dice.below(3) > 0
        });
        wanted.policy.tables = Some(tables);
    }

    fn name_columns(&self, wanted: &mut TestPolicy) {
        let Some(seed) = self.columns else {
            return;
        };
        let mut dice = Dice::new(seed);
        for (table, columns) in view::view(&RULES, &wanted.policy, None) {
            let Some(rule) = RULES.values().find(|rule| rule.table == table) else {
                continue;
            };
            if dice.below(3) > 0 {
                continue;
            }
            let tells = |column: &String| {
                let field = rule.fields.iter().find(|field| field.column == *column);
                field.is_some_and(|field| field.kind != "pnr")
            };
            let mut named = columns;
            named.retain(|column| {
                !matches!(column.as_str(), "protected" | "line") && dice.below(3) > 0
            });
            if named.iter().any(tells) {
                wanted.policy.columns.insert(table, named);
            }
        }
    }

    fn name_rows(&self, wanted: &TestPolicy, first: &Extract) -> TestPolicy {
        let mut wanted = wanted.clone();
        let Some(seed) = self.rows else {
            return wanted;
        };
        let mut dice = Dice::new(seed);
        let rows = first.rows();
        for table in view::view(&RULES, &wanted.policy, None).into_keys() {
            let is_known = RULES.values().any(|rule| rule.table == table);
            if is_known && rows.contains_key(&table) && dice.below(4) == 0 {
                wanted = wanted.rows(&table, predicate(rows, &table, &mut dice, 3));
            }
        }
        wanted
    }
}

/// Returns a condition on the rows of a table, with values that occur in it.
fn predicate(rows: &Tables, table: &str, dice: &mut Dice, depth: usize) -> Predicate {
    let inner = |dice: &mut Dice| Box::new(predicate(rows, table, dice, depth - 1));
    match if depth == 0 { 9 } else { dice.below(10) } {
        0 | 1 => return Predicate::And(inner(dice), inner(dice)),
        2 | 3 => return Predicate::Or(inner(dice), inner(dice)),
        4 => return Predicate::Not(inner(dice)),
        _ => {}
    }
    let rows = &rows[table];
    let places: Vec<usize> = (0..rows[0].len())
        .filter(|place| !matches!(rows[0][*place].0.as_str(), "irregular" | "line"))
        .collect();
    let place = places[dice.below(places.len())];
    let column = rows[0][place].0.clone();
    let values: Vec<&Value> = rows
        .iter()
        .map(|row| &row[place].1)
        .filter(|value| **value != Value::Null)
        .collect();
    if values.is_empty() {
        return Predicate::IsNull(column, dice.below(2) == 0);
    }
    let any = |dice: &mut Dice| values[dice.below(values.len())].clone();
    let is_flag = matches!(values[0], Value::Flag(_));
    match dice.below(6) {
        0 => Predicate::IsNull(column, dice.below(2) == 0),
        1 if !is_flag => Predicate::Between(column, any(dice), any(dice)),
        2 | 3 if !is_flag => {
            let count = 1 + dice.below(4);
            let values = (0..count).map(|_| any(dice)).collect();
            Predicate::In(column, dice.below(2) == 0, values)
        }
        _ => {
            let operators = ["=", "!=", "<>", "<", "<=", ">", ">="];
            let operator = operators[dice.below(if is_flag { 3 } else { 7 })];
            Predicate::Compare(column, operator, any(dice))
        }
    }
}

/// Returns the policy of a plan. If it must be refused, checks that it is, and allows it to reveal what it hides.
pub(crate) fn accepted(plan: &Plan, (bytes, first): &Delivery) -> TestPolicy {
    let mut wanted = plan.wanted(first);
    if refusal::is_refused(&RULES, &wanted) {
        let asked = Tenant::new(wanted.clone()).deliver(bytes);
        assert!(asked.is_err(), "the policy selects by what it hides");
        wanted.policy.may_reveal = true;
    }
    wanted
}
