//! Which rows a policy shows, and which values are masked in them.

use std::collections::BTreeMap;

use cprflow::policy::{LeaverRule, NumberRule, ProtectionRule};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::choose::{Choice, Facts, is_irregular, key, text, value};
use super::columns::{class, relative};
use super::view::{View, hides_nothing};
use super::{InjectedBug, TestPolicy};
use crate::reference_reader::{Row, Rules, TableRule, Tables, Value};

/// Returns the rows of every table as the tenant must get them.
pub fn show(
    rules: &Rules,
    rows: &Tables,
    wanted: &TestPolicy,
    facts: &Facts,
    choice: &Choice,
    view: &View,
) -> Tables {
    let by_table: BTreeMap<&str, &TableRule> = rules
        .values()
        .map(|rule| (rule.table.as_str(), rule))
        .collect();
    let mut tables = Tables::new();
    for (table, columns) in view {
        let rows = rows.get(table).map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<Row> = match by_table.get(table.as_str()) {
            Some(rule) => {
                let rules = TableRules {
                    rule,
                    columns,
                    wanted,
                    facts,
                    choice,
                };
                rows.iter().filter_map(|row| rules.row(row)).collect()
            }
            None if table == "out_of_scope" => leavers(wanted, facts, choice),
            // Raw lines are shown only if the policy hides nothing.
            None => rows.to_vec(),
        };
        if !shown.is_empty() {
            tables.insert(table.clone(), shown);
        }
    }
    tables
}

/// The rules by which a tenant sees one table.
struct TableRules<'a> {
    rule: &'a TableRule,
    columns: &'a [String],
    wanted: &'a TestPolicy,
    facts: &'a Facts,
    choice: &'a Choice,
}

impl TableRules<'_> {
    /// Returns the row as the tenant sees it, or `None` if it is hidden.
    fn row(&self, row: &Row) -> Option<Row> {
        let policy = &self.wanted.policy;
        let table = self.rule.table.as_str();
        let is_keyed = self.rule.fields[0].kind == "pnr";
        let number = key(row);
        if is_keyed && !self.is_chosen(number?) {
            return None;
        }
        let is_church = matches!(text(row, "event_code"), Some("A34" | "P56"));
        let shows_church =
            policy.classes.contains("religion") || self.has_bug(InjectedBug::ChurchEventShown);
        if matches!(table, "event" | "subscription_receipt") && is_church && !shows_church {
            return None;
        }
        let is_protected = number.is_some_and(|number| self.facts.is_protected(number));
        let is_masked = |column: &str| self.is_masked(row, column, is_protected);
        if let Some(predicate) = self.wanted.rows.get(table) {
            let mut judged = row.clone();
            for (column, value) in &mut judged {
                if is_masked(column) && !self.has_bug(InjectedBug::RowFilterSeesMaskedValues) {
                    *value = Value::Null;
                }
            }
            if !predicate.holds(&judged) {
                return None;
            }
        }
        let mut shown = Row::new();
        for column in self.columns {
            let seen = match column.as_str() {
                "protected" => Value::Flag(is_protected),
                "irregular" => self.irregular(row, is_protected),
                column if is_masked(column) => Value::Null,
                column => self.pseudonym(column, value(row, column)),
            };
            shown.push((column.clone(), seen));
        }
        Some(shown)
    }

    fn is_chosen(&self, number: &str) -> bool {
        let policy = &self.wanted.policy;
        let comes_once_more =
            policy.leavers == LeaverRule::Last && self.choice.left.contains_key(number);
        let is_dropped =
            policy.protection == ProtectionRule::Drop && self.facts.is_protected(number);
        (self.choice.chosen.contains(number) || comes_once_more) && !is_dropped
    }

    fn has_bug(&self, bug: InjectedBug) -> bool {
        self.wanted.bug == Some(bug)
    }

    /// Returns whether the value of the column is masked in this row.
    fn is_masked(&self, row: &Row, column: &str, is_protected: bool) -> bool {
        let table = self.rule.table.as_str();
        let protection = self.wanted.policy.protection;
        let leaves = key(row).is_some_and(|number| self.choice.left.contains_key(number));
        if protection == ProtectionRule::Include
            || leaves && self.has_bug(InjectedBug::LeaverUnmasked)
        {
            return false;
        }
        let is_shown =
            |class| class == Some("free-text") && self.has_bug(InjectedBug::FreeTextShown);
        let class = class(table, column);
        let is_kept_back = matches!(class, Some("name" | "address" | "free-text"));
        let of_person = is_protected && is_kept_back && !is_shown(class);
        let of_relative =
            relative(table, column).is_some_and(|number| self.is_hidden_relative(row, number));
        of_person && protection == ProtectionRule::Mask || of_relative
    }

    /// Returns whether the relative whose number is in this column must be hidden.
    fn is_hidden_relative(&self, row: &Row, number: &str) -> bool {
        const SINCE: &str = "protection_start_date";
        let has_date = *value(row, SINCE) != Value::Null || is_irregular(row, SINCE);
        if has_date && !self.has_bug(InjectedBug::RelativeProtectionDateIgnored) {
            return true;
        }
        let Some(number) = text(row, number) else {
            return !self.has_bug(InjectedBug::UnknownRelativeShown);
        };
        let is_known = self.facts.delivered.contains(number);
        match is_known {
            true => {
                self.facts.is_protected(number)
                    && !self.has_bug(InjectedBug::ProtectedRelativeShown)
            }
            false => !self.has_bug(InjectedBug::UnknownRelativeShown),
        }
    }

    /// Returns the irregular values, limited to columns that the tenant sees.
    fn irregular(&self, row: &Row, is_protected: bool) -> Value {
        let Value::Map(entries) = value(row, "irregular") else {
            return Value::Null;
        };
        let policy = &self.wanted.policy;
        let field = |column: &str| self.rule.fields.iter().find(|f| f.column == column);
        let is_seen = |column: &str| match field(column) {
            Some(field) => {
                let is_plain = field.kind != "pnr" || policy.numbers == NumberRule::Keep;
                let is_there = self.columns.contains(&field.column);
                let is_masked = self.is_masked(row, column, is_protected);
                is_there && is_plain && (!is_masked || self.has_bug(InjectedBug::IrregularUnmasked))
            }
            // The tail can contain any kind of data.
            None => hides_nothing(policy) || self.has_bug(InjectedBug::TailUnmasked),
        };
        let seen: Vec<_> = entries
            .iter()
            .filter(|(column, _)| is_seen(column))
            .cloned()
            .collect();
        match seen.is_empty() {
            true => Value::Null,
            false => Value::Map(seen),
        }
    }

    fn pseudonym(&self, column: &str, value: &Value) -> Value {
        let is_number = self
            .rule
            .fields
            .iter()
            .any(|field| field.column == column && field.kind == "pnr");
        match value {
            Value::Text(number) if is_number => Value::Text(number_of(self.wanted, number)),
            value => value.clone(),
        }
    }
}

/// Returns the table of leavers, sorted by person number.
fn leavers(wanted: &TestPolicy, facts: &Facts, choice: &Choice) -> Vec<Row> {
    let row = |(number, reason): (&String, &&str)| {
        let pnr = match wanted.policy.numbers {
            NumberRule::Drop => None,
            NumberRule::Keep | NumberRule::Pseudonym => Some(("pnr", number_of(wanted, number))),
        };
        let pnr = pnr.map(|(column, number)| (column.to_owned(), Value::Text(number)));
        let date = facts.produced.map_or(Value::Null, Value::Days);
        let reason = Value::Text((*reason).to_owned());
        let rest = [("reason".to_owned(), reason), ("date".to_owned(), date)];
        pnr.into_iter().chain(rest).collect()
    };
    choice.left.iter().map(row).collect()
}

/// Returns the person number as the tenant sees it: unchanged, or as a pseudonym.
pub fn number_of(wanted: &TestPolicy, number: &str) -> String {
    if wanted.policy.numbers != NumberRule::Pseudonym {
        return number.to_owned();
    }
    let mut hash = Hmac::<Sha256>::new_from_slice(&wanted.key).expect("any length is a key");
    hash.update(number.as_bytes());
    let digest = hash.finalize().into_bytes();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
