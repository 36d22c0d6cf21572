//! What the ledger remembers of tenants beside their deliveries: where their data is, which agreements they have seen,
//! and what a person has to decide before new tables are made for them.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::record::{optional_time, time};
use super::{AdoptedDataset, Ledger, LedgerError};

/// The tables of this module.
pub(super) const TABLES: &str = "
-- The directories in which data of tenants was published. The tenant is empty for the unrestricted dataset.
CREATE TABLE tenant_dataset (
    tenant TEXT NOT NULL,
    dataset TEXT NOT NULL,
    PRIMARY KEY (tenant, dataset)
) STRICT;
-- The agreements that tenants may see or have seen.
CREATE TABLE tenant_agreement (
    tenant TEXT NOT NULL,
    agreement TEXT NOT NULL,
    PRIMARY KEY (tenant, agreement)
) STRICT;
-- Why the current tables of a dataset could not be made.
CREATE TABLE current_failure (
    dataset TEXT PRIMARY KEY,
    error TEXT NOT NULL
) STRICT;
-- The policies that hide more than half of the persons of a tenant.
CREATE TABLE policy_change (
    tenant TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    persons INTEGER NOT NULL,
    hidden INTEGER NOT NULL,
    since TEXT NOT NULL,
    accepted TEXT
) STRICT;
";

/// A change of a tenant's policy that hides more than half of the tenant's persons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// The digest of the new policy.
    pub policy: String,
    /// The number of persons in scope under the old policy.
    pub persons: u64,
    /// The number of those who are hidden under the new one.
    pub hidden: u64,
    /// The time at which a run found it.
    pub since: Timestamp,
    /// The time at which a person accepted it; `None` before.
    pub accepted: Option<Timestamp>,
}

impl Ledger {
    /// Records the directory of a tenant's dataset, and the agreements of this ledger that the tenant may see.
    pub(crate) fn remember_tenant<'a>(
        &self,
        tenant: &str,
        dataset: &Path,
        agreements: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), LedgerError> {
        // A path that is not UTF-8 is shown in part, and then no directory is found there.
        self.change(
            "INSERT OR IGNORE INTO tenant_dataset (tenant, dataset) VALUES (?1, ?2)",
            [tenant, &dataset.to_string_lossy()],
        )?;
        for agreement in agreements {
            self.change(
                "INSERT OR IGNORE INTO tenant_agreement (tenant, agreement) VALUES (?1, ?2)",
                [tenant, agreement],
            )?;
        }
        Ok(())
    }

    /// Records the directory of the unrestricted dataset.
    pub(crate) fn remember_dataset(&self, dataset: &Path) -> Result<(), LedgerError> {
        self.change(
            "INSERT OR IGNORE INTO tenant_dataset (tenant, dataset) VALUES ('', ?1)",
            [&dataset.to_string_lossy()],
        )
    }

    /// Returns the directories that the unrestricted dataset has or had.
    pub(crate) fn unrestricted_datasets(&self) -> Result<Vec<PathBuf>, LedgerError> {
        let sql = "SELECT dataset FROM tenant_dataset WHERE tenant = '' ORDER BY dataset";
        self.rows(sql, [], |row| Ok(PathBuf::from(row.get::<_, String>(0)?)))
    }

    /// Returns the directories in which data of tenants was published: the tenant's name and the directory.
    pub(crate) fn tenant_datasets(&self) -> Result<Vec<(String, PathBuf)>, LedgerError> {
        let sql = "SELECT tenant, dataset FROM tenant_dataset WHERE tenant <> '' ORDER BY tenant, dataset";
        self.rows(sql, [], |row| {
            Ok((row.get(0)?, PathBuf::from(row.get::<_, String>(1)?)))
        })
    }

    /// Returns the agreements that a tenant may see or has seen, as far as this ledger has deliveries of them.
    pub(crate) fn agreements_seen(&self, tenant: &str) -> Result<Vec<String>, LedgerError> {
        let sql = "SELECT agreement FROM (
                       SELECT agreement FROM tenant_agreement WHERE tenant = ?1
                       UNION
                       SELECT delivery.agreement FROM tenant_delivery
                           JOIN delivery ON delivery.id = tenant_delivery.delivery
                           WHERE tenant_delivery.tenant = ?1)
                   WHERE agreement IN (SELECT agreement FROM delivery) ORDER BY agreement";
        self.rows(sql, [tenant], |row| row.get(0))
    }

    /// Returns the names of all tenants that the ledger knows.
    pub(crate) fn tenants_known(&self) -> Result<Vec<String>, LedgerError> {
        let sql = "SELECT tenant FROM tenant_dataset WHERE tenant <> '' UNION SELECT tenant FROM tenant_delivery
                   UNION SELECT substr(dataset, 8) FROM generation WHERE dataset LIKE 'tenant=%'";
        self.rows(sql, [], |row| row.get(0))
    }

    /// Records why the current tables of a dataset could not be made; `None` if they are up to date.
    pub(super) fn set_current_failure(
        &self,
        dataset: AdoptedDataset<'_>,
        error: Option<&str>,
    ) -> Result<(), LedgerError> {
        let name = dataset.name();
        match error {
            None => self.change("DELETE FROM current_failure WHERE dataset = ?1", [name]),
            Some(error) => self.change(
                "INSERT OR REPLACE INTO current_failure (dataset, error) VALUES (?1, ?2)",
                [name.as_str(), error],
            ),
        }
    }

    /// Returns why the current tables of a dataset could not be made; `None` if they could.
    pub(crate) fn current_failure(
        &self,
        dataset: AdoptedDataset<'_>,
    ) -> Result<Option<String>, LedgerError> {
        let found = self.connection.query_row(
            "SELECT error FROM current_failure WHERE dataset = ?1",
            [dataset.name()],
            |row| row.get(0),
        );
        self.checked(found.optional())
    }

    /// Returns the change of a tenant's policy that was found last.
    pub(crate) fn policy_change(&self, tenant: &str) -> Result<Option<PolicyChange>, LedgerError> {
        let found = self.connection.query_row(
            "SELECT policy, persons, hidden, since, accepted FROM policy_change WHERE tenant = ?1",
            [tenant],
            |row| {
                let count = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
                Ok(PolicyChange {
                    policy: row.get(0)?,
                    persons: count(1)?,
                    hidden: count(2)?,
                    since: time(row, 3)?,
                    accepted: optional_time(row, 4)?,
                })
            },
        );
        self.checked(found.optional())
    }

    /// Records a change of a tenant's policy, or forgets it.
    pub(crate) fn set_policy_change(
        &self,
        tenant: &str,
        change: Option<&PolicyChange>,
    ) -> Result<(), LedgerError> {
        let Some(change) = change else {
            return self.change("DELETE FROM policy_change WHERE tenant = ?1", [tenant]);
        };
        self.change(
            "INSERT OR REPLACE INTO policy_change (tenant, policy, persons, hidden, since, accepted)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                tenant,
                change.policy,
                change.persons.cast_signed(),
                change.hidden.cast_signed(),
                change.since.to_string(),
                change.accepted.map(|accepted| accepted.to_string()),
            ],
        )
    }
}
