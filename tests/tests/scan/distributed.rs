//! Parts of an extract that other processes read. `cprflow_tests::threads` compares them with one scan in many tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::io::Cursor;

use cprflow::{Error, PartRefusal, Policy, RequestError, Scan, ScanPart};
use cprflow_tests::extract;
use cprflow_tests::rows::connector;
use cprflow_tests::threads::divided;

fn table(name: &str) -> Scan {
    Scan::new(connector()).table(name)
}

fn parts_of(scan: Scan, bytes: &[u8]) -> Vec<ScanPart> {
    scan.divide(4_000, || Ok(Cursor::new(bytes))).unwrap().parts
}

/// With small parts there are many, and conditions, columns and record numbers are those of the whole extract.
#[test]
fn an_extract_in_lines_is_divided() {
    for bytes in [
        extract::small(300, 5),
        extract::join(&extract::lines(&extract::small(300, 5)), b"\r\n"),
    ] {
        let whole = |scan: Scan| -> Vec<_> {
            scan.threads(1)
                .read(bytes.as_slice())
                .unwrap()
                .map(|batch| batch.unwrap().num_rows())
                .collect()
        };
        let (rows, parts) = divided(&Scan::new(connector()), "person", &bytes, 4_000).unwrap();
        assert_eq!(rows.unwrap().num_rows(), 300);
        assert!(parts > 10, "{parts}");
        let scan = || {
            table("person")
                .columns(["line", "pnr"])
                .where_("pnr is not null")
        };
        let mut lines = Vec::new();
        for part in parts_of(scan(), &bytes) {
            for batch in Scan::new(connector())
                .read_part(&part, Cursor::new(&bytes))
                .unwrap()
            {
                let batch = batch.unwrap();
                assert_eq!(batch.num_columns(), 2);
                let column = batch
                    .column(0)
                    .as_any()
                    .downcast_ref::<arrow::array::Int64Array>()
                    .unwrap()
                    .clone();
                lines.extend(column.values().iter().copied());
            }
        }
        assert_eq!(lines.len(), whole(scan()).iter().sum::<usize>());
        assert!(lines.is_sorted() && lines[0] == 2, "{:?}", &lines[..3]);
    }
}

#[test]
fn what_cannot_be_divided_is_one_part() {
    let bytes = extract::small(300, 5);
    let packed = extract::packed(300, 5);
    let count = |scan: Scan, bytes: &[u8]| parts_of(scan, bytes).len();
    assert!(count(table("person"), &bytes) > 10);
    assert_eq!(count(table("person"), &packed), 1);
    assert_eq!(count(table("person").limit(5), &bytes), 1);
    assert_eq!(count(table("person").where_("line > 5"), &bytes), 1);
    assert_eq!(count(table("delivery_start"), &bytes), 1);
    // Under a policy that hides numbers, the place of a part would show which rows belong together.
    let mut policy = Policy::default();
    assert!(count(table("person").policy(&policy), &bytes) > 10);
    policy.numbers = cprflow::policy::NumberRule::Drop;
    let columns = table("person").columns(["sex"]).policy(&policy);
    assert_eq!(count(columns, &bytes), 1);
}

#[test]
fn other_extracts_policies_and_components_are_refused() {
    let bytes = extract::small(300, 5);
    let mut policy = Policy::default();
    let part = parts_of(table("person").policy(&policy), &bytes).remove(3);
    let refusal = |policy: Option<&Policy>, bytes: &[u8]| {
        let scan = Scan::new(connector());
        let scan = policy.into_iter().fold(scan, Scan::policy);
        match scan.read_part(&part, Cursor::new(bytes.to_vec())) {
            Err(Error::Request(RequestError::Part(refusal))) => Some(refusal),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        }
    };
    assert_eq!(refusal(Some(&policy), &bytes), None);
    assert_eq!(refusal(None, &bytes), Some(PartRefusal::OtherPolicy));
    let longer = [&bytes[..], b"\n"].concat();
    assert_eq!(
        refusal(Some(&policy), &longer),
        Some(PartRefusal::OtherExtract)
    );
    let mut other_date = bytes.clone();
    other_date[24] ^= 1;
    assert_eq!(
        refusal(Some(&policy), &other_date),
        Some(PartRefusal::OtherExtract)
    );
    policy.persons.municipality_codes = Some(vec!["0101".to_owned()]);
    assert_eq!(
        refusal(Some(&policy), &bytes),
        Some(PartRefusal::OtherPolicy)
    );
    // Bytes that are no part.
    let whole = part.to_bytes();
    for changed in [
        &b""[..],
        b"part",
        &whole[..20],
        &whole[..whole.len() - 1],
        &[&whole[..], b"x"].concat(),
    ] {
        let read = ScanPart::from_bytes(changed);
        assert!(matches!(
            read,
            Err(Error::Request(RequestError::Part(PartRefusal::Unreadable)))
        ));
    }
    // Of another component.
    let text = String::from_utf8_lossy(&whole[8..400]).into_owned();
    let digest = connector().sha256();
    assert!(text.contains(digest));
    let at = 8 + text.find(digest).unwrap();
    let mut other = whole.clone();
    other[at] = if other[at] == b'0' { b'1' } else { b'0' };
    let other = ScanPart::from_bytes(&other).unwrap();
    let read = Scan::new(connector())
        .policy(&Policy::default())
        .read_part(&other, Cursor::new(&bytes));
    assert!(matches!(
        read,
        Err(Error::Request(RequestError::Part(
            PartRefusal::OtherComponent
        )))
    ));
}
