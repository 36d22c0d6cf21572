//! The messages of CprSubscriptionService 1, written and read in the sandbox. Sending them is left to the caller.

pub(crate) mod failure;

use std::fmt;
use std::time::Duration;

use crate::component::Connector;
use crate::error::Error;
use crate::pnr::Pnr;
use crate::sandbox::Limits;

pub use crate::wit::subscription::{AgeRange, FilterGroup};
pub use failure::{ErrorEntry, Failure, FailureKind, Fault, Party};

/// The largest answer, in bytes (64 MiB).
///
/// The component refuses a longer one. It gets at most one byte more, which is enough to see that the answer is too
/// long.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;

/// The limits of one call of the component. The largest answer lists two million persons; reading it takes 2.5 times
/// its size in memory, and some seconds on a busy machine.
const LIMITS: Limits = Limits::new()
    .memory(256 << 20)
    .call(Duration::from_secs(60))
    .answer_bytes(MAX_REPLY);

impl Connector {
    /// Returns the body of a call, in UTF-8. Send it by POST with `Content-Type: text/xml; charset=utf-8` and
    /// `SOAPAction: ""`.
    ///
    /// Fails with [`Error::Request`] if a value of the operation or the context is not valid.
    pub fn subscription_request(
        &self,
        operation: &Operation,
        context: &InvocationContext,
    ) -> Result<Vec<u8>, Error> {
        let (operation, context) = (operation.into(), context.into());
        let mut session = self.start(LIMITS)?;
        let request = session.call(|bindings, store| {
            let subscription = bindings.cprflow_connector_subscription();
            subscription.call_make_request(store, &operation, &context)
        })?;
        Ok(request?)
    }

    /// Reads the response to an operation, from its HTTP status and whole body.
    ///
    /// Fails with [`Error::Subscription`] if the response is not an answer; the error says which party must act.
    pub fn subscription_reply(
        &self,
        operation: &Operation,
        status: u16,
        body: &[u8],
    ) -> Result<Reply, Error> {
        self.subscription_reply_within(LIMITS, operation, status, body)
    }

    /// Reads a response like [`subscription_reply`](Self::subscription_reply), within these limits instead of the
    /// default of 256 MiB and 60 seconds.
    pub fn subscription_reply_within(
        &self,
        limits: Limits,
        operation: &Operation,
        status: u16,
        body: &[u8],
    ) -> Result<Reply, Error> {
        let body = body.get(..=MAX_REPLY).unwrap_or(body);
        let operation = operation.into();
        let mut session = self.start(limits)?;
        let reply = session.call(|bindings, store| {
            let subscription = bindings.cprflow_connector_subscription();
            subscription.call_read_reply(store, &operation, status, body)
        })?;
        Ok(reply?.try_into()?)
    }
}

/// A call of the service.
///
/// A call may be repeated: adding an existing filter and removing a missing one change nothing. Never answer a failed
/// add by a remove and an add, because that orders a full load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Subscribes to a person.
    AddPnr(Pnr),
    /// Removes the subscription to a person.
    RemovePnr(Pnr),
    /// Subscribes to the persons of an age range.
    AddAgeRange(AgeRange),
    /// Removes the subscription to an age range.
    RemoveAgeRange(AgeRange),
    /// Subscribes to the persons of a municipality (four digits).
    AddMunicipalityCode(String),
    /// Removes the subscription to a municipality (four digits).
    RemoveMunicipalityCode(String),
    /// Subscribes to an event (a letter and two digits).
    AddChangeCode(String),
    /// Removes the subscription to an event (a letter and two digits).
    RemoveChangeCode(String),
    /// Subscribes to all persons in Denmark.
    AddNoFilter,
    /// Removes the subscription to all persons in Denmark.
    RemoveNoFilter,
    /// Removes every filter of a group.
    RemoveAll(FilterGroup),
    /// Asks for the filters of the subscription.
    GetAllFilters,
}

/// Identifies the caller and the agreement. UUIDs may be in any case.
///
/// The platform logs the three optional texts, so none of them may contain anything that can be a person number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InvocationContext {
    /// The UUID of the service agreement.
    pub service_agreement_uuid: String,
    /// The UUID of the calling IT system.
    pub user_system_uuid: String,
    /// The UUID of the authority that the agreement covers.
    pub user_uuid: String,
    /// The UUID of the service.
    pub service_uuid: String,
    /// The user on whose behalf the call is made.
    pub on_behalf_of_user: Option<String>,
    /// The caller's identifier of this call.
    pub callers_service_call_identifier: Option<String>,
    /// Text for the caller's accounting.
    pub accounting_info: Option<String>,
}

impl fmt::Debug for InvocationContext {
    /// Shows the identifier of the call, but not the agreement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identifier = &self.callers_service_call_identifier;
        f.debug_struct("InvocationContext")
            .field("callers_service_call_identifier", identifier)
            .finish_non_exhaustive()
    }
}

/// An answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The result of an operation that changes the subscription.
    Changed(ChangeResult),
    /// The filters of the subscription.
    Filters(Filters),
}

/// The result of an operation that changes the subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResult {
    /// The filter was added to the subscription.
    Added,
    /// The filter was removed from the subscription.
    Removed,
    /// The filter was in the subscription already.
    AlreadyExisted,
    /// The person was not in the subscription.
    NonExistingPnr,
    /// The age range was not in the subscription.
    NonExistingAgeRange,
    /// The municipality was not in the subscription.
    NonExistingMunicipalityCode,
    /// The event was not in the subscription.
    NonExistingChangeCode,
    /// Another word, redacted. The service's contract allows it, so it is not an error.
    Other(String),
}

/// The filters of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Ages.
    pub age_ranges: Vec<AgeRange>,
    /// Events.
    pub change_codes: Vec<String>,
    /// Municipalities, four digits each.
    pub municipality_codes: Vec<String>,
    /// Persons.
    pub pnrs: Pnrs,
    /// Whether all persons in Denmark are subscribed to.
    pub no_filter: bool,
    /// The number of filters that were left out: those of an unknown kind, and those with an impossible value. If it is
    /// not 0, the other fields are not the whole subscription.
    pub unreadable: u64,
}

/// A list of person numbers, which can be very long. `Debug` shows only its length.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pnrs(pub(crate) Vec<Pnr>);

impl std::ops::Deref for Pnrs {
    type Target = [Pnr];

    fn deref(&self) -> &[Pnr] {
        &self.0
    }
}

impl fmt::Debug for Pnrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pnrs({})", self.0.len())
    }
}
