//! The daily job: what stands in the inbox ends as a published delivery, and then goes from the server.
//!
//! For each delivery, in this order, and each step is durable before the next begins: [`discover`] finds it whole
//! on the server, `fetch` brings it to the spool while `stage` scans it along, `publish` gives it its place in the
//! dataset, and `settle` removes the server's copy. The [ledger](crate::Ledger) knows after each step how far it
//! is, and whoever comes next goes on from there. Nothing is removed anywhere before what follows it is on the disk.
//!
//! Where an agreement has tenants, `hand` publishes the delivery to each of them, from the spool, in threads that a
//! `pool` begins; `settle` waits for those that are well, and the spool keeps the extract for the others.

mod complete;
pub(crate) mod discover;
mod fetch;
mod hand;
mod pool;
mod publish;
mod run;
mod settle;
mod stage;
mod stop;
mod tenants;
mod visit;

pub use discover::{Found, Inventory, Orphan, Waiting, discover};
pub use hand::tenant_scan;
pub use run::{Problem, Published, Report, SetAside, Sync};
pub use stop::Stop;

use crate::agreement::Agreement;
use crate::error::Error;
use crate::transport::{Transport, connect};

/// Who wants to hear how far a run is.
pub trait Observer: std::marker::Sync {
    /// A delivery of that many bytes begins.
    fn begins(&self, file_name: &str, size: u64);
    /// So much of it has come.
    fn downloaded(&self, bytes: u64);
    /// So many of its records were read.
    fn scanned(&self, rows: u64);
    /// It is over.
    fn ends(&self);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn begins(&self, _file_name: &str, _size: u64) {}
    fn downloaded(&self, _bytes: u64) {}
    fn scanned(&self, _rows: u64) {}
    fn ends(&self) {}
}

/// A connection to an inbox, made anew when it breaks.
pub(super) struct Connection<'a> {
    agreement: &'a Agreement,
    transport: Option<Box<dyn Transport>>,
}

impl<'a> Connection<'a> {
    fn new(agreement: &'a Agreement) -> Self {
        Self {
            agreement,
            transport: None,
        }
    }

    /// The connection; made if there is none.
    fn get(&mut self) -> Result<&mut (dyn Transport + 'static), Error> {
        if self.transport.is_none() {
            self.reconnect()?;
        }
        match &mut self.transport {
            Some(transport) => Ok(transport.as_mut()),
            None => Err(Error::Request("there is no connection".to_owned())),
        }
    }

    /// Another connection in place of this one.
    fn reconnect(&mut self) -> Result<(), Error> {
        self.transport = None;
        self.transport = Some(connect(&self.agreement.inbox, &self.agreement.sftp)?);
        Ok(())
    }
}
