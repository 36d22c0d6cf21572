//! The metadata files of deliveries, read in the sandbox.

use std::time::Duration;

use crate::component::Connector;
use crate::error::Error;
use crate::sandbox::Limits;

pub use crate::wit::delivery::{ReceiptKind, Root};

/// The largest document, in bytes (64 KiB).
///
/// The component refuses a longer one. It gets at most one byte more, which is enough to see that the document is too
/// long.
const MAX_BYTES: usize = 64 * 1024;

/// The limits for reading one document.
const LIMITS: Limits = Limits::new()
    .memory(16 << 20)
    .call(Duration::from_secs(10))
    .answer_bytes(256 << 10);

impl Connector {
    /// Reads the metadata file of a delivery, or a receipt, in a fresh instance.
    ///
    /// Fails with [`Error::Metadata`] if the document is neither.
    ///
    /// ```
    /// use cprflow::Connector;
    /// use cprflow::metadata::Document;
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

    /// Reads a document like [`read_metadata`](Self::read_metadata), within these limits instead of the default of
    /// 16 MiB and 10 seconds.
    pub fn read_metadata_within(&self, limits: Limits, bytes: &[u8]) -> Result<Document, Error> {
        let bytes = bytes.get(..=MAX_BYTES).unwrap_or(bytes);
        let mut session = self.start(limits)?;
        let document = session.call(|bindings, store| {
            let delivery = bindings.cprflow_connector_delivery();
            delivery.call_read_metadata(store, bytes)
        })?;
        Ok(document?.try_into()?)
    }
}

/// A document in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The metadata file of a delivery.
    Metadata(Metadata),
    /// A receipt for a sent file.
    Receipt(Receipt),
}

/// A metadata file: the description of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The root element.
    pub root: Root,
    /// The UUID of the transfer, in lower case. A UUID of version 8 is computed from an identifier that is not a UUID.
    pub transfer_uuid: String,
    /// The name of the data file: 1 to 255 characters without slash, backslash and control characters.
    pub file_name: String,
    /// The size of the data file in bytes.
    pub size_in_bytes: u64,
    /// The sender.
    pub sender: String,
    /// The sender's own identifier of the file.
    pub senders_file_id: Option<String>,
    /// The recipients; at least one.
    pub recipients: Vec<String>,
    /// The routing block, if there is one.
    pub routing: Option<Box<Routing>>,
}

/// The routing block of a metadata file (SFTPDynamicRoutingInfo). The texts have these forms if the sender follows the
/// contract; otherwise they can be any text, redacted. A missing one is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The identifier of the integration (InfRef).
    pub inf_ref: String,
    /// The UUID of the sending IT system, in lower case.
    pub sender_it_system: String,
    /// The sending authority, `urn:oio:cvr-nr:` and eight digits.
    pub sender_authority: String,
    /// The UUID of the transaction, in lower case.
    pub transaction_id: String,
    /// The time of sending, unchanged (`xs:dateTime`).
    pub sender_timestamp: String,
    /// The UUID of the receiving IT system, in lower case.
    pub recipient_it_system: Option<String>,
    /// The receiving authority, `urn:oio:cvr-nr:` and eight digits.
    pub recipient_authority: String,
    /// The number of route parameters.
    pub route_parameters: u32,
}

/// A receipt for a sent file. SF6002 sends none, but another service that shares the inbox may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The kind of the receipt.
    pub kind: ReceiptKind,
    /// The UUID of the transfer, in lower case.
    pub transfer_uuid: Option<String>,
    /// Whether the file was accepted.
    pub success: bool,
    /// The error codes that are numbers of at most six digits.
    pub error_codes: Vec<u32>,
}
