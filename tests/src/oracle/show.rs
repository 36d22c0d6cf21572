//! Which rows a policy shows, and which values are masked in them.

use std::collections::BTreeMap;

use cprflow::policy::{NumberRule, ProtectionRule};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::choose::{Choice, Facts, key, text, value};
use super::columns::{
    CONDITIONS_WITHOUT_PLACE, FORMER_CIVIL_STATUS, NUMBER_TABLES, PLACES, WITH_PRESENT_SPOUSE,
    class, relative,
};
use super::events::{self, EVENTS, MARKS};
use super::order;
use super::protect::is_readable;
use super::redact::redacted;
use super::shifted::is_visibly_shifted;
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
        let mut shown: Vec<Row> = match by_table.get(table.as_str()) {
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
        order::order(rules, wanted, table, &mut shown);
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
        if self.is_hidden_row(row) {
            return None;
        }
        let is_protected = number.is_some_and(|number| self.facts.is_protected(number));
        if let Some(predicate) = self.wanted.rows.get(table) {
            let reveals =
                policy.may_reveal && !self.has_bug(InjectedBug::RowFilterMissesRevealedValues);
            let mut judged = self.without_time(row, is_protected, reveals);
            for (column, value) in &mut judged {
                let is_masked = self.is_masked(row, column, is_protected, reveals);
                let has_number =
                    matches!(&*value, Value::Text(text) if self.hides_number(column, text));
                if (is_masked || has_number)
                    && !self.has_bug(InjectedBug::RowFilterSeesMaskedValues)
                {
                    *value = Value::Null;
                }
            }
            if !predicate.holds(&judged) {
                return None;
            }
        }
        let coarse = self.without_time(row, is_protected, false);
        let mut shown = Row::new();
        for column in self.columns {
            let seen = match column.as_str() {
                "protected" => Value::Flag(is_protected),
                "irregular" => self.irregular(&coarse, row, is_protected),
                column if self.is_masked(row, column, is_protected, false) => Value::Null,
                column => self.pseudonym(column, value(&coarse, column)),
            };
            shown.push((column.clone(), seen));
        }
        Some(shown)
    }

    fn is_chosen(&self, number: &str) -> bool {
        self.choice.chosen.contains(number) || self.choice.repeated.contains(number)
    }

    fn allows(&self, class: &str) -> bool {
        self.wanted.policy.classes.contains(class)
    }

    /// Returns whether the row is left out because its type tells a class that is hidden.
    fn is_hidden_row(&self, row: &Row) -> bool {
        let table = self.rule.table.as_str();
        if self.is_event() && self.has_bug(InjectedBug::HiddenEventLeftOut) {
            return !self.shows_event(row);
        }
        if !matches!(table, "protection" | "protection_history") || self.allows("economic") {
            return false;
        }
        let code = text(row, "protection_type");
        code == Some("0005") && !self.has_bug(InjectedBug::CreditWarningShown)
            || !is_readable(code) && !self.has_bug(InjectedBug::UnreadableTypeShown)
    }

    fn is_event(&self) -> bool {
        matches!(self.rule.table.as_str(), "event" | "subscription_receipt")
    }

    /// Returns whether the classes show what kind of event the row is.
    fn shows_event(&self, row: &Row) -> bool {
        let classes = &self.wanted.policy.classes;
        let code = text(row, "event_code");
        let is_known = code.is_none_or(|code| {
            let known = EVENTS.get(code);
            known.is_some_and(|known| known.classes.is_some())
        });
        let shows_code = match self.wanted.bug {
            Some(InjectedBug::OtherEventsShown) if !matches!(code, Some("A34" | "P56")) => true,
            Some(InjectedBug::UnknownEventShown) if !is_known => true,
            _ => events::is_event_shown(code, classes),
        };
        let mark = text(row, "derived_mark");
        shows_code
            && (events::is_shown(&MARKS, mark, classes) || self.has_bug(InjectedBug::MarkShown))
    }

    /// Returns whether an event of the row must not be told, by the classes or because it places a protected person.
    fn hides_event(&self, row: &Row, is_protected: bool, reveals: bool) -> bool {
        if !self.is_event() {
            return false;
        }
        let code = text(row, "event_code");
        let of_place = code
            .and_then(|code| EVENTS.get(code))
            .is_some_and(|event| event.is_of_place);
        let is_masked = is_protected && self.wanted.policy.protection == ProtectionRule::Mask;
        !reveals && !self.shows_event(row)
            || of_place && is_masked && !self.has_bug(InjectedBug::PlaceEventShown)
    }

    /// Returns the row without the time of day of an event that must not be told.
    fn without_time(&self, row: &Row, is_protected: bool, reveals: bool) -> Row {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000;
        const WHEN: &str = "registered";
        let mut row = row.clone();
        if !self.hides_event(&row, is_protected, reveals)
            || self.has_bug(InjectedBug::EventTimeShown)
        {
            return row;
        }
        let mut has_day = false;
        for (column, value) in &mut row {
            match value {
                Value::Micros(micros) if column == WHEN => {
                    *micros = micros.div_euclid(DAY) * DAY;
                    has_day = true;
                }
                _ => {}
            }
        }
        let entries = row.iter_mut().find_map(|(column, value)| match value {
            Value::Map(entries) if column == "irregular" => Some(entries),
            _ => None,
        });
        if let Some(entries) = entries {
            for (column, raw) in entries.iter_mut().filter(|(column, _)| column == WHEN) {
                let date: String = format!("{raw:12}").chars().take(8).collect();
                let is_date = date.chars().all(|c| c.is_ascii_digit());
                *raw = match is_date {
                    true => format!("{date}0000"),
                    false => date.trim_end_matches(' ').to_owned(),
                };
                // The rest is a date without a time, or blank.
                if has_day || raw.is_empty() {
                    column.clear();
                }
            }
            entries.retain(|(column, _)| !column.is_empty());
        }
        row
    }

    fn has_bug(&self, bug: InjectedBug) -> bool {
        self.wanted.bug == Some(bug)
    }

    /// Returns whether the value of the column is masked in this row. With `reveals`, only what protections hide counts.
    fn is_masked(&self, row: &Row, column: &str, is_protected: bool, reveals: bool) -> bool {
        let table = self.rule.table.as_str();
        let protection = self.wanted.policy.protection;
        let is_own_number = column == self.rule.fields[0].column && key(row).is_some();
        if !is_own_number && self.is_shifted(row, is_protected, reveals) {
            return true;
        }
        if matches!(column, "event_code" | "derived_mark")
            && self.hides_event(row, is_protected, reveals)
        {
            return true;
        }
        if !reveals && self.is_of_former_spouse(row, column) {
            return true;
        }
        let leaves = key(row).is_some_and(|number| self.choice.left.contains_key(number));
        if protection == ProtectionRule::Include
            || leaves && self.has_bug(InjectedBug::LeaverUnmasked)
        {
            return false;
        }
        let is_shown =
            |class| class == Some("free-text") && self.has_bug(InjectedBug::FreeTextShown);
        let class = class(table, column);
        let is_kept_back = matches!(class, Some("name" | "address" | "free-text"))
            && !is_shown(class)
            || self.is_place(row, column);
        let of_person = is_protected && is_kept_back;
        // Where protected persons are dropped, nothing is told of a protected relative.
        let is_told = matches!(class, Some("name" | "address"))
            || protection == ProtectionRule::Drop
                && !self.has_bug(InjectedBug::RelativeNumberShown);
        let of_relative = relative(table, column)
            .is_some_and(|number| is_told && self.is_hidden_relative(row, number));
        of_person && protection == ProtectionRule::Mask || of_relative
    }

    /// Returns whether values of the row stand in wrong columns. Nothing of such a row is told, unless the policy hides
    /// nothing. What the type of the row hides is not judged: the time of a hidden event, and a former spouse.
    fn is_shifted(&self, row: &Row, is_protected: bool, reveals: bool) -> bool {
        let is_hidden_event = self.hides_event(row, is_protected, reveals);
        let visible = |column: &str, raw: String| match column {
            "registered" if is_hidden_event => Some(raw.chars().take(8).collect()),
            _ if !reveals && self.is_of_former_spouse(row, column) => None,
            _ => Some(raw),
        };
        !hides_nothing(&self.wanted.policy)
            && !self.has_bug(InjectedBug::ShiftedRowShown)
            && is_visibly_shifted(&self.rule.table, row, visible)
    }

    /// Returns whether the column is about a spouse who is a former or dead one, without the class for it.
    fn is_of_former_spouse(&self, row: &Row, column: &str) -> bool {
        let table = self.rule.table.as_str();
        let is_present =
            text(row, "civil_status").is_some_and(|status| WITH_PRESENT_SPOUSE.contains(&status));
        table == "civil_status"
            && relative(table, column).is_some()
            && !is_present
            && !self.allows(FORMER_CIVIL_STATUS)
            && !self.has_bug(InjectedBug::FormerSpouseShown)
    }

    /// Returns whether the column shows where the person of the row is or was, although it is no address.
    fn is_place(&self, row: &Row, column: &str) -> bool {
        let table = self.rule.table.as_str();
        let kind = text(row, "condition_type");
        let is_condition = (table, column) == ("municipal_condition", "condition_code")
            && !kind.is_some_and(|kind| CONDITIONS_WITHOUT_PLACE.contains(&kind));
        PLACES.contains(&(table, column)) && !self.has_bug(InjectedBug::PlaceShown)
            || is_condition && !self.has_bug(InjectedBug::ConditionShown)
    }

    /// Returns whether the relative whose number is in this column must be hidden.
    fn is_hidden_relative(&self, row: &Row, number: &str) -> bool {
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
    ///
    /// `coarse` is the row without times that must not be told.
    fn irregular(&self, coarse: &Row, row: &Row, is_protected: bool) -> Value {
        let Value::Map(entries) = value(coarse, "irregular") else {
            return Value::Null;
        };
        let policy = &self.wanted.policy;
        let field = |column: &str| self.rule.fields.iter().find(|f| f.column == column);
        let is_seen = |column: &str| match field(column) {
            Some(field) => {
                let is_plain = field.kind != "pnr" || policy.numbers == NumberRule::Keep;
                let is_there = self.columns.contains(&field.column);
                let is_masked = self.is_masked(row, column, is_protected, false);
                is_there && is_plain && (!is_masked || self.has_bug(InjectedBug::IrregularUnmasked))
            }
            // The tail can contain any kind of data.
            None => hides_nothing(policy) || self.has_bug(InjectedBug::TailUnmasked),
        };
        let seen: Vec<_> = entries
            .iter()
            .filter(|(column, _)| is_seen(column))
            .map(|(column, raw)| {
                let hides = policy.numbers != NumberRule::Keep
                    && !self.has_bug(InjectedBug::NumberInIrregularShown);
                let clean = redacted(raw).filter(|_| hides);
                (column.clone(), clean.unwrap_or_else(|| raw.clone()))
            })
            .collect();
        match seen.is_empty() {
            true => Value::Null,
            false => Value::Map(seen),
        }
    }

    /// Returns whether the text of a column has a person number, which the policy does not keep.
    fn hides_number(&self, column: &str, text: &str) -> bool {
        let table = self.rule.table.as_str();
        let mut fields = self.rule.fields.iter();
        let can_hold = fields.any(|field| {
            // Texts of tables that tie numbers stay as they are.
            let can_be = match field.kind.as_str() {
                "text" | "code" => field.length >= 10 && !NUMBER_TABLES.contains(&table),
                "uuid" => !is_uuid(text),
                _ => false,
            };
            field.column == column && can_be
        });
        can_hold
            && self.wanted.policy.numbers != NumberRule::Keep
            && !self.has_bug(InjectedBug::NumberInTextShown)
            && redacted(text).is_some()
    }

    fn pseudonym(&self, column: &str, value: &Value) -> Value {
        let is_number = self
            .rule
            .fields
            .iter()
            .any(|field| field.column == column && field.kind == "pnr");
        match value {
            Value::Text(text) if self.hides_number(column, text) => {
                Value::Text(redacted(text).unwrap_or_default())
            }
            Value::Text(number) if is_number => Value::Text(number_of(self.wanted, number)),
            value => value.clone(),
        }
    }
}

/// Returns whether a text has the form of a UUID.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let is_hex = |group: &&str| group.chars().all(|c| c.is_ascii_hexdigit());
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(is_hex)
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
