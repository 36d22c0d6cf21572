//! The inbox: files come in steps, and some steps can be held back.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::hazard::Hazard;
use crate::metadata::Metadata;

/// A data file and what its metadata says, ready to be put into the inbox.
#[derive(Debug)]
pub(crate) struct Parcel<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata<'a>,
}

/// A directory in which deliveries appear.
#[derive(Debug)]
pub(crate) struct Inbox {
    directory: PathBuf,
    /// Files are made here and moved.
    spool: PathBuf,
    held: VecDeque<Step>,
}

/// Something that happens to the inbox at once.
#[derive(Debug)]
enum Step {
    Put(String, Vec<u8>),
    Append(String, Vec<u8>),
}

impl Inbox {
    /// The directories are made if they are not there.
    pub(crate) fn new(directory: PathBuf, spool: PathBuf) -> Result<Self, Error> {
        for path in [&directory, &spool] {
            fs::create_dir_all(path).map_err(Error::file(path))?;
        }
        Ok(Self {
            directory,
            spool,
            held: VecDeque::new(),
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Delivers: the data file and then its metadata file, unless a hazard has it otherwise.
    pub(crate) fn deliver(
        &mut self,
        parcel: Parcel<'_>,
        hazard: Option<Hazard>,
    ) -> Result<(), Error> {
        let Parcel {
            name,
            mut bytes,
            mut metadata,
        } = parcel;
        damage(&mut bytes, hazard);
        metadata.size = bytes.len() as u64;
        if hazard == Some(Hazard::SizeMismatch) {
            metadata.size += 1;
        }
        let another = format!("{name}.other");
        if hazard == Some(Hazard::NamesAnother) {
            metadata.file_name = &another;
        }
        let described = describe(&metadata, hazard);
        let meta_name = format!("{name}.metadata");
        let data = |bytes| Step::Put(name.to_owned(), bytes);
        let meta = |text| Step::Put(meta_name.clone(), text);
        match hazard {
            Some(Hazard::MetadataFirst) => {
                self.take(meta(described))?;
                self.held.push_back(data(bytes));
            }
            Some(Hazard::MetadataLate) => {
                self.take(data(bytes))?;
                self.held.push_back(meta(described));
            }
            Some(Hazard::Growing) => {
                let rest = bytes.split_off(bytes.len() / 2);
                self.take(data(bytes))?;
                self.take(meta(described))?;
                self.held.push_back(Step::Append(name.to_owned(), rest));
            }
            Some(Hazard::RepeatedTransfer) => {
                self.take(data(bytes.clone()))?;
                self.take(meta(described))?;
                let again = format!("{name}.again");
                let mut described = metadata.clone();
                described.file_name = &again;
                let text = described.to_xml().into_bytes();
                self.take(Step::Put(again.clone(), bytes))?;
                self.take(Step::Put(format!("{again}.metadata"), text))?;
            }
            _ => {
                self.take(data(bytes))?;
                self.take(meta(described))?;
            }
        }
        match hazard {
            Some(Hazard::ForeignFiles) => self.foreign_files(),
            Some(Hazard::HostileNames) => self.hostile_names(&metadata),
            _ => Ok(()),
        }
    }

    /// Does what was held back, and says how many files it concerned.
    pub(crate) fn complete(&mut self) -> Result<usize, Error> {
        let held = std::mem::take(&mut self.held);
        let count = held.len();
        held.into_iter().try_for_each(|step| self.take(step))?;
        Ok(count)
    }

    fn take(&self, step: Step) -> Result<(), Error> {
        match step {
            Step::Put(name, bytes) => self.put(OsStr::new(&name), &bytes),
            Step::Append(name, bytes) => {
                let path = self.directory.join(name);
                let file = OpenOptions::new().append(true).open(&path);
                file.and_then(|mut file| file.write_all(&bytes))
                    .map_err(Error::file(path))
            }
        }
    }

    /// A file appears whole.
    fn put(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Error> {
        let (part, path) = (self.spool.join("part"), self.directory.join(name));
        fs::write(&part, bytes).map_err(Error::file(&part))?;
        fs::rename(&part, &path).map_err(Error::file(path))
    }

    /// What else lands in an inbox that one IT system has for all its services.
    fn foreign_files(&self) -> Result<(), Error> {
        let receipt = "<TechnicalReceipt><FileTransferUUID>x</FileTransferUUID>\
                       <Receipt><Message>SUCCESS</Message></Receipt></TechnicalReceipt>";
        let files: [(&str, &[u8]); 6] = [
            ("udbakke-20260302.xml.sftpreceipt", receipt.as_bytes()),
            ("svar-20260302.xml", b"<Svar/>"),
            ("svar-20260302.xml.metadata", b"<Svar/>"),
            ("liste.csv", b"a;b\n1;2\n"),
            (".hidden", b"x"),
            ("tom", b""),
        ];
        let put = |(name, bytes)| self.put(OsStr::new(name), bytes);
        files.into_iter().try_for_each(put)
    }

    /// Every one of them has a metadata file, so that nobody passes it over for the lack of it.
    fn hostile_names(&self, metadata: &Metadata<'_>) -> Result<(), Error> {
        let long = "x".repeat(240);
        let names: [&[u8]; 9] = [
            b"-rf",
            b"..data",
            b"line\nend.l000001",
            b"\x1b[31mred.l000001",
            b"quote'\"$(id)`.l000001",
            b"back\\slash.l000001",
            b"nul-like%00.l000001",
            b"no-text-\xff\xfe.l000001",
            long.as_bytes(),
        ];
        for name in names {
            let bytes = b"not for you";
            self.put(&OsString::from_vec(name.to_vec()), bytes)?;
            let mut described = metadata.clone();
            let text = String::from_utf8_lossy(name);
            (described.file_name, described.size) = (&text, bytes.len() as u64);
            let name = [name, b".metadata"].concat();
            self.put(&OsString::from_vec(name), described.to_xml().as_bytes())?;
        }
        let mut described = metadata.clone();
        described.file_name = "../../escape";
        self.put(OsStr::new("escape.metadata"), described.to_xml().as_bytes())?;

        // A link out of the inbox, a link to itself, and a directory, each with metadata.
        let path = |name: &str| self.directory.join(name);
        for (target, name) in [
            ("/etc/hostname", "link.l000001"),
            ("loop.l000001", "loop.l000001"),
        ] {
            let _was_there = fs::remove_file(path(name));
            symlink(target, path(name)).map_err(Error::file(path(name)))?;
        }
        let folder = path("folder.l000001");
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        for name in ["link.l000001", "loop.l000001", "folder.l000001"] {
            described.file_name = name;
            let text = described.to_xml();
            self.put(OsStr::new(&format!("{name}.metadata")), text.as_bytes())?;
        }
        Ok(())
    }
}

/// Damage to the content. The size that metadata tells is that of the damaged file.
fn damage(bytes: &mut Vec<u8>, hazard: Option<Hazard>) {
    let end = bytes
        .windows(13)
        .rposition(|part| part == b"9999999999999")
        .unwrap_or(bytes.len());
    match hazard {
        Some(Hazard::WrongCount) => {
            let count = str::from_utf8(bytes.get(end + 13..end + 21).unwrap_or_default());
            if let Some(count) = count.ok().and_then(|count| count.parse::<u64>().ok()) {
                bytes.splice(end + 13..end + 21, format!("{:08}", count + 1).into_bytes());
            }
        }
        Some(Hazard::MissingEnd) => bytes.truncate(end),
        Some(Hazard::CutOff) => bytes.truncate(end.saturating_sub(17)),
        _ => {}
    }
}

fn describe(metadata: &Metadata<'_>, hazard: Option<Hazard>) -> Vec<u8> {
    let text = metadata.to_xml();
    match hazard {
        Some(Hazard::BrokenMetadata) => text.as_bytes()[..text.len() / 2].to_vec(),
        Some(Hazard::EmptyMetadata) => Vec::new(),
        Some(Hazard::MetadataBomb) => {
            let mut types = "<!DOCTYPE bomb [<!ENTITY a \"ha\">".to_owned();
            for (before, name) in ('a'..='j').zip('b'..='k') {
                let ten = format!("&{before};").repeat(10);
                types.push_str(&format!("<!ENTITY {name} \"{ten}\">"));
            }
            types.push_str("]>\n");
            let text = text.replacen("?>\n", &format!("?>\n{types}"), 1);
            text.replace("</Sender>", "&k;</Sender>").into_bytes()
        }
        _ => text.into_bytes(),
    }
}
