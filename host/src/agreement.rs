//! Service agreements, and whose a delivery in an inbox is.

use std::fmt;
use std::path::PathBuf;

use regex::Regex;

use crate::subscriber::{Service, SubscriptionSettings};
use crate::transport::{Inbox, SftpSettings};

/// The name that a configuration gives to an agreement. It becomes a directory of the dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgreementName(String);

impl AgreementName {
    /// The name of the one agreement of a run without a configuration.
    pub fn default_name() -> Self {
        Self("default".to_owned())
    }

    /// A name of small letters, digits, `-` and `_`, 1 to 64 of them; none for anything else.
    pub fn new(name: &str) -> Option<Self> {
        let is_plain =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let is_name = (1..=64).contains(&name.len()) && name.chars().all(is_plain);
        is_name.then(|| Self(name.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgreementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an agreement is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// The platform's test environment (exttest). It makes no initial loads.
    Test,
    /// Production: real persons.
    Production,
}

impl Environment {
    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Production => "production",
        }
    }
}

/// One service agreement: whose it is, where its deliveries come, and what they look like.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// Its name in the configuration.
    pub name: AgreementName,
    /// Who answers for the data, for example the municipality.
    pub controller: Option<String>,
    /// Where it is in force.
    pub environment: Option<Environment>,
    /// Where its deliveries come.
    pub inbox: Inbox,
    /// How to get there.
    pub sftp: SftpSettings,
    /// What its deliveries look like.
    pub files: FileMarks,
    /// The record types that were ordered; none if that is not known.
    pub record_types: Option<Vec<String>>,
    /// Findings of level error that are no reason to set a delivery aside.
    pub accept: Vec<String>,
    /// Where its deliveries are published.
    pub dataset: PathBuf,
    /// The purpose for which everything may be published; none if nobody said so.
    pub unrestricted: Option<String>,
    /// The service that its subscription is kept by; none if cprflow is not to touch it.
    pub service: Option<Service>,
    /// What its subscription should hold; none if nobody said so.
    pub subscription: Option<SubscriptionSettings>,
}

/// What the deliveries of an agreement look like. What is not given is not looked at.
#[derive(Debug, Clone, Default)]
pub struct FileMarks {
    /// A pattern that the data file's whole name matches.
    pub name: Option<Regex>,
    /// The task numbers (record 000) that are the agreement's.
    pub task_numbers: Vec<String>,
    /// The sender that the metadata names.
    pub sender: Option<String>,
    /// A recipient that the metadata names.
    pub recipient: Option<String>,
}

impl FileMarks {
    /// A pattern for the whole of a data file's name.
    pub fn pattern(pattern: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{pattern})$"))
    }

    /// Whether a delivery looks like that, as far as is known of it.
    pub fn fit(&self, delivery: &Marks<'_>) -> bool {
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

/// What can be seen of a delivery before it is fetched.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'a> {
    /// The data file's name.
    pub file_name: &'a str,
    /// The sender.
    pub sender: &'a str,
    /// The recipients.
    pub recipients: &'a [String],
    /// The task number of record 000, if there is a record 000.
    pub task_number: Option<&'a str>,
}

/// Whose a delivery is.
#[derive(Debug)]
pub enum Claim<'a> {
    /// Exactly one agreement's.
    One(&'a Agreement),
    /// Nobody's.
    None,
    /// More than one agreement could have it.
    Several(Vec<&'a AgreementName>),
}

/// Finds the one agreement whose delivery that is, of those that share the inbox.
pub fn claim<'a>(
    agreements: impl IntoIterator<Item = &'a Agreement>,
    delivery: &Marks<'_>,
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
    fn names_are_safe_directories() {
        for good in ["default", "0265-roskilde", "a", "a_b"] {
            assert_eq!(AgreementName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "..", "A", "a/b", "a b", "å", "a=b", &"a".repeat(65)] {
            assert!(AgreementName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn marks() {
        let recipients = ["SYSTEM-2".to_owned(), "OTHER".to_owned()];
        let delivery = Marks {
            file_name: "d261123.l431101",
            sender: "platform",
            recipients: &recipients,
            task_number: Some("431101"),
        };
        let none = FileMarks::default();
        assert!(none.fit(&delivery));
        let whole = |pattern: &str| FileMarks {
            name: Some(FileMarks::pattern(pattern).unwrap()),
            ..FileMarks::default()
        };
        assert!(whole(r"d\d{6}\.l\d{6}").fit(&delivery));
        assert!(!whole(r"d\d{6}").fit(&delivery), "a part is not the whole");
        // A name that only contains the recipient's is somebody else.
        let recipient = |name: &str| FileMarks {
            recipient: Some(name.to_owned()),
            ..FileMarks::default()
        };
        assert!(recipient("SYSTEM-2").fit(&delivery));
        assert!(!recipient("SYSTEM").fit(&delivery));
        let task = |number: &str| FileMarks {
            task_numbers: vec![number.to_owned()],
            ..FileMarks::default()
        };
        assert!(task("431101").fit(&delivery));
        assert!(!task("000001").fit(&delivery));
        let unknown = Marks {
            task_number: None,
            ..delivery
        };
        assert!(!task("431101").fit(&unknown));
        let sender = FileMarks {
            sender: Some("somebody".to_owned()),
            ..FileMarks::default()
        };
        assert!(!sender.fit(&delivery));
    }
}
