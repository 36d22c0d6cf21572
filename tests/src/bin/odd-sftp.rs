//! An SFTP server that behaves as some servers in the field do. It speaks SFTP version 3 on standard input and output, so
//! that OpenSSH's `sshd` can run it as its subsystem.
//!
//! It serves one directory as the folder of the login. Arguments:
//!
//! - `-d DIRECTORY`: the directory, which must exist
//! - `--listing WHAT`, `--stat WHAT`: what is left out of the attributes in listings and in answers about one entry, as
//!   letters: `t` the type, `s` the size, `m` the time
//! - `--no-lstat`: `LSTAT`, `STAT` and `FSTAT` are not supported
//! - `--most-read BYTES`: the most bytes in the answer to a read request
//! - `--delete-read`: a file is deleted when a handle is closed that read something of it
//! - `--opens COUNT`: the connection ends at the next file to be opened after so many
//! - `--log FILE`: appends a line for each read request: path, offset, length, size of the file
#![expect(
    clippy::unwrap_used,
    reason = "a server of a test that cannot run must fail at once"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

fn main() {
    let mut server = Server::from_arguments();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    while let Some(packet) = read_packet(&mut input) {
        let Some(answer) = server.answer(&packet) else {
            return;
        };
        let length = u32::try_from(answer.len()).unwrap();
        output.write_all(&length.to_be_bytes()).unwrap();
        output.write_all(&answer).unwrap();
        output.flush().unwrap();
    }
}

#[derive(Default)]
struct Server {
    directory: PathBuf,
    listing: String,
    stat: String,
    no_lstat: bool,
    most_read: Option<usize>,
    delete_read: bool,
    opens: Option<u32>,
    log: Option<PathBuf>,
    handles: BTreeMap<String, Handle>,
    next_handle: u64,
}

enum Handle {
    File {
        file: File,
        path: PathBuf,
        was_read: bool,
    },
    /// The entries that are still to be listed.
    Folder(Option<Vec<PathBuf>>),
}

impl Server {
    fn from_arguments() -> Self {
        let mut server = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--no-lstat" => server.no_lstat = true,
                "--delete-read" => server.delete_read = true,
                _ => {
                    let value = arguments.next().unwrap();
                    match argument.as_str() {
                        "-d" => server.directory = value.into(),
                        "--listing" => server.listing = value,
                        "--stat" => server.stat = value,
                        "--most-read" => server.most_read = Some(value.parse().unwrap()),
                        "--opens" => server.opens = Some(value.parse().unwrap()),
                        "--log" => server.log = Some(value.into()),
                        other => panic!("unknown argument {other}"),
                    }
                }
            }
        }
        server
    }

    /// Returns the answer to a packet, or `None` if the connection ends.
    fn answer(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let (kind, rest) = packet.split_first().unwrap();
        if *kind == INIT {
            return Some([&[VERSION][..], &3_u32.to_be_bytes()].concat());
        }
        let (id, mut rest) = rest.split_first_chunk::<4>().unwrap();
        let text = string(&mut rest);
        let body = match *kind {
            OPEN => {
                match &mut self.opens {
                    Some(0) => return None,
                    Some(left) => *left -= 1,
                    None => {}
                }
                let path = self.path(&text);
                File::open(&path).map(|file| {
                    self.handle(Handle::File {
                        file,
                        path,
                        was_read: false,
                    })
                })
            }
            CLOSE => {
                if let Some(Handle::File {
                    path,
                    was_read: true,
                    ..
                }) = self.handles.remove(&text)
                    && self.delete_read
                {
                    fs::remove_file(path).unwrap();
                }
                Ok(status(OK))
            }
            READ => self.read(&text, rest),
            LSTAT | STAT | FSTAT if self.no_lstat => Ok(status(UNSUPPORTED)),
            LSTAT => fs::symlink_metadata(self.path(&text)).map(|found| self.attributes(&found)),
            STAT => fs::metadata(self.path(&text)).map(|found| self.attributes(&found)),
            FSTAT => match self.handles.get(&text) {
                Some(Handle::File { file, .. }) => {
                    file.metadata().map(|found| self.attributes(&found))
                }
                _ => Ok(status(FAILURE)),
            },
            OPENDIR => fs::read_dir(self.path(&text)).map(|found| {
                let entries = found.map(|entry| entry.unwrap().path()).collect();
                self.handle(Handle::Folder(Some(entries)))
            }),
            READDIR => Ok(self.list(&text)),
            REMOVE => fs::remove_file(self.path(&text)).map(|()| status(OK)),
            REALPATH => Ok(names(&[("/".to_owned(), Vec::new())])),
            READLINK => fs::read_link(self.path(&text))
                .map(|target| names(&[(target.display().to_string(), vec![0; 4])])),
            _ => Ok(status(UNSUPPORTED)),
        };
        let body = body.unwrap_or_else(|error| {
            status(match error.kind() {
                io::ErrorKind::NotFound => NO_SUCH_FILE,
                io::ErrorKind::PermissionDenied => PERMISSION_DENIED,
                _ => FAILURE,
            })
        });
        let (kind, body) = body.split_first().unwrap();
        Some([&[*kind], &id[..], body].concat())
    }

    fn path(&self, text: &str) -> PathBuf {
        match Path::new(text).starts_with(&self.directory) {
            true => PathBuf::from(text),
            false => self.directory.join(text.trim_start_matches('/')),
        }
    }

    fn handle(&mut self, handle: Handle) -> Vec<u8> {
        self.next_handle += 1;
        let name = self.next_handle.to_string();
        self.handles.insert(name.clone(), handle);
        let mut body = vec![HANDLE];
        push(&mut body, name.as_bytes());
        body
    }

    fn read(&mut self, handle: &str, rest: &[u8]) -> io::Result<Vec<u8>> {
        let (offset, rest) = rest.split_first_chunk::<8>().unwrap();
        let (length, _) = rest.split_first_chunk::<4>().unwrap();
        let (offset, length) = (u64::from_be_bytes(*offset), u32::from_be_bytes(*length));
        let Some(Handle::File {
            file,
            path,
            was_read,
        }) = self.handles.get_mut(handle)
        else {
            return Ok(status(FAILURE));
        };
        *was_read = true;
        if let Some(log) = &self.log {
            let mut log = File::options().append(true).create(true).open(log)?;
            let size = file.metadata()?.len();
            writeln!(log, "{} {offset} {length} {size}", path.display())?;
        }
        let most = self.most_read.unwrap_or(usize::MAX);
        let mut bytes = vec![0; most.min(length as usize)];
        let read = file.read_at(&mut bytes, offset)?;
        if read == 0 {
            return Ok(status(END));
        }
        let mut body = vec![DATA];
        push(&mut body, &bytes[..read]);
        Ok(body)
    }

    fn list(&mut self, handle: &str) -> Vec<u8> {
        let Some(Handle::Folder(entries)) = self.handles.get_mut(handle) else {
            return status(FAILURE);
        };
        let Some(entries) = entries.take().filter(|entries| !entries.is_empty()) else {
            return status(END);
        };
        let listed = entries.into_iter().map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let found = fs::symlink_metadata(&path).unwrap();
            (name, attributes(&found, &self.listing))
        });
        names(&listed.collect::<Vec<_>>())
    }

    fn attributes(&self, found: &fs::Metadata) -> Vec<u8> {
        let mut body = vec![ATTRS];
        body.extend(attributes(found, &self.stat));
        body
    }
}

/// Returns the attributes of a file, without those that are left out.
fn attributes(found: &fs::Metadata, left_out: &str) -> Vec<u8> {
    let mut flags = 0_u32;
    let mut values = Vec::new();
    if !left_out.contains('s') {
        flags |= 1;
        values.extend(found.size().to_be_bytes());
    }
    if !left_out.contains('t') {
        flags |= 4;
        values.extend(found.mode().to_be_bytes());
    }
    if !left_out.contains('m') {
        flags |= 8;
        let time = u32::try_from(found.mtime()).unwrap();
        values.extend(time.to_be_bytes());
        values.extend(time.to_be_bytes());
    }
    [&flags.to_be_bytes()[..], &values].concat()
}

fn names(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![NAME];
    body.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    for (name, attributes) in entries {
        push(&mut body, name.as_bytes());
        push(&mut body, name.as_bytes());
        match attributes.is_empty() {
            true => body.extend([0; 4]),
            false => body.extend(attributes),
        }
    }
    body
}

fn status(code: u32) -> Vec<u8> {
    let mut body = vec![STATUS];
    body.extend(code.to_be_bytes());
    push(&mut body, b"");
    push(&mut body, b"");
    body
}

fn push(target: &mut Vec<u8>, text: &[u8]) {
    target.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    target.extend(text);
}

fn string(rest: &mut &[u8]) -> String {
    let (length, after) = rest.split_first_chunk::<4>().unwrap();
    let (text, after) = after.split_at(u32::from_be_bytes(*length) as usize);
    *rest = after;
    String::from_utf8_lossy(text).into_owned()
}

fn read_packet(input: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length).ok()?;
    let mut packet = vec![0; u32::from_be_bytes(length) as usize];
    input.read_exact(&mut packet).ok()?;
    Some(packet)
}

const INIT: u8 = 1;
const VERSION: u8 = 2;
const OPEN: u8 = 3;
const CLOSE: u8 = 4;
const READ: u8 = 5;
const LSTAT: u8 = 7;
const FSTAT: u8 = 8;
const OPENDIR: u8 = 11;
const READDIR: u8 = 12;
const REMOVE: u8 = 13;
const REALPATH: u8 = 16;
const STAT: u8 = 17;
const READLINK: u8 = 19;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;

const OK: u32 = 0;
const END: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
const UNSUPPORTED: u32 = 8;
