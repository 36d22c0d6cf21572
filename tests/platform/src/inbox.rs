//! The inbox: the directory in which deliveries appear.
//!
//! A delivery is a sequence of file operations. A delivery fault can withhold some of them until uploads are completed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use crate::Error;
use crate::delivery_fault::DeliveryFault;
use crate::metadata::Metadata;

/// A data file and its metadata, ready for the inbox.
#[derive(Debug)]
pub(crate) struct OutgoingDelivery<'a> {
    pub(crate) name: &'a str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) metadata: Metadata<'a>,
}

/// The inbox directory and the operations that are withheld from it.
#[derive(Debug)]
pub(crate) struct Inbox {
    directory: PathBuf,
    /// Files are written here and then moved into the inbox, so that they appear complete.
    staging: PathBuf,
    withheld: VecDeque<FileOperation>,
    /// The modification time of new files; `None` for the present time of the machine.
    arrival: Option<OffsetDateTime>,
}

/// A single change of the inbox.
#[derive(Debug)]
enum FileOperation {
    Put(String, Vec<u8>),
    Append(String, Vec<u8>),
}

impl Inbox {
    /// Creates missing directories.
    pub(crate) fn new(directory: PathBuf, staging: PathBuf) -> Result<Self, Error> {
        for path in [&directory, &staging] {
            fs::create_dir_all(path).map_err(Error::file(path))?;
        }
        Ok(Self {
            directory,
            staging,
            withheld: VecDeque::new(),
            arrival: None,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Puts the data file and then its metadata file into the inbox, changed by the fault if there is one.
    ///
    /// `arrival` is the modification time that the files get; `None` for the present time of the machine.
    pub(crate) fn deliver(
        &mut self,
        outgoing: OutgoingDelivery<'_>,
        fault: Option<DeliveryFault>,
        arrival: Option<OffsetDateTime>,
    ) -> Result<(), Error> {
        self.arrival = arrival;
        let OutgoingDelivery {
            name,
            mut bytes,
            mut metadata,
        } = outgoing;
        damage(&mut bytes, fault);
        metadata.size = bytes.len() as u64;
        if fault == Some(DeliveryFault::SizeMismatch) {
            metadata.size += 1;
        }
        let another = format!("{name}.other");
        if fault == Some(DeliveryFault::NamesAnother) {
            metadata.file_name = &another;
        }
        let metadata_bytes = describe(&metadata, fault);
        let meta_name = format!("{name}.metadata");
        let data = |bytes| FileOperation::Put(name.to_owned(), bytes);
        let meta = |text| FileOperation::Put(meta_name.clone(), text);
        match fault {
            Some(DeliveryFault::MetadataFirst) => {
                self.apply(meta(metadata_bytes))?;
                self.withheld.push_back(data(bytes));
            }
            Some(DeliveryFault::MetadataLate) => {
                self.apply(data(bytes))?;
                self.withheld.push_back(meta(metadata_bytes));
            }
            Some(DeliveryFault::Growing) => {
                let rest = bytes.split_off(bytes.len() / 2);
                self.apply(data(bytes))?;
                self.apply(meta(metadata_bytes))?;
                self.withheld
                    .push_back(FileOperation::Append(name.to_owned(), rest));
            }
            Some(DeliveryFault::RepeatedTransfer) => {
                self.apply(data(bytes.clone()))?;
                self.apply(meta(metadata_bytes))?;
                let again = format!("{name}.again");
                let mut metadata_bytes = metadata.clone();
                metadata_bytes.file_name = &again;
                let text = metadata_bytes.to_xml().into_bytes();
                self.apply(FileOperation::Put(again.clone(), bytes))?;
                self.apply(FileOperation::Put(format!("{again}.metadata"), text))?;
            }
            _ => {
                self.apply(data(bytes))?;
                self.apply(meta(metadata_bytes))?;
            }
        }
        match fault {
            Some(DeliveryFault::ForeignFiles) => self.foreign_files(),
            Some(DeliveryFault::HostileNames) => self.hostile_names(&metadata),
            _ => Ok(()),
        }
    }

    /// Deletes the files whose modification time is not after `end`.
    pub(crate) fn delete_until(&self, end: OffsetDateTime) -> Result<(), Error> {
        let failed = || Error::file(&self.directory);
        for entry in fs::read_dir(&self.directory).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            let metadata = entry.metadata().map_err(failed())?;
            let is_old = metadata.modified().map_err(failed())? <= SystemTime::from(end);
            if is_old && !metadata.is_dir() {
                fs::remove_file(entry.path()).map_err(Error::file(entry.path()))?;
            }
        }
        Ok(())
    }

    /// Carries out the withheld operations and returns their number.
    pub(crate) fn complete(&mut self) -> Result<usize, Error> {
        let withheld = std::mem::take(&mut self.withheld);
        let count = withheld.len();
        withheld
            .into_iter()
            .try_for_each(|operation| self.apply(operation))?;
        Ok(count)
    }

    fn apply(&self, operation: FileOperation) -> Result<(), Error> {
        match operation {
            FileOperation::Put(name, bytes) => self.put(OsStr::new(&name), &bytes),
            FileOperation::Append(name, bytes) => {
                let path = self.directory.join(name);
                let file = OpenOptions::new().append(true).open(&path);
                file.and_then(|mut file| file.write_all(&bytes))
                    .map_err(Error::file(path))
            }
        }
    }

    /// Puts a complete file into the inbox with a rename.
    fn put(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Error> {
        let (part, path) = (self.staging.join("part"), self.directory.join(name));
        fs::write(&part, bytes).map_err(Error::file(&part))?;
        if let Some(arrival) = self.arrival {
            let file = File::options().append(true).open(&part);
            file.and_then(|file| file.set_modified(arrival.into()))
                .map_err(Error::file(&part))?;
        }
        fs::rename(&part, &path).map_err(Error::file(path))
    }

    /// Adds files of other services: an IT system has one inbox for all its services.
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

    /// Adds files with malicious names. Each has a metadata file, so that a receiver does not ignore it as incomplete.
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
            let mut metadata_bytes = metadata.clone();
            let text = String::from_utf8_lossy(name);
            (metadata_bytes.file_name, metadata_bytes.size) = (&text, bytes.len() as u64);
            let name = [name, b".metadata"].concat();
            self.put(
                &OsString::from_vec(name),
                metadata_bytes.to_xml().as_bytes(),
            )?;
        }
        let mut metadata_bytes = metadata.clone();
        metadata_bytes.file_name = "../../escape";
        self.put(
            OsStr::new("escape.metadata"),
            metadata_bytes.to_xml().as_bytes(),
        )?;

        // A link out of the inbox, a link to itself and a directory, each with a metadata file.
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
            metadata_bytes.file_name = name;
            let text = metadata_bytes.to_xml();
            self.put(OsStr::new(&format!("{name}.metadata")), text.as_bytes())?;
        }
        Ok(())
    }
}

/// Damages the content as the fault requires. The metadata is made afterwards and states the damaged size.
fn damage(bytes: &mut Vec<u8>, fault: Option<DeliveryFault>) {
    let end = bytes
        .windows(13)
        .rposition(|part| part == b"9999999999999")
        .unwrap_or(bytes.len());
    match fault {
        Some(DeliveryFault::WrongCount) => {
            let count = str::from_utf8(bytes.get(end + 13..end + 21).unwrap_or_default());
            if let Some(count) = count.ok().and_then(|count| count.parse::<u64>().ok()) {
                bytes.splice(end + 13..end + 21, format!("{:08}", count + 1).into_bytes());
            }
        }
        Some(DeliveryFault::MissingEnd) => bytes.truncate(end),
        Some(DeliveryFault::CutOff) => bytes.truncate(end.saturating_sub(17)),
        _ => {}
    }
}

fn describe(metadata: &Metadata<'_>, fault: Option<DeliveryFault>) -> Vec<u8> {
    let text = metadata.to_xml();
    match fault {
        Some(DeliveryFault::BrokenMetadata) => text.as_bytes()[..text.len() / 2].to_vec(),
        Some(DeliveryFault::EmptyMetadata) => Vec::new(),
        Some(DeliveryFault::MetadataBomb) => {
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
