//! Directories that other users can write to, and links that other users have put in the way.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files, transfer};

const NAME: &str = "d260302.l431101";

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Returns a run with one agreement and the tenants `one` and `other`, and one delivery in the inbox.
fn test_run() -> TestRun {
    let test = TestRun::local();
    let tenant = |name: &str| {
        format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}/data\"\n"
        )
    };
    test.configure(&format!(
        "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n{}{}",
        tenant("one"),
        tenant("other")
    ));
    test.put(NAME, &extract::small(20, 1), &transfer(1));
    test
}

/// Returns the number of files that are published in a dataset.
fn published(dataset: &Path) -> usize {
    let is_table = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "parquet");
    files(dataset).iter().filter(|path| is_table(path)).count()
}

#[test]
fn directories_that_others_can_write() {
    for (path, mode, change) in [
        ("disk/dataset", 0o777, "g-w,o-w"),
        ("disk/dataset", 0o775, "g-w"),
        ("disk", 0o757, "o-w"),
        ("state", 0o777, "g-w,o-w"),
        ("state/spool", 0o770, "g-w"),
        ("state/rosters", 0o722, "g-w,o-w"),
    ] {
        let test = test_run();
        let path = test.path(path);
        fs::create_dir_all(&path).unwrap();
        for ancestor in ["disk", "disk/dataset", "state"] {
            if test.path(ancestor).exists() {
                chmod(&test.path(ancestor), 0o700);
            }
        }
        chmod(&path, mode);
        let advice = format!("`chmod {change} {}`", path.display());
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}: {}", path.display(), ended.text());
        assert!(ended.stderr.contains(&advice), "{}", ended.stderr);
        assert_eq!(published(&test.dataset()), 0, "{}", path.display());
        assert_eq!(test.remote().len(), 2, "the server keeps the delivery");
        let doctor = test.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{}", doctor.text());
        assert!(doctor.text().contains(&advice), "{}", doctor.text());
        chmod(&path, 0o700);
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(published(&test.dataset()) > 0);
        let doctor = test.run("doctor", &[]);
        let expected = "ok    state: other users cannot write to it";
        assert!(doctor.text().contains(expected), "{}", doctor.text());
    }
    // Others can add files to a directory with the sticky bit, but cannot replace those of cprflow.
    let test = test_run();
    fs::create_dir_all(test.dataset()).unwrap();
    chmod(&test.dataset(), 0o1777);
    assert_eq!(test.sync().code, 0);
}

#[test]
fn a_tenants_dataset_that_others_can_write() {
    for (path, mode) in [("tenants/one/data", 0o775), ("tenants/one", 0o777)] {
        let test = test_run();
        let path = test.path(path);
        fs::create_dir_all(&path).unwrap();
        chmod(&path, mode);
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        let start = format!("error: tenant one: {}: ", path.display());
        assert!(ended.stderr.contains(&start), "{}", ended.stderr);
        assert!(ended.stderr.contains("run `chmod "), "{}", ended.stderr);
        assert_eq!(published(&test.path("tenants/one")), 0);
        assert!(published(&test.path("tenants/other")) > 0);
        let doctor = test.run("doctor", &[]);
        assert_eq!(doctor.code, 1);
        let failed = format!("FAIL  dataset: {}: ", path.display());
        assert!(doctor.text().contains(&failed), "{}", doctor.text());
        chmod(&path, 0o700);
        assert_eq!(test.sync().code, 0);
        assert!(published(&test.path("tenants/one")) > 0);
    }
}

/// Another user may have made the directories that cprflow makes itself, as links to a place of that user.
#[test]
fn planted_links_are_not_followed() {
    for (link, of_tenant) in [
        ("disk/.dataset.staging", false),
        ("disk/dataset/agreement=town", false),
        ("tenants/one/.data.staging", true),
        ("tenants/one/data/agreement=town", true),
    ] {
        let test = test_run();
        let victim = test.path("victim");
        // What a run would remove if it followed the link.
        fs::create_dir_all(victim.join("town")).unwrap();
        fs::write(victim.join("town/file"), "precious").unwrap();
        fs::write(victim.join("file"), "precious").unwrap();
        let link = test.path(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&victim, &link).unwrap();
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        let refused = format!("{} is not a directory but a symbolic link", link.display());
        assert!(ended.stderr.contains(&refused), "{}", ended.stderr);
        let mut left = files(&victim);
        left.sort();
        assert_eq!(left, [victim.join("file"), victim.join("town/file")]);
        assert!(link.is_symlink(), "somebody must look at it first");
        assert_eq!(published(&test.path("tenants/other")) > 0, of_tenant);
        let doctor = test.run("doctor", &[]);
        assert_eq!(doctor.code, 1, "{}", doctor.text());
        assert!(doctor.text().contains(&refused), "{}", doctor.text());
        fs::remove_file(&link).unwrap();
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(published(&test.dataset()) > 0 && published(&test.path("tenants/one")) > 0);
    }
}

/// The lock of a dataset is emptied when it is taken.
#[test]
fn a_lock_that_is_a_link_empties_no_other_file() {
    for lock in ["disk/dataset/.lock", "state/lock"] {
        let test = test_run();
        let lock = test.path(lock);
        let victim = test.path("victim");
        fs::write(&victim, "precious").unwrap();
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        symlink(&victim, &lock).unwrap();
        let ended = test.sync();
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(
            ended.stderr.contains(&lock.display().to_string()),
            "{}",
            ended.stderr
        );
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }
}
