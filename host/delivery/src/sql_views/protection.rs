//! Protections over several agreements of a tenant.
//!
//! The newest delivery of any agreement decides about everything but protection. A person who is protected in the current
//! state of any agreement is protected in the views: the columns that the policy masks are null, or the column `protected`
//! is true. Each delivery was published with the protections of its own agreement alone.

use cprflow::Table;
use cprflow_connector::layout::{self, Column, EVENT_CLASSES, Kind, Places, Sensitivity};

use super::{Dialect, OUT_OF_SCOPE, PERSON, PublishedDataset};

/// The name of the view of protected persons.
pub(super) const PROTECTED_PERSON: &str = "protected_person";

/// The comment above that view.
pub(super) const MEANING: &str =
    "protected_person: the persons who are protected in the current state of any agreement";

/// The table of the 004 records.
pub(super) const PROTECTION: &str = "protection";

/// The table of the 008 records.
const NAME: &str = "name";

/// The column that marks protected persons, if the policy shows them.
const PROTECTED: &str = cprflow::PROTECTED;

/// The column of an event that tells what happened, and the mark that belongs to it.
const EVENT_CODE: &str = "event_code";
const DERIVED_MARK: &str = "derived_mark";

/// The column with the raw text of values.
const IRREGULAR: &str = "irregular";

/// How the views show that a person is protected in another agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// Not at all: there is one agreement, or the dataset has everything.
    Nothing,
    /// The columns that the policy masks are null.
    Masked,
    /// The column `protected` is true.
    Marked,
}

impl Shown {
    /// Returns how a dataset with several agreements shows it.
    pub(super) fn of(published: &PublishedDataset) -> Self {
        // Only a tenant's dataset has a scope, and only a policy that shows protected persons has the column.
        match (
            published.has(OUT_OF_SCOPE) && published.has_several_agreements(),
            published.has_column(PERSON, PROTECTED),
        ) {
            (false, _) => Self::Nothing,
            (true, true) => Self::Marked,
            (true, false) => Self::Masked,
        }
    }

    /// Returns the tables that [`query`](Self::query) reads, apart from the table of persons.
    pub(super) fn tables(self, published: &PublishedDataset) -> Vec<&'static str> {
        let protection = published.has_column(PROTECTION, "protection_type")
            && published.has_column(PROTECTION, "pnr");
        let name = self == Self::Masked
            && published.has_column(NAME, "pnr")
            && !names(published).is_empty();
        let wanted = [(PROTECTION, protection), (NAME, name)];
        let tables = wanted.into_iter().filter(|(_, is_wanted)| *is_wanted);
        match self {
            Self::Nothing => Vec::new(),
            Self::Masked | Self::Marked => tables.map(|(table, _)| table).collect(),
        }
    }

    /// Returns the query of the view of protected persons; `None` if nothing that is published tells who is protected.
    pub(super) fn query(self, published: &PublishedDataset) -> Option<String> {
        let tables = self.tables(published);
        let mut sources = Vec::new();
        if tables.contains(&PROTECTION) {
            sources.push(current(PROTECTION, IS_PROTECTION));
        }
        if tables.contains(&NAME) {
            // A person without any name has a masked name. Number changes, damaged records and missing records mask a
            // person too, and no table says so.
            let is_null = names(published).into_iter();
            let is_null: Vec<_> = is_null
                .map(|column| format!("delivered.{column} IS NULL"))
                .collect();
            sources.push(current(NAME, &is_null.join(" AND ")));
        }
        if self == Self::Marked {
            sources.push(current(PERSON, &format!("delivered.{PROTECTED}")));
        }
        let union = sources.join("\nUNION ALL\n");
        (!sources.is_empty())
            .then(|| format!("SELECT DISTINCT pnr\nFROM (\n{union}\n) AS protected"))
    }

    /// Returns the columns of a view and the joins that they need; `None` if all columns are shown as they were
    /// published.
    pub(super) fn select(
        self,
        dialect: Dialect,
        table: &Table,
        published: &PublishedDataset,
    ) -> Option<Select> {
        let own = layout::by_name(&table.name).filter(|layout| layout.is_keyed())?;
        let key = own.columns.first()?.name;
        if !published.has_column(&table.name, key) {
            return None;
        }
        let hiding = Hiding {
            dialect,
            table: own,
            key,
            published,
            joins: Vec::new(),
        };
        match self {
            Self::Nothing => None,
            Self::Marked => hiding.mark(table),
            Self::Masked => hiding.mask(table),
        }
    }
}

/// The columns of a view and the joins that they need.
pub(super) struct Select {
    pub(super) columns: String,
    pub(super) joins: String,
}

/// Whether a row of `protection` is a protection of name and address. A type that is not known counts as one.
const IS_PROTECTION: &str = "\
delivered.protection_type IS NULL OR delivered.protection_type NOT IN ('0002', '0003', '0004', '0005')";

/// Returns the query of the numbers in a table's rows that are current in their own agreement and meet a condition.
fn current(table: &str, condition: &str) -> String {
    format!(
        "\
SELECT delivered.pnr
FROM published_{table} AS delivered
SEMI JOIN latest_by_agreement AS latest
  ON latest.agreement = delivered.agreement
  AND latest.pnr = delivered.pnr
  AND latest.delivery = delivered.delivery
WHERE {condition}"
    )
}

/// Returns the published columns with a part of a person's name.
fn names(published: &PublishedDataset) -> Vec<&'static str> {
    let columns = layout::by_name(NAME).map_or(&[][..], |table| table.columns);
    let is_name = |column: &&Column| {
        column.kind == Kind::Text
            && column.sensitivity == Some(Sensitivity::Name)
            && published.has_column(NAME, column.name)
    };
    columns
        .iter()
        .filter(is_name)
        .map(|column| column.name)
        .collect()
}

/// Hides columns of one table.
struct Hiding<'a> {
    dialect: Dialect,
    table: &'static layout::Table,
    /// The column with the number of the record's own person.
    key: &'static str,
    published: &'a PublishedDataset,
    /// The columns with numbers of persons whose protection decides, in the order in which they were needed.
    joins: Vec<&'static str>,
}

impl Hiding<'_> {
    /// Sets the column `protected`.
    fn mark(mut self, table: &Table) -> Option<Select> {
        if !self.published.has_column(&table.name, PROTECTED) {
            return None;
        }
        let own = self.is_protected(self.key);
        let mut columns = self.columns(table, |_| None);
        columns.push(format!(
            "coalesce(delivered.{PROTECTED}, false) OR {own} AS {PROTECTED}"
        ));
        Some(self.finish(columns))
    }

    /// Makes the columns null that the policy masks.
    fn mask(mut self, table: &Table) -> Option<Select> {
        let mut hidden = Vec::new();
        for column in self.table.columns {
            if self.has(column.name)
                && let Some(condition) = self.condition(column)
            {
                hidden.push((column.name, condition));
            }
        }
        if hidden.is_empty() {
            return None;
        }
        // The raw text of a hidden value is hidden too.
        let mut all: Vec<&str> = hidden
            .iter()
            .map(|(_, condition)| condition.as_str())
            .collect();
        all.sort_unstable();
        all.dedup();
        let any = all.join(" OR ");
        let columns = self.columns(table, |name| {
            let condition = hidden.iter().find(|(column, _)| *column == name);
            let shown = match name {
                IRREGULAR => format!("CASE WHEN NOT ({any}) THEN delivered.{name} END"),
                _ => {
                    let (_, condition) = condition?;
                    let value = self.dialect.identifier(name);
                    match self.is_time_of_event(name) {
                        true => format!(
                            "CASE WHEN {condition} THEN {} ELSE delivered.{value} END",
                            self.dialect.midnight(&format!("delivered.{value}"))
                        ),
                        false => format!("CASE WHEN NOT ({condition}) THEN delivered.{value} END"),
                    }
                }
            };
            Some(shown)
        });
        Some(self.finish(columns))
    }

    /// Returns when a column is hidden; `None` if it never is.
    fn condition(&mut self, column: &Column) -> Option<String> {
        let is_name_or_address = matches!(
            column.sensitivity,
            Some(Sensitivity::Name | Sensitivity::Address)
        );
        let mut conditions = Vec::new();
        if is_name_or_address
            || column.sensitivity == Some(Sensitivity::FreeText)
            || column.places == Places::Yes
        {
            conditions.push(self.is_protected(self.key));
        }
        if let Places::Unless(other, codes) = column.places {
            let own = self.is_protected(self.key);
            conditions.push(match self.has(other) {
                true => format!(
                    "{own} AND coalesce(delivered.{other}, '') NOT IN ({})",
                    list(codes.iter().copied())
                ),
                false => own,
            });
        }
        if let Some(relative) = column.relative
            && is_name_or_address
            && self.has(relative)
        {
            conditions.push(self.is_protected(relative));
        }
        let is_of_event =
            [EVENT_CODE, DERIVED_MARK].contains(&column.name) || self.is_time_of_event(column.name);
        if is_of_event && self.has(EVENT_CODE) {
            let own = self.is_protected(self.key);
            let places = EVENT_CLASSES.iter().filter(|event| event.places);
            conditions.push(format!(
                "{own} AND coalesce(delivered.{EVENT_CODE}, '') IN ({})",
                list(places.map(|event| event.code))
            ));
        }
        (!conditions.is_empty()).then(|| conditions.join(" OR "))
    }

    /// Returns whether a column has the time of an event, whose time of day can show which event it is.
    fn is_time_of_event(&self, name: &str) -> bool {
        let column = self.table.column(name);
        self.table.column(EVENT_CODE).is_some()
            && column.is_some_and(|column| column.kind == Kind::Timestamp)
    }

    /// Returns the condition that the person with the number in a column is protected.
    fn is_protected(&mut self, number: &'static str) -> String {
        if !self.joins.contains(&number) {
            self.joins.push(number);
        }
        format!("protected_{number}.pnr IS NOT NULL")
    }

    fn has(&self, column: &str) -> bool {
        self.published.has_column(self.table.name, column)
    }

    /// Returns the published columns in the order of the catalog, with what is shown of each.
    fn columns(&self, table: &Table, shown: impl Fn(&str) -> Option<String>) -> Vec<String> {
        let published = table.columns.iter().filter(|column| self.has(&column.name));
        let column = |name: &str| {
            let quoted = self.dialect.identifier(name);
            match shown(name) {
                Some(shown) => format!("{shown} AS {quoted}"),
                None => format!("delivered.{quoted}"),
            }
        };
        published.map(|one| column(&one.name)).collect()
    }

    fn finish(self, mut columns: Vec<String>) -> Select {
        columns.extend(["agreement", "delivery"].map(|name| format!("delivered.{name}")));
        let join = |number: &&'static str| {
            let quoted = self.dialect.identifier(number);
            format!(
                "\nLEFT JOIN {PROTECTED_PERSON} AS protected_{number} ON protected_{number}.pnr = delivered.{quoted}"
            )
        };
        Select {
            columns: columns.join(",\n  "),
            joins: self.joins.iter().map(join).collect(),
        }
    }
}

/// Returns codes as a list of SQL texts.
fn list(codes: impl Iterator<Item = &'static str>) -> String {
    let codes: Vec<_> = codes.map(|code| format!("'{code}'")).collect();
    codes.join(", ")
}
