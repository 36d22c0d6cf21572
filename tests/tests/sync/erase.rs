//! Erasing persons, agreements and tenants. Every file is decoded and searched afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::{Path, PathBuf};

use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::{compressed_blocks, files_with, has_block};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value;

pub(crate) const ALICE: &str = "0101010010";
/// The number of Alice before.
const ALICE_BEFORE: &str = "0101010045";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

/// What only Alice has.
const SURNAME: &str = "Almindelig";

pub(crate) const AGREEMENTS: &str =
    "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\nunrestricted = \"test\"\n";

pub(crate) const TENANTS: &str = "[tenant.one]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/one\"\n\
                       classes = [\"default\", \"family\", \"identity\"]\n[tenant.nameless]\nagreements = [\"town\"]\n\
                       purpose = \"test\"\ndataset = \"tenants/nameless\"\nnumbers = \"pseudonym\"\nkey = { file = \"key\" }\n\
                       [tenant.children]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/children\"\n\
                       persons = { numbers = \"list\" }\n";

fn night(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

pub(crate) fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn put(test: &TestRun, number: u32, extract: Handmade) {
    test.put(
        &format!("town{number}"),
        &extract.finish(),
        &transfer(number),
    );
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
}

/// Three nights: Alice under her old number, other persons, and Alice under her new number with a child.
pub(crate) fn three_nights() -> TestRun {
    let test = TestRun::local();
    private(&test.path("key"), &"b".repeat(64));
    private(
        &test.path("list"),
        &format!("{ALICE}\n{ALICE_BEFORE}\n{BERTA}\n"),
    );
    test.configure(&format!("{AGREEMENTS}{TENANTS}"));
    test.set_time("2026-03-02T08:00:00Z");
    put(
        &test,
        1,
        night("20260302")
            .resident(ALICE_BEFORE, "0265", SURNAME)
            .resident(BERTA, "0265", "Birk"),
    );
    test.set_time("2026-03-03T08:00:00Z");
    put(
        &test,
        2,
        night("20260303").resident(CARLA, "0265", "Carlsen"),
    );
    test.set_time("2026-03-04T08:00:00Z");
    let replaced = [
        ("pnr", ALICE_BEFORE),
        ("status", "60"),
        ("current_pnr", ALICE),
    ];
    let third = night("20260304")
        .resident(ALICE, "0265", SURNAME)
        .record("001", &replaced)
        .record("099", &[("pnr", ALICE), ("event_code", "A01")])
        .resident(BERTA, "0265", "Birk")
        .record(
            "015",
            &[
                ("pnr", BERTA),
                ("mother_pnr", ALICE),
                ("mother_name", "Almindelig,Ida"),
            ],
        );
    put(&test, 3, third);
    test.set_time("2026-03-05T08:00:00Z");
    private(&test.path("persons"), &format!("{ALICE}\n"));
    test
}

fn places(test: &TestRun) -> Vec<PathBuf> {
    ["state", "disk", "tenants"]
        .map(|place| test.path(place))
        .into()
}

fn found(test: &TestRun, text: &str) -> Vec<PathBuf> {
    let places = places(test).into_iter();
    places.flat_map(|place| files_with(&place, text)).collect()
}

pub(crate) fn erase(test: &TestRun, more: &[&str]) -> Value {
    let persons = test.path("persons").display().to_string();
    let mut arguments = vec![
        "--numbers",
        &persons,
        "--yes",
        "--format",
        "json",
        "--not-subscribed",
    ];
    arguments.extend(more);
    let ended = test.run("erase", &arguments);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn assert_others_stay(test: &TestRun) {
    for tenant in [None, Some("one"), Some("nameless")] {
        let dataset = tenant.map_or(test.dataset(), |tenant| test.dataset_of(tenant));
        let names = |directory: &Path| format!("{:?}", tables(directory)["name"]);
        let current = names(&dataset.join("current"));
        assert!(
            current.contains("Birk") && current.contains("Carlsen"),
            "{tenant:?}"
        );
        let published = match tenant {
            None => test.published(),
            Some(tenant) => test.published_to(tenant),
        };
        let nights: Vec<_> = published
            .iter()
            .map(|(directory, _)| names(directory))
            .collect();
        assert!(nights[0].contains("Birk") && nights[1].contains("Carlsen"));
        assert!(nights[2].contains("Birk"));
    }
}

fn assert_settled(test: &TestRun) {
    assert!(!test.path("state/erasing").exists());
    let ended = test.sync();
    assert_eq!((ended.code, ended.text()), (0, "nothing new\n"));
    let status = test.run("status", &["--deep"]);
    let text = status.text();
    assert!(
        !text.contains("missing or changed") && !text.contains("or changed"),
        "{text}"
    );
}

#[test]
fn an_erased_person_is_nowhere() {
    let test = three_nights();
    let mut blocks = Vec::new();
    for text in [ALICE, ALICE_BEFORE, SURNAME] {
        let with = found(&test, text);
        assert!(
            with.iter()
                .any(|file| file.extension().is_some_and(|end| end == "parquet")),
            "{text}"
        );
        assert!(
            with.iter()
                .any(|file| file.extension().is_some_and(|end| end == "zst")),
            "{text}"
        );
        blocks.extend(with.iter().flat_map(|file| compressed_blocks(file, text)));
    }
    assert!(blocks.len() > 20, "{}", blocks.len());
    let proof = erase(&test, &["--reason", "case 17", "--references"]);
    assert_eq!(proof["numbers"], 2, "the former number is found");
    assert_eq!(proof["stores"][0]["deliveries"], 8);
    for text in [ALICE, ALICE_BEFORE, SURNAME] {
        let left = found(&test, text);
        let left: Vec<_> = left
            .iter()
            .filter(|file| !file.ends_with("erasures.jsonl"))
            .collect();
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
    for place in places(&test) {
        for file in files(&place) {
            let kept = blocks.iter().find(|block| has_block(&file, block));
            assert!(kept.is_none(), "a block of before is in {}", file.display());
        }
    }
    assert_others_stay(&test);
    let log = fs::read_to_string(test.path("state/erasures.jsonl")).unwrap();
    let line: Value = serde_json::from_str(log.trim_end()).unwrap();
    assert_eq!(
        (&line["numbers"], &line["reason"]),
        (&2.into(), &"case 17".into())
    );
    assert!(line["digest"].as_str().unwrap().starts_with("hmac-sha256:"));
    assert_eq!(line["deliveries"].as_array().unwrap().len(), 8);
    assert_settled(&test);
    for tenant in [None, Some("one"), Some("nameless"), Some("children")] {
        let mut arguments = vec!["--format", "json"];
        arguments.extend(tenant.iter().flat_map(|tenant| ["--tenant", tenant]));
        let listed = test.run("deliveries", &arguments);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let kinds = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["kind"].as_str().unwrap());
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            ["new", "new", "new", "erased", "erased"],
            "{tenant:?}"
        );
    }
    // Nobody is told as having left because of an erasure.
    let left = tables(&test.dataset_of("one").join("current"));
    assert!(
        left["out_of_scope"].is_empty(),
        "{:?}",
        left["out_of_scope"]
    );
}

#[test]
fn references_stay_unless_they_are_asked_for() {
    let test = three_nights();
    let proof = erase(&test, &[]);
    let extracts = proof["stores"][0]["extracts"].as_array().unwrap();
    let referring: u64 = extracts
        .iter()
        .map(|one| one["referring"].as_u64().unwrap())
        .sum();
    assert_eq!(referring, 1);
    let current = tables(&test.dataset().join("current"));
    assert!(format!("{:?}", current["parents"]).contains(ALICE));
    assert!(!format!("{:?}", current["person"]).contains(ALICE));
    assert!(!format!("{:?}", current["event"]).contains(ALICE));
    assert_settled(&test);
}

#[test]
fn without_yes_nothing_changes() {
    let test = three_nights();
    let everything = || {
        let places = places(&test).into_iter().flat_map(|place| files(&place));
        let stable = places.filter(|file| !file.to_string_lossy().contains("ledger.sqlite-"));
        stable
            .map(|file| (fs::read(&file).unwrap(), file))
            .collect::<Vec<_>>()
    };
    let before = everything();
    let persons = test.path("persons").display().to_string();
    let ended = test.run("erase", &["--numbers", &persons, "--not-subscribed"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for told in ["2 numbers", "8 published deliveries", "list      ", "--yes"] {
        let said = format!("{}{}", ended.text(), ended.stderr);
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(everything() == before);
}

#[test]
fn refuses_persons_who_may_be_delivered_again() {
    let test = three_nights();
    let persons = test.path("persons").display().to_string();
    let refused = |test: &TestRun, arguments: &[&str], told: &str| {
        let ended = test.run("erase", arguments);
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert!(!found(test, ALICE).is_empty() && !test.path("state/erasing").exists());
    };
    let numbers = ["--numbers", &persons, "--yes"];
    refused(&test, &numbers, "may still be subscribed");
    refused(
        &test,
        &["--agreement", "town", "--yes"],
        "still in the configuration",
    );
    refused(
        &test,
        &["--agreement", "nowhere", "--yes"],
        "not in ended_agreements",
    );
    refused(&test, &["--tenant", "nobody", "--yes"], "tenant");
    // The words about an empty list do not advise to empty the subscription.
    let empty = test.path("empty").display().to_string();
    fs::write(&empty, "\n").unwrap();
    let told = format!("{empty}: the list has no person number. Check that this is the right file");
    refused(&test, &["--numbers", &empty, "--yes"], &told);
    let ended = test.run("erase", &["--numbers", &empty, "--yes"]);
    assert!(!ended.stderr.contains("subscription"), "{}", ended.stderr);
    // The receipts have come.
    let receipts = night("20260305")
        .record("997", &[("pnr", ALICE)])
        .record("997", &[("pnr", ALICE_BEFORE)]);
    put(&test, 4, receipts);
    let ended = test.run("erase", &numbers);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(!format!("{:?}", tables(&test.dataset().join("current"))["person"]).contains(ALICE));
}

/// A delivery whose extract is gone cannot be made again, so it is removed.
#[test]
fn removes_a_delivery_whose_extract_is_gone() {
    let test = three_nights();
    assert_eq!(test.published().len(), 3);
    let erased = |number: u32| {
        let path = test.path(&format!("state/register/town/{}.cpr.zst", transfer(number)));
        fs::remove_file(path).unwrap();
    };
    erased(1);
    assert_eq!(test.run("register accept-missing", &["town"]).code, 0);
    erase(&test, &["--references"]);
    for text in [ALICE, ALICE_BEFORE, SURNAME] {
        let left = found(&test, text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
    assert_eq!(test.published().len(), 2);
}

#[test]
fn an_older_extract_does_not_bring_an_erased_person_back() {
    let test = three_nights();
    erase(&test, &["--references"]);
    // It was produced before the erasure, and comes late.
    let late = night("20260301")
        .resident(ALICE, "0265", SURNAME)
        .resident(BERTA, "0265", "Birk");
    put(&test, 4, late);
    for text in [ALICE, SURNAME] {
        let left = found(&test, text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
    assert_eq!(test.published().len(), 4);
    assert_eq!(test.published_to("one").len(), 4);
    // What CPR produces afterwards is new data.
    test.set_time("2026-03-06T08:00:00Z");
    put(&test, 5, night("20260306").resident(ALICE, "0265", SURNAME));
    assert!(format!("{:?}", tables(&test.dataset().join("current"))["person"]).contains(ALICE));
}

/// Without the list of erased persons, an extract could bring them back. So nothing is read or published.
#[test]
fn a_lost_list_of_erased_persons_stops_every_run() {
    let test = three_nights();
    erase(&test, &["--references"]);
    let list = test.path("state/erasures");
    let key = test.path("state/erasures.key");
    let older = fs::read(&list).unwrap();
    private(&test.path("persons"), &format!("{CARLA}\n"));
    erase(&test, &[]);
    private(&test.path("persons"), &format!("{ALICE}\n{CARLA}\n"));
    let (whole, whole_key) = (fs::read(&list).unwrap(), fs::read(&key).unwrap());
    let cut = |bytes: &[u8], length: usize| Some(bytes[..length].to_vec());
    let line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let late = night("20260301")
        .resident(ALICE, "0265", SURNAME)
        .resident(CARLA, "0265", "Carlsen")
        .resident(BERTA, "0265", "Birk");
    test.put("town4", &late.finish(), &transfer(4));
    let published = test.published().len();
    for (file, bytes) in [
        (&list, None),
        (&list, cut(&whole, 0)),
        (&list, cut(&whole, line)),
        (&list, cut(&whole, 2 * line)),
        (&list, cut(&whole, whole.len() - 30)),
        (&list, Some(older)),
        (&key, None),
        (&key, cut(&whole_key, 31)),
        (&key, Some(vec![7; 32])),
    ] {
        match &bytes {
            None => fs::remove_file(file).unwrap(),
            Some(bytes) => fs::write(file, bytes).unwrap(),
        }
        let case = format!("{file:?} {:?}", bytes.map(|bytes| bytes.len()));
        let ended = test.sync();
        assert_ne!(ended.code, 0, "{case}");
        for part in ["cannot tell who was erased", "--list-lost"] {
            assert!(ended.stderr.contains(part), "{case}: {}", ended.stderr);
        }
        assert!(test.path("inbox/town4").exists(), "{case}");
        assert_eq!(test.published().len(), published, "{case}");
        for text in [ALICE, SURNAME] {
            let left = found(&test, text);
            assert!(left.is_empty(), "{case}: {text} is in {left:?}");
        }
        let status = test.run("status", &[]);
        assert_eq!(status.code, 1, "{case}: {}", status.stderr);
        let doctor = test.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{case}: {}", doctor.stderr);
        for text in [status.text(), doctor.text()] {
            assert!(
                text.contains("cannot tell who was erased"),
                "{case}: {text}"
            );
        }
        let persons = test.path("persons").display().to_string();
        let refused = test.run(
            "erase",
            &["--numbers", &persons, "--yes", "--not-subscribed"],
        );
        assert_eq!(refused.code, 2, "{case}: {}", refused.text());
        assert!(!test.path("state/erasing").exists(), "{case}");
        fs::write(&list, &whole).unwrap();
        fs::write(&key, &whole_key).unwrap();
    }
    // Without a copy of the key, the persons are erased again.
    fs::remove_file(&key).unwrap();
    erase(&test, &["--list-lost"]);
    assert!(test.path("state/erasures.lost").exists());
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    assert_eq!(test.published().len(), published + 1);
    for text in [ALICE, SURNAME, CARLA] {
        let left = found(&test, text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
}

/// A late extract can know an erased person under a number that was not known when the person was erased.
#[test]
fn an_older_extract_under_another_number_does_not_bring_an_erased_person_back() {
    const LATER: &str = "0101010088";
    let test = three_nights();
    erase(&test, &["--references"]);
    let tie = [("pnr", LATER), ("former_pnr", ALICE)];
    let late = night("20260301")
        .resident(LATER, "0265", SURNAME)
        .record("022", &tie)
        .resident(BERTA, "0265", "Birk");
    put(&test, 4, late);
    for text in [ALICE, LATER, SURNAME] {
        let left = found(&test, text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
    assert_eq!(test.published().len(), 4);
}

fn copy(test: &TestRun, from: &str, to: &str) {
    let run = std::process::Command::new("cp")
        .arg("-a")
        .arg(test.path(from))
        .arg(test.path(to))
        .status();
    assert!(run.unwrap().success());
}

/// Puts the state directory and all datasets back as they were, with the newest list of erased persons.
fn put_back(test: &TestRun) {
    for name in ["erasures", "erasures.key"] {
        copy(test, &format!("state/{name}"), &format!("backup/{name}"));
    }
    for (from, to) in [
        ("backup", "state"),
        ("backup-of-disk", "disk"),
        ("backup-of-tenants", "tenants"),
    ] {
        fs::remove_dir_all(test.path(to)).unwrap();
        fs::rename(test.path(from), test.path(to)).unwrap();
    }
}

/// Copies the state directory and all datasets.
fn back_up(test: &TestRun) {
    copy(test, "state", "backup");
    copy(test, "disk", "backup-of-disk");
    copy(test, "tenants", "backup-of-tenants");
}

/// An erasure that is ordered between a restore and the next run does not hide that others are still to be erased again.
#[test]
fn another_erasure_after_a_restore_does_not_bring_erased_persons_back() {
    let other = |test: &TestRun| {
        private(&test.path("others"), &format!("{CARLA}\n"));
        test.path("others").display().to_string()
    };
    let of_numbers = |test: &TestRun| {
        vec![
            "--numbers".to_owned(),
            other(test),
            "--not-subscribed".to_owned(),
        ]
    };
    let of_tenant = |_: &TestRun| vec!["--tenant".to_owned(), "one".to_owned()];
    for arguments in [&of_numbers as &dyn Fn(&TestRun) -> Vec<String>, &of_tenant] {
        let test = three_nights();
        back_up(&test);
        erase(&test, &["--references"]);
        put_back(&test);
        assert!(!found(&test, SURNAME).is_empty());
        let mut arguments = arguments(&test);
        arguments.push("--yes".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = test.run("erase", &arguments);
        assert_eq!(
            ended.code,
            0,
            "{arguments:?}: {}{}",
            ended.stderr,
            ended.text()
        );
        assert_erased_again(&test);
        // The tenant is configured, so it gets current tables again.
        let ended = test.sync();
        assert!(ended.code < 2, "{arguments:?}: {}", ended.text());
        assert_erased_again(&test);
    }
}

/// A backup has an erasure that waits for a dataset. Persons who were erased after it do not come back with it.
#[test]
fn a_restored_erasure_that_waits_does_not_bring_others_back() {
    let test = three_nights();
    let (there, away) = (test.dataset_of("one"), test.path("one-away"));
    fs::rename(&there, &away).unwrap();
    private(&test.path("others"), &format!("{CARLA}\n"));
    let others = test.path("others").display().to_string();
    let order = ["--numbers", &others, "--not-subscribed", "--yes"];
    let waits = test.run("erase", &order);
    assert_eq!(waits.code, 1, "{}{}", waits.stderr, waits.text());
    fs::rename(&away, &there).unwrap();
    back_up(&test);
    assert!(test.path("backup/erasing").exists());
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    erase(&test, &["--references"]);
    put_back(&test);
    assert!(!found(&test, SURNAME).is_empty());
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_erased_again(&test);
    assert!(found(&test, "Carlsen").is_empty());
    let ended = test.sync();
    assert_eq!((ended.code, ended.text()), (0, "nothing new\n"));
    assert_erased_again(&test);
}

/// Alice has no records, and nothing is ordered. Records of relatives stay, because the order to blank them is not in the list.
fn assert_erased_again(test: &TestRun) {
    let left = tables(&test.dataset().join("current"));
    assert!(!format!("{:?}{:?}", left["person"], left["name"]).contains(ALICE));
    for (directory, _) in test.published() {
        assert!(!format!("{:?}", tables(&directory)["person"]).contains(ALICE));
    }
    assert!(!test.path("state/erasing").exists());
}

/// A state directory that was restored from a backup, with the newest list of erased persons.
#[test]
fn a_restored_backup_is_erased_before_anything_is_published() {
    let test = three_nights();
    back_up(&test);
    erase(&test, &["--references"]);
    put_back(&test);
    assert!(!found(&test, SURNAME).is_empty());
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    assert_erased_again(&test);
}

#[test]
fn erases_a_tenant() {
    let test = three_nights();
    let ended = test.run("erase", &["--tenant", "one", "--yes", "--format", "json"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    let left = files(&test.dataset_of("one"));
    let left: Vec<_> = left
        .iter()
        .map(|file| file.to_string_lossy())
        // The names of codes are no data of the tenant.
        .filter(|file| !file.contains("lock") && !file.contains("/codes/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    for kind in ["rosters", "generations", "policies"] {
        assert!(
            files(&test.path(&format!("state/{kind}/one"))).is_empty(),
            "{kind}"
        );
    }
    assert_eq!(test.published_to("nameless").len(), 3);
    assert_eq!(test.published().len(), 3);
    let listed = test.run("deliveries", &["--format", "json", "--tenant", "one"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 6);
}

#[test]
fn erases_an_agreement_that_has_ended() {
    let test = TestRun::local();
    let other =
        "[agreement.other]\ninbox = \"inbox\"\nfiles.name = \"other.*\"\nunrestricted = \"test\"\n";
    let tenant = |agreements: &str| {
        format!(
            "[tenant.one]\nagreements = {agreements}\npurpose = \"test\"\ndataset = \"tenants/one\"\n"
        )
    };
    test.configure(&format!(
        "{AGREEMENTS}{other}{}",
        tenant("[\"town\", \"other\"]")
    ));
    put(&test, 1, night("20260302").resident(ALICE, "0265", SURNAME));
    let second = night("20260302").resident(BERTA, "0265", "Birk");
    test.put("other2", &second.finish(), &transfer(2));
    assert_eq!(test.sync().code, 0);
    test.configure(&format!(
        "ended_agreements = [\"town\"]\n{other}{}",
        tenant("[\"other\"]")
    ));
    let ended = test.run(
        "erase",
        &["--agreement", "town", "--yes", "--format", "json"],
    );
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    for text in [ALICE, SURNAME] {
        let left = found(&test, text);
        assert!(left.is_empty(), "{text} is in {left:?}");
    }
    assert!(!found(&test, "Birk").is_empty());
    assert_settled(&test);
}

/// A run of an older version that was killed while it wrote a proof can have left a part of a line.
#[test]
fn a_proof_begins_on_its_own_line() {
    let test = three_nights();
    erase(&test, &["--references"]);
    let path = test.path("state/erasures.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    let before = format!(r#"{whole}{{"done":"2026-03-0"#);
    private(&path, &before);
    private(&test.path("persons"), &format!("{CARLA}\n"));
    erase(&test, &[]);
    let text = fs::read_to_string(&path).unwrap();
    let rest = text.strip_prefix(&format!("{before}\n")).unwrap();
    let proof: Value = serde_json::from_str(rest).unwrap();
    assert_eq!(proof["subject"], "numbers");
}

/// Without the list, an extract could bring erased persons back. A proof that cannot be read can be the proof of their
/// erasure.
#[test]
fn a_proof_that_cannot_be_read_needs_the_list() {
    let test = three_nights();
    let path = test.path("state/erasures.jsonl");
    private(&path, "{\"done\":\"2026-03-0\n");
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.text());
    let told = "cannot tell who was erased";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    erase(&test, &["--list-lost"]);
    assert_eq!(test.sync().code, 0);
}
