#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "temporary"
)]
use cprflow_connector::*;
use std::io::Read;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let tables = std::env::args().nth(2).map(|name| {
        vec![TableRequest {
            name,
            columns: None,
        }]
    });
    let t = std::time::Instant::now();
    let mut f = std::fs::File::open(&path).unwrap();
    let mut s = Scan::open(
        &ScanOptions {
            tables,
            ..Default::default()
        },
        None,
    )
    .unwrap();
    let (mut n, mut bytes) = (0, 0);
    let mut buf = vec![0; 1 << 20];
    loop {
        while let Some(b) = s.next().unwrap() {
            n += b.batch.num_rows();
        }
        let c = f.read(&mut buf).unwrap();
        if c == 0 {
            s.finish().unwrap();
            break;
        }
        bytes += c;
        s.push(buf[..c].to_vec()).unwrap();
    }
    while let Some(b) = s.next().unwrap() {
        n += b.batch.num_rows();
    }
    let e = t.elapsed();
    println!(
        "{n} rows {e:?} {:.0} MB/s native",
        bytes as f64 / 1e6 / e.as_secs_f64()
    );
}
