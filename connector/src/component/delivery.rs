//! Implements the interface `delivery`: metadata files and receipts.

use super::Component;
use super::bindings::exports::cprflow::connector::delivery as wit;
use crate::delivery::{
    self, DeliveryError, Document, Metadata, Receipt, ReceiptKind, Root, Routing,
};
use crate::xml::XmlError;

impl wit::Guest for Component {
    fn read_metadata(bytes: Vec<u8>) -> Result<wit::Document, wit::Error> {
        Ok(match delivery::read(&bytes)? {
            Document::Metadata(metadata) => wit::Document::Metadata(metadata.into()),
            Document::Receipt(receipt) => wit::Document::Receipt(receipt.into()),
        })
    }
}

impl From<DeliveryError> for wit::Error {
    fn from(error: DeliveryError) -> Self {
        Self {
            kind: match error {
                DeliveryError::Xml(error) => match error {
                    XmlError::TooLarge(_) => wit::ErrorKind::TooLarge,
                    XmlError::Encoding => wit::ErrorKind::Encoding,
                    XmlError::Truncated => wit::ErrorKind::Truncated,
                    XmlError::Malformed(_) => wit::ErrorKind::Malformed,
                    XmlError::Doctype => wit::ErrorKind::Doctype,
                    XmlError::Entity => wit::ErrorKind::Entity,
                    XmlError::TooComplex => wit::ErrorKind::TooComplex,
                    XmlError::SeveralRoots => wit::ErrorKind::SeveralRoots,
                },
                DeliveryError::UnknownRoot => wit::ErrorKind::UnknownRoot,
                DeliveryError::MissingElement(_) => wit::ErrorKind::MissingElement,
                DeliveryError::RepeatedElement(_) => wit::ErrorKind::RepeatedElement,
                DeliveryError::BadValue(_) => wit::ErrorKind::BadValue,
            },
            element: error.element().map(str::to_owned),
            message: error.to_string(),
        }
    }
}

impl From<Metadata> for wit::Metadata {
    fn from(metadata: Metadata) -> Self {
        Self {
            root: match metadata.root {
                Root::FileMetadata => wit::Root::FileMetadata,
                Root::Trigger => wit::Root::Trigger,
            },
            transfer_uuid: metadata.transfer_uuid,
            file_name: metadata.file_name,
            size_in_bytes: metadata.size_in_bytes,
            sender: metadata.sender,
            senders_file_id: metadata.senders_file_id,
            recipients: metadata.recipients,
            routing: metadata.routing.map(|routing| (*routing).into()),
        }
    }
}

impl From<Routing> for wit::Routing {
    fn from(routing: Routing) -> Self {
        Self {
            inf_ref: routing.inf_ref,
            sender_it_system: routing.sender_it_system,
            sender_authority: routing.sender_authority,
            transaction_id: routing.transaction_id,
            sender_timestamp: routing.sender_timestamp,
            recipient_it_system: routing.recipient_it_system,
            recipient_authority: routing.recipient_authority,
            route_parameters: routing.route_parameters,
        }
    }
}

impl From<Receipt> for wit::Receipt {
    fn from(receipt: Receipt) -> Self {
        Self {
            kind: match receipt.kind {
                ReceiptKind::Technical => wit::ReceiptKind::Technical,
                ReceiptKind::Business => wit::ReceiptKind::Business,
            },
            transfer_uuid: receipt.transfer_uuid,
            success: receipt.success,
            error_codes: receipt.error_codes,
        }
    }
}
