//! A connection to an inbox that can be opened again after it broke.

use crate::agreement::Agreement;
use crate::error::Error;
use cprflow_transport::{Transport, connect};

/// A connection to the inbox of an agreement. It is opened when it is used first.
pub(crate) struct Connection<'a> {
    agreement: &'a Agreement,
    transport: Option<Box<dyn Transport>>,
}

impl<'a> Connection<'a> {
    /// Creates a connection that is not open yet.
    pub(crate) fn new(agreement: &'a Agreement) -> Self {
        Self {
            agreement,
            transport: None,
        }
    }

    /// Returns the connection and opens it if it is not open.
    pub(crate) fn get(&mut self) -> Result<&mut (dyn Transport + 'static), Error> {
        let transport = match self.transport.take() {
            Some(transport) => transport,
            None => self.open()?,
        };
        Ok(self.transport.insert(transport).as_mut())
    }

    /// Closes the connection and opens a new one.
    pub(crate) fn reconnect(&mut self) -> Result<(), Error> {
        self.transport = None;
        self.transport = Some(self.open()?);
        Ok(())
    }

    fn open(&self) -> Result<Box<dyn Transport>, Error> {
        Ok(connect(&self.agreement.inbox, &self.agreement.sftp)?)
    }
}
