//! The current state of a dataset, as SQL over the published deliveries.
//!
//! A delivery replaces persons: the latest one that carries a number's 001 holds all that is true of that number, and
//! whatever an older one said of it is history. Nothing of that has to be computed when a delivery is published. It
//! is a question to ask of the files, and [`sql`] writes it down as views for an engine that reads them:
//!
//! - `published_T`: every row of table `T`, of every delivery
//! - `latest_delivery`: for each number, the delivery that holds
//! - `T`: the rows of table `T` as they are now. Events, and records that are of no person, are all there, for no
//!   delivery replaces them.
//! - `out_of_scope`, in a tenant's dataset: who has left its scope. A person's rows end with the delivery that says so,
//!   unless a later one brings the person again.
//! - `pnr_resolution`: from numbers that are no longer valid to those that are
//!
//! Everything is by agreement: two agreements deliver the same number at different times and with different tables.
//!
//! A dataset is `agreement=<name>/delivery=<name>/<table>.parquet`, where the order of the deliveries' names is the
//! order of applying them.
//!
//! ```no_run
//! use cprflow::Connector;
//! use cprflow::views::{self, Dialect, Published, ViewsOptions};
//!
//! # fn main() -> Result<(), cprflow::Error> {
//! let published = Published::look("/data/cpr".as_ref(), None)?;
//! let options = ViewsOptions::new("/data/cpr", published);
//! let connector = Connector::embedded()?;
//! let sql = views::sql(Dialect::DuckDb, connector.catalog(), &options)?;
//! # Ok(())
//! # }
//! ```

mod dialect;
mod numbers;
mod published;

pub use dialect::Dialect;
pub use published::Published;

use crate::catalog::{Catalog, Table};
use crate::error::Error;

/// The view of the latest delivery of each number.
const LATEST: &str = "latest_delivery";

/// The view of numbers that are no longer valid.
const RESOLUTION: &str = "pnr_resolution";

/// The table of the 001 records, which say whom a delivery replaces.
const PERSON: &str = "person";

/// The table in which a tenant is told who is no longer in its scope. Its name is of the host, so no catalog has it.
const LEFT: &str = crate::view::OUT_OF_SCOPE;

/// What that view says.
const LEFT_MEANING: &str = "persons who were in scope and no longer are, and why";

/// The table of events.
const EVENT: &str = "event";

/// Record types that are keyed by a number and yet never replaced: events, and receipts for subscriptions.
const ONLY_ADDED: [&str; 2] = ["099", "997"];

/// Views of what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ViewsOptions {
    /// Where the engine finds the dataset: an absolute path, for the engine may run in another directory.
    pub dataset: String,
    /// What is published in it.
    pub published: Published,
    /// Only this agreement; none for all of them.
    pub agreement: Option<String>,
    /// Only these views and what they are made of; none for all of them.
    pub tables: Option<Vec<String>>,
}

impl ViewsOptions {
    /// Views of all that is published in the dataset.
    pub fn new(dataset: impl Into<String>, published: Published) -> Self {
        Self {
            dataset: dataset.into(),
            published,
            agreement: None,
            tables: None,
        }
    }
}

/// SQL that creates the views: statements that each end with `;` and a line end.
pub fn sql(dialect: Dialect, catalog: &Catalog, options: &ViewsOptions) -> Result<String, Error> {
    dialect.check(&options.dataset)?;
    let script = Script {
        dialect,
        options,
        views: views(catalog, options)?,
    };
    Ok(script.write())
}

/// A view of a table.
struct View<'a> {
    name: &'a str,
    description: &'a str,
    /// The column of the number whose latest delivery holds; none where every delivery does.
    key: Option<&'a str>,
}

/// What there is to create.
struct Views<'a> {
    tables: Vec<View<'a>>,
    /// Whether one of them, or the caller, asks for the latest delivery of each number.
    latest: bool,
    /// Where to find the numbers that are no longer valid, if they are wanted.
    resolution: Option<numbers::Sources>,
    /// What was left out, and why.
    left_out: Vec<String>,
}

fn views<'a>(catalog: &'a Catalog, options: &ViewsOptions) -> Result<Views<'a>, Error> {
    let published = &options.published;
    let is_wanted = |name: &str| match &options.tables {
        Some(tables) => tables.iter().any(|table| table == name),
        None => true,
    };
    for name in options.tables.iter().flatten() {
        let is_own = name == LATEST || name == RESOLUTION;
        if !is_own && name != LEFT && catalog.table(name).is_none() {
            return Err(Error::Request(format!(
                "there is no table {name:?}; `cprflow tables` lists them, and {LATEST} and {RESOLUTION} are views too"
            )));
        }
        if !is_own && !published.has(name) {
            return Err(Error::Request(format!(
                "the dataset has no table {name}: no delivery in it holds a {name}.parquet"
            )));
        }
    }
    let resolution = is_wanted(RESOLUTION).then(|| numbers::Sources::of(published));
    let mut views = Views {
        tables: Vec::new(),
        latest: is_wanted(LATEST) && options.tables.is_some(),
        resolution: resolution.filter(numbers::Sources::any),
        left_out: Vec::new(),
    };
    if resolution.is_some() && views.resolution.is_none() {
        let why = "neither person nor former_pnr has the columns that tell of it";
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
                key,
            }),
        }
    }
    if published.has(LEFT) && is_wanted(LEFT) {
        views.tables.push(View {
            name: LEFT,
            description: LEFT_MEANING,
            key: None,
        });
    }
    views.latest |= views.tables.iter().any(|view| view.key.is_some());
    if views.latest && !published.has_column(PERSON, "pnr") {
        return Err(Error::Request(format!(
            "the dataset has no table {PERSON} with the column pnr, and nothing else tells which delivery of a person \
             is the latest: name tables that are of no person with --table, or publish that column"
        )));
    }
    Ok(views)
}

/// The column of the number that a table's rows are replaced by.
///
/// For former numbers too that is the record's own key, the number now valid: they are delivered with the person
/// under that number, and not with the old one's record.
fn key(table: &Table) -> Option<&str> {
    let record_type = table.record_type.as_deref()?;
    let key = table.columns.first()?;
    let is_number = key.field.as_ref()?.kind == "pnr";
    (is_number && !ONLY_ADDED.contains(&record_type)).then_some(key.name.as_str())
}

/// The statements in the making.
struct Script<'a> {
    dialect: Dialect,
    options: &'a ViewsOptions,
    views: Views<'a>,
}

impl Script<'_> {
    fn write(&self) -> String {
        let mut sql = self.head();
        let names = || self.views.tables.iter().map(|view| view.name);
        if self.views.latest && names().all(|name| name != PERSON) {
            sql.push_str(&self.published(PERSON));
        }
        let needs_left = self.views.latest || names().any(|name| name == EVENT);
        if self.has_left() && needs_left && names().all(|name| name != LEFT) {
            sql.push_str(&self.published(LEFT));
        }
        for name in names() {
            sql.push_str(&self.published(name));
        }
        if self.views.latest {
            sql.push_str(&self.latest());
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

    /// Every row of a table.
    fn published(&self, table: &str) -> String {
        let name = format!("published_{table}");
        let what = format!("{name}: every row of {table}, of every delivery");
        let agreement = self.options.agreement.as_deref();
        let source = self
            .dialect
            .source(&name, &self.options.dataset, agreement, table);
        format!("{}{source}", comment(&what))
    }

    /// Whether it is told who has left.
    fn has_left(&self) -> bool {
        self.options.published.has_column(LEFT, "pnr")
    }

    fn latest(&self) -> String {
        let (what, query) = match self.has_left() {
            false => (LATEST_OF_ALL, LATEST_OF_ALL_QUERY),
            true => (LATEST_IN_SCOPE, LATEST_IN_SCOPE_QUERY),
        };
        format!("{}{}", comment(what), self.create(LATEST, query))
    }

    /// The condition on events that they are not of somebody who has left since.
    fn still_in_scope(&self, view: &View) -> Option<&'static str> {
        let has_number = self.options.published.has_column(view.name, "pnr");
        (view.name == EVENT && has_number && self.has_left()).then_some(STILL_IN_SCOPE)
    }

    /// A table as it is now.
    fn current(&self, view: &View) -> String {
        let name = view.name;
        let what = format!("{name}: {}", view.description);
        let from = self.dialect.identifier(&format!("published_{name}"));
        let (state, query) = match view.key {
            Some(key) => {
                let key = self.dialect.identifier(key);
                let query = format!(
                    "\
SELECT delivered.*
FROM {from} AS delivered
SEMI JOIN latest_delivery AS latest
  ON latest.agreement = delivered.agreement
  AND latest.pnr = delivered.{key}
  AND latest.delivery = delivered.delivery"
                );
                ("as it is now", query)
            }
            None => {
                let has_line = self.options.published.has_column(name, "line");
                let line = if has_line { ", line" } else { "" };
                let query = match self.still_in_scope(view) {
                    None => format!("SELECT *\nFROM {from}\nORDER BY delivery, agreement{line}"),
                    Some(still) => format!(
                        "SELECT delivered.*\nFROM {from} AS delivered\n{still}\nORDER BY delivery, agreement{line}"
                    ),
                };
                ("of all deliveries, in the order of applying them", query)
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

const LATEST_OF_ALL: &str = "latest_delivery: for each number the delivery that holds, which is the latest with a 001 for it";

const LATEST_OF_ALL_QUERY: &str = "\
SELECT agreement, pnr, max(delivery) AS delivery
FROM published_person
WHERE pnr IS NOT NULL
GROUP BY agreement, pnr";

const LATEST_IN_SCOPE: &str = "\
latest_delivery: for each number the delivery that holds, which is the latest with a 001 for it.
Whoever is out of scope in that one or since has none.";

const LATEST_IN_SCOPE_QUERY: &str = "\
SELECT agreement, pnr, max(delivery) AS delivery
FROM (
  SELECT agreement, pnr, delivery, CAST(NULL AS STRING) AS left_with FROM published_person
  UNION ALL
  SELECT agreement, pnr, delivery, delivery AS left_with FROM published_out_of_scope
) AS said
WHERE pnr IS NOT NULL
GROUP BY agreement, pnr
HAVING coalesce(max(left_with), '') < max(delivery)";

const STILL_IN_SCOPE: &str = "\
LEFT JOIN (
  SELECT agreement AS left_agreement, pnr AS left_pnr, max(delivery) AS left_with
  FROM published_out_of_scope
  GROUP BY agreement, pnr
) AS since
  ON left_agreement = delivered.agreement AND left_pnr = delivered.pnr
WHERE left_with IS NULL OR left_with < delivery";

/// Lines of comment. Whatever is told in it stays in it.
fn comment(text: &str) -> String {
    let mut comment = String::from("\n");
    for line in text.lines() {
        let plain: String = line.chars().filter(|c| !c.is_control()).collect();
        comment.push_str(&format!("-- {plain}\n"));
    }
    comment
}
