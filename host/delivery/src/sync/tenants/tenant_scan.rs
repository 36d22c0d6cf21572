//! Scans an extract as a tenant sees it, outside a run.

use std::collections::BTreeSet;
use std::io::Read;

use super::error::TenantPublishError;
use super::ready::{ReadyTenant, previous_roster};
use crate::agreement::Agreement;
use crate::config::{Configuration, Store};
use crate::current::RegisterSource;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::names::AgreementName;
use crate::sync::completeness;
use crate::sync::stage::examine;
use crate::tenant::Tenant;
use crate::tenant::hidden::HiddenPersons;
use cprflow::policy::ProtectionRule;
use cprflow::{Connector, Pnr, Scan, StartRecord};

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
            protected_before(store, tenant)?
        }
        _ => BTreeSet::new(),
    };
    let scan = ready.scan(connector, roster, None);
    Ok(scan.protected(&protected).tenant(tenant.name.as_str()))
}

/// Returns the persons who were protected from a tenant at the last run, by what any of its agreements said.
fn protected_before(store: &Store, tenant: &Tenant) -> Result<BTreeSet<Pnr>, Error> {
    let mut protected = BTreeSet::new();
    for source in RegisterSource::of_tenant(store, tenant) {
        protected.extend(source.protected()?);
    }
    let hidden = HiddenPersons::read(&store.state, tenant.name.as_str())?;
    protected.extend(hidden.into_iter().flat_map(|hidden| hidden.numbers));
    Ok(protected)
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
