//! Older deliveries of tenants when something in them becomes hidden: they are made again, or removed. Every byte of the
//! tenant's directories is searched.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value;

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

/// What only Alice has.
const SURNAME: &str = "Almindelig";
const STREET: &str = "7311";

/// The tenants of most tests: the name and the rest of the policy.
const TENANTS: [(&str, &str); 3] = [
    ("mask", "classes = [\"default\", \"family\"]"),
    (
        "drop",
        "protection = \"drop\"\nclasses = [\"default\", \"family\"]",
    ),
    (
        "nameless",
        "numbers = \"pseudonym\"\nkey = { file = \"key\" }",
    ),
];

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

fn with_alice(extract: Handmade, number: &str) -> Handmade {
    extract
        .record("001", &[("pnr", number), ("status", "01")])
        .record(
            "002",
            &[
                ("pnr", number),
                ("municipality_code", "0265"),
                ("street_code", STREET),
            ],
        )
        .record("008", &[("pnr", number), ("surname", SURNAME)])
}

fn protection(extract: Handmade, number: &str) -> Handmade {
    extract.record("004", &[("pnr", number), ("protection_type", "0001")])
}

fn configure(test: &TestRun, agreements: &[&str], tenants: &[(&str, &str)]) {
    fs::write(test.path("key"), "b".repeat(64)).unwrap();
    restrict(test);
    let mut text = String::new();
    for agreement in agreements {
        text.push_str(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\n"
        ));
    }
    for (tenant, policy) in tenants {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = {agreements:?}\npurpose = \"test\"\ndataset = \"tenants/{tenant}\"\n{policy}\n"
        ));
    }
    test.configure(&text);
}

fn restrict(test: &TestRun) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(test.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn put(test: &TestRun, agreement: &str, number: u32, extract: Handmade) -> CommandOutput {
    let name = format!("{agreement}{number}");
    test.put(&name, &extract.finish(), &transfer(number));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    ended
}

fn quiet(test: &TestRun) {
    let ended = test.sync();
    assert_eq!((ended.code, ended.text()), (0, "nothing new\n"));
}

/// Returns the sequence number, kind and directory of the entries of a tenant's change feed.
fn feed(test: &TestRun, tenant: &str) -> Vec<(u64, String, Option<String>)> {
    let listed = test.run("deliveries", &["--format", "json", "--tenant", tenant]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entries = listed.as_array().unwrap().iter();
    entries
        .map(|entry| {
            let sequence = entry["sequence"].as_u64().unwrap();
            (
                sequence,
                text(&entry["kind"]).unwrap(),
                text(&entry["directory"]),
            )
        })
        .collect()
}

fn kinds(test: &TestRun, tenant: &str) -> Vec<String> {
    feed(test, tenant)
        .into_iter()
        .map(|(_, kind, _)| kind)
        .collect()
}

/// Asserts that nothing in the directories of a tenant has one of these texts.
fn assert_gone(test: &TestRun, tenant: &str, texts: &[&str]) {
    for text in texts {
        let found = files_with(&test.path("tenants"), text);
        let own: Vec<_> = found
            .iter()
            .filter(|file| file.starts_with(test.dataset_of(tenant)))
            .collect();
        assert!(own.is_empty(), "{tenant}: {text} is in {own:?}");
        let staging = test.path(&format!("tenants/.{tenant}.staging"));
        assert!(!staging.exists(), "{tenant}");
    }
}

fn is_there(test: &TestRun, tenant: &str, text: &str) -> bool {
    !files_with(&test.dataset_of(tenant), text).is_empty()
}

#[test]
fn nothing_of_a_newly_protected_person_is_left() {
    let test = TestRun::local();
    configure(&test, &["town"], &TENANTS);
    let first = with_alice(night("20260302").resident(BERTA, "0265", "Birk"), ALICE).record(
        "015",
        &[
            ("pnr", BERTA),
            ("mother_pnr", ALICE),
            ("mother_name", "Almindelig,Ida"),
        ],
    );
    put(&test, "town", 1, first);
    put(
        &test,
        "town",
        2,
        night("20260303").resident(CARLA, "0265", "Carlsen"),
    );
    for (tenant, _) in TENANTS {
        assert!(is_there(&test, tenant, SURNAME) && is_there(&test, tenant, STREET));
    }
    let untouched = |tenant: &str| {
        let published = test.published_to(tenant);
        let (directory, manifest) = published.get(1).unwrap();
        (
            directory.clone(),
            manifest.files.clone(),
            manifest.published.clone(),
        )
    };
    let before = TENANTS.map(|(tenant, _)| untouched(tenant));
    let ended = put(
        &test,
        "town",
        3,
        protection(with_alice(night("20260304"), ALICE), ALICE),
    );
    for ((tenant, _), before) in TENANTS.into_iter().zip(before) {
        assert_gone(&test, tenant, &[SURNAME, STREET]);
        assert!(is_there(&test, tenant, "Birk") && is_there(&test, tenant, "Carlsen"));
        let published = test.published_to(tenant);
        assert_eq!(published.len(), 3, "{tenant}");
        // Alice stays with null values under `mask`, and is left out under `drop`.
        let count = if tenant == "drop" { 1 } else { 2 };
        assert_eq!(tables(&published[0].0)["person"].len(), count, "{tenant}");
        assert_eq!(
            untouched(tenant),
            before,
            "{tenant}: made again without need"
        );
        assert_eq!(kinds(&test, tenant), ["new", "new", "new", "rewritten"]);
        let (number, _, directory) = feed(&test, tenant).pop().unwrap();
        assert_eq!(number, 4);
        assert!(directory.unwrap().contains("delivery=2026-03-02-000001"));
        let told = format!(
            "rewritten  agreement=town/delivery=2026-03-02-000001-00000001 of tenant {tenant}"
        );
        assert!(ended.text().contains(&told), "{}", ended.text());
    }
    let leavers = tables(&test.published_to("drop")[2].0);
    assert_eq!(leavers["out_of_scope"].len(), 1);
    assert!(format!("{:?}", leavers["out_of_scope"]).contains("unsubscribed"));
    assert!(
        !is_there(&test, "drop", "\"protected\""),
        "the reason points at Alice"
    );
    quiet(&test);
    let status = test.run("status", &["--deep"]);
    assert!(!status.text().contains("changed"), "{}", status.text());
    // The next numbers do not clash with those of the rewritings.
    put(
        &test,
        "town",
        4,
        night("20260305").resident(CARLA, "0265", "Ny"),
    );
    assert_eq!(
        kinds(&test, "mask"),
        ["new", "new", "new", "rewritten", "new"]
    );
    quiet(&test);
}

/// A person counts as protected under all numbers, whichever number has the protection.
#[test]
fn a_protection_counts_for_the_whole_chain_of_numbers() {
    let change = |extract: Handmade, old: &str, new: &str| {
        let record = [("pnr", old), ("status", "60"), ("current_pnr", new)];
        extract.record("001", &record)
    };
    let former = |extract: Handmade, new: &str, old: &str| {
        extract.record("022", &[("pnr", new), ("former_pnr", old)])
    };
    let second = || with_alice(night("20260303"), BERTA);
    let third = || with_alice(night("20260304"), CARLA);
    let chains = [
        // The 001 of the old numbers name the new ones.
        [
            change(second(), ALICE, BERTA),
            protection(change(third(), BERTA, CARLA), CARLA),
        ],
        // The new numbers name the old ones.
        [
            former(second(), BERTA, ALICE),
            protection(former(third(), CARLA, BERTA), CARLA),
        ],
        // The protection stands under the first number.
        [
            change(second(), ALICE, BERTA),
            protection(change(third(), BERTA, CARLA), ALICE),
        ],
    ];
    for (case, [second, third]) in chains.into_iter().enumerate() {
        let test = TestRun::local();
        configure(&test, &["town"], &TENANTS);
        put(&test, "town", 1, with_alice(night("20260302"), ALICE));
        put(&test, "town", 2, second);
        for (tenant, _) in TENANTS {
            assert!(is_there(&test, tenant, SURNAME), "{case}: {tenant}");
        }
        put(&test, "town", 3, third);
        for (tenant, _) in TENANTS {
            assert_gone(&test, tenant, &[SURNAME, STREET]);
            let published = test.published_to(tenant);
            assert_eq!(published.len(), 3, "{case}: {tenant}");
        }
        quiet(&test);
    }
}

/// Protection is the union over the tenant's own agreements, and nobody else's.
#[test]
fn a_protection_of_another_agreement_of_the_tenant_counts() {
    let test = TestRun::local();
    configure(
        &test,
        &["north", "south"],
        &[("both", ""), ("all", "protection = \"include\"")],
    );
    put(&test, "north", 1, with_alice(night("20260302"), ALICE));
    put(
        &test,
        "south",
        2,
        protection(
            night("20260301").record("001", &[("pnr", ALICE), ("status", "01")]),
            ALICE,
        ),
    );
    assert_gone(&test, "both", &[SURNAME, STREET]);
    assert!(is_there(&test, "all", SURNAME));
    assert_eq!(kinds(&test, "both"), ["new", "new", "rewritten"]);
    quiet(&test);
}

#[test]
fn a_narrower_policy_counts_for_older_deliveries() {
    let test = TestRun::local();
    configure(
        &test,
        &["town"],
        &[("one", "classes = [\"default\", \"family\"]")],
    );
    put(&test, "town", 1, with_alice(night("20260302"), ALICE));
    put(
        &test,
        "town",
        2,
        night("20260303").resident(BERTA, "0265", "Birk"),
    );
    // A wider policy changes nothing that is published.
    configure(
        &test,
        &["town"],
        &[("one", "classes = [\"default\", \"family\", \"social\"]")],
    );
    let ended = test.sync();
    assert!(!ended.text().contains("rewritten"), "{}", ended.text());
    configure(&test, &["town"], &[("one", "classes = [\"name\"]")]);
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_gone(&test, "one", &[STREET]);
    assert!(is_there(&test, "one", SURNAME));
    assert_eq!(
        kinds(&test, "one"),
        ["new", "new", "rewritten", "rewritten"]
    );
    let tables = tables(&test.published_to("one")[0].0);
    assert!(!tables.contains_key("child"));
    quiet(&test);
    // What was hidden does not come back into older deliveries.
    configure(&test, &["town"], &[("one", "")]);
    assert_eq!(test.sync().code, 0);
    let published = test.published_to("one");
    assert!(!files_with(&published[0].0, SURNAME).is_empty());
    assert!(files_with(&published[0].0, STREET).is_empty());
    // Numbers that are hidden now.
    configure(&test, &["town"], &[("one", "numbers = \"drop\"")]);
    assert_eq!(test.sync().code, 0);
    assert_gone(&test, "one", &[ALICE, BERTA]);
    quiet(&test);
}

/// A delivery that cannot be made again is removed.
#[test]
fn removes_what_cannot_be_made_again() {
    let two = |agreements: &str, policy: &str| {
        format!(
            "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\n[agreement.other]\ninbox = \"inbox\"\n\
             files.name = \"other.*\"\n[tenant.one]\nagreements = {agreements}\npurpose = \"test\"\ndataset = \"tenants/one\"\n\
             {policy}\n[tenant.two]\nagreements = [\"town\", \"other\"]\npurpose = \"test\"\ndataset = \"tenants/two\"\n"
        )
    };
    let test = TestRun::local();
    test.configure(&two("[\"town\", \"other\"]", ""));
    put(&test, "town", 1, with_alice(night("20260302"), ALICE));
    put(
        &test,
        "other",
        2,
        night("20260303").resident(BERTA, "0265", "Birk"),
    );
    // The tenant no longer has the agreement.
    test.configure(&two("[\"other\"]", ""));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert!(
        ended
            .text()
            .contains("the tenant no longer has the agreement")
    );
    // Her number is told once more, because she has left the scope.
    assert_gone(&test, "one", &[SURNAME, STREET]);
    assert!(is_there(&test, "one", "Birk") && is_there(&test, "two", SURNAME));
    let removed = feed(&test, "one");
    assert_eq!(removed[0].1, "expired");
    assert_eq!((removed[2].1.as_str(), &removed[2].2), ("rewritten", &None));
    quiet(&test);
    // The kept extract is gone, and Berta is protected now.
    let kept = files(&test.path("state/register/other"));
    fs::remove_file(&kept[0]).unwrap();
    let third = protection(night("20260304").resident(BERTA, "0265", "Birk"), BERTA);
    test.put("other3", &third.finish(), &transfer(3));
    let ended = test.sync();
    assert_eq!(ended.code, 2, "the register is damaged");
    assert!(
        ended.text().contains("the register has no extract of it"),
        "{}",
        ended.text()
    );
    for tenant in ["one", "two"] {
        assert_gone(&test, tenant, &["Birk"]);
    }
    assert!(!is_there(&test, "two", "Birk"));
}
