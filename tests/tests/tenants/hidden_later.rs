//! What must stay hidden when something else goes wrong or changes: a lost extract, a lost agreement, a tenant that is not
//! ready, erased persons, a directory of another tenant. Every byte of the tenant's directories is searched.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_tests::command::CommandOutput;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::search::files_with;
use cprflow_tests::test_run::{TestRun, transfer};

pub(crate) const ALICE: &str = "0101010010";
pub(crate) const BERTA: &str = "0101010029";
pub(crate) const CARLA: &str = "0101010037";

/// The rules of protection that hide persons.
const RULES: [(&str, &str); 2] = [("mask", "mask"), ("drop", "drop")];

pub(crate) fn town(date: &str) -> Handmade {
    Handmade::new("431101", date)
}

pub(crate) fn other(date: &str) -> Handmade {
    Handmade::new("431102", date)
}

pub(crate) fn protection(extract: Handmade, number: &str) -> Handmade {
    extract.record("004", &[("pnr", number), ("protection_type", "0001")])
}

/// Writes a configuration with two agreements and two tenants that have this rest of a policy.
pub(crate) fn configure(test: &TestRun, agreements: &[&str], more: &str) {
    let mut text = String::new();
    for agreement in ["town", "other"] {
        text.push_str(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\nfiles.name = \"{agreement}.*\"\n"
        ));
    }
    for (tenant, rule) in RULES {
        text.push_str(&format!(
            "[tenant.{tenant}]\nagreements = {agreements:?}\npurpose = \"test\"\ndataset = \"tenants/{tenant}\"\n\
             protection = \"{rule}\"\n{more}\n"
        ));
    }
    text.push_str(
        "[tenant.third]\nagreements = [\"other\"]\npurpose = \"test\"\ndataset = \"tenants/third\"\n",
    );
    test.configure(&text);
}

pub(crate) fn start(agreements: &[&str], more: &str) -> TestRun {
    let test = TestRun::local();
    configure(&test, agreements, more);
    test
}

pub(crate) fn put(test: &TestRun, name: &str, number: u32, extract: Handmade) -> CommandOutput {
    test.put(
        &format!("{name}{number}"),
        &extract.finish(),
        &transfer(number),
    );
    test.sync()
}

fn shows(test: &TestRun, tenant: &str, text: &str) -> bool {
    !files_with(&test.dataset_of(tenant), text).is_empty()
}

#[track_caller]
pub(crate) fn assert_hidden(test: &TestRun, text: &str) {
    for (tenant, _) in RULES {
        let found = files_with(&test.dataset_of(tenant), text);
        assert!(found.is_empty(), "{tenant}: {text} is in {found:?}");
    }
}

#[track_caller]
pub(crate) fn assert_shown(test: &TestRun, text: &str) {
    for (tenant, _) in RULES {
        assert!(shows(test, tenant, text), "{tenant}: {text}");
    }
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(copied.unwrap().success());
}

/// A protection counts as long as the extracts of its agreement are kept, also in deliveries that are made again and in new
/// ones.
#[test]
fn a_protection_of_a_lost_agreement_hides() {
    let test = start(&["town", "other"], "");
    put(
        &test,
        "other",
        1,
        protection(other("20260301").resident(ALICE, "0265", "Anders"), ALICE),
    );
    let both = || {
        town("20260302")
            .resident(ALICE, "0265", "Anders")
            .resident(BERTA, "0265", "Birk")
    };
    put(&test, "town", 2, both());
    assert_hidden(&test, "Anders");
    assert_shown(&test, "Birk");
    configure(&test, &["town"], "");
    assert!(test.sync().code < 2);
    assert_hidden(&test, "Anders");
    // Another person becomes protected, so the older delivery is made again.
    put(
        &test,
        "town",
        3,
        protection(town("20260303").resident(BERTA, "0265", "Birk"), BERTA),
    );
    assert_hidden(&test, "Birk");
    assert_hidden(&test, "Anders");
    // A new delivery of the agreement that is left.
    put(
        &test,
        "town",
        4,
        town("20260304")
            .resident(ALICE, "0265", "Anders")
            .resident(CARLA, "0265", "Carlsen"),
    );
    assert_hidden(&test, "Anders");
    assert_shown(&test, "Carlsen");
    // The lost agreement still protects others.
    put(
        &test,
        "other",
        5,
        protection(other("20260305").resident(CARLA, "0265", "Carlsen"), CARLA),
    );
    assert_hidden(&test, "Carlsen");
}

/// Whom another agreement protects is hidden from the first moment on.
#[test]
fn a_new_delivery_hides_whom_another_agreement_protects() {
    let test = start(&["town", "other"], "");
    put(
        &test,
        "other",
        1,
        protection(other("20260301").resident(ALICE, "0265", "Anders"), ALICE),
    );
    let second = town("20260302")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Birk");
    test.put("town2", &second.finish(), &transfer(2));
    let paused = test.stop_at("tenant-renamed:mask");
    let found = files_with(&test.dataset_of("mask"), "Anders");
    assert!(found.is_empty(), "{found:?}");
    paused.kill();
    assert!(test.sync().code < 2);
    assert_hidden(&test, "Anders");
    assert_shown(&test, "Birk");
}

/// Without an extract, a protection could be missing: what would be made again is removed until the register is complete.
#[test]
fn nothing_is_shown_again_while_the_register_lacks_an_extract() {
    let all = || {
        town("20260302")
            .resident(ALICE, "0265", "Anders")
            .resident(BERTA, "0265", "Birk")
            .resident(CARLA, "0265", "Carlsen")
    };
    let second = || protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE);
    // The extract with the protection is lost.
    let test = start(&["town"], "");
    put(&test, "town", 1, all());
    put(&test, "town", 2, second());
    assert_hidden(&test, "Anders");
    let kept = test.path(&format!("state/register/town/{}.cpr.zst", transfer(2)));
    let away = test.path("away");
    fs::rename(&kept, &away).unwrap();
    test.sync();
    let ended = put(
        &test,
        "town",
        3,
        protection(town("20260304").resident(BERTA, "0265", "Birk"), BERTA),
    );
    assert_eq!(ended.code, 2);
    let told = ended.stderr.clone() + ended.text();
    assert!(told.contains("is gone or was changed"), "{told}");
    assert_hidden(&test, "Anders");
    assert_hidden(&test, "Birk");
    // The extract is back, and so is the delivery.
    fs::rename(&away, &kept).unwrap();
    assert!(test.sync().code < 2);
    assert_hidden(&test, "Anders");
    assert_hidden(&test, "Birk");
    assert_shown(&test, "Carlsen");

    // A state directory from a backup does not know the protection.
    let test = start(&["town"], "");
    put(&test, "town", 1, all());
    copy(&test.path("state"), &test.path("backup"));
    put(&test, "town", 2, second());
    fs::remove_dir_all(test.path("state")).unwrap();
    copy(&test.path("backup"), &test.path("state"));
    test.sync();
    assert_hidden(&test, "Anders");
    configure(&test, &["town"], "classes = [\"name\"]");
    assert_eq!(test.sync().code, 2);
    assert_hidden(&test, "Anders");
}

/// The deliveries of a tenant that is not ready lose what is hidden now. They come back when it is ready.
#[test]
fn a_tenant_that_is_not_ready_loses_what_is_hidden_now() {
    let scope = "persons = { municipalities = [\"0265\"] }";
    for (before, after) in [
        // The new policy hides most persons, so it waits for a person.
        ("", scope),
        (
            "numbers = \"pseudonym\"\nkey = { file = \"key\" }",
            "no key",
        ),
        ("persons = { numbers = \"list\" }", "no list"),
        ("", "rows = { person = \"occupation = 'x'\" }"),
    ] {
        let test = TestRun::local();
        private(&test.path("key"), &"b".repeat(64));
        private(&test.path("list"), &format!("{ALICE}\n{BERTA}\n{CARLA}\n"));
        configure(&test, &["town"], before);
        let first = town("20260302").resident(ALICE, "0265", "Anders");
        let first = first
            .resident(BERTA, "0101", "Birk")
            .resident(CARLA, "0101", "Carlsen");
        assert!(put(&test, "town", 1, first).code < 2);
        assert_shown(&test, "Anders");
        match after {
            "no key" => fs::remove_file(test.path("key")).unwrap(),
            "no list" => fs::remove_file(test.path("list")).unwrap(),
            policy => configure(&test, &["town"], policy),
        }
        let ended = put(
            &test,
            "town",
            2,
            protection(town("20260303").resident(ALICE, "0265", "Anders"), ALICE),
        );
        assert_eq!(ended.code, 2, "{after}: {}{}", ended.stderr, ended.text());
        assert_hidden(&test, "Anders");
        private(&test.path("key"), &"b".repeat(64));
        private(&test.path("list"), &format!("{ALICE}\n{BERTA}\n{CARLA}\n"));
        configure(&test, &["town"], before);
        let ended = test.sync();
        assert!(ended.code < 2, "{after}: {}{}", ended.stderr, ended.text());
        assert_hidden(&test, "Anders");
        assert_shown(&test, "Carlsen");
    }
}

/// A person is erased while a tenant is not ready: the tenant's deliveries do not keep the person. They come back without the
/// person when the tenant is ready.
#[test]
fn a_tenant_that_is_not_ready_keeps_no_erased_person() {
    let scope = "persons = { municipalities = [\"0265\"] }";
    for (before, after) in [
        // The new policy hides most persons, so it waits for a person.
        ("", scope),
        (
            "numbers = \"pseudonym\"\nkey = { file = \"key\" }",
            "no key",
        ),
        ("persons = { numbers = \"list\" }", "no list"),
        ("", "rows = { person = \"occupation = 'x'\" }"),
    ] {
        let test = TestRun::local();
        test.set_time("2026-03-05T08:00:00Z");
        private(&test.path("key"), &"b".repeat(64));
        private(&test.path("list"), &format!("{ALICE}\n{BERTA}\n{CARLA}\n"));
        configure(&test, &["town"], before);
        let first = town("20260302").resident(ALICE, "0265", "Anders");
        let first = first
            .resident(BERTA, "0101", "Birk")
            .resident(CARLA, "0101", "Carlsen");
        assert!(put(&test, "town", 1, first).code < 2);
        assert_shown(&test, "Anders");
        match after {
            "no key" => fs::remove_file(test.path("key")).unwrap(),
            "no list" => fs::remove_file(test.path("list")).unwrap(),
            policy => configure(&test, &["town"], policy),
        }
        assert_eq!(test.sync().code, 2, "{after}");
        let ended = erase(&test, ALICE);
        assert_ne!(ended.code, 0, "{after}: {}{}", ended.stderr, ended.text());
        assert_hidden(&test, "Anders");
        assert!(test.path("state/erasing").exists(), "{after}");
        private(&test.path("key"), &"b".repeat(64));
        private(&test.path("list"), &format!("{BERTA}\n{CARLA}\n"));
        configure(&test, &["town"], before);
        let ended = test.sync();
        assert!(ended.code < 2, "{after}: {}{}", ended.stderr, ended.text());
        assert!(!test.path("state/erasing").exists(), "{after}");
        assert_hidden(&test, "Anders");
        assert_shown(&test, "Carlsen");
    }
}

/// Each record of Alice that protects Berta, and whether a person must accept its damage.
fn protecting(extract: Handmade) -> [(Handmade, bool); 4] {
    let with_alice = || extract.clone().resident(ALICE, "0265", "Anders");
    let relative = |number: &str| {
        let columns = [
            ("pnr", ALICE),
            ("mother_pnr", number),
            ("protection_start_date", "2020-01-01"),
        ];
        with_alice().record("031", &columns)
    };
    let tie = [
        ("pnr", ALICE),
        ("status", "60"),
        ("current_pnr", "010101002X"),
    ];
    [
        (relative(BERTA), false),
        (relative("01010100X9"), true),
        (
            with_alice().line(format!("0X4{ALICE}0001 something {BERTA}").as_bytes()),
            true,
        ),
        (extract.clone().record("001", &tie), true),
    ]
}

pub(crate) fn erase(test: &TestRun, number: &str) -> CommandOutput {
    private(&test.path("persons"), &format!("{number}\n"));
    let persons = test.path("persons").display().to_string();
    test.run(
        "erase",
        &["--numbers", &persons, "--yes", "--not-subscribed"],
    )
}

pub(crate) fn accept(test: &TestRun, name: &str, is_damaged: bool) {
    if is_damaged {
        let ended = test.run("retry", &[name, "--accept", "protection-unreadable"]);
        assert!(ended.code < 2, "{}", ended.stderr);
    }
}

/// A person whom the record of an erased person protects stays hidden until the agreement delivers the person again.
#[test]
fn erasing_a_person_ends_no_protection_of_others() {
    let cases = protecting(town("20260302").resident(BERTA, "0265", "Birk")).len();
    for case in 0..cases {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        let extract = town("20260302").resident(BERTA, "0265", "Birk");
        let (extract, is_damaged) = protecting(extract)[case].clone();
        put(&test, "town", 1, extract);
        accept(&test, "town1", is_damaged);
        assert_hidden(&test, "Birk");
        let ended = erase(&test, ALICE);
        assert_eq!(ended.code, 0, "{case}: {}{}", ended.stderr, ended.text());
        assert_hidden(&test, "Birk");
        assert_hidden(&test, "Anders");
        let list = fs::read_to_string(test.path("state/erased-protections/town")).unwrap();
        assert!(list.contains(BERTA) && !list.contains(ALICE), "{case}");
        // A late delivery changes nothing, a newer one ends the protection.
        put(
            &test,
            "town",
            2,
            town("20260301").resident(BERTA, "0265", "Birk"),
        );
        assert_hidden(&test, "Birk");
        put(
            &test,
            "town",
            3,
            town("20260304").resident(BERTA, "0265", "Bech"),
        );
        assert_shown(&test, "Bech");
        assert_hidden(&test, "Birk");
    }
}

/// The list of these persons follows the name of the agreement.
#[test]
fn renaming_an_agreement_ends_no_protection() {
    let test = TestRun::local();
    let configure = |agreement: &str| {
        test.configure(&format!(
            "[agreement.{agreement}]\ninbox = \"inbox\"\n[tenant.mask]\nagreements = [{agreement:?}]\n\
             purpose = \"test\"\ndataset = \"tenants/mask\"\n[tenant.drop]\nagreements = [{agreement:?}]\n\
             purpose = \"test\"\ndataset = \"tenants/drop\"\nprotection = \"drop\"\n"
        ));
    };
    configure("town");
    test.set_time("2026-03-05T08:00:00Z");
    let [(extract, _), ..] = protecting(town("20260302").resident(BERTA, "0265", "Birk"));
    put(&test, "town", 1, extract);
    assert_eq!(erase(&test, ALICE).code, 0);
    assert_hidden(&test, "Birk");
    configure("city");
    let config = test.path("cprflow.toml").display().to_string();
    let renamed = ["agreement", "rename", "town", "city", "--config", &config];
    let renamed = cprflow_tests::command::cprflow(renamed);
    assert_eq!(renamed.code, 0, "{}", renamed.stderr);
    test.set_time("2026-03-06T08:00:00Z");
    let carla = town("20260305").resident(CARLA, "0265", "Carlsen");
    assert!(put(&test, "town", 2, carla).code < 2);
    assert_shown(&test, "Carlsen");
    assert_hidden(&test, "Birk");
}

/// Records of erased persons in extracts that come later protect others too.
#[test]
fn records_of_erased_persons_that_come_later_protect_others() {
    let mut cases = protecting(town("20260302").resident(BERTA, "0265", "Birk")).to_vec();
    let replaced = [("pnr", ALICE), ("status", "60"), ("current_pnr", BERTA)];
    let tied = |extract: Handmade| extract.resident(BERTA, "0265", "Birk");
    cases.push((
        tied(protection(town("20260302").record("001", &replaced), ALICE)),
        false,
    ));
    let former = [("pnr", BERTA), ("former_pnr", ALICE)];
    cases.push((
        tied(protection(town("20260302"), ALICE)).record("022", &former),
        false,
    ));
    for (case, (extract, is_damaged)) in cases.into_iter().enumerate() {
        let test = start(&["town"], "");
        test.set_time("2026-03-05T08:00:00Z");
        put(
            &test,
            "town",
            1,
            town("20260301")
                .resident(ALICE, "0265", "Anders")
                .resident(CARLA, "0265", "Carlsen"),
        );
        assert_eq!(erase(&test, ALICE).code, 0, "{case}");
        put(&test, "town", 2, extract);
        accept(&test, "town2", is_damaged);
        assert_hidden(&test, "Birk");
        assert_shown(&test, "Carlsen");
        // If the records tie her to the erased person, only what CPR produces after the erasure is new.
        test.set_time("2026-03-06T08:00:00Z");
        put(
            &test,
            "town",
            3,
            town("20260306").resident(BERTA, "0265", "Bech"),
        );
        assert_shown(&test, "Bech");
    }
}

/// A record of an erased person that cannot be told from that of another person sets its delivery aside. The other deliveries
/// are published.
#[test]
fn a_joined_record_of_an_erased_person_stops_only_its_delivery() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    put(
        &test,
        "town",
        1,
        town("20260301").resident(ALICE, "0265", "Anders"),
    );
    assert_eq!(erase(&test, ALICE).code, 0);
    let mut joined = format!("008{ALICE}Ida").into_bytes();
    joined.resize(193, b' ');
    joined.extend_from_slice(format!("004{BERTA}00012020-01-01").as_bytes());
    let second = town("20260302")
        .line(&joined)
        .resident(BERTA, "0265", "Birk");
    test.put("town2", &second.finish(), &transfer(2));
    let third = other("20260302").resident(CARLA, "0265", "Carlsen");
    test.put("other3", &third.finish(), &transfer(3));
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    assert_shown(&test, "Carlsen");
    let status = test.run("status", &[]);
    assert_eq!(status.code, 1);
    assert!(
        status.text().contains("a line end is lost"),
        "{}",
        status.text()
    );
}

/// What is left of tenants that are not configured any more is named by an erasure, because it may have the person.
#[test]
fn erasing_names_what_it_cannot_reach() {
    let test = start(&["town"], "");
    put(
        &test,
        "town",
        1,
        town("20260302").resident(ALICE, "0265", "Anders"),
    );
    let only = "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\n[tenant.drop]\nagreements = [\"town\"]\n\
                purpose = \"test\"\ndataset = \"tenants/drop\"\n";
    test.configure(only);
    assert!(test.sync().code < 2);
    let ended = erase(&test, ALICE);
    assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
    assert!(
        ended.text().contains("left      tenant mask"),
        "{}",
        ended.text()
    );
    assert!(
        !ended.stderr.contains("everything is erased"),
        "{}",
        ended.stderr
    );
    let persons = test.path("persons").display().to_string();
    let config = test.path("cprflow.toml").display().to_string();
    let arguments = [
        "register",
        "show",
        "--numbers",
        &persons,
        "--config",
        &config,
    ];
    let shown = cprflow_tests::command::cprflow(arguments);
    assert_eq!(shown.code, 1, "{}", shown.stderr);
    assert!(
        shown.stderr.contains("not searched: tenant mask"),
        "{}",
        shown.stderr
    );
    let ended = test.run("erase", &["--tenant", "mask", "--yes"]);
    assert!(ended.code < 2, "{}", ended.stderr);
    assert_eq!(erase(&test, ALICE).code, 0);
}

/// A directory with the data of another tenant is not used: the other policy can show more.
#[test]
fn a_tenant_does_not_get_the_directory_of_another_one() {
    let test = start(&["town"], "");
    put(
        &test,
        "town",
        1,
        town("20260302").resident(ALICE, "0265", "Anders"),
    );
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\nfiles.name = \"town.*\"\n[tenant.bare]\nagreements = [\"town\"]\n\
         purpose = \"test\"\ndataset = \"tenants/mask\"\nclasses = [\"protection\"]\n",
    );
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}{}", ended.stderr, ended.text());
    let told = "has data that was made for tenant mask";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}
