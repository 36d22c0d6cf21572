//! Scans an extract as a tenant sees it, outside a run.

use std::collections::BTreeSet;
use std::io::Read;

use super::error::TenantPublishError;
use super::ready::{ReadyTenant, previous_roster};
use crate::agreement::Agreement;
use crate::config::{Configuration, Store};
use crate::current::{RegisterSource, protected_persons};
use crate::error::Error;
use crate::ledger::Ledger;
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
/// only. `extract` is read to its end before the scan, to check that it belongs to the agreement and has all the records
/// that the policy depends on.
pub fn tenant_scan(
    connector: &Connector,
    configuration: &Configuration,
    tenant: &str,
    agreement: Option<&str>,
    extract: impl Read,
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
            protected_elsewhere(connector, store, tenant, agreement)?
        }
        _ => BTreeSet::new(),
    };
    let scan = ready.scan(connector, roster, None);
    Ok(scan.protected(&protected).tenant(tenant.name.as_str()))
}

/// Returns the persons whom the tenant's other agreements protect, and records of erased persons.
fn protected_elsewhere(
    connector: &Connector,
    store: &Store,
    tenant: &Tenant,
    agreement: &str,
) -> Result<BTreeSet<Pnr>, Error> {
    let mut known = BTreeSet::new();
    let mut extracts = Vec::new();
    for source in RegisterSource::of_tenant(store, tenant) {
        known.extend(source.protected()?);
        let Some(ledger) = Ledger::open_to_read(&source.state)? else {
            continue;
        };
        let register = Register::of(&source.state);
        for kept in ledger.applied_extracts()? {
            let is_other = source.is_own(&kept.agreement) && kept.agreement != agreement;
            if is_other && register.has(&kept) {
                extracts.push((register.clone(), kept));
            }
        }
    }
    let scan = StateScan::new(connector)
        .limits(tenant.limits.sandbox())
        .tenant(tenant.name.as_str());
    protected_persons(&scan, &extracts, &known, open_file)
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
