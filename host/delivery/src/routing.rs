//! The sender and the recipient that the metadata of a delivery names in its routing block (SFTPDynamicRoutingInfo).

use cprflow_transport::HELPDESK;
use serde::{Deserialize, Serialize};

use crate::ledger::Reason;

/// The reason code of a delivery whose metadata names another sender or recipient than the configuration.
pub const ROUTING_MISMATCH: &str = "routing-mismatch";

/// The form of an authority in the metadata, in front of its company number (CVR).
const AUTHORITY_PREFIX: &str = "urn:oio:cvr-nr:";

/// A sender and a recipient: as the metadata of a delivery names them, or as the configuration expects them.
///
/// They are IT systems and authorities, never persons.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// The UUID of the sending IT system (`SenderIt-system`), in lower case.
    pub sender_it_system: Option<String>,
    /// The sending authority (`SenderAuthority`): `urn:oio:cvr-nr:` and eight digits.
    pub sender_authority: Option<String>,
    /// The receiving authority (`RecipientAuthority`): `urn:oio:cvr-nr:` and eight digits.
    pub recipient_authority: Option<String>,
}

impl From<&cprflow::metadata::Routing> for Routing {
    fn from(routing: &cprflow::metadata::Routing) -> Self {
        let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self {
            sender_it_system: told(&routing.sender_it_system),
            sender_authority: told(&routing.sender_authority),
            recipient_authority: told(&routing.recipient_authority),
        }
    }
}

impl Routing {
    /// Compares what the metadata of a delivery says with these expected values. Values that are `None` here are not
    /// compared.
    ///
    /// Returns the reason for which the delivery is set aside, or `None` if everything is as expected. A value that is
    /// expected and missing in the metadata is a difference: otherwise a delivery could avoid the comparison.
    pub(crate) fn mismatch(&self, agreement: &str, told: Option<&Self>) -> Option<Reason> {
        let value = |of: fn(&Self) -> &Option<String>| {
            let told = told.and_then(|told| of(told).as_deref());
            (of(self).as_deref(), told)
        };
        let elements = [
            (
                "SenderIt-system",
                "sender_it_system",
                value(|routing| &routing.sender_it_system),
            ),
            (
                "SenderAuthority",
                "sender_authority",
                value(|routing| &routing.sender_authority),
            ),
            (
                "RecipientAuthority",
                "recipient_authority",
                value(|routing| &routing.recipient_authority),
            ),
        ];
        let mut differences = Vec::new();
        let mut keys = Vec::new();
        for (element, key, (expected, told)) in elements {
            let Some(expected) = expected else { continue };
            if told.is_some_and(|told| normal(told) == normal(expected)) {
                continue;
            }
            let told = told.map_or_else(|| "missing".to_owned(), |told| format!("{told:?}"));
            differences.push(format!("{element} is {told} instead of {expected:?}"));
            keys.push(key);
        }
        if differences.is_empty() {
            return None;
        }
        Some(Reason::new(
            ROUTING_MISMATCH,
            format!(
                "the metadata of the delivery differs from [agreement.{agreement}.routing]: {}. The delivery may be \
                 meant for another authority. Ask the helpdesk ({HELPDESK}) whether it is yours. If it is, correct {} in the \
                 configuration, or add `--accept {ROUTING_MISMATCH}` to the retry",
                differences.join(", "),
                keys.join(" and ")
            ),
        ))
    }
}

/// Returns what in the metadata of a delivery has not the form of the contract, for a note. Nothing of it prevents the
/// delivery.
pub(crate) fn deviations(metadata: &cprflow::metadata::Metadata) -> Vec<String> {
    let mut deviations = Vec::new();
    // The component computes such a UUID from an identifier that is not one.
    if metadata.transfer_uuid.as_bytes().get(14) == Some(&b'8') {
        deviations.push(format!(
            "FileTransferUUID is not a UUID, so that {} stands for it",
            metadata.transfer_uuid
        ));
    }
    let Some(routing) = &metadata.routing else {
        return deviations;
    };
    let is_uuid = |text: &str| uuid::Uuid::try_parse(text).is_ok();
    let is_authority = |text: &str| authority(text).is_some();
    let number = "a company number (CVR)";
    let (system, transaction) = (&routing.sender_it_system, &routing.transaction_id);
    let (sender, recipient) = (&routing.sender_authority, &routing.recipient_authority);
    for (element, text, has_form, form) in [
        ("InfRef", &routing.inf_ref, true, "a text"),
        ("SenderIt-system", system, is_uuid(system), "a UUID"),
        ("SenderAuthority", sender, is_authority(sender), number),
        ("TransactionId", transaction, is_uuid(transaction), "a UUID"),
        ("SenderTimestamp", &routing.sender_timestamp, true, "a time"),
        (
            "RecipientAuthority",
            recipient,
            is_authority(recipient),
            number,
        ),
    ] {
        if text.is_empty() {
            deviations.push(format!("{element} is missing"));
        } else if !has_form {
            deviations.push(format!("{element} is not {form}"));
        }
    }
    deviations
}

/// Returns the authority of this company number (CVR), as the metadata names it. The number may have the prefix already.
/// `None` if it is not eight digits.
pub(crate) fn authority(number: &str) -> Option<String> {
    let number = number.strip_prefix(AUTHORITY_PREFIX).unwrap_or(number);
    let is_number = number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("{AUTHORITY_PREFIX}{number}"))
}

/// Returns a value without differences that have no meaning: letter case, and a missing prefix of an authority.
fn normal(value: &str) -> String {
    let value = value.trim().to_ascii_lowercase();
    match authority(&value) {
        Some(authority) => authority,
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "5b6f6b0e-0000-4000-8000-00000000000a";

    fn routing(system: Option<&str>, sender: Option<&str>, recipient: Option<&str>) -> Routing {
        Routing {
            sender_it_system: system.map(str::to_owned),
            sender_authority: sender.map(str::to_owned),
            recipient_authority: recipient.map(str::to_owned),
        }
    }

    #[test]
    fn compares_only_what_is_expected() {
        let told = routing(
            Some(SYSTEM),
            Some("urn:oio:cvr-nr:00000001"),
            Some("urn:oio:cvr-nr:00000002"),
        );
        for expected in [
            Routing::default(),
            routing(Some(SYSTEM), None, None),
            routing(None, authority("00000001").as_deref(), None),
            told.clone(),
        ] {
            assert_eq!(expected.mismatch("a", Some(&told)), None, "{expected:?}");
        }
        assert_eq!(Routing::default().mismatch("a", None), None);
        // A sender may leave out the prefix or write letters in another case.
        let upper = SYSTEM.to_uppercase();
        let other_form = routing(
            Some(&upper),
            Some("00000001"),
            Some("URN:OIO:CVR-NR:00000002"),
        );
        assert_eq!(told.mismatch("a", Some(&other_form)), None);
    }

    #[test]
    fn names_every_value_that_differs() {
        let expected = routing(
            Some(SYSTEM),
            authority("00000001").as_deref(),
            authority("00000002").as_deref(),
        );
        let told = routing(Some(SYSTEM), None, Some("urn:oio:cvr-nr:00000003"));
        let reason = expected.mismatch("odense", Some(&told)).unwrap();
        assert_eq!(reason.code, ROUTING_MISMATCH);
        for text in [
            "[agreement.odense.routing]",
            "SenderAuthority is missing instead of \"urn:oio:cvr-nr:00000001\"",
            "RecipientAuthority is \"urn:oio:cvr-nr:00000003\" instead of \"urn:oio:cvr-nr:00000002\"",
            "correct sender_authority and recipient_authority",
        ] {
            assert!(reason.message.contains(text), "{}", reason.message);
        }
        assert!(!reason.message.contains("It-system"), "{}", reason.message);
        // Metadata without a routing block does not avoid the comparison.
        let reason = expected.mismatch("odense", None).unwrap();
        assert!(reason.message.contains("SenderIt-system is missing"));
    }

    #[test]
    fn an_authority_is_eight_digits() {
        let expected = Some("urn:oio:cvr-nr:01234567".to_owned());
        assert_eq!(authority("01234567"), expected);
        assert_eq!(authority("urn:oio:cvr-nr:01234567"), expected);
        for wrong in [
            "",
            "0123456",
            "012345678",
            "0101010101",
            "cvr 01234567",
            "urn:oio:cvr-nr:",
        ] {
            assert_eq!(authority(wrong), None, "{wrong}");
        }
    }
}
