//! The configuration: agreements and where their deliveries go, from one TOML file or from the command line.

mod file;
mod keys;
mod places;
mod service;
mod state;
mod template;
mod tenant;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cprflow_connector::holds_number;
use sha2::Digest;

use crate::agreement::{Agreement, AgreementName, FileMarks};
use crate::error::Error;
use crate::spool::hexadecimal;
use crate::tenant::Tenant;
use crate::transport::{Fingerprint, Inbox, InboxError, Secret, SftpSettings};

pub use file::ACCEPTABLE;
pub use template::template;

/// Everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The datasets, each with the agreements that are published in it.
    pub stores: Vec<Store>,
    /// How often a watching run looks into the inboxes.
    pub interval: Duration,
    /// Days after which the platform deletes what nobody fetched. Its documents say 30 and 40.
    pub retention_days: u32,
    /// How many of CPR's working days without a delivery are worth an alarm.
    pub silent_working_days: u32,
}

/// One dataset, its state directory, and the agreements that are published in it.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where deliveries are published.
    pub dataset: PathBuf,
    /// Where ledger and spool are.
    pub state: PathBuf,
    /// Days after which what is left in the spool is removed.
    pub max_age_days: u32,
    /// The agreements that are published here.
    pub agreements: Vec<Agreement>,
    /// Agreements that are published elsewhere and may share an inbox with one of these.
    pub others: Vec<Agreement>,
    /// The tenants who may see data of an agreement of this store.
    pub tenants: Vec<Tenant>,
}

impl Store {
    /// Where extracts are on their way.
    pub fn spool(&self) -> PathBuf {
        self.state.join("spool")
    }

    /// The tenants who may see data of an agreement.
    pub fn tenants_of(&self, agreement: &str) -> impl Iterator<Item = &Tenant> {
        let all = self.tenants.iter();
        all.filter(move |tenant| tenant.sees(agreement))
    }

    /// Somebody must have said for whom and what for each agreement's data is.
    pub(crate) fn check_purposes(&self) -> Result<(), Error> {
        let is_for_nobody = |agreement: &&Agreement| {
            let mut tenants = self.tenants_of(agreement.name.as_str());
            agreement.unrestricted.is_none() && tenants.next().is_none()
        };
        let mut agreements = self.agreements.iter();
        match agreements.find(is_for_nobody) {
            None => Ok(()),
            Some(agreement) => Err(Error::Request(format!(
                "agreement {}: publishing everything of everyone must be asked for, with a purpose: add \
                 `--unrestricted PURPOSE`, or `unrestricted = \"…\"` to the agreement in the configuration; or let \
                 tenants have what each may see: [tenant.NAME]",
                agreement.name
            ))),
        }
    }

    /// The agreements of this store whose deliveries come to that inbox.
    pub fn own(&self, inbox: &Inbox) -> Vec<&Agreement> {
        let own = self.agreements.iter();
        own.filter(|agreement| agreement.inbox == *inbox).collect()
    }

    /// All agreements whose deliveries come to that inbox, those of other stores among them.
    pub fn sharing(&self, inbox: &Inbox) -> Vec<&Agreement> {
        let all = self.agreements.iter().chain(&self.others);
        all.filter(|agreement| agreement.inbox == *inbox).collect()
    }
}

/// What the command line says in place of a configuration file.
#[derive(Debug, Clone)]
pub struct Quick {
    /// Where deliveries come.
    pub inbox: Inbox,
    /// How to get there.
    pub sftp: SftpSettings,
    /// Where deliveries are published.
    pub dataset: PathBuf,
}

/// Days that spooled extracts are kept when nobody says otherwise: long enough for a person to decide, and past
/// the day on which the platform deletes its own copy.
pub const DEFAULT_MAX_AGE_DAYS: u32 = 90;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
const DEFAULT_RETENTION_DAYS: u32 = 30;
const DEFAULT_SILENT_WORKING_DAYS: u32 = 5;

impl Configuration {
    /// From a TOML file.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file(path))?;
        let directory = path.parent().unwrap_or(Path::new("."));
        file::read(&text, directory).map_err(|what| Error::Configuration {
            path: path.to_owned(),
            what,
        })
    }

    /// One agreement, called `default`, without a file.
    pub fn quick(quick: Quick) -> Result<Self, Error> {
        let agreement = Agreement {
            name: AgreementName::default_name(),
            controller: None,
            environment: None,
            inbox: quick.inbox,
            sftp: quick.sftp,
            files: FileMarks::default(),
            record_types: None,
            accept: Vec::new(),
            dataset: quick.dataset,
            unrestricted: None,
            service: None,
            subscription: None,
        };
        let stores = stores(vec![agreement], &[], None, DEFAULT_MAX_AGE_DAYS)?;
        Ok(Self {
            stores,
            interval: DEFAULT_INTERVAL,
            retention_days: DEFAULT_RETENTION_DAYS,
            silent_working_days: DEFAULT_SILENT_WORKING_DAYS,
        })
    }

    /// All agreements.
    pub fn agreements(&self) -> impl Iterator<Item = &Agreement> {
        self.stores.iter().flat_map(|store| &store.agreements)
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> Vec<&Tenant> {
        let mut all: Vec<_> = self
            .stores
            .iter()
            .flat_map(|store| &store.tenants)
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        // One who may see agreements of several stores is in each of them.
        all.dedup_by(|one, other| one.name == other.name);
        all
    }

    /// The tenant of that name, or which there are.
    pub fn tenant(&self, name: &str) -> Result<&Tenant, Error> {
        let all = self.tenants();
        let names: Vec<_> = all.iter().map(|tenant| tenant.name.as_str()).collect();
        let place = names.iter().position(|known| *known == name);
        place.and_then(|place| all.get(place).copied()).ok_or_else(|| {
            Error::Request(match names.is_empty() {
                true => "there is no tenant in the configuration: add a [tenant.NAME] (see `cprflow init`)".to_owned(),
                false => format!(
                    "there is no tenant {name:?} in the configuration; there are: {}",
                    names.join(", ")
                ),
            })
        })
    }

    /// Lets everything through for that purpose, for agreements that have none of their own.
    pub fn unrestricted(&mut self, purpose: &str) -> Result<(), Error> {
        check_purpose(purpose)
            .map_err(|what| Error::Request(format!("--unrestricted PURPOSE: {what}")))?;
        for store in &mut self.stores {
            for agreement in &mut store.agreements {
                agreement
                    .unrestricted
                    .get_or_insert_with(|| purpose.trim().to_owned());
            }
        }
        Ok(())
    }

    /// Puts ledger and spool there. With several datasets, each gets a directory of its own in it, except one that has
    /// its ledger there already.
    pub fn state(&mut self, directory: &Path) -> Result<(), Error> {
        state::place(&mut self.stores, directory)
    }

    /// Keeps what is spooled for so many days.
    pub fn max_age_days(&mut self, days: u32) {
        for store in &mut self.stores {
            store.max_age_days = days;
        }
    }

    /// Works on one agreement only; false if there is none of that name.
    pub fn only(&mut self, name: &str) -> bool {
        for store in &mut self.stores {
            let (own, others): (Vec<_>, Vec<_>) = store
                .agreements
                .drain(..)
                .partition(|agreement| agreement.name.as_str() == name);
            store.agreements = own;
            store.others.extend(others);
        }
        self.stores.retain(|store| !store.agreements.is_empty());
        !self.stores.is_empty()
    }
}

/// An inbox; a relative directory starts at `directory`.
pub fn inbox(text: &str, directory: &Path) -> Result<Inbox, InboxError> {
    Ok(match text.parse()? {
        Inbox::Directory(path) => Inbox::Directory(directory.join(path)),
        remote => remote,
    })
}

/// Whether it takes a key to get there.
pub fn is_remote(inbox: &Inbox) -> bool {
    matches!(inbox, Inbox::Sftp(_))
}

/// Whether a file of known hosts is one to read. One that is not there yet knows nobody; but where a fingerprint vouches
/// for the server, what the file says against a key must be heard.
pub fn is_to_be_read(known_hosts: &Path, host_keys: &[Fingerprint]) -> bool {
    !host_keys.is_empty() || known_hosts.exists()
}

/// The secret that stands in a file of its own, which nobody but its owner may read.
pub fn secret_file(path: &Path) -> Result<Secret, Error> {
    let mut text = zeroize::Zeroizing::new(String::new());
    private_file(path, "this secret")?
        .read_to_string(&mut text)
        .map_err(Error::file(path))?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// Opens a file that nobody but its owner may read; `what` it holds is for the error.
pub(crate) fn private_file(path: &Path, what: &str) -> Result<File, Error> {
    use std::os::unix::fs::PermissionsExt;
    let file = File::open(path).map_err(Error::file(path))?;
    let metadata = file.metadata().map_err(Error::file(path))?;
    let mode = metadata.permissions().mode();
    match mode & 0o077 {
        0 => Ok(file),
        _ => Err(Error::Configuration {
            path: path.to_owned(),
            what: format!(
                "others can read {what} (mode {:o}): `chmod 600` it, and ask yourself who has it already",
                mode & 0o777
            ),
        }),
    }
}

/// An error if a text does not say what data is for. It is kept in manifests and audit logs.
fn check_purpose(purpose: &str) -> Result<(), &'static str> {
    match purpose.trim() {
        "" => Err("say what for, in words"),
        purpose if holds_number(purpose) => Err(
            "there is something in it that can be a person number, and it is kept in manifests and logs: say it \
             without",
        ),
        _ => Ok(()),
    }
}

/// The agreements by dataset.
fn stores(
    agreements: Vec<Agreement>,
    tenants: &[Tenant],
    state: Option<&Path>,
    max_age_days: u32,
) -> Result<Vec<Store>, Error> {
    let mut datasets = Vec::new();
    for agreement in &agreements {
        let dataset = absolute(&agreement.dataset)?;
        if !datasets.contains(&dataset) {
            datasets.push(dataset);
        }
    }
    let default = match state {
        Some(_) => PathBuf::new(),
        None => default_state_directory()?,
    };
    let mut stores = Vec::new();
    for dataset in datasets {
        let is_own =
            |agreement: &Agreement| absolute(&agreement.dataset).is_ok_and(|own| own == dataset);
        let (own, others): (Vec<_>, _) = agreements.iter().cloned().partition(is_own);
        let sees_own = |tenant: &&Tenant| own.iter().any(|one| tenant.sees(one.name.as_str()));
        stores.push(Store {
            tenants: tenants.iter().filter(sees_own).cloned().collect(),
            state: default.join(store_name(&dataset)),
            dataset,
            max_age_days,
            agreements: own,
            others,
        });
    }
    if let Some(directory) = state {
        state::place(&mut stores, directory)?;
    }
    places::check(&stores)?;
    Ok(stores)
}

/// The directory's own name, for people, and a digest of its whole path, to tell it from others of that name.
fn store_name(dataset: &Path) -> String {
    let name = dataset.file_name().unwrap_or_default().to_string_lossy();
    let digest = sha2::Sha256::digest(dataset.as_os_str().as_encoded_bytes());
    let digest = hexadecimal(&digest);
    format!("{name}-{}", digest.get(..8).unwrap_or_default())
}

/// Where programs keep their state for this user.
fn default_state_directory() -> Result<PathBuf, Error> {
    let absolute = |variable: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")));
    let state = state.ok_or_else(|| {
        Error::Request(
            "there is no place for the state: HOME and XDG_STATE_HOME are not set. Name one with --state DIR"
                .to_owned(),
        )
    })?;
    Ok(state.join("cprflow"))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(Error::file(path))
}
