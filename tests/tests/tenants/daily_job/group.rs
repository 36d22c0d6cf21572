//! A group that may read the dataset of its tenant.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, files};

use super::{AGREEMENT, assert_private, put, tenant};

/// Members of the group can read the dataset. Other users cannot, and only the owner can write.
#[test]
fn a_group_may_read_its_tenants_dataset() {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::getegid().as_raw();
    // Root can set a group that new files do not have by default.
    let id = match rustix::process::geteuid().is_root() {
        true => 1,
        false => own,
    };
    let test = TestRun::local();
    let with_group = |group: &str| {
        test.configure(&format!(
            "{AGREEMENT}{}{}",
            tenant("shared", "town", &format!("group = {group}\n")),
            tenant("private", "town", "")
        ));
    };
    with_group("\"no-such-group-here\"");
    put(&test, 0, &extract::small(30, 9));
    let ended = test.sync();
    assert_eq!(ended.code, 2);
    let expected = "group: there is no such group on this machine";
    assert!(
        ended
            .stderr
            .contains(&format!("error: tenant shared: {expected}")),
        "{}",
        ended.stderr
    );
    let checked = test.run_only("tenant", &["check", "shared"]);
    assert_eq!(checked.code, 1);
    assert!(checked.text().contains(expected), "{}", checked.text());
    let doctor = test.run("doctor", &[]);
    assert!(
        doctor.text().contains(&format!("FAIL  {expected}")),
        "{}",
        doctor.text()
    );
    assert_eq!(test.published_to("private").len(), 1);
    with_group(&id.to_string());
    put(&test, 1, &extract::small(30, 10));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(test.published_to("shared").len(), 2);
    let dataset = test.dataset_of("shared");
    let mut directories = BTreeSet::from([dataset.clone()]);
    for file in files(&dataset) {
        let metadata = fs::metadata(&file).unwrap();
        if file == dataset.join(".lock") {
            // The group is that of cprflow itself.
            assert_eq!(metadata.mode() & 0o7777, 0o600);
            continue;
        }
        assert_eq!(
            (metadata.mode() & 0o7777, metadata.gid()),
            (0o640, id),
            "{}",
            file.display()
        );
        let above = file
            .ancestors()
            .skip(1)
            .take_while(|path| path.starts_with(&dataset));
        directories.extend(above.map(Path::to_owned));
    }
    let generations = fs::read_dir(dataset.join("generations")).unwrap().count();
    assert_eq!(
        directories.len(),
        7 + generations,
        "the dataset, the agreement, two deliveries, the directory of generations, each of them, the link to the newest, and \
         the codes"
    );
    for directory in directories {
        let metadata = fs::metadata(&directory).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (0o750, id));
    }
    assert_private(&test.dataset_of("private"));
    assert_private(&test.path("state"));
    let checked = test.run_only("tenant", &["check"]);
    assert!(
        checked.text().contains("the members of group"),
        "{}",
        checked.text()
    );
    let doctor = test.run("doctor", &[]);
    assert!(doctor.text().contains("ok    group: "), "{}", doctor.text());
}
