//! Keys for pseudonyms: keys that are no keys, and tenants that have the same key.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, transfer};

/// The sentence by which a warning is recognised.
const WARNING: &str = "the tenants one, two have the same key for pseudonyms";

fn tenant(name: &str, key: &str) -> String {
    format!(
        "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n\
         numbers = \"pseudonym\"\nkey = {key}\n"
    )
}

fn test_run(tenants: &[(&str, &str)]) -> TestRun {
    let test = TestRun::local();
    let tenants = tenants.iter().map(|(name, key)| tenant(name, key));
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\n{}",
        tenants.collect::<String>()
    ));
    test
}

fn key(test: &TestRun, name: &str, text: &str) {
    let path = test.path(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The pseudonyms of two tenants with the same key can be joined. That may be intended, so it is a warning.
#[test]
fn two_tenants_with_one_key() {
    let same = "0123456789abcdef".repeat(4);
    let other = "fedcba9876543210".repeat(4);
    let by_file = |name: &str| format!("{{ file = \"{name}\" }}");
    let one = by_file("one.key");
    for (two, is_shared) in [
        (one.clone(), true),
        (by_file("./one.key"), true),
        (by_file("two.key"), true),
        (by_file("other.key"), false),
    ] {
        let test = test_run(&[
            ("one", &one),
            ("two", &two),
            ("three", "{ env = \"NO_KEY\" }"),
        ]);
        for (name, text) in [
            ("one.key", &same),
            ("two.key", &same),
            ("other.key", &other),
        ] {
            key(&test, name, text);
        }
        let synced = test.sync();
        assert_eq!(
            synced.stderr.contains(WARNING),
            is_shared,
            "{two}: {}",
            synced.stderr
        );
        let doctor = test.run("doctor", &[]);
        let warned = doctor.text().contains(&format!("  warn  key: {WARNING}"));
        assert_eq!(warned, is_shared, "{two}: {}", doctor.text());
        for name in ["one", "two"] {
            let checked = test.run_only("tenant", &["check", name]);
            assert_eq!(
                checked.text().contains(WARNING),
                is_shared,
                "{}",
                checked.text()
            );
            assert_eq!(checked.code, 0, "a warning does not fail the check");
        }
        let checked = test.run_only("tenant", &["check", "three"]);
        assert!(!checked.text().contains(WARNING), "{}", checked.text());
    }
    // The same variable, which is not even set.
    let variable = "{ env = \"NO_KEY\" }";
    let test = test_run(&[("one", variable), ("two", variable)]);
    let doctor = test.run("doctor", &[]);
    assert!(doctor.text().contains(WARNING), "{}", doctor.text());
    assert_eq!(doctor.code, 1, "the variable is not set");
    // A warning alone is no failure.
    let test = test_run(&[("one", &one), ("two", &one)]);
    key(&test, "one.key", &same);
    let doctor = test.run("doctor", &[]);
    assert_eq!(doctor.code, 0, "{}", doctor.text());
}

/// A file that is no key is a problem of its tenant alone.
#[test]
fn a_file_that_is_no_key() {
    let by_file = |name: &str| format!("{{ file = \"{name}\" }}");
    let (short, words, good) = (by_file("short"), by_file("words"), by_file("good"));
    let test = test_run(&[("short", &short), ("words", &words), ("good", &good)]);
    key(&test, "short", "0123456789abcdef");
    key(
        &test,
        "words",
        "correct horse, battery staple, and so on for a while",
    );
    key(
        &test,
        "good",
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
    );
    test.put("d260302.l431101", &extract::small(30, 9), &transfer(1));
    let synced = test.sync();
    assert_eq!(synced.code, 2, "{}", synced.stderr);
    let doctor = test.run("doctor", &[]);
    assert_eq!(doctor.code, 1, "{}", doctor.text());
    for (name, expected) in [
        (
            "short",
            "the key for pseudonyms has 8 bytes, but needs at least 32. Make a key",
        ),
        (
            "words",
            "the key for pseudonyms is not written as hexadecimal or base64. Make a key",
        ),
    ] {
        let failed = format!("FAIL  key: {expected}");
        assert!(doctor.text().contains(&failed), "{}", doctor.text());
        assert!(synced.stderr.contains(expected), "{}", synced.stderr);
        let checked = test.run_only("tenant", &["check", name]);
        assert!(checked.text().contains(expected), "{}", checked.text());
        assert_eq!(checked.code, 1);
        assert!(test.published_to(name).is_empty(), "{name}");
    }
    for text in [&synced.stderr, doctor.text()] {
        assert!(
            !text.contains("battery") && !text.contains("0123456789abcdef"),
            "{text}"
        );
    }
    assert_eq!(test.published_to("good").len(), 1);
}

/// A variable that holds something else is refused at once, by every command.
#[test]
fn a_variable_that_is_no_key() {
    let test = test_run(&[("one", "{ env = \"PATH\" }")]);
    let path = std::env::var("PATH").unwrap();
    for (command, arguments) in [
        ("doctor", &[][..]),
        ("sync", &[]),
        ("status", &[]),
        ("tenant", &["check"]),
    ] {
        let ended = test.run_only(command, arguments);
        assert_eq!(ended.code, 2, "{command}: {}", ended.text());
        let expected = "[tenant.one] key: the key for pseudonyms is not written as hexadecimal";
        assert!(
            ended.stderr.contains(expected),
            "{command}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains(&path), "{command}");
    }
}
