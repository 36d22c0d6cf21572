//! `cprflow doctor`: checks everything that a run needs.

mod directory;

use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::Args;
use cprflow::Connector;
use cprflow_delivery::calendar::danish_time;
use cprflow_delivery::config::{Configuration, Store};
use cprflow_delivery::erase::{self, check_list};
use cprflow_delivery::integrity::{agreements_without_extracts, check_store, damaged_extracts};
use cprflow_delivery::sync::SyncError;
use cprflow_delivery::{
    Agreement, CheckDepth, Error, Ledger, SharedKey, Tenant, check_dataset_permissions,
    check_state_permissions, directory_of, foreign_data_remark, former_tenants, left_agreements,
    shared_keys, subscription, unknown_codes_of_scope,
};
use cprflow_transport::connect;
use indicatif::HumanBytes;

use crate::failure::{Failure, Outcome};
use crate::options::{SourceOptions, check_depth};
use directory::{check_same_file_system, check_writable, free_bytes};

/// Check everything that `cprflow sync` needs
///
/// Checks the configuration, the login to the server, and the inbox folder. Checks keys and client certificates. Checks
/// permissions, free disk space, the ledger and what is published. Checks the policy, key and group of each tenant.
/// Downloads and changes nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every check passed; there may be warnings
  1  at least one check failed
  2  the checks could not be made

Examples:
  cprflow doctor --config cprflow.toml
  cprflow doctor --deep --config cprflow.toml")]
pub(crate) struct Doctor {
    /// Read every published file and compare its digest, which can take long. Default: compare
    /// names and sizes
    #[arg(long)]
    deep: bool,

    #[command(flatten)]
    source: SourceOptions,
}

/// A disk with less free space than this fails the check: 1 GiB.
const LOW_DISK_BYTES: u64 = 1 << 30;

impl Doctor {
    /// Runs the subcommand. Loads the component only if there are tenants.
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, cprflow::Error>,
    ) -> Result<Outcome, Failure> {
        let configuration = self.source.configuration()?;
        let mut checkup = Checkup {
            out: crate::output::stdout()?,
            depth: check_depth(self.deep),
            has_no_file: self.source.has_no_file(),
            failed: 0,
        };
        checkup.stores(&configuration)?;
        let tenants = configuration.tenants();
        if !tenants.is_empty() {
            let connector = connector()?;
            let shared = shared_keys(&tenants);
            for tenant in tenants {
                checkup.tenant(&connector, tenant)?;
                let has_key = |shared: &&SharedKey| shared.tenants.contains(&tenant.name);
                for shared in shared.iter().filter(has_key) {
                    checkup.warn("key", &shared.to_string())?;
                }
            }
        }
        Ok(match checkup.failed {
            0 => Outcome::Success,
            _ => Outcome::NeedsAttention,
        })
    }
}

/// Makes the checks, prints each result and counts the failures.
struct Checkup<W> {
    out: W,
    /// How thoroughly published deliveries are compared with the disk.
    depth: CheckDepth,
    /// Whether the inbox is on the command line, so that there is no configuration.
    has_no_file: bool,
    failed: usize,
}

impl<W: Write> Checkup<W> {
    fn stores(&mut self, configuration: &Configuration) -> io::Result<()> {
        for store in &configuration.stores {
            self.store(store)?;
            for agreement in &store.agreements {
                let mut tenants = store.tenants_of(agreement.name.as_str());
                self.agreement(agreement, tenants.next().is_some())?;
            }
        }
        Ok(())
    }

    fn store(&mut self, store: &Store) -> io::Result<()> {
        writeln!(self.out, "dataset {}", store.dataset.display())?;
        self.dataset(&store.dataset)?;
        match check_writable(&store.state) {
            Ok(()) => self.ok("state", "the directory is writable")?,
            Err(error) => self.fail("state", &error.to_string())?,
        }
        match check_state_permissions(&store.state) {
            Ok(()) => self.ok("state", "other users cannot write to it")?,
            Err(error) => self.fail("state", &error.to_string())?,
        }
        self.disk("disk of the spool", &store.state)?;
        // Also before the first run, which would refuse the directory.
        for tenant in &store.tenants {
            if let Some(remark) = foreign_data_remark(store, tenant) {
                self.fail("tenants", &remark)?;
            }
        }
        match Ledger::open_to_read(&store.state) {
            Ok(None) => self.ok(
                "ledger",
                "does not exist yet; the first `cprflow sync` creates it",
            ),
            Ok(Some(ledger)) => match ledger.check() {
                Ok(()) => {
                    self.ok("ledger", "is intact")?;
                    if let Err(error) = check_list(&store.state, &ledger) {
                        self.fail("erasures", &error.to_string())?;
                    }
                    self.agreements(store, &ledger)?;
                    self.deliveries(store, &ledger)?;
                    self.register(store, &ledger)?;
                    self.erasure(store, &ledger)?;
                    self.former_tenants(store, &ledger)
                }
                Err(error) => self.fail("ledger", &error.to_string()),
            },
            Err(error) => self.fail("ledger", &error.to_string()),
        }
    }

    /// Checks that the configuration knows every agreement of the ledger.
    fn agreements(&mut self, store: &Store, ledger: &Ledger) -> io::Result<()> {
        match store.unknown_agreement(ledger) {
            Ok(None) => Ok(()),
            Ok(Some(agreement)) => {
                let unknown = SyncError::UnknownAgreement { agreement };
                self.fail("agreements", &unknown.to_string())
            }
            Err(error) => self.fail("agreements", &error.to_string()),
        }
    }

    /// Compares the published deliveries with the disk.
    fn deliveries(&mut self, store: &Store, ledger: &Ledger) -> io::Result<()> {
        let checked = match check_store(store, ledger, self.depth) {
            Ok(checked) => checked,
            Err(error) => return self.fail("deliveries", &error.to_string()),
        };
        for dataset in checked {
            let of = match &dataset.tenant {
                Some(tenant) => format!(" to tenant {tenant}"),
                None => String::new(),
            };
            match (dataset.remark(), dataset.expected()) {
                (Some(remark), _) => self.fail("deliveries", &remark)?,
                (None, 0) => {}
                (None, count) => {
                    let compared = match self.depth {
                        CheckDepth::Digests => "names, sizes and digests",
                        CheckDepth::Sizes | CheckDepth::Directories => "names and sizes",
                    };
                    let details = format!("{count} published{of} are as published ({compared})");
                    self.ok("deliveries", &details)?;
                }
            }
        }
        Ok(())
    }

    /// Names the agreements of which the register lacks extracts, and compares the kept extracts with the disk.
    fn register(&mut self, store: &Store, ledger: &Ledger) -> io::Result<()> {
        match agreements_without_extracts(store, ledger) {
            Ok(lacking) => lacking
                .iter()
                .try_for_each(|lacking| self.fail("register", lacking))?,
            Err(error) => self.fail("register", &error.to_string())?,
        }
        let extracts = match ledger.kept_extracts() {
            Ok(extracts) => extracts,
            Err(error) => return self.fail("register", &error.to_string()),
        };
        let damaged = damaged_extracts(&store.state, &extracts, self.depth);
        match (damaged.first(), extracts.len()) {
            (None, 0) => Ok(()),
            (None, count) => {
                let size = extracts.iter().map(|kept| kept.file_size).sum();
                let details = format!("{count} extracts are as written, {}", HumanBytes(size));
                self.ok("register", &details)
            }
            (Some(first), count) => self.fail(
                "register",
                &format!(
                    "{} of {count} extracts are gone or were changed, first {first}. Restore them from a backup. Without a \
                     backup, order a new full load (`cprflow subscription reorder`)",
                    damaged.len()
                ),
            ),
        }
    }

    /// Names an erasure that is not complete, and what stops it.
    fn erasure(&mut self, store: &Store, ledger: &Ledger) -> io::Result<()> {
        match erase::pending(store, ledger, self.depth) {
            Ok(None) => Ok(()),
            Ok(Some(pending)) => self.fail("erasure", &pending.to_string()),
            Err(error) => self.fail("erasure", &error.to_string()),
        }
    }

    /// Names what is left of tenants that are not configured any more, and under names of agreements that are not known.
    fn former_tenants(&mut self, store: &Store, ledger: &Ledger) -> io::Result<()> {
        match former_tenants(store, ledger) {
            Ok(former) => former
                .iter()
                .try_for_each(|former| self.fail("tenants", &former.to_string()))?,
            Err(error) => self.fail("tenants", &error.to_string())?,
        }
        match left_agreements(store, ledger) {
            Ok(left) => left
                .iter()
                .try_for_each(|left| self.fail("agreements", left)),
            Err(error) => self.fail("agreements", &error.to_string()),
        }
    }

    /// Checks a tenant's policy, which the component evaluates, its key, its group and its dataset.
    fn tenant(&mut self, connector: &Connector, tenant: &Tenant) -> io::Result<()> {
        writeln!(self.out, "tenant {}", tenant.name)?;
        self.ok("purpose", &tenant.purpose)?;
        self.legal_basis(tenant.legal_basis.as_deref())?;
        match tenant
            .policy()
            .and_then(|policy| Ok(connector.view(&policy)?))
        {
            Ok(view) => self.ok(
                "policy",
                &format!(
                    "shows {} tables; `cprflow tenant check` explains it",
                    view.tables().len()
                ),
            )?,
            Err(error) => self.fail("policy", &error.to_string())?,
        }
        for warning in unknown_codes_of_scope(tenant) {
            self.warn("scope", &warning)?;
        }
        match tenant.pseudonym_key() {
            Ok(None) => {}
            Ok(Some(_)) => self.ok("key", "the key for pseudonyms can be read")?,
            Err(error) => self.fail("key", &error.to_string())?,
        }
        match tenant.group() {
            Ok(None) => {}
            Ok(Some(group)) => self.ok(
                "group",
                &format!("members of {} can read the dataset", group.name()),
            )?,
            // The text of this error begins with "group:", which the label already says.
            Err(Error::Group { what }) => self.fail("group", &what)?,
            Err(error) => self.fail("group", &error.to_string())?,
        }
        self.dataset(&tenant.dataset)
    }

    /// Checks a dataset and its parent directory, in which deliveries are prepared.
    fn dataset(&mut self, path: &Path) -> io::Result<()> {
        let parent = directory_of(path);
        let checked = check_writable(path)
            .and_then(|()| check_writable(parent))
            .and_then(|()| check_same_file_system(path, parent));
        match checked {
            Ok(()) => self.ok("dataset", "the directory and its parent are writable")?,
            Err(error) => self.fail("dataset", &error.to_string())?,
        }
        match check_dataset_permissions(path) {
            Ok(()) => self.ok("dataset", "other users cannot write to it")?,
            Err(error) => self.fail("dataset", &error.to_string())?,
        }
        self.disk("disk of the dataset", path)
    }

    fn disk(&mut self, what: &str, path: &Path) -> io::Result<()> {
        match free_bytes(path) {
            Ok(free) if free < LOW_DISK_BYTES => self.fail(
                what,
                &format!(
                    "only {} free, less than 1 GiB. Free some space: an initial load of a municipality needs several GB",
                    HumanBytes(free)
                ),
            ),
            Ok(free) => self.ok(what, &format!("{} free", HumanBytes(free))),
            Err(error) => self.fail(what, &error.to_string()),
        }
    }

    fn agreement(&mut self, agreement: &Agreement, has_tenants: bool) -> io::Result<()> {
        writeln!(self.out, "agreement {}", agreement.name)?;
        match &agreement.unrestricted {
            Some(purpose) => self.ok("purpose", purpose)?,
            None if has_tenants => self.ok("purpose", "each tenant has its own")?,
            None if self.has_no_file => self.warn(
                "purpose",
                "`cprflow sync` needs --unrestricted PURPOSE",
            )?,
            None => self.fail(
                "purpose",
                "neither a tenant nor a purpose is configured, so `cprflow sync` refuses to run without --unrestricted \
                 PURPOSE. Add a tenant, or unrestricted = \"PURPOSE\"",
            )?,
        }
        self.legal_basis(agreement.legal_basis.as_deref())?;
        self.church(agreement)?;
        self.service(agreement)?;
        let mut transport = match connect(&agreement.inbox, &agreement.sftp) {
            Ok(transport) => transport,
            Err(error) => return self.fail("connection", &error.to_string()),
        };
        self.ok("connection", &format!("connected to {}", agreement.inbox))?;
        match transport.list() {
            Ok(listing) => self.ok("folder", &format!("{} files", listing.entries.len())),
            Err(error) => self.fail("folder", &error.to_string()),
        }
    }

    fn legal_basis(&mut self, legal_basis: Option<&str>) -> io::Result<()> {
        match legal_basis {
            Some(text) => self.ok("legal basis", text),
            None => Ok(()),
        }
    }

    /// Checks that church membership has a purpose of its own, if all data is published.
    fn church(&mut self, agreement: &Agreement) -> io::Result<()> {
        match (&agreement.unrestricted, &agreement.church_purpose) {
            (None, _) => Ok(()),
            (Some(_), Some(purpose)) => self.ok("church", purpose),
            (Some(_), None) if agreement.orders_church() => self.fail(
                "church",
                "record types 011 and 028 need a purpose of their own: church = { purpose = \"…\" }",
            ),
            (Some(_), None) => self.ok(
                "church",
                "no purpose; an extract with church membership would be set aside",
            ),
        }
    }

    /// Checks the client certificates of the subscription service. Does not connect to the service.
    fn service(&mut self, agreement: &Agreement) -> io::Result<()> {
        let Some(service) = &agreement.service else {
            return Ok(());
        };
        let client = match subscription::connect(service) {
            Ok(client) => client,
            Err(error) => return self.fail("service", &error.to_string()),
        };
        let warnings = client.warnings(jiff::Timestamp::now());
        for warning in &warnings {
            self.fail("client certificate", &warning.to_string())?;
        }
        let validity = format!(
            "{} is valid until {} ({} days left)",
            client.certificate().display(),
            danish_time(client.certificate_ends()).date(),
            days_until(client.certificate_ends()),
        );
        self.ok("client certificate", &validity)
    }

    fn ok(&mut self, what: &str, details: &str) -> io::Result<()> {
        self.print(AnsiColor::Green, "ok", what, details)
    }

    fn fail(&mut self, what: &str, details: &str) -> io::Result<()> {
        self.failed += 1;
        self.print(AnsiColor::Red, "FAIL", what, details)
    }

    /// Prints something that may be intended, and does not count as a failure.
    fn warn(&mut self, what: &str, details: &str) -> io::Result<()> {
        self.print(AnsiColor::Yellow, "warn", what, details)
    }

    fn print(
        &mut self,
        color: AnsiColor,
        result: &str,
        what: &str,
        details: &str,
    ) -> io::Result<()> {
        let style = Style::new().bold().fg_color(Some(color.into()));
        writeln!(self.out, "  {style}{result:4}{style:#}  {what}: {details}")
    }
}

/// Returns the number of whole days until a time.
fn days_until(end: jiff::Timestamp) -> i64 {
    end.duration_since(jiff::Timestamp::now()).as_hours() / 24
}
