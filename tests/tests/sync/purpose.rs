//! The purpose of publishing everything, its legal basis, and the purpose of church membership.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::command::{CommandOutput, command};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};

/// Runs a command without the purpose of church membership that [`TestRun`] adds.
fn run(test: &TestRun, subcommand: &str, more: &[&str]) -> CommandOutput {
    let output = command()
        .arg(subcommand)
        .args(test.source())
        .args(more)
        .output()
        .unwrap();
    CommandOutput {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Writes a configuration, unchanged.
fn configure(test: &TestRun, agreement: &str) {
    test.configure(&format!(
        "[agreement.one]\ninbox = \"inbox\"\nunrestricted = \"all\"\n{agreement}"
    ));
}

/// Returns the extract without the records of these types. The end record has the right count.
fn without(bytes: &[u8], types: &[&str]) -> Vec<u8> {
    let mut lines = extract::lines(bytes);
    let before = lines.len();
    lines.retain(|line| {
        !types
            .iter()
            .any(|record_type| line.starts_with(record_type.as_bytes()))
    });
    let removed = before - lines.len();
    assert!(removed > 0, "the extract has none of these records");
    let end = lines.iter_mut().find(|line| line.starts_with(b"999"));
    let count = &mut end.unwrap()[13..21];
    let stated: usize = std::str::from_utf8(count).unwrap().parse().unwrap();
    count.copy_from_slice(format!("{:08}", stated - removed).as_bytes());
    extract::join(&lines, b"\n")
}

#[test]
fn church_membership_needs_a_purpose_of_its_own() {
    let bytes = extract::small(60, 4);
    let test = TestRun::local();
    test.put("all", &bytes, &transfer(1));
    test.put("none", &without(&bytes, &["011", "028"]), &transfer(2));
    test.put("former", &without(&bytes, &["011"]), &transfer(3));
    let ended = run(&test, "sync", &["--unrestricted", "test"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    // Other data is published without it.
    assert_eq!(test.published_files(), ["none"]);
    assert_eq!(test.published()[0].1.church_purpose, None);
    let status = test.run("status", &[]);
    for name in ["all", "former"] {
        let told = format!("{name} was set aside (church-without-purpose)");
        assert!(status.text().contains(&told), "{}", status.text());
    }
    assert!(status.text().contains("church = { purpose = \"…\" }"));
    assert!(status.text().contains("--church-purpose PURPOSE"));
    // It cannot be accepted without a purpose, and an empty one is none.
    assert_eq!(
        run(&test, "retry", &["all", "--unrestricted", "test"]).code,
        1
    );
    for wrong in [" ", "church tax of 010101-0101"] {
        let more = ["--unrestricted", "test", "--church-purpose", wrong];
        let ended = run(&test, "sync", &more);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(
            ended
                .stderr
                .contains("--church-purpose PURPOSE: the purpose")
        );
        assert!(!ended.stderr.contains("0101"), "{}", ended.stderr);
    }
    // It is no purpose for everything else.
    assert_eq!(
        run(&test, "sync", &["--church-purpose", "church tax"]).code,
        2
    );
    let purposes = ["--unrestricted", "test", "--church-purpose", "church tax"];
    for name in ["all", "former"] {
        run(&test, "retry", &[&[name], &purposes[..]].concat());
    }
    assert_eq!(test.published().len(), 3);
    for (_, manifest) in &test.published()[1..] {
        assert_eq!(manifest.church_purpose.as_deref(), Some("church tax"));
    }
    assert_eq!(test.run("status", &[]).code, 0);
}

/// Where the configuration says that church membership is ordered, nothing is fetched without a purpose.
#[test]
fn an_ordered_record_type_of_church_membership_needs_a_purpose() {
    let test = TestRun::local();
    test.put("d", &extract::small(20, 1), &transfer(1));
    for church in ["011", "028"] {
        configure(&test, &format!("record_types = [\"001\", \"{church}\"]\n"));
        let ended = test.run("sync", &[]);
        assert_eq!(ended.code, 2, "{}", ended.text());
        for text in [
            "agreement one",
            "`church = { purpose = \"…\" }`",
            "--church-purpose",
        ] {
            assert!(ended.stderr.contains(text), "{}", ended.stderr);
        }
        let examined = test.run("doctor", &[]);
        assert_eq!(examined.code, 1);
        assert!(
            examined.text().contains("FAIL  church"),
            "{}",
            examined.text()
        );
    }
    assert_eq!(test.remote().len(), 2);
    assert!(!test.path("state/ledger.sqlite").exists());
    configure(&test, "church = { purpose = \" \" }\n");
    let ended = test.run("sync", &[]);
    assert_eq!(ended.code, 2);
    let named = "[agreement.one.church] purpose: the purpose is empty";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    // Tenants have purposes of their own.
    test.configure(
        "[agreement.one]\ninbox = \"inbox\"\nrecord_types = [\"001\", \"004\", \"011\", \"022\"]\n\
         [tenant.t]\nagreements = [\"one\"]\npurpose = \"test\"\ndataset = \"tenants/t\"\n",
    );
    let ended = test.run("sync", &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn the_legal_basis_is_recorded_beside_the_purpose() {
    let test = TestRun::local();
    configure(
        &test,
        "legal_basis = \"the Act, section 1\"\n\
         church = { purpose = \"church tax\", legal_basis = \"the Church Act, section 2\" }\n\
         [tenant.t]\nagreements = [\"one\"]\npurpose = \"schools\"\nlegal_basis = \"the Act, section 36\"\n\
         church = { purpose = \"confirmation\", legal_basis = \"the Church Act, section 3\" }\n\
         dataset = \"tenants/t\"\n\
         [tenant.u]\nagreements = [\"one\"]\npurpose = \"statistics\"\ndataset = \"tenants/u\"\n",
    );
    test.put("d", &extract::small(20, 1), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = |text: &str| Some(text.to_owned());
    let everything = &test.published()[0].1;
    assert_eq!(everything.purpose, "all");
    assert_eq!(everything.legal_basis, text("the Act, section 1"));
    assert_eq!(everything.church_purpose, text("church tax"));
    assert_eq!(
        everything.church_legal_basis,
        text("the Church Act, section 2")
    );
    // A tenant has its own, and never that of the agreement.
    let one = &test.published_to("t")[0].1;
    assert_eq!(one.legal_basis, text("the Act, section 36"));
    assert_eq!(
        (&one.church_purpose, &one.church_legal_basis),
        (&None, &None)
    );
    let tenant = one.tenant.as_ref().unwrap();
    assert_eq!(tenant.church_purpose, text("confirmation"));
    assert_eq!(tenant.church_legal_basis, text("the Church Act, section 3"));
    let (directory, other) = &test.published_to("u")[0];
    assert_eq!(other.legal_basis, None);
    let written = fs::read_to_string(directory.join("_delivery.json")).unwrap();
    assert!(!written.contains("legal_basis"), "{written}");

    let checked = test.run_only("tenant", &["check"]);
    for line in [
        "legal basis  the Act, section 36",
        "legal basis  not stated; add `legal_basis`",
    ] {
        assert!(checked.text().contains(line), "{}", checked.text());
    }
    let examined = test.run("doctor", &[]);
    for line in [
        "legal basis: the Act, section 1",
        "legal basis: the Act, section 36",
    ] {
        assert!(examined.text().contains(line), "{}", examined.text());
    }
}

#[test]
fn a_legal_basis_with_a_person_number_is_refused() {
    let test = TestRun::local();
    for (agreement, tenant) in [
        ("legal_basis = \"case 0101010101\"\n", ""),
        (
            "church = { purpose = \"p\", legal_basis = \"case 010101-0101\" }\n",
            "",
        ),
        ("", "legal_basis = \"case 010101 0101\"\n"),
        (
            "",
            "church = { purpose = \"p\", legal_basis = \"case 0101010101\" }\n",
        ),
    ] {
        configure(
            &test,
            &format!(
                "{agreement}[tenant.t]\nagreements = [\"one\"]\npurpose = \"p\"\ndataset = \"tenants/t\"\n{tenant}"
            ),
        );
        let ended = test.run("sync", &[]);
        assert_eq!(ended.code, 2, "{agreement}{tenant}");
        let named = "legal_basis: the legal basis contains something that can be a person number";
        assert!(ended.stderr.contains(named), "{}", ended.stderr);
        assert!(!ended.stderr.contains("0101"), "{}", ended.stderr);
    }
    let more = ["--unrestricted", "test", "--legal-basis", "case 0101010101"];
    let test = TestRun::local();
    let ended = test.run("sync", &more);
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .stderr
            .contains("--legal-basis TEXT: the legal basis contains")
    );
    // An act with its number and date is no person number.
    test.put("d", &extract::small(20, 1), &transfer(1));
    let act = "LBK nr 1010 af 23/06/2023, § 4, stk. 1; GDPR article 6(1)(e)";
    let ended = test.run("sync", &["--unrestricted", "test", "--legal-basis", act]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.published()[0].1.legal_basis.as_deref(), Some(act));
}
