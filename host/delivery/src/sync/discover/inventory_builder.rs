//! Assigns the files of an inbox to deliveries and agreements.

use super::read::{HEAD_BYTES, METADATA_BYTES, read_head, read_start};
use super::{FoundDelivery, Inventory, METADATA, OrphanedMetadata, Waiting, stem};
use crate::agreement::{Agreement, Claim, DeliveryTraits, claim};
use crate::error::Error;
use crate::ledger::{Ledger, Reason, Record, State};
use crate::names::AgreementName;
use crate::routing::deviations;
use crate::sync::connection::{RetryPauses, reconnect_after};
use cprflow::Connector;
use cprflow::metadata::{Document, Metadata};
use cprflow_transport::{HELPDESK, RemoteFile, RemoteName, Transport, TransportError};

/// The message for a file whose name fits no agreement.
const FOREIGN_NAME: &str = "no agreement has files with such a name";

/// Builds the inventory of an inbox.
pub(super) struct InventoryBuilder<'a> {
    connector: &'a Connector,
    transport: &'a mut dyn Transport,
    agreements: &'a [&'a Agreement],
    ledgers: &'a [&'a Ledger],
    inventory: Inventory,
}

impl<'a> InventoryBuilder<'a> {
    /// Creates a builder that adds to an inventory.
    pub(super) fn new(
        connector: &'a Connector,
        transport: &'a mut dyn Transport,
        agreements: &'a [&'a Agreement],
        ledgers: &'a [&'a Ledger],
        inventory: Inventory,
    ) -> Self {
        Self {
            connector,
            transport,
            agreements,
            ledgers,
            inventory,
        }
    }

    /// Opens the connection again that ended with this error.
    pub(super) fn reconnect_after(
        &mut self,
        error: TransportError,
        pauses: &mut RetryPauses,
    ) -> Result<(), TransportError> {
        reconnect_after(error, self.transport, pauses)
    }

    /// Returns the inventory.
    pub(super) fn build(self) -> Inventory {
        self.inventory
    }

    /// Adds a metadata file, and the data file of its name if there is one.
    pub(super) fn add_metadata(
        &mut self,
        entry: RemoteFile,
        data: Option<RemoteFile>,
    ) -> Result<(), Error> {
        let Some(bytes) = self.read(&entry.name, METADATA_BYTES)? else {
            // Removed since it was listed. The next look into the inbox decides.
            return Ok(());
        };
        let metadata = match self.connector.read_metadata(&bytes) {
            Ok(Document::Metadata(metadata)) => metadata,
            Ok(_) => {
                let reason = Reason::new("foreign", "it is a receipt of another service");
                self.inventory.strays.push(waiting(&entry, reason));
                if let Some(data) = data {
                    self.add_data_alone(&data);
                }
                return Ok(());
            }
            Err(cprflow::Error::Metadata(error)) => {
                let reason = Reason::new(
                    "metadata-unreadable",
                    format!(
                        "the metadata file cannot be read: {error}. If this does not change, ask the helpdesk \
                         ({HELPDESK}) for a new delivery"
                    ),
                );
                let reported = data.as_ref().unwrap_or(&entry);
                self.inventory.waiting.push(waiting(reported, reason));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let Some(data) = data else {
            if let Some(agreement) = self.published_agreement(&metadata)? {
                self.inventory.orphans.push(OrphanedMetadata {
                    agreement,
                    name: entry.name,
                    transfer_uuid: metadata.transfer_uuid,
                });
                return Ok(());
            }
            let reason = Reason::new("no-data", "the data file of this metadata file is missing");
            self.inventory.waiting.push(waiting(&entry, reason));
            return Ok(());
        };
        self.add_pair(entry, data, metadata)
    }

    /// Adds a data file and its metadata.
    fn add_pair(
        &mut self,
        entry: RemoteFile,
        data: RemoteFile,
        metadata: Metadata,
    ) -> Result<(), Error> {
        if let Some(reason) = self.incompleteness(&data, &metadata)? {
            self.inventory.waiting.push(waiting(&data, reason));
            return Ok(());
        }
        let Some(head) = self.read(&data.name, HEAD_BYTES)? else {
            self.inventory.waiting.push(waiting(&data, gone()));
            return Ok(());
        };
        let start = read_start(self.connector, &head)?;
        let traits = DeliveryTraits {
            file_name: data.name.as_str(),
            sender: &metadata.sender,
            recipients: &metadata.recipients,
            task_number: start.as_ref().map(|start| start.task_number.as_str()),
        };
        let agreement = match claim(self.agreements.iter().copied(), &traits) {
            Claim::One(agreement) => agreement.name.clone(),
            Claim::None => {
                let reason = Reason::new(
                    "nobodys",
                    "it fits no agreement of this inbox. Check the agreements' file patterns in the configuration",
                );
                self.inventory.strays.push(waiting(&data, reason));
                return Ok(());
            }
            Claim::Several(names) => {
                let names: Vec<&str> = names.into_iter().map(AgreementName::as_str).collect();
                let reason = Reason::new(
                    "ambiguous",
                    format!(
                        "it fits more than one agreement ({}). Tell them apart by their file patterns in the configuration",
                        names.join(", ")
                    ),
                );
                self.inventory.strays.push(waiting(&data, reason));
                return Ok(());
            }
        };
        let deviations = deviations(&metadata);
        if !deviations.is_empty() {
            tracing::warn!(
                file = %data.name,
                "the metadata of a delivery does not follow the contract: {}. The delivery is processed all the same. Tell \
                 the helpdesk ({HELPDESK})",
                deviations.join(", ")
            );
        }
        let known = self.known(&agreement, &metadata.transfer_uuid)?;
        self.inventory.deliveries.push(FoundDelivery {
            agreement,
            data,
            metadata_name: entry.name,
            metadata,
            head,
            start,
            known,
        });
        Ok(())
    }

    /// Returns the record of a delivery. At most one of the ledgers has it, because an agreement belongs to one store.
    fn known(&self, agreement: &AgreementName, transfer: &str) -> Result<Option<Record>, Error> {
        for ledger in self.ledgers {
            let known = ledger.find(agreement.as_str(), transfer)?;
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    /// Returns the agreement of a metadata file's delivery, if that delivery is completed.
    fn published_agreement(&self, metadata: &Metadata) -> Result<Option<AgreementName>, Error> {
        for agreement in self.agreements {
            let known = self.known(&agreement.name, &metadata.transfer_uuid)?;
            if known.is_some_and(|known| known.state == State::Done) {
                return Ok(Some(agreement.name.clone()));
            }
        }
        Ok(None)
    }

    /// Returns why data and metadata are not a complete delivery yet; `None` if they are.
    fn incompleteness(
        &mut self,
        data: &RemoteFile,
        metadata: &Metadata,
    ) -> Result<Option<Reason>, TransportError> {
        if metadata.file_name != data.name.as_str() {
            return Ok(Some(Reason::new(
                "name-differs",
                format!(
                    "its metadata names another file. Ask the helpdesk ({HELPDESK}) for a new delivery"
                ),
            )));
        }
        // The file was listed before its metadata was read. A change since then means that it is still being written.
        let Some(stat) = self.transport.stat(&data.name)? else {
            return Ok(Some(gone()));
        };
        Ok(if !stat.agrees_with(&data.stat) {
            Some(Reason::new("growing", "it is still being written"))
        } else if stat.size != metadata.size_in_bytes {
            Some(Reason::new(
                "size-differs",
                format!(
                    "it has {} bytes and its metadata says {}: it is still being written, or was cut off. If this \
                     does not change, ask the helpdesk ({HELPDESK}) for a new delivery",
                    stat.size, metadata.size_in_bytes
                ),
            ))
        } else {
            None
        })
    }

    /// Returns whether no agreement has data files of such a name.
    fn is_foreign_name(&self, name: &str) -> bool {
        let by_name = |agreement: &&&Agreement| {
            let pattern = agreement.files.name.as_ref();
            pattern.is_none_or(|pattern| pattern.is_match(name))
        };
        self.agreements.iter().find(by_name).is_none()
    }

    /// Adds a file that the server does not let us read, so that its agreement is unknown.
    pub(super) fn add_unreadable(&mut self, entry: &RemoteFile, error: &TransportError) {
        let name = entry.name.as_str();
        let reason = match self.is_foreign_name(stem(name, METADATA).unwrap_or(name)) {
            true => Reason::new("foreign", FOREIGN_NAME),
            false => Reason::new(
                "unreadable",
                format!("{error}. Ask the helpdesk ({HELPDESK}) to check the file"),
            ),
        };
        self.inventory.strays.push(waiting(entry, reason));
    }

    /// Adds a data file without metadata.
    pub(super) fn add_data_alone(&mut self, data: &RemoteFile) {
        if self.is_foreign_name(data.name.as_str()) {
            let reason = Reason::new("foreign", FOREIGN_NAME);
            self.inventory.strays.push(waiting(data, reason));
        } else {
            let reason = Reason::new(
                "no-metadata",
                "the metadata file of this data file is missing",
            );
            self.inventory.waiting.push(waiting(data, reason));
        }
    }

    /// Reads the first bytes of a file; `None` if the file is gone.
    fn read(&mut self, name: &RemoteName, limit: u64) -> Result<Option<Vec<u8>>, TransportError> {
        read_head(self.transport, name, limit)
    }
}

fn gone() -> Reason {
    Reason::new("gone", "it was removed from the server since it was listed")
}

/// Returns the entry for a file that is not processed.
pub(super) fn waiting(entry: &RemoteFile, reason: Reason) -> Waiting {
    Waiting {
        name: entry.name.as_str().to_owned(),
        size: Some(entry.stat.size),
        modified: entry.stat.modified,
        reason,
    }
}
