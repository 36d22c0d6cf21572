//! Extracts without addresses (record type 002), for a tenant whose scope is a municipality.

use std::collections::BTreeSet;

use cprflow_tests::extract;
use cprflow_tests::scope::{Scope, municipalities, texts};
use cprflow_tests::test_run::{TestRun, tables, transfer};

/// A delivery, and what the tenant gets of it.
struct Night<'a> {
    extract: Vec<u8>,
    /// The persons whose rows are shown.
    shown: BTreeSet<&'a String>,
    /// The reasons of the leavers.
    reasons: &'a [&'a str],
    /// Whether the report says that addresses are missing.
    is_remarked: bool,
}

/// An agreement may no longer order 002. Then it is not known who moved, and residents must not be told as leavers.
#[test]
fn an_agreement_that_stops_delivering_addresses() {
    let first = extract::small(200, 5);
    let home = municipalities(&first)[0].clone();
    let mut scope = Scope::new(&home);
    scope.apply(&first);
    let mut persons = scope.persons.iter();
    let (dead, moved) = (persons.next().unwrap(), persons.next().unwrap());
    let test = TestRun::local();
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n[tenant.here]\nagreements = [\"town\"]\npurpose = \"test\"\n\
         dataset = \"tenants/here\"\npersons = {{ municipalities = [\"{home}\"] }}\n"
    ));
    let remark = "the extract has persons, but no address (record type 002)";
    let status = |line: &mut Vec<u8>| {
        if line.starts_with(b"001") && line[3..13] == *dead.as_bytes() {
            line[23..25].copy_from_slice(b"90");
        }
        true
    };
    let without_addresses = |line: &mut Vec<u8>| status(line) && !line.starts_with(b"002");
    let with_a_move = |line: &mut Vec<u8>| {
        if line.starts_with(b"002") && line[3..13] == *moved.as_bytes() {
            let code: &[u8] = if home == "0101" { b"0851" } else { b"0101" };
            line[13..17].copy_from_slice(code);
        }
        status(line)
    };
    let nights = [
        Night {
            extract: first.clone(),
            shown: scope.persons.iter().collect(),
            reasons: &[],
            is_remarked: false,
        },
        Night {
            extract: of(&first, "20260601", without_addresses),
            shown: BTreeSet::new(),
            reasons: &["dead"],
            is_remarked: true,
        },
        Night {
            extract: of(&first, "20260602", with_a_move),
            shown: scope.persons.iter().skip(2).collect(),
            reasons: &["moved"],
            is_remarked: false,
        },
    ];
    for (night, expected) in nights.into_iter().enumerate() {
        let Night {
            extract,
            shown,
            reasons,
            is_remarked,
        } = expected;
        test.put(
            &format!("d26060{night}.l431101"),
            &extract,
            &transfer(night as u32),
        );
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
        assert_eq!(
            ended.text().contains(remark),
            is_remarked,
            "{}",
            ended.text()
        );
        let (directory, _) = test.published_to("here").pop().unwrap();
        let found = tables(&directory);
        let persons = texts(&found["person"], "pnr");
        assert_eq!(
            persons.iter().collect::<BTreeSet<_>>(),
            shown,
            "night {night}"
        );
        let told: Vec<_> = texts(&found["out_of_scope"], "reason")
            .into_iter()
            .collect();
        assert_eq!(told, reasons, "night {night}");
        assert_eq!(found["out_of_scope"].len(), reasons.len());
    }
}

/// Returns the extract with another production date and with the lines that `edit` changes and keeps.
fn of(extract: &[u8], date: &str, edit: impl Fn(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut lines = extract::lines(extract);
    lines.retain_mut(|line| edit(line));
    let count = lines.len() - 2;
    for line in &mut lines {
        match &line[..3] {
            b"000" => line[19..27].copy_from_slice(date.as_bytes()),
            b"999" => line[13..21].copy_from_slice(format!("{count:08}").as_bytes()),
            _ => {}
        }
    }
    extract::join(&lines, b"\n")
}
