//! `cprflow doctor`.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::Args;
use cprflow::config::{Configuration, Store};
use cprflow::subscriber;
use cprflow::transport::connect;
use cprflow::{Agreement, Connector, Error, Ledger, Tenant};
use indicatif::HumanBytes;
use rustix::fs::Access;

use super::source::Source;
use super::{Failure, Outcome};

/// Check every part that a run needs, and say what to do
///
/// The configuration, the private key, the server's key, the login, the folder, whether datasets and state can be
/// written, the free disk, the ledger, the client certificates of the subscription service, and each tenant's policy,
/// key and group. Nothing is fetched and nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  all is well
  1  something is wrong
  2  could not run

Example:
  cprflow doctor --config cprflow.toml")]
pub(crate) struct Doctor {
    #[command(flatten)]
    source: Source,
}

/// Free bytes below which a disk is called nearly full.
const LITTLE: u64 = 1 << 30;

impl Doctor {
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, Error>,
    ) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let mut visit = Visit {
            out: anstream::stdout().lock(),
            ailments: 0,
        };
        visit.examine(&configuration)?;
        let tenants = configuration.tenants();
        if !tenants.is_empty() {
            let connector = connector()?;
            for tenant in tenants {
                visit.tenant(&connector, tenant)?;
            }
        }
        Ok(match visit.ailments {
            0 => Outcome::Clean,
            _ => Outcome::Findings,
        })
    }
}

struct Visit<W> {
    out: W,
    ailments: usize,
}

impl<W: Write> Visit<W> {
    fn examine(&mut self, configuration: &Configuration) -> Result<(), Failure> {
        for store in &configuration.stores {
            self.store(store)?;
            for agreement in &store.agreements {
                let mut tenants = store.tenants_of(agreement.name.as_str());
                self.agreement(agreement, tenants.next().is_some())?;
            }
        }
        Ok(())
    }

    fn store(&mut self, store: &Store) -> Result<(), Failure> {
        writeln!(self.out, "dataset {}", store.dataset.display())?;
        self.dataset(&store.dataset)?;
        match may_write(&store.state) {
            Ok(()) => self.well("state", "can be written")?,
            Err(what) => self.ill("state", &what)?,
        }
        self.disk("disk of the spool", &store.state)?;
        match Ledger::open_to_read(&store.state) {
            Ok(None) => self.well("ledger", "none yet; the first run makes it"),
            Ok(Some(ledger)) => match ledger.check() {
                Ok(()) => self.well("ledger", "sound"),
                Err(error) => self.ill("ledger", &error.to_string()),
            },
            Err(error) => self.ill("ledger", &error.to_string()),
        }
    }

    /// The files that a tenant's entry names, its policy, which the component is asked about, and its disk.
    fn tenant(&mut self, connector: &Connector, tenant: &Tenant) -> Result<(), Failure> {
        writeln!(self.out, "tenant {}", tenant.name)?;
        self.well("purpose", &tenant.purpose)?;
        match tenant.policy().and_then(|policy| connector.view(&policy)) {
            Ok(view) => self.well(
                "policy",
                &format!(
                    "{} tables; `cprflow tenant check` explains it",
                    view.tables().len()
                ),
            )?,
            Err(error) => self.ill("policy", &error.to_string())?,
        }
        match tenant.pseudonym_key() {
            Ok(None) => {}
            Ok(Some(_)) => self.well("key", "for pseudonyms")?,
            Err(error) => self.ill("key", &error.to_string())?,
        }
        match tenant.group() {
            Ok(None) => {}
            Ok(Some(group)) => {
                self.well("group", &format!("{} may read the dataset", group.name()))?
            }
            // It says itself that it is about the group.
            Err(Error::Group { what }) => self.ill("group", &what)?,
            Err(error) => self.ill("group", &error.to_string())?,
        }
        self.dataset(&tenant.dataset)
    }

    /// A dataset, and the directory around it, in which deliveries are made ready.
    fn dataset(&mut self, path: &Path) -> Result<(), Failure> {
        let around = path.parent().unwrap_or(path);
        let checked = may_write(path)
            .and_then(|()| may_write(around))
            .and_then(|()| one_disk(path, around));
        match checked {
            Ok(()) => self.well(
                "dataset",
                "can be written, and so can the directory around it",
            )?,
            Err(what) => self.ill("dataset", &what)?,
        }
        self.disk("disk of the dataset", path)
    }

    fn disk(&mut self, what: &str, path: &Path) -> Result<(), Failure> {
        match free_bytes(path) {
            Ok(free) if free < LITTLE => self.ill(
                what,
                &format!(
                    "only {} are free: a full load of a municipality takes gigabytes",
                    HumanBytes(free)
                ),
            ),
            Ok(free) => self.well(what, &format!("{} free", HumanBytes(free))),
            Err(error) => self.ill(what, &error.to_string()),
        }
    }

    fn agreement(&mut self, agreement: &Agreement, has_tenants: bool) -> Result<(), Failure> {
        writeln!(self.out, "agreement {}", agreement.name)?;
        match &agreement.unrestricted {
            Some(purpose) => self.well("purpose", purpose)?,
            None if has_tenants => self.well("purpose", "that of each tenant")?,
            None => self.well(
                "purpose",
                "none: `cprflow sync` will want --unrestricted PURPOSE",
            )?,
        }
        self.service(agreement)?;
        let mut transport = match connect(&agreement.inbox, &agreement.sftp) {
            Ok(transport) => transport,
            Err(error) => return self.ill("connection", &error.to_string()),
        };
        self.well("connection", &format!("{} lets us in", agreement.inbox))?;
        match transport.list() {
            Ok(listing) => self.well("folder", &format!("{} files", listing.entries.len())),
            Err(error) => self.ill("folder", &error.to_string()),
        }
    }

    /// The client certificates of the subscription service: nothing is connected to.
    fn service(&mut self, agreement: &Agreement) -> Result<(), Failure> {
        let Some(service) = &agreement.service else {
            return Ok(());
        };
        let client = match subscriber::connect(service) {
            Ok(client) => client,
            Err(error) => return self.ill("service", &error.to_string()),
        };
        let warnings = client.warnings(jiff::Timestamp::now());
        for warning in &warnings {
            self.ill("client certificate", &warning.to_string())?;
        }
        match warnings.is_empty() {
            true => self.well(
                "client certificate",
                &format!("{} is in order", client.certificate().display()),
            ),
            false => Ok(()),
        }
    }

    fn well(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        self.line(AnsiColor::Green, "well", what, how)
    }

    fn ill(&mut self, what: &str, how: &str) -> Result<(), Failure> {
        self.ailments += 1;
        self.line(AnsiColor::Red, "ill ", what, how)
    }

    fn line(&mut self, color: AnsiColor, word: &str, what: &str, how: &str) -> Result<(), Failure> {
        let style = Style::new().bold().fg_color(Some(color.into()));
        Ok(writeln!(
            self.out,
            "  {style}{word}{style:#}  {what}: {how}"
        )?)
    }
}

/// Free bytes of the disk that a path is on, or will be on.
fn free_bytes(path: &Path) -> Result<u64, Error> {
    cprflow::free_bytes(there(path))
}

/// What is there of a path.
fn there(path: &Path) -> &Path {
    let there = path.ancestors().find(|path| path.exists());
    there.unwrap_or(Path::new("/"))
}

/// Whether a directory can be written in, or made; otherwise why not.
fn may_write(path: &Path) -> Result<(), String> {
    let there = there(path);
    let shown = there.display();
    if !there.is_dir() {
        return Err(format!("{shown} is no directory"));
    }
    let wanted = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::access(there, wanted).map_err(|error| {
        let error = std::io::Error::from(error);
        format!("{shown}: {error}. Whoever runs cprflow must be able to read and write there")
    })
}

/// Whether deliveries can be renamed from beside a dataset into it.
fn one_disk(path: &Path, around: &Path) -> Result<(), String> {
    let disk = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev());
    match (disk(path), disk(around)) {
        (Ok(own), Ok(other)) if own != other => Err(format!(
            "{} is a file system of its own: name a directory in it as the dataset",
            path.display()
        )),
        // What is not there yet is made on the disk of what is.
        _ => Ok(()),
    }
}
