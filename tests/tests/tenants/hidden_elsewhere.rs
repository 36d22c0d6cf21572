//! What must stay hidden although another record, another agreement or an older copy of a directory says nothing of it. Every
//! byte of the tenants' directories is searched.

use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::TestRun;

use crate::hidden_later::{
    ALICE, BERTA, CARLA, accept, assert_hidden, assert_shown, configure, copy, erase, other,
    protection, put, start, town,
};

const DORIS: &str = "0101010045";

fn relative(extract: Handmade, of: &str, protected: &str) -> Handmade {
    let columns = [
        ("pnr", of),
        ("child_pnr", protected),
        ("protection_start_date", "2020-01-01"),
    ];
    extract
        .resident(of, "0265", "Zeuthen")
        .record("033", &columns)
}

/// Berta, and everything that can hide her beside the 033 of Alice: each with the records that end it without delivering
/// Berta in the same agreement.
fn second_reasons() -> Vec<(&'static str, Handmade, Handmade)> {
    let berta = || town("20260302").resident(BERTA, "0265", "Birk");
    let replaced = [("pnr", BERTA), ("status", "60"), ("current_pnr", DORIS)];
    vec![
        (
            "another relative",
            relative(berta(), CARLA, BERTA),
            town("20260303").resident(CARLA, "0265", "Carlsen"),
        ),
        (
            "a former number",
            protection(
                berta()
                    .record("022", &[("pnr", BERTA), ("former_pnr", CARLA)])
                    .resident(CARLA, "0265", "Carlsen"),
                CARLA,
            ),
            town("20260303").resident(CARLA, "0265", "Carlsen"),
        ),
        (
            "a valid number that is missing",
            town("20260302").record("001", &replaced).record(
                "008",
                &[("pnr", BERTA), ("given_name", "Ida"), ("surname", "Birk")],
            ),
            town("20260303").resident(DORIS, "0265", "Birk"),
        ),
    ]
}

/// A person whom an erased record protected stays hidden, also if another record hid the person at that time and ends.
#[test]
fn an_erased_protection_counts_beside_another_one() {
    for (what, extract, next) in second_reasons() {
        for is_erased in [false, true] {
            let test = start(&["town"], "");
            test.set_time("2026-03-05T08:00:00Z");
            put(&test, "town", 1, relative(extract.clone(), ALICE, BERTA));
            assert_hidden(&test, "Birk");
            if is_erased {
                let ended = erase(&test, ALICE);
                assert_eq!(ended.code, 0, "{what}: {}", ended.stderr);
            }
            let ended = put(&test, "town", 2, next.clone());
            assert!(ended.code < 2, "{what}: {}", ended.stderr);
            assert_hidden(&test, "Birk");
        }
    }
}

/// The list of these persons counts for all their numbers, also in a delivery that does not tie them.
#[test]
fn an_erased_protection_covers_a_number_that_comes_later() {
    let test = start(&["town"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let replaced = [("pnr", BERTA), ("status", "60"), ("current_pnr", DORIS)];
    let first = relative(town("20260302"), ALICE, BERTA)
        .record("001", &replaced)
        .resident(DORIS, "0265", "Birk");
    put(&test, "town", 1, first);
    assert_hidden(&test, "Birk");
    assert_eq!(erase(&test, ALICE).code, 0);
    put(
        &test,
        "town",
        2,
        town("20260303").resident(DORIS, "0265", "Birk"),
    );
    assert_hidden(&test, "Birk");
}

/// Each agreement is judged by its own extracts: what it says does not end because another agreement says nothing of it.
#[test]
fn what_one_agreement_says_is_not_ended_by_another_one() {
    let tie = [("pnr", BERTA), ("former_pnr", DORIS)];
    let with_tie = |extract: Handmade| extract.resident(BERTA, "0265", "Birk").record("022", &tie);
    let replaced = [("pnr", DORIS), ("status", "60"), ("current_pnr", BERTA)];
    let two = [
        ("pnr", BERTA),
        ("status", "01"),
        ("birth_date", "1980-01-01"),
    ];
    let reasons = [
        (
            "a protected former number",
            protection(
                with_tie(other("20260302")).resident(DORIS, "0265", "Dahl"),
                DORIS,
            ),
        ),
        (
            "a former number with a relative",
            relative(
                with_tie(other("20260302")).resident(DORIS, "0265", "Dahl"),
                CARLA,
                DORIS,
            ),
        ),
        (
            "a protected number that was replaced",
            protection(
                other("20260302")
                    .record("001", &replaced)
                    .resident(BERTA, "0265", "Birk"),
                DORIS,
            ),
        ),
        (
            "two 001",
            other("20260302")
                .resident(BERTA, "0265", "Birk")
                .record("001", &two),
        ),
    ];
    for (what, extract) in reasons {
        for is_lost in [false, true] {
            let test = start(&["town", "other"], "");
            test.set_time("2026-03-05T08:00:00Z");
            put(&test, "other", 1, extract.clone());
            assert_hidden(&test, "Birk");
            let next = town("20260303")
                .resident(BERTA, "0265", "Birk")
                .resident(ALICE, "0265", "Anders");
            let ended = put(&test, "town", 2, next);
            assert!(ended.code < 2, "{what}: {}", ended.stderr);
            assert_hidden(&test, "Birk");
            assert_shown(&test, "Anders");
            if is_lost {
                configure(&test, &["town"], "");
                let ended = test.sync();
                assert!(ended.code < 2, "{what}: {}", ended.stderr);
                assert_hidden(&test, "Birk");
                assert_shown(&test, "Anders");
            }
        }
    }
}

/// A damaged line of an agreement that the tenant no longer sees can be anything, so it hides its persons as before.
#[test]
fn a_damaged_line_of_a_lost_agreement_hides() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    put(
        &test,
        "town",
        1,
        town("20260302")
            .resident(BERTA, "0265", "Birk")
            .resident(ALICE, "0265", "Anders"),
    );
    assert_shown(&test, "Birk");
    let damaged = format!("022{CARLA}31040A0002");
    let extract = other("20260303")
        .resident(BERTA, "0265", "Birk")
        .resident(CARLA, "0265", "Carlsen")
        .line(damaged.as_bytes());
    put(&test, "other", 2, extract);
    accept(&test, "other2", true);
    test.sync();
    assert_hidden(&test, "Birk");
    assert_shown(&test, "Anders");
    configure(&test, &["town"], "");
    test.sync();
    assert_hidden(&test, "Birk");
    assert_shown(&test, "Anders");
}

/// Erasing a person erases all numbers that any agreement ties, though the newest record of all does not.
#[test]
fn erasing_finds_the_numbers_of_each_agreement() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let tie = [("pnr", BERTA), ("former_pnr", DORIS)];
    let first = town("20260302")
        .resident(BERTA, "0265", "Birk")
        .record("022", &tie)
        .resident(DORIS, "0265", "Dahl");
    put(&test, "town", 1, first.resident(ALICE, "0265", "Anders"));
    put(
        &test,
        "other",
        2,
        other("20260303").resident(BERTA, "0265", "Birk"),
    );
    let ended = erase(&test, BERTA);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.text().contains("2 numbers"), "{}", ended.text());
    for name in ["Birk", "Dahl"] {
        assert_hidden(&test, name);
    }
    assert_shown(&test, "Anders");
}

/// Where the tenant's directory with this number of the delivery is.
fn delivery(test: &TestRun, tenant: &str, number: usize) -> PathBuf {
    let (directory, _) = test.published_to(tenant).remove(number);
    test.dataset_of(tenant).join(directory)
}

/// An older copy of a delivery, or of the whole dataset, is made again as the delivery was.
#[test]
fn an_older_copy_of_a_dataset_is_made_again() {
    for whole in [false, true] {
        for is_erased in [false, true] {
            let test = start(&["town"], "");
            test.set_time("2026-03-05T08:00:00Z");
            let both = town("20260302")
                .resident(ALICE, "0265", "Anders")
                .resident(BERTA, "0265", "Birk");
            put(&test, "town", 1, both);
            assert_shown(&test, "Anders");
            copy(&test.path("tenants"), &test.path("older"));
            let first = ["mask", "drop"].map(|tenant| delivery(&test, tenant, 0));
            if is_erased {
                assert_eq!(erase(&test, ALICE).code, 0);
            } else {
                put(
                    &test,
                    "town",
                    2,
                    protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE),
                );
            }
            assert_hidden(&test, "Anders");
            let restored = |path: &Path| {
                test.path("older")
                    .join(path.strip_prefix(test.path("tenants")).unwrap())
            };
            if whole {
                for (tenant, second) in [("mask", 1), ("drop", 1)] {
                    let newer = (!is_erased).then(|| delivery(&test, tenant, second));
                    let kept = test.path("kept");
                    if let Some(newer) = &newer {
                        copy(newer, &kept);
                    }
                    fs::remove_dir_all(test.dataset_of(tenant)).unwrap();
                    copy(
                        &restored(&test.dataset_of(tenant)),
                        &test.dataset_of(tenant),
                    );
                    if let Some(newer) = newer {
                        fs::rename(&kept, newer).unwrap();
                    }
                }
            } else {
                for directory in first {
                    fs::remove_dir_all(&directory).unwrap();
                    copy(&restored(&directory), &directory);
                }
            }
            assert_shown(&test, "Anders");
            let ended = test.sync();
            assert!(ended.code < 2, "{}", ended.stderr);
            assert_hidden(&test, "Anders");
            assert_shown(&test, "Birk");
            assert_eq!(test.sync().code, 0);
            assert_hidden(&test, "Anders");
        }
    }
}

/// A tenant that was not configured during an erasure has nothing of the persons when it comes back.
#[test]
fn a_tenant_that_comes_back_has_no_erased_persons() {
    let test = start(&["town"], "");
    test.set_time("2026-03-05T08:00:00Z");
    put(
        &test,
        "town",
        1,
        town("20260302")
            .resident(ALICE, "0265", "Anders")
            .resident(BERTA, "0265", "Birk"),
    );
    let with_all = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    let without = with_all.split("[tenant.mask]").next().unwrap().to_owned()
        + &format!(
            "[tenant.drop]{}",
            with_all.split("[tenant.drop]").nth(1).unwrap()
        );
    fs::write(test.path("cprflow.toml"), without).unwrap();
    let ended = erase(&test, ALICE);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(!files_with(&test.dataset_of("mask"), "Anders").is_empty());
    fs::write(test.path("cprflow.toml"), with_all).unwrap();
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_hidden(&test, "Anders");
    assert_shown(&test, "Birk");
}

/// While the disk of a tenant's dataset is not mounted, an erasure does not end and nothing is written in its place.
#[test]
fn an_erasure_waits_for_the_disk_of_a_tenant() {
    for is_empty in [false, true] {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260302")
                .resident(ALICE, "0265", "Anders")
                .resident(BERTA, "0265", "Birk"),
        );
        let (mounted, elsewhere) = (test.dataset_of("mask"), test.path("elsewhere"));
        fs::rename(&mounted, &elsewhere).unwrap();
        if is_empty {
            fs::create_dir(&mounted).unwrap();
        }
        assert_ne!(erase(&test, ALICE).code, 0);
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
        assert!(
            ended.stderr.contains("is gone or empty"),
            "{}",
            ended.stderr
        );
        assert!(test.path("state/erasing").exists());
        assert!(fs::read_dir(&mounted).map_or(true, |mut entries| entries.next().is_none()));
        let _ = fs::remove_dir(&mounted);
        fs::rename(&elsewhere, &mounted).unwrap();
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!test.path("state/erasing").exists());
        assert_hidden(&test, "Anders");
        assert_shown(&test, "Birk");
    }
}

/// Without a ledger, an erasure would find nothing and say that everything is done.
#[test]
fn erasing_needs_the_ledger() {
    for lost in ["state/ledger.sqlite", "state"] {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260302").resident(ALICE, "0265", "Anders"),
        );
        let path = test.path(lost);
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => test.remove_ledger(),
        }
        let ended = erase(&test, ALICE);
        assert_eq!(ended.code, 2, "{lost}: {}", ended.text());
        assert!(
            ended.stderr.contains("has no ledger") && ended.stderr.contains("cprflow sync"),
            "{}",
            ended.stderr
        );
        if lost == "state/ledger.sqlite" {
            test.sync();
            assert_eq!(erase(&test, ALICE).code, 0);
            assert_hidden(&test, "Anders");
        }
    }
}

/// `scan --tenant` hides whom the tenant's other agreements and erased records protect.
#[test]
fn a_scan_for_a_tenant_hides_whom_others_protect() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    put(
        &test,
        "other",
        1,
        protection(other("20260302").resident(BERTA, "0265", "Birk"), BERTA),
    );
    let erased = relative(
        town("20260302").resident(CARLA, "0265", "Carlsen"),
        ALICE,
        CARLA,
    );
    put(&test, "town", 2, erased);
    assert_eq!(erase(&test, ALICE).code, 0);
    let next = town("20260304")
        .resident(BERTA, "0265", "Birk")
        .resident(DORIS, "0265", "Dahl")
        .resident(CARLA, "0265", "Carlsen");
    let file = test.path("next");
    test.data("next", &[]);
    fs::write(&file, next.finish()).unwrap();
    for tenant in ["mask", "drop"] {
        let file = file.to_str().unwrap();
        let arguments = [
            file,
            "--tenant",
            tenant,
            "--agreement",
            "town",
            "--table",
            "name",
            "--format",
            "csv",
        ];
        let config = test.path("cprflow.toml");
        let config = ["--config", config.to_str().unwrap()];
        let all: Vec<String> = ["scan"]
            .into_iter()
            .chain(arguments)
            .chain(config)
            .map(str::to_owned)
            .collect();
        let output = cprflow_tests::command::command()
            .args(&all)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("Dahl"),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            !text.contains("Birk") && !text.contains("Carlsen"),
            "{text}"
        );
    }
}

/// A number that one agreement replaces by a number which only the other agreement delivers: the protection counts for both.
#[test]
fn a_protection_covers_a_number_that_another_agreement_names() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let protected = protection(town("20260302").resident(ALICE, "0265", "Anders"), ALICE);
    put(&test, "town", 1, protected.resident(DORIS, "0265", "Dahl"));
    assert_shown(&test, "Dahl");
    let replaced = [("pnr", ALICE), ("status", "60"), ("current_pnr", DORIS)];
    let ended = put(
        &test,
        "other",
        2,
        other("20260303").record("001", &replaced),
    );
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_hidden(&test, "Anders");
    assert_hidden(&test, "Dahl");
}

/// While the register lacks an extract, it may have protected a person whom another agreement delivers now.
#[test]
fn a_new_delivery_waits_while_the_register_lacks_an_extract() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    put(
        &test,
        "town",
        1,
        town("20260302").resident(CARLA, "0265", "Carlsen"),
    );
    copy(&test.path("state"), &test.path("older"));
    put(
        &test,
        "town",
        2,
        protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE),
    );
    assert_hidden(&test, "Anders");
    fs::remove_dir_all(test.path("state")).unwrap();
    fs::rename(test.path("older"), test.path("state")).unwrap();
    put(
        &test,
        "other",
        3,
        other("20260304")
            .resident(ALICE, "0265", "Anders")
            .resident(BERTA, "0265", "Birk"),
    );
    assert_hidden(&test, "Anders");
    assert_hidden(&test, "Birk");
}

/// A ledger that is made again does not know that deliveries were made again without erased persons. A directory that was put
/// back has them.
#[test]
fn a_new_ledger_and_an_older_copy_do_not_bring_erased_persons_back() {
    for has_register in [true, false] {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260302")
                .resident(ALICE, "0265", "Anders")
                .resident(BERTA, "0265", "Birk"),
        );
        copy(&test.path("tenants"), &test.path("older"));
        assert_eq!(erase(&test, ALICE).code, 0);
        assert_hidden(&test, "Anders");
        fs::remove_dir_all(test.path("tenants")).unwrap();
        copy(&test.path("older"), &test.path("tenants"));
        test.remove_ledger();
        if !has_register {
            fs::remove_dir_all(test.path("state/register")).unwrap();
        }
        let ended = test.sync();
        assert!(!ended.stderr.contains("internal error"), "{}", ended.stderr);
        assert_hidden(&test, "Anders");
        if has_register {
            assert_shown(&test, "Birk");
        }
    }
}

/// A tenant's dataset is lost for good, and then a person is erased: the loss can be accepted, and the erasure ends. If the
/// dataset comes back after all, it loses the person.
#[test]
fn an_erasure_ends_when_a_lost_dataset_is_accepted() {
    for is_erased_first in [true, false] {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260302")
                .resident(ALICE, "0265", "Anders")
                .resident(BERTA, "0265", "Birk"),
        );
        let (lost, elsewhere) = (test.dataset_of("mask"), test.path("elsewhere"));
        fs::rename(&lost, &elsewhere).unwrap();
        let accept = || {
            let arguments = ["--gone", "--tenant", "mask", "--reason", "disk lost"];
            let ended = test.run("set-aside", &arguments);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert!(
                ended.stderr.contains("is not looked for any more"),
                "{}",
                ended.stderr
            );
        };
        if !is_erased_first {
            accept();
        }
        let ended = erase(&test, ALICE);
        assert_eq!(ended.code == 0, !is_erased_first, "{}", ended.stderr);
        if is_erased_first {
            assert!(test.path("state/erasing").exists());
            accept();
        }
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert!(!test.path("state/erasing").exists());
        assert!(erase(&test, BERTA).code < 2);
        assert!(!test.path("state/erasing").exists());
        fs::remove_dir_all(&lost).unwrap();
        fs::rename(&elsewhere, &lost).unwrap();
        assert!(test.sync().code < 2);
        for name in ["Anders", "Birk"] {
            let left = files_with(&lost, name);
            assert!(left.is_empty(), "{name} is in {left:?}");
        }
    }
}

/// While the disk of a tenant's dataset is not mounted, erasing the tenant, or an agreement that it had, does not say that
/// everything is erased. The next run after the disk is back ends it. So does a person who accepts the loss.
#[test]
fn erasing_a_tenant_or_an_agreement_waits_for_the_disk() {
    for (subject, is_lost) in [
        (["--tenant", "mask"], false),
        (["--tenant", "mask"], true),
        (["--agreement", "town"], false),
        (["--agreement", "town"], true),
    ] {
        let test = start(&["town", "other"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260302").resident(ALICE, "0265", "Anders"),
        );
        put(
            &test,
            "other",
            2,
            other("20260302").resident(BERTA, "0265", "Birk"),
        );
        if subject[0] == "--agreement" {
            let text = "ended_agreements = [\"town\"]\n[agreement.other]\ninbox = \"inbox\"\n\
                        files.name = \"other.*\"\n[tenant.mask]\nagreements = [\"other\"]\npurpose = \"test\"\n\
                        dataset = \"tenants/mask\"\n";
            test.configure(text);
        }
        let (mounted, elsewhere) = (test.dataset_of("mask"), test.path("elsewhere"));
        fs::rename(&mounted, &elsewhere).unwrap();
        let ended = test.run("erase", &[&subject[..], &["--yes"]].concat());
        assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
        assert!(
            ended.stderr.contains("an erasure waits for the dataset"),
            "{}",
            ended.stderr
        );
        assert!(test.path("state/erasing").exists());
        assert!(!test.path("state/erasures.jsonl").exists());
        let ended = test.sync();
        assert!(
            ended.stderr.contains("gone or empty"),
            "{}{}",
            ended.stderr,
            ended.text()
        );
        assert!(test.path("state/erasing").exists());
        assert!(!mounted.exists(), "nothing is made in its place");
        if is_lost {
            let arguments = ["--gone", "--tenant", "mask", "--reason", "disk lost"];
            assert_eq!(test.run("set-aside", &arguments).code, 0);
        } else {
            fs::rename(&elsewhere, &mounted).unwrap();
        }
        let ended = test.sync();
        assert!(ended.code < 2, "{}", ended.stderr);
        assert!(!test.path("state/erasing").exists());
        assert!(test.path("state/erasures.jsonl").exists());
        let left = files_with(&mounted, "Anders");
        assert!(left.is_empty(), "{left:?}");
    }
}
