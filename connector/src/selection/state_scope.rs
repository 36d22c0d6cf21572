//! The result of a first pass over a state: which extract has the current records of each person.

use std::fmt;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::ExtractPlace;
use crate::columns::Origin;
use crate::error::Error;
use crate::policy::View;

/// What an extract contributes to a state.
pub(super) struct StateExtract {
    pub(super) place: ExtractPlace,
    pub(super) origin: Arc<Origin>,
    /// The persons whose records in this extract are part of the state.
    pub(super) current: Arc<NumberSet>,
    /// The persons whose records in this extract are the newest of its agreement, while another agreement has newer ones.
    /// Their protections are part of the state.
    pub(super) elsewhere: Arc<NumberSet>,
    /// Those of both with several 001.
    pub(super) several: Arc<NumberSet>,
    pub(super) superseded: NumberSet,
}

/// The result of a pass over a state, as a scan uses it.
pub(crate) struct StateScope {
    pub(super) extracts: Vec<StateExtract>,
    /// The persons without any record in the state, not even events.
    pub(super) ended: RoaringTreemap,
    /// The tables and columns of the state.
    pub(crate) view: View,
}

/// What a scan needs to know of one extract.
#[derive(Clone)]
pub(crate) struct ScannedExtract {
    pub(crate) origin: Arc<Origin>,
    pub(crate) current: Arc<NumberSet>,
    pub(crate) elsewhere: Arc<NumberSet>,
    pub(crate) several: Arc<NumberSet>,
}

/// A set of person numbers that takes little memory also if they are few and far from each other.
pub(crate) enum NumberSet {
    /// Sorted numbers.
    Few(Vec<u64>),
    Many(RoaringTreemap),
}

/// The largest number of persons in [`NumberSet::Few`]. Those of a night are much fewer, those of a full load many more.
const FEW: u64 = 100_000;

impl NumberSet {
    pub(super) fn new(numbers: RoaringTreemap) -> Self {
        match numbers.len() <= FEW {
            true => Self::Few(numbers.iter().collect()),
            false => Self::Many(numbers),
        }
    }

    #[inline]
    pub(crate) fn contains(&self, number: u64) -> bool {
        match self {
            Self::Few(numbers) => numbers.binary_search(&number).is_ok(),
            Self::Many(numbers) => numbers.contains(number),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Few(numbers) if numbers.is_empty())
    }

    pub(super) fn to_bitmap(&self) -> RoaringTreemap {
        match self {
            Self::Few(numbers) => numbers.iter().copied().collect(),
            Self::Many(numbers) => numbers.clone(),
        }
    }
}

impl StateScope {
    /// Returns the extract at that place of the pass. Fails if it is another one.
    pub(crate) fn extract(
        &self,
        index: usize,
        place: &ExtractPlace,
    ) -> Result<ScannedExtract, Error> {
        let extract = self.extracts.get(index);
        let extract = extract.filter(|extract| extract.place == *place);
        let extract = extract.ok_or(Error::Misuse(
            "a scan of a state needs the extracts of its first pass, in the same order",
        ))?;
        Ok(ScannedExtract {
            origin: extract.origin.clone(),
            current: extract.current.clone(),
            elsewhere: extract.elsewhere.clone(),
            several: extract.several.clone(),
        })
    }

    /// Returns the number of extracts.
    pub(crate) fn extracts(&self) -> usize {
        self.extracts.len()
    }

    /// Returns whether the state has nothing of a person because the subscription has ended.
    #[inline]
    pub(crate) fn has_ended(&self, person: u64) -> bool {
        self.ended.contains(person)
    }
}

impl fmt::Debug for StateScope {
    /// Shows how many extracts there are, not who is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateScope")
            .field("extracts", &self.extracts.len())
            .finish_non_exhaustive()
    }
}
