//! Reads the metadata file of a delivery, and the receipts that may be in the same inbox.
//!
//! The contract (SFTP of Serviceplatformen) has renamed the metadata's root element from `Trigger` to `FileMetadata`
//! and changed nothing else. Both are accepted. The root element is in the contract's namespace and its children are in
//! none; children in the namespace are accepted too. Unknown elements are skipped.

mod elements;

use crate::xml::{Reader, XmlError, decode};

/// The maximum size of a document, in bytes: 64 KiB, a hundred times the usual size.
pub const MAX_BYTES: usize = 64 * 1024;

/// The namespace of the root elements.
const NAMESPACE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types";

/// Reads a document.
///
/// ```
/// use cprflow_connector::delivery::{Document, read};
///
/// let file = b"<t:Trigger xmlns:t='http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types'>\
///     <FileTransferUUID>47570FC2-be65-4ab1-8da7-3bcc086bfef9</FileTransferUUID>\
///     <FileDescriptor><FileName>D261124.L060001</FileName><SizeInBytes>11</SizeInBytes>\
///     <Sender>cpr</Sender><Recipients>odense</Recipients></FileDescriptor></t:Trigger>";
/// let Document::Metadata(metadata) = read(file)? else {
///     panic!("not a metadata file");
/// };
/// assert_eq!(metadata.transfer_uuid, "47570fc2-be65-4ab1-8da7-3bcc086bfef9");
/// assert_eq!(metadata.size_in_bytes, 11);
/// # Ok::<(), cprflow_connector::delivery::DeliveryError>(())
/// ```
pub fn read(bytes: &[u8]) -> Result<Document, DeliveryError> {
    let text = decode(bytes, MAX_BYTES)?;
    let mut reader = Reader::new(&text);
    let root = reader.root()?;
    if root.namespace != Some(NAMESPACE) {
        return Err(DeliveryError::UnknownRoot);
    }
    let document = match root.local {
        "FileMetadata" => Document::Metadata(elements::metadata(&mut reader, Root::FileMetadata)?),
        "Trigger" => Document::Metadata(elements::metadata(&mut reader, Root::Trigger)?),
        "TechnicalReceipt" => Document::Receipt(elements::technical_receipt(&mut reader)?),
        "BusinessReceipt" => Document::Receipt(elements::business_receipt(&mut reader)?),
        _ => return Err(DeliveryError::UnknownRoot),
    };
    reader.finish()?;
    Ok(document)
}

/// A document in an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The metadata file of a delivery.
    Metadata(Metadata),
    /// A receipt for a sent file.
    Receipt(Receipt),
}

/// The root element of a metadata file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// `FileMetadata`, in the contract since 2023.
    FileMetadata,
    /// `Trigger`, in older contracts.
    Trigger,
}

/// A metadata file: the description of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The root element.
    pub root: Root,
    /// The UUID of the transfer, in lower case. A UUID of version 8 is computed from an identifier that is not a UUID.
    pub transfer_uuid: String,
    /// The name of the data file; never a path.
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

/// The origin and destination of a file (SFTPDynamicRoutingInfo). Its texts have the forms of the contract if the sender
/// follows it; a missing one is empty.
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

/// The kind of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// `TechnicalReceipt`.
    Technical,
    /// `BusinessReceipt`.
    Business,
}

/// A receipt. Its free text is not kept, because it can contain anything.
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

/// An error in a document. It names elements of the contract and never quotes the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The document is not XML, or not acceptable XML.
    #[error("{0}. If the file was transferred completely, ask the sender for a correct one")]
    Xml(#[from] XmlError),

    /// The root element is unknown.
    #[error(
        "the root element is neither FileMetadata nor Trigger nor a receipt in the namespace {NAMESPACE}: this is not \
         a metadata file, or it follows a newer contract; update cprflow, or ask the sender for a correct file"
    )]
    UnknownRoot,

    /// A required element is missing.
    #[error(
        "the element {0} is missing, which violates the contract; ask the sender for a correct file"
    )]
    MissingElement(&'static str),

    /// An element that may occur once occurs again.
    #[error(
        "the element {0} occurs more than once, which violates the contract; ask the sender for a correct file"
    )]
    RepeatedElement(&'static str),

    /// The value of an element does not have its type.
    #[error(
        "the value of the element {0} is not allowed by the contract; ask the sender for a correct file"
    )]
    BadValue(&'static str),
}

impl DeliveryError {
    /// Returns the element that is missing, repeated or has a bad value.
    pub fn element(&self) -> Option<&'static str> {
        match self {
            Self::Xml(_) | Self::UnknownRoot => None,
            Self::MissingElement(element)
            | Self::RepeatedElement(element)
            | Self::BadValue(element) => Some(element),
        }
    }
}

#[cfg(test)]
mod tests;
