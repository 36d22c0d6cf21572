//! Reads the elements of metadata files and receipts.

use super::{DeliveryError, Metadata, NAMESPACE, Receipt, ReceiptKind, Root, Routing};
use crate::ident::{AUTHORITY_PREFIX, is_authority, uuid};
use crate::xml::{ElementName, Reader};

/// The maximum length of a text in characters, by the contract.
const MAX_TEXT: usize = 255;

pub(super) fn metadata(reader: &mut Reader<'_>, root: Root) -> Result<Metadata, DeliveryError> {
    let mut transfer_uuid = Once::new("FileTransferUUID");
    let mut descriptor = Once::new("FileDescriptor");
    let mut content = Once::new("FileContentDescriptor");
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "FileTransferUUID" => transfer_uuid.read(reader, transfer_key)?,
            "FileDescriptor" => descriptor.set(file_descriptor(reader)?)?,
            "FileContentDescriptor" => content.set(content_descriptor(reader)?)?,
            _ => reader.skip()?,
        }
    }
    let transfer_uuid = transfer_uuid.required()?;
    let descriptor: Descriptor = descriptor.required()?;
    Ok(Metadata {
        root,
        transfer_uuid,
        file_name: descriptor.file_name,
        size_in_bytes: descriptor.size_in_bytes,
        sender: descriptor.sender,
        senders_file_id: descriptor.senders_file_id,
        recipients: descriptor.recipients,
        routing: content.value.flatten().map(Box::new),
    })
}

struct Descriptor {
    file_name: String,
    size_in_bytes: u64,
    sender: String,
    senders_file_id: Option<String>,
    recipients: Vec<String>,
}

fn file_descriptor(reader: &mut Reader<'_>) -> Result<Descriptor, DeliveryError> {
    const RECIPIENTS: &str = "Recipients";
    let mut file_name = Once::new("FileName");
    let mut size_in_bytes = Once::new("SizeInBytes");
    let mut sender = Once::new("Sender");
    let mut senders_file_id = Once::new("SendersFileId");
    let mut recipients = Vec::new();
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "FileName" => file_name.read(reader, plain_file_name)?,
            "SizeInBytes" => size_in_bytes.read(reader, unsigned)?,
            "Sender" => sender.read(reader, short_text)?,
            "SendersFileId" => senders_file_id.read(reader, optional_text)?,
            // The list is the element itself, repeated.
            RECIPIENTS => {
                let recipient =
                    short_text(reader.text()?).ok_or(DeliveryError::BadValue(RECIPIENTS))?;
                recipients.push(recipient);
            }
            _ => reader.skip()?,
        }
    }
    if recipients.is_empty() {
        return Err(DeliveryError::MissingElement(RECIPIENTS));
    }
    Ok(Descriptor {
        file_name: file_name.required()?,
        size_in_bytes: size_in_bytes.required()?,
        sender: sender.required()?,
        senders_file_id: senders_file_id.value.flatten(),
        recipients,
    })
}

/// Reads the routing block, if the descriptor contains one. The descriptor may contain anything.
fn content_descriptor(reader: &mut Reader<'_>) -> Result<Option<Routing>, DeliveryError> {
    let mut routing = Once::new("SFTPDynamicRoutingInfo");
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "SFTPDynamicRoutingInfo" => routing.set(routing_info(reader)?)?,
            _ => reader.skip()?,
        }
    }
    Ok(routing.value)
}

fn routing_info(reader: &mut Reader<'_>) -> Result<Routing, DeliveryError> {
    let mut inf_ref = Once::new("InfRef");
    let mut sender_it_system = Once::new("SenderIt-system");
    let mut sender_authority = Once::new("SenderAuthority");
    let mut transaction_id = Once::new("TransactionId");
    let mut sender_timestamp = Once::new("SenderTimestamp");
    let mut recipient_it_system = Once::new("RecipientIt-system");
    let mut recipient_authority = Once::new("RecipientAuthority");
    let mut route_parameters = Once::new("RouteParameterList");
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "InfRef" => inf_ref.read(reader, any_text)?,
            "SenderIt-system" => sender_it_system.read(reader, any_identifier)?,
            "SenderAuthority" => sender_authority.read(reader, any_authority)?,
            "TransactionId" => transaction_id.read(reader, any_identifier)?,
            "SenderTimestamp" => sender_timestamp.read(reader, any_text)?,
            "RecipientIt-system" => recipient_it_system.read(reader, any_identifier)?,
            "RecipientAuthority" => recipient_authority.read(reader, any_authority)?,
            "RouteParameterList" => route_parameters.set(count_route_parameters(reader)?)?,
            _ => reader.skip()?,
        }
    }
    // A delivery is not refused for what only describes it. What is missing here is an empty text.
    Ok(Routing {
        inf_ref: inf_ref.value.unwrap_or_default(),
        sender_it_system: sender_it_system.value.unwrap_or_default(),
        sender_authority: sender_authority.value.unwrap_or_default(),
        transaction_id: transaction_id.value.unwrap_or_default(),
        sender_timestamp: sender_timestamp.value.unwrap_or_default(),
        recipient_it_system: recipient_it_system
            .value
            .filter(|system| !system.is_empty()),
        recipient_authority: recipient_authority.value.unwrap_or_default(),
        route_parameters: route_parameters.value.unwrap_or(0),
    })
}

fn count_route_parameters(reader: &mut Reader<'_>) -> Result<u32, DeliveryError> {
    let mut count = 0;
    while let Some(name) = reader.child()? {
        count += u32::from(of_contract(name) == "RouteParameter");
        reader.skip()?;
    }
    Ok(count)
}

/// Reads a technical receipt, which has either a receipt with a message, or errors.
pub(super) fn technical_receipt(reader: &mut Reader<'_>) -> Result<Receipt, DeliveryError> {
    let mut transfer_uuid = Once::new("FileTransferUUID");
    let mut message = Once::new("Receipt");
    let mut failed = false;
    let mut error_codes = Vec::new();
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "FileTransferUUID" => transfer_uuid.read(reader, uuid)?,
            "Receipt" => message.set(child_value(reader, "Message")?)?,
            "ErrorMessage" => {
                failed = true;
                let code = child_value(reader, "ErrorCode")?;
                error_codes.extend(code.as_deref().and_then(error_code));
            }
            _ => reader.skip()?,
        }
    }
    if message.value.is_none() && !failed {
        return Err(DeliveryError::MissingElement(message.element));
    }
    Ok(Receipt {
        kind: ReceiptKind::Technical,
        transfer_uuid: transfer_uuid.value,
        success: !failed && message.value.flatten().as_deref() == Some("SUCCESS"),
        error_codes,
    })
}

pub(super) fn business_receipt(reader: &mut Reader<'_>) -> Result<Receipt, DeliveryError> {
    let mut transfer_uuid = Once::new("FileTransferUUID");
    let mut acceptance = Once::new("FileAcceptance");
    while let Some(name) = reader.child()? {
        match of_contract(name) {
            "FileTransferUUID" => transfer_uuid.read(reader, uuid)?,
            "FileAcceptance" => acceptance.read(reader, |value| match value {
                "ACCEPTED" => Some(true),
                "REJECTED" | "COULD_NOT_NOTIFY_RECIPIENT" => Some(false),
                _ => None,
            })?,
            _ => reader.skip()?,
        }
    }
    Ok(Receipt {
        kind: ReceiptKind::Business,
        transfer_uuid: transfer_uuid.value,
        success: acceptance.required()?,
        error_codes: Vec::new(),
    })
}

/// Returns the value of the only child of that name. Other children are skipped.
fn child_value(
    reader: &mut Reader<'_>,
    element: &'static str,
) -> Result<Option<String>, DeliveryError> {
    let mut value = Once::new(element);
    while let Some(name) = reader.child()? {
        if of_contract(name) == element {
            value.read(reader, |text| Some(text.to_owned()))?;
        } else {
            reader.skip()?;
        }
    }
    Ok(value.value)
}

/// An element that may occur once.
struct Once<T> {
    element: &'static str,
    value: Option<T>,
}

impl<T> Once<T> {
    fn new(element: &'static str) -> Self {
        Self {
            element,
            value: None,
        }
    }

    fn set(&mut self, value: T) -> Result<(), DeliveryError> {
        match self.value.replace(value) {
            Some(_) => Err(DeliveryError::RepeatedElement(self.element)),
            None => Ok(()),
        }
    }

    /// Reads the value of the open element.
    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        value: impl FnOnce(&str) -> Option<T>,
    ) -> Result<(), DeliveryError> {
        let value = value(reader.text()?).ok_or(DeliveryError::BadValue(self.element))?;
        self.set(value)
    }

    fn required(self) -> Result<T, DeliveryError> {
        self.value
            .ok_or(DeliveryError::MissingElement(self.element))
    }
}

/// Returns the local name of an element in the contract's namespace or in none; empty for other namespaces.
fn of_contract(name: ElementName<'_>) -> &str {
    match name.namespace {
        None | Some(NAMESPACE) => name.local,
        Some(_) => "",
    }
}

fn short_text(value: &str) -> Option<String> {
    let fits = !value.is_empty()
        && value.chars().count() <= MAX_TEXT
        && !value.chars().any(char::is_control);
    fits.then(|| value.to_owned())
}

/// Like [`short_text`], but an empty text is `None`.
fn optional_text(value: &str) -> Option<Option<String>> {
    match value {
        "" => Some(None),
        _ => short_text(value).map(Some),
    }
}

/// Accepts the name of a file in the inbox, but no path.
fn plain_file_name(value: &str) -> Option<String> {
    let leads_away = value.contains(['/', '\\']) || value == "." || value == "..";
    if leads_away { None } else { short_text(value) }
}

fn unsigned(value: &str) -> Option<u64> {
    // The standard library accepts a sign, the contract does not.
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    if digits { value.parse().ok() } else { None }
}

/// Accepts at most six digits, so that a person number cannot pass for an error code.
fn error_code(value: &str) -> Option<u32> {
    let short = value.len() <= 6 && value.bytes().all(|byte| byte.is_ascii_digit());
    if short { value.parse().ok() } else { None }
}

/// Accepts any text: its first 255 characters, without control characters.
fn any_text(value: &str) -> Option<String> {
    let text = value.chars().filter(|c| !c.is_control());
    Some(text.take(MAX_TEXT).collect())
}

/// Accepts any text; a UUID gets lower case.
fn any_identifier(value: &str) -> Option<String> {
    uuid(value).or_else(|| any_text(value))
}

/// Accepts any text; a company number (CVR) without its prefix gets the prefix.
fn any_authority(value: &str) -> Option<String> {
    let prefixed = format!("{AUTHORITY_PREFIX}{value}");
    match is_authority(&prefixed) {
        true => Some(prefixed),
        false => any_text(value),
    }
}

/// Returns the key of a transfer: its UUID in any usual form, or for another text a UUID that is computed from it. The key
/// is used in paths, so it is never the text itself.
fn transfer_key(value: &str) -> Option<String> {
    let value = short_text(value)?;
    let plain = value.strip_prefix("urn:uuid:").unwrap_or(&value);
    let plain = plain
        .strip_prefix('{')
        .and_then(|plain| plain.strip_suffix('}'))
        .unwrap_or(plain);
    let is_plain = plain.len() == 32 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_plain {
        let number = u128::from_str_radix(plain, 16).ok()?;
        return Some(hyphenated(number));
    }
    uuid(plain).or_else(|| {
        // FNV-1a with 128 bits: the same text has the same key on every machine and in every version.
        let hash = value.bytes().fold(FNV_BASIS, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME)
        });
        // Version 8 marks a UUID that is computed in a way of one's own.
        Some(hyphenated(hash & !VERSION_AND_VARIANT | VERSION_8))
    })
}

fn hyphenated(number: u128) -> String {
    let digits = format!("{number:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// The bits of a UUID that hold its version and its variant.
const VERSION_AND_VARIANT: u128 = 0x0000_0000_0000_f000_c000_0000_0000_0000;
const VERSION_8: u128 = 0x0000_0000_0000_8000_8000_0000_0000_0000;
