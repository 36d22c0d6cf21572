//! Lists an inbox: deliveries that are ready, deliveries that are not complete yet, and other files.

mod inventory_builder;
mod read;

use std::collections::BTreeMap;

use self::inventory_builder::{InventoryBuilder, waiting};
pub(super) use self::read::read_metadata;
use super::connection::{RetryPauses, reconnect_after};
use super::decide;
use crate::agreement::Agreement;
use crate::error::Error;
use crate::ledger::{Ledger, NewDelivery, Reason, Record, UnclaimedFile};
use crate::names::AgreementName;
use crate::routing::Routing;
use cprflow::metadata::Metadata;
use cprflow::{Connector, StartRecord};
use cprflow_transport::{HELPDESK, Refusal, RemoteFile, RemoteName, Transport, redacted_name};

/// The files of an inbox.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The complete deliveries, oldest production date first. Deliveries without a production date come last.
    pub deliveries: Vec<FoundDelivery>,
    /// Files that are not a complete delivery yet: the data or metadata file is missing, or the data file still grows.
    pub waiting: Vec<Waiting>,
    /// Files that belong to no agreement or cannot be processed.
    pub strays: Vec<Waiting>,
    /// Metadata files whose deliveries are published and whose data files are gone.
    pub orphans: Vec<OrphanedMetadata>,
}

/// A metadata file of a published delivery, left by a run that was stopped before it could remove the file.
#[derive(Debug, Clone)]
pub struct OrphanedMetadata {
    /// The agreement of the delivery.
    pub agreement: AgreementName,
    /// The file's name.
    pub name: RemoteName,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
}

/// A delivery that is complete on the server.
#[derive(Debug, Clone)]
pub struct FoundDelivery {
    /// The agreement of the delivery.
    pub agreement: AgreementName,
    /// The data file.
    pub data: RemoteFile,
    /// The metadata file's name.
    pub metadata_name: RemoteName,
    /// The content of the metadata file.
    pub metadata: Metadata,
    /// The first bytes of the data file, as they were read to recognise the extract.
    pub head: Vec<u8>,
    /// The start record (000), if the extract begins with one.
    pub start: Option<StartRecord>,
    /// The ledger's record of the delivery, if it has one.
    pub known: Option<Record>,
}

/// A file that is not processed.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The file's name, with unsafe characters escaped.
    pub name: String,
    /// The file's size in bytes; `None` if the entry is not a regular file.
    pub size: Option<u64>,
    /// The time of the last change by the server's clock, in seconds since 1970.
    pub modified: Option<u64>,
    /// Why the file is not processed.
    pub reason: Reason,
}

impl Waiting {
    /// Returns the file's name with digits redacted that can be a person number.
    pub fn redacted_file_name(&self) -> String {
        redacted_name(&self.name)
    }
}

impl FoundDelivery {
    /// Returns what the ledger stores of the delivery before its download.
    pub(crate) fn facts(&self) -> NewDelivery {
        NewDelivery {
            agreement: self.agreement.as_str().to_owned(),
            transfer_uuid: self.metadata.transfer_uuid.clone(),
            file_name: self.data.name.as_str().to_owned(),
            metadata_name: self.metadata_name.as_str().to_owned(),
            size: self.data.stat.size,
            modified: self.data.stat.modified,
            sender: Some(self.metadata.sender.clone()),
            routing: self.metadata.routing.as_deref().map(Routing::from),
        }
    }

    /// Returns why runs leave the file on the server although its transfer is known: it is another file, or the register
    /// cannot take its extract. The bytes are not read: names and sizes tell, and so does `unclaimed`, the files that the
    /// last run left in the inboxes.
    pub fn left_on_server(&self, inbox: &str, unclaimed: &[UnclaimedFile]) -> Option<Reason> {
        if decide::is_reused(self.known.as_ref()?, &self.data) {
            return Some(decide::transfer_reused());
        }
        let name = redacted_name(self.data.name.as_str());
        let codes = [decide::TRANSFER_REUSED, decide::NOT_KEPT];
        let mut unclaimed = unclaimed.iter();
        let left = unclaimed.find(|left| {
            left.inbox == inbox
                && left.name == name
                && left.size == Some(self.data.stat.size)
                && codes.contains(&left.reason.code.as_str())
        })?;
        Some(left.reason.clone())
    }

    /// Returns the production date in record 000, `YYYY-MM-DD`, if there is one.
    pub fn production_date(&self) -> Option<&str> {
        let start = self.start.as_ref()?;
        start.production_date.as_deref()
    }
}

/// Lists an inbox that the given agreements share, and looks its deliveries up in the given ledgers.
pub fn discover(
    connector: &Connector,
    transport: &mut dyn Transport,
    agreements: &[&Agreement],
    ledgers: &[&Ledger],
) -> Result<Inventory, Error> {
    let mut pauses = RetryPauses::default();
    let listing = loop {
        match transport.list() {
            Err(error) if error.ends_connection() => {
                reconnect_after(error, transport, &mut pauses)?;
            }
            listed => break listed?,
        }
    };
    let mut inventory = Inventory::default();
    for refused in listing.refused {
        inventory.strays.push(Waiting {
            name: refused.shown,
            size: None,
            modified: None,
            reason: match refused.refusal {
                Refusal::Directory => Reason::new("foreign", "it is a directory"),
                refusal => Reason::new(
                    "unusable-name",
                    format!(
                        "{refusal}, so that it is not opened. If it should be a delivery, ask the helpdesk ({HELPDESK}) \
                         to deliver it again as a regular file"
                    ),
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
        let reason = Reason::new("foreign", "it is a receipt or a trigger of another service");
        inventory.strays.push(waiting(&entry, reason));
    }
    let mut builder = InventoryBuilder::new(connector, transport, agreements, ledgers, inventory);
    for entry in metadata {
        let stem = stem(entry.name.as_str(), METADATA).unwrap_or_default();
        let partner = partner(&data, stem).and_then(|name| data.remove(&name));
        let reported = partner.as_ref().unwrap_or(&entry).clone();
        let mut pauses = RetryPauses::default();
        loop {
            match builder.add_metadata(entry.clone(), partner.clone()) {
                Err(Error::Transport(error)) if error.is_of_one_file() => {
                    builder.add_unreadable(&reported, &error);
                }
                // Nothing was added, so the same file is looked at again.
                Err(Error::Transport(error)) if error.ends_connection() => {
                    builder.reconnect_after(error, &mut pauses)?;
                    continue;
                }
                ended => ended?,
            }
            break;
        }
    }
    for entry in data.into_values() {
        builder.add_data_alone(&entry);
    }
    let mut inventory = builder.build();
    inventory.deliveries.sort_by(|one, other| {
        let key = |found: &FoundDelivery| {
            let date = found.production_date().map(str::to_owned);
            // Without a date, the place among the others is unknown. At the end, the delivery delays no other one.
            (date.is_none(), date, found.data.name.as_str().to_owned())
        };
        key(one).cmp(&key(other))
    });
    Ok(inventory)
}

/// The suffix of metadata files.
const METADATA: &str = ".metadata";

/// The suffixes of files that never belong to a delivery.
const OTHER_SUFFIXES: [&str; 2] = [".sftpreceipt", ".trigger"];

struct Sorted {
    data: BTreeMap<String, RemoteFile>,
    metadata: Vec<RemoteFile>,
    other: Vec<RemoteFile>,
}

/// Sorts files by their names.
fn sort(entries: Vec<RemoteFile>) -> Sorted {
    let mut sorted = Sorted {
        data: BTreeMap::new(),
        metadata: Vec::new(),
        other: Vec::new(),
    };
    for entry in entries {
        let name = entry.name.as_str();
        if stem(name, METADATA).is_some() {
            sorted.metadata.push(entry);
        } else if OTHER_SUFFIXES
            .iter()
            .any(|suffix| stem(name, suffix).is_some())
        {
            sorted.other.push(entry);
        } else {
            sorted.data.insert(name.to_owned(), entry);
        }
    }
    sorted
}

/// Returns the name without a suffix, which may differ in case; `None` if the name does not end with it.
fn stem<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let (stem, end) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    (end.eq_ignore_ascii_case(suffix) && !stem.is_empty()).then_some(stem)
}

/// Returns the data file that belongs to a metadata file without its suffix: the file of the same name, or else the only
/// one whose name differs in case alone.
fn partner(data: &BTreeMap<String, RemoteFile>, stem: &str) -> Option<String> {
    if data.contains_key(stem) {
        return Some(stem.to_owned());
    }
    let mut alike = data.keys().filter(|name| name.eq_ignore_ascii_case(stem));
    match (alike.next(), alike.next()) {
        (Some(one), None) => Some(one.clone()),
        _ => None,
    }
}
