//! Scans of a state: what several extracts together say about each person.

use std::io::{self, Read};
use std::sync::Arc;

use wasmtime::component::ResourceAny;

use super::builder::Scan;
use super::input::{ExtractPlace, Input};
use super::policy_scan::{Restriction, Selection, SelectionCounts, select_persons};
use super::reader::{DeliveryReader, TableReader};
use crate::component::Connector;
use crate::error::{ComponentError, Error, RequestError};
use crate::pnr::Pnr;
use crate::policy::{NumberRule, Policy, PolicyView, PseudonymKey};
use crate::sandbox::{Limits, Session};
use crate::wit::source as wit;

/// A scan of a state: what several extracts together say about each person, as a policy lets it through.
///
/// Of each person the state has the records of the newest extract with a 001 of the number, the protections (004) of the
/// newest one of each agreement, and the events (099) of all extracts. The rows have the columns `as_of` and `agreement`, and no `line`. The contract (`wit/connector.wit`) describes
/// the rules at `open-state` and the tables at `state-view`.
///
/// ```
/// use cprflow::{Connector, ExtractPlace, StateScan};
///
/// let first = "00000000000001109012026110120261031\n\
///     0010101965058          01000000000000 K1896-01-01 1997-09-09\n\
///     999999999999900000001\n";
/// let second = "00000000000001109012026110220261101\n\
///     0010101965058          90000000000000 K1896-01-01 1997-09-09\n\
///     999999999999900000001\n";
/// let place = |date: &str, sequence| ExtractPlace {
///     production_date: date.to_owned(),
///     sequence,
///     agreement: "m".to_owned(),
/// };
/// let extracts = vec![place("2026-11-02", 2), place("2026-11-01", 1)];
/// let connector = Connector::embedded()?;
/// let batches = StateScan::new(&connector)
///     .table("person")
///     .columns(["status", "as_of"])
///     .read(extracts, move |place| {
///         let text = if place.sequence == 1 { first } else { second };
///         Ok(text.as_bytes())
///     })?;
/// for rows in batches {
///     assert_eq!(rows?.batch.num_rows(), 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct StateScan {
    scan: Scan,
    day: Option<String>,
}

impl StateScan {
    /// Creates a scan of all tables of a state. Call [`table`](Self::table) to read only some.
    pub fn new(connector: &Connector) -> Self {
        Self {
            scan: Scan::new(connector),
            day: None,
        }
    }

    /// Adds a table to the requested tables.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.scan = self.scan.table(name);
        self
    }

    /// Sets the requested columns of the table that was added last, in this order. Default: all.
    pub fn columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scan = self.scan.columns(columns);
        self
    }

    /// Sets the condition on rows of the table that was added last, like [`Scan::where_`].
    pub fn where_(mut self, predicate: impl Into<String>) -> Self {
        self.scan = self.scan.where_(predicate);
        self
    }

    /// Restricts the scan to what a tenant may see. Default: no restriction.
    pub fn policy(mut self, policy: &Policy) -> Self {
        self.scan = self.scan.policy(policy);
        self
    }

    /// Sets the roster of the preceding state's scan, as [`DeliveryReader::roster`] returned it. `out_of_scope` and
    /// `into_scope` are the differences from it. Default: there was no person in scope.
    pub fn roster(mut self, roster: Vec<u8>) -> Self {
        self.scan = self.scan.roster(roster);
        self
    }

    /// Sets the day of the state, `YYYY-MM-DD`: ages are those on this day, and it is the date in `out_of_scope` and
    /// `into_scope`. Default: the policy's day, or else the newest production date.
    pub fn day(mut self, day: impl Into<String>) -> Self {
        self.day = Some(day.into());
        self
    }

    /// Sets the key of pseudonyms. A policy with [`NumberRule::Pseudonym`] needs one.
    pub fn pseudonym_key(mut self, key: PseudonymKey) -> Self {
        self.scan = self.scan.pseudonym_key(key);
        self
    }

    /// Sets the largest number of rows of a scan of one table. The scan stops reading when it has them.
    pub fn limit(mut self, rows: u64) -> Self {
        self.scan = self.scan.limit(rows);
        self
    }

    /// Sets the largest number of rows in a batch. Default: 8,192.
    pub fn batch_rows(mut self, rows: u32) -> Self {
        self.scan = self.scan.batch_rows(rows);
        self
    }

    /// Sets the limits of the component.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.scan = self.scan.limits(limits);
        self
    }

    /// Sets the name of the tenant, which errors of the component then contain.
    pub fn tenant(mut self, name: impl Into<Arc<str>>) -> Self {
        self.scan = self.scan.tenant(name);
        self
    }

    /// Sets the number of bytes given to the component at a time. It does not change the batches. Default: 256 KiB.
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.scan = self.scan.block_bytes(bytes);
        self
    }

    /// Returns the tables and columns of the state, as the policy lets them through.
    pub fn view(&self) -> Result<PolicyView, Error> {
        let tenant = self.scan.tenant.as_deref();
        let view = self.scan.start().and_then(|mut session| {
            view(
                &mut session,
                self.scan.connector(),
                self.scan.policy.as_ref(),
            )
        });
        view.map_err(|error| error.of_tenant(tenant))
    }

    /// Reads the rows of all requested tables.
    ///
    /// `extracts` come newest first: by date, then by sequence number. Each is read twice, so `open` is called twice for
    /// each, and must return the same bytes both times. [`DeliveryReader::summary`] has counts of all extracts together and
    /// no findings. [`DeliveryReader::roster`] needs a policy.
    pub fn read<R: Read>(
        self,
        extracts: Vec<ExtractPlace>,
        open: impl FnMut(&ExtractPlace) -> io::Result<R> + Send + 'static,
    ) -> Result<DeliveryReader<R>, Error> {
        let tenant = self.scan.tenant.clone();
        self.run_passes(Input::of_state(extracts, Box::new(open)))
            .map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    /// Reads the rows of the requested table, like [`read`](Self::read).
    ///
    /// Fails if not exactly one table was requested.
    pub fn read_table<R: Read>(
        self,
        extracts: Vec<ExtractPlace>,
        open: impl FnMut(&ExtractPlace) -> io::Result<R> + Send + 'static,
    ) -> Result<TableReader<R>, Error> {
        let (request, limit) = self.scan.one_table()?;
        self.read(extracts, open)?.into_table(&request, limit)
    }

    /// Runs only the first pass, without a policy's rows: to find what can be left out of the extracts, and which numbers
    /// belong to a person.
    pub fn survey<R: Read>(
        self,
        extracts: Vec<ExtractPlace>,
        open: impl FnMut(&ExtractPlace) -> io::Result<R> + Send + 'static,
    ) -> Result<StateSurvey, Error> {
        let mut input = Input::of_state(extracts, Box::new(open));
        let mut session = self.scan.start()?;
        let resource = open_state(&mut session, None, None)?;
        let mut buffer = self.scan.buffer();
        let (counts, _) = select_persons(&mut session, resource, &mut input, &mut buffer)?;
        Ok(StateSurvey {
            session,
            resource,
            counts,
        })
    }

    /// Runs the first pass and begins the second.
    fn run_passes<R: Read>(mut self, mut input: Input<R>) -> Result<DeliveryReader<R>, Error> {
        let mut policy = self.scan.policy.take();
        if let (Some(policy), Some(day)) = (&mut policy, self.day.take()) {
            policy.day = Some(day);
        }
        let key = self.scan.pseudonym_key.take();
        let needs_key = |policy: &Policy| policy.numbers == NumberRule::Pseudonym;
        if policy.as_ref().is_some_and(needs_key) && key.is_none() {
            return Err(RequestError::NoPseudonymKey.into());
        }
        let roster = self.scan.roster.take();
        let mut session = self.scan.start()?;
        let view = view(&mut session, self.scan.connector(), policy.as_ref())?;
        for table in view.tables() {
            self.scan.limits.check_columns(table.columns.len())?;
        }
        let resource = open_state(&mut session, policy.as_ref(), roster.as_deref())?;
        drop(roster);
        let mut buffer = self.scan.buffer();
        let (counts, bytes) = select_persons(&mut session, resource, &mut input, &mut buffer)?;
        drop(buffer);
        input.rewind();
        let selection = Selection {
            resource,
            restriction: Arc::new(Restriction {
                view,
                key,
                is_by_policy: policy.is_some(),
            }),
            policy: None,
            counts,
            bytes,
        };
        self.scan.begin(session, Some(selection), input)
    }
}

/// The result of a first pass over a state.
pub struct StateSurvey {
    session: Session,
    resource: ResourceAny,
    counts: SelectionCounts,
}

impl StateSurvey {
    /// Returns the number of persons who have a state.
    pub fn persons(&self) -> u64 {
        self.counts.persons
    }

    /// Returns the persons whose records in the extract at that index are superseded by a newer extract of the same
    /// agreement, for [`ExtractCopy::superseded`](crate::ExtractCopy::superseded).
    ///
    /// It contains person numbers, so store it only in a file that only its owner can read.
    pub fn superseded_persons(&mut self, extract: usize) -> Result<Vec<u8>, Error> {
        let resource = self.resource;
        // The component refuses an extract that the state does not have.
        let index = u32::try_from(extract).unwrap_or(u32::MAX);
        let superseded = self.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_superseded_persons(store, resource, index)
        })?;
        Ok(superseded?)
    }

    /// Returns these numbers and all numbers of the same persons, over any number of changes, sorted.
    pub fn tied_numbers(&mut self, numbers: &[Pnr]) -> Result<Vec<Pnr>, Error> {
        let resource = self.resource;
        let numbers: Vec<String> = numbers.iter().map(|one| one.as_str().to_owned()).collect();
        let tied = self.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_tied_numbers(store, resource, &numbers)
        })?;
        numbers_of(tied?)
    }

    /// Returns the numbers of all persons who count as protected in the state, sorted.
    pub fn protected_numbers(&mut self) -> Result<Vec<Pnr>, Error> {
        let resource = self.resource;
        let protected = self.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_protected_numbers(store, resource)
        })?;
        numbers_of(protected?)
    }
}

/// Reads person numbers that the component returned.
pub(super) fn numbers_of(numbers: Vec<String>) -> Result<Vec<Pnr>, Error> {
    let numbers: Result<_, _> = numbers.into_iter().map(|number| number.parse()).collect();
    numbers.map_err(|_| {
        ComponentError::misbehaved("it returned a person number that is not ten digits").into()
    })
}

/// Asks the component for the view of a state, and checks it.
fn view(
    session: &mut Session,
    connector: &Connector,
    policy: Option<&Policy>,
) -> Result<PolicyView, Error> {
    let request = policy.map(wit::Policy::from);
    let tables = session.call(|bindings, store| {
        let source = bindings.cprflow_connector_source();
        source.call_state_view(store, request.as_ref())
    })?;
    PolicyView::of_state(tables?, connector.catalog(), policy)
}

/// Opens the selection of a state.
fn open_state(
    session: &mut Session,
    policy: Option<&Policy>,
    roster: Option<&[u8]>,
) -> Result<ResourceAny, Error> {
    let request = policy.map(wit::Policy::from);
    let opened = session.call(|bindings, store| {
        let selection = bindings.cprflow_connector_source().selection();
        selection.call_open_state(store, request.as_ref(), roster)
    })?;
    Ok(opened?)
}
