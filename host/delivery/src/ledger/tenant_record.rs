//! The state of a delivery for one tenant.

use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;

use super::Reason;
use super::record::{optional_time, time, unreadable};

/// The state of a delivery for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantDeliveryState {
    /// The delivery is not published to the tenant yet, or publishing it failed. The spool keeps the extract.
    Waiting,
    /// The delivery has a sequence number in the tenant's dataset, and may already be in the dataset.
    Publishing,
    /// The delivery is in the tenant's dataset and the new roster is stored, both on the disk.
    Published,
    /// A person decided that the tenant does not get the delivery.
    SetAside,
}

impl TenantDeliveryState {
    pub(super) const ALL: [Self; 4] = [
        Self::Waiting,
        Self::Publishing,
        Self::Published,
        Self::SetAside,
    ];

    /// Returns the name in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::SetAside => "set-aside",
        }
    }

    /// Returns whether the tenant no longer needs the extract: the delivery is published or set aside.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Published | Self::SetAside)
    }
}

/// A delivery as one tenant gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantDelivery {
    /// The row ID of the delivery.
    #[serde(skip)]
    pub delivery: i64,
    /// The name of the tenant.
    pub tenant: String,
    /// The name of the agreement.
    pub agreement: String,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// The state of the delivery for the tenant.
    pub state: TenantDeliveryState,
    /// The error of the last attempt, or the reason why the delivery was set aside. Of a published delivery: what
    /// a person decided, with the code `gone` (it is no longer in the dataset) or `leavers-only`.
    pub reason: Option<Reason>,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The sequence number in the tenant's dataset.
    pub sequence: Option<u64>,
    /// The directory in the tenant's dataset, below the directory of the agreement.
    pub directory: Option<String>,
    /// The counts of what was published.
    #[serde(flatten)]
    pub counts: TenantCounts,
    /// The version of the list of protected persons with which it was compared last; 0 for none.
    #[serde(skip)]
    pub hidden: u64,
    /// The time of publication.
    pub published: Option<Timestamp>,
    /// The time at which its directory was removed from the dataset, because it was kept long enough.
    pub expired: Option<Timestamp>,
    /// The time of the last change.
    pub updated: Timestamp,
}

impl TenantDelivery {
    /// Returns whether the delivery was set aside for the tenant and published with its leavers only.
    pub fn has_leavers_only(&self) -> bool {
        let mut reason = self.reason.iter();
        self.state == TenantDeliveryState::Published
            && reason.any(|reason| reason.code == LEAVERS_ONLY)
    }
}

/// The reason code of a delivery that was set aside for a tenant and published with its leavers only.
pub(crate) const LEAVERS_ONLY: &str = "leavers-only";

/// The counts of what a tenant got of a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TenantCounts {
    /// The digest of the policy.
    pub policy: String,
    /// The number of persons in scope.
    pub persons: u64,
    /// The number of persons in scope who were not in scope before.
    pub entered: u64,
    /// The number of persons who are no longer in scope.
    pub left: u64,
    /// The number of rows in all tables.
    pub rows: u64,
}

/// The query whose rows [`read_tenant_delivery`] reads.
pub(super) const SELECT: &str = "
SELECT tenant_delivery.delivery, tenant_delivery.tenant, delivery.agreement, delivery.transfer_uuid,
    tenant_delivery.state, tenant_delivery.reason_code, tenant_delivery.reason, tenant_delivery.attempts,
    tenant_delivery.sequence, tenant_delivery.directory, tenant_delivery.policy, tenant_delivery.persons,
    tenant_delivery.entered, tenant_delivery.departed, tenant_delivery.rows, tenant_delivery.published,
    tenant_delivery.updated, tenant_delivery.expired, tenant_delivery.hidden
FROM tenant_delivery JOIN delivery ON delivery.id = tenant_delivery.delivery";

pub(super) fn read_tenant_delivery(row: &Row<'_>) -> rusqlite::Result<TenantDelivery> {
    let state: String = row.get(4)?;
    let state = TenantDeliveryState::ALL
        .into_iter()
        .find(|known| known.name() == state);
    let code: Option<String> = row.get(5)?;
    let message: Option<String> = row.get(6)?;
    let count = |column: usize| row.get::<_, i64>(column).map(|count| count as u64);
    Ok(TenantDelivery {
        delivery: row.get(0)?,
        tenant: row.get(1)?,
        agreement: row.get(2)?,
        transfer_uuid: row.get(3)?,
        state: state.ok_or_else(|| unreadable(4, "unknown state"))?,
        reason: code.map(|code| Reason::new(code, message.unwrap_or_default())),
        attempts: row.get(7)?,
        sequence: row.get::<_, Option<i64>>(8)?.map(|number| number as u64),
        directory: row.get(9)?,
        counts: TenantCounts {
            policy: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
            persons: count(11)?,
            entered: count(12)?,
            left: count(13)?,
            rows: count(14)?,
        },
        hidden: count(18)?,
        published: optional_time(row, 15)?,
        updated: time(row, 16)?,
        expired: optional_time(row, 17)?,
    })
}
