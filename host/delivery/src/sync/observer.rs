//! The progress of a run, for a progress display.

/// Receives the progress of a run.
pub trait Observer: std::marker::Sync {
    /// The processing of a delivery begins. `size` is the size of its extract in bytes.
    fn begins(&self, file_name: &str, size: u64);
    /// This many bytes of the extract are in the spool.
    fn downloaded(&self, bytes: u64);
    /// This many rows were read.
    fn scanned(&self, rows: u64);
    /// The processing of the delivery ended.
    fn ends(&self);
}

/// An observer that ignores the progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begins(&self, _file_name: &str, _size: u64) {}
    fn downloaded(&self, _bytes: u64) {}
    fn scanned(&self, _rows: u64) {}
    fn ends(&self) {}
}
