//! Tests of the files of the register.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn header(name: &str) -> FileHeader {
    FileHeader {
        format: 1,
        name: name.to_owned(),
        production_date: "2026-03-02".to_owned(),
        task_number: Some("431101".to_owned()),
        sha256: "digest".to_owned(),
        is_unrestricted: true,
        incomplete: None,
        file_name: "d".to_owned(),
        metadata_name: "d.metadata".to_owned(),
        size: 1,
        records: [3, 1, 0],
        kept: "2026-03-02T08:00:00Z".to_owned(),
    }
}

fn kept(file: KeptFile) -> KeptExtract {
    KeptExtract {
        id: 1,
        agreement: "a".to_owned(),
        delivery: 1,
        sequence: 1,
        production_date: "2026-03-02".to_owned(),
        task_number: None,
        sha256: "digest".to_owned(),
        size: file.size,
        file: file.file,
        file_size: file.file_size,
        file_sha256: file.file_sha256,
        is_unrestricted: true,
        incomplete: None,
        kept: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn returns_an_extract_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    let register = Register::of(state.path());
    for extract in [
        Vec::new(),
        b"000\r\n001\n\xe6\xf8\xe5".to_vec(),
        vec![b'x'; 3 * BUFFER_BYTES + 17],
    ] {
        let stored = register.store("a", &header("one"), extract.as_slice(), || Ok(()));
        let stored = stored.unwrap();
        assert_eq!(stored.size, extract.len() as u64);
        let path = state.path().join("register/a/one.cpr.zst");
        let bytes = fs::read(&path).unwrap();
        assert_eq!(stored.file_size, bytes.len() as u64);
        assert_eq!(
            stored.file_sha256,
            crate::fs::digest(bytes.as_slice()).unwrap()
        );
        let mut found = Vec::new();
        let mut reader = open_file(&register.path(&kept(stored))).unwrap();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == extract);
        for (path, mode) in [(path.as_path(), 0o600), (path.parent().unwrap(), 0o700)] {
            let found = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{}", path.display());
        }
    }
}

#[test]
fn describes_each_file_and_removes_unknown_ones() {
    let state = tempfile::tempdir().unwrap();
    let register = Register::of(state.path());
    assert!(register.files("a").unwrap().is_empty());
    let store = |name: &str| register.store("a", &header(name), &b"x"[..], || Ok(()));
    let (one, _) = (store("one").unwrap(), store("two").unwrap());
    let directory = register.agreement("a");
    fs::write(directory.join("three.cpr.zst.part"), "half").unwrap();
    fs::write(directory.join("four.cpr.zst"), "no frame").unwrap();
    let found = register.files("a").unwrap();
    let headers: Vec<_> = found.into_iter().map(|(_, header)| header).collect();
    assert_eq!(headers, [header("one"), header("two")]);
    register.remove_unknown(&[kept(one)]).unwrap();
    let left = entries(&directory).unwrap();
    assert_eq!(left, [directory.join("one.cpr.zst")]);
}

#[test]
fn a_damaged_file_is_an_error_and_a_stop_leaves_no_file() {
    let state = tempfile::tempdir().unwrap();
    let register = Register::of(state.path());
    let extract = vec![b'7'; 100_000];
    let stored = register.store("a", &header("one"), extract.as_slice(), || Ok(()));
    let kept = kept(stored.unwrap());
    let path = register.path(&kept);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let read = io::copy(
        &mut open_file(&register.path(&kept)).unwrap(),
        &mut io::sink(),
    );
    assert!(read.is_err(), "the checksum is wrong");
    bytes.truncate(last - 10);
    fs::write(&path, &bytes).unwrap();
    let read = io::copy(
        &mut open_file(&register.path(&kept)).unwrap(),
        &mut io::sink(),
    );
    assert!(read.is_err(), "the end is missing");
    let stopped = register.store("a", &header("two"), &b"x"[..], || Err(Error::Stopped));
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert!(!register.agreement("a").join("two.cpr.zst").exists());
}

/// A changed byte is noticed wherever it is, and an error about it names the extract and not the disk.
#[test]
fn a_changed_byte_is_noticed_with_the_same_size() {
    let state = tempfile::tempdir().unwrap();
    let register = Register::of(state.path());
    let stored = register.store("a", &header("one"), &b"extract"[..], || Ok(()));
    let kept = kept(stored.unwrap());
    assert!(register.is_whole(&kept).unwrap());
    let path = register.path(&kept);
    let whole = fs::read(&path).unwrap();
    for index in [0, 8, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(register.has(&kept), "{index}");
        assert!(!register.is_whole(&kept).unwrap(), "{index}");
    }
    for index in [1, 8] {
        let mut bytes = whole.clone();
        bytes[index] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let rewritten = register.rewrite(&kept, |_| Ok(()));
        let expected = RegisterStateError::ExtractChanged {
            agreement: "a".to_owned(),
            file: "one.cpr.zst".to_owned(),
        };
        assert!(
            matches!(&rewritten, Err(Error::RegisterState(error)) if *error == expected),
            "{index}: {rewritten:?}"
        );
    }
    fs::remove_file(&path).unwrap();
    assert!(!register.is_whole(&kept).unwrap());
}
