//! Metadata files of deliveries, read in the sandbox.

use std::time::Duration;

use crate::error::{ComponentError, Error, MetadataError, MetadataErrorKind};
use crate::sandbox::bindings::exports::cprflow::connector::delivery as wit;
use crate::sandbox::{Connector, Limits, tame};

/// Bytes of a document at the most. No more than one byte beyond it is handed to the component, which then refuses.
const MAX_BYTES: usize = 64 * 1024;

/// What reading one document may use: it is small.
const LIMITS: Limits = Limits::new()
    .memory(16 << 20)
    .call(Duration::from_secs(10))
    .answer_bytes(256 << 10);

impl Connector {
    /// Reads the metadata file of a delivery, or a receipt, in a fresh instance.
    ///
    /// ```
    /// use cprflow::Connector;
    /// use cprflow::delivery::Document;
    ///
    /// let file = b"<t:FileMetadata xmlns:t='http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types'>\
    ///     <FileTransferUUID>47570fc2-be65-4ab1-8da7-3bcc086bfef9</FileTransferUUID>\
    ///     <FileDescriptor><FileName>D261124.L060001</FileName><SizeInBytes>11</SizeInBytes>\
    ///     <Sender>cpr</Sender><Recipients>odense</Recipients></FileDescriptor></t:FileMetadata>";
    /// match Connector::embedded()?.read_metadata(file)? {
    ///     Document::Metadata(metadata) => assert_eq!(metadata.file_name, "D261124.L060001"),
    ///     Document::Receipt(_) => unreachable!(),
    /// }
    /// # Ok::<(), cprflow::Error>(())
    /// ```
    pub fn read_metadata(&self, bytes: &[u8]) -> Result<Document, Error> {
        self.read_metadata_within(LIMITS, bytes)
    }

    /// The same within other limits than the usual 16 MiB and 10 seconds.
    pub fn read_metadata_within(&self, limits: Limits, bytes: &[u8]) -> Result<Document, Error> {
        let given = bytes.get(..=MAX_BYTES).unwrap_or(bytes);
        let mut session = self.start(limits)?;
        let read = session.call(|bindings, store| {
            let delivery = bindings.cprflow_connector_delivery();
            delivery.call_read_metadata(store, given)
        })?;
        match read.map_err(metadata_error)? {
            wit::Document::Metadata(metadata) => Ok(Document::Metadata(metadata.try_into()?)),
            wit::Document::Receipt(receipt) => Ok(Document::Receipt(receipt.try_into()?)),
        }
    }
}

/// A document of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The metadata file of a delivery.
    Metadata(Metadata),
    /// A receipt for a file that somebody sent.
    Receipt(Receipt),
}

/// The root element of a metadata file. Both are read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// `FileMetadata`, as in the contract of 2023.
    FileMetadata,
    /// `Trigger`, as before it.
    Trigger,
}

/// What a metadata file says about its data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The root element.
    pub root: Root,
    /// UUID of the transfer, in lower case.
    pub transfer_uuid: String,
    /// Name of the data file: never a path, and free of control characters.
    pub file_name: String,
    /// Size of the data file.
    pub size_in_bytes: u64,
    /// Who sent it.
    pub sender: String,
    /// What the sender calls the file.
    pub senders_file_id: Option<String>,
    /// Who shall get it; at least one.
    pub recipients: Vec<String>,
    /// The routing block, if there is one.
    pub routing: Option<Box<Routing>>,
}

/// Whence and whither a file was routed (SFTPDynamicRoutingInfo).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// InfRef.
    pub inf_ref: String,
    /// UUID of the sending IT system, in lower case.
    pub sender_it_system: String,
    /// The sending authority, `urn:oio:cvr-nr:` and eight digits.
    pub sender_authority: String,
    /// UUID of the transaction, in lower case.
    pub transaction_id: String,
    /// When it was sent, as it stands (`xs:dateTime`).
    pub sender_timestamp: String,
    /// UUID of the receiving IT system, in lower case.
    pub recipient_it_system: Option<String>,
    /// The receiving authority, `urn:oio:cvr-nr:` and eight digits.
    pub recipient_authority: String,
    /// How many route parameters there are.
    pub route_parameters: u32,
}

/// Which receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// `TechnicalReceipt`.
    Technical,
    /// `BusinessReceipt`.
    Business,
}

/// A receipt for a file that somebody sent. SF6002 has none; another service that shares the inbox can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which.
    pub kind: ReceiptKind,
    /// UUID of the transfer, in lower case.
    pub transfer_uuid: Option<String>,
    /// Whether the file was taken.
    pub success: bool,
    /// The numbers of the errors, where they are numbers of at most six digits.
    pub error_codes: Vec<u32>,
}

impl TryFrom<wit::Metadata> for Metadata {
    type Error = ComponentError;

    fn try_from(metadata: wit::Metadata) -> Result<Self, ComponentError> {
        // The transfer is the key of a ledger and the name becomes a path: these two are believed least.
        if !is_file_name(&metadata.file_name) {
            return Err(misbehaved("it returns a file name that is none"));
        }
        if metadata.recipients.is_empty() {
            return Err(misbehaved("it returns metadata without recipients"));
        }
        Ok(Self {
            root: match metadata.root {
                wit::Root::FileMetadata => Root::FileMetadata,
                wit::Root::Trigger => Root::Trigger,
            },
            transfer_uuid: uuid(metadata.transfer_uuid)?,
            file_name: metadata.file_name,
            size_in_bytes: metadata.size_in_bytes,
            sender: tame(&metadata.sender),
            senders_file_id: metadata.senders_file_id.as_deref().map(tame),
            recipients: metadata.recipients.iter().map(|text| tame(text)).collect(),
            routing: match metadata.routing {
                Some(routing) => Some(Box::new(routing.try_into()?)),
                None => None,
            },
        })
    }
}

impl TryFrom<wit::Routing> for Routing {
    type Error = ComponentError;

    fn try_from(routing: wit::Routing) -> Result<Self, ComponentError> {
        Ok(Self {
            inf_ref: tame(&routing.inf_ref),
            sender_it_system: uuid(routing.sender_it_system)?,
            sender_authority: tame(&routing.sender_authority),
            transaction_id: uuid(routing.transaction_id)?,
            sender_timestamp: tame(&routing.sender_timestamp),
            recipient_it_system: routing.recipient_it_system.map(uuid).transpose()?,
            recipient_authority: tame(&routing.recipient_authority),
            route_parameters: routing.route_parameters,
        })
    }
}

impl TryFrom<wit::Receipt> for Receipt {
    type Error = ComponentError;

    fn try_from(receipt: wit::Receipt) -> Result<Self, ComponentError> {
        Ok(Self {
            kind: match receipt.kind {
                wit::ReceiptKind::Technical => ReceiptKind::Technical,
                wit::ReceiptKind::Business => ReceiptKind::Business,
            },
            transfer_uuid: receipt.transfer_uuid.map(uuid).transpose()?,
            success: receipt.success,
            error_codes: receipt.error_codes,
        })
    }
}

fn metadata_error(error: wit::Error) -> Error {
    let kind = match error.kind {
        wit::ErrorKind::TooLarge => MetadataErrorKind::TooLarge,
        wit::ErrorKind::Encoding => MetadataErrorKind::Encoding,
        wit::ErrorKind::Truncated => MetadataErrorKind::Truncated,
        wit::ErrorKind::Malformed => MetadataErrorKind::Malformed,
        wit::ErrorKind::Doctype => MetadataErrorKind::Doctype,
        wit::ErrorKind::Entity => MetadataErrorKind::Entity,
        wit::ErrorKind::TooComplex => MetadataErrorKind::TooComplex,
        wit::ErrorKind::SeveralRoots => MetadataErrorKind::SeveralRoots,
        wit::ErrorKind::UnknownRoot => MetadataErrorKind::UnknownRoot,
        wit::ErrorKind::MissingElement => MetadataErrorKind::MissingElement,
        wit::ErrorKind::RepeatedElement => MetadataErrorKind::RepeatedElement,
        wit::ErrorKind::BadValue => MetadataErrorKind::BadValue,
    };
    let error = MetadataError {
        kind,
        element: error.element.as_deref().map(tame),
        message: tame(&error.message),
    };
    error.into()
}

/// A UUID in lower case, as the contract of the component promises.
fn uuid(text: String) -> Result<String, ComponentError> {
    let form = text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if form {
        Ok(text)
    } else {
        Err(misbehaved("it returns a UUID that is none"))
    }
}

fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.chars().count() <= 255
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

fn misbehaved(what: &str) -> ComponentError {
    ComponentError::Misbehaved(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another component may return anything.
    #[test]
    fn what_a_component_returns_is_checked() {
        let sound = wit::Metadata {
            root: wit::Root::Trigger,
            transfer_uuid: "47570fc2-be65-4ab1-8da7-3bcc086bfef9".to_owned(),
            file_name: "f".to_owned(),
            size_in_bytes: 1,
            sender: "a\nb".to_owned(),
            senders_file_id: None,
            recipients: vec!["r".to_owned()],
            routing: None,
        };
        assert_eq!(Metadata::try_from(sound.clone()).unwrap().sender, "a b");
        let name = |name: &str| wit::Metadata {
            file_name: name.to_owned(),
            ..sound.clone()
        };
        let mut unsound: Vec<_> = ["", "..", "../f", "a\\b", "a\nb", "\0"].map(name).into();
        unsound.push(name(&"n".repeat(256)));
        unsound.push(wit::Metadata {
            transfer_uuid: "47570FC2-be65-4ab1-8da7-3bcc086bfef9".to_owned(),
            ..sound.clone()
        });
        unsound.push(wit::Metadata {
            recipients: Vec::new(),
            ..sound
        });
        for metadata in unsound {
            let error = Metadata::try_from(metadata.clone()).unwrap_err();
            assert!(
                matches!(error, ComponentError::Misbehaved(_)),
                "{metadata:?}"
            );
        }
    }
}
