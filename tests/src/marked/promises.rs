//! What a tenant must not see, and what it must see, in the plain words of `docs/privacy.md`.

use cprflow::policy::{NumberRule, Policy, ProtectionRule};

use super::shape::Truth;
use super::{Place, Relative};
use crate::oracle::columns::CLASSES;

/// What decides over the marks of an extract.
#[derive(Debug, Clone, Copy)]
pub struct Promises<'a> {
    /// The tenant's policy.
    pub policy: &'a Policy,
    /// Who is protected.
    pub truth: &'a Truth,
}

/// The class without which former spouses are hidden.
pub(super) const FORMER_SPOUSE: &str = "civil-status-history";

impl Promises<'_> {
    /// Returns why a mark in the record of a person who is in scope must not be shown, or `None` if it may.
    pub fn why_hidden(self, place: &Place) -> Option<&'static str> {
        let classes = &self.policy.classes;
        if !place.needs.is_subset(classes) {
            return Some("its class is hidden");
        }
        let is_shifted = place.is_shifted
            || place.is_shifted_by_former_spouse && classes.contains(FORMER_SPOUSE);
        if is_shifted && !self.shows_tails() {
            return Some("its record has values in wrong columns");
        }
        if place.column == "+" && !self.shows_tails() {
            return Some("what follows the known layout is hidden");
        }
        let is_named = matches!(place.class.as_deref(), Some("name" | "address"));
        let is_text = place.class.as_deref() == Some("free-text");
        let owner = place.owner.as_deref();
        let of_protected = owner.is_some_and(|owner| self.truth.is_protected(owner));
        let of_relative = match &place.relative {
            None => false,
            Some(Relative::Unknown) => true,
            Some(Relative::Number(number)) => self.truth.is_protected(number),
        };
        match self.policy.protection {
            ProtectionRule::Include => None,
            ProtectionRule::Mask if of_protected && (is_named || is_text || place.is_place) => {
                Some("its person is protected")
            }
            ProtectionRule::Mask if of_relative && is_named => Some("its relative is protected"),
            ProtectionRule::Drop if of_protected => Some("its person is left out"),
            ProtectionRule::Drop if of_relative => Some("its relative is protected"),
            ProtectionRule::Mask | ProtectionRule::Drop => None,
        }
    }

    fn shows_tails(self) -> bool {
        let policy = self.policy;
        CLASSES.iter().all(|class| policy.classes.contains(*class))
            && policy.tables.is_none()
            && policy.columns.is_empty()
            && policy.rows.is_empty()
            && policy.protection == ProtectionRule::Include
            && policy.numbers == NumberRule::Keep
    }
}
