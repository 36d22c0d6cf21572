//! Measures a scan in the sandbox with one thread and with several, in turn.
//!
//! The extract is generated and kept in memory: about 200 MB of lines without trailing spaces. Every batch is consumed: the
//! bytes of its buffers are summed. The medians and their ratio are printed.
//!
//! `cargo bench -p cprflow --bench threads -- [ROUNDS] [THREADS]`

use std::io::Write;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayData, RecordBatch};
use cprflow::{Connector, Error, Scan};
use cprflow_connector::generate::{self, Settings};

/// The number of persons in an extract of about 200 MB.
const PERSONS: u64 = 117_000;

/// Sums all bytes of the buffers of an array.
fn sum(data: &ArrayData) -> u64 {
    let bytes = data.buffers().iter().map(|buffer| {
        let (words, rest) = buffer.as_slice().as_chunks::<8>();
        let words = words.iter().map(|word| u64::from_le_bytes(*word));
        let rest = rest.iter().map(|byte| u64::from(*byte));
        words.chain(rest).fold(0, u64::wrapping_add)
    });
    let children = data.child_data().iter().map(sum);
    bytes.chain(children).fold(0, u64::wrapping_add)
}

/// Runs a scan and returns its time and the number of its rows.
fn run(
    connector: &Connector,
    extract: &[u8],
    table: Option<&str>,
    threads: usize,
) -> Result<(Duration, usize), Error> {
    let begin = Instant::now();
    let mut scan = Scan::new(connector).threads(threads);
    if let Some(table) = table {
        scan = scan.table(table);
    }
    let (mut rows, mut total) = (0, 0_u64);
    for batch in scan.read_all(extract)? {
        let batch: RecordBatch = batch?.batch;
        rows += batch.num_rows();
        for column in batch.columns() {
            total = total.wrapping_add(sum(&column.to_data()));
        }
    }
    std::hint::black_box(total);
    Ok((begin.elapsed(), rows))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<usize>().ok());
    let (rounds, threads) = (numbers.next().unwrap_or(7), numbers.next().unwrap_or(2));
    let mut extract = Vec::new();
    generate::status(&Settings::busy(PERSONS, 1), &mut extract)?;
    let connector = Connector::embedded()?;
    let mut out = std::io::stdout();
    for table in [None, Some("person")] {
        let mut times = [Vec::new(), Vec::new()];
        let mut rows = [0, 0];
        // The first round warms up.
        for round in 0..=rounds {
            for (index, threads) in [1, threads].into_iter().enumerate() {
                let (time, count) = run(&connector, &extract, table, threads)?;
                if round > 0 {
                    times[index].push(time);
                }
                rows[index] = count;
            }
        }
        assert_eq!(rows[0], rows[1], "the numbers of rows differ");
        let [mut one, mut several] = times;
        let (one, several) = (median(&mut one), median(&mut several));
        let rate = |time: Duration| extract.len() as f64 / 1e6 / time.as_secs_f64();
        writeln!(
            out,
            "{}: 1 thread {:.0} MB/s, {threads} threads {:.0} MB/s, ratio {:.2}",
            table.unwrap_or("all tables"),
            rate(one),
            rate(several),
            one.as_secs_f64() / several.as_secs_f64()
        )?;
    }
    Ok(())
}
