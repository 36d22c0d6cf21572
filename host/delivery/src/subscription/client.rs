//! The client of the subscription service. It encodes calls in the sandbox, sends them over a channel, retries them where
//! that is safe, and writes changes to the audit log.

use jiff::Timestamp;
use regex::bytes::Regex;

use super::audit::{AuditLog, Entry, random};
use super::filter::{CurrentFilters, Filter, FilterKind};
use super::{PlatformIds, Retry, Service, SubscriptionError};
use crate::error::Error;
use crate::failpoint;
use crate::stop::Stop;
use cprflow::Connector;
use cprflow::soap_messages::{ChangeResult, Operation, Reply};

/// A response that came over a channel.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The complete body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    /// Prints only the length of the body, because it can contain person numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish()
    }
}

/// The reason why no response came over a channel.
#[derive(Debug)]
pub struct ChannelError {
    /// The error.
    pub error: Error,
    /// Whether a retry may succeed.
    pub is_transient: bool,
    /// Whether the platform may have carried out the call.
    pub may_have_been_applied: bool,
}

/// A connection to the service.
pub trait Channel {
    /// Sends a request and waits for the response.
    fn call(&mut self, request: &[u8]) -> Result<Answer, ChannelError>;
}

/// A client of the subscription service.
pub struct Client<'a> {
    connector: &'a Connector,
    channel: Box<dyn Channel + 'a>,
    service: &'a Service,
    audit: Option<AuditLog>,
    retry: Retry,
    stop: Stop,
    calls: u64,
    retries: u64,
}

impl std::fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// A change of the subscription, for the call and for the audit log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    Add(&'a Filter),
    Remove(&'a Filter),
    Clear(FilterKind),
}

impl<'a> Change<'a> {
    pub(crate) fn operation(self) -> Operation {
        match self {
            Self::Add(filter) => filter.add(),
            Self::Remove(filter) => filter.remove(),
            Self::Clear(kind) => Operation::RemoveAll(kind.group()),
        }
    }

    fn entry(self, call_id: &'a str, result: &'a str) -> Entry<'a> {
        let (operation, kind, filter) = match self {
            Self::Add(filter) => ("add", filter.kind(), Some(filter)),
            Self::Remove(filter) => ("remove", filter.kind(), Some(filter)),
            Self::Clear(kind) => ("clear", kind, None),
        };
        Entry {
            operation,
            kind,
            filter,
            call_id,
            result,
            platform_call_id: None,
        }
    }
}

impl<'a> Client<'a> {
    /// Creates a client that can read the subscription. A change needs an audit log.
    pub fn new(
        connector: &'a Connector,
        channel: impl Channel + 'a,
        service: &'a Service,
        stop: Stop,
    ) -> Self {
        Self {
            connector,
            channel: Box::new(channel),
            service,
            audit: None,
            retry: Retry::default(),
            stop,
            calls: 0,
            retries: 0,
        }
    }

    /// Sets the audit log, which allows changes.
    #[must_use]
    pub fn with_audit(mut self, audit: AuditLog) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Replaces the default number of attempts and pauses.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns the number of retries of all calls.
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// Asks the platform for the current filters.
    pub fn current_filters(&mut self) -> Result<CurrentFilters, Error> {
        let call_id = call_id()?;
        match self.exchange(&Operation::GetAllFilters, &call_id) {
            Ok(Reply::Filters(filters)) => Ok(filters.into()),
            Ok(Reply::Changed(_)) => Err(SubscriptionError::OtherReply.into()),
            Err(failed) => Err(failed.into_error(call_id, 0, 1)),
        }
    }

    /// Makes a change and writes it to the audit log. An error contains `done` and `total` as the progress.
    pub(crate) fn change(
        &mut self,
        change: Change<'_>,
        done: usize,
        total: usize,
    ) -> Result<ChangeResult, Error> {
        let call_id = call_id()?;
        self.log(change.entry(&call_id, "sent"))?;
        self.calls += 1;
        failpoint::reached(&format!("before-call-{}", self.calls));
        let reply = self.exchange(&change.operation(), &call_id);
        failpoint::reached(&format!("after-call-{}", self.calls));
        match reply {
            Ok(Reply::Changed(result)) => {
                self.log(change.entry(&call_id, &result_name(&result)))?;
                Ok(result)
            }
            Ok(Reply::Filters(_)) => Err(SubscriptionError::OtherReply.into()),
            Err(failed) => {
                let platform_call_id = failed.platform_call_id();
                self.log(Entry {
                    platform_call_id: platform_call_id.as_deref(),
                    ..change.entry(&call_id, failed.result_name())
                })?;
                Err(failed.into_error(call_id, done, total))
            }
        }
    }

    /// Returns the signal that stops the client after the current call.
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Makes a call, and repeats it while a retry may succeed.
    ///
    /// Repeating is safe, because every operation is idempotent. It is never replaced by another operation.
    fn exchange(&mut self, operation: &Operation, call_id: &str) -> Result<Reply, Failed> {
        let context = self.service.context(call_id);
        let request = self.connector.subscription_request(operation, &context);
        let request = request.map_err(|error| Failed::not_sent(error.into()))?;
        let mut may_have_been_applied = false;
        for attempt in 1.. {
            let failed = match self.attempt(operation, &request) {
                Ok(reply) => return Ok(reply),
                Err(failed) => failed,
            };
            may_have_been_applied |= failed.may_have_been_applied;
            let pause = match failed.is_transient {
                true => self
                    .retry
                    .pause(attempt)
                    .map_err(|error| Failed::not_sent(error.into()))?,
                false => None,
            };
            let Some(pause) = pause else {
                return Err(Failed {
                    may_have_been_applied,
                    ..failed
                });
            };
            tracing::warn!(attempt, pause = ?pause, error = %failed.error, "the call failed and is made again");
            self.retries += 1;
            let stopped = |error| Failed {
                error,
                is_transient: false,
                may_have_been_applied,
            };
            self.stop.wait(pause).map_err(stopped)?;
        }
        // Not reached, because `Retry::pause` returns `None` after the last attempt.
        Err(Failed::not_sent(Error::Stopped))
    }

    fn attempt(&mut self, operation: &Operation, request: &[u8]) -> Result<Reply, Failed> {
        let answer = self.channel.call(request).map_err(|failed| Failed {
            is_transient: failed.is_transient,
            may_have_been_applied: failed.may_have_been_applied,
            error: failed.error,
        })?;
        let reply = self
            .connector
            .subscription_reply(operation, answer.status, &answer.body);
        reply.map_err(|error| {
            let failure = match &error {
                cprflow::Error::Subscription(failure) => Some(failure),
                _ => None,
            };
            Failed {
                is_transient: failure.is_some_and(|failure| failure.retry),
                // The platform did not carry out a call that it refused because of an error of the caller. In all other
                // cases, the outcome is unknown.
                may_have_been_applied: failure
                    .is_none_or(|failure| failure.party == cprflow::soap_messages::Party::Platform),
                error: error.into(),
            }
        })
    }

    fn log(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        match &mut self.audit {
            Some(audit) => audit.write(entry),
            None => Err(SubscriptionError::NoAuditLog.into()),
        }
    }
}

/// Returns the request of an operation, with UUIDs and person numbers masked.
pub fn masked_request(
    connector: &Connector,
    service: &Service,
    operation: &Operation,
) -> Result<String, Error> {
    let request = connector.subscription_request(operation, &service.context(&call_id()?))?;
    let mask = |pattern: &str, request: &[u8], mask: &[u8]| -> Result<Vec<u8>, Error> {
        let pattern = Regex::new(pattern).map_err(SubscriptionError::Mask)?;
        Ok(pattern.replace_all(request, mask).into_owned())
    };
    // Requests contain UUIDs in lower case.
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})";
    let request = mask(uuid, &request, b"********-****-****-****-********$1")?;
    let request = mask("[0-9]{10}", &request, b"**********")?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// A call without a valid reply.
struct Failed {
    error: Error,
    is_transient: bool,
    may_have_been_applied: bool,
}

impl Failed {
    /// Creates the failure of a call that was not sent.
    fn not_sent(error: Error) -> Self {
        Self {
            error,
            is_transient: false,
            may_have_been_applied: false,
        }
    }

    /// Returns the result for the audit log.
    fn result_name(&self) -> &'static str {
        match (self.may_have_been_applied, &self.error) {
            (true, _) => "unknown",
            (false, Error::Extract(cprflow::Error::Subscription(_))) => "refused",
            (false, _) => "not-sent",
        }
    }

    fn platform_call_id(&self) -> Option<String> {
        self.platform_ids().call_uuid
    }

    fn platform_ids(&self) -> PlatformIds {
        let fault = match &self.error {
            Error::Extract(cprflow::Error::Subscription(failure)) => failure.fault.as_ref(),
            _ => None,
        };
        PlatformIds {
            call_uuid: fault.and_then(|fault| fault.call_uuid.clone()),
            received: fault.and_then(|fault| fault.received.clone()),
        }
    }

    fn into_error(self, call_id: String, done: usize, total: usize) -> Error {
        if matches!(self.error, Error::Stopped) {
            return Error::Stopped;
        }
        SubscriptionError::Call {
            platform_ids: self.platform_ids(),
            error: Box::new(self.error),
            done,
            total,
            call_id,
            may_have_been_applied: self.may_have_been_applied,
        }
        .into()
    }
}

/// Returns the result of a change for the audit log.
fn result_name(result: &ChangeResult) -> String {
    match result {
        ChangeResult::Added => "added".to_owned(),
        ChangeResult::Removed => "removed".to_owned(),
        ChangeResult::AlreadyExisted => "already-existed".to_owned(),
        ChangeResult::NonExistingPnr
        | ChangeResult::NonExistingAgeRange
        | ChangeResult::NonExistingMunicipalityCode
        | ChangeResult::NonExistingChangeCode => "not-there".to_owned(),
        ChangeResult::Other(result) => format!("other: {result}"),
    }
}

/// Returns a random UUID for a call. It has no ten digits in a row, because the platform logs it and they could be a
/// person number.
fn call_id() -> Result<String, SubscriptionError> {
    loop {
        let mut bytes = [0; 16];
        random(&mut bytes)?;
        let id = uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string();
        let joined = id.replace('-', "");
        let mut runs = joined.split(|c: char| !c.is_ascii_digit());
        if runs.all(|run| run.len() < cprflow::Pnr::DIGITS) {
            return Ok(id);
        }
    }
}

/// Returns the current time, which tests can replace.
pub(crate) fn now() -> Timestamp {
    failpoint::now().unwrap_or_else(Timestamp::now)
}
