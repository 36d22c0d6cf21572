//! What operators read after a run: the status, metrics for monitoring, and messages about a wrong command line.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::Command;

use cprflow_tests::command::{TestDirectory, binary, cprflow};
use cprflow_tests::sshd::Sshd;
use cprflow_tests::test_run::{TestRun, metadata, numbers, transfer};
use cprflow_tests::{Requirement, extract, require};
use serde_json::Value;

const CONFIGURATION: &str = "
[agreement.town]
inbox = \"inbox\"
unrestricted = \"test\"
[tenant.school]
agreements = [\"town\"]
purpose = \"test\"
dataset = \"tenants/school\"
";

/// Publishes one delivery, sets a damaged one aside, and leaves a file without metadata in the inbox.
fn one_of_each(test: &TestRun) -> Vec<u8> {
    test.configure(CONFIGURATION);
    test.set_time("2026-03-02T08:00:00Z");
    let bytes = extract::small(60, 4);
    test.put("d260302.l000001", &bytes, &transfer(1));
    let cut: Vec<u8> = extract::small(60, 5).into_iter().take(2000).collect();
    test.put("d260302.l000002", &cut, &transfer(2));
    test.data("d260302.l000003", &extract::small(60, 6));
    assert_eq!(test.sync().code, 1);
    bytes
}

#[test]
fn metrics_tell_what_was_published_and_what_waits() {
    let test = TestRun::local();
    let bytes = one_of_each(&test);
    let path = test.path("cprflow.prom").display().to_string();
    test.set_time("2026-03-02T09:00:00Z");
    assert_eq!(test.run("status", &["--metrics", &path]).code, 1);
    let text = fs::read_to_string(&path).unwrap();
    for line in [
        "cprflow_deliveries_published{agreement=\"town\"} 1",
        "cprflow_deliveries_set_aside{agreement=\"town\"} 1",
        "cprflow_deliveries_in_progress{agreement=\"town\"} 0",
        "cprflow_inbox_files_unclaimed{agreement=\"town\"} 1",
        "cprflow_inbox_visit_failed{agreement=\"town\"} 0",
        "cprflow_last_success_timestamp_seconds{agreement=\"town\"} 1772438400",
        "cprflow_newest_delivery_published_timestamp_seconds{agreement=\"town\"} 1772438400",
        "cprflow_tenant_deliveries_published{agreement=\"town\",tenant=\"school\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
    assert!(
        numbers(&bytes)
            .iter()
            .all(|number| !text.contains(number.as_str()))
    );

    // A check that fails leaves the time of the last good one.
    fs::rename(test.inbox(), test.path("elsewhere")).unwrap();
    test.set_time("2026-03-03T09:00:00Z");
    let failed = test.run("sync", &["--metrics", &path]);
    assert_eq!(failed.code, 2);
    let text = fs::read_to_string(&path).unwrap();
    for line in [
        "cprflow_inbox_visit_failed{agreement=\"town\"} 1",
        "cprflow_last_success_timestamp_seconds{agreement=\"town\"} 1772438400",
        "cprflow_inbox_visit_timestamp_seconds{agreement=\"town\"} 1772528400",
        "cprflow_run_success 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

/// A device or pipe is not replaced by a file, and a link stays a link.
#[test]
fn metrics_are_written_to_devices_and_through_links() {
    let test = TestRun::local();
    test.configure(CONFIGURATION);
    let write = |name: &str| {
        let path = test.path(name).display().to_string();
        assert_eq!(test.run("status", &["--metrics", &path]).code, 0, "{name}");
    };
    let (file, link) = (test.path("file.prom"), test.path("link.prom"));
    fs::write(&file, "before").unwrap();
    symlink(&file, &link).unwrap();
    write("link.prom");
    assert!(link.is_symlink());
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("cprflow_deliveries_published"), "{text}");
    let full = test.path("full");
    symlink("/dev/full", &full).unwrap();
    let path = full.display().to_string();
    assert_eq!(test.run("status", &["--metrics", &path]).code, 2);
    assert!(full.is_symlink());
    // A new file can be read by monitoring, which runs as another user.
    write("new.prom");
    let mode = fs::metadata(test.path("new.prom")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o644);
}

#[test]
fn status_tells_local_times_with_their_age() {
    let test = TestRun::local();
    one_of_each(&test);
    let at = |now: &str| {
        test.set_time(now);
        test.run("status", &[]).text().to_owned()
    };
    // Denmark's clock is one hour ahead of UTC in winter.
    let text = at("2026-03-02T10:00:00Z");
    for words in [
        "last check     2026-03-02 09:00 (2 hours ago)",
        ", published 2026-03-02 09:00 (2 hours ago)",
        "persons of the scope delivered",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(at("2026-03-02T08:00:20Z").contains("09:00 (less than a minute ago)"));
    assert!(at("2026-03-02T08:01:20Z").contains("09:00 (1 minute ago)"));
    assert!(at("2026-03-04T08:00:00Z").contains("09:00 (2 days ago)"));
    let json = test.run("status", &["--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["visit"]["last"], "2026-03-02T08:00:00Z");
}

#[test]
fn an_address_without_a_folder_is_completed_and_told() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let place = TestDirectory::new();
    fs::create_dir(sshd.path("IN")).unwrap();
    let mut server = sshd.server();
    server.folder.clear();
    let settings = sshd.settings();
    let inbox = server.to_string();
    let identity = settings.identity.display().to_string();
    let mut arguments = vec!["sync", "--unrestricted", "test", "--inbox", &inbox];
    arguments.extend(["--identity", &identity]);
    let keys: Vec<String> = settings.host_keys.iter().map(ToString::to_string).collect();
    arguments.extend(keys.iter().flat_map(|key| ["--host-key", key]));
    let (dataset, state) = (place.path("dataset"), place.path("state"));
    arguments.extend(["--dataset", &dataset, "--state", &state]);
    let ended = cprflow(arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let told = "names no folder, so cprflow uses the folder IN";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
}

#[test]
fn an_unknown_agreement_is_answered_with_the_known_ones() {
    let test = TestRun::local();
    test.configure(CONFIGURATION);
    let ended = test.run("status", &["--agreement", "odense"]);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("It has: town"), "{}", ended.stderr);
    // Without a configuration, there is one agreement.
    let place = TestDirectory::new();
    let (inbox, dataset) = (place.path("inbox"), place.path("dataset"));
    fs::create_dir(&inbox).unwrap();
    let source = ["--inbox", &inbox, "--dataset", &dataset];
    let ended = cprflow([&["status", "--agreement", "odense"], &source[..]].concat());
    assert_eq!(ended.code, 2);
    let known = "It has: default";
    assert!(ended.stderr.contains(known), "{}", ended.stderr);
}

#[test]
fn a_file_in_place_of_a_dataset_is_named() {
    let test = TestRun::local();
    test.configure(CONFIGURATION);
    test.put("d260302.l000001", &extract::small(20, 1), &transfer(1));
    fs::write(test.path("tenants"), "mine").unwrap();
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    assert!(
        ended.stderr.contains("tenants") && ended.stderr.contains("A directory is needed here"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(test.path("tenants")).unwrap(), "mine");
    // The same on the command line.
    let place = TestDirectory::new();
    let file = place.file("file", b"mine");
    let (dataset, state) = (place.path("dataset"), place.path("state"));
    let inbox = place.path("inbox");
    fs::create_dir(&inbox).unwrap();
    let (name, bytes) = ("d260302.l000001", extract::small(20, 1));
    fs::write(format!("{inbox}/{name}"), &bytes).unwrap();
    let metadata = metadata(name, bytes.len() as u64, &transfer(1));
    fs::write(format!("{inbox}/{name}.metadata"), metadata).unwrap();
    for directories in [[&file, &state], [&dataset, &file]] {
        let [dataset, state] = directories;
        let purposes = ["--unrestricted", "test", "--church-purpose", "test"];
        let directories = ["--dataset", dataset, "--state", state];
        let ended = cprflow([&["sync", "--inbox", &inbox], &purposes[..], &directories].concat());
        assert_eq!(ended.code, 2);
        let named = ended.stderr.contains(&file);
        let advice = "A directory is needed here, and a file has this name. Name another directory";
        assert!(named && ended.stderr.contains(advice), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    }
}

/// A user who does not own the state directory is told which user should run cprflow.
#[test]
fn another_user_is_told_whose_directory_it_is() {
    let missing =
        "only root can run a command as another user, so a foreign state directory is not tested";
    let is_root = rustix::process::geteuid().is_root();
    if require(Requirement::Mounts, is_root.then_some(()), missing).is_none() {
        return;
    }
    let place = TestDirectory::new();
    let open = |path: &str| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(&place.root());
    let program = place.path("cprflow");
    fs::copy(binary(), &program).unwrap();
    for name in ["inbox", "state", "dataset"] {
        fs::create_dir(place.path(name)).unwrap();
        open(&place.path(name));
    }
    for (own, foreign) in [("dataset", "state"), ("state", "dataset")] {
        chown(place.path(own), Some(54_322), Some(54_322)).unwrap();
        chown(place.path(foreign), Some(54_323), Some(54_323)).unwrap();
        let ended = Command::new("setpriv")
            .args(["--clear-groups", "--reuid=54322", "--regid=54322"])
            .args([&program, "sync", "--unrestricted", "test"])
            .args([
                "--inbox",
                &place.path("inbox"),
                "--state",
                &place.path("state"),
            ])
            .args(["--dataset", &place.path("dataset")])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{told}");
        assert!(
            told.contains(&place.path(foreign)) && told.contains("as the user that owns it"),
            "{told}"
        );
    }
}

#[test]
fn a_municipality_that_does_not_exist_is_named() {
    let test = TestRun::local();
    test.configure(&format!(
        "{CONFIGURATION}[tenant.school.persons]\nmunicipalities = [\"9999\"]\n"
    ));
    let config = test.path("cprflow.toml").display().to_string();
    for arguments in [&["tenant", "check"][..], &["doctor"]] {
        let ended = cprflow([arguments, &["--config", &config]].concat());
        let told = format!("{}{}", ended.text(), ended.stderr);
        assert!(
            told.contains("persons.municipalities selects no person"),
            "{arguments:?}: {told}"
        );
    }
}
