//! Measures a scan in the sandbox with one thread and with several, in turn.
//!
//! The extract is generated and kept in memory: about 200 MB of lines without trailing spaces. Four
//! questions are asked: all tables, one table, and from the records of that table alone the whole of it, and two columns and 1 % of
//! its rows. Every batch is consumed: the bytes of its buffers are summed. The medians and their ratio are printed.
//!
//! `cargo bench -p cprflow --bench threads -- [ROUNDS] [THREADS]`

use std::io::Write;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayData, AsArray, RecordBatch};
use arrow::datatypes::Date32Type;
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
fn run(scan: &Scan, extract: &[u8], threads: usize) -> Result<(Duration, usize), Error> {
    let begin = Instant::now();
    let (mut rows, mut total) = (0, 0_u64);
    for batch in scan.clone().threads(threads).read_all(extract)? {
        let batch: RecordBatch = batch?.batch;
        rows += batch.num_rows();
        for column in batch.columns() {
            total = total.wrapping_add(sum(&column.to_data()));
        }
    }
    std::hint::black_box(total);
    Ok((begin.elapsed(), rows))
}

/// Returns the day after which 1 % of the persons were born.
fn youngest(person: &Scan, extract: &[u8]) -> Result<String, Box<dyn std::error::Error>> {
    let mut births = Vec::new();
    for batch in person.clone().columns(["birth_date"]).read_all(extract)? {
        let batch = batch?.batch;
        births.extend(
            batch
                .column(0)
                .as_primitive::<Date32Type>()
                .iter()
                .flatten(),
        );
    }
    births.sort_unstable();
    let day = births
        .get(births.len() * 99 / 100)
        .ok_or("no person has a day of birth")?;
    let day = Date32Type::to_naive_date_opt(*day).ok_or("a day of birth is out of range")?;
    Ok(day.to_string())
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
    // Five times, about 44 MB, because reading less would mostly be the start of a scan.
    let records = |record_type: &str| {
        let lines = extract.split_inclusive(|byte| *byte == b'\n');
        lines
            .filter(move |line| line.starts_with(record_type.as_bytes()))
            .collect::<Vec<_>>()
    };
    let of_persons = [records("000"), records("001").repeat(5), records("999")]
        .concat()
        .concat();
    let connector = Connector::embedded()?;
    let all = Scan::new(&connector);
    let person = all.clone().table("person");
    let columns = person.clone().columns(["pnr", "birth_date"]);
    let few = columns.where_(format!(
        "birth_date > '{}'",
        youngest(&person, &of_persons)?
    ));
    let mut out = std::io::stdout();
    for (name, scan, extract) in [
        ("all tables", &all, &extract),
        ("one table", &person, &extract),
        ("its records alone", &person, &of_persons),
        (
            "two columns and 1 % of the rows of its records alone",
            &few,
            &of_persons,
        ),
    ] {
        let mut times = [Vec::new(), Vec::new()];
        let mut rows = [0, 0];
        // The first round warms up.
        for round in 0..=rounds {
            for (index, threads) in [1, threads].into_iter().enumerate() {
                let (time, count) = run(scan, extract, threads)?;
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
            "{name}: 1 thread {:.0} MB/s, {threads} threads {:.0} MB/s, {:.2} ms, ratio {:.2}",
            rate(one),
            rate(several),
            several.as_secs_f64() * 1e3,
            one.as_secs_f64() / several.as_secs_f64()
        )?;
    }
    Ok(())
}
