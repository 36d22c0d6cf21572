//! A policy in words.

use std::collections::BTreeMap;

use cprflow::policy::{Leavers, Numbers, Policy, Protection};
use cprflow::{Catalog, Group, OUT_OF_SCOPE, PROTECTED, Table, Tenant, View};
use indicatif::{HumanBytes, HumanCount, HumanDuration};

/// What there is to tell of.
pub(super) struct Words<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) group: Option<&'a Group>,
    pub(super) policy: &'a Policy,
    pub(super) view: &'a View,
    pub(super) catalog: &'a Catalog,
}

impl Words<'_> {
    /// Everything, each under a word.
    pub(super) fn all(&self) -> Vec<(&'static str, Vec<String>)> {
        let tenant = self.tenant;
        let agreements: Vec<_> = tenant.agreements.iter().map(|one| one.as_str()).collect();
        vec![
            ("purpose", vec![tenant.purpose.clone()]),
            ("agreements", vec![agreements.join(", ")]),
            ("dataset", vec![tenant.dataset.display().to_string()]),
            ("readers", vec![self.readers()]),
            ("persons", vec![self.persons()]),
            ("protected", vec![self.protection().to_owned()]),
            ("numbers", vec![self.numbers().to_owned()]),
            ("church", vec![self.church()]),
            ("leavers", vec![self.leavers()]),
            ("classes", vec![self.classes()]),
            ("sees", self.sees()),
            ("rows", self.rows()),
            ("hides", self.hides()),
            ("limits", vec![self.limits()]),
        ]
    }

    fn readers(&self) -> String {
        match self.group {
            Some(group) => format!(
                "the owner of the dataset, and whoever is in the group {}",
                group.name()
            ),
            None => "the owner of the dataset".to_owned(),
        }
    }

    fn persons(&self) -> String {
        let persons = &self.policy.persons;
        let mut conditions = Vec::new();
        if let Some(codes) = &persons.municipality_codes {
            // Of whoever is dead or gone there may be a last known address.
            let statuses = persons.status_codes.iter().flatten();
            let whose = match statuses.into_iter().any(|status| status.as_str() >= "30") {
                true => "whose current or last known address is",
                false => "who live",
            };
            conditions.push(format!("{whose} in municipality {}", or(codes)));
        }
        if let Some(codes) = &persons.status_codes {
            conditions.push(format!("whose status is {}", or(codes)));
        }
        if let Some((youngest, oldest)) = persons.ages {
            conditions.push(format!(
                "who are {youngest} to {oldest} years old {}",
                self.day()
            ));
        }
        if let Some(codes) = &persons.event_codes {
            conditions.push(format!("who have event {} in the delivery", or(codes)));
        }
        if let Some(numbers) = &persons.numbers {
            conditions.push(format!(
                "whose number is one of the {} in the list",
                HumanCount(numbers.len() as u64)
            ));
        }
        match conditions.is_empty() {
            true => "everybody in the deliveries".to_owned(),
            false => format!("everybody {}", conditions.join(", and ")),
        }
    }

    fn day(&self) -> String {
        match &self.policy.day {
            Some(day) => format!("on {day}"),
            None => "on the day when the delivery was produced".to_owned(),
        }
    }

    const fn protection(&self) -> &'static str {
        match self.policy.protection {
            Protection::Include => {
                "persons with protection of name and address are as everybody else, and the column \"protected\" says \
                 who they are"
            }
            Protection::Mask => {
                "names, addresses and free text of persons with protection of name and address are null; so are a \
                 relative's, where the relative is protected or not in the delivery"
            }
            Protection::Drop => {
                "persons with protection of name and address are not there; a relative's name and address are null \
                 where the relative is protected or not in the delivery"
            }
        }
    }

    const fn numbers(&self) -> &'static str {
        match self.policy.numbers {
            Numbers::Keep => "person numbers stand as they are",
            Numbers::Pseudonym => {
                "each person number is replaced by a pseudonym made with the tenant's own key, the same in every \
                 table and delivery"
            }
            Numbers::Drop => "no column of person numbers is there",
        }
    }

    fn church(&self) -> String {
        match &self.tenant.church_purpose {
            Some(purpose) => format!("church membership is seen, for: {purpose}"),
            None => "church membership is not seen: neither the tables church and church_history nor the events A34 \
                     and P56"
                .to_owned(),
        }
    }

    fn leavers(&self) -> String {
        let how = match self.policy.leavers {
            Leavers::Notice => "",
            Leavers::Last => ", and their rows come once more",
        };
        format!("who was in scope and no longer is stands in the table {OUT_OF_SCOPE}{how}")
    }

    fn classes(&self) -> String {
        let classes: Vec<&str> = self.policy.classes.iter().map(String::as_str).collect();
        match classes.is_empty() {
            true => "only columns of no class of personal data".to_owned(),
            false => classes.join(", "),
        }
    }

    /// The tables, and the columns where not all of them are there.
    fn sees(&self) -> Vec<String> {
        let mut whole = Vec::new();
        let mut parts = Vec::new();
        for table in self.view.tables() {
            let known = self.catalog.table(&table.name);
            let own = |column: &&cprflow::Column| column.name != PROTECTED;
            let columns: Vec<_> = table
                .columns
                .iter()
                .filter(own)
                .map(|column| column.name.as_str())
                .collect();
            match known {
                Some(known) if known.columns.len() > columns.len() => {
                    parts.push(format!("{}: {}", table.name, columns.join(", ")));
                }
                _ => whole.push(table.name.as_str()),
            }
        }
        let mut lines = Vec::new();
        if !whole.is_empty() {
            lines.push(format!("every column of {}", whole.join(", ")));
        }
        lines.extend(parts);
        lines
    }

    fn rows(&self) -> Vec<String> {
        let rows = self.policy.rows.iter();
        let lines: Vec<_> = rows
            .map(|(table, rows)| format!("{table}: only where {rows}"))
            .collect();
        match lines.is_empty() {
            true => vec!["all of these persons, in every table that is seen".to_owned()],
            false => lines,
        }
    }

    /// What is not there, by the reason why.
    fn hides(&self) -> Vec<String> {
        let mut hidden: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for table in self.catalog.tables() {
            let Some(seen) = self.view.table(&table.name) else {
                hidden
                    .entry(self.why_table(table))
                    .or_default()
                    .push(format!("table {}", table.name));
                continue;
            };
            for column in &table.columns {
                if seen.columns.iter().any(|other| other.name == column.name) {
                    continue;
                }
                let class = column
                    .field
                    .as_ref()
                    .and_then(|field| field.sensitivity.as_deref());
                let is_number = column
                    .field
                    .as_ref()
                    .is_some_and(|field| field.kind == "pnr");
                let why = match class {
                    Some(class) if !self.policy.classes.contains(class) => format!("class {class}"),
                    _ if is_number && self.policy.numbers == Numbers::Drop => {
                        "a person number".to_owned()
                    }
                    _ => "not among the columns named".to_owned(),
                };
                hidden
                    .entry(why)
                    .or_default()
                    .push(format!("{}.{}", table.name, column.name));
            }
        }
        match hidden.is_empty() {
            true => vec!["nothing".to_owned()],
            false => hidden
                .into_iter()
                .map(|(why, what)| format!("{why}: {}", what.join(", ")))
                .collect(),
        }
    }

    fn why_table(&self, table: &Table) -> String {
        let classes = table.columns.iter().filter_map(|column| {
            let field = column.field.as_ref()?;
            field.sensitivity.as_deref()
        });
        let hidden = classes.clone().find(|class| {
            // The former civil statuses and separations are a class of their own.
            let is_former = *class == "civil-status" && table.name.ends_with("_history");
            match is_former {
                true => !self.policy.classes.contains("civil-status-history"),
                false => !self.policy.classes.contains(*class),
            }
        });
        let is_named = |tables: &std::collections::BTreeSet<String>| tables.contains(&table.name);
        if !self.policy.tables.as_ref().is_none_or(is_named) {
            return "not among the tables named".to_owned();
        }
        match (&table.record_type, hidden) {
            (None, _) => "lines as they stand, of anybody".to_owned(),
            (Some(_), Some("civil-status")) if table.name.ends_with("_history") => {
                "class civil-status-history".to_owned()
            }
            (Some(_), Some(class)) => format!("class {class}"),
            (Some(_), None) if ALSO.contains(&table.name.as_str()) => {
                "it ties numbers to persons in another way".to_owned()
            }
            (Some(_), None)
                if ["000", "999"].contains(&table.record_type.as_deref().unwrap_or_default()) =>
            {
                "of no person".to_owned()
            }
            (Some(_), None) => "nothing of it would be left".to_owned(),
        }
    }

    fn limits(&self) -> String {
        let limits = &self.tenant.limits;
        format!(
            "{} of memory, {} a call, {} a delivery, {} and {} rows of output, {} columns a table, {} a text",
            HumanBytes(limits.memory as u64),
            HumanDuration(limits.call),
            HumanDuration(limits.total),
            HumanBytes(limits.output),
            HumanCount(limits.rows),
            HumanCount(limits.columns as u64),
            HumanBytes(limits.text_bytes as u64),
        )
    }
}

/// Tables that a policy without numbers shows only if it is asked to.
const ALSO: [&str; 3] = ["former_pnr", "input_error", "person_id"];

fn or(codes: &[String]) -> String {
    match codes {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
