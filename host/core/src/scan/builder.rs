//! The builder [`Scan`].

use std::io::Read;
use std::sync::Arc;

use super::input::Input;
use super::parts::{Division, default_part_bytes};
use super::policy_scan::Selection;
use super::reader::{DeliveryReader, RunningScan, TableReader};
use super::row_order::LINE;
use super::table_decoders::OutputPlan;
use crate::component::Connector;
use crate::error::{Error, RequestError};
use crate::pnr::Pnr;
use crate::policy::{Policy, PseudonymKey};
use crate::sandbox::{Limits, Session};
use crate::wit::source as wit;

/// The bytes given to the component at a time. This is large enough that the cost of a call is small, and small enough
/// that both copies (of the host and of the component) stay in the processor's cache.
const BLOCK_BYTES: usize = 256 * 1024;

/// The component's default number of rows in a batch.
const DEFAULT_BATCH_ROWS: u64 = 8 * 1024;

/// A scan of an extract: which tables, columns and rows to read, within which limits and policy.
///
/// ```
/// use cprflow::{Connector, Scan};
///
/// let extract = "00000000000001109012001111720011116\n\
///     0010101965058          01000000000000 K1896-01-01 1997-09-09\n\
///     999999999999900000001\n";
/// let connector = Connector::embedded()?;
/// let rows = Scan::new(&connector)
///     .table("person")
///     .columns(["pnr", "birth_date"])
///     .read(extract.as_bytes())?;
/// for batch in rows {
///     assert_eq!(batch?.num_rows(), 1);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Scan {
    connector: Connector,
    requests: Vec<wit::TableRequest>,
    pub(super) batch_rows: u32,
    limit: Option<u64>,
    check_persons: bool,
    expected_previous: Option<String>,
    pub(super) limits: Limits,
    pub(super) tenant: Option<Arc<str>>,
    block_bytes: usize,
    threads: usize,
    /// The number of bytes in a part; `None` chooses it by the number of tables.
    part_bytes: Option<usize>,
    pub(super) policy: Option<Policy>,
    pub(super) roster: Option<Vec<u8>>,
    pub(super) delivered_later: Option<Vec<u8>>,
    pub(super) pseudonym_key: Option<PseudonymKey>,
    pub(super) protected: Vec<String>,
}

impl Scan {
    /// Creates a scan of all tables. Call [`table`](Self::table) to read only some.
    pub fn new(connector: &Connector) -> Self {
        Self {
            connector: connector.clone(),
            requests: Vec::new(),
            batch_rows: 0,
            limit: None,
            check_persons: false,
            expected_previous: None,
            limits: Limits::default(),
            tenant: None,
            block_bytes: BLOCK_BYTES,
            threads: 0,
            part_bytes: None,
            policy: None,
            roster: None,
            delivered_later: None,
            pseudonym_key: None,
            protected: Vec::new(),
        }
    }

    /// Returns the connector that runs the scan.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Adds a table to the requested tables.
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.requests.push(wit::TableRequest {
            name: name.into(),
            columns: None,
            where_: None,
        });
        self
    }

    /// Sets the requested columns of the table that was added last, in this order. Default: all.
    pub fn columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        if let Some(request) = self.requests.last_mut() {
            request.columns = Some(columns.into_iter().map(Into::into).collect());
        }
        self
    }

    /// Sets the condition on rows of the table that was added last, for example
    /// `status in ('01', '03') and birth_date < '1990-01-01'`. Default: all rows.
    ///
    /// Under a policy it applies to what the policy lets through.
    pub fn where_(mut self, predicate: impl Into<String>) -> Self {
        if let Some(request) = self.requests.last_mut() {
            request.where_ = Some(predicate.into());
        }
        self
    }

    /// Restricts the scan to what a tenant may see. Run it with [`read_with_policy`](Self::read_with_policy) or
    /// [`read_table_with_policy`](Self::read_table_with_policy).
    pub fn policy(mut self, policy: &Policy) -> Self {
        self.policy = Some(policy.clone());
        self
    }

    /// Sets the roster of the preceding delivery's scan, as [`DeliveryReader::roster`] returned it. Leavers are found
    /// with it.
    pub fn roster(mut self, roster: Vec<u8>) -> Self {
        self.roster = Some(roster);
        self
    }

    /// Sets the persons in newer extracts that were read before this one, as [`DeliveryReader::delivered_persons`]
    /// returned them.
    ///
    /// This extract's records of these persons are outdated. The persons are not selected, and not reported as leavers.
    pub fn delivered_later(mut self, delivered: Vec<u8>) -> Self {
        self.delivered_later = Some(delivered);
        self
    }

    /// Sets persons who count as protected whatever the extract says, and all numbers tied to theirs: for an older extract
    /// that is read again after they became protected.
    pub fn protected<'a>(mut self, numbers: impl IntoIterator<Item = &'a Pnr>) -> Self {
        let numbers = numbers.into_iter().map(|number| number.as_str().to_owned());
        self.protected = numbers.collect();
        self
    }

    /// Sets the key of pseudonyms. A policy with [`NumberRule::Pseudonym`](crate::policy::NumberRule::Pseudonym) needs
    /// one.
    pub fn pseudonym_key(mut self, key: PseudonymKey) -> Self {
        self.pseudonym_key = Some(key);
        self
    }

    /// Sets the largest number of rows of a scan of one table. The scan stops reading when it has them.
    pub fn limit(mut self, rows: u64) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Sets the largest number of rows in a batch. Default: 8,192. Any batch can have fewer rows, for example at the end of
    /// a part of the extract that one thread reads: see [`threads`](Self::threads).
    pub fn batch_rows(mut self, rows: u32) -> Self {
        self.batch_rows = rows;
        self
    }

    /// Sets whether to report persons without a 001. This needs memory for every person. Default: no.
    pub fn check_persons(mut self, check: bool) -> Self {
        self.check_persons = check;
        self
    }

    /// Sets the production date of the preceding extract, `YYYY-MM-DD`. If the start record names another one, the scan
    /// reports the finding `sequence-gap`.
    pub fn expected_previous(mut self, date: impl Into<String>) -> Self {
        self.expected_previous = Some(date.into());
        self
    }

    /// Sets the limits of the component.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the name of the tenant, which errors of the component then contain.
    pub fn tenant(mut self, name: impl Into<Arc<str>>) -> Self {
        self.tenant = Some(name.into());
        self
    }

    /// Sets the number of bytes given to the component at a time. It does not change the batches. Default: 256 KiB.
    pub fn block_bytes(mut self, bytes: usize) -> Self {
        self.block_bytes = bytes.max(1);
        self
    }

    /// Sets the number of threads that read the extract: each has an instance of the component with the scan's limits.
    /// Default, and with 0: one for each core.
    ///
    /// The rows, their order, the findings and the errors do not depend on it; only the sizes of batches do. An extract that is
    /// hardly larger than a part ([`part_bytes`](Self::part_bytes)) is read by one thread, and so is a scan with
    /// [`limit`](Self::limit) or with a condition on `line`. If a policy selects more than four million persons, one thread
    /// makes the rows.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the number of bytes that a thread reads at a time: a part. Twice as many parts as there are threads can be in
    /// memory. Default: 8 MiB, or 2 MiB for each requested table if these are fewer than four.
    pub fn part_bytes(mut self, bytes: usize) -> Self {
        self.part_bytes = Some(bytes.max(1));
        self
    }

    /// Reads the rows of the requested table.
    ///
    /// Fails if not exactly one table was requested, or if the scan has a policy.
    pub fn read<R: Read>(self, input: R) -> Result<TableReader<R>, Error> {
        let (request, limit) = self.one_table()?;
        // The component checks the request, and its errors are more precise than those of `into_table`.
        let batches = self.read_all(input)?;
        batches.into_table(&request, limit)
    }

    /// Reads the rows of all requested tables in one pass.
    ///
    /// Fails if the scan has a policy.
    pub fn read_all<R: Read>(self, input: R) -> Result<DeliveryReader<R>, Error> {
        if self.policy.is_some() {
            return Err(RequestError::PolicyNeedsTwoPasses.into());
        }
        let tenant = self.tenant.clone();
        let reader = self
            .start()
            .and_then(|session| self.begin(session, None, Input::Extract(input)));
        reader.map_err(|error| error.of_tenant(tenant.as_deref()))
    }

    /// Returns the request and the row limit of a scan of one table.
    pub(super) fn one_table(&self) -> Result<(wit::TableRequest, Option<u64>), Error> {
        match self.requests.as_slice() {
            [request] => Ok((request.clone(), self.limit)),
            _ => Err(RequestError::OneTable.into()),
        }
    }

    /// Creates the instance for this scan.
    pub(super) fn start(&self) -> Result<Session, Error> {
        self.connector.start(self.limits)
    }

    /// Returns how the extract is divided into parts.
    pub(super) fn division(&self) -> Division {
        // A limit should not read more than it needs.
        let is_whole = self.limit.is_some()
            || self
                .requests
                .iter()
                .any(|request| request.where_.as_deref().is_some_and(may_name_line));
        match is_whole {
            true => Division::NONE,
            false => Division::new(self.threads, self.bytes_of_part()),
        }
    }

    /// Returns the number of bytes in a part.
    fn bytes_of_part(&self) -> usize {
        self.part_bytes
            .unwrap_or_else(|| default_part_bytes(self.requests.len()))
    }

    /// Returns a buffer for one block of input.
    pub(super) fn buffer(&self) -> Vec<u8> {
        vec![0; self.block_bytes.min(self.bytes_of_part())]
    }

    /// Begins the pass that makes rows, with the persons that a first pass has selected.
    pub(super) fn begin<R>(
        self,
        mut session: Session,
        selection: Option<Selection>,
        input: Input<R>,
    ) -> Result<DeliveryReader<R>, Error> {
        let buffer = self.buffer();
        let batch_rows = match self.limit {
            // Smaller batches, so that not more is read than the limit needs.
            Some(limit) if self.batch_rows == 0 => limit.clamp(1, DEFAULT_BATCH_ROWS) as u32,
            Some(limit) => limit.clamp(1, u64::from(self.batch_rows)) as u32,
            None => self.batch_rows,
        };
        let most = u32::try_from(self.limits.batch_rows).unwrap_or(u32::MAX);
        let batch_rows = batch_rows.min(most);
        let options = wit::ScanOptions {
            tables: (!self.requests.is_empty()).then(|| self.requests.clone()),
            batch_rows,
            check_persons: self.check_persons,
            expected_previous: self.expected_previous.clone(),
        };
        let policy = selection
            .as_ref()
            .and_then(|selection| selection.policy.as_ref());
        let mut rows = policy.iter().flat_map(|policy| &policy.rows);
        let counts = selection.as_ref().map(|selection| selection.counts);
        let has_room =
            counts.is_none_or(|counts| counts.persons.saturating_add(counts.left) <= MOST_PERSONS);
        let names_line = rows.any(|of_table| may_name_line(&of_table.where_));
        let division = match has_room && !names_line {
            true => self.division(),
            false => Division::NONE,
        };
        let persons = selection.as_ref().map(|selection| selection.resource);
        let scan = session.call(|bindings, store| {
            let source = bindings.cprflow_connector_source();
            source.scan().call_open(store, &options, persons)
        })?;
        let running = RunningScan {
            session,
            scan: scan?,
            tenant: self.tenant,
            plan: Arc::new(OutputPlan {
                connector: self.connector,
                requests: self.requests,
                limits: self.limits,
                restriction: selection
                    .as_ref()
                    .map(|selection| selection.restriction.clone()),
            }),
            options: Arc::new(options),
            selection,
            division,
        };
        Ok(DeliveryReader::new(running, input, buffer))
    }
}

/// The largest number of persons of a selection that other instances get. The instance with a larger one has no room for the
/// copy that it hands over, within the default memory of 256 MiB.
const MOST_PERSONS: u64 = 4_000_000;

/// Returns whether a condition on rows may name the number of the record, which is not known in a part.
pub(super) fn may_name_line(condition: &str) -> bool {
    condition.to_ascii_lowercase().contains(LINE)
}
