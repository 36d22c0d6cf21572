//! Conversions of the interface `delivery`.

use crate::error::{ComponentError, Error, MetadataError};
use crate::metadata::{Document, Metadata, Receipt, Routing};
use crate::redact::redact;
use crate::wit::delivery as wit;

/// The largest number of characters in a file name.
const MAX_FILE_NAME: usize = 255;

impl TryFrom<wit::Document> for Document {
    type Error = ComponentError;

    fn try_from(document: wit::Document) -> Result<Self, ComponentError> {
        Ok(match document {
            wit::Document::Metadata(metadata) => Self::Metadata(metadata.try_into()?),
            wit::Document::Receipt(receipt) => Self::Receipt(receipt.try_into()?),
        })
    }
}

impl TryFrom<wit::Metadata> for Metadata {
    type Error = ComponentError;

    fn try_from(metadata: wit::Metadata) -> Result<Self, ComponentError> {
        // The transfer UUID becomes a key of a ledger and the file name becomes a path.
        if !is_file_name(&metadata.file_name) {
            return Err(ComponentError::misbehaved(
                "it returned an invalid file name",
            ));
        }
        if metadata.recipients.is_empty() {
            return Err(ComponentError::misbehaved(
                "it returned metadata without recipients",
            ));
        }
        let recipients = metadata.recipients.iter();
        Ok(Self {
            root: metadata.root,
            transfer_uuid: uuid(metadata.transfer_uuid)?,
            file_name: metadata.file_name,
            size_in_bytes: metadata.size_in_bytes,
            sender: redact(&metadata.sender),
            senders_file_id: metadata.senders_file_id.as_deref().map(redact),
            recipients: recipients.map(|text| redact(text)).collect(),
            routing: metadata.routing.map(|routing| Box::new(routing.into())),
        })
    }
}

/// The texts only describe the delivery: none of them becomes a key or a path.
impl From<wit::Routing> for Routing {
    fn from(routing: wit::Routing) -> Self {
        Self {
            inf_ref: redact(&routing.inf_ref),
            sender_it_system: identifier(&routing.sender_it_system),
            sender_authority: redact(&routing.sender_authority),
            transaction_id: identifier(&routing.transaction_id),
            sender_timestamp: redact(&routing.sender_timestamp),
            recipient_it_system: routing.recipient_it_system.as_deref().map(identifier),
            recipient_authority: redact(&routing.recipient_authority),
            route_parameters: routing.route_parameters,
        }
    }
}

impl TryFrom<wit::Receipt> for Receipt {
    type Error = ComponentError;

    fn try_from(receipt: wit::Receipt) -> Result<Self, ComponentError> {
        Ok(Self {
            kind: receipt.kind,
            transfer_uuid: receipt.transfer_uuid.map(uuid).transpose()?,
            success: receipt.success,
            error_codes: receipt.error_codes,
        })
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        Self::Metadata(MetadataError {
            kind: error.kind,
            element: error.element.as_deref().map(redact),
            message: redact(&error.message),
        })
    }
}

/// Returns a text that should be a UUID: unchanged if it is one, whose digits mean nothing, otherwise redacted.
fn identifier(text: &str) -> String {
    match is_uuid(text) {
        true => text.to_owned(),
        false => redact(text),
    }
}

/// Returns the text if it is a UUID in lower case, as `wit/` promises.
fn uuid(text: String) -> Result<String, ComponentError> {
    match is_uuid(&text) {
        true => Ok(text),
        false => Err(ComponentError::misbehaved("it returned an invalid UUID")),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Returns whether the name is safe as the last part of a path.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.chars().count() <= MAX_FILE_NAME
        && !name.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_metadata_that_breaks_the_contract() {
        let valid = wit::Metadata {
            root: wit::Root::Trigger,
            transfer_uuid: "47570fc2-be65-4ab1-8da7-3bcc086bfef9".to_owned(),
            file_name: "f".to_owned(),
            size_in_bytes: 1,
            sender: "a\nb".to_owned(),
            senders_file_id: None,
            recipients: vec!["r".to_owned()],
            routing: None,
        };
        assert_eq!(Metadata::try_from(valid.clone()).unwrap().sender, "a b");
        let named = |name: &str| wit::Metadata {
            file_name: name.to_owned(),
            ..valid.clone()
        };
        let mut invalid: Vec<_> = ["", "..", "../f", "a\\b", "a\nb", "\0"].map(named).into();
        invalid.push(named(&"n".repeat(256)));
        invalid.push(wit::Metadata {
            transfer_uuid: "47570FC2-be65-4ab1-8da7-3bcc086bfef9".to_owned(),
            ..valid.clone()
        });
        invalid.push(wit::Metadata {
            recipients: Vec::new(),
            ..valid
        });
        for metadata in invalid {
            let error = Metadata::try_from(metadata.clone()).unwrap_err();
            assert!(
                matches!(error, ComponentError::Misbehaved(_)),
                "{metadata:?}"
            );
        }
    }
}
