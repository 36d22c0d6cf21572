//! Selects the persons of a part, and hands a finished selection to other instances.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::ResourceAny;

use super::{PartError, PartPass};
use crate::component::Connector;
use crate::error::{ComponentError, Error};
use crate::sandbox::{Limits, Session};
use crate::wit::source as wit;

/// The largest number of pieces of a selection.
const MAX_PIECES: u32 = 64;

/// What an instance needs to select the persons of parts.
#[derive(Clone)]
pub(in crate::scan) struct SelectionPassSetup {
    pub(in crate::scan) connector: Connector,
    pub(in crate::scan) limits: Limits,
    pub(in crate::scan) policy: Arc<wit::Policy>,
    pub(in crate::scan) context: Arc<Vec<u8>>,
    pub(in crate::scan) block_bytes: usize,
}

/// The pass that selects persons.
pub(in crate::scan) struct SelectionPass {
    selection: ResourceAny,
    /// A second selection, which walks.
    walker: Option<ResourceAny>,
    block_bytes: usize,
}

impl SelectionPassSetup {
    /// Starts an instance and opens the pass in it.
    pub(in crate::scan) fn start(self) -> Result<(Session, SelectionPass), Error> {
        let mut session = self.connector.start(self.limits)?;
        let pass = self.open(&mut session, false)?;
        Ok((session, pass))
    }

    /// Opens the pass in an instance. `walks` tells whether the pass also finds records.
    pub(in crate::scan) fn open(
        &self,
        session: &mut Session,
        walks: bool,
    ) -> Result<SelectionPass, Error> {
        Ok(SelectionPass {
            selection: self.open_selection(session)?,
            walker: match walks {
                true => Some(self.open_selection(session)?),
                false => None,
            },
            block_bytes: self.block_bytes,
        })
    }

    fn open_selection(&self, session: &mut Session) -> Result<ResourceAny, Error> {
        let selection = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().selection();
            source.call_open_part(store, &self.policy, &self.context)
        })?;
        Ok(selection?)
    }
}

impl PartPass for SelectionPass {
    type Output = Vec<u8>;

    fn read(
        &mut self,
        session: &mut Session,
        part: &[u8],
        stop: &AtomicBool,
    ) -> Result<Vec<u8>, PartError> {
        let selection = self.selection;
        for block in part.chunks(self.block_bytes) {
            if stop.load(Ordering::Relaxed) {
                return Err(PartError::Unread);
            }
            let pushed = session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.selection().call_push(store, selection, block)
            })?;
            pushed?;
        }
        let found = session.call_for_batch(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.selection().call_take_part(store, selection)
        })?;
        Ok(found?)
    }

    fn walk(&mut self, session: &mut Session, block: &[u8]) -> Result<Option<u64>, Error> {
        let Some(walker) = self.walker else {
            return Ok(None);
        };
        let walked = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.selection().call_walk(store, walker, block)
        })?;
        match walked.map_err(Error::from) {
            Ok(rest) => Ok(Some(rest)),
            Err(Error::Data(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A finished selection, as other instances take it. It contains person numbers.
pub(in crate::scan) struct ChosenPieces {
    policy: Arc<wit::Policy>,
    pieces: Vec<Vec<u8>>,
}

impl ChosenPieces {
    /// Returns the selection of these pieces.
    pub(in crate::scan) fn new(policy: Arc<wit::Policy>, pieces: Vec<Vec<u8>>) -> Self {
        Self { policy, pieces }
    }

    /// Returns the pieces.
    pub(in crate::scan) fn into_pieces(self) -> Vec<Vec<u8>> {
        self.pieces
    }

    /// Takes the pieces from the instance of the selection.
    pub(in crate::scan) fn of(
        session: &mut Session,
        selection: ResourceAny,
        policy: Arc<wit::Policy>,
    ) -> Result<Self, Error> {
        let mut pieces = Vec::new();
        for number in 0..MAX_PIECES {
            // A set of persons of all of Denmark is about as large as a batch.
            let piece = session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.selection().call_chosen(store, selection, number)
            })?;
            match piece? {
                Some(piece) => pieces.push(piece),
                None => return Ok(Self { policy, pieces }),
            }
        }
        Err(ComponentError::misbehaved("a selection has too many pieces").into())
    }

    /// Makes the selection in another instance.
    pub(in crate::scan) fn open(&self, session: &mut Session) -> Result<ResourceAny, Error> {
        let selection = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().selection();
            source.call_open_chosen(store, &self.policy)
        })?;
        let selection = selection?;
        for piece in &self.pieces {
            let added = session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source().selection();
                source.call_add_chosen(store, selection, piece)
            })?;
            added?;
        }
        Ok(selection)
    }
}
