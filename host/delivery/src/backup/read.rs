//! Reads an archive, and compares every file with its digest.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry};

use super::{BackedUpFile, BackedUpFiles, BackupError, BackupSummary, FILES, FORMAT, SUMMARY};
use crate::error::Error;
use crate::fs::{Digesting, directory_of, private_directory};

/// The largest size of the two files that describe the backup, in bytes.
const MOST_DESCRIPTION: u64 = 256 << 20;

/// Reads an archive. `place` is asked for the directory of each state directory in the archive as soon as the summary is
/// known; with `None`, its files are only compared with their digests.
pub(super) fn read(
    input: impl Read,
    place: impl FnOnce(&BackupSummary) -> Result<Vec<Option<PathBuf>>, Error>,
) -> Result<BackupSummary, Error> {
    let mut archive = Archive::new(input);
    let mut entries = archive.entries().map_err(BackupError::Read)?;
    // Whatever is no archive at all fails here.
    let first = entries
        .next()
        .and_then(Result::ok)
        .ok_or(BackupError::NotABackup)?;
    if name_of(&first)? != SUMMARY {
        return Err(BackupError::NotABackup.into());
    }
    let summary: serde_json::Value = description(first, SUMMARY)?;
    if summary["format"] != FORMAT {
        let written_by = summary["written_by"].as_str().unwrap_or("?").to_owned();
        return Err(BackupError::Later { written_by }.into());
    }
    let summary: BackupSummary =
        serde_json::from_value(summary).map_err(|_| BackupError::NotABackup)?;
    let places = place(&summary)?;
    let mut found = BackedUpFiles::new();
    let mut expected: Option<BackedUpFiles> = None;
    for entry in entries {
        let entry = entry.map_err(cut_off)?;
        let name = name_of(&entry)?;
        if name == FILES {
            expected = Some(description(entry, FILES)?);
            continue;
        }
        let inside = summary
            .stores
            .iter()
            .zip(&places)
            .find_map(|(store, place)| {
                let inside = name.strip_prefix(&store.directory)?.strip_prefix('/')?;
                Some((inside, place))
            });
        let (inside, place) = inside.ok_or(BackupError::Foreign)?;
        let file = match place {
            Some(place) => unpack(entry, &place.join(inside))?,
            None => copy(entry, io::sink())?.1,
        };
        if found.insert(name, file).is_some() {
            return Err(BackupError::Foreign.into());
        }
    }
    let expected = expected.ok_or(BackupError::CutOff)?;
    let names = expected.keys().chain(found.keys());
    match names
        .into_iter()
        .find(|name| expected.get(*name) != found.get(*name))
    {
        None => Ok(summary),
        Some(name) => Err(BackupError::Damaged { name: name.clone() }.into()),
    }
}

/// Returns the name of a regular file in the archive.
fn name_of<R: Read>(entry: &Entry<'_, R>) -> Result<String, Error> {
    let path = entry.path().map_err(|_| BackupError::Foreign)?;
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let name = path
        .to_str()
        .filter(|_| is_inside && entry.header().entry_type().is_file());
    Ok(name.ok_or(BackupError::Foreign)?.to_owned())
}

fn description<R: Read, T: serde::de::DeserializeOwned>(
    entry: Entry<'_, R>,
    name: &str,
) -> Result<T, Error> {
    let bytes = entry.header().entry_size().map_err(cut_off)?;
    let mut text = Vec::new();
    let mut content = entry.take(MOST_DESCRIPTION);
    content.read_to_end(&mut text).map_err(cut_off)?;
    if (text.len() as u64) < bytes.min(MOST_DESCRIPTION) {
        return Err(BackupError::CutOff.into());
    }
    let name = name.to_owned();
    Ok(serde_json::from_slice(&text).map_err(|_| BackupError::Damaged { name })?)
}

/// Writes a file that only its owner can read, durably.
fn unpack<R: Read>(entry: Entry<'_, R>, path: &Path) -> Result<BackedUpFile, Error> {
    private_directory(directory_of(path))?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let (file, described) = copy(entry, file.map_err(Error::file(path))?)?;
    file.sync_all().map_err(Error::file(path))?;
    Ok(described)
}

fn copy<R: Read, W: Write>(mut entry: Entry<'_, R>, to: W) -> Result<(W, BackedUpFile), Error> {
    let bytes = entry.header().entry_size().map_err(cut_off)?;
    let mut to = Digesting::new(to);
    let copied = io::copy(&mut entry, &mut to).map_err(cut_off)?;
    if copied != bytes {
        return Err(BackupError::CutOff.into());
    }
    let (to, sha256) = to.finish();
    Ok((to, BackedUpFile { bytes, sha256 }))
}

/// Returns the error of an archive whose bytes cannot be read as one any more.
fn cut_off(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            BackupError::CutOff.into()
        }
        _ => BackupError::Read(error).into(),
    }
}

/// Removes a directory with everything in it. A directory that does not exist is no error.
pub(super) fn remove(directory: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(directory)(error)),
        _ => Ok(()),
    }
}
