//! Users who may start only a few processes and threads (`ulimit -u`, TasksMax= of systemd).
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::process::{Command, Output};
use std::thread;

use cprflow_tests::command::{TestDirectory, binary};
use cprflow_tests::{Requirement, extract, require};

/// A user without any other process.
const USER: u32 = 54_321;

/// The form of a fingerprint; no server is asked for its key here.
const FINGERPRINT: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Starts a server that begins like one for SSH and then closes each connection. Returns its port.
fn banner_server() -> u16 {
    let listener = TcpListener::bind("localhost:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // The client may have gone.
            let _ = (&connection).write_all(b"SSH-2.0-test\r\n");
        }
    });
    port
}

/// Each number of threads ends in a result or in an error that names the limit, and the inbox keeps its files.
#[test]
fn few_threads_end_in_a_result_or_in_a_clear_error() {
    let missing =
        "only root can run a command as a user without other processes, so limits are not tested";
    let is_root = rustix::process::geteuid().is_root();
    if require(Requirement::Mounts, is_root.then_some(()), missing).is_none() {
        return;
    }
    let place = TestDirectory::new();
    fs::set_permissions(
        place.root(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let program = place.path("cprflow");
    fs::copy(binary(), &program).unwrap();
    let key = place.path("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &key])
        .status();
    assert!(made.unwrap().success());
    let server = banner_server();
    let mut ends = Vec::new();
    let mut remote_ends = Vec::new();
    for threads in [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 64] {
        for has_home in [false, true] {
            let home = place.path(&format!("home-{threads}-{has_home}"));
            let inbox = format!("{home}/inbox");
            fs::create_dir_all(&inbox).unwrap();
            let file = format!("{inbox}/d260302.l000001");
            fs::write(&file, extract::small(20, 1)).unwrap();
            for path in [&home, &inbox, &file] {
                chown(path, Some(USER), Some(USER)).unwrap();
            }
            let run = |arguments: &str| -> Output {
                let arguments = arguments.replace("HOME", &home);
                Command::new("timeout")
                    .args(["--signal=KILL", "300", "prlimit"])
                    .arg(format!("--nproc={threads}"))
                    .args(["setpriv", "--clear-groups"])
                    .args([format!("--reuid={USER}"), format!("--regid={USER}")])
                    .arg(&program)
                    .args(arguments.split(' '))
                    .env_remove("XDG_CACHE_HOME")
                    .env("HOME", if has_home { &home } else { "/nonexistent" })
                    .output()
                    .unwrap()
            };
            fs::copy(&key, format!("{home}/key")).unwrap();
            chown(format!("{home}/key"), Some(USER), Some(USER)).unwrap();
            fs::set_permissions(
                format!("{home}/key"),
                std::os::unix::fs::PermissionsExt::from_mode(0o600),
            )
            .unwrap();
            let remote = format!(
                "sync --inbox sftp://user@localhost:{server}/IN --identity HOME/key --host-key {FINGERPRINT} \
                 --dataset HOME/remote --state HOME/remote-state --unrestricted test"
            );
            // The server ends the connection, so the command fails with or without threads.
            let ended = run(&remote);
            let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
            let told = format!("{threads} {has_home} {remote}: {:?} {stderr}", ended.status);
            assert_eq!(ended.status.code(), Some(2), "{told}");
            let is_limit = stderr.contains("too few processes");
            assert!(
                is_limit || stderr.contains(&format!("localhost]:{server}")),
                "{told}"
            );
            assert!(
                !stderr.contains("DNS") && !stderr.contains("bug in cprflow"),
                "{told}"
            );
            remote_ends.push((threads, is_limit));
            for arguments in [
                "scan HOME/inbox/d260302.l000001 -t person",
                "scan HOME/inbox/d260302.l000001 --all -o HOME/tables",
                "sync --inbox HOME/inbox --dataset HOME/dataset --state HOME/state --unrestricted test",
            ] {
                let ended = run(arguments);
                let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
                let told = format!(
                    "{threads} {has_home} {arguments}: {:?} {stderr}",
                    ended.status
                );
                assert!(!stderr.contains("bug in cprflow"), "{told}");
                match ended.status.code() {
                    Some(0 | 1) => {}
                    Some(2) => assert!(stderr.contains("too few processes"), "{told}"),
                    _ => panic!("{told}"),
                }
                ends.push((threads, ended.status.code()));
            }
            assert!(
                fs::exists(&file).unwrap(),
                "a delivery without a metadata file stays"
            );
        }
    }
    // The limit was felt, and an ordinary one is enough.
    assert!(remote_ends.contains(&(1, true)), "{remote_ends:?}");
    assert!(remote_ends.contains(&(64, false)), "{remote_ends:?}");
    assert!(ends.iter().any(|(_, code)| *code == Some(2)), "{ends:?}");
    let enough = ends.iter().filter(|(threads, _)| *threads == 64);
    assert!(
        enough
            .map(|(_, code)| code)
            .all(|code| matches!(code, Some(0 | 1))),
        "{ends:?}"
    );
}
