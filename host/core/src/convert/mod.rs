//! Conversions between the generated types of `wit` and the types of this crate, one file per interface.
//!
//! Another component can return anything. A value that breaks a promise of `wit/` becomes
//! [`ComponentError::Misbehaved`](crate::ComponentError::Misbehaved), and every text is redacted.
//!
//! Types that carry no text and no invariant are not converted: the generated types themselves are public, for example
//! [`AgeRange`](crate::soap_messages::AgeRange) and [`MetadataErrorKind`](crate::MetadataErrorKind).

mod catalog;
mod delivery;
mod source;
mod subscription;
