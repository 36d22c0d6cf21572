//! Files that are not complete: they get their names when they are.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// The ending of a file that is not complete.
const PART: &str = ".part";

/// The number of random letters and digits in the name of a file that is not complete.
const RANDOM: usize = 6;

/// The largest number of characters of a file's name in the name of its temporary file. Together they stay below 255 bytes.
const MOST_CHARACTERS: usize = 60;

/// Creates a file that only its owner can read, beside the file whose name it gets when it is complete: `.NAME-XXXXXX.part`.
/// Removes what killed commands have left of the same file, because it can have persons.
pub fn unfinished_file(directory: &Path, name: &str) -> io::Result<NamedTempFile> {
    let name: String = name.chars().take(MOST_CHARACTERS).collect();
    let prefix = format!(".{name}-");
    remove_left(directory, &prefix);
    let file = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(PART)
        .rand_bytes(RANDOM)
        .tempfile_in(directory)?;
    // Another command that writes the same file must not remove it. Where a file cannot be locked, none is removed.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Removes the files that killed commands have left. A file that cannot be removed does not matter for what is written now.
fn remove_left(directory: &Path, prefix: &str) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let random = name.strip_prefix(prefix);
        let random = random.and_then(|rest| rest.strip_suffix(PART));
        let is_own = random.is_some_and(|random| random.len() == RANDOM)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_own && is_left(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Returns whether no command writes a file any more. A command that has just made it may not have locked it yet; then the file
/// is empty.
fn is_left(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| {
        file.try_lock().is_ok() && file.metadata().is_ok_and(|metadata| metadata.len() > 0)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_a_killed_command_left_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let mut running = unfinished_file(place, "out").unwrap();
        running.write_all(b"persons").unwrap();
        let (_, left) = unfinished_file(place, "out").unwrap().keep().unwrap();
        fs::write(&left, "persons").unwrap();
        let others = [
            ".out-abc.part",
            ".out-abcdef",
            ".out-2-abcdef.part",
            "out-abcdef.part",
        ];
        for other in others {
            fs::write(place.join(other), "persons").unwrap();
        }
        drop(unfinished_file(place, "out").unwrap());
        assert!(!left.exists());
        assert!(running.path().exists());
        for other in others {
            assert!(place.join(other).exists(), "{other}");
        }
        // A long name is no error.
        unfinished_file(place, &"å".repeat(120)).unwrap();
    }
}
