//! The addresses that the stand-in platform prints, used by the product.

use std::fs;

use cprflow_platform::{SftpBackend, Sshd};
use cprflow_tests::command::cprflow;
use cprflow_tests::subscription_run::SubscriptionRun;
use cprflow_tests::{Requirement, require};

#[test]
fn the_printed_url_of_the_inbox_works_in_sync() {
    for server in [SftpBackend::Sshd, SftpBackend::InProcess] {
        let program = Sshd::program();
        if server == SftpBackend::Sshd
            && require(Requirement::Sshd, program, "sshd is not installed").is_none()
        {
            continue;
        }
        let test = SubscriptionRun::with("", |options| {
            options.population.persons = 400;
            options.sftp = server;
        });
        test.ok(&["add", "municipality", "0265", "--yes"]);
        test.platform.run_night().unwrap();
        let sftp = test.platform.sftp();
        let inbox = format!(
            "inbox = {:?}\nidentity = {:?}\nknown_hosts = {:?}",
            sftp.url(),
            sftp.identity(),
            sftp.known_hosts()
        );
        let config = test.path("cprflow.toml");
        let text = fs::read_to_string(&config).unwrap();
        let text = text.replace("environment = \"test\"\n", "");
        fs::write(&config, text.replace("inbox = \"inbox\"", &inbox)).unwrap();
        let path = config.display().to_string();
        let purpose = ["--unrestricted", "a trial", "--church-purpose", "a trial"];
        let ended = cprflow([&["sync", "--config", &path], &purpose[..]].concat());
        assert_eq!(ended.code, 0, "{server:?}: {}", ended.stderr);
        let inbox = fs::read_dir(test.platform.inbox()).unwrap();
        assert_eq!(inbox.count(), 0, "{server:?}: {}", ended.text());
        assert!(test.path("dataset").join("agreement=a0").is_dir());
    }
}
