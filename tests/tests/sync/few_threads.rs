//! Users who may start only a few processes and threads (`ulimit -u`, TasksMax= of systemd).

use std::fs;
use std::os::unix::fs::chown;
use std::process::{Command, Output};

use cprflow_tests::command::{TestDirectory, binary};
use cprflow_tests::extract;

/// A user without any other process.
const USER: u32 = 54_321;

/// Each number of threads ends in a result or in an error that names the limit, and the inbox keeps its files.
#[test]
fn few_threads_end_in_a_result_or_in_a_clear_error() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: only root can run a command as a user without other processes");
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
    let mut ends = Vec::new();
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
    assert!(ends.iter().any(|(_, code)| *code == Some(2)), "{ends:?}");
    let enough = ends.iter().filter(|(threads, _)| *threads == 64);
    assert!(
        enough
            .map(|(_, code)| code)
            .all(|code| matches!(code, Some(0 | 1))),
        "{ends:?}"
    );
}
