//! Explains the policy of a tenant in sentences.

use std::collections::{BTreeMap, BTreeSet};

use cprflow::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow::{Catalog, Column, OUT_OF_SCOPE, PROTECTED, PolicyView, Table};
use cprflow_delivery::{Group, Tenant};
use indicatif::{HumanBytes, HumanCount, HumanDuration};

/// The tables that connect person numbers to each other or to other identifiers, each with the word of `classes` that
/// shows it. See [`PolicyText::needs_word`].
const NUMBER_TABLES: [(&str, &str); 3] = [
    ("former_pnr", "former-pnr"),
    ("person_id", "person-id"),
    (INPUT_ERROR, "input-error"),
];

/// The table of input errors, whose records do not belong to a person.
const INPUT_ERROR: &str = "input_error";

/// The table of events.
const EVENT: &str = "event";

/// The lengths of an event code and of a derived mark, in characters.
const EVENT_CODE_LENGTH: usize = 3;
const MARK_LENGTH: usize = 2;

/// A person with a status from this one on is dead or gone, and can have a last known address.
const FIRST_INACTIVE_STATUS: &str = "30";

/// The text about the policy of one tenant.
pub(super) struct PolicyText<'a> {
    pub(super) tenant: &'a Tenant,
    /// The group that can read the dataset.
    pub(super) group: Option<&'a Group>,
    pub(super) policy: &'a Policy,
    /// What the component shows under the policy.
    pub(super) view: &'a PolicyView,
    pub(super) catalog: &'a Catalog,
}

impl PolicyText<'_> {
    /// Returns the sections, each with its label and its lines.
    pub(super) fn sections(&self) -> Vec<(&'static str, Vec<String>)> {
        let tenant = self.tenant;
        let agreements: Vec<_> = tenant.agreements.iter().map(|one| one.as_str()).collect();
        vec![
            ("purpose", vec![tenant.purpose.clone()]),
            ("legal basis", vec![self.legal_basis().to_owned()]),
            ("agreements", vec![agreements.join(", ")]),
            ("dataset", vec![tenant.dataset.display().to_string()]),
            ("readers", vec![self.readers()]),
            ("persons", vec![self.persons()]),
            ("may reveal", vec![self.may_reveal().to_owned()]),
            ("protected", vec![self.protection().to_owned()]),
            ("numbers", vec![self.numbers().to_owned()]),
            ("church", vec![self.church()]),
            ("events", self.events()),
            ("leavers", vec![self.leavers()]),
            ("classes", vec![self.classes()]),
            ("sees", self.visible()),
            ("rows", self.rows()),
            ("hides", self.hidden()),
            ("limits", vec![self.limits()]),
        ]
    }

    fn legal_basis(&self) -> &str {
        let basis = self.tenant.legal_basis.as_deref();
        basis.unwrap_or("not stated; add `legal_basis` to record it in every _delivery.json")
    }

    fn readers(&self) -> String {
        match self.group {
            Some(group) => format!(
                "the owner of the dataset and the members of group {}",
                group.name()
            ),
            None => "the owner of the dataset".to_owned(),
        }
    }

    fn persons(&self) -> String {
        let persons = &self.policy.persons;
        let mut conditions = Vec::new();
        if let Some(codes) = &persons.municipality_codes {
            let statuses = persons.status_codes.iter().flatten();
            let mut inactive = statuses.filter(|status| status.as_str() >= FIRST_INACTIVE_STATUS);
            let condition = match inactive.next() {
                Some(_) => "whose current or last known address is",
                None => "who live",
            };
            conditions.push(format!("{condition} in municipality {}", or(codes)));
            if persons.status_codes.is_none() {
                conditions.push(
                    "who are residents (status 01, 03, 05 or 07; `statuses` chooses others)"
                        .to_owned(),
                );
            }
        }
        if let Some(codes) = &persons.status_codes {
            conditions.push(format!("whose status is {}", or(codes)));
        }
        if let Some((youngest, oldest)) = persons.ages {
            conditions.push(format!(
                "who are {youngest} to {oldest} years old ({})",
                self.day()
            ));
        }
        if let Some(codes) = &persons.event_codes {
            conditions.push(format!(
                "who have event {} in the delivery{}",
                or(codes),
                match self.policy.may_reveal {
                    true => "",
                    false => ", with a mark that the tenant sees",
                }
            ));
        }
        if let Some(numbers) = &persons.numbers {
            conditions.push(format!(
                "whose number is one of the {} in the list",
                HumanCount(numbers.len() as u64)
            ));
        }
        match conditions.is_empty() {
            true => "all persons in the deliveries".to_owned(),
            false => format!("persons {}", conditions.join(", and ")),
        }
    }

    fn day(&self) -> String {
        match &self.policy.day {
            Some(day) => format!("on {day}"),
            None => "in deliveries on the production date, in the current tables on their day"
                .to_owned(),
        }
    }

    const fn may_reveal(&self) -> &'static str {
        match self.policy.may_reveal {
            true => {
                "yes: persons and rows may be chosen by what the tenant does not see; the tenant then knows that each of \
                 them fulfils the conditions"
            }
            false => {
                "no: a condition on what the tenant does not see is refused, unless `may_reveal = true`"
            }
        }
    }

    /// Returns the event codes whose code, mark and time of day are hidden.
    fn events(&self) -> Vec<String> {
        if self.view.table(EVENT).is_none() {
            return vec!["the table event is hidden".to_owned()];
        }
        let hides = |class: &String| !self.policy.classes.contains(class);
        let all = self.catalog.event_classes().iter();
        let of_length = |length: usize| {
            let hidden = all.clone().filter(move |event| {
                event.code.chars().count() == length && event.classes.iter().any(hides)
            });
            hidden
                .map(|event| event.code.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let (codes, marks) = (of_length(EVENT_CODE_LENGTH), of_length(MARK_LENGTH));
        let mut lines = Vec::new();
        if !codes.is_empty() {
            lines.push(format!(
                "the row and the day of every event are shown; code, mark and time of day are null for {codes}, and for \
                 codes of unknown meaning"
            ));
        }
        if !marks.is_empty() {
            lines.push(format!(
                "the same for events with the mark {marks}, or with a mark of unknown meaning"
            ));
        }
        match lines.is_empty() {
            true => vec!["every code and mark is shown".to_owned()],
            false => lines,
        }
    }

    const fn protection(&self) -> &'static str {
        match self.policy.protection {
            ProtectionRule::Include => {
                "persons with name and address protection are shown, and the column \"protected\" marks them"
            }
            ProtectionRule::Mask => {
                "names, addresses and free text of persons with name and address protection are null; so are those of \
                 a relative who is protected or not in the delivery"
            }
            ProtectionRule::Drop => {
                "persons with name and address protection are left out; name, address, number, birth date and dates of a \
                 relative are null if the relative is protected or not in the delivery"
            }
        }
    }

    const fn numbers(&self) -> &'static str {
        match self.policy.numbers {
            NumberRule::Keep => "person numbers are shown",
            NumberRule::Pseudonym => {
                "each person number is replaced by a pseudonym, made with the tenant's key; it is the same in every \
                 table and delivery, and rows are sorted by it"
            }
            NumberRule::Drop => {
                "columns with person numbers are left out, and rows are sorted by their values"
            }
        }
    }

    fn church(&self) -> String {
        match &self.tenant.church_purpose {
            Some(purpose) => format!("church membership is shown, for this purpose: {purpose}"),
            None => {
                "church membership is hidden: the tables church and church_history, and its events"
                    .to_owned()
            }
        }
    }

    fn leavers(&self) -> String {
        let rows = match self.policy.leavers {
            LeaverRule::Notice => "",
            LeaverRule::Last => {
                "; the rows of those who died, disappeared or lost their number are published once more, unless the \
                 delivery has an address of them outside the scope"
            }
        };
        format!("persons who leave the scope are listed in the table {OUT_OF_SCOPE}{rows}")
    }

    fn classes(&self) -> String {
        let classes: Vec<&str> = self.policy.classes.iter().map(String::as_str).collect();
        match classes.is_empty() {
            true => "none; only columns without a class are shown".to_owned(),
            false => classes.join(", "),
        }
    }

    /// Returns the visible tables: one line for those with all columns, and one line for each of the others.
    fn visible(&self) -> Vec<String> {
        let mut complete = Vec::new();
        let mut partial = Vec::new();
        for table in self.view.tables() {
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .filter(|name| *name != PROTECTED)
                .collect();
            match self.catalog.table(&table.name) {
                Some(all) if all.columns.len() > columns.len() => {
                    partial.push(format!("{}: {}", table.name, columns.join(", ")));
                }
                _ => complete.push(table.name.as_str()),
            }
        }
        let mut lines = Vec::new();
        if !complete.is_empty() {
            lines.push(format!("all columns of {}", complete.join(", ")));
        }
        lines.extend(partial);
        lines
    }

    fn rows(&self) -> Vec<String> {
        let rows = self.policy.rows.iter();
        let lines: Vec<_> = rows
            .map(|(table, condition)| format!("{table}: only rows where {condition}"))
            .collect();
        match lines.is_empty() {
            true => vec!["all rows of these persons in every visible table".to_owned()],
            false => lines,
        }
    }

    /// Returns the hidden tables and columns, one line for each reason.
    fn hidden(&self) -> Vec<String> {
        let mut hidden: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in self.catalog.tables() {
            let Some(visible) = self.view.table(&table.name) else {
                let reason = self.why_table_is_hidden(table);
                let name = format!("table {}", table.name);
                hidden.entry(reason).or_default().push(name);
                continue;
            };
            for column in &table.columns {
                if !visible.columns.iter().any(|one| one.name == column.name) {
                    let reason = self.why_column_is_hidden(column);
                    let name = format!("{}.{}", table.name, column.name);
                    hidden.entry(reason).or_default().push(name);
                }
            }
        }
        match hidden.is_empty() {
            true => vec!["nothing".to_owned()],
            false => hidden
                .into_iter()
                .map(|(reason, names)| format!("{reason}: {}", names.join(", ")))
                .collect(),
        }
    }

    fn why_column_is_hidden(&self, column: &Column) -> String {
        let field = column.field.as_ref();
        let is_number = field.is_some_and(|field| field.kind == "pnr");
        match self.missing_class(column) {
            Some(class) => format!("class {class}"),
            None if is_number && self.policy.numbers == NumberRule::Drop => {
                "person numbers".to_owned()
            }
            None => "not in `columns`".to_owned(),
        }
    }

    fn why_table_is_hidden(&self, table: &Table) -> String {
        let is_listed = |tables: &BTreeSet<String>| tables.contains(&table.name);
        if !self.policy.tables.as_ref().is_none_or(is_listed) {
            return "not in `tables`".to_owned();
        }
        let Some(record_type) = table.record_type.as_deref() else {
            return "unparsed lines, of any person".to_owned();
        };
        let mut tables = NUMBER_TABLES.iter();
        let word = tables.find_map(|(name, word)| (*name == table.name).then_some(*word));
        if let Some(word) = word
            && self.needs_word(table)
            && !self.policy.classes.contains(word)
        {
            return format!("class {word}");
        }
        let mut columns = table.columns.iter();
        if let Some(class) = columns.find_map(|column| self.missing_class(column)) {
            return format!("class {class}");
        }
        match record_type {
            "000" | "999" => "not about a person".to_owned(),
            _ => "no column of it would be left".to_owned(),
        }
    }

    /// Returns whether a table of [`NUMBER_TABLES`] is shown only if its word is in `classes`.
    ///
    /// That is so if the policy does not keep numbers. The records of `input_error` belong to no person, so it also
    /// needs its word if the policy leaves out persons.
    fn needs_word(&self, table: &Table) -> bool {
        let leaves_out_persons = self.policy.persons != PersonFilter::default()
            || self.policy.protection == ProtectionRule::Drop;
        self.policy.numbers != NumberRule::Keep || (table.name == INPUT_ERROR && leaves_out_persons)
    }

    /// Returns the class of the column, if the policy does not allow it.
    fn missing_class<'t>(&self, column: &'t Column) -> Option<&'t str> {
        let class = column.field.as_ref()?.sensitivity.as_deref()?;
        (!self.policy.classes.contains(class)).then_some(class)
    }

    fn limits(&self) -> String {
        let limits = &self.tenant.limits;
        format!(
            "memory {}; per delivery {}, {} of output and {} rows",
            HumanBytes(limits.memory as u64),
            HumanDuration(limits.total),
            HumanBytes(limits.output),
            HumanCount(limits.rows),
        )
    }
}

/// Joins codes for a sentence: `a, b or c`.
fn or(codes: &[String]) -> String {
    match codes {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
