//! Datasets of published deliveries, and the current state after them, computed row by row.
//!
//! The computation uses no SQL. It states the rule of replacement independently of the views.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use cprflow::ParquetDirectory;
use cprflow_connector::layout;

use crate::reference_reader::{Row, Tables, Value};
use crate::rows;

/// A delivery to publish.
#[derive(Debug, Clone)]
pub struct Delivery {
    agreement: String,
    name: String,
    batches: Vec<(String, RecordBatch)>,
}

impl Delivery {
    /// Creates a delivery with all tables of an extract, including empty ones. Deliveries apply in the order of names.
    pub fn new(agreement: &str, date: &str, sequence: u32, extract: &[u8]) -> Self {
        let tables = rows::connector().catalog().tables().iter();
        let empty = tables.map(|table| {
            let schema = table.schema(None).unwrap();
            (table.name.clone(), RecordBatch::new_empty(schema))
        });
        Self {
            agreement: agreement.to_owned(),
            name: format!(
                "{date}-{sequence:06}-{:08x}",
                sequence.wrapping_mul(0x9e37_79b9)
            ),
            batches: empty.chain(rows::scan(extract).batches).collect(),
        }
    }

    /// Removes these tables.
    pub fn without_tables(mut self, tables: &[&str]) -> Self {
        self.batches
            .retain(|(table, _)| !tables.contains(&table.as_str()));
        self
    }

    /// Keeps only these tables.
    pub fn only_tables(mut self, tables: &[&str]) -> Self {
        self.batches
            .retain(|(table, _)| tables.contains(&table.as_str()));
        self
    }

    /// Removes a column of a table.
    pub fn without_column(mut self, of: &str, column: &str) -> Self {
        for (table, batch) in &mut self.batches {
            if table == of {
                batch.remove_column(batch.schema().index_of(column).unwrap());
            }
        }
        self
    }

    fn rows(&self) -> Tables {
        let mut tables = Tables::new();
        for (table, batch) in &self.batches {
            let rows = rows::rows(batch).into_iter().map(|mut row| {
                row.push(("agreement".to_owned(), Value::Text(self.agreement.clone())));
                row.push(("delivery".to_owned(), Value::Text(self.name.clone())));
                row
            });
            tables.entry(table.clone()).or_default().extend(rows);
        }
        tables
    }
}

/// A dataset with published deliveries.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    /// The deliveries by name and agreement, in the order in which they apply.
    deliveries: BTreeMap<(String, String), Tables>,
    /// The columns of each table in any delivery.
    columns: BTreeMap<String, BTreeSet<String>>,
}

impl Dataset {
    /// Creates an empty dataset.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        fs::create_dir_all(&root).unwrap();
        Self {
            root,
            deliveries: BTreeMap::new(),
            columns: BTreeMap::new(),
        }
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Publishes a delivery.
    pub fn publish(&mut self, delivery: &Delivery) {
        let agreement = format!("agreement={}", delivery.agreement);
        let directory = format!("delivery={}", delivery.name);
        self.write(delivery, &self.root.join(agreement).join(directory));
        for (table, batch) in &delivery.batches {
            let columns = self.columns.entry(table.clone()).or_default();
            columns.extend(batch.schema().fields().iter().map(|f| f.name().clone()));
        }
        let key = (delivery.name.clone(), delivery.agreement.clone());
        let before = self.deliveries.insert(key, delivery.rows());
        assert!(before.is_none(), "two deliveries have the same name");
    }

    /// Writes a delivery to the place of unfinished deliveries, which readers must ignore.
    pub fn stage(&self, delivery: &Delivery) {
        for staging in [
            self.root.join(".staging"),
            self.root
                .join(format!("agreement={}", delivery.agreement))
                .join(".staging"),
        ] {
            let directory = staging
                .join(format!("agreement={}", delivery.agreement))
                .join(format!("delivery={}", delivery.name));
            self.write(delivery, &directory);
        }
    }

    /// Returns every row of every delivery, by table.
    pub fn published(&self) -> Tables {
        let mut all = Tables::new();
        for delivery in self.deliveries.values() {
            for (table, rows) in delivery {
                let rows = rows.iter().map(|row| self.whole(table, row));
                all.entry(table.clone()).or_default().extend(rows);
            }
        }
        all
    }

    /// Returns the current state by table, and the expected contents of the views `latest_delivery`,
    /// `latest_by_agreement` and `pnr_resolution`.
    ///
    /// A later delivery of any agreement replaces a person, except the protections, which only a delivery of the same
    /// agreement replaces.
    pub fn current(&self) -> Tables {
        self.current_of(|_| true)
    }

    /// Returns the current state as the deliveries of these agreements alone make it.
    pub fn current_of(&self, is_wanted: impl Fn(&str) -> bool) -> Tables {
        let mut persons: BTreeMap<String, Person> = BTreeMap::new();
        let mut by_agreement: BTreeMap<(String, String), Person> = BTreeMap::new();
        let mut current: Tables = self
            .columns
            .keys()
            .map(|table| (table.clone(), Vec::new()))
            .collect();
        let deliveries = self.deliveries.iter();
        for ((name, agreement), tables) in deliveries.filter(|((_, one), _)| is_wanted(one)) {
            let mut delivered = HashSet::new();
            for number in tables["person"].iter().filter_map(|row| text(row, "pnr")) {
                delivered.insert(number);
                let person = || Person {
                    agreement: agreement.clone(),
                    delivery: name.clone(),
                    rows: Vec::new(),
                };
                // The delivery replaces all earlier rows of the person.
                persons.insert(number.to_owned(), person());
                by_agreement.insert((agreement.clone(), number.to_owned()), person());
            }
            for (table, rows) in tables {
                for row in rows {
                    if !is_of_a_person(table) {
                        current.get_mut(table).unwrap().push(self.whole(table, row));
                        continue;
                    }
                    let Some(number) = text(row, "pnr").filter(|n| delivered.contains(n)) else {
                        continue;
                    };
                    let key = (agreement.clone(), number.to_owned());
                    let person = match table.as_str() {
                        "protection" => by_agreement.get_mut(&key).unwrap(),
                        _ => persons.get_mut(number).unwrap(),
                    };
                    person.rows.push((table.clone(), self.whole(table, row)));
                }
            }
        }
        let latest = |number: &String, person: &Person| {
            texts([
                ("pnr", Some(number)),
                ("agreement", Some(&person.agreement)),
                ("delivery", Some(&person.delivery)),
            ])
        };
        let all = persons
            .iter()
            .map(|(number, person)| latest(number, person));
        current.insert("latest_delivery".to_owned(), all.collect());
        let all = by_agreement
            .iter()
            .map(|((_, number), person)| latest(number, person));
        current.insert("latest_by_agreement".to_owned(), all.collect());
        let persons = persons.into_values().chain(by_agreement.into_values());
        for (table, row) in persons.flat_map(|person| person.rows) {
            current.get_mut(&table).unwrap().push(row);
        }
        current.insert("pnr_resolution".to_owned(), resolution(&current));
        current
    }

    fn write(&self, delivery: &Delivery, directory: &Path) {
        let mut parquet = ParquetDirectory::create(directory, false).unwrap();
        for (table, batch) in &delivery.batches {
            parquet.write(table, batch).unwrap();
        }
        parquet.finish().unwrap();
        fs::write(directory.join("_delivery.json"), "{}").unwrap();
    }

    /// Returns the row with every column that the table has in any delivery.
    fn whole(&self, table: &str, row: &Row) -> Row {
        let mut whole = row.clone();
        for column in &self.columns[table] {
            if row.iter().all(|(name, _)| name != column) {
                whole.push((column.clone(), Value::Null));
            }
        }
        whole
    }
}

/// The rows of a person in the delivery that is current for the number.
struct Person {
    agreement: String,
    delivery: String,
    rows: Vec<(String, Row)>,
}

/// Returns whether a delivery replaces the rows of a table, which holds for record types 001 to 060.
fn is_of_a_person(table: &str) -> bool {
    let table = layout::by_name(table);
    table.is_some_and(|table| ("001".."099").contains(&table.record_type))
}

/// Returns each former number with the current number, from the rows of `person` and `former_pnr`.
pub fn resolution(current: &Tables) -> Vec<Row> {
    // By number: whether the number is in use, and the number that replaces it.
    let mut own = BTreeMap::new();
    for row in &current["person"] {
        let number = text(row, "pnr").unwrap();
        let entry = own.entry(number).or_insert((false, None));
        match text(row, "status") {
            Some("50" | "60") => {
                let next = text(row, "current_pnr").filter(|next| *next != number);
                entry.1 = entry.1.max(next);
            }
            Some("30") => {}
            _ => entry.0 = true,
        }
    }
    let mut told: BTreeMap<_, (&str, &str)> = BTreeMap::new();
    for row in current.get("former_pnr").into_iter().flatten() {
        let (Some(former), number) = (text(row, "former_pnr"), text(row, "pnr").unwrap()) else {
            continue;
        };
        if former != number {
            let said = (text(row, "delivery").unwrap(), number);
            let newest = told.entry(former).or_insert(said);
            *newest = said.max(*newest);
        }
    }
    let numbers: BTreeSet<_> = own.keys().chain(told.keys()).copied().collect();
    let next = |number| match own.get(number) {
        Some((_, Some(next))) => Some(*next),
        Some((true, None)) => None,
        _ => told.get(number).map(|(_, next)| *next),
    };
    let mut resolved = Vec::new();
    for number in numbers {
        let Some(mut reached) = next(number) else {
            continue;
        };
        let mut seen = HashSet::from([number]);
        let valid = loop {
            if !seen.insert(reached) {
                break None;
            }
            match next(reached) {
                Some(onward) => reached = onward,
                None => break Some(reached),
            }
        };
        resolved.push(texts([("pnr", Some(number)), ("current_pnr", valid)]));
    }
    resolved
}

/// Returns the text of a column, if it holds text.
pub fn text<'a>(row: &'a Row, column: &str) -> Option<&'a str> {
    match row.iter().find(|(name, _)| name == column) {
        Some((_, Value::Text(text))) => Some(text),
        _ => None,
    }
}

fn texts<const N: usize>(columns: [(&str, Option<&str>); N]) -> Row {
    let value = |text: Option<&str>| text.map_or(Value::Null, |text| Value::Text(text.to_owned()));
    let columns = columns.into_iter();
    columns
        .map(|(name, text)| (name.to_owned(), value(text)))
        .collect()
}
