//! Scans that keep to a policy: a first pass chooses the persons, a second makes their rows, both in one fresh
//! instance of the component.

use std::io::{self, Read};

use wasmtime::component::ResourceAny;

use crate::error::Error;
use crate::policy::{Leavers, Numbers, Persons, Policy, Protection};
use crate::pseudonym::PseudonymKey;
use crate::sandbox::bindings::exports::cprflow::connector::source as wit;
use crate::sandbox::{Connector, Limits, Session};
use crate::scan::{DeliveryReader, Scan, TableReader, fill, scan_error};
use crate::view::View;

/// How many persons a policy has chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Selected {
    /// Persons who were chosen and are in the extract.
    pub persons: u64,
    /// Those of them who were not in the roster.
    pub entered: u64,
    /// Persons of the roster who are in the extract and no longer chosen.
    pub left: u64,
}

/// A finished first pass.
pub(crate) struct Selection {
    pub(crate) resource: ResourceAny,
    pub(crate) view: View,
    pub(crate) key: Option<PseudonymKey>,
    selected: Selected,
    bytes: u64,
}

impl Connector {
    /// The tables and columns that a policy lets through, or what is wrong with the policy.
    pub fn view(&self, policy: &Policy) -> Result<View, Error> {
        let mut session = self.start(Limits::default())?;
        view(&mut session, self, policy, &policy.into())
    }
}

impl Scan {
    /// The rows of all tables that are wanted and that the policy lets through.
    ///
    /// A person's records do not stand together, so the extract is read twice: `open` is called once for each pass,
    /// and must give the same bytes both times.
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
    ///     .read_selected(|| Ok(extract.as_bytes()))?;
    /// for rows in batches.by_ref() {
    ///     assert_eq!(rows?.batch.num_rows(), 1);
    /// }
    /// // What the next delivery's scan is given, so that it can tell who has left.
    /// let roster: Vec<u8> = batches.roster()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_selected<R: Read, F: FnMut() -> io::Result<R>>(
        self,
        open: F,
    ) -> Result<DeliveryReader<R>, Error> {
        let tenant = self.tenant.clone();
        self.select(open)
            .map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    /// Both passes, up to the first batch.
    fn select<R: Read, F: FnMut() -> io::Result<R>>(
        mut self,
        mut open: F,
    ) -> Result<DeliveryReader<R>, Error> {
        let Some(policy) = self.policy.take() else {
            return Err(Error::Request(
                "there is no policy to choose persons by: name one, or call read_all".to_owned(),
            ));
        };
        let key = self.pseudonym_key.take();
        if policy.numbers == Numbers::Pseudonym && key.is_none() {
            return Err(Error::Request(
                "the policy replaces person numbers by pseudonyms: give it the tenant's key"
                    .to_owned(),
            ));
        }
        let roster = self.roster.take();
        let superseded = self.superseded.take();
        let mut session = self.start()?;
        let request = wit::Policy::from(&policy);
        let view = view(&mut session, self.connector(), &policy, &request)?;
        for table in view.tables() {
            self.limits.check_columns(table.columns.len())?;
        }
        let resource = session.call(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_open_policy(store, &request, roster.as_deref(), superseded.as_deref())
        })?;
        let resource = resource.map_err(scan_error)?;
        // It may hold millions of numbers, and the component has its own copy.
        drop((request, roster, superseded));
        let mut input = open().map_err(Error::Input)?;
        let (selected, bytes) = choose(&mut session, resource, &mut input, &mut self.block())?;
        drop(input);
        let selection = Selection {
            resource,
            view,
            key,
            selected,
            bytes,
        };
        let input = open().map_err(Error::Input)?;
        self.begin(session, Some(selection), input)
    }

    /// The rows of the one table that was named, as far as the policy lets them through.
    pub fn read_table_selected<R: Read, F: FnMut() -> io::Result<R>>(
        self,
        open: F,
    ) -> Result<TableReader<R>, Error> {
        let (request, limit) = self.one_table()?;
        self.read_selected(open)?.into_table(&request, limit)
    }
}

impl<R> DeliveryReader<R> {
    /// How many persons the policy has chosen; none without a policy.
    pub fn selected(&self) -> Option<Selected> {
        self.selection.as_ref().map(|selection| selection.selected)
    }

    /// Who is in scope after this extract: what the scan of the next one is to be given. It holds person numbers, and
    /// belongs in a file that only its owner can read.
    pub fn roster(&mut self) -> Result<Vec<u8>, Error> {
        let Some(selection) = &self.selection else {
            return Err(Error::Request(
                "a scan without a policy has no roster".to_owned(),
            ));
        };
        let resource = selection.resource;
        // Of all of Denmark it has the size of a batch.
        let roster = self.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_roster(store, resource)
        });
        let roster = roster.and_then(|roster| roster.map_err(scan_error));
        roster.map_err(|error| error.of_tenant(self.tenant.as_deref()))
    }

    /// Everybody whom this extract delivers, in the form of a roster: what the scan of an extract that comes before
    /// this one, and late, is to be given as [`Scan::superseded`].
    pub fn delivered(&mut self) -> Result<Vec<u8>, Error> {
        let Some(selection) = &self.selection else {
            return Err(Error::Request(
                "a scan without a policy keeps no list of persons".to_owned(),
            ));
        };
        let resource = selection.resource;
        let delivered = self.session.call_for_batch(|bindings, store| {
            let selection = bindings.cprflow_connector_source().selection();
            selection.call_delivered(store, resource)
        });
        let delivered = delivered.and_then(|delivered| delivered.map_err(scan_error));
        delivered.map_err(|error| error.of_tenant(self.tenant.as_deref()))
    }

    /// The tables and columns that the policy lets through; none without a policy.
    pub fn view(&self) -> Option<&View> {
        self.selection.as_ref().map(|selection| &selection.view)
    }
}

impl<R> TableReader<R> {
    /// How many persons the policy has chosen; none without a policy.
    pub fn selected(&self) -> Option<Selected> {
        self.batches.selected()
    }

    /// Who is in scope after this extract, as of [`DeliveryReader::roster`].
    pub fn roster(&mut self) -> Result<Vec<u8>, Error> {
        self.batches.roster()
    }
}

impl Selection {
    /// Whether the second pass has read as much as the first: persons are chosen and protected by what the first saw.
    pub(crate) fn check_input(&self, bytes: u64) -> Result<(), Error> {
        if bytes == self.bytes {
            return Ok(());
        }
        Err(Error::Input(io::Error::new(
            io::ErrorKind::InvalidData,
            "it changed between the two passes over it",
        )))
    }
}

/// Asks the component for a policy's view, and checks the answer.
fn view(
    session: &mut Session,
    connector: &Connector,
    policy: &Policy,
    request: &wit::Policy,
) -> Result<View, Error> {
    let tables = session.call(|bindings, store| {
        let source = bindings.cprflow_connector_source();
        source.call_view(store, request)
    })?;
    View::new(tables.map_err(scan_error)?, connector.catalog(), policy)
}

/// The first pass.
fn choose(
    session: &mut Session,
    selection: ResourceAny,
    input: &mut impl Read,
    block: &mut [u8],
) -> Result<(Selected, u64), Error> {
    let mut bytes = 0;
    loop {
        let count = fill(input, block)?;
        let block = block.get(..count).unwrap_or_default();
        if block.is_empty() {
            break;
        }
        bytes += count as u64;
        let pushed = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.selection().call_push(store, selection, block)
        })?;
        pushed.map_err(scan_error)?;
    }
    let selected = session.call(|bindings, store| {
        let source = bindings.cprflow_connector_source();
        source.selection().call_finish(store, selection)
    })?;
    let wit::Selected {
        persons,
        entered,
        left,
    } = selected.map_err(scan_error)?;
    let selected = Selected {
        persons,
        entered,
        left,
    };
    Ok((selected, bytes))
}

impl From<&Policy> for wit::Policy {
    fn from(policy: &Policy) -> Self {
        Self {
            persons: (&policy.persons).into(),
            day: policy.day.clone(),
            classes: policy.classes.iter().cloned().collect(),
            tables: policy
                .tables
                .as_ref()
                .map(|tables| tables.iter().cloned().collect()),
            columns: policy
                .columns
                .iter()
                .map(|(table, columns)| wit::TableColumns {
                    table: table.clone(),
                    columns: columns.clone(),
                })
                .collect(),
            rows: policy
                .rows
                .iter()
                .map(|(table, where_)| wit::TableRows {
                    table: table.clone(),
                    where_: where_.clone(),
                })
                .collect(),
            protection: match policy.protection {
                Protection::Include => wit::ProtectionRule::Include,
                Protection::Mask => wit::ProtectionRule::Mask,
                Protection::Drop => wit::ProtectionRule::Drop,
            },
            numbers: match policy.numbers {
                Numbers::Keep => wit::NumberRule::Keep,
                Numbers::Pseudonym => wit::NumberRule::Pseudonym,
                Numbers::Drop => wit::NumberRule::Drop,
            },
            also: policy.also.iter().cloned().collect(),
            leavers: match policy.leavers {
                Leavers::Notice => wit::LeaverRule::Notice,
                Leavers::Last => wit::LeaverRule::Last,
            },
        }
    }
}

impl From<&Persons> for wit::PersonFilter {
    fn from(persons: &Persons) -> Self {
        let numbers = persons.numbers.as_ref();
        Self {
            municipality_codes: persons.municipality_codes.clone(),
            status_codes: persons.status_codes.clone(),
            ages: persons
                .ages
                .map(|(youngest, oldest)| wit::AgeRange { youngest, oldest }),
            event_codes: persons.event_codes.clone(),
            numbers: numbers.map(|numbers| {
                let digits = numbers.iter().map(|number| number.as_str().to_owned());
                digits.collect()
            }),
        }
    }
}
