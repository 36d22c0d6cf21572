//! Measures a scan of all tables that writes Parquet, compared with writing the same batches from memory.
//!
//! The extract is generated and kept in memory: 1000 MB of lines without trailing spaces, or as many MB as the second
//! argument says. Both write to a temporary directory, in turn: `cprflow scan --all --format parquet` does the same, from
//! a file. The medians and their ratio are printed.
//!
//! `cargo bench -p cprflow --bench parquet -- [ROUNDS] [MB]`

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use cprflow::{Connector, Error, ParquetDirectory, Scan, TableBatch};
use cprflow_connector::generate::{self, Settings};

/// The approximate size of a generated person in an extract, in bytes.
const BYTES_OF_A_PERSON: u64 = 1710;

/// Writes batches to Parquet files and returns the time and the number of rows.
fn write(
    batches: impl Iterator<Item = Result<TableBatch, Error>>,
    directory: &Path,
    begin: Instant,
) -> Result<(Duration, usize), Error> {
    let mut tables = ParquetDirectory::create(directory, true)?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        rows += batch.batch.num_rows();
        tables.write(&batch.table, &batch.batch)?;
    }
    tables.finish()?;
    Ok((begin.elapsed(), rows))
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    median.as_secs_f64()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo test` also runs benchmarks, without `--bench`. Then nothing is measured.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let (rounds, megabytes) = (numbers.next().unwrap_or(5), numbers.next().unwrap_or(1000));
    let mut extract = Vec::new();
    let persons = megabytes * 1_000_000 / BYTES_OF_A_PERSON;
    generate::status(&Settings::busy(persons, 1), &mut extract)?;
    let connector = Connector::embedded()?;
    let scan = Scan::new(&connector);
    let batches: Vec<TableBatch> = scan
        .clone()
        .read_all(&extract[..])?
        .collect::<Result<_, _>>()?;
    let directory = tempfile::tempdir()?;
    let mut times = [Vec::new(), Vec::new()];
    // The first round warms up.
    for round in 0..=rounds {
        let begin = Instant::now();
        let (alone, written) = write(batches.iter().cloned().map(Ok), directory.path(), begin)?;
        let begin = Instant::now();
        let scanned = scan.clone().read_all(&extract[..])?;
        let (whole, rows) = write(scanned, directory.path(), begin)?;
        if rows != written {
            return Err("the scan gave other rows than before".into());
        }
        if round > 0 {
            times[0].push(alone);
            times[1].push(whole);
        }
    }
    let [alone, whole] = times.each_mut().map(|times| median(times));
    writeln!(
        std::io::stdout(),
        "{} MB: writing {alone:.2} s, scanning and writing {whole:.2} s, ratio {:.2}",
        extract.len() / 1_000_000,
        whole / alone
    )?;
    Ok(())
}
