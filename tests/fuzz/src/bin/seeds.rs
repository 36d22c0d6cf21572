//! Writes the seeds that fuzzing begins with: `cargo run --bin seeds` in this directory.
//!
//! Small extracts of persons who do not exist, in every shape, and the batches that a scan of one gives.

use std::fs;
use std::path::Path;

use cprflow_connector::emit::Shape;
use cprflow_connector::generate::{Settings, changes, status};
use cprflow_connector::ipc::Encoder;
use cprflow_connector::schema::all_tables;
use cprflow_connector::{Scan, ScanOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    fs::create_dir_all(corpus.join("scan"))?;
    fs::create_dir_all(corpus.join("decode"))?;
    for shape in [Shape::Trimmed, Shape::Full, Shape::Packed] {
        let mut settings = Settings::new(2, 1);
        settings.shape = shape;
        let mut extract = vec![63];
        status(&settings, &mut extract)?;
        fs::write(corpus.join(format!("scan/status-{shape:?}").to_lowercase()), extract)?;
        settings.persons = 20;
        let mut extract = vec![254];
        changes(&settings, 1, &mut extract)?;
        extract.truncate(4000);
        fs::write(corpus.join(format!("scan/changes-{shape:?}").to_lowercase()), extract)?;
    }
    let mut extract = Vec::new();
    status(&Settings::new(500, 1), &mut extract)?;
    let options = ScanOptions {
        batch_rows: 2,
        ..ScanOptions::default()
    };
    let mut scan = Scan::open(&options, None)?;
    scan.push(extract)?;
    scan.finish()?;
    let mut seen = Vec::new();
    while let Some(rows) = scan.next()? {
        let name = rows.table.name();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let place = all_tables().position(|table| table == rows.table);
        let mut seed = vec![place.unwrap_or_default() as u8, rows.batch.num_rows() as u8];
        seed.extend(Encoder::default().encode(&rows.batch)?);
        fs::write(corpus.join("decode").join(name), seed)?;
    }
    Ok(())
}
