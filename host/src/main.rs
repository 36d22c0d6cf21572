//! The command `cprflow`.
use cprflow as _;
fn main() {
    let t = std::time::Instant::now();
    let c = cprflow::Connector::embedded().unwrap();
    eprintln!("load {:?}", t.elapsed());
    let path = std::env::args().nth(1).unwrap();
    let t = std::time::Instant::now();
    let mut s = cprflow::Scan::new(&c);
    if let Some(table) = std::env::args().nth(2) {
        s = s.table(table);
    }
    let mut r = s.read_all(std::fs::File::open(&path).unwrap()).unwrap();
    let mut n = 0;
    for b in &mut r {
        n += b.unwrap().batch.num_rows();
    }
    let e = t.elapsed();
    eprintln!(
        "{n} rows {:?} {:.0} MB/s",
        e,
        r.bytes_read() as f64 / 1e6 / e.as_secs_f64()
    );
    eprintln!("{:#?}", r.summary().unwrap().findings);
}
