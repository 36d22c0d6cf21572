//! The metadata file of a delivery, and the receipts that can lie beside it in an inbox.
//!
//! The contract (SFTP of Serviceplatformen) has changed the name of the metadata's root element once, from
//! `Trigger` to `FileMetadata`, and nothing else: both are read alike. The root element is in the contract's
//! namespace and its children are in none; children in the namespace are read too. Elements that are not in the
//! contract are passed over.

mod walk;

use crate::xml::{Reader, XmlError, decode};

/// Bytes of a document at the most: a hundred times what one has.
pub const MAX_BYTES: usize = 64 * 1024;

/// The namespace of the root elements.
const NAMESPACE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types";

/// Reads a document whole.
///
/// ```
/// use cprflow_connector::delivery::{Document, read};
///
/// let file = b"<t:Trigger xmlns:t='http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types'>\
///     <FileTransferUUID>47570FC2-be65-4ab1-8da7-3bcc086bfef9</FileTransferUUID>\
///     <FileDescriptor><FileName>D261124.L060001</FileName><SizeInBytes>11</SizeInBytes>\
///     <Sender>cpr</Sender><Recipients>odense</Recipients></FileDescriptor></t:Trigger>";
/// let Document::Metadata(metadata) = read(file)? else {
///     panic!("it is no receipt");
/// };
/// assert_eq!(metadata.transfer_uuid, "47570fc2-be65-4ab1-8da7-3bcc086bfef9");
/// assert_eq!(metadata.size_in_bytes, 11);
/// # Ok::<(), cprflow_connector::delivery::Error>(())
/// ```
pub fn read(bytes: &[u8]) -> Result<Document, Error> {
    let text = decode(bytes, MAX_BYTES)?;
    let mut reader = Reader::new(&text);
    let root = reader.root()?;
    if root.namespace != Some(NAMESPACE) {
        return Err(Error::UnknownRoot);
    }
    let document = match root.local {
        "FileMetadata" => Document::Metadata(walk::metadata(&mut reader, Root::FileMetadata)?),
        "Trigger" => Document::Metadata(walk::metadata(&mut reader, Root::Trigger)?),
        "TechnicalReceipt" => Document::Receipt(walk::technical_receipt(&mut reader)?),
        "BusinessReceipt" => Document::Receipt(walk::business_receipt(&mut reader)?),
        _ => return Err(Error::UnknownRoot),
    };
    reader.finish()?;
    Ok(document)
}

/// A document of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// The metadata file of a delivery.
    Metadata(Metadata),
    /// A receipt for a file that somebody sent.
    Receipt(Receipt),
}

/// The root element of a metadata file.
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
    /// Name of the data file; never a path.
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

/// A receipt. Its free text stays behind: it can hold anything.
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

/// Why a document cannot be read. It names elements of the contract and never quotes the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is no XML document, or not one that can be read.
    #[error("{0}. If the file has come whole and stays so, ask the sender for a right one")]
    Xml(#[from] XmlError),

    /// Its root element is none of those that are known.
    #[error(
        "the root element is neither FileMetadata nor Trigger nor a receipt in the namespace {NAMESPACE}: \
         this is no metadata file, or one of a newer contract"
    )]
    UnknownRoot,

    /// An element that must be there is not.
    #[error(
        "the element {0} is missing: the file does not keep the contract; ask the sender for a right one"
    )]
    MissingElement(&'static str),

    /// An element that may be there once is there again.
    #[error(
        "the element {0} is there more than once: the file does not keep the contract; ask the sender for a right \
         one"
    )]
    RepeatedElement(&'static str),

    /// The value of an element is not of its type.
    #[error(
        "the value of the element {0} is not what the contract allows; ask the sender for a right file"
    )]
    BadValue(&'static str),
}

impl Error {
    /// The element that is missing, repeated or of a bad value.
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
