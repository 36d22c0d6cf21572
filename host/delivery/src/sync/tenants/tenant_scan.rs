//! Scans an extract as a tenant sees it, outside a run.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::Path;

use jiff::Timestamp;

use super::error::TenantPublishError;
use super::produce_again::numbers_in;
use super::protecting_extracts::ProtectingExtracts;
use super::ready::{ReadyTenant, previous_roster};
use crate::agreement::Agreement;
use crate::config::{Configuration, Store};
use crate::current::{RegisterSource, protected_persons};
use crate::dataset::{Dataset, GenerationManifest};
use crate::error::Error;
use crate::ledger::{KeptExtract, Ledger};
use crate::names::AgreementName;
use crate::register::{Register, open_file};
use crate::sync::completeness;
use crate::sync::stage::examine;
use crate::tenant::Tenant;
use cprflow::policy::ProtectionRule;
use cprflow::{Connector, Pnr, Scan, StartRecord, StateScan};

/// Returns the scan of what a tenant would receive of a delivery that arrived now. Reads the tenant's roster and does not
/// change it.
///
/// The caller runs the scan with [`Scan::read_with_policy`]. `agreement` may be `None` if the tenant sees one agreement
/// only. `open` opens the extract, which is read to its end before the scan: to check that it belongs to the agreement and
/// has all the records that the policy depends on, and to find the persons whom other extracts protect.
pub fn tenant_scan<R: Read + Send + 'static>(
    connector: &Connector,
    configuration: &Configuration,
    tenant: &str,
    agreement: Option<&str>,
    open: impl Fn() -> io::Result<R> + Clone + Send + 'static,
) -> Result<Scan, Error> {
    let tenant = configuration.tenant(tenant)?;
    let names: Vec<_> = tenant
        .agreements
        .iter()
        .map(AgreementName::as_str)
        .collect();
    let agreement = match (agreement, names.as_slice()) {
        (Some(name), _) if tenant.sees(name) => name,
        (None, [only]) => only,
        (Some(_), _) => {
            return Err(TenantPublishError::AgreementNotVisible {
                tenant: tenant.name.to_string(),
                agreements: names.join(", "),
            }
            .into());
        }
        (None, _) => {
            return Err(TenantPublishError::AgreementNotNamed {
                tenant: tenant.name.to_string(),
                agreements: names.join(", "),
            }
            .into());
        }
    };
    let has_agreement = |store: &&Store| {
        let mut own = store.agreements.iter();
        own.any(|own| own.name.as_str() == agreement)
    };
    let store = configuration.stores.iter().find(has_agreement);
    let mut roster = None;
    if let Some(store) = store
        && let Some(ledger) = Ledger::open_to_read(&store.state)?
    {
        let newest = ledger.newest_tenant_sequence(tenant.name.as_str(), agreement)?;
        roster = previous_roster(&store.state, tenant, agreement, newest)?;
    }
    let ready = ReadyTenant::new(connector, tenant)?;
    let limits = tenant.limits.sandbox();
    let extract = open().map_err(cprflow::Error::Input)?;
    let examined = examine(Scan::new(connector).limits(limits), extract, |_| {}).map_err(
        |error| match error {
            Error::Extract(error) => error.of_tenant(Some(tenant.name.as_str())).into(),
            other => other,
        },
    )?;
    if let Some(broken) = examined.broken {
        return Err(cprflow::Error::from(broken).into());
    }
    completeness::check(&ready.policy, &examined.summary)?;
    let is_named = |one: &&Agreement| one.name.as_str() == agreement;
    if let Some(agreement) = configuration.agreements().find(is_named) {
        check_task_number(agreement, examined.summary.start.as_ref())?;
    }
    let protected = match store {
        Some(store) if ready.policy.protection != ProtectionRule::Include => {
            let start = examined.summary.start.as_ref();
            let date = start.and_then(|start| start.production_date.as_deref());
            protected_elsewhere(connector, store, tenant, agreement, date, open)?
        }
        _ => BTreeSet::new(),
    };
    let scan = ready.scan(connector, roster, None);
    Ok(scan.protected(&protected).tenant(tenant.name.as_str()))
}

/// The name of the file of an extract that is not in the register. No kept extract has this name.
const SCANNED: &str = "(scanned)";

/// Returns the persons in an extract who are protected by what the extract itself does not say: by the older deliveries of its
/// agreement, by the tenant's other agreements, by those that it had before, and by records of erased persons.
///
/// These are the persons whom a run would hide if it applied the extract now. Fails if an extract that could protect somebody
/// may be missing.
fn protected_elsewhere<R: Read + Send + 'static>(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    agreement: &str,
    production_date: Option<&str>,
    open: impl Fn() -> io::Result<R> + Clone + Send + 'static,
) -> Result<BTreeSet<Pnr>, Error> {
    check_ledgers(store, tenant)?;
    let sources = RegisterSource::with_former_to_read(store, tenant)?;
    let extracts = ProtectingExtracts::of_sources(&sources)?;
    let mut all = extracts.oldest_first();
    let lacks_records =
        |(_, kept): &(Register, KeptExtract)| completeness::code_of(kept.incomplete.as_deref());
    if !extracts.is_complete || all.iter().any(|kept| lacks_records(kept).is_some()) {
        let tenant = tenant.name.to_string();
        return Err(TenantPublishError::ScanRegisterIncomplete { tenant }.into());
    }
    if all.is_empty() && extracts.protected.is_empty() {
        return Ok(BTreeSet::new());
    }
    let days = all.iter().map(|(_, kept)| kept.production_date.as_str());
    // Without a day, it is taken for the newest.
    let day = production_date.or(days.max()).unwrap_or(UNKNOWN_DAY);
    let scanned = (Register::of(&store.state), scanned(agreement, day));
    let path = scanned.0.path(&scanned.1);
    all.push(scanned.clone());
    let open_any = {
        let open = open.clone();
        move |wanted: &Path| -> io::Result<Box<dyn Read + Send>> {
            Ok(match wanted == path {
                true => Box::new(open()?),
                false => Box::new(open_file(wanted)?),
            })
        }
    };
    let scan = StateScan::new(connector)
        .limits(tenant.limits.sandbox())
        .tenant(tenant.name.as_str());
    let hidden = protected_persons(&scan, &all, &extracts.protected, open_any.clone())?;
    let extract = open().map_err(cprflow::Error::Input)?;
    let found = numbers_in(extract, &hidden).map_err(cprflow::Error::Input)?;
    if found.is_empty() {
        return Ok(found);
    }
    // What the extract itself says of a person needs no help.
    let own = protected_persons(&scan, &[scanned], &BTreeSet::new(), open_any)?;
    Ok(&found - &own)
}

/// The day of an extract without a production date, if there is no other extract.
const UNKNOWN_DAY: &str = "1900-01-01";

/// Returns the description of an extract as if the register had it, after all others of its day.
fn scanned(agreement: &str, day: &str) -> KeptExtract {
    KeptExtract {
        id: 0,
        agreement: agreement.to_owned(),
        delivery: 0,
        sequence: u64::MAX,
        production_date: day.to_owned(),
        task_number: None,
        sha256: String::new(),
        size: 0,
        file: SCANNED.to_owned(),
        file_size: 0,
        file_sha256: String::new(),
        is_unrestricted: false,
        incomplete: None,
        kept: Timestamp::UNIX_EPOCH,
    }
}

/// Fails if the tenant's dataset or the register has something that no ledger knows. A run would learn it first.
fn check_ledgers(store: &Store, tenant: &Tenant) -> Result<(), Error> {
    let name = tenant.name.as_str();
    let mut directories = BTreeSet::new();
    let mut days = BTreeSet::new();
    let mut has_unknown = false;
    match Ledger::open_to_read(&store.state)? {
        None => {
            let register = Register::of(&store.state);
            for agreement in &tenant.agreements {
                has_unknown |= !register.files(agreement.as_str())?.is_empty();
            }
        }
        Some(ledger) => {
            directories.extend(ledger.tenant_directories(name)?);
            days.extend(ledger.all()?.into_iter().filter_map(|record| {
                let day = record.production_date()?.to_owned();
                Some((record.agreement, day))
            }));
        }
    }
    let published = Dataset::delivery_names(&tenant.dataset)?;
    has_unknown |= !published.is_subset(&directories);
    if let Some(current) = GenerationManifest::current(&tenant.dataset)? {
        let is_known = |former: &String| days.iter().any(|(agreement, _)| agreement == former);
        has_unknown |= !current.former_agreements.iter().all(is_known);
        let extracts = current.extracts.into_iter();
        let mut used = extracts.map(|extract| (extract.agreement, extract.production_date));
        has_unknown |= used.any(|extract| !days.contains(&extract));
    }
    match has_unknown {
        false => Ok(()),
        true => Err(TenantPublishError::ScanStateUnknown {
            tenant: name.to_owned(),
            dataset: tenant.dataset.clone(),
        }
        .into()),
    }
}

/// Returns the scan of a part of an extract that [`tenant_scan`] has read and that was divided for other processes.
pub fn tenant_part_scan(
    connector: &Connector,
    configuration: &Configuration,
    tenant: &str,
) -> Result<Scan, Error> {
    let tenant = configuration.tenant(tenant)?;
    let ready = ReadyTenant::new(connector, tenant)?;
    let scan = ready.scan(connector, None, None);
    Ok(scan.tenant(tenant.name.as_str()))
}

/// Fails if the agreement names its task numbers and the extract's is not among them.
fn check_task_number(
    agreement: &Agreement,
    start: Option<&StartRecord>,
) -> Result<(), TenantPublishError> {
    let own = &agreement.files.task_numbers;
    let number = start.map(|start| &start.task_number);
    match own.is_empty() || number.is_some_and(|number| own.contains(number)) {
        true => Ok(()),
        false => Err(TenantPublishError::WrongAgreement {
            agreement: agreement.name.to_string(),
        }),
    }
}
