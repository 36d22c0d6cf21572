//! The purpose for which all data is published.

use clap::Args;
use cprflow_delivery::Error;
use cprflow_delivery::config::{Configuration, UnrestrictedPurpose};

/// The options that permit publishing all data, for agreements whose configuration does not.
#[derive(Debug, Args)]
pub(crate) struct UnrestrictedOptions {
    /// Publish all data of all persons, for this purpose. It is written into each _delivery.json
    #[arg(long, value_name = "PURPOSE")]
    unrestricted: Option<String>,

    /// The legal basis (hjemmel) of that purpose. It is written into each _delivery.json
    #[arg(long, value_name = "TEXT", requires = "unrestricted")]
    legal_basis: Option<String>,

    /// What church membership is used for. Without it, extracts with church membership (records 011
    /// and 028) are set aside
    #[arg(long, value_name = "PURPOSE", requires = "unrestricted")]
    church_purpose: Option<String>,
}

impl UnrestrictedOptions {
    /// Sets the purpose in the configuration, if it was given.
    pub(crate) fn apply_to(&self, configuration: &mut Configuration) -> Result<(), Error> {
        let Some(purpose) = &self.unrestricted else {
            return Ok(());
        };
        configuration.unrestricted(&UnrestrictedPurpose {
            purpose,
            legal_basis: self.legal_basis.as_deref(),
            church_purpose: self.church_purpose.as_deref(),
        })
    }
}
