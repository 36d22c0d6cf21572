//! Errors of publishing a delivery to a tenant.

use std::path::PathBuf;

/// Why a delivery cannot be published to a tenant, or an extract cannot be read as a tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantPublishError {
    /// The tenant may not see data of the agreement that the caller named.
    #[error(
        "tenant {tenant} may not see data of that agreement, only of {agreements}. Name one of these, or add the \
         agreement to the tenant in the configuration"
    )]
    AgreementNotVisible {
        /// The tenant's name.
        tenant: String,
        /// The agreements of the tenant, separated by commas.
        agreements: String,
    },

    /// The tenant may see data of several agreements, and the caller named none.
    #[error(
        "tenant {tenant} may see data of several agreements. Name the one of this extract with --agreement: {agreements}"
    )]
    AgreementNotNamed {
        /// The tenant's name.
        tenant: String,
        /// The agreements of the tenant, separated by commas.
        agreements: String,
    },

    /// The task number of an extract is not one of the agreement's.
    #[error(
        "the extract is not of agreement {agreement}: its task number is none of those in the configuration \
         (files.task_numbers). `cprflow verify` shows its task number; ask the sender which agreement it belongs to"
    )]
    WrongAgreement {
        /// The agreement's name.
        agreement: String,
    },

    /// The extract is no longer in the spool.
    #[error(
        "the extract is gone from the spool. Order its persons again (`cprflow subscription reorder`), and set this \
         delivery aside: cprflow set-aside {transfer} --tenant {tenant} --reason …"
    )]
    ExtractGone {
        /// The UUID of the transfer.
        transfer: String,
        /// The tenant's name.
        tenant: String,
    },

    /// The list of the persons of a later delivery is gone.
    #[error(
        "the delivery is older than one that the tenant has, and {path}, which lists the persons of that later delivery, is \
         gone: persons who left the scope since could come back. Set this delivery aside (cprflow set-aside {transfer} \
         --tenant {tenant} --reason …), and order missing persons again (`cprflow subscription reorder`)",
        path = path.display()
    )]
    DeliveredPersonsGone {
        /// The missing file.
        path: PathBuf,
        /// The UUID of the transfer that cannot be published.
        transfer: String,
        /// The tenant's name.
        tenant: String,
    },

    /// The tenant's roster is gone, so that leavers cannot be reported.
    #[error(
        "the roster {path} is gone, so that persons who leave the scope cannot be reported. Either put it back from a \
         backup; or move the deliveries of agreement {agreement} out of {dataset}, accept that they are gone (cprflow \
         set-aside --gone --tenant {tenant} --reason …), and order the persons again (`cprflow subscription reorder`)",
        path = path.display(),
        dataset = dataset.display()
    )]
    RosterGone {
        /// The missing roster.
        path: PathBuf,
        /// The agreement's name.
        agreement: String,
        /// The tenant's name.
        tenant: String,
        /// The tenant's dataset.
        dataset: PathBuf,
    },

    /// The directory of a tenant has data that was made for another tenant.
    #[error(
        "{path} has data that was made for tenant {other}, whose policy can show more than that of tenant {tenant}. Until \
         it is moved away, tenant {tenant} gets nothing, and no run removes it. Give tenant {tenant} an empty directory, or \
         move the data of tenant {other} away",
        path = path.display()
    )]
    OtherTenant {
        /// The directory of the delivery or the generation.
        path: PathBuf,
        /// The tenant that has the dataset in the configuration.
        tenant: String,
        /// The tenant whose data it is.
        other: String,
    },

    /// The directory of a tenant has data that was made without a tenant's policy.
    #[error(
        "{path} has unrestricted data, which can show what tenant {tenant} may not see. Until it is moved away, tenant \
         {tenant} gets nothing, and no run removes it. Give tenant {tenant} an empty directory, or move the unrestricted data \
         away",
        path = path.display()
    )]
    Unrestricted {
        /// The directory of the delivery or the generation.
        path: PathBuf,
        /// The tenant that has the dataset in the configuration.
        tenant: String,
    },

    /// The register lacks extracts that could say who is protected from a tenant.
    #[error(
        "the register lacks extracts, so a protection could be missing. New deliveries for tenant {tenant} wait until the \
         register is complete, and those that must be made again are removed until then. Restore the state directory from a backup. Without a \
         backup, order a new full load (`cprflow subscription reorder`), and when it has come, run `cprflow register \
         accept-missing AGREEMENT`"
    )]
    RegisterIncomplete {
        /// The tenant's name.
        tenant: String,
    },

    /// The register lacks extracts, or records of them, that could say who is protected from a tenant: an extract is not
    /// shown outside of a run.
    #[error(
        "the register lacks extracts of an agreement of tenant {tenant}, or records of them, so a protection could be missing \
         and the extract is not shown. `cprflow status` names the agreement. Restore the state directory from a backup. \
         Without a backup, order a new full load (`cprflow subscription reorder`), and when it has come, run `cprflow \
         register accept-missing AGREEMENT`"
    )]
    ScanRegisterIncomplete {
        /// The tenant's name.
        tenant: String,
    },

    /// A state directory is lost or is an older copy, so it cannot say who is protected from a tenant: an extract is not
    /// shown outside of a run.
    #[error(
        "the dataset {dataset} of tenant {tenant}, or the register, has something that no ledger knows, so a protection could \
         be missing and the extract is not shown. A state directory was lost, is an older copy, or is not the one of this \
         dataset. Name the right one, or restore it from a backup (`cprflow restore`). Then run `cprflow sync`, and scan the \
         extract again",
        dataset = dataset.display()
    )]
    ScanStateUnknown {
        /// The tenant's name.
        tenant: String,
        /// The tenant's dataset.
        dataset: PathBuf,
    },

    /// The component returned no selection of persons.
    #[error(
        "the component returned no selection of persons. This is a bug in the component: report it with this message"
    )]
    NoSelection,

    /// The operating system refused to start a thread.
    #[error(
        "cannot start a thread for the tenant: the system allows this user too few processes or threads. Raise the limit \
         (`ulimit -u`, or TasksMax= of the systemd unit); the next run tries again"
    )]
    NoThread,

    /// A thread of an earlier run still uses the tenant's dataset.
    #[error(
        "a thread of an earlier run still uses the dataset {dataset} and does not respond. Check whether its disk \
         responds; the tenant's deliveries wait until then",
        dataset = dataset.display()
    )]
    DatasetBusy {
        /// The tenant's dataset.
        dataset: PathBuf,
    },
}
