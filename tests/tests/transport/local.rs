//! A local directory as an inbox.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use cprflow_transport::{
    Inbox, NameError, Refusal, RemoteName, SftpSettings, Transport, TransportError, connect,
};

#[test]
fn files_are_listed_read_from_an_offset_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("b"), "0123456789").unwrap();
    fs::write(directory.path().join("a"), "").unwrap();
    let mut inbox = open(directory.path());
    let listing = inbox.list().unwrap();
    let names: Vec<_> = listing
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry.stat.size, entry.stat.is_file))
        .collect();
    assert_eq!(names, [("a", 0, true), ("b", 10, true)]);
    assert!(listing.entries[0].stat.modified.unwrap() > 1_700_000_000);
    assert_eq!(listing.refused_count, 0);
    assert_eq!(inbox.stat(&name("b")).unwrap().unwrap().size, 10);
    assert_eq!(inbox.stat(&name("c")).unwrap(), None);
    assert_eq!(read(inbox.as_mut(), "b", 0), "0123456789");
    assert_eq!(read(inbox.as_mut(), "b", 7), "789");
    assert_eq!(read(inbox.as_mut(), "b", 10), "");
    inbox.remove(&name("b")).unwrap();
    inbox.remove(&name("b")).unwrap();
    assert!(!directory.path().join("b").exists());
    // A second listing starts from the beginning.
    assert_eq!(inbox.list().unwrap().entries.len(), 1);
}

#[test]
fn uses_only_regular_files_with_safe_names() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    fs::create_dir(directory.path().join("folder")).unwrap();
    symlink(&secret, directory.path().join("link")).unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    for hostile in [b"a\nb".as_slice(), b"\xe6", b"\x1b[2J"] {
        fs::write(
            directory.path().join(std::ffi::OsStr::from_bytes(hostile)),
            "",
        )
        .unwrap();
    }
    fs::write(directory.path().join("good"), "good").unwrap();
    let mut inbox = open(directory.path());
    let listing = inbox.list().unwrap();
    assert_eq!(listing.entries.len(), 1);
    assert_eq!(listing.refused_count, 6);
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
            ("pipe", Refusal::NotRegular),
            ("\u{fffd}", Refusal::Name(NameError::NotUtf8)),
        ]
    );
    for other in ["folder", "link", "pipe"] {
        assert!(!inbox.stat(&name(other)).unwrap().unwrap().is_file);
        let error = inbox.open(&name(other), 0).err().unwrap();
        assert!(
            matches!(error, TransportError::NotAFile { .. }),
            "{other}: {error}"
        );
    }
    // Removal removes the link and not its target.
    inbox.remove(&name("link")).unwrap();
    assert!(secret.exists());
    let error = inbox.remove(&name("folder")).unwrap_err();
    assert!(matches!(error, TransportError::NotAFile { .. }), "{error}");
}

#[test]
fn distinguishes_missing_removed_and_shortened_files() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let inbox: Inbox = missing.to_str().unwrap().parse().unwrap();
    let error = connect(&inbox, &SftpSettings::new("")).err().unwrap();
    assert!(matches!(error, TransportError::NoFolder { .. }), "{error}");
    let file = directory.path().join("file");
    fs::write(&file, "0123456789").unwrap();
    let inbox: Inbox = file.to_str().unwrap().parse().unwrap();
    let error = connect(&inbox, &SftpSettings::new("")).err().unwrap();
    assert!(matches!(error, TransportError::NoFolder { .. }), "{error}");

    let mut inbox = open(directory.path());
    let error = inbox.open(&name("nothing"), 0).err().unwrap();
    assert!(matches!(error, TransportError::Gone { .. }) && error.is_transient());
    let error = inbox.open(&name("file"), 11).err().unwrap();
    assert!(matches!(
        error,
        TransportError::Shrunk {
            expected: 11,
            found: 10,
            ..
        }
    ));
    let mut reader = inbox.open(&name("file"), 0).unwrap();
    fs::write(&file, "0123").unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let error = TransportError::from(error);
    assert!(
        matches!(
            error,
            TransportError::Shrunk {
                expected: 10,
                found: 4,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn keeps_using_the_directory_that_was_opened() {
    let around = tempfile::tempdir().unwrap();
    let (inside, aside) = (around.path().join("in"), around.path().join("aside"));
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("file"), "ours").unwrap();
    let mut inbox = open(&inside);
    fs::rename(&inside, &aside).unwrap();
    fs::create_dir(&inside).unwrap();
    fs::write(inside.join("file"), "theirs").unwrap();
    assert_eq!(read(inbox.as_mut(), "file", 0), "ours");
    inbox.remove(&name("file")).unwrap();
    assert!(inside.join("file").exists());
    assert!(!aside.join("file").exists());
}

fn open(directory: &Path) -> Box<dyn Transport> {
    let inbox: Inbox = directory.to_str().unwrap().parse().unwrap();
    connect(&inbox, &SftpSettings::new("")).unwrap()
}

fn name(name: &str) -> RemoteName {
    RemoteName::try_from(name).unwrap()
}

fn read(inbox: &mut dyn Transport, of: &str, offset: u64) -> String {
    let mut text = String::new();
    let mut reader = inbox.open(&name(of), offset).unwrap();
    reader.read_to_string(&mut text).unwrap();
    text
}
