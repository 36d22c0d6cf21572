//! Files that end too early, at any byte: all complete records are returned, and the missing end is reported.

use cprflow::{Error, Scan};
use cprflow_tests::extract;
use cprflow_tests::layout_data;
use cprflow_tests::reference_reader;
use cprflow_tests::rows::{self, scan};

/// A lost connection or a full disk can end a file at any byte.
#[test]
fn reads_a_file_that_ends_at_any_byte() {
    let rules = layout_data::rules();
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
            "ends after {length} bytes: {:?}",
            scanned.error
        );
        let expected = reference_reader::expected(
            &rules,
            reference_reader::records_of_lines(&extract[..length]),
        );
        assert_eq!(scanned.tables(), expected, "ends after {length} bytes");
        assert!(
            scanned
                .findings()
                .contains(&"error missing-end 1".to_owned()),
            "ends after {length} bytes"
        );
    }
}

/// An incomplete start record must not be taken for another CPR product.
#[test]
fn reports_a_short_start_record_as_a_missing_end() {
    for length in 3..13 {
        let scanned = scan(&b"00000000000004311012001111620011115"[..length]);
        assert!(
            scanned.error.is_none(),
            "ends after {length} bytes: {:?}",
            scanned.error
        );
        assert!(
            scanned
                .findings()
                .contains(&"error missing-end 1".to_owned()),
            "ends after {length} bytes"
        );
    }
}

#[test]
fn reads_a_packed_file_that_ends_at_any_byte() {
    let rules = layout_data::rules();
    let extract = extract::packed(1, 8);
    let records = reference_reader::records_of_packed(&rules, &extract, 121, 382);
    let mut end = 0;
    let mut whole = Vec::new();
    for record in records
        .iter()
        .take_while(|record| !record.starts_with(b"999"))
    {
        for cut in 1..=record.len() {
            let length = end + cut;
            // The test above covers an end within the start record.
            if length < 13 {
                continue;
            }
            let scanned = scan(&extract[..length]);
            assert!(
                scanned.error.is_none(),
                "ends after {length} bytes: {:?}",
                scanned.error
            );
            whole.push(&extract[end..length]);
            let expected = reference_reader::expected(&rules, whole.iter().copied());
            assert_eq!(scanned.tables(), expected, "ends after {length} bytes");
            assert!(
                scanned
                    .findings()
                    .contains(&"error missing-end 1".to_owned()),
                "ends after {length} bytes"
            );
            whole.pop();
        }
        whole.push(record);
        end += record.len();
    }
    assert!(whole.len() > 10);
}

#[test]
fn reports_a_read_error() {
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
