//! Which rows a policy lets through, and what is masked in them.

use std::collections::BTreeMap;

use cprflow::policy::{Leavers, Numbers, Protection};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::choose::{Choice, Facts, is_irregular, key, text, value};
use super::columns::{class, relative};
use super::view::{View, hides_nothing};
use super::{Slip, Wanted};
use crate::cut::{Row, Rules, TableRule, Tables, Value};

/// The rows of every table, as the tenant must get them.
pub fn show(
    rules: &Rules,
    rows: &Tables,
    wanted: &Wanted,
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
                let sight = Sight {
                    rule,
                    columns,
                    wanted,
                    facts,
                    choice,
                };
                rows.iter().filter_map(|row| sight.row(row)).collect()
            }
            None if table == "out_of_scope" => leavers(wanted, facts, choice),
            // Lines as they stand, where nothing is hidden.
            None => rows.to_vec(),
        };
        if !shown.is_empty() {
            tables.insert(table.clone(), shown);
        }
    }
    tables
}

/// How a tenant sees a table.
struct Sight<'a> {
    rule: &'a TableRule,
    columns: &'a [String],
    wanted: &'a Wanted,
    facts: &'a Facts,
    choice: &'a Choice,
}

impl Sight<'_> {
    /// The row as it is seen; none if it is not.
    fn row(&self, row: &Row) -> Option<Row> {
        let policy = &self.wanted.policy;
        let table = self.rule.table.as_str();
        let is_keyed = self.rule.fields[0].kind == "pnr";
        let number = key(row);
        if is_keyed && !self.is_chosen(number?) {
            return None;
        }
        let is_church = matches!(text(row, "event_code"), Some("A34" | "P56"));
        let tells_church =
            policy.classes.contains("religion") || self.slips(Slip::ChurchEventsShow);
        if matches!(table, "event" | "subscription_receipt") && is_church && !tells_church {
            return None;
        }
        let is_protected = number.is_some_and(|number| self.facts.is_protected(number));
        let is_masked = |column: &str| self.is_masked(row, column, is_protected);
        if let Some(predicate) = self.wanted.rows.get(table) {
            let mut judged = row.clone();
            for (column, value) in &mut judged {
                if is_masked(column) && !self.slips(Slip::RowsTellWhatIsMasked) {
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
            policy.leavers == Leavers::Last && self.choice.left.contains_key(number);
        let is_dropped = policy.protection == Protection::Drop && self.facts.is_protected(number);
        (self.choice.chosen.contains(number) || comes_once_more) && !is_dropped
    }

    fn slips(&self, slip: Slip) -> bool {
        self.wanted.slip == Some(slip)
    }

    /// Whether what the column tells must be kept back in that row.
    fn is_masked(&self, row: &Row, column: &str, is_protected: bool) -> bool {
        let table = self.rule.table.as_str();
        let protection = self.wanted.policy.protection;
        let leaves = key(row).is_some_and(|number| self.choice.left.contains_key(number));
        if protection == Protection::Include || leaves && self.slips(Slip::LeaversAreNotMasked) {
            return false;
        }
        let is_shown = |class| class == Some("free-text") && self.slips(Slip::FreeTextShows);
        let class = class(table, column);
        let is_kept_back = matches!(class, Some("name" | "address" | "free-text"));
        let of_person = is_protected && is_kept_back && !is_shown(class);
        let of_relative = relative(table, column).is_some_and(|number| self.is_shy(row, number));
        of_person && protection == Protection::Mask || of_relative
    }

    /// Whether the relative with the number in that column must not be told of.
    fn is_shy(&self, row: &Row, number: &str) -> bool {
        const SINCE: &str = "protection_start_date";
        let is_told = *value(row, SINCE) != Value::Null || is_irregular(row, SINCE);
        if is_told && !self.slips(Slip::RelativesDateIsIgnored) {
            return true;
        }
        let Some(number) = text(row, number) else {
            return !self.slips(Slip::UnknownRelativesShow);
        };
        let is_known = self.facts.delivered.contains(number);
        match is_known {
            true => self.facts.is_protected(number) && !self.slips(Slip::RelativesShow),
            false => !self.slips(Slip::UnknownRelativesShow),
        }
    }

    /// What did not fit the columns, as far as these are seen.
    fn irregular(&self, row: &Row, is_protected: bool) -> Value {
        let Value::Map(entries) = value(row, "irregular") else {
            return Value::Null;
        };
        let policy = &self.wanted.policy;
        let field = |column: &str| self.rule.fields.iter().find(|f| f.column == column);
        let is_seen = |column: &str| match field(column) {
            Some(field) => {
                let is_plain = field.kind != "pnr" || policy.numbers == Numbers::Keep;
                let is_there = self.columns.contains(&field.column);
                let is_masked = self.is_masked(row, column, is_protected);
                is_there && is_plain && (!is_masked || self.slips(Slip::IrregularTells))
            }
            // The tail may hold anything.
            None => hides_nothing(policy) || self.slips(Slip::TailTells),
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

/// The table of those who are no longer in scope, by number.
fn leavers(wanted: &Wanted, facts: &Facts, choice: &Choice) -> Vec<Row> {
    let row = |(number, reason): (&String, &&str)| {
        let pnr = match wanted.policy.numbers {
            Numbers::Drop => None,
            Numbers::Keep | Numbers::Pseudonym => Some(("pnr", number_of(wanted, number))),
        };
        let pnr = pnr.map(|(column, number)| (column.to_owned(), Value::Text(number)));
        let date = facts.produced.map_or(Value::Null, Value::Days);
        let reason = Value::Text((*reason).to_owned());
        let rest = [("reason".to_owned(), reason), ("date".to_owned(), date)];
        pnr.into_iter().chain(rest).collect()
    };
    choice.left.iter().map(row).collect()
}

/// The number as the tenant sees it.
pub fn number_of(wanted: &Wanted, number: &str) -> String {
    if wanted.policy.numbers != Numbers::Pseudonym {
        return number.to_owned();
    }
    let mut hash = Hmac::<Sha256>::new_from_slice(&wanted.key).expect("any length is a key");
    hash.update(number.as_bytes());
    let digest = hash.finalize().into_bytes();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
