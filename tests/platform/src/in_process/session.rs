//! An SFTP session that shows one directory as the root of the file system.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::Handler;

/// An SFTP session with its open files and directories.
#[derive(Debug)]
pub(super) struct SftpSession {
    root: PathBuf,
    /// Names that are listed although the files do not exist.
    also_listed: Vec<String>,
    next_handle: u64,
    open: BTreeMap<String, OpenHandle>,
}

#[derive(Debug)]
enum OpenHandle {
    File(File),
    /// The entries of a directory that are still to be listed.
    Directory(Vec<Entry>),
}

impl SftpSession {
    pub(super) const fn new(root: PathBuf, also_listed: Vec<String>) -> Self {
        Self {
            root,
            also_listed,
            next_handle: 0,
            open: BTreeMap::new(),
        }
    }

    /// Returns the absolute path within the session, without `.` and `..`. `..` never leaves the root.
    fn absolute(path: &str) -> PathBuf {
        let mut absolute = PathBuf::from("/");
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => absolute.push(name),
                Component::ParentDir => {
                    absolute.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        absolute
    }

    /// Returns the path on this machine.
    fn path(&self, path: &str) -> PathBuf {
        let absolute = Self::absolute(path);
        let below = absolute.strip_prefix("/").unwrap_or(&absolute);
        self.root.join(below)
    }

    fn keep(&mut self, id: u32, open: OpenHandle) -> Handle {
        let handle = self.next_handle.to_string();
        self.next_handle += 1;
        self.open.insert(handle.clone(), open);
        Handle { id, handle }
    }

    fn file(&self, handle: &str) -> Result<&File, StatusCode> {
        match self.open.get(handle) {
            Some(OpenHandle::File(file)) => Ok(file),
            _ => Err(StatusCode::Failure),
        }
    }
}

impl Handler for SftpSession {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        pflags: OpenFlags,
        _attrs: FileAttributes,
    ) -> Result<Handle, StatusCode> {
        let is_writing = pflags.contains(OpenFlags::WRITE);
        let file = OpenOptions::new()
            .read(pflags.contains(OpenFlags::READ))
            .write(is_writing)
            .create(is_writing && pflags.contains(OpenFlags::CREATE))
            .truncate(is_writing && pflags.contains(OpenFlags::TRUNCATE))
            .open(self.path(&filename))
            .map_err(|error| status(&error))?;
        Ok(self.keep(id, OpenHandle::File(file)))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        match self.open.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, StatusCode> {
        let mut data = vec![0; len.min(MAX_READ_BYTES) as usize];
        let read = self.file(&handle)?.read_at(&mut data, offset);
        match read.map_err(|error| status(&error))? {
            0 => Err(StatusCode::Eof),
            length => {
                data.truncate(length);
                Ok(Data { id, data })
            }
        }
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, StatusCode> {
        let written = self.file(&handle)?.write_all_at(&data, offset);
        written.map_err(|error| status(&error))?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        attributes(id, fs::symlink_metadata(self.path(&path)))
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        attributes(id, fs::metadata(self.path(&path)))
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, StatusCode> {
        attributes(id, self.file(&handle)?.metadata())
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        let path = self.path(&path);
        let entries = fs::read_dir(path).map_err(|error| status(&error))?;
        let existing = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let metadata = fs::symlink_metadata(entry.path()).ok()?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Some(Entry::new(name, FileAttributes::from(&metadata)))
        });
        let not_existing = self.also_listed.iter().map(|name| {
            let attributes = FileAttributes {
                size: Some(1),
                permissions: Some(0o100_644),
                mtime: Some(0),
                ..FileAttributes::default()
            };
            Entry::new(name, attributes)
        });
        let entries = existing.chain(not_existing).collect();
        Ok(self.keep(id, OpenHandle::Directory(entries)))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        let Some(OpenHandle::Directory(left)) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure);
        };
        let from = left.len().saturating_sub(ENTRIES_PER_REPLY);
        match left.split_off(from) {
            files if files.is_empty() => Err(StatusCode::Eof),
            files => Ok(Name { id, files }),
        }
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, StatusCode> {
        let removed = fs::remove_file(self.path(&filename));
        removed.map_err(|error| status(&error))?;
        Ok(done(id))
    }

    async fn rename(
        &mut self,
        id: u32,
        oldpath: String,
        newpath: String,
    ) -> Result<Status, StatusCode> {
        let renamed = fs::rename(self.path(&oldpath), self.path(&newpath));
        renamed.map_err(|error| status(&error))?;
        Ok(done(id))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, StatusCode> {
        let absolute = Self::absolute(&path).to_string_lossy().into_owned();
        Ok(Name {
            id,
            files: vec![Entry::dummy(absolute)],
        })
    }
}

fn attributes(id: u32, metadata: io::Result<fs::Metadata>) -> Result<Attrs, StatusCode> {
    let metadata = metadata.map_err(|error| status(&error))?;
    Ok(Attrs {
        id,
        attrs: FileAttributes::from(&metadata),
    })
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "done".to_owned(),
        language_tag: "en".to_owned(),
    }
}

fn status(error: &io::Error) -> StatusCode {
    match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        _ => StatusCode::Failure,
    }
}

const MAX_READ_BYTES: u32 = 256 << 10;
const ENTRIES_PER_REPLY: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_leave_the_root() {
        let files = SftpSession::new(PathBuf::from("/somewhere"), Vec::new());
        for (path, expected) in [
            ("IN", "/somewhere/IN"),
            ("/IN/a", "/somewhere/IN/a"),
            ("./IN/../../../etc/passwd", "/somewhere/etc/passwd"),
            ("", "/somewhere"),
        ] {
            assert_eq!(files.path(path), PathBuf::from(expected));
        }
    }
}
