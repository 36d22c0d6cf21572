//! Service agreements, and the choice of the agreement that a delivery in an inbox belongs to.

use regex::Regex;

use crate::ledger::{Reason, Record};
use crate::names::{AgreementName, Environment};
use crate::routing::Routing;
use crate::subscription::{Service, SubscriptionSettings};
use cprflow_transport::{Inbox, SftpSettings};

/// One service agreement (serviceaftale): its inbox, and its file rules.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// The name in the configuration.
    pub name: AgreementName,
    /// The controller (dataansvarlig), for example the municipality.
    pub controller: Option<String>,
    /// The environment for which the agreement is valid.
    pub environment: Option<Environment>,
    /// The inbox of the deliveries.
    pub inbox: Inbox,
    /// The login to an SFTP inbox.
    pub sftp: SftpSettings,
    /// The rules that the agreement's deliveries match.
    pub files: DeliveryPattern,
    /// The sender and recipient that the metadata of each delivery must name. Values that are `None` are not checked.
    pub routing: Routing,
    /// The record types that were ordered, three digits each; `None` if they are not known.
    pub record_types: Option<Vec<String>>,
    /// Codes of findings of level error for which a delivery is not set aside.
    pub accept: Vec<String>,
    /// The purpose for which all data may be published; `None` if only tenants get data.
    pub unrestricted: Option<String>,
    /// The legal basis (hjemmel) of that purpose.
    pub legal_basis: Option<String>,
    /// The purpose for which church membership may be published with all other data; `None` if it may not.
    pub church_purpose: Option<String>,
    /// The legal basis (hjemmel) of that purpose of church membership.
    pub church_legal_basis: Option<String>,
    /// The service that controls the subscription; `None` if cprflow does not change it.
    pub service: Option<Service>,
    /// The filters that the subscription should have; `None` if they are not configured.
    pub subscription: Option<SubscriptionSettings>,
}

/// The record types of church membership (class `religion`).
const CHURCH: [&str; 2] = ["011", "028"];

impl Agreement {
    /// Returns whether all data of all persons is published without a purpose for church membership.
    pub(crate) fn lacks_church_purpose(&self) -> bool {
        self.unrestricted.is_some() && self.church_purpose.is_none()
    }

    /// Returns whether the agreement orders church membership, as far as the configuration says what is ordered.
    pub fn orders_church(&self) -> bool {
        let types = self.record_types.iter().flatten();
        types.into_iter().any(|one| CHURCH.contains(&one.as_str()))
    }

    /// Returns how the metadata of a delivery differs from the expected sender and recipient, if it does.
    pub(crate) fn routing_mismatch(&self, record: &Record) -> Option<Reason> {
        let name = self.name.as_str();
        self.routing.mismatch(name, record.routing.as_ref())
    }
}

/// The rules that the deliveries of an agreement match. A rule that is not set matches every delivery.
#[derive(Debug, Clone, Default)]
pub struct DeliveryPattern {
    /// The pattern of the data file's whole name.
    pub name: Option<Regex>,
    /// The task numbers (opgavenummer, record 000) of the agreement, six digits each.
    pub task_numbers: Vec<String>,
    /// The sender in the metadata.
    pub sender: Option<String>,
    /// One of the recipients in the metadata.
    pub recipient: Option<String>,
}

impl DeliveryPattern {
    /// Compiles a pattern that matches a data file's whole name, not a part of it.
    pub fn pattern(pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$"))
    }

    /// Returns whether a delivery matches all rules. With task numbers, a delivery without record 000 does not match.
    pub fn fit(&self, delivery: &DeliveryTraits<'_>) -> bool {
        let name = self.name.as_ref();
        let sender = self.sender.as_deref();
        let recipient = self.recipient.as_deref();
        name.is_none_or(|name| name.is_match(delivery.file_name))
            && sender.is_none_or(|sender| sender == delivery.sender)
            && recipient
                .is_none_or(|recipient| delivery.recipients.iter().any(|named| named == recipient))
            && (self.task_numbers.is_empty()
                || delivery
                    .task_number
                    .is_some_and(|number| self.task_numbers.iter().any(|own| own == number)))
    }
}

/// What is known about a delivery before it is downloaded.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryTraits<'a> {
    /// The data file's name.
    pub file_name: &'a str,
    /// The sender in the metadata.
    pub sender: &'a str,
    /// The recipients in the metadata.
    pub recipients: &'a [String],
    /// The task number of record 000, if there is a record 000.
    pub task_number: Option<&'a str>,
}

/// The agreement that a delivery belongs to.
#[derive(Debug)]
pub enum Claim<'a> {
    /// The delivery matches exactly one agreement.
    One(&'a Agreement),
    /// The delivery matches no agreement.
    None,
    /// The delivery matches several agreements.
    Several(Vec<&'a AgreementName>),
}

/// Finds the agreement that a delivery belongs to, among the agreements that share its inbox.
pub fn claim<'a>(
    agreements: impl IntoIterator<Item = &'a Agreement>,
    delivery: &DeliveryTraits<'_>,
) -> Claim<'a> {
    let mut fitting = agreements
        .into_iter()
        .filter(|agreement| agreement.files.fit(delivery));
    match (fitting.next(), fitting.next()) {
        (None, _) => Claim::None,
        (Some(one), None) => Claim::One(one),
        (Some(one), Some(two)) => {
            let names = [one, two].into_iter().chain(fitting);
            Claim::Several(names.map(|agreement| &agreement.name).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_matches_only_if_all_rules_match() {
        let recipients = ["SYSTEM-2".to_owned(), "OTHER".to_owned()];
        let delivery = DeliveryTraits {
            file_name: "d261123.l431101",
            sender: "platform",
            recipients: &recipients,
            task_number: Some("431101"),
        };
        let none = DeliveryPattern::default();
        assert!(none.fit(&delivery));
        let name = |pattern: &str| DeliveryPattern {
            name: Some(DeliveryPattern::pattern(pattern).unwrap()),
            ..DeliveryPattern::default()
        };
        assert!(name(r"d\d{6}\.l\d{6}").fit(&delivery));
        assert!(
            !name(r"d\d{6}").fit(&delivery),
            "the pattern must match the whole name"
        );
        // A name that is a part of the recipient's name is another recipient.
        let recipient = |recipient: &str| DeliveryPattern {
            recipient: Some(recipient.to_owned()),
            ..DeliveryPattern::default()
        };
        assert!(recipient("SYSTEM-2").fit(&delivery));
        assert!(!recipient("SYSTEM").fit(&delivery));
        let task = |number: &str| DeliveryPattern {
            task_numbers: vec![number.to_owned()],
            ..DeliveryPattern::default()
        };
        assert!(task("431101").fit(&delivery));
        assert!(!task("000001").fit(&delivery));
        let unknown = DeliveryTraits {
            task_number: None,
            ..delivery
        };
        assert!(!task("431101").fit(&unknown));
        let sender = DeliveryPattern {
            sender: Some("somebody".to_owned()),
            ..DeliveryPattern::default()
        };
        assert!(!sender.fit(&delivery));
    }
}
