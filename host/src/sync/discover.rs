//! What is in an inbox: deliveries that are ready, those that are not yet, and what is nobody's.

use std::collections::BTreeMap;
use std::io::Read;

use crate::agreement::{Agreement, AgreementName, Claim, Marks, claim};
use crate::delivery::{Document, Metadata};
use crate::error::Error;
use crate::ledger::{Ledger, NewDelivery, Reason, Record, State};
use crate::report::Start;
use crate::sandbox::Connector;
use crate::scan::Scan;
use crate::transport::{Entry, Refusal, RemoteName, Transport, TransportError, said};

/// What an inbox holds.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Deliveries of one agreement each, oldest production date first.
    pub deliveries: Vec<Found>,
    /// Files that are not a delivery yet: the other half is missing, or still grows.
    pub waiting: Vec<Waiting>,
    /// Files that are nobody's, or that something is wrong with.
    pub strays: Vec<Waiting>,
    /// Metadata files of deliveries that are published and whose data files are gone.
    pub orphans: Vec<Orphan>,
}

/// A metadata file that somebody was stopped before they could remove: its delivery is published.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Whose it is.
    pub agreement: AgreementName,
    /// Its name.
    pub name: RemoteName,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
}

/// A delivery that is whole on the server.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose it is.
    pub agreement: AgreementName,
    /// The data file.
    pub data: Entry,
    /// The metadata file's name.
    pub metadata_name: RemoteName,
    /// What the metadata says.
    pub metadata: Metadata,
    /// The start record, if there is one.
    pub start: Option<Start>,
    /// What the ledger knows of it.
    pub known: Option<Record>,
}

/// A file that cannot be taken.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// Its name, in a harmless form.
    pub name: String,
    /// Its size, if it is a file.
    pub size: Option<u64>,
    /// When the server says that it was modified, in seconds since 1970.
    pub modified: Option<u64>,
    /// Why not.
    pub reason: Reason,
}

impl Waiting {
    /// Its name, as it is said: without anything that can be a person number.
    pub fn said_name(&self) -> String {
        said(&self.name)
    }
}

impl Found {
    /// What the ledger is told of it.
    pub(crate) fn facts(&self) -> NewDelivery {
        NewDelivery {
            agreement: self.agreement.as_str().to_owned(),
            transfer_uuid: self.metadata.transfer_uuid.clone(),
            file_name: self.data.name.as_str().to_owned(),
            metadata_name: self.metadata_name.as_str().to_owned(),
            size: self.data.stat.size,
            modified: self.data.stat.modified,
            sender: Some(self.metadata.sender.clone()),
        }
    }

    /// The production date of record 000, if there is one.
    pub fn production_date(&self) -> Option<&str> {
        let start = self.start.as_ref()?;
        start.production_date.as_deref()
    }
}

/// Looks into an inbox that those agreements share, and asks those ledgers what is known of what is there.
pub fn discover(
    connector: &Connector,
    transport: &mut dyn Transport,
    agreements: &[&Agreement],
    ledgers: &[&Ledger],
) -> Result<Inventory, Error> {
    let listing = transport.list()?;
    let mut inventory = Inventory::default();
    for refused in listing.refused {
        inventory.strays.push(Waiting {
            name: refused.shown,
            size: None,
            modified: None,
            reason: match refused.refusal {
                Refusal::Directory => Reason::new("foreign", "a directory"),
                refusal => Reason::new(
                    "unusable-name",
                    format!("{refusal}: no delivery is like that, and it is not opened. Ask the helpdesk to remove it"),
                ),
            },
        });
    }
    let Sorted {
        mut data,
        metadata,
        other,
    } = sort(listing.entries);
    for entry in other {
        let reason = Reason::new("foreign", "a receipt or a trigger of another service");
        inventory.strays.push(waiting(&entry, reason));
    }
    let mut look = Look {
        connector,
        transport,
        agreements,
        ledgers,
        inventory,
    };
    for entry in metadata {
        let stem = stem(entry.name.as_str(), METADATA).unwrap_or_default();
        let partner = partner(&data, stem).and_then(|name| data.remove(&name));
        let at_fault = partner.as_ref().unwrap_or(&entry).clone();
        match look.pair(entry, partner) {
            Err(Error::Transport(error)) if error.is_of_one_file() => {
                look.unreadable(&at_fault, &error);
            }
            ended => ended?,
        }
    }
    for entry in data.into_values() {
        look.alone(&entry);
    }
    let mut inventory = look.inventory;
    inventory.deliveries.sort_by(|one, other| {
        let key = |found: &Found| {
            let date = found.production_date().map(str::to_owned);
            // Without a date it cannot be said where it belongs; it holds up nobody.
            (date.is_none(), date, found.data.name.as_str().to_owned())
        };
        key(one).cmp(&key(other))
    });
    Ok(inventory)
}

/// What is said of a file whose name is none of ours.
const FOREIGN_NAME: &str = "no agreement has files of such a name";

/// The suffix of metadata files.
const METADATA: &str = ".metadata";

/// Suffixes of files that are no deliveries.
const OTHERS: [&str; 2] = [".sftpreceipt", ".trigger"];

/// Bytes of a data file that are read to see its start record.
const HEAD: u64 = 4096;

/// Bytes of a metadata file at the most, and one more to see that there are more.
const METADATA_SIZE: u64 = 64 * 1024 + 1;

struct Sorted {
    data: BTreeMap<String, Entry>,
    metadata: Vec<Entry>,
    other: Vec<Entry>,
}

/// Files by what their names say.
fn sort(entries: Vec<Entry>) -> Sorted {
    let mut sorted = Sorted {
        data: BTreeMap::new(),
        metadata: Vec::new(),
        other: Vec::new(),
    };
    for entry in entries {
        let name = entry.name.as_str();
        if stem(name, METADATA).is_some() {
            sorted.metadata.push(entry);
        } else if OTHERS.iter().any(|suffix| stem(name, suffix).is_some()) {
            sorted.other.push(entry);
        } else {
            sorted.data.insert(name.to_owned(), entry);
        }
    }
    sorted
}

/// The name without that suffix, whose case does not matter.
fn stem<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    (end.eq_ignore_ascii_case(suffix) && !stem.is_empty()).then_some(stem)
}

/// The data file that a metadata file's name belongs to: the same name, or the only one that differs in case.
fn partner(data: &BTreeMap<String, Entry>, stem: &str) -> Option<String> {
    if data.contains_key(stem) {
        return Some(stem.to_owned());
    }
    let mut alike = data.keys().filter(|name| name.eq_ignore_ascii_case(stem));
    match (alike.next(), alike.next()) {
        (Some(one), None) => Some(one.clone()),
        _ => None,
    }
}

fn waiting(entry: &Entry, reason: Reason) -> Waiting {
    Waiting {
        name: entry.name.as_str().to_owned(),
        size: Some(entry.stat.size),
        modified: entry.stat.modified,
        reason,
    }
}

struct Look<'a> {
    connector: &'a Connector,
    transport: &'a mut dyn Transport,
    agreements: &'a [&'a Agreement],
    ledgers: &'a [&'a Ledger],
    inventory: Inventory,
}

impl Look<'_> {
    /// A metadata file, and the data file of its name if there is one.
    fn pair(&mut self, entry: Entry, data: Option<Entry>) -> Result<(), Error> {
        let Some(bytes) = self.read(&entry.name, METADATA_SIZE)? else {
            // Gone since it was listed: another look will tell.
            return Ok(());
        };
        let metadata = match self.connector.read_metadata(&bytes) {
            Ok(Document::Metadata(metadata)) => metadata,
            Ok(_) => {
                let reason = Reason::new("foreign", "a receipt of another service");
                self.inventory.strays.push(waiting(&entry, reason));
                if let Some(data) = data {
                    self.alone(&data);
                }
                return Ok(());
            }
            Err(Error::Metadata(error)) => {
                let reason = Reason::new(
                    "metadata-unreadable",
                    format!(
                        "the metadata file cannot be read: {error}. If it stays so, ask the helpdesk for a new delivery"
                    ),
                );
                let at_fault = data.as_ref().unwrap_or(&entry);
                self.inventory.waiting.push(waiting(at_fault, reason));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let Some(data) = data else {
            if let Some(agreement) = self.of_published(&metadata)? {
                self.inventory.orphans.push(Orphan {
                    agreement,
                    name: entry.name,
                    transfer_uuid: metadata.transfer_uuid,
                });
                return Ok(());
            }
            let reason = Reason::new(
                "no-data",
                "the metadata file is there, its data file is not",
            );
            self.inventory.waiting.push(waiting(&entry, reason));
            return Ok(());
        };
        if let Some(reason) = self.disagreement(&data, &metadata)? {
            self.inventory.waiting.push(waiting(&data, reason));
            return Ok(());
        }
        let head = self.read(&data.name, HEAD)?.unwrap_or_default();
        let start = read_start(self.connector, &head)?;
        let marks = Marks {
            file_name: data.name.as_str(),
            sender: &metadata.sender,
            recipients: &metadata.recipients,
            task_number: start.as_ref().map(|start| start.task_number.as_str()),
        };
        let agreement = match claim(self.agreements.iter().copied(), &marks) {
            Claim::One(agreement) => agreement.name.clone(),
            Claim::None => {
                let reason = Reason::new(
                    "nobodys",
                    "it fits no agreement of this inbox: see what its files look like in the configuration",
                );
                self.inventory.strays.push(waiting(&data, reason));
                return Ok(());
            }
            Claim::Several(names) => {
                let names: Vec<&str> = names.into_iter().map(AgreementName::as_str).collect();
                let reason = Reason::new(
                    "ambiguous",
                    format!(
                        "it fits more than one agreement ({}): tell them apart in the configuration",
                        names.join(", ")
                    ),
                );
                self.inventory.strays.push(waiting(&data, reason));
                return Ok(());
            }
        };
        let known = self.known(&agreement, &metadata.transfer_uuid)?;
        self.inventory.deliveries.push(Found {
            agreement,
            data,
            metadata_name: entry.name,
            metadata,
            start,
            known,
        });
        Ok(())
    }

    /// What a ledger knows of a delivery. Each agreement is one ledger's.
    fn known(&self, agreement: &AgreementName, transfer: &str) -> Result<Option<Record>, Error> {
        for ledger in self.ledgers {
            let known = ledger.find(agreement.as_str(), transfer)?;
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    /// The agreement whose delivery a metadata file is of, if that is published and nothing was left to do for it.
    fn of_published(&self, metadata: &Metadata) -> Result<Option<AgreementName>, Error> {
        for agreement in self.agreements {
            let known = self.known(&agreement.name, &metadata.transfer_uuid)?;
            if known.is_some_and(|known| known.state == State::Done) {
                return Ok(Some(agreement.name.clone()));
            }
        }
        Ok(None)
    }

    /// Why data and metadata are no delivery yet; none if they are one.
    fn disagreement(
        &mut self,
        data: &Entry,
        metadata: &Metadata,
    ) -> Result<Option<Reason>, TransportError> {
        if metadata.file_name != data.name.as_str() {
            return Ok(Some(Reason::new(
                "name-differs",
                "its metadata names another file: ask the helpdesk for a new delivery",
            )));
        }
        // Listed before the metadata was read: a file that grew meanwhile shows itself.
        let Some(stat) = self.transport.stat(&data.name)? else {
            return Ok(Some(Reason::new("gone", "it has gone since it was listed")));
        };
        Ok(if stat != data.stat {
            Some(Reason::new("growing", "it is still being written"))
        } else if stat.size != metadata.size_in_bytes {
            Some(Reason::new(
                "size-differs",
                format!(
                    "it has {} bytes and its metadata says {}: it is still being written, or was cut off. If it \
                     stays so, ask the helpdesk for a new delivery",
                    stat.size, metadata.size_in_bytes
                ),
            ))
        } else {
            None
        })
    }

    /// Whether no agreement has data files of such a name.
    fn is_nobodys(&self, name: &str) -> bool {
        let by_name = |agreement: &&&Agreement| {
            let pattern = agreement.files.name.as_ref();
            pattern.is_none_or(|pattern| pattern.is_match(name))
        };
        self.agreements.iter().find(by_name).is_none()
    }

    /// A file, or a pair of them, that the server does not let us read. What it is of cannot be known.
    fn unreadable(&mut self, entry: &Entry, error: &TransportError) {
        let name = entry.name.as_str();
        let reason = match self.is_nobodys(stem(name, METADATA).unwrap_or(name)) {
            true => Reason::new("foreign", FOREIGN_NAME),
            false => Reason::new(
                "unreadable",
                format!("{error}. Ask the helpdesk what is the matter with it"),
            ),
        };
        self.inventory.strays.push(waiting(entry, reason));
    }

    /// A data file without metadata.
    fn alone(&mut self, data: &Entry) {
        if self.is_nobodys(data.name.as_str()) {
            let reason = Reason::new("foreign", FOREIGN_NAME);
            self.inventory.strays.push(waiting(data, reason));
        } else {
            let reason = Reason::new(
                "no-metadata",
                "the data file is there, its metadata file is not",
            );
            self.inventory.waiting.push(waiting(data, reason));
        }
    }

    /// The first bytes of a file; none if it is gone.
    fn read(&mut self, name: &RemoteName, limit: u64) -> Result<Option<Vec<u8>>, TransportError> {
        read_head(self.transport, name, limit)
    }
}

/// The first bytes of a file; none if it is gone.
pub(super) fn read_head(
    transport: &mut dyn Transport,
    name: &RemoteName,
    limit: u64,
) -> Result<Option<Vec<u8>>, TransportError> {
    let file = match transport.open(name, 0) {
        Ok(file) => file,
        Err(TransportError::Gone { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    match file.take(limit).read_to_end(&mut bytes) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(error.into()),
    }
}

/// What a metadata file says; none if it is gone or says nothing.
pub(super) fn read_metadata(
    connector: &Connector,
    transport: &mut dyn Transport,
    name: &RemoteName,
) -> Result<Option<Metadata>, Error> {
    let Some(bytes) = read_head(transport, name, METADATA_SIZE)? else {
        return Ok(None);
    };
    match connector.read_metadata(&bytes) {
        Ok(Document::Metadata(metadata)) => Ok(Some(metadata)),
        Ok(_) | Err(Error::Metadata(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The start record of an extract that begins like that.
fn read_start(connector: &Connector, head: &[u8]) -> Result<Option<Start>, Error> {
    let mut rows = Scan::new(connector)
        .table("delivery_start")
        .read_all(head)?;
    for batch in rows.by_ref() {
        match batch {
            Ok(_) => {}
            // Fetching it will tell.
            Err(Error::Data(_)) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(rows.summary()?.start)
}
