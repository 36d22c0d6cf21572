//! The behaviour without an attack: the component returns the batches that it is given.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use crate::bindings::exports::cprflow::connector::{delivery, source, subscription};
use crate::spin::{IN_POST_RETURN, allocate_forever, loop_forever, slow_down, spin};
use crate::{Component, attack, catalog, memory, output, parts, text};

impl source::Guest for Component {
    type Scan = Session;
    type Selection = Persons;
    type ExtractCopy = Unchanged;

    fn view(_policy: source::Policy) -> Result<Vec<source::Table>, source::Error> {
        spin("spin-view");
        Ok(catalog::view())
    }

    fn state_view(_policy: Option<source::Policy>) -> Result<Vec<source::Table>, source::Error> {
        spin("spin-view");
        Ok(catalog::view())
    }
}

/// A scan that passes batches from `push` to `next`.
#[derive(Default)]
pub(crate) struct Session {
    waiting: RefCell<VecDeque<source::Batch>>,
    last: RefCell<Option<source::Batch>>,
    kept: RefCell<Vec<u8>>,
    pushes: Cell<u32>,
}

impl source::GuestScan for Session {
    fn open(
        _options: source::ScanOptions,
        _persons: Option<source::SelectionBorrow<'_>>,
    ) -> Result<source::Scan, source::Error> {
        spin("spin-open");
        Ok(source::Scan::new(Self::default()))
    }

    fn begin_extract(&self, _extract: source::ExtractPlace) -> Result<(), source::Error> {
        Ok(())
    }

    fn end_extract(&self) -> Result<(), source::Error> {
        Ok(())
    }

    /// Accepts a block: a line `TABLE ROWS`, followed by the IPC messages of one batch.
    fn push(&self, block: Vec<u8>) -> Result<(), source::Error> {
        spin("spin-push");
        slow_down("dawdle");
        allocate_forever("spin-allocating");
        memory::exhaust();
        if attack("destructor") {
            drop(source::Scan::new(Self::default()));
        }
        if let Some(error) = text::error() {
            return Err(error);
        }
        self.kept.borrow_mut().extend_from_slice(&block);
        self.pushes.set(self.pushes.get() + 1);
        let Some(end) = block.iter().position(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let (head, rest) = block.split_at(end);
        let head = String::from_utf8_lossy(head);
        let Some((table, rows)) = head.rsplit_once(' ') else {
            return Ok(());
        };
        let Ok(rows) = rows.parse() else {
            return Ok(());
        };
        let batch = source::Batch {
            table: table.to_owned(),
            rows,
            ipc: rest.get(1..).unwrap_or_default().to_vec(),
        };
        *self.last.borrow_mut() = Some(batch.clone());
        self.waiting.borrow_mut().push_back(batch);
        Ok(())
    }

    fn finish(&self) -> Result<(), source::Error> {
        spin("spin-finish");
        Ok(())
    }

    fn next(&self) -> Result<Option<source::Batch>, source::Error> {
        spin("spin-next");
        let next = self.waiting.borrow_mut().pop_front();
        // The first batch of a table starts with its schema. Only the second and later ones can be repeated.
        if next.is_none()
            && self.pushes.get() >= 2
            && let Some(batch) = output::batch(self.last.borrow().as_ref())
        {
            return Ok(Some(batch));
        }
        if next.is_some() && attack("spin-post-return") {
            IN_POST_RETURN.store(true, Ordering::Relaxed);
        }
        Ok(next)
    }

    fn summary(&self) -> source::Summary {
        spin("spin-summary");
        output::summary()
    }

    fn begin_parts(&self) -> Result<Option<source::PartStart>, source::Error> {
        Ok(parts::start())
    }

    fn open_part(
        _options: source::ScanOptions,
        _persons: Option<source::SelectionBorrow<'_>>,
        _context: Vec<u8>,
    ) -> Result<source::Scan, source::Error> {
        Ok(source::Scan::new(Self::default()))
    }

    fn end_part(&self) -> Result<(), source::Error> {
        parts::end();
        Ok(())
    }

    fn take_part(&self) -> Result<Vec<u8>, source::Error> {
        Ok(Vec::new())
    }

    fn add_part(&self, _part: Vec<u8>) -> Result<Option<u64>, source::Error> {
        Ok(parts::add())
    }

    fn walk(&self, block: Vec<u8>) -> Result<u64, source::Error> {
        Ok(block.len() as u64 + 1)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if attack("destructor-trap") {
            std::process::abort();
        }
        if attack("destructor") || attack("destructor-spin") {
            loop_forever();
        }
    }
}

/// A selection of no persons.
pub(crate) struct Persons;

impl source::GuestSelection for Persons {
    fn open(_filter: source::PersonFilter) -> Result<source::Selection, source::Error> {
        Ok(source::Selection::new(Self))
    }

    fn open_policy(
        _policy: source::Policy,
        _roster: Option<Vec<u8>>,
        _delivered_later: Option<Vec<u8>>,
    ) -> Result<source::Selection, source::Error> {
        spin("spin-selection");
        Ok(source::Selection::new(Self))
    }

    fn open_state(
        _policy: Option<source::Policy>,
        _roster: Option<Vec<u8>>,
    ) -> Result<source::Selection, source::Error> {
        spin("spin-selection");
        Ok(source::Selection::new(Self))
    }

    fn begin_extract(&self, _extract: source::ExtractPlace) -> Result<(), source::Error> {
        Ok(())
    }

    fn end_extract(&self) -> Result<(), source::Error> {
        Ok(())
    }

    fn push(&self, _block: Vec<u8>) -> Result<(), source::Error> {
        spin("spin-selection-push");
        Ok(())
    }

    fn finish(&self) -> Result<source::Selected, source::Error> {
        spin("spin-selection-finish");
        Ok(source::Selected {
            persons: u64::MAX,
            entered: u64::MAX,
            left: u64::MAX,
        })
    }

    fn merge(&self, _other: source::SelectionBorrow<'_>) -> Result<(), source::Error> {
        Ok(())
    }

    fn roster(&self) -> Result<Vec<u8>, source::Error> {
        spin("spin-roster");
        Ok(if attack("huge-roster") {
            vec![0; 200 << 20]
        } else {
            Vec::new()
        })
    }

    fn delivered_persons(&self) -> Result<Vec<u8>, source::Error> {
        spin("spin-delivered");
        Ok(Vec::new())
    }

    fn superseded_persons(&self, _extract: u32) -> Result<Vec<u8>, source::Error> {
        Ok(Vec::new())
    }

    fn tied_numbers(&self, _numbers: Vec<String>) -> Result<Vec<String>, source::Error> {
        Ok(vec!["no person number".to_owned()])
    }

    fn begin_parts(&self) -> Result<Option<source::PartStart>, source::Error> {
        Ok(None)
    }

    fn open_part(
        _policy: source::Policy,
        _context: Vec<u8>,
    ) -> Result<source::Selection, source::Error> {
        Ok(source::Selection::new(Self))
    }

    fn take_part(&self) -> Result<Vec<u8>, source::Error> {
        Ok(Vec::new())
    }

    fn add_part(&self, _part: Vec<u8>) -> Result<bool, source::Error> {
        Ok(true)
    }

    fn walk(&self, _block: Vec<u8>) -> Result<u64, source::Error> {
        Ok(0)
    }

    fn chosen(&self, _piece: u32) -> Result<Option<Vec<u8>>, source::Error> {
        Ok(None)
    }

    fn open_chosen(_policy: source::Policy) -> Result<source::Selection, source::Error> {
        Ok(source::Selection::new(Self))
    }

    fn add_chosen(&self, _piece: Vec<u8>) -> Result<(), source::Error> {
        Ok(())
    }

    fn protect(&self, _numbers: Vec<String>) -> Result<(), source::Error> {
        Ok(())
    }

    fn protected_numbers(&self) -> Result<Vec<String>, source::Error> {
        Ok(vec!["no person number".to_owned()])
    }

    fn roster_without(roster: Vec<u8>, _numbers: Vec<String>) -> Result<Vec<u8>, source::Error> {
        Ok(roster)
    }

    fn common_roster(_roster: Option<Vec<u8>>, other: Vec<u8>) -> Result<Vec<u8>, source::Error> {
        Ok(other)
    }
}

/// A copy that passes blocks from `push` to `next`.
pub(crate) struct Unchanged(RefCell<VecDeque<Vec<u8>>>);

impl source::GuestExtractCopy for Unchanged {
    fn open(_options: source::CopyOptions) -> Result<source::ExtractCopy, source::Error> {
        Ok(source::ExtractCopy::new(Self(RefCell::default())))
    }

    fn push(&self, block: Vec<u8>) -> Result<(), source::Error> {
        spin("spin-copy");
        self.0.borrow_mut().push_back(block);
        Ok(())
    }

    fn finish(&self) -> Result<(), source::Error> {
        Ok(())
    }

    fn next(&self) -> Result<Option<Vec<u8>>, source::Error> {
        if attack("endless-copy") {
            return Ok(Some(Vec::new()));
        }
        Ok(self.0.borrow_mut().pop_front())
    }

    fn report(&self) -> source::CopyReport {
        source::CopyReport {
            copied: u64::MAX,
            left_out: Vec::new(),
            referring: u64::MAX,
            blanked: u64::MAX,
        }
    }
}

impl delivery::Guest for Component {
    fn read_metadata(_bytes: Vec<u8>) -> Result<delivery::Document, delivery::Error> {
        spin("spin-delivery");
        Err(delivery::Error {
            kind: delivery::ErrorKind::Malformed,
            element: None,
            message: "it reads no metadata of 010101-0101".to_owned(),
        })
    }
}

impl subscription::Guest for Component {
    fn make_request(
        _operation: subscription::Operation,
        _context: subscription::InvocationContext,
    ) -> Result<Vec<u8>, subscription::RequestError> {
        Ok(Vec::new())
    }

    fn read_reply(
        _operation: subscription::Operation,
        status: u16,
        _body: Vec<u8>,
    ) -> Result<subscription::Reply, subscription::Failure> {
        spin("spin-subscription");
        Err(subscription::Failure {
            kind: subscription::FailureKind::Empty,
            status,
            party: subscription::Party::Platform,
            retry: false,
            fault: None,
            element: None,
            message: String::new(),
        })
    }
}
