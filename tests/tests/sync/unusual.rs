//! Deliveries that can be read and are not what they should be: from the future, already published, or of another kind.

use cprflow_tests::extract;
use cprflow_tests::reference_reader::Value;
use cprflow_tests::test_run::{TestRun, tables, transfer};

/// An extract of one person, produced on this day (`YYYYMMDD`) after one of the day before.
fn produced_on(day: &str, status: &str) -> Vec<u8> {
    let start = format!("000{:10}431101{day}20260301", "0000000000");
    let person = format!("0010101010101{:10}{status}202603010000 K1926-03-03", "");
    let end = format!("999{:010}{:08}", 0, 1);
    extract::join(&[start, person, end].map(String::into_bytes), b"\n")
}

#[test]
fn sets_aside_a_delivery_from_the_future() {
    let test = TestRun::local();
    let future = produced_on("20991231", "01");
    test.put("future", &future, &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.text().contains("(future-date)"), "{}", ended.text());
    assert!(test.published().is_empty());
    let retry = |more: &[&str]| {
        let arguments = [&["future", "--unrestricted", "test"], more].concat();
        test.run("retry", &arguments)
    };
    for (more, expected) in [
        (&[][..], "(future-date)"),
        (&["--accept", "future-date"], "Add --as-of YYYY-MM-DD"),
        (&["--as-of", "2026-03-02"], "Add --accept future-date"),
        (
            &["--accept", "future-date", "--as-of", "2099-12-31"],
            "give a day up to today",
        ),
    ] {
        let ended = retry(more);
        let text = format!("{}{}", ended.stderr, ended.text());
        assert_ne!(ended.code, 0, "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(test.published().is_empty());
    }
    let ended = retry(&["--accept", "future-date", "--as-of", "2026-03-02"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    // The next night is newer than the delivery, not late.
    let next = produced_on("20260303", "90");
    test.put("next", &next, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(!ended.text().contains("late"), "{}", ended.text());
    assert_eq!(test.published_files(), ["future", "next"]);
    let published = test.published().into_iter();
    let dates: Vec<_> = published
        .map(|(_, manifest)| manifest.production_date)
        .collect();
    assert_eq!(dates, ["2026-03-02", "2026-03-03"]);
}

#[test]
fn a_delivery_with_a_usable_date_keeps_it() {
    let test = TestRun::local();
    test.put("d", &produced_on("20260302", "01"), &transfer(1));
    assert_eq!(test.run("set-aside", &["d", "--reason", "wait"]).code, 0);
    let arguments = ["d", "--unrestricted", "test", "--as-of", "2026-03-01"];
    let ended = test.run("retry", &arguments);
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("Leave --as-of out"),
        "{}",
        ended.stderr
    );
}

/// The person is 99 years old on 2 March 2026, 100 on the next day, and 173 in 2099.
#[test]
fn ages_and_leavers_are_of_the_day_that_a_person_gave() {
    let test = TestRun::local();
    test.configure(
        "[agreement.a]\ninbox = \"inbox\"\n[tenant.old]\nagreements = [\"a\"]\npurpose = \"p\"\n\
         dataset = \"tenants/old\"\npersons = { statuses = [\"01\"], ages = [99, 99] }\n",
    );
    test.put("first", &produced_on("20260302", "01"), &transfer(1));
    assert_eq!(test.sync().code, 0);
    test.put("future", &produced_on("20991231", "01"), &transfer(2));
    assert_eq!(test.sync().code, 1);
    let arguments = ["future", "--accept", "future-date", "--as-of", "2026-03-03"];
    assert_eq!(test.run("retry", &arguments).code, 0);
    let published = test.published_to("old");
    let counts = published.iter().map(|(_, manifest)| {
        let tenant = manifest.tenant.as_ref().unwrap();
        (tenant.persons, tenant.left)
    });
    assert_eq!(counts.collect::<Vec<_>>(), [(1, 0), (0, 1)]);
    let left = &tables(&published[1].0)["out_of_scope"];
    assert_eq!(left.len(), 1);
    // 3 March 2026, in days since 1970.
    assert!(
        left[0].contains(&("date".to_owned(), Value::Days(20515))),
        "{left:?}"
    );
}

#[test]
fn sets_aside_bytes_that_are_published() {
    let test = TestRun::local();
    let bytes = extract::small(20, 1);
    test.put("d", &bytes, &transfer(1));
    assert_eq!(test.sync().code, 0);
    test.put("again", &bytes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.text().contains("(same-content)"), "{}", ended.text());
    assert!(ended.text().contains(&transfer(1)), "{}", ended.text());
    assert_eq!(test.remote(), ["again", "again.metadata"]);
    test.assert_published(&[&bytes]);
    let accept = [
        "again",
        "--accept",
        "same-content",
        "--unrestricted",
        "test",
    ];
    assert_eq!(test.run("retry", &accept).code, 0);
    test.assert_published(&[&bytes, &bytes]);
}

/// A ledger that was made again from the dataset of a tenant knows the extract by a digest with a key only.
#[test]
fn sets_aside_bytes_that_are_published_to_a_tenant_after_the_ledger_is_lost() {
    let test = TestRun::local();
    test.configure(
        "[agreement.a]\ninbox = \"inbox\"\n[tenant.t]\nagreements = [\"a\"]\npurpose = \"p\"\n\
         dataset = \"tenants/t\"\n",
    );
    let bytes = extract::small(20, 1);
    test.put("d", &bytes, &transfer(1));
    assert_eq!(test.sync().code, 0);
    test.remove_ledger();
    test.put("again", &bytes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.text().contains("(same-content)"), "{}", ended.text());
    assert_eq!(test.published_to("t").len(), 1);
}

/// Two agreements may order the same persons, so that their first deliveries can be equal.
#[test]
fn publishes_equal_deliveries_of_two_agreements() {
    let test = TestRun::local();
    test.configure(
        "[agreement.a]\ninbox = \"inbox\"\nfiles = { name = 'a.*' }\nunrestricted = \"test\"\n\
         [agreement.b]\ninbox = \"inbox\"\nfiles = { name = 'b.*' }\nunrestricted = \"test\"\n",
    );
    let bytes = extract::small(20, 1);
    test.put("a1", &bytes, &transfer(1));
    test.put("b1", &bytes, &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_eq!(test.published().len(), 2);
}

#[test]
fn sets_aside_a_delivery_in_which_nothing_is_known() {
    let test = TestRun::local();
    let start = format!("000{:10}43110120260302", "0000000000");
    let foreign = |record: &str| {
        let lines = [
            start.clone(),
            record.to_owned(),
            format!("999{:010}{:08}", 0, 1),
        ];
        extract::join(&lines.map(String::into_bytes), b"\n")
    };
    let unknown = foreign("7423102000001STREET OF ANOTHER PRODUCT");
    test.put("unknown", &unknown, &transfer(1));
    test.put("rejected", &foreign("no record type"), &transfer(2));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(
        ended.text().matches("(nothing-known)").count(),
        2,
        "{}",
        ended.text()
    );
    assert!(test.published().is_empty());
    let accept = [
        "unknown",
        "--accept",
        "nothing-known",
        "--unrestricted",
        "test",
    ];
    let ended = test.run("retry", &accept);
    assert_eq!(
        test.published().len(),
        1,
        "{}{}",
        ended.stderr,
        ended.text()
    );
    assert_eq!(tables(&test.published()[0].0)["unknown_record"].len(), 1);
}

/// A night without changes is no fault, and neither is one record of a new type among known ones.
#[test]
fn publishes_a_delivery_without_records() {
    let test = TestRun::local();
    let start = format!("000{:10}43110120260302", "0000000000");
    let end = |count| format!("999{:010}{count:08}", 0);
    let lines = [start.clone(), end(0)].map(String::into_bytes);
    test.put("empty", &extract::join(&lines, b"\n"), &transfer(1));
    let person = format!("0010101010101{:10}01202603010000 K1926-03-03", "");
    let new = "7423102000001SOMETHING NEW".to_owned();
    let lines = [start, person, new, end(2)].map(String::into_bytes);
    test.put("new", &extract::join(&lines, b"\n"), &transfer(2));
    test.sync();
    assert_eq!(test.published().len(), 2);
}
