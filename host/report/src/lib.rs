//! The report of cprflow: one HTML page about deliveries and tenants, without network, scripts or personal data.
//!
//! [`Report`] holds what the page shows: counts, dates, reasons and the words of the configuration. [`Report::html`] writes
//! the page. Texts are escaped by the templates, and anything that can be a person number is removed from them.
//!
//! - `model` has the content.
//! - `calendar` arranges days in months and tells them in words, and `plot` draws bars and lines as SVG.
//! - `shared` finds the lines of policies that several tenants have.
//! - `text` writes numbers and removes person numbers.
//! - `page` fills the templates in `templates/`.
#![forbid(unsafe_code)]

mod calendar;
mod model;
mod page;
mod plot;
mod shared;
mod text;

pub use model::{
    AgreementReport, Certificate, Day, DayKind, Fact, FindingRow, PolicySection, Report,
    ScopePoint, Series, StoragePlace, TenantReport, Volume, WaitingItem,
};
