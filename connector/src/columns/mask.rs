//! Which columns of a row are null because a policy masks them.

/// What is masked in one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RowMask {
    /// The value of the column `protected`.
    pub(crate) is_protected: bool,
    /// Whether the columns about the row's own person are masked.
    pub(crate) own: bool,
    /// The relatives whose columns are masked: bit `n` is the table's `n`th relative.
    pub(crate) relatives: u32,
    /// What is null because of the row's type.
    pub(crate) rows: u8,
    /// Whether the time of day is left out of the row's timestamps.
    pub(crate) is_coarse: bool,
}

/// The conditions under which a column is masked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ColumnMask {
    /// Whether the column is masked when the row's own person is.
    pub(crate) own: bool,
    /// The relative whom the column is about, as a bit of [`RowMask::relatives`]; 0 for none.
    pub(crate) relative: u32,
    /// The bits of [`RowMask::rows`] with which the column is null.
    pub(crate) rows: u8,
}

impl RowMask {
    /// Returns whether a column with this mask is null in the row.
    #[inline]
    pub(crate) fn hides(self, column: ColumnMask) -> bool {
        self.own && column.own
            || self.relatives & column.relative != 0
            || self.rows & column.rows != 0
    }

    /// Returns whether the mask hides no column.
    pub(crate) fn is_empty(self) -> bool {
        !self.own && self.relatives == 0 && self.rows == 0
    }
}
