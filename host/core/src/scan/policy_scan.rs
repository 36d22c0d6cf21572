//! Scans with a policy: a first pass selects the persons, a second makes their rows. Both use the same instance of the
//! component.

use std::io::{self, Read};
use std::sync::Arc;

use wasmtime::component::ResourceAny;

use super::builder::Scan;
use super::input::{Input, InputStep, read_block};
use super::parts::{
    Begun, ChosenPieces, Division, FinishedPart, PartError, PartRun, Rest, SelectionPassSetup,
};
use super::reader::{DeliveryReader, TableReader};
use super::row_order::Order;
use super::state::numbers_of;
use super::table_decoders::is_of_persons;
use crate::component::Connector;
use crate::error::{Error, RequestError};
use crate::pnr::Pnr;
use crate::policy::{NumberRule, Policy, PolicyView, PseudonymKey};
use crate::sandbox::{Limits, Session};
use crate::wit::source as wit;

/// How many persons a policy has selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct SelectionCounts {
    /// The number of selected persons who are in the extract.
    pub persons: u64,
    /// The number of those who were not in the roster.
    pub entered: u64,
    /// The number of persons of the roster who are in the extract and no longer selected.
    pub left: u64,
}

/// The result of a first pass.
pub(super) struct Selection {
    pub(super) resource: ResourceAny,
    pub(super) restriction: Arc<Restriction>,
    /// The policy, for instances that read parts; none for a state, which has no parts.
    pub(super) policy: Option<Arc<wit::Policy>>,
    pub(super) counts: SelectionCounts,
    /// The number of bytes that the pass has read.
    pub(super) bytes: u64,
}

/// What a policy or a state lets through.
pub(super) struct Restriction {
    pub(super) view: PolicyView,
    pub(super) key: Option<PseudonymKey>,
    /// Whether there is a policy. Only a pass over a state can be without one.
    pub(super) is_by_policy: bool,
}

impl Connector {
    /// Returns the tables and columns that a policy lets through.
    ///
    /// Fails if the policy names something that does not exist or that it hides.
    pub fn view(&self, policy: &Policy) -> Result<PolicyView, Error> {
        let mut session = self.start(Limits::default())?;
        view(&mut session, self, policy, &policy.into())
    }
}

impl Scan {
    /// Returns the tables and columns that the scan's policy lets through, or `None` without a policy.
    ///
    /// Fails if the policy names something that does not exist or that it hides.
    pub fn view(&self) -> Result<Option<PolicyView>, Error> {
        let view = self
            .policy
            .as_ref()
            .map(|policy| self.connector().view(policy));
        let view = view.transpose();
        view.map_err(|error| error.of_tenant(self.tenant.as_deref()))
    }

    /// Reads the rows of all requested tables, as far as the policy lets them through.
    ///
    /// A person's records do not follow each other, so the extract is read twice: `open` is called once for each pass,
    /// and must return the same bytes both times. Fails if the scan has no policy.
    ///
    /// ```
    /// use cprflow::{Connector, Policy, Scan};
    ///
    /// let extract = "00000000000001109012001111720011116\n\
    ///     0010101965058          01000000000000 K1896-01-01 1997-09-09\n\
    ///     002010196505808510000\n\
    ///     999999999999900000002\n";
    /// let mut policy = Policy::default();
    /// policy.persons.municipality_codes = Some(vec!["0851".to_owned()]);
    /// let connector = Connector::embedded()?;
    /// let mut batches = Scan::new(&connector)
    ///     .policy(&policy)
    ///     .read_with_policy(|| Ok(extract.as_bytes()))?;
    /// for rows in batches.by_ref() {
    ///     assert_eq!(rows?.batch.num_rows(), 1);
    /// }
    /// // Keep it for the scan of the next delivery, which needs it to find leavers.
    /// let roster: Vec<u8> = batches.roster()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_with_policy<R: Read, F: FnMut() -> io::Result<R>>(
        self,
        open: F,
    ) -> Result<DeliveryReader<R>, Error> {
        let tenant = self.tenant.clone();
        self.run_passes(open)
            .map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    /// Runs the first pass and begins the second.
    fn run_passes<R: Read, F: FnMut() -> io::Result<R>>(
        mut self,
        mut open: F,
    ) -> Result<DeliveryReader<R>, Error> {
        let (session, selection) = self.select(&mut open)?;
        let input = Input::Extract(open().map_err(Error::Input)?);
        self.begin(session, Some(selection), input)
    }

    /// Runs the first pass.
    pub(super) fn select<R: Read>(
        &mut self,
        open: &mut impl FnMut() -> io::Result<R>,
    ) -> Result<(Session, Selection), Error> {
        let Some(policy) = self.policy.take() else {
            return Err(RequestError::NoPolicy.into());
        };
        let key = self.pseudonym_key.take();
        if policy.numbers == NumberRule::Pseudonym && key.is_none() {
            return Err(RequestError::NoPseudonymKey.into());
        }
        let roster = self.roster.take();
        let delivered_later = self.delivered_later.take();
        let mut session = self.start()?;
        let request = wit::Policy::from(&policy);
        let view = view(&mut session, self.connector(), &policy, &request)?;
        for table in view.tables() {
            self.limits.check_columns(table.columns.len())?;
        }
        let resource = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_open_policy(
                store,
                &request,
                roster.as_deref(),
                delivered_later.as_deref(),
            )
        })?;
        let resource = resource?;
        let protected = std::mem::take(&mut self.protected);
        if !protected.is_empty() {
            let named = session.call(|bindings, store| {
                let selection = bindings.cprflow_connector_source().selection();
                selection.call_protect(store, resource, &protected)
            })?;
            named?;
        }
        // These can contain millions of person numbers, and the component has its own copy.
        drop((roster, delivered_later, protected));
        let request = Arc::new(request);
        let mut pass = DividedPass {
            division: self.division(),
            connector: self.connector().clone(),
            limits: self.limits,
            policy: request.clone(),
            bytes: 0,
        };
        let mut input = open().map_err(Error::Input)?;
        let counts = pass.run(&mut session, resource, &mut input, &mut self.buffer())?;
        drop(input);
        let selection = Selection {
            resource,
            restriction: Arc::new(Restriction {
                view,
                key,
                is_by_policy: true,
            }),
            policy: Some(request),
            counts,
            bytes: pass.bytes,
        };
        Ok((session, selection))
    }

    /// Opens a selection that another process has made. The second pass will read that many bytes.
    pub(super) fn open_chosen(
        &mut self,
        policy: &Policy,
        pieces: &[Vec<u8>],
        bytes: u64,
    ) -> Result<(Session, Selection), Error> {
        let key = self.pseudonym_key.take();
        if policy.numbers == NumberRule::Pseudonym && key.is_none() {
            return Err(RequestError::NoPseudonymKey.into());
        }
        let mut session = self.start()?;
        let request = Arc::new(wit::Policy::from(policy));
        let view = view(&mut session, self.connector(), policy, &request)?;
        for table in view.tables() {
            self.limits.check_columns(table.columns.len())?;
        }
        let selection = Selection {
            resource: ChosenPieces::new(request.clone(), pieces.to_vec()).open(&mut session)?,
            restriction: Arc::new(Restriction {
                view,
                key,
                is_by_policy: true,
            }),
            policy: Some(request),
            // Counted by the process that has made the selection.
            counts: SelectionCounts {
                persons: 0,
                entered: 0,
                left: 0,
            },
            bytes,
        };
        Ok((session, selection))
    }

    /// Reads the rows of the requested table, as far as the policy lets them through. The extract is read twice, like
    /// by [`read_with_policy`](Self::read_with_policy).
    ///
    /// Fails if not exactly one table was requested, or if the scan has no policy.
    pub fn read_table_with_policy<R: Read, F: FnMut() -> io::Result<R>>(
        self,
        open: F,
    ) -> Result<TableReader<R>, Error> {
        let (request, limit) = self.one_table()?;
        self.read_with_policy(open)?.into_table(&request, limit)
    }
}

impl<R> DeliveryReader<R> {
    /// Returns how many persons the policy has selected, or `None` without a policy.
    pub fn selected(&self) -> Option<SelectionCounts> {
        let selection = self.running.selection.as_ref();
        selection.map(|selection| selection.counts)
    }

    /// Returns the persons in scope after this extract, for [`Scan::roster`] of the next one.
    ///
    /// It contains person numbers, so store it in a file that only its owner can read. Fails without a policy.
    pub fn roster(&mut self) -> Result<Vec<u8>, Error> {
        let resource = self.selection_resource()?;
        let running = &mut self.running;
        // The roster of all of Denmark is about as large as a batch.
        let roster = running.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_roster(store, resource)
        });
        let roster = roster.and_then(|roster| Ok(roster?));
        roster.map_err(|error| running.name_tenant(error))
    }

    /// Returns the persons with a 001 in this extract, in the format of a roster, for [`Scan::delivered_later`] of an
    /// older extract that is read late. Of a state, returns the persons who have one.
    ///
    /// It contains person numbers, so store it in a file that only its owner can read. Fails without a policy.
    pub fn delivered_persons(&mut self) -> Result<Vec<u8>, Error> {
        let resource = self.selection_resource()?;
        let running = &mut self.running;
        let delivered = running.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_delivered_persons(store, resource)
        });
        let delivered = delivered.and_then(|delivered| Ok(delivered?));
        delivered.map_err(|error| running.name_tenant(error))
    }

    /// Returns the numbers of all persons who count as protected, in scope or not, sorted.
    ///
    /// Fails without a policy.
    pub fn protected_numbers(&mut self) -> Result<Vec<Pnr>, Error> {
        let resource = self.selection_resource()?;
        let running = &mut self.running;
        let protected = running.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_protected_numbers(store, resource)
        });
        let protected = protected.and_then(|protected| numbers_of(protected?));
        protected.map_err(|error| running.name_tenant(error))
    }

    fn selection_resource(&self) -> Result<ResourceAny, RequestError> {
        let selection = self.running.selection.as_ref();
        let selection = selection.ok_or(RequestError::NoRoster)?;
        Ok(selection.resource)
    }

    /// Returns the tables and columns that the policy lets through, or `None` without a policy.
    pub fn view(&self) -> Option<&PolicyView> {
        let selection = self.running.selection.as_ref();
        selection.map(|selection| &selection.restriction.view)
    }
}

impl<R> TableReader<R> {
    /// Returns how many persons the policy has selected, or `None` without a policy.
    pub fn selected(&self) -> Option<SelectionCounts> {
        self.batches.selected()
    }

    /// Returns the persons in scope after this extract, like [`DeliveryReader::roster`].
    pub fn roster(&mut self) -> Result<Vec<u8>, Error> {
        self.batches.roster()
    }
}

impl Selection {
    /// Returns whether the rows of a request are returned in another order than that of the extract.
    pub(super) fn hides_order(&self, connector: &Connector, request: &wit::TableRequest) -> bool {
        let view = &self.restriction.view;
        let schema = view
            .table(&request.name)
            .and_then(|table| table.schema(request.columns.as_deref()));
        let is_of_persons = is_of_persons(connector, &request.name);
        schema.is_none_or(|schema| {
            Order::of(&schema, is_of_persons, view.numbers()) != Order::Extract
        })
    }

    /// Returns the selection for other instances.
    pub(super) fn pieces(&self, session: &mut Session) -> Result<ChosenPieces, Error> {
        let policy = self.policy.clone().ok_or(RequestError::NoPolicy)?;
        ChosenPieces::of(session, self.resource, policy)
    }

    /// Fails if the second pass has not read as many bytes as the first, because then the first pass may have missed a
    /// person's protection.
    pub(super) fn check_input(&self, bytes: u64) -> Result<(), Error> {
        if bytes == self.bytes {
            return Ok(());
        }
        Err(Error::Input(io::Error::new(
            io::ErrorKind::InvalidData,
            "the input changed between the two passes: scan a file that no other program writes to",
        )))
    }
}

impl Connector {
    /// Returns the union of two rosters.
    ///
    /// Only the component can read a roster, so this merges two selections that have read nothing, each with one
    /// roster.
    pub fn merge_rosters(
        &self,
        limits: Limits,
        one: &[u8],
        other: &[u8],
    ) -> Result<Vec<u8>, Error> {
        // Any policy will do, because the selections read no persons.
        let policy = wit::Policy::from(&Policy::default());
        let mut session = self.start(limits)?;
        let mut open = |roster: &[u8]| {
            let opened = session.call(|bindings, store| {
                let selection = bindings.cprflow_connector_source().selection();
                selection.call_open_policy(store, &policy, Some(roster), None)
            })?;
            let opened = opened?;
            let finished = session.call(|bindings, store| {
                let selection = bindings.cprflow_connector_source().selection();
                selection.call_finish(store, opened)
            })?;
            finished?;
            Ok::<_, Error>(opened)
        };
        let (one, other) = (open(one)?, open(other)?);
        let merged = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_merge(store, one, other)
        })?;
        merged?;
        let roster = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_roster(store, one)
        })?;
        Ok(roster?)
    }
}

impl Connector {
    /// Returns a roster, or a list of delivered persons, without these persons. Only the component can read it.
    pub fn roster_without(
        &self,
        limits: Limits,
        roster: &[u8],
        numbers: &[Pnr],
    ) -> Result<Vec<u8>, Error> {
        let numbers: Vec<String> = numbers.iter().map(|one| one.as_str().to_owned()).collect();
        let mut session = self.start(limits)?;
        let rest = session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_roster_without(store, roster, &numbers)
        })?;
        Ok(rest?)
    }

    /// Returns the persons who are in both rosters, as a roster. Without the first one there are none.
    pub fn common_roster(
        &self,
        limits: Limits,
        roster: Option<&[u8]>,
        other: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut session = self.start(limits)?;
        let common = session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_common_roster(store, roster, other)
        })?;
        Ok(common?)
    }
}

/// Asks the component for the view of a policy, and checks it.
fn view(
    session: &mut Session,
    connector: &Connector,
    policy: &Policy,
    request: &wit::Policy,
) -> Result<PolicyView, Error> {
    let tables = session.call(|bindings, store| {
        let source = bindings.cprflow_connector_source();
        source.call_view(store, request)
    })?;
    PolicyView::new(tables?, connector.catalog(), policy)
}

/// A first pass that reads parts of the extract at the same time.
struct DividedPass {
    division: Division,
    connector: Connector,
    limits: Limits,
    policy: Arc<wit::Policy>,
    /// The number of bytes that were read.
    bytes: u64,
}

impl DividedPass {
    /// Runs the pass. Returns how many persons were selected.
    fn run<R: Read>(
        &mut self,
        session: &mut Session,
        selection: ResourceAny,
        input: &mut R,
        buffer: &mut [u8],
    ) -> Result<SelectionCounts, Error> {
        let mut rest = Rest::default();
        loop {
            let count = match rest.next(buffer) {
                Some(count) => count,
                None if self.division.may_begin(self.bytes) => {
                    rest = self.read_parts(session, selection, input, buffer.len())?;
                    continue;
                }
                None => read_block(input, buffer)?,
            };
            let Some(block) = buffer.get(..count).filter(|block| !block.is_empty()) else {
                return finish(session, selection);
            };
            self.bytes += count as u64;
            let pushed = session.call(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.selection().call_push(store, selection, block)
            })?;
            pushed?;
        }
    }

    /// Reads the parts of the extract. Returns what the selection itself must read.
    fn read_parts<R: Read>(
        &mut self,
        session: &mut Session,
        selection: ResourceAny,
        input: &mut R,
        block_bytes: usize,
    ) -> Result<Rest, Error> {
        let start = |session: &mut Session| {
            let start = session.call_for_batch(|bindings, store| {
                let source = bindings.cprflow_connector_source();
                source.selection().call_begin_parts(store, selection)
            })?;
            Ok(start?)
        };
        let open = |session: &mut Session, start: &wit::PartStart| {
            let setup = SelectionPassSetup {
                connector: self.connector.clone(),
                limits: self.limits,
                policy: self.policy.clone(),
                context: Arc::new(start.context.clone()),
                block_bytes,
            };
            let own = setup.open(session, !start.has_line_ends)?;
            Ok((own, move || setup.start()))
        };
        let division = self.division;
        let begun = PartRun::begin(
            division,
            block_bytes,
            self.bytes,
            input,
            session,
            start,
            open,
        )?;
        let mut run = match begun {
            Begun::Whole(rest) => return Ok(rest),
            Begun::Run(run, returned) => {
                self.bytes -= returned;
                run
            }
        };
        self.division = Division::NONE;
        while let Some(FinishedPart { bytes, result }) = run.next(input, session)? {
            let is_added = match result {
                Ok(found) => {
                    let added = session.call(|bindings, store| {
                        let source = bindings.cprflow_connector_source();
                        source.selection().call_add_part(store, selection, &found)
                    })?;
                    added?
                }
                Err(PartError::Unread) => false,
                Err(PartError::Failed(error)) => return Err(error),
            };
            if !is_added {
                return Ok(run.into_rest(Some(bytes)));
            }
            self.bytes += bytes.len() as u64;
            run.reuse(bytes);
        }
        Ok(run.into_rest(None))
    }
}

/// Runs the first pass. Returns how many persons were selected, and how many bytes were read.
pub(super) fn select_persons<R: Read>(
    session: &mut Session,
    selection: ResourceAny,
    input: &mut Input<R>,
    buffer: &mut [u8],
) -> Result<(SelectionCounts, u64), Error> {
    let mut bytes = 0;
    loop {
        let step = input.next(buffer).map_err(|error| input.name(error))?;
        let count = match step {
            InputStep::Block(count) => count,
            InputStep::End => break,
            InputStep::Begin(_) | InputStep::EndExtract => 0,
        };
        let block = buffer.get(..count).unwrap_or_default();
        bytes += count as u64;
        let taken = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source().selection();
            match &step {
                InputStep::Begin(place) => {
                    source.call_begin_extract(store, selection, &place.into())
                }
                InputStep::EndExtract => source.call_end_extract(store, selection),
                InputStep::Block(_) | InputStep::End => source.call_push(store, selection, block),
            }
        })?;
        taken.map_err(|error| input.name(error.into()))?;
    }
    Ok((finish(session, selection)?, bytes))
}

/// Ends a first pass.
fn finish(session: &mut Session, selection: ResourceAny) -> Result<SelectionCounts, Error> {
    let selected = session.call(|bindings, store| {
        let source = bindings.cprflow_connector_source();
        source.selection().call_finish(store, selection)
    })?;
    Ok(selected?.into())
}
