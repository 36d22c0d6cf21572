//! Measures how fast an extract becomes Arrow: natively and in the sandbox, all tables and one table.
//!
//! The extract is generated and kept in memory: about 200 MB of lines without trailing spaces. It is read in blocks of
//! 256 KiB, on one thread.
//!
//! - `native` uses the parser as a library and ends with Arrow batches.
//! - `sandboxed` is what users run: bytes are copied into the component, and batches come out as IPC messages. The host
//!   decodes and checks them, with a deadline on every call.
//!
//! `cargo bench -p cprflow --bench scan`

use std::hint::black_box;

use cprflow_connector::generate::{self, Settings};
use cprflow_connector::{ScanOptions, TableRequest};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

/// The number of persons in an extract of about 200 MB.
const PERSONS: u64 = 117_000;

/// The size of a block in bytes.
const BLOCK_BYTES: usize = 256 * 1024;

fn extract() -> Vec<u8> {
    let mut extract = Vec::new();
    let written = generate::status(&Settings::busy(PERSONS, 1), &mut extract);
    assert!(written.is_ok(), "the extract cannot be generated");
    extract
}

fn native(extract: &[u8], table: Option<&str>) -> Result<usize, cprflow_connector::Error> {
    let tables = table.map(|name| {
        vec![TableRequest {
            name: name.to_owned(),
            ..TableRequest::default()
        }]
    });
    let options = ScanOptions {
        tables,
        ..ScanOptions::default()
    };
    let mut scan = cprflow_connector::Scan::open(&options, None)?;
    let mut rows = 0;
    let mut blocks = extract.chunks(BLOCK_BYTES);
    loop {
        while let Some(batch) = scan.next()? {
            rows += black_box(batch).batch.num_rows();
        }
        match blocks.next() {
            Some(block) => scan.push(block.to_vec())?,
            None => break,
        }
    }
    scan.finish()?;
    while let Some(batch) = scan.next()? {
        rows += black_box(batch).batch.num_rows();
    }
    Ok(rows)
}

fn sandboxed(
    connector: &cprflow::Connector,
    extract: &[u8],
    table: Option<&str>,
) -> Result<usize, cprflow::Error> {
    let mut scan = cprflow::Scan::new(connector).threads(1);
    if let Some(table) = table {
        scan = scan.table(table);
    }
    let mut rows = 0;
    for batch in scan.read_all(extract)? {
        rows += black_box(batch?).batch.num_rows();
    }
    Ok(rows)
}

fn scan(criterion: &mut Criterion) {
    let extract = extract();
    let connector = cprflow::Connector::embedded();
    let Ok(connector) = connector else {
        panic!("the embedded component does not load");
    };
    let mut group = criterion.benchmark_group("scan");
    group
        .throughput(Throughput::Bytes(extract.len() as u64))
        .sampling_mode(SamplingMode::Flat)
        .sample_size(20);
    for (name, table) in [("all tables", None), ("one of many", Some("person"))] {
        group.bench_function(BenchmarkId::new("native", name), |bencher| {
            bencher.iter(|| native(&extract, table));
        });
        group.bench_function(BenchmarkId::new("sandboxed", name), |bencher| {
            bencher.iter(|| sandboxed(&connector, &extract, table));
        });
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
