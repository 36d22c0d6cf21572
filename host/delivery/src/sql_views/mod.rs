//! SQL views of the current state of a dataset.
//!
//! A delivery replaces persons. The latest delivery with a 001 record for a number contains everything that is true of
//! the number, and older rows are history. This needs no work when a delivery is published: an SQL engine can compute it
//! from the files. [`sql`] writes these views for an engine:
//!
//! - `published_T`: every row of table `T`, from every delivery
//! - `latest_by_agreement`: for each agreement and number, the latest delivery of the agreement
//! - `latest_delivery`: for each number, the delivery that counts: the latest of any agreement
//! - `T`: the rows of table `T` that are current. It contains all events, and all records without a person, because no
//!   delivery replaces them.
//! - `protection` has the rows that are current in any agreement, because a protection is not lifted by a delivery of another
//!   agreement that lacks it
//! - `out_of_scope`, in a tenant's dataset: the persons who left the scope. Their rows are no longer current from that
//!   delivery on, until a later delivery contains them again.
//! - `protected_person`, in a tenant's dataset with several agreements: the persons who are protected in any of them. In
//!   the other views, they are masked or marked.
//! - `pnr_resolution`: the valid number for each replaced number
//!
//! Two agreements deliver the same number at different times. The newest production date wins for all tables but
//! `protection`.
//!
//! The layout of a dataset is `agreement=<name>/delivery=<name>/<table>.parquet`. The deliveries are applied in the order
//! of their names.
//!
//! ```no_run
//! use cprflow::Connector;
//! use cprflow_delivery::sql_views::{self, Dialect, PublishedDataset, ViewsOptions};
//!
//! # fn main() -> Result<(), cprflow_delivery::Error> {
//! let published = PublishedDataset::look("/data/cpr".as_ref(), None)?;
//! let options = ViewsOptions::new("/data/cpr", published);
//! let connector = Connector::embedded()?;
//! let sql = sql_views::sql(Dialect::DuckDb, connector.catalog(), &options)?;
//! # Ok(())
//! # }
//! ```

mod dialect;
mod error;
mod numbers;
mod protection;
mod published;
mod state;

pub use dialect::Dialect;
pub use error::SqlViewError;
pub use published::PublishedDataset;

use crate::error::Error;
use cprflow::{Catalog, Table};
use protection::{PROTECTED_PERSON, Shown};

/// The name of the view of each number's latest delivery.
const LATEST: &str = "latest_delivery";

/// The name of the view of each agreement's latest delivery of a number.
const BY_AGREEMENT: &str = "latest_by_agreement";

/// The name of the view of replaced numbers.
const RESOLUTION: &str = "pnr_resolution";

/// The table of the 001 records, which determine the persons that a delivery replaces.
const PERSON: &str = "person";

/// The table of persons who left a tenant's scope. The host defines it, so it is not in the catalog.
const OUT_OF_SCOPE: &str = cprflow::OUT_OF_SCOPE;

/// The comment above the view of that table.
const OUT_OF_SCOPE_MEANING: &str = "persons who were in scope and no longer are, and why";

/// The table of events.
const EVENT: &str = "event";

/// The record types with a person number that no delivery replaces: events, and receipts for subscriptions.
const NEVER_REPLACED: [&str; 2] = ["099", "997"];

/// The dataset and the tables to create views for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ViewsOptions {
    /// The absolute path of the dataset for the engine, which can run in another directory.
    pub dataset: String,
    /// The tables and columns that are published in the dataset.
    pub published: PublishedDataset,
    /// The only agreement to include; `None` for all.
    pub agreement: Option<String>,
    /// The only views to create, with the views that they read; `None` for all.
    pub tables: Option<Vec<String>>,
}

impl ViewsOptions {
    /// Selects all views of everything that is published in the dataset.
    pub fn new(dataset: impl Into<String>, published: PublishedDataset) -> Self {
        Self {
            dataset: dataset.into(),
            published,
            agreement: None,
            tables: None,
        }
    }
}

/// Returns the SQL statements that create the views. Each statement ends with `;` and a line feed.
///
/// Fails if a requested table does not exist, the published tables are not sufficient, or the engine would misread the
/// path.
pub fn sql(dialect: Dialect, catalog: &Catalog, options: &ViewsOptions) -> Result<String, Error> {
    dialect.check(&options.dataset)?;
    let script = Script {
        dialect,
        options,
        views: views(catalog, options)?,
    };
    Ok(script.write())
}

/// A view of the current rows of a table.
struct View<'a> {
    name: &'a str,
    description: &'a str,
    /// The table in the catalog; `None` for `out_of_scope`.
    table: Option<&'a Table>,
    /// The column with the number whose latest delivery counts; `None` if every delivery counts.
    key: Option<&'a str>,
}

/// The views to create.
struct Views<'a> {
    tables: Vec<View<'a>>,
    /// Whether `latest_delivery` is requested or read by another view.
    latest: bool,
    /// How protections of other agreements are shown.
    shown: Shown,
    /// The query of `protected_person`, if protections of other agreements are shown.
    protected: Option<String>,
    /// The sources of `pnr_resolution`, if it is to be created.
    resolution: Option<numbers::Sources>,
    /// The views that are left out, with the reasons.
    left_out: Vec<String>,
}

fn views<'a>(catalog: &'a Catalog, options: &ViewsOptions) -> Result<Views<'a>, SqlViewError> {
    let published = &options.published;
    let is_wanted = |name: &str| match &options.tables {
        Some(tables) => tables.iter().any(|table| table == name),
        None => true,
    };
    for name in options.tables.iter().flatten() {
        let is_own = [LATEST, BY_AGREEMENT, PROTECTED_PERSON, RESOLUTION].contains(&name.as_str());
        if !is_own && name != OUT_OF_SCOPE && catalog.table(name).is_none() {
            return Err(SqlViewError::UnknownTable { name: name.clone() });
        }
        if !is_own && !published.has(name) {
            return Err(SqlViewError::TableNotPublished { name: name.clone() });
        }
    }
    let shown = match options.agreement {
        None => Shown::of(published),
        Some(_) => Shown::Nothing,
    };
    let resolution = is_wanted(RESOLUTION).then(|| numbers::Sources::of(published));
    let mut views = Views {
        tables: Vec::new(),
        latest: options.tables.is_some()
            && [LATEST, BY_AGREEMENT, PROTECTED_PERSON]
                .into_iter()
                .any(is_wanted),
        shown,
        protected: shown.query(published),
        resolution: resolution.filter(numbers::Sources::any),
        left_out: Vec::new(),
    };
    if views.protected.is_none() && options.tables.is_some() && is_wanted(PROTECTED_PERSON) {
        let why = "only the dataset of a tenant with several agreements has protections to combine";
        views.left_out.push(format!("{PROTECTED_PERSON}: {why}"));
    }
    if resolution.is_some() && views.resolution.is_none() {
        let why = "neither person nor former_pnr has the columns with replaced numbers";
        views.left_out.push(format!("{RESOLUTION}: {why}"));
    }
    let needed = views.resolution.map(numbers::Sources::tables);
    for table in catalog.tables() {
        let is_needed = needed.iter().flatten().any(|name| *name == table.name);
        if !published.has(&table.name) || !(is_wanted(&table.name) || is_needed) {
            continue;
        }
        match key(table) {
            Some(key) if !published.has_column(&table.name, key) => {
                views
                    .left_out
                    .push(format!("{}: its column {key} is not published", table.name));
            }
            key => views.tables.push(View {
                name: &table.name,
                description: &table.description,
                table: Some(table),
                key,
            }),
        }
    }
    if published.has(OUT_OF_SCOPE) && is_wanted(OUT_OF_SCOPE) {
        views.tables.push(View {
            name: OUT_OF_SCOPE,
            description: OUT_OF_SCOPE_MEANING,
            table: None,
            key: None,
        });
    }
    let has_protections = views.protected.is_some() && published.has_column(PERSON, "pnr");
    views.latest |= views.tables.iter().any(|view| view.key.is_some()) || has_protections;
    if views.latest && !published.has_column(PERSON, "pnr") {
        return Err(SqlViewError::NoPersonTable);
    }
    Ok(views)
}

/// Returns the column with the number whose deliveries replace the rows of a table.
///
/// For former numbers, this is the key of the record, which is the number now valid. They are delivered with the person
/// under the valid number, and not with the record of the old number.
fn key(table: &Table) -> Option<&str> {
    let record_type = table.record_type.as_deref()?;
    let key = table.columns.first()?;
    let is_number = key.field.as_ref()?.kind == "pnr";
    (is_number && !NEVER_REPLACED.contains(&record_type)).then_some(key.name.as_str())
}

/// A script of statements.
struct Script<'a> {
    dialect: Dialect,
    options: &'a ViewsOptions,
    views: Views<'a>,
}

impl Script<'_> {
    fn write(&self) -> String {
        let mut sql = self.head();
        let names = || self.views.tables.iter().map(|view| view.name);
        let mut needed = Vec::new();
        if self.views.latest {
            needed.push(PERSON);
        }
        let needs_out_of_scope = self.views.latest || names().any(|name| name == EVENT);
        if self.has_out_of_scope() && needs_out_of_scope {
            needed.push(OUT_OF_SCOPE);
        }
        let published = &self.options.published;
        let protected = self
            .views
            .protected
            .as_deref()
            .filter(|_| self.views.latest);
        if protected.is_some() {
            needed.extend(self.views.shown.tables(published));
        }
        needed.retain(|table| names().all(|name| name != *table));
        for name in needed.into_iter().chain(names()) {
            sql.push_str(&self.published(name));
        }
        if self.views.latest {
            sql.push_str(&self.latest());
        }
        if let Some(query) = protected {
            sql.push_str(&comment(protection::MEANING));
            sql.push_str(&self.create(PROTECTED_PERSON, query));
        }
        for view in &self.views.tables {
            sql.push_str(&self.current(view));
        }
        if let Some(sources) = self.views.resolution {
            sql.push_str(&comment(numbers::MEANING));
            sql.push_str(&self.create(RESOLUTION, &sources.query()));
        }
        sql
    }

    fn head(&self) -> String {
        let mut head = comment(&format!(
            "The current state of a dataset of CPR deliveries, for {}. Made by `cprflow views`.",
            self.dialect
        ));
        head.push_str(&comment(self.dialect.advice()));
        for what in &self.views.left_out {
            head.push_str(&comment(&format!("Left out: {what}.")));
        }
        head.push_str(self.dialect.preparation());
        head
    }

    /// Returns the statement for the view of every row of a table.
    fn published(&self, table: &str) -> String {
        let name = format!("published_{table}");
        let what = format!("{name}: every row of {table}, from every delivery");
        let agreement = self.options.agreement.as_deref();
        let source = self
            .dialect
            .source(&name, &self.options.dataset, agreement, table);
        format!("{}{source}", comment(&what))
    }

    /// Returns whether the dataset lists the persons who left the scope.
    fn has_out_of_scope(&self) -> bool {
        self.options.published.has_column(OUT_OF_SCOPE, "pnr")
    }

    /// Returns the statements for the views of the delivery that is current for each number.
    fn latest(&self) -> String {
        let (by_agreement, latest) = match self.has_out_of_scope() {
            false => (
                (state::BY_AGREEMENT, state::BY_AGREEMENT_QUERY),
                (state::LATEST, state::LATEST_QUERY),
            ),
            true => (
                (
                    state::BY_AGREEMENT_IN_SCOPE,
                    state::BY_AGREEMENT_IN_SCOPE_QUERY,
                ),
                (state::LATEST_IN_SCOPE, state::LATEST_IN_SCOPE_QUERY),
            ),
        };
        let view =
            |name, (meaning, query)| format!("{}{}", comment(meaning), self.create(name, query));
        view(BY_AGREEMENT, by_agreement) + &view(LATEST, latest)
    }

    /// Returns the condition that leaves out the events of persons who left the scope later.
    fn still_in_scope(&self, view: &View) -> Option<&'static str> {
        let has_number = self.options.published.has_column(view.name, "pnr");
        (view.name == EVENT && has_number && self.has_out_of_scope())
            .then_some(state::STILL_IN_SCOPE)
    }

    /// Returns the statement for the view of the current rows of a table.
    fn current(&self, view: &View) -> String {
        let name = view.name;
        let what = format!("{name}: {}", view.description);
        let from = self.dialect.identifier(&format!("published_{name}"));
        let published = &self.options.published;
        let selected = match &self.views.protected {
            Some(_) if self.views.latest => view
                .table
                .and_then(|table| self.views.shown.select(self.dialect, table, published)),
            _ => None,
        };
        let (columns, joins) = match &selected {
            Some(selected) => (format!("\n  {}", selected.columns), selected.joins.as_str()),
            None => (" delivered.*".to_owned(), ""),
        };
        let (state, query) = match view.key {
            Some(key) => {
                let key = self.dialect.identifier(key);
                let (state, of) = match name {
                    protection::PROTECTION => {
                        ("rows that are current in any agreement", BY_AGREEMENT)
                    }
                    _ => ("current rows", LATEST),
                };
                let mut query = format!(
                    "\
SELECT{columns}
FROM {from} AS delivered
SEMI JOIN {of} AS latest
  ON latest.agreement = delivered.agreement
  AND latest.pnr = delivered.{key}
  AND latest.delivery = delivered.delivery{joins}"
                );
                if of == BY_AGREEMENT {
                    query.push_str(&format!(
                        "\nSEMI JOIN {LATEST} AS any_agreement ON any_agreement.pnr = delivered.{key}"
                    ));
                }
                (state, query)
            }
            None => {
                let has_line = published.has_column(name, "line");
                let line = if has_line { ", line" } else { "" };
                let still = self.still_in_scope(view);
                let query = match (&selected, still) {
                    (None, None) => {
                        format!("SELECT *\nFROM {from}\nORDER BY delivery, agreement{line}")
                    }
                    (_, still) => {
                        let still = still.map(|still| format!("\n{still}")).unwrap_or_default();
                        format!(
                            "SELECT{columns}\nFROM {from} AS delivered{joins}{still}\nORDER BY delivery, agreement{line}"
                        )
                    }
                };
                (
                    "rows of all deliveries, in the order in which they are applied",
                    query,
                )
            }
        };
        let state = comment(&format!("{what} ({state})"));
        format!("{state}{}", self.create(name, &query))
    }

    fn create(&self, view: &str, query: &str) -> String {
        let (create, view) = (self.dialect.create(), self.dialect.identifier(view));
        format!("{create} {view} AS\n{query};\n")
    }
}

/// Returns a text as SQL comment lines. Control characters are removed, so the text cannot end the comment.
fn comment(text: &str) -> String {
    let mut comment = String::from("\n");
    for line in text.lines() {
        let plain: String = line.chars().filter(|c| !c.is_control()).collect();
        comment.push_str(&format!("-- {plain}\n"));
    }
    comment
}
