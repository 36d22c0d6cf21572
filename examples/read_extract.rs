//! Makes an extract of persons who do not exist, and counts its residents by year of birth.
//!
//! `cargo run --example read_extract`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;

use arrow::array::AsArray;
use arrow::datatypes::Date32Type;
use cprflow::{Connector, Scan};
use cprflow_connector::generate::{Settings, status};

fn main() -> Result<(), Box<dyn Error>> {
    let mut extract = Vec::new();
    status(&Settings::new(2_000, 1), &mut extract)?;

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
            // Days since 1970 to a decade: near enough for a picture.
            if let (Some("01" | "03"), Some(born)) = (status, born) {
                let year = 1970 + (f64::from(born) / 365.2425).floor() as i32;
                *residents.entry(year.div_euclid(10) * 10).or_default() += 1;
            }
        }
    }
    for (decade, count) in residents {
        println!("{decade}s {count:5} {}", "▪".repeat(count as usize / 8));
    }

    // Whether the extract was whole: nothing is a success before this is looked at.
    let summary = rows.summary()?;
    println!(
        "{} records, {} findings",
        summary.records,
        summary.findings.len()
    );
    Ok(())
}
