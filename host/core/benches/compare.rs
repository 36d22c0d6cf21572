//! The Rust side of the comparison with other libraries, which `tests/compare/compare.py` starts.
//!
//! - `generate PERSONS FILE` writes a generated extract: lines without trailing spaces.
//! - `serve` answers questions: one JSON object per line on standard input, one per line on standard output.
//!
//! A question names the file, the engine, and optionally the tables, the columns and the largest number of rows of a batch:
//! `{"file": "a.cpr", "engine": "sandboxed", "tables": ["person"], "columns": ["status"], "batch_rows": 8192}`.
//! With `"tenants": 5`, five tenants read the file one after the other, each the persons of other ages. Only `sandboxed` can.
//! The answer has the time in seconds, the number of rows, and the sum of all buffers, so that no work can be left out.
//! The engines are:
//!
//! - `native`: the parser as a library, up to Arrow batches.
//! - `sandboxed`: what users run: the component in the sandbox, with every check and deadline.
//! - `arrow-csv`: the same rows, read from CSV that was written before the clock started.
//!
//! The file is in memory before the clock starts, and stays there until a question names another file.
//!
//! `cargo bench -p cprflow --bench compare -- serve`

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, Cursor, Write, stdin, stdout};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayData, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use cprflow::policy::Policy;
use cprflow_connector::generate::{self, Settings};
use cprflow_connector::{ScanOptions, TableRequest};
use serde::{Deserialize, Serialize};

/// The size of a block in bytes: what the host reads at a time.
const BLOCK_BYTES: usize = 256 * 1024;

/// The rows of a batch of arrow-csv: its default.
const CSV_BATCH_ROWS: usize = 1024;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A question, as the script writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    file: String,
    engine: Engine,
    /// The tables; all if there are none.
    #[serde(default)]
    tables: Vec<String>,
    /// The columns of each table; all if there are none.
    #[serde(default)]
    columns: Vec<String>,
    /// The largest number of rows of a batch; 0 for the engine's default.
    #[serde(default)]
    batch_rows: u32,
    /// The tenants that read the file one after the other; 0 for no policy.
    #[serde(default)]
    tenants: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Engine {
    Native,
    Sandboxed,
    ArrowCsv,
}

/// The answer to a question.
#[derive(Serialize)]
struct Answer {
    seconds: f64,
    #[serde(flatten)]
    consumed: Consumed,
}

/// What was read of all batches.
#[derive(Default, Serialize)]
struct Consumed {
    rows: usize,
    sum: u64,
}

impl Consumed {
    fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for column in batch.columns() {
            self.sum = self.sum.wrapping_add(sum(&column.to_data()));
        }
    }
}

/// Returns the sum of the buffers of an array and its children, in words of eight bytes.
fn sum(data: &ArrayData) -> u64 {
    let own = data.buffers().iter().map(|buffer| {
        let (words, rest) = buffer.as_slice().as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let rest = rest.iter().map(|byte| u64::from(*byte));
        words.chain(rest).fold(0, u64::wrapping_add)
    });
    let children = data.child_data().iter().map(sum);
    own.chain(children).fold(0, u64::wrapping_add)
}

/// The rows of one table as CSV.
struct Csv {
    schema: SchemaRef,
    text: Vec<u8>,
}

/// The tables and the columns of a question.
type Selection = (Vec<String>, Vec<String>);

/// The file of the last question, and its rows as CSV if a question needed them.
#[derive(Default)]
struct Loaded {
    file: String,
    extract: Vec<u8>,
    csv: BTreeMap<Selection, Arc<Vec<Csv>>>,
}

impl Loaded {
    fn load(&mut self, file: &str) -> Result<()> {
        if self.file != file {
            // The old file leaves the memory before the new one is read.
            *self = Self::default();
            self.extract =
                std::fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
            file.clone_into(&mut self.file);
        }
        Ok(())
    }

    fn csv(&mut self, question: &Question) -> Result<Arc<Vec<Csv>>> {
        let key = (question.tables.clone(), question.columns.clone());
        if let Some(csv) = self.csv.get(&key) {
            return Ok(Arc::clone(csv));
        }
        let csv = Arc::new(write_csv(&self.extract, question)?);
        self.csv.insert(key, Arc::clone(&csv));
        Ok(csv)
    }
}

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<_> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["generate", persons, file] => write_extract(persons.parse()?, file),
        ["serve"] => serve(),
        // `cargo bench` without a name runs every benchmark.
        _ => {
            let usage = "usage: compare generate PERSONS FILE | compare serve\ntests/compare/compare.py runs it.";
            writeln!(stdout(), "{usage}")?;
            Ok(())
        }
    }
}

fn write_extract(persons: u64, file: &str) -> Result<()> {
    generate::status(&Settings::busy(persons, 1), &mut File::create(file)?)?;
    Ok(())
}

fn serve() -> Result<()> {
    let connector = cprflow::Connector::embedded()?;
    let mut loaded = Loaded::default();
    for line in stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        loaded.load(&question.file)?;
        let answer = match question.engine {
            Engine::Sandboxed if question.tenants > 0 => {
                timed(|| tenants(&connector, &loaded.extract, question.tenants))?
            }
            _ if question.tenants > 0 => return Err("only `sandboxed` has tenants".into()),
            Engine::Native => timed(|| native(&loaded.extract, &question))?,
            Engine::Sandboxed => timed(|| sandboxed(&connector, &loaded.extract, &question))?,
            Engine::ArrowCsv => {
                let csv = loaded.csv(&question)?;
                timed(|| read_csv(&csv, &question))?
            }
        };
        let mut out = stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
        out.flush()?;
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<Consumed>) -> Result<Answer> {
    let start = Instant::now();
    let consumed = work()?;
    Ok(Answer {
        seconds: start.elapsed().as_secs_f64(),
        consumed,
    })
}

/// Scans with the parser as a library.
fn native(extract: &[u8], question: &Question) -> Result<Consumed> {
    let mut consumed = Consumed::default();
    native_batches(extract, question, |_, batch| {
        consumed.add(&batch);
        Ok(())
    })?;
    Ok(consumed)
}

fn native_batches(
    extract: &[u8],
    question: &Question,
    mut each: impl FnMut(&'static str, RecordBatch) -> Result<()>,
) -> Result<()> {
    let request = |name: &String| TableRequest {
        name: name.clone(),
        columns: (!question.columns.is_empty()).then(|| question.columns.clone()),
        ..TableRequest::default()
    };
    let options = ScanOptions {
        tables: (!question.tables.is_empty())
            .then(|| question.tables.iter().map(request).collect()),
        batch_rows: question.batch_rows.try_into()?,
        ..ScanOptions::default()
    };
    let mut scan = cprflow_connector::Scan::open(&options, None)?;
    for block in extract.chunks(BLOCK_BYTES) {
        scan.push(block.to_vec())?;
        while let Some(rows) = scan.next()? {
            each(rows.table.name(), rows.batch)?;
        }
    }
    scan.finish()?;
    while let Some(rows) = scan.next()? {
        each(rows.table.name(), rows.batch)?;
    }
    Ok(())
}

/// Scans with the component in the sandbox.
fn sandboxed(
    connector: &cprflow::Connector,
    extract: &[u8],
    question: &Question,
) -> Result<Consumed> {
    let mut scan = cprflow::Scan::new(connector);
    for table in &question.tables {
        scan = scan.table(table);
        if !question.columns.is_empty() {
            scan = scan.columns(&question.columns);
        }
    }
    if question.batch_rows > 0 {
        scan = scan.batch_rows(question.batch_rows);
    }
    let mut consumed = Consumed::default();
    for rows in scan.read_all(extract)? {
        consumed.add(&rows?.batch);
    }
    Ok(consumed)
}

/// Reads all tables for each tenant: one pass that chooses the persons, and one that reads their records.
fn tenants(connector: &cprflow::Connector, extract: &[u8], tenants: u16) -> Result<Consumed> {
    let mut consumed = Consumed::default();
    for tenant in 0..tenants {
        let mut policy = Policy::default();
        let youngest = tenant * 3 % 60;
        policy.persons.ages = Some((youngest, youngest + 30));
        let scan = cprflow::Scan::new(connector).policy(&policy);
        for rows in scan.read_with_policy(|| Ok(Cursor::new(extract)))? {
            consumed.add(&rows?.batch);
        }
    }
    Ok(consumed)
}

/// Writes the rows of a question's tables as CSV, without cprflow's own columns.
fn write_csv(extract: &[u8], question: &Question) -> Result<Vec<Csv>> {
    let mut tables: BTreeMap<&'static str, (SchemaRef, arrow_csv::Writer<Vec<u8>>)> =
        BTreeMap::new();
    native_batches(extract, question, |table, batch| {
        let fields = batch.schema();
        let fields = fields.fields().iter().enumerate().filter(|(_, field)| {
            field.name() != "line" && !matches!(field.data_type(), DataType::Map(..))
        });
        let batch = batch.project(&fields.map(|(index, _)| index).collect::<Vec<_>>())?;
        let (_, writer) = tables.entry(table).or_insert_with(|| {
            let writer = arrow_csv::WriterBuilder::new().with_header(false);
            (batch.schema(), writer.build(Vec::new()))
        });
        Ok(writer.write(&batch)?)
    })?;
    let csv = tables.into_values().map(|(schema, writer)| Csv {
        schema,
        text: writer.into_inner(),
    });
    Ok(csv.collect())
}

/// Reads CSV with arrow-csv.
fn read_csv(csv: &[Csv], question: &Question) -> Result<Consumed> {
    let batch_rows = match question.batch_rows {
        0 => CSV_BATCH_ROWS,
        rows => rows.try_into()?,
    };
    let mut consumed = Consumed::default();
    for table in csv {
        let reader = arrow_csv::ReaderBuilder::new(Arc::clone(&table.schema))
            .with_batch_size(batch_rows)
            .build_buffered(table.text.as_slice())?;
        for batch in reader {
            consumed.add(&batch?);
        }
    }
    Ok(consumed)
}
