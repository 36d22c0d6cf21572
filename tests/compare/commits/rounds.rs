//! Answers questions about an extract and prints how long each took. `compare.py` builds it with two commits of cprflow.
//!
//! Each line of the input is a question: `sandboxed` or `native`, and a table or `*`. The answer is the time in seconds, the
//! number of rows, and the sum of all buffers in words of eight bytes, which must be the same with both commits.

use std::io::{BufRead, Write};
use std::time::Instant;

use arrow::array::{Array, ArrayData, RecordBatch};
use cprflow_connector::{ScanOptions, TableRequest};

const BLOCK: usize = 256 * 1024;

#[derive(Default)]
struct Total {
    rows: usize,
    sum: u64,
}

impl Total {
    fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows();
        for column in batch.columns() {
            self.add_data(&column.to_data());
        }
    }

    fn add_data(&mut self, data: &ArrayData) {
        for buffer in data.buffers() {
            let (words, _) = buffer.as_slice().as_chunks::<8>();
            let sum = words.iter().map(|word| u64::from_le_bytes(*word));
            self.sum = self.sum.wrapping_add(sum.fold(0, u64::wrapping_add));
        }
        data.child_data()
            .iter()
            .for_each(|child| self.add_data(child));
    }
}

fn sandboxed(
    connector: &cprflow::Connector,
    extract: &[u8],
    table: Option<&str>,
) -> Result<Total, cprflow::Error> {
    let mut scan = cprflow::Scan::new(connector);
    if let Some(table) = table {
        scan = scan.table(table);
    }
    let mut total = Total::default();
    for batch in scan.read_all(extract)? {
        total.add(&batch?.batch);
    }
    Ok(total)
}

fn native(extract: &[u8], table: Option<&str>) -> Result<Total, cprflow_connector::Error> {
    let request = |name: &str| TableRequest {
        name: name.to_owned(),
        ..TableRequest::default()
    };
    let options = ScanOptions {
        tables: table.map(|name| vec![request(name)]),
        ..ScanOptions::default()
    };
    let mut scan = cprflow_connector::Scan::open(&options, None)?;
    let mut total = Total::default();
    for block in extract.chunks(BLOCK) {
        scan.push(block.to_vec())?;
        while let Some(batch) = scan.next()? {
            total.add(&batch.batch);
        }
    }
    scan.finish()?;
    while let Some(batch) = scan.next()? {
        total.add(&batch.batch);
    }
    Ok(total)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("name an extract")?;
    let extract = std::fs::read(path)?;
    let connector = cprflow::Connector::embedded()?;
    let mut answers = std::io::stdout();
    for question in std::io::stdin().lock().lines() {
        let question = question?;
        let (way, table) = question.split_once(' ').ok_or("no table")?;
        let table = Some(table).filter(|table| *table != "*");
        let begin = Instant::now();
        let total = match way {
            "native" => native(&extract, table)?,
            _ => sandboxed(&connector, &extract, table)?,
        };
        let seconds = begin.elapsed().as_secs_f64();
        writeln!(answers, "{seconds} {} {}", total.rows, total.sum)?;
        answers.flush()?;
    }
    Ok(())
}
