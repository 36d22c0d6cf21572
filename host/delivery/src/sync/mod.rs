//! A run: publishes every delivery that is ready in the inboxes of a store, and then removes it from the server.
//!
//! Each step is durable before the next one begins, and nothing is removed before its successor is on the disk. The
//! [ledger](crate::Ledger) records each step, so that the next run continues where this one stopped.
//!
//! | step | module |
//! |---|---|
//! | find the deliveries that are complete on the server | [`discover`] |
//! | download an extract to the spool and scan it meanwhile | `download`, `stage` |
//! | decide about the delivery and carry that out | `decide`, `inbox_run` |
//! | keep the extract in the register, which commits the delivery | `keep` |
//! | move the tables into the unrestricted dataset | `publish` |
//! | publish to each tenant from the spool, in threads | `tenants` |
//! | make the current tables from the register | `current` |
//! | withdraw the current tables of tenants that are not configured any more | `former_tenants` |
//! | remove the copy on the server | `remote_cleanup` |
//!
//! A copy on the server is kept until every tenant without a fault has the delivery. The spool keeps the extract for the
//! other tenants.

mod adopt;
pub(crate) mod completeness;
mod connection;
mod current;
mod decide;
pub(crate) mod discover;
mod download;
mod error;
mod former_tenants;
mod inbox_run;
mod keep;
mod observer;
mod publish;
mod remote_cleanup;
mod report;
mod run;
mod stage;
mod tenants;

pub(crate) use decide::NO_PRODUCTION_DATE;
pub use discover::{FoundDelivery, Inventory, OrphanedMetadata, Waiting, discover};
pub use error::SyncError;
pub use observer::{Observer, Silent};
pub use report::{
    MadeCurrent, MissingDeliveries, PublishedDelivery, RewrittenDelivery, RunProblem, RunReport,
    SkippedFile,
};
pub use run::{Sync, run_all};
pub(crate) use stage::stage;
pub use tenants::{TenantPublishError, tenant_part_scan, tenant_scan};
pub(crate) use tenants::{numbers_in, publish_leavers};
