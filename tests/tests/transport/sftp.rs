//! The SFTP inbox against OpenSSH's own server: files, listings, permissions.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use cprflow_tests::sshd::{Setup, Sshd};
use cprflow_transport::{
    NameError, Operation, Refusal, RemoteName, SftpInbox, Transport, TransportError,
};

#[test]
fn files_are_listed_read_from_an_offset_and_removed() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(3_000_000);
    fs::write(sshd.path("b"), &content).unwrap();
    fs::write(sshd.path("a"), "").unwrap();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    let listing = inbox.list().unwrap();
    let found: Vec<_> = listing
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.stat.size, entry.stat.is_file))
        .collect();
    assert_eq!(found, [("a", 0, true), ("b", content.len() as u64, true)]);
    assert!(listing.entries[0].stat.modified.unwrap() > 1_700_000_000);
    assert_eq!(inbox.stat(&name("c")).unwrap(), None);
    assert_eq!(
        inbox.stat(&name("b")).unwrap().unwrap().size,
        content.len() as u64
    );
    assert!(read(&mut inbox, "b", 0) == content);
    for offset in [1, 29_999, 30_000, 30_001, 2_999_999, 3_000_000] {
        let rest = read(&mut inbox, "b", offset);
        assert!(rest == content[offset as usize..], "from {offset}");
    }
    assert!(read(&mut inbox, "a", 0).is_empty());
    inbox.remove(&name("b")).unwrap();
    inbox.remove(&name("b")).unwrap();
    assert!(!sshd.path("b").exists());
}

#[test]
fn reads_the_same_bytes_with_any_buffer_size() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(9_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    for appetite in [1000, 8192, 30_000, 1 << 20, 2 << 20, 5_000_001, 16 << 20] {
        let mut reader = inbox.open(&name("f"), 17).unwrap();
        let (mut all, mut buffer) = (Vec::new(), vec![0; appetite]);
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
        assert!(all == content[17..], "{appetite}");
        // Another read after the end returns nothing.
        assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    }
    // The connection still works after a reader is dropped early.
    let mut reader = inbox.open(&name("f"), 0).unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    assert_eq!(inbox.list().unwrap().entries.len(), 1);
}

#[test]
fn requires_an_existing_inbox_folder() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    fs::write(sshd.path("f"), "here").unwrap();
    let mut server = sshd.server();
    server.folder = String::new();
    let mut inbox = SftpInbox::connect(&server, &sshd.settings()).unwrap();
    assert_eq!(inbox.list().unwrap().entries.len(), 1);
    assert_eq!(read(&mut inbox, "f", 0), b"here");
    for missing in ["nowhere", "f"] {
        server.folder = sshd.path(missing).to_str().unwrap().to_owned();
        let error = SftpInbox::connect(&server, &sshd.settings()).err().unwrap();
        assert!(matches!(error, TransportError::NoFolder { .. }), "{error}");
        assert!(!error.is_transient());
    }
}

#[test]
fn reports_the_operation_that_the_server_denied() {
    for (arguments, operation) in [
        ("-P remove", Operation::Remove),
        ("-P opendir", Operation::List),
        ("-P readdir", Operation::List),
        ("-P open", Operation::Open),
        ("-P lstat", Operation::Stat),
        ("-P read", Operation::Read),
    ] {
        let setup = Setup {
            sftp: Some(arguments),
            ..Setup::default()
        };
        let Some(sshd) = Sshd::start(setup) else {
            return;
        };
        fs::write(sshd.path("f"), "content").unwrap();
        let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
        let error = match operation {
            Operation::Remove => inbox.remove(&name("f")).unwrap_err(),
            Operation::List => inbox.list().unwrap_err(),
            Operation::Stat => inbox.stat(&name("f")).unwrap_err(),
            Operation::Open => inbox.open(&name("f"), 0).err().unwrap(),
            _ => {
                let mut reader = inbox.open(&name("f"), 0).unwrap();
                reader.read(&mut [0; 10]).unwrap_err().into()
            }
        };
        match &error {
            TransportError::Denied {
                operation: found, ..
            } => assert_eq!(*found, operation),
            other => panic!("{arguments}: {other}"),
        }
        assert!(!error.is_transient() && !error.ends_connection());
        assert!(sshd.path("f").exists());
        // The connection still works.
        if operation != Operation::Stat {
            assert_eq!(inbox.stat(&name("f")).unwrap().unwrap().size, 7);
        }
    }
}

#[test]
fn ignores_entries_with_hostile_names() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let bytes = |bytes: &[u8]| sshd.inbox().join(std::ffi::OsStr::from_bytes(bytes));
    for hostile in [
        b"a\nb".as_slice(),
        b"\xe6\xf8",
        b"\x1b[2J",
        "x\u{202e}y".as_bytes(),
    ] {
        fs::write(bytes(hostile), "").unwrap();
    }
    fs::write(bytes(&[b'x'; 255]), "").unwrap();
    fs::write(
        bytes(" leading and; $(odd) 'but' fine \\".as_bytes()),
        "odd",
    )
    .unwrap();
    fs::create_dir(bytes(b"folder")).unwrap();
    symlink("/etc/passwd", bytes(b"link")).unwrap();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    let listing = inbox.list().unwrap();
    let names: Vec<_> = listing.entries.iter().map(|e| e.name.as_str()).collect();
    let long = "x".repeat(255);
    assert_eq!(names, [" leading and; $(odd) 'but' fine \\", long.as_str()]);
    let mut refused: Vec<_> = listing
        .refused
        .iter()
        .map(|refused| (refused.shown.as_str(), refused.refusal))
        .collect();
    refused.sort_by_key(|refused| refused.0);
    assert_eq!(
        refused,
        [
            ("\\u{1b}[2J", Refusal::Name(NameError::Control)),
            ("a\\nb", Refusal::Name(NameError::Control)),
            ("folder", Refusal::Directory),
            ("link", Refusal::Link),
            ("x\\u{202e}y", Refusal::Name(NameError::Control)),
            ("\u{fffd}\u{fffd}", Refusal::Name(NameError::NotUtf8)),
        ]
    );
    assert_eq!(
        read(&mut inbox, " leading and; $(odd) 'but' fine \\", 0),
        b"odd"
    );
    for other in ["link", "folder"] {
        let error = inbox.open(&name(other), 0).err().unwrap();
        assert!(
            matches!(error, TransportError::NotAFile { .. }),
            "{other}: {error}"
        );
    }
    inbox.remove(&name("link")).unwrap();
    assert!(Path::new("/etc/passwd").exists());
    // A folder cannot be removed. The server only reports a failure.
    let error = inbox.remove(&name("folder")).unwrap_err();
    assert!(matches!(error, TransportError::Server { .. }), "{error}");
}

#[test]
fn ten_thousand_files_are_listed() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let mut expected: Vec<_> = (0..10_000)
        .map(|number| format!("D{number:06}.L{:06}", number * 7))
        .collect();
    for file in &expected {
        fs::write(sshd.path(file), "x").unwrap();
    }
    expected.sort();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    let listing = inbox.list().unwrap();
    let names: Vec<_> = listing.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(listing.refused_count, 0);
}

#[test]
fn reports_files_that_change_while_they_are_read() {
    let Some(sshd) = Sshd::start_default() else {
        return;
    };
    let content = numbers(40_000_000);
    fs::write(sshd.path("f"), &content).unwrap();
    let mut inbox = SftpInbox::connect(&sshd.server(), &sshd.settings()).unwrap();
    let mut reader = inbox.open(&name("f"), 0).unwrap();
    reader.read_exact(&mut [0; 1000]).unwrap();
    let file = fs::File::options()
        .write(true)
        .open(sshd.path("f"))
        .unwrap();
    file.set_len(30_000_000).unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let error = TransportError::from(error);
    assert!(
        matches!(
            error,
            TransportError::Shrunk {
                expected: 40_000_000,
                found: 30_000_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_transient());
    drop(reader);
    let error = inbox.open(&name("f"), 30_000_001).err().unwrap();
    assert!(matches!(error, TransportError::Shrunk { .. }), "{error}");

    fs::remove_file(sshd.path("f")).unwrap();
    let error = inbox.open(&name("f"), 0).err().unwrap();
    assert!(matches!(error, TransportError::Gone { .. }), "{error}");
}

fn name(name: &str) -> RemoteName {
    RemoteName::try_from(name).unwrap()
}

/// Returns bytes that differ at every position.
fn numbers(length: usize) -> Vec<u8> {
    let numbers = (0_u32..).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes());
    numbers.take(length).collect()
}

fn read(inbox: &mut dyn Transport, of: &str, offset: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = inbox.open(&name(of), offset).unwrap();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}
