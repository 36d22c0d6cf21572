//! Errors of the decisions of an operator.

use std::path::PathBuf;

use jiff::civil::Date;

use crate::names::AgreementName;

/// Why a decision of the operator about a delivery is refused. File names are redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// No delivery of this name is set aside.
    #[error(
        "no delivery {name:?} is set aside. Run `cprflow status` to list the deliveries that are"
    )]
    NotSetAside {
        /// The name that the operator gave.
        name: String,
    },

    /// The extract's production date is in the future, and no day is given for its place in the order.
    #[error(
        "the production date of {name} is in the future, so its place among the deliveries is not known. Add --as-of \
         YYYY-MM-DD with the day that its data shows"
    )]
    NoDay {
        /// The file's name.
        name: String,
    },

    /// A day is given for an extract with a production date in the future, and the finding is not accepted.
    #[error(
        "{name} is set aside because it says that it was produced in the future. Add --accept future-date if it is to \
         be published with the day of --as-of instead"
    )]
    FutureNotAccepted {
        /// The file's name.
        name: String,
    },

    /// A day is given for an extract that was not set aside because of its production date.
    #[error(
        "{name} is not set aside because of its production date, which gives it its place among the deliveries. Leave \
         --as-of out"
    )]
    DayNotNeeded {
        /// The file's name.
        name: String,
    },

    /// The given day is in the future.
    #[error("--as-of: give a day up to today, {today}, because the data cannot be of a later day")]
    DayInFuture {
        /// The present day in Denmark.
        today: Date,
    },

    /// The delivery is published, so that it cannot be set aside.
    #[error(
        "{name} is published already and cannot be set aside. Run `cprflow status` to see what waits"
    )]
    AlreadyPublished {
        /// The file's name.
        name: String,
    },

    /// Neither the ledger nor an inbox has a delivery of this name.
    #[error(
        "there is no delivery {name:?} in the ledger or in an inbox. Run `cprflow status` to list the deliveries"
    )]
    Unknown {
        /// The name that the operator gave.
        name: String,
    },

    /// Several deliveries have this name.
    #[error(
        "{count} deliveries are called {name:?}. Name one by its transfer UUID (`cprflow status --format json`)"
    )]
    Ambiguous {
        /// How many deliveries have it.
        count: usize,
        /// The name that the operator gave.
        name: String,
    },

    /// No delivery of this name was downloaded and accepted, so that no tenant can receive it.
    #[error(
        "no delivery {name:?} was downloaded and accepted for publication. Run `cprflow status` to see the state of \
         each delivery"
    )]
    NotAccepted {
        /// The name that the operator gave.
        name: String,
    },

    /// The tenant may not see data of the delivery's agreement.
    #[error(
        "tenant {tenant} may not see data of agreement {agreement}. Choose another tenant, or add the agreement to the \
         tenant in the configuration"
    )]
    AgreementNotVisible {
        /// The tenant's name.
        tenant: String,
        /// The agreement's name.
        agreement: String,
    },

    /// The tenant has the delivery.
    #[error("tenant {tenant} has {name} already, so nothing needs to be done")]
    TenantHasDelivery {
        /// The tenant's name.
        tenant: String,
        /// The file's name.
        name: String,
    },

    /// The delivery was set aside for the tenant, which got only its leavers.
    #[error(
        "{name} was set aside for tenant {tenant}, which got only the persons who left its scope. Order all persons again \
         with `cprflow subscription reorder`: they arrive in a new delivery"
    )]
    TenantHasLeaversOnly {
        /// The tenant's name.
        tenant: String,
        /// The file's name.
        name: String,
    },

    /// The extract is no longer in the spool, so that it cannot be published to a tenant.
    #[error(
        "the extract of {name} is no longer in the spool. Order its persons again with `cprflow subscription reorder`: \
         they arrive in a new delivery"
    )]
    ExtractGone {
        /// The file's name.
        name: String,
    },

    /// The delivery is not meant for the tenant.
    #[error(
        "{name} is not waiting to be published to a tenant {tenant:?}. Run `cprflow status` to see what waits"
    )]
    NotWaitingForTenant {
        /// The file's name.
        name: String,
        /// The name of the tenant that the operator gave.
        tenant: String,
    },

    /// The delivery is published to the tenant, so that it cannot be set aside for it.
    #[error(
        "{name} is published already to tenant {tenant:?} and cannot be set aside for it. Run `cprflow status` to see \
         what waits"
    )]
    PublishedToTenant {
        /// The file's name.
        name: String,
        /// The tenant's name.
        tenant: String,
    },

    /// The configuration still has the agreement that is to be renamed.
    #[error(
        "the configuration still has the agreement {name}. Rename the table [agreement.{name}] there first, and the name \
         in the `agreements` of the tenants"
    )]
    StillConfigured {
        /// The old name.
        name: AgreementName,
    },

    /// The configuration has no agreement of the new name.
    #[error(
        "the configuration has no agreement {name}. Rename the table of the agreement there first, and the name in the \
         `agreements` of the tenants"
    )]
    NotConfigured {
        /// The new name.
        name: AgreementName,
    },

    /// The ledger has no delivery of the agreement.
    #[error(
        "the ledger has no delivery of an agreement {name}, so that there is nothing to rename. Check the old name: \
         `cprflow status` lists the agreements"
    )]
    AgreementUnknown {
        /// The old name.
        name: AgreementName,
    },

    /// A dataset that has deliveries of the agreement is not there, so that it would keep the old name.
    #[error(
        "nothing was changed: {place} is gone or empty or does not respond, but {count} deliveries of {agreement} were \
         published in it, and it would keep the old name. Mount its disk, then run the command again. If the dataset is \
         lost, accept that with `cprflow set-aside --gone --reason TEXT` first"
    )]
    DatasetNotThere {
        /// The dataset, and whose it is.
        place: String,
        /// The old name.
        agreement: AgreementName,
        /// How many deliveries must be in it.
        count: usize,
    },

    /// A directory has the new name already.
    #[error(
        "{} exists beside {}, which is to be renamed to it. Move it to another place, then run the command again",
        to.display(), from.display()
    )]
    NameTaken {
        /// The directory of the old name.
        from: PathBuf,
        /// The directory of the new name.
        to: PathBuf,
    },

    /// Deliveries exist under the old and the new name.
    #[error(
        "the ledger has deliveries of {old} and of {new}, and two agreements cannot become one. Choose another new name, \
         or keep {old} as it is and list it in `ended_agreements`"
    )]
    BothHaveDeliveries {
        /// The old name.
        old: AgreementName,
        /// The new name.
        new: AgreementName,
    },

    /// The tenant's policy was changed after the last run.
    #[error(
        "the policy of tenant {tenant} was changed again since the last run, so what it hides is not known. Run `cprflow \
         sync` first, and then this command if it is still needed"
    )]
    PolicyNotJudged {
        /// The tenant's name.
        tenant: String,
    },

    /// No full load has come since the extracts that are missing.
    #[error(
        "no full load of agreement {agreement} has come since the missing or incomplete extracts, so persons and \
         protections would be missing in the current tables. Order a full load with `cprflow subscription reorder`, and \
         run this command when it has come. To accept the loss without one, add --without-full-load"
    )]
    NoFullLoad {
        /// The agreement's name.
        agreement: String,
    },
}
