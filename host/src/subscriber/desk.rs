//! One call after the other: made in the sandbox, sent over a channel, retried where that is safe, told to the audit
//! log.

use jiff::Timestamp;
use regex::bytes::Regex;

use super::audit::{Audit, Entry, random};
use super::filter::{Filter, Holding, Kind};
use super::{Retry, Service, SubscriberError};
use crate::error::Error;
use crate::hook;
use crate::sandbox::Connector;
use crate::subscription::{ChangeResult, Operation, Reply};
use crate::sync::Stop;

/// What came over a channel.
#[derive(Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    /// The body may hold person numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body", &self.body.len())
            .finish()
    }
}

/// Why nothing came over a channel.
#[derive(Debug)]
pub struct Interruption {
    /// What happened.
    pub error: Error,
    /// Whether trying again may help.
    pub is_transient: bool,
    /// Whether the call may have been carried out.
    pub may_have_been_applied: bool,
}

/// The way to the service and back.
pub trait Channel {
    /// Sends a request and waits for the answer.
    fn call(&mut self, request: &[u8]) -> Result<Answer, Interruption>;
}

/// Where calls are made.
pub struct Desk<'a> {
    connector: &'a Connector,
    channel: Box<dyn Channel + 'a>,
    service: &'a Service,
    audit: Option<Audit>,
    retry: Retry,
    stop: Stop,
    calls: u64,
    retries: u64,
}

impl std::fmt::Debug for Desk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// What a change is about, for the audit log.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change<'a> {
    Add(&'a Filter),
    Remove(&'a Filter),
    Clear(Kind),
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

impl<'a> Desk<'a> {
    /// A desk that can look, and not change.
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

    /// Lets it change, and tell the audit log of it.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Retries otherwise.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How often a call was made again.
    pub const fn retries(&self) -> u64 {
        self.retries
    }

    /// What the subscription holds.
    pub fn holding(&mut self) -> Result<Holding, Error> {
        let call_id = call_id()?;
        match self.exchange(&Operation::GetAllFilters, &call_id) {
            Ok(Reply::Filters(filters)) => Ok(filters.into()),
            Ok(Reply::Changed(_)) => Err(SubscriberError::OtherReply.into()),
            Err(failed) => Err(failed.into_error(call_id, 0, 1)),
        }
    }

    /// Makes a change. `done` and `total` say how far the work is, for whoever reads an error.
    pub(crate) fn change(
        &mut self,
        change: Change<'_>,
        done: usize,
        total: usize,
    ) -> Result<ChangeResult, Error> {
        let call_id = call_id()?;
        self.tell(change.entry(&call_id, "sent"))?;
        self.calls += 1;
        hook::reached(&format!("before-call-{}", self.calls));
        let reply = self.exchange(&change.operation(), &call_id);
        hook::reached(&format!("after-call-{}", self.calls));
        match reply {
            Ok(Reply::Changed(result)) => {
                self.tell(change.entry(&call_id, &word(&result)))?;
                Ok(result)
            }
            Ok(Reply::Filters(_)) => Err(SubscriberError::OtherReply.into()),
            Err(failed) => {
                let platform_call_id = failed.platform_call_id();
                self.tell(Entry {
                    platform_call_id: platform_call_id.as_deref(),
                    ..change.entry(&call_id, failed.word())
                })?;
                Err(failed.into_error(call_id, done, total))
            }
        }
    }

    /// What ends the work, after the call that is under way.
    pub const fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The same call, again and again while that may help. Every operation leaves the same state however often it is
    /// made; no other operation is ever made in its place.
    fn exchange(&mut self, operation: &Operation, call_id: &str) -> Result<Reply, Failed> {
        let context = self.service.context(call_id);
        let request = self.connector.subscription_request(operation, &context);
        let request = request.map_err(Failed::before)?;
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
                    .map_err(|error| Failed::before(error.into()))?,
                false => None,
            };
            let Some(pause) = pause else {
                return Err(Failed {
                    may_have_been_applied,
                    ..failed
                });
            };
            tracing::warn!(attempt, pause = ?pause, error = %failed.error, "the call is made again");
            self.retries += 1;
            let stopped = |error| Failed {
                error,
                is_transient: false,
                may_have_been_applied,
            };
            self.stop.wait(pause).map_err(stopped)?;
        }
        // The pauses of every policy end.
        Err(Failed::before(Error::Stopped))
    }

    fn attempt(&mut self, operation: &Operation, request: &[u8]) -> Result<Reply, Failed> {
        let answer = self.channel.call(request).map_err(|interruption| Failed {
            is_transient: interruption.is_transient,
            may_have_been_applied: interruption.may_have_been_applied,
            error: interruption.error,
        })?;
        let reply = self
            .connector
            .subscription_reply(operation, answer.status, &answer.body);
        reply.map_err(|error| {
            let failure = match &error {
                Error::Subscription(failure) => Some(failure),
                _ => None,
            };
            Failed {
                is_transient: failure.is_some_and(|failure| failure.retry),
                // A refusal that is the caller's to mend was not carried out; of all else nobody knows.
                may_have_been_applied: failure
                    .is_none_or(|failure| failure.party == crate::subscription::Party::Platform),
                error,
            }
        })
    }

    fn tell(&mut self, entry: Entry<'_>) -> Result<(), Error> {
        match &mut self.audit {
            Some(audit) => audit.write(entry),
            None => Err(Error::Request(
                "a desk without an audit log changes nothing".to_owned(),
            )),
        }
    }
}

/// The request of an operation, as it would be sent but for UUIDs and person numbers.
pub fn masked_request(
    connector: &Connector,
    service: &Service,
    operation: &Operation,
) -> Result<String, Error> {
    let request = connector.subscription_request(operation, &service.context(&call_id()?))?;
    let mask = |pattern: &str, request: &[u8], mask: &[u8]| -> Result<Vec<u8>, Error> {
        let pattern = Regex::new(pattern).map_err(|error| Error::Request(error.to_string()))?;
        Ok(pattern.replace_all(request, mask).into_owned())
    };
    // They are sent in lower case.
    let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{8}([0-9a-f]{4})";
    let request = mask(uuid, &request, b"********-****-****-****-********$1")?;
    let request = mask("[0-9]{10}", &request, b"**********")?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// Why a call has no answer.
struct Failed {
    error: Error,
    is_transient: bool,
    may_have_been_applied: bool,
}

impl Failed {
    /// Nothing was sent.
    fn before(error: Error) -> Self {
        Self {
            error,
            is_transient: false,
            may_have_been_applied: false,
        }
    }

    fn word(&self) -> &'static str {
        match (self.may_have_been_applied, &self.error) {
            (true, _) => "unknown",
            (false, Error::Subscription(_)) => "refused",
            (false, _) => "not-sent",
        }
    }

    fn platform_call_id(&self) -> Option<String> {
        match &self.error {
            Error::Subscription(failure) => failure.fault.as_ref()?.call_uuid.clone(),
            _ => None,
        }
    }

    fn into_error(self, call_id: String, done: usize, total: usize) -> Error {
        if matches!(self.error, Error::Stopped) {
            return Error::Stopped;
        }
        SubscriberError::Call {
            error: Box::new(self.error),
            done,
            total,
            call_id,
            may_have_been_applied: self.may_have_been_applied,
        }
        .into()
    }
}

/// What came of a change, in one word.
fn word(result: &ChangeResult) -> String {
    match result {
        ChangeResult::Added => "added".to_owned(),
        ChangeResult::Removed => "removed".to_owned(),
        ChangeResult::AlreadyExisted => "already-existed".to_owned(),
        ChangeResult::NonExistingPnr
        | ChangeResult::NonExistingAgeRange
        | ChangeResult::NonExistingMunicipalityCode
        | ChangeResult::NonExistingChangeCode => "not-there".to_owned(),
        ChangeResult::Other(word) => format!("other: {word}"),
    }
}

/// A UUID for a call. None of them could be taken for a person number: the platform logs them.
fn call_id() -> Result<String, SubscriberError> {
    loop {
        let mut bytes = [0; 16];
        random(&mut bytes)?;
        let id = uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string();
        let joined = id.replace('-', "");
        let mut runs = joined.split(|c: char| !c.is_ascii_digit());
        if runs.all(|run| run.len() < crate::pnr::Pnr::DIGITS) {
            return Ok(id);
        }
    }
}

/// Now; a test may say otherwise.
pub(crate) fn now() -> Timestamp {
    hook::now().unwrap_or_else(Timestamp::now)
}
