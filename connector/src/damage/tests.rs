//! Tests of damaged lines.

use super::*;
use crate::record::classify;
use proptest::prelude::*;

fn damaged(line: &str) -> Option<DamagedProtection> {
    damaged_protection(classify(line.as_bytes()), line.as_bytes())
}

#[test]
fn reads_the_number_of_a_damaged_protection() {
    let of = Some(DamagedProtection::Of(101_010_010));
    for readable in [
        "004 01010100100001",
        "004010101 00100001",
        "004010101-00100001",
        "004\t01010100100001",
        "004010101 0010",
        "004010101 0010    2026-01-01",
        "004010101 001000012026-01-01",
        "004010101 001000012026-01-012027-01-01",
        "004010101 00100001          2027-01-01",
        " 00401010100100001",
        "\u{0}00401010100100001",
        "0O401010100100001",
        " 004 01010100100001",
        "  401010100100001",
        "0  01010100100001",
        "0 0401010100100001",
        "0-0-401010100100001",
        "OO401010100100001",
        "   01010100100001",
        "XY401010100100001",
        "X00401010100100001",
        "XX0040101010010",
        "0X0401010100100001",
        "0x0x401010100100001",
        "???01010100100001",
        "?5?01010100100001",
    ] {
        assert_eq!(damaged(readable), of, "{readable:?}");
    }
    // A digit is lost or replaced, so the number is unknown.
    for unknown in [
        "004",
        "0040101",
        "004010101 010",
        "004010101 0100001",
        "004010101 01000012026-01-01",
        "004010101 010    2026-01-01",
        "004010101X0100001",
        "004010101O0100001",
        "004          0001",
        "004 00000000000001",
        "004010101 00100001 0101010029",
        // Nothing can be read.
        "???????????????????????????",
        "0",
        "00",
        "  4",
        "?04",
        "   0101010",
        "0  0101 010",
        "\u{1}\u{1}",
        "5",
        "0X160676158100012020-01-01",
        // Bytes were lost or added before a number whose type of record cannot be read.
        "0401010100100001",
        "401010100100001",
        "101001000012020-01-01",
        "04010101001",
        "04010101001000",
        "0360101010010",
        // It may have been a record that ties two numbers.
        "0?20101010010",
        "???01010100100101",
        "???0101010010",
        // Bytes were lost before the date, so the number can be another one.
        "00401010100100012026-01-01",
        "0040101010010000120-01-012026-01-01",
    ] {
        assert_eq!(
            damaged(unknown),
            Some(DamagedProtection::Unknown),
            "{unknown:?}"
        );
    }
    // Not a protection, or not damaged.
    for other in [
        "00401010100100001",
        "0040101010010",
        "0410101010010SECRET",
        "",
        "    ",
    ] {
        assert_eq!(damaged(other), None, "{other:?}");
    }
}

#[test]
fn finds_a_protection_joined_to_a_longer_record() {
    let joined = |tail: &str| damaged(&format!("{:26}{tail}", "0070101010029"));
    assert_eq!(
        joined("00401010100100001"),
        Some(DamagedProtection::Of(101_010_010))
    );
    assert_eq!(
        joined("0040101010010"),
        Some(DamagedProtection::Of(101_010_010))
    );
    assert_eq!(joined("004010101 010"), Some(DamagedProtection::Unknown));
    assert_eq!(
        joined("00401010100100O01"),
        Some(DamagedProtection::Unknown)
    );
    assert_eq!(joined("00401010100100005"), None);
    assert_eq!(joined("MORE"), None);
    assert_eq!(joined(""), None);
}

#[test]
fn finds_a_protection_joined_to_another() {
    for dates in ["", "2026-01-01", "          2026-01-01"] {
        let line = format!("00401010100290003{dates}00401010100100001");
        assert_eq!(
            damaged(&line),
            Some(DamagedProtection::Of(101_010_010)),
            "{dates:?}"
        );
        let other = format!("00401010100290001{dates}00401010100100003");
        // Without dates the line can also be a 004 that has lost bytes.
        let expected = dates.is_empty().then_some(DamagedProtection::Unknown);
        assert_eq!(damaged(&other), expected, "{dates:?}");
    }
    // A year that ends with 004.
    assert_eq!(damaged("004010101001000012004-01-012004-01-01"), None);
}

#[test]
fn finds_the_protection_of_a_relative_whose_number_is_damaged() {
    for record_type in ["031", "032", "033"] {
        let record = |record_type: &str, key: &str, number: &str, date: &str| {
            let head = format!("{record_type}{key:10}{number:10}");
            damaged(format!("{head:259}{date}").trim_end())
        };
        let unknown = Some(DamagedProtection::Unknown);
        let unreadable = ["0101010 29", "010101002", "O101010029", "0000000000", ""];
        for number in unreadable {
            let found = record(record_type, "0101010010", number, "2026-01-01");
            assert_eq!(found, unknown, "{record_type} {number:?}");
            assert_eq!(record(record_type, "0101010010", number, ""), None);
            // The key cannot be read either.
            let found = record(record_type, "010101001", number, "2026-01-01");
            assert_eq!(found, unknown, "{record_type} {number:?}");
        }
        let of = Some(DamagedProtection::Of(101_010_029));
        let known = |kind, key| record(kind, key, "0101010029", "2026-01-01");
        assert_eq!(known(record_type, "0101010010"), None);
        assert_eq!(known(record_type, "O101010010"), of);
        assert_eq!(known(&record_type.replace("03", "0?"), "0101010010"), of);
        assert_eq!(record(record_type, "O101010010", "0101010029", ""), unknown);
    }
}

#[test]
fn finds_ties_of_numbers_that_cannot_be_read() {
    let unknown = Some(DamagedProtection::Unknown);
    for unreadable in [
        // A 001 with a valid number that is damaged, and one without a readable key.
        "001010101001031080662?560",
        "001010101001 310806622560",
        "0010101010010 1 ",
        "0?10101010010310806622560",
        // A 022 without a readable number, on either side.
        "0220101010010310806622 ",
        "022?1010100103108066225",
        "0220000000 103108066225",
        "02201010100100000000000",
        "0220101010010",
        "0?201010100103108066225",
    ] {
        assert_eq!(damaged(unreadable), unknown, "{unreadable:?}");
    }
    for other in [
        "001010101001031080662256",
        "0010101010010",
        "0010101010010          01",
        "0010101010010000000000001",
        "02201010100103108066225",
    ] {
        assert_eq!(damaged(other), None, "{other:?}");
    }
}

/// Every line that is no whole record may have been a protection or a tie.
#[test]
fn a_rejected_line_may_be_any_record() {
    for rejected in [
        "garbage",
        "and so on",
        "-- more text of a note that was on two lines --",
        "XYZ01010100100001",
        "034010101 00100001",
        "0080101X10010Anna",
        "001010190",
        "00101010100            01",
        "0012020-01-01",
        "0100012020-01-01",
        "020-01-01",
        " 022020290600201019060011990-01-01 2020-01-01",
        " 0010101906001020290600260199001010000 K2090-01-01 2090-01-01",
        "\u{1a}",
    ] {
        assert_eq!(damaged(rejected), UNKNOWN, "{rejected:?}");
    }
    let padding = RecordClass::Rejected(RejectReason::Padding);
    assert_eq!(damaged_protection(padding, b"\x1a"), None);
}

const UNKNOWN: Option<DamagedProtection> = Some(DamagedProtection::Unknown);

#[test]
fn a_record_of_a_new_type_is_no_other_record() {
    for new in [
        "7770101010010UKENDT",
        "0530101010010SOME TEXT 2026-01-01*2020-02-29",
        "0530101010010202611221011A45",
        "0530101010010199001010000 2026-01-01 TEXT 12345",
        "0530101010010TEXT 201911051299 000000000000",
        "9020101010010RØD 12 0265 1234",
        "0533102000001TEXT",
        "0536101010010TEXT",
        // A number without a day and a month, and one that is too short.
        "0530101010010TEXT 9999999999 010101001",
        "0530101010010TEXT 3213101234",
    ] {
        assert_eq!(damaged(new), None, "{new:?}");
    }
}

#[test]
fn a_record_of_an_unknown_type_may_be_another() {
    for other in [
        // No key.
        "053",
        "05301010100",
        "053010101X010TEXT",
        "0530000000000TEXT",
        "053          TEXT",
        // Not the number of a person: bytes of a 031 are lost.
        "0533113000001TEXT",
        "041560040606706006ZZZmor",
        // Only the characters of a 004, and no longer.
        "05301010100100001",
        "10190600100012020-01-01",
        "190600100012020-01-01",
        "9004010190600100012020-01-01",
        "0904010190600100012020-01-01",
        "0530101010010 2026-01-01",
        "0530101010010\t0001    ",
        // A possible number after the key.
        "9022020290600201019060011990-01-01 2020-01-01",
        "9220202906002010190600 1990-01-01 2020-01-01 0101906001",
        "9010101906001020290600260199001010000 K2090-01-01 2090-01-01",
        "903104041560040606706006ZZZmor",
        "9310404156004TEXT 0606706006",
        "0530101010010TEXT 6101906001",
        "0530101010010TEXT 9112906001",
        // Ten digits of a time that are a possible number.
        "0530101010010TEXT 200412311200",
        // Bytes lost or added before the key of a protection.
        "04010190600100012020-01-01 and more",
        "4010190600100012020-01-01 and more",
        "26019060010001 and more than a 004 can hold here",
        "9004010190600100012020-01-0? and more",
        "09004010190600100012020-01-0? and more",
        // Bytes lost before the key of a tie, and before that of a relative.
        "1501906001020290600260199001010000 K2090-01-01 and more",
        "2215019060010202906002Anna",
        "3315019060010202906002Anna",
    ] {
        assert_eq!(damaged(other), UNKNOWN, "{other:?}");
    }
}

#[test]
fn a_protection_with_a_damaged_type_may_have_lost_bytes() {
    for lost in [
        "00401019060001-01",
        "0040101010010O001",
        "0040101010010-",
        "0040101010010 -01",
        "00401010100100\u{e6}01",
        // The type begins within the number.
        "0040101010010001",
        "004010101000001",
        "00401010100001",
        "0040101010001",
        "0040101010001    ",
        "004010101001000012026-01-0",
        // One of them on the same line cannot be read, or there are three.
        "00401010100290001004010101 00001",
        "00401010100100-0100401010100290001",
        "004010101001000010040101010029000100401010100370001",
    ] {
        assert_eq!(damaged(lost), UNKNOWN, "{lost:?}");
    }
    // Only the type is damaged, so the person is protected like others.
    for own in [
        "0040101010010",
        "0040101010010    ",
        "00401010100101",
        "0040101010010 1",
        "0040101010010\t",
        "0040101010010000",
        "0040101010010 001",
        "0040101010010    2026-01-01",
        "004010101001000012026-01-01",
        "00401010100109999",
    ] {
        assert_eq!(damaged(own), None, "{own:?}");
    }
}

#[test]
fn a_field_that_is_cut_off_is_neither_blank_nor_zeros() {
    for cut in [
        "00101019060010",
        "001010190600100",
        "0010101906001000000000",
        "001010190600102",
        "0010101906001 0",
        "0010101906001         0",
        "0220202906002",
        "02202029060020",
        "022020290600201019060",
        "02202029060020000000000",
        "0220202906002          1990-01-01",
        "022000000000002029060021990-01-01 2020-01-01",
        "02200000000000000000000",
        // The key of a 001 with another number.
        "001000000000002029060021990",
    ] {
        assert_eq!(damaged(cut), UNKNOWN, "{cut:?}");
    }
    for whole in [
        "0010101906001",
        "0010101906001  ",
        "00101019060010000000000",
        "0010101906001000000000001",
        "0010101906001          01",
        "0010000000000          01",
        "022020290600201019060011990-01-01 2020-01-01",
    ] {
        assert_eq!(damaged(whole), None, "{whole:?}");
    }
}

#[test]
fn a_relative_is_certain_only_where_every_value_fits() {
    let record = |head: &str, number: &str, date: &str| {
        let head = format!("{head}{number}ZZZmor");
        damaged(&format!("{head:259}{date}"))
    };
    let of = Some(DamagedProtection::Of(606_706_006));
    let date = "2020-01-01";
    assert_eq!(record("0310404X56004", "0606706006", date), of);
    assert_eq!(record("0?10404156004", "0606706006", date), of);
    // A byte was added or lost before the number.
    for (head, number, date) in [
        ("0310A4041560040", "606706006", " 2020-01-01"),
        ("0310404X5600", "0606706006", "2020-01-01"),
        ("0310404X56004", "0606706006", "020-01-01"),
        ("0310404X56004", "0606706006", "2020-01-01 more"),
        ("0310404X56004", "060670600?", "2020-01-01"),
        ("0310404X56004", "0606706006", ""),
    ] {
        assert_eq!(record(head, number, date), UNKNOWN, "{head:?} {date:?}");
    }
    // Without a key, no other rule reads the record.
    assert_eq!(record("0310000000000", "0606706006", date), of);
    assert_eq!(record("0310404156004", "0606706006", date), None);
}

#[test]
fn a_number_without_a_day_and_a_month_is_unreadable() {
    for impossible in [
        "9999810002",
        "0000810002",
        "3213101234",
        "5001010010",
        "9201010010",
    ] {
        for line in [
            format!("004{impossible}00012020-01-01"),
            format!("0010101010010{impossible}60"),
            format!("0220101010010{impossible}"),
            format!("022{impossible}0101010010"),
            format!("0310101010010{impossible}{:236}2020-01-01", ""),
        ] {
            assert_eq!(damaged(&line), Some(DamagedProtection::Unknown), "{line}");
        }
    }
    // The day of a number that is given without a birth date begins with 6 to 9.
    for possible in ["0101010010", "3112990010", "6101010010", "9112010010"] {
        for line in [
            format!("004{possible}00012020-01-01"),
            format!("0010101010010{possible}60"),
            format!("0220101010010{possible}"),
            format!("0310101010010{possible}{:236}2020-01-01", ""),
        ] {
            assert_eq!(damaged(&line), None, "{line}");
        }
    }
}

#[test]
fn a_protection_of_no_type_that_exists_with_dates_out_of_place_has_lost_bytes() {
    for moved in [
        "004010180000102020-01-01001",
        "00401018000010012020-01-01 2030-01-01",
    ] {
        assert_eq!(damaged(moved), Some(DamagedProtection::Unknown), "{moved}");
    }
    for in_place in ["004010180000100062020-01-01", "004010180000100022x20-01-01"] {
        assert_eq!(damaged(in_place), None, "{in_place}");
    }
}

/// Bytes as they stand in a 004, or as damage leaves them.
fn like_protection() -> impl Strategy<Value = String> {
    let number = prop_oneof!["[0-3][0-9][01][0-9]{7}", "[0-9]{10}", "(004)?[0-9]{7}"];
    let kind = prop_oneof![4 => "000[0-6]", 1 => "[0-9 ]{4}"];
    let date = || {
        prop_oneof![
            4 => "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
            1 => Just(" ".repeat(10)),
            1 => "0{10}",
            1 => "[0-9 -]{0,10}",
            1 => "004[0-9]{7}",
        ]
    };
    (number, kind, date(), date()).prop_map(|parts| {
        let (number, kind, from, to) = parts;
        format!("004{number}{kind}{from}{to}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_whole_protection_has_no_sign_of_damage(record in like_protection(), length in 13..=60_usize) {
        let record = &record.as_bytes()[..record.len().min(length)];
        let class = classify(record);
        let is_whole = is_whole_protection(record);
        if is_whole && record.len() <= 37 && class == RecordClass::Known(PROTECTION) {
            prop_assert_eq!(damaged_protection(class, record), None);
            prop_assert!(protection_type(record) != ProtectionType::Unreadable);
        }
    }
}

#[test]
fn usual_protections_are_whole() {
    for whole in [
        "004010101001000012020-01-01",
        "004010101001000012020-01-012030-00-00",
        "00401010100100003          2030-12-31",
        "00401010100100002",
    ] {
        assert!(is_whole_protection(whole.as_bytes()), "{whole}");
    }
    for other in [
        "0040101010010000520200-01-01",
        "004010101001000062020-01-01",
        "004320101001000012020-01-01",
        "0040101010010000",
    ] {
        assert!(!is_whole_protection(other.as_bytes()), "{other}");
    }
}
