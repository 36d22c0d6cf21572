//! The versions of the service's contract.

/// A version of the service's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contract {
    /// The contract of 2015 with ten operations, which does not know the filter `NoFilter`.
    V1_0,
    /// The present contract with twelve operations. `GetAllFilters` always answers `noFilter`.
    #[default]
    V1_1,
}

impl Contract {
    /// Whether the contract has the filter `NoFilter`: its operations, its group, and the answer `noFilter`.
    pub(crate) const fn has_no_filter(self) -> bool {
        matches!(self, Self::V1_1)
    }
}
