//! Makes a backup.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{
    BackedUpFile, BackedUpFiles, BackedUpStore, BackupError, BackupSummary, FILES, FORMAT, LEDGER,
    SUMMARY,
};
use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::fs::{StateLock, TEMPORARY, entries};
use crate::ledger::Ledger;

/// Writes the state directories of a configuration as one archive. Each is locked, so that no run changes it meanwhile.
///
/// It has persons' records, and the keys of hashes. It does not have the configuration, secrets and datasets.
pub fn back_up(
    configuration: &Configuration,
    out: impl Write,
    now: Timestamp,
) -> Result<BackupSummary, Error> {
    let mut sources = Vec::new();
    for store in configuration
        .stores
        .iter()
        .filter(|store| Ledger::is_in(&store.state))
    {
        sources.push(Source::open(store, sources.len())?);
    }
    if sources.is_empty() {
        return Err(BackupError::Nothing.into());
    }
    let summary = BackupSummary {
        format: FORMAT,
        written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
        made: now,
        stores: sources
            .iter()
            .map(|source| source.summary.clone())
            .collect(),
    };
    let mut archive = Archive {
        builder: Builder::new(out),
        files: BackedUpFiles::new(),
        now,
    };
    archive.add_json(SUMMARY, &summary)?;
    for source in &sources {
        let directory = &source.summary.directory;
        archive.add_file(
            &format!("{directory}/{LEDGER}"),
            &source.copy.path().join(LEDGER),
        )?;
        archive.add_directory(directory, &source.store.state)?;
    }
    let files = std::mem::take(&mut archive.files);
    archive.add_json(FILES, &files)?;
    let out = archive.builder.into_inner();
    out.and_then(|mut out| out.flush())
        .map_err(BackupError::Write)?;
    crate::failpoint::reached("backup-written");
    Ok(summary)
}

/// A state directory that is locked.
struct Source<'a> {
    store: &'a Store,
    summary: BackedUpStore,
    /// The directory with the copy of the ledger.
    copy: tempfile::TempDir,
    _lock: StateLock,
}

impl<'a> Source<'a> {
    fn open(store: &'a Store, index: usize) -> Result<Self, Error> {
        let lock = StateLock::take(&store.state)?;
        let ledger = Ledger::open(&store.state)?;
        let copy = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(&store.state);
        let copy = copy.map_err(Error::file(&store.state))?;
        ledger.copy_to(&copy.path().join(LEDGER))?;
        crate::failpoint::reached("backup-copied");
        let extracts = ledger.applied_extracts()?;
        let agreements = store.agreements.iter().map(|agreement| &agreement.name);
        let mut agreements: Vec<_> = agreements
            .chain(&store.ended)
            .map(ToString::to_string)
            .collect();
        agreements.sort();
        Ok(Self {
            store,
            summary: BackedUpStore {
                directory: (index + 1).to_string(),
                agreements,
                extracts: extracts.len() as u64,
                newest: extracts
                    .iter()
                    .map(|kept| kept.production_date.clone())
                    .max(),
            },
            copy,
            _lock: lock,
        })
    }
}

struct Archive<W: Write> {
    builder: Builder<W>,
    files: BackedUpFiles,
    now: Timestamp,
}

impl<W: Write> Archive<W> {
    /// Adds the files of a directory and of those below it. The ledger is copied by SQLite, and locks and unfinished files
    /// are of no use elsewhere.
    fn add_directory(&mut self, name: &str, directory: &Path) -> Result<(), Error> {
        for path in entries(directory)? {
            let file_name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if file_name == "lock"
                || file_name.starts_with(LEDGER)
                || file_name.starts_with(TEMPORARY)
            {
                continue;
            }
            let inside = format!("{name}/{file_name}");
            let kind = fs::symlink_metadata(&path)
                .map_err(Error::file(&path))?
                .file_type();
            if kind.is_dir() {
                self.add_directory(&inside, &path)?;
            } else if kind.is_file() {
                self.add_file(&inside, &path)?;
            } else {
                tracing::warn!(path = %path.display(), "neither a file nor a directory, so it is not backed up");
            }
        }
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        let file = File::open(path).map_err(Error::file(path))?;
        let bytes = file.metadata().map_err(Error::file(path))?.len();
        let mut content = Content {
            file: file.take(bytes),
            hash: Sha256::new(),
            failed: None,
        };
        let appended = self.append(name, bytes, &mut content);
        if let Some(error) = content.failed {
            return Err(Error::file(path)(error));
        }
        appended?;
        if content.file.limit() > 0 {
            let path = path.to_owned();
            return Err(BackupError::Changed { path }.into());
        }
        let sha256 = base16ct::lower::encode_string(&content.hash.finalize());
        self.files
            .insert(name.to_owned(), BackedUpFile { bytes, sha256 });
        Ok(())
    }

    fn add_json(&mut self, name: &str, value: &impl serde::Serialize) -> Result<(), Error> {
        let text = serde_json::to_vec_pretty(value).map_err(|_| Error::Bug)?;
        self.append(name, text.len() as u64, text.as_slice())
    }

    fn append(&mut self, name: &str, bytes: u64, content: impl Read) -> Result<(), Error> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(bytes);
        header.set_mtime(u64::try_from(self.now.as_second()).unwrap_or_default());
        let appended = self.builder.append_data(&mut header, name, content);
        appended.map_err(|error| BackupError::Write(error).into())
    }
}

/// The content of a file on its way into the archive.
struct Content {
    file: io::Take<File>,
    hash: Sha256,
    /// Why the file could not be read. The error of the archive does not tell reading from writing.
    failed: Option<io::Error>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer);
        let count = read.map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            io::Error::from(kind)
        })?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
