//! Files that end too early, at any byte: nothing before it is lost or changed, and it is told.

use cprflow::{Error, Scan};
use cprflow_tests::cut;
use cprflow_tests::extract;
use cprflow_tests::rows::{self, scan};

/// The connection broke, or the disk was full: whatever the byte, nothing before it is lost or changed.
#[test]
fn a_file_cut_at_every_byte() {
    let rules = cut::rules_of_product();
    let extract = extract::small(1, 8);
    let end = extract
        .windows(4)
        .position(|bytes| bytes == b"\n999")
        .unwrap()
        + 4;
    for length in 13..end {
        let scanned = scan(&extract[..length]);
        assert!(
            scanned.error.is_none(),
            "cut at {length}: {:?}",
            scanned.error
        );
        let expected = cut::expected(&rules, cut::records_of_lines(&extract[..length]));
        assert_eq!(scanned.tables(), expected, "cut at {length}");
        assert!(
            scanned
                .findings()
                .contains(&"error missing-end 1".to_owned()),
            "cut at {length}"
        );
    }
}

/// So little of a file says nothing of another product.
#[test]
fn a_start_record_cut_short_is_a_file_cut_off() {
    for length in 3..13 {
        let scanned = scan(&b"00000000000004311012001111620011115"[..length]);
        assert!(
            scanned.error.is_none(),
            "cut at {length}: {:?}",
            scanned.error
        );
        assert!(
            scanned
                .findings()
                .contains(&"error missing-end 1".to_owned()),
            "cut at {length}"
        );
    }
}

#[test]
fn a_file_without_line_ends_cut_at_every_byte() {
    let rules = cut::rules_of_product();
    let extract = extract::packed(1, 8);
    let records = cut::records_of_packed(&rules, &extract, 121, 382);
    let mut end = 0;
    let mut whole = Vec::new();
    for record in records
        .iter()
        .take_while(|record| !record.starts_with(b"999"))
    {
        for cut in 1..=record.len() {
            let length = end + cut;
            // Cut within the start record: see above.
            if length < 13 {
                continue;
            }
            let scanned = scan(&extract[..length]);
            assert!(
                scanned.error.is_none(),
                "cut at {length}: {:?}",
                scanned.error
            );
            whole.push(&extract[end..length]);
            let expected = cut::expected(&rules, whole.iter().copied());
            assert_eq!(scanned.tables(), expected, "cut at {length}");
            assert!(
                scanned
                    .findings()
                    .contains(&"error missing-end 1".to_owned()),
                "cut at {length}"
            );
            whole.pop();
        }
        whole.push(record);
        end += record.len();
    }
    assert!(whole.len() > 10);
}

#[test]
fn an_input_that_breaks_off() {
    struct Broken(Vec<u8>);
    impl std::io::Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            if count == 0 {
                Err(std::io::ErrorKind::ConnectionReset.into())
            } else {
                Ok(count)
            }
        }
    }
    let input = Broken(extract::small(5, 1));
    let mut batches = Scan::new(rows::connector()).read_all(input).unwrap();
    let error = batches.find_map(Result::err).unwrap();
    assert!(matches!(error, Error::Input(_)), "{error:?}");
    assert!(batches.next().is_none());
}
