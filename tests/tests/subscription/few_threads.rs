//! Users who may start only a few threads (`ulimit -u`, TasksMax= of systemd).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cprflow_tests::command::binary;
use cprflow_tests::subscription_run::SubscriptionRun;
use cprflow_tests::{Requirement, require};

/// A user without any other process.
const USER: &str = "54331";

/// Each number of threads ends in the list of filters or in an error that names the limit: the name of the service is
/// looked up in a thread.
#[test]
fn few_threads_end_in_a_result_or_in_a_clear_error() {
    let missing =
        "only root can run a command as a user without other processes, so limits are not tested";
    let is_root = rustix::process::geteuid().is_root();
    if require(Requirement::Mounts, is_root.then_some(()), missing).is_none() {
        return;
    }
    let test = SubscriptionRun::new("municipality_codes = [\"0265\"]");
    let root = test.path("");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let program = test.path("cprflow-copy");
    fs::copy(binary(), &program).unwrap();
    let owned = Command::new("chown")
        .args(["-R", &format!("{USER}:{USER}")])
        .arg(&root)
        .status();
    assert!(owned.unwrap().success());
    let mut ends = Vec::new();
    for threads in [1, 2, 3, 4, 6, 64] {
        let ended = Command::new("timeout")
            .args(["--signal=KILL", "300", "prlimit"])
            .arg(format!("--nproc={threads}"))
            .args(["setpriv", "--clear-groups"])
            .args([format!("--reuid={USER}"), format!("--regid={USER}")])
            .arg(&program)
            .args(test.arguments(&["list"]))
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        let code = ended.status.code();
        assert!(!told.contains("bug in cprflow"), "{threads}: {told}");
        match code {
            Some(0) => {}
            Some(2) => assert!(told.contains("too few processes"), "{threads}: {told}"),
            _ => panic!("{threads}: {code:?} {told}"),
        }
        ends.push((threads, code));
    }
    // The limit was felt, and an ordinary one is enough.
    assert!(ends.iter().any(|(_, code)| *code == Some(2)), "{ends:?}");
    assert_eq!(ends.last(), Some(&(64, Some(0))), "{ends:?}");
}
