//! Parquet: writes the tables of an extract as files, and restores the extract from them.

mod directory;
mod restore;

pub use directory::{ParquetDirectory, ParquetFile};
pub use restore::write_extract;
