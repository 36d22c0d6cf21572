//! How a failure at a tenant is named: the limit of the configuration that caused it, and the code in the ledger.

use crate::dataset::DatasetError;
use crate::error::Error;
use crate::tenant::TenantLimits;
use cprflow::{ComponentError, LimitKind};

/// Adds the key of the configuration to an error of the component that a limit of the tenant caused. Returns any other
/// error unchanged.
pub(super) fn name_limit(error: Error, limits: &TenantLimits) -> Error {
    let Error::Extract(cprflow::Error::Component(error)) = error else {
        return error;
    };
    let key = match error.cause() {
        ComponentError::Memory { limit } if *limit == limits.memory => "limits.memory_mb",
        ComponentError::Time { limit } if *limit == limits.total => "limits.total_seconds",
        ComponentError::Limit { limit, at_most } => match limit {
            LimitKind::OutputBytes if *at_most == limits.output => "limits.output_mb",
            LimitKind::OutputRows if *at_most == limits.rows => "limits.rows",
            _ => return error.into(),
        },
        _ => return error.into(),
    };
    Error::TenantBound { key, error }
}

/// Returns the stable reason code of an error, for the ledger.
pub(super) fn reason_code(error: &Error) -> &'static str {
    match error {
        Error::Extract(cprflow::Error::Component(error)) | Error::TenantBound { error, .. } => {
            match error.cause() {
                ComponentError::Memory { .. } => "memory-limit",
                ComponentError::Deadline { .. } => "deadline",
                ComponentError::Limit { .. } | ComponentError::Time { .. } => "limit",
                ComponentError::Trapped(_) => "trap",
                _ => "component",
            }
        }
        Error::TenantLimit { .. } => "limit",
        Error::TenantStuck { .. } => "stuck",
        Error::Incomplete { .. } => "incomplete",
        Error::Group { .. } => "group",
        Error::UnsafeDirectory(_) => "permissions",
        Error::Bug => "bug",
        Error::File { .. }
        | Error::Extract(cprflow::Error::File { .. } | cprflow::Error::Parquet { .. }) => "disk",
        Error::TenantPublish(_)
        | Error::DatasetDirectory(
            DatasetError::InvalidPath { .. } | DatasetError::MountPoint { .. },
        )
        | Error::Configuration(_)
        | Error::Secret(_)
        | Error::Extract(cprflow::Error::Request(_)) => "request",
        _ => "failed",
    }
}
