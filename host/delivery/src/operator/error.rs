//! Errors of the decisions of an operator.

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

    /// The delivery is published, so that it cannot be set aside.
    #[error("{name} is published already and cannot be set aside")]
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
    #[error("tenant {tenant} has {name} already")]
    TenantHasDelivery {
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
    #[error("{name} is published already to tenant {tenant:?} and cannot be set aside for it")]
    PublishedToTenant {
        /// The file's name.
        name: String,
        /// The tenant's name.
        tenant: String,
    },
}
