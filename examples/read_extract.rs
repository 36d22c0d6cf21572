//! Generates an extract with fictitious persons, and counts its residents by decade of birth.
//!
//! `cargo run -p cprflow --example read_extract`
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::collections::BTreeMap;
use std::error::Error;

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use cprflow::{Connector, Scan};
use cprflow_connector::generate::{Settings, status};

fn main() -> Result<(), Box<dyn Error>> {
    let mut extract = Vec::new();
    status(&Settings::busy(2_000, 1), &mut extract)?;

    let connector = Connector::embedded()?;
    let mut rows = Scan::new(&connector)
        .table("person")
        .columns(["status", "birth_date"])
        .read(extract.as_slice())?;

    let mut residents: BTreeMap<i32, u32> = BTreeMap::new();
    for batch in &mut rows {
        let batch = batch?;
        let status = batch.column(0).as_string::<i32>();
        let born = batch.column(1).as_primitive::<Date32Type>();
        for (status, born) in status.iter().zip(born) {
            // A date is the number of days since 1970-01-01. The average year is exact enough for decades.
            if let (Some("01" | "03"), Some(born)) = (status, born) {
                let year = 1970 + (f64::from(born) / 365.2425).floor() as i32;
                *residents.entry(year.div_euclid(10) * 10).or_default() += 1;
            }
        }
    }
    for (decade, count) in residents {
        println!("{decade}s {count:5} {}", "▪".repeat(count as usize / 8));
    }

    // Only the summary tells whether the extract is complete. Check it before you use the result.
    let summary = rows.summary()?;
    println!(
        "{} records, {} findings",
        summary.records,
        summary.findings.len()
    );
    Ok(())
}
