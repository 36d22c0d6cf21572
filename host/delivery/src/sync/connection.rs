//! A connection to an inbox that can be opened again after it broke.

use std::io::Read;
use std::time::Duration;

use crate::agreement::Agreement;
use crate::error::Error;
use crate::stop::Stop;
use cprflow_transport::{Listing, RemoteName, Stat, Transport, TransportError, connect};

/// A connection to the inbox of an agreement. It is opened when it is used first.
pub(crate) struct Connection<'a> {
    agreement: &'a Agreement,
    stop: &'a Stop,
    transport: Option<Box<dyn Transport>>,
}

impl<'a> Connection<'a> {
    /// Creates a connection that is not open yet. Pauses before it is opened again end if the flag is set.
    pub(crate) fn new(agreement: &'a Agreement, stop: &'a Stop) -> Self {
        Self {
            agreement,
            stop,
            transport: None,
        }
    }

    /// Returns the connection and opens it if it is not open.
    pub(crate) fn get(&mut self) -> Result<&mut (dyn Transport + 'static), TransportError> {
        let transport = match self.transport.take() {
            Some(transport) => transport,
            None => self.connected()?,
        };
        Ok(self.transport.insert(transport).as_mut())
    }

    /// Closes the connection and opens a new one.
    pub(crate) fn open_again(&mut self) -> Result<(), TransportError> {
        self.transport = None;
        self.transport = Some(self.connected()?);
        Ok(())
    }

    /// Takes a step, and takes it again over a new connection each time the connection ends. A step must be the same if it
    /// is repeated.
    pub(crate) fn persistently<T>(
        &mut self,
        mut step: impl FnMut(&mut dyn Transport) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut pauses = RetryPauses::default();
        loop {
            match step(self) {
                Err(Error::Transport(error)) if error.ends_connection() => {
                    reconnect_after(error, self, &mut pauses)?;
                }
                ended => return ended,
            }
        }
    }

    fn connected(&self) -> Result<Box<dyn Transport>, TransportError> {
        connect(&self.agreement.inbox, &self.agreement.sftp)
    }
}

impl Transport for Connection<'_> {
    fn list(&mut self) -> Result<Listing, TransportError> {
        self.get()?.list()
    }

    fn stat(&mut self, name: &RemoteName) -> Result<Option<Stat>, TransportError> {
        self.get()?.stat(name)
    }

    fn open(
        &mut self,
        name: &RemoteName,
        offset: u64,
    ) -> Result<Box<dyn Read + Send + '_>, TransportError> {
        self.get()?.open(name, offset)
    }

    fn remove(&mut self, name: &RemoteName) -> Result<(), TransportError> {
        self.get()?.remove(name)
    }

    fn reconnect(&mut self, pause: Duration) -> Result<bool, TransportError> {
        if self.stop.wait(pause).is_err() {
            return Ok(false);
        }
        self.open_again()?;
        Ok(true)
    }
}

/// Opens a connection again that ended with this error. Returns the error if the transport cannot be opened again, or if
/// there are no more pauses.
pub(super) fn reconnect_after(
    mut error: TransportError,
    transport: &mut dyn Transport,
    pauses: &mut RetryPauses,
) -> Result<(), TransportError> {
    loop {
        let Some(pause) = pauses.next() else {
            return Err(error);
        };
        tracing::warn!(%error, "the connection ended; it is opened again after a pause");
        error = match transport.reconnect(pause) {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(error),
            Err(error) if error.is_transient() => error,
            Err(error) => return Err(error),
        };
    }
}

/// The pauses between attempts that bring nothing: 1, 4 and 15 seconds.
#[derive(Debug, Default)]
pub(super) struct RetryPauses(usize);

impl Iterator for RetryPauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        const PAUSES: [u64; 3] = [1, 4, 15];
        let pause = PAUSES.get(self.0).copied()?;
        self.0 += 1;
        Some(Duration::from_secs(pause))
    }
}
