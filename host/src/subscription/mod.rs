//! Calls of CprSubscriptionService, made and read in the sandbox. Sending them is not done here.

mod convert;

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::pnr::Pnr;
use crate::sandbox::{Connector, Limits, tame};

/// Bytes of an answer at the most. No more than one byte beyond it is handed to the component, which then refuses.
pub const MAX_REPLY: usize = 64 * 1024 * 1024;

/// What one call of the component may use. The largest answer, of two million persons, takes two and a half times
/// its size, and some seconds on a busy machine.
const LIMITS: Limits = Limits::new()
    .memory(256 << 20)
    .call(Duration::from_secs(60))
    .answer_bytes(MAX_REPLY);

impl Connector {
    /// The body of a call, in UTF-8. It goes by POST with `Content-Type: text/xml; charset=utf-8` and
    /// `SOAPAction: ""`.
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
        // What does not fit is the caller's doing, and the component says what it is.
        request.map_err(|error| Error::Request(tame(&error.message)))
    }

    /// What came in answer to the operation: the HTTP status and the whole body.
    ///
    /// Everything else than an answer is [`Error::Subscription`], which says whose move it is.
    pub fn subscription_reply(
        &self,
        operation: &Operation,
        status: u16,
        body: &[u8],
    ) -> Result<Reply, Error> {
        self.subscription_reply_within(LIMITS, operation, status, body)
    }

    /// The same within other limits than the usual 256 MiB and 60 seconds.
    pub fn subscription_reply_within(
        &self,
        limits: Limits,
        operation: &Operation,
        status: u16,
        body: &[u8],
    ) -> Result<Reply, Error> {
        let given = body.get(..=MAX_REPLY).unwrap_or(body);
        let operation = operation.into();
        let mut session = self.start(limits)?;
        let reply = session.call(|bindings, store| {
            let subscription = bindings.cprflow_connector_subscription();
            subscription.call_read_reply(store, &operation, status, given)
        })?;
        match reply {
            Ok(reply) => Ok(reply.try_into()?),
            Err(failure) => Err(Failure::from(failure).into()),
        }
    }
}

/// A call of the service.
///
/// Adding what is there and removing what is not change nothing, so a call may be repeated. But never answer a
/// failed add by a remove and an add: that orders a full load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Subscribes to a person.
    AddPnr(Pnr),
    /// Ends that.
    RemovePnr(Pnr),
    /// Subscribes to persons of an age.
    AddAgeRange(AgeRange),
    /// Ends that.
    RemoveAgeRange(AgeRange),
    /// Subscribes to the persons of a municipality, by four digits.
    AddMunicipalityCode(String),
    /// Ends that.
    RemoveMunicipalityCode(String),
    /// Subscribes to an event, by its letter and two digits.
    AddChangeCode(String),
    /// Ends that.
    RemoveChangeCode(String),
    /// Subscribes to everybody in Denmark.
    AddNoFilter,
    /// Ends that.
    RemoveNoFilter,
    /// Removes every filter of a group.
    RemoveAll(FilterGroup),
    /// Asks which filters there are.
    GetAllFilters,
}

/// Ages in years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeRange {
    /// The lowest.
    pub start: u16,
    /// The highest.
    pub end: u16,
}

/// A group of filters, which is removed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterGroup {
    /// Persons.
    Pnr,
    /// Ages.
    AgeRange,
    /// Municipalities.
    MunicipalityCode,
    /// Events.
    ChangeCode,
    /// Everybody.
    NoFilter,
}

/// Who calls, under which agreement. UUIDs may be in any case.
///
/// The three texts are logged by the platform: none may hold what can be a person number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InvocationContext {
    /// UUID of the service agreement.
    pub service_agreement_uuid: String,
    /// UUID of the calling IT system.
    pub user_system_uuid: String,
    /// UUID of the authority whom the agreement covers.
    pub user_uuid: String,
    /// UUID of the service.
    pub service_uuid: String,
    /// On whose behalf the call is made.
    pub on_behalf_of_user: Option<String>,
    /// What the caller calls this call.
    pub callers_service_call_identifier: Option<String>,
    /// For the caller's books.
    pub accounting_info: Option<String>,
}

impl fmt::Debug for InvocationContext {
    /// Says which call it is, not under which agreement.
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
    /// What an operation that changes the subscription did.
    Changed(ChangeResult),
    /// The filters that there are.
    Filters(Filters),
}

/// What an operation that changes the subscription did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeResult {
    /// The filter is in the subscription now.
    Added,
    /// The filter is no longer in the subscription.
    Removed,
    /// The filter was in the subscription before.
    AlreadyExisted,
    /// The person was not in the subscription.
    NonExistingPnr,
    /// The range was not in the subscription.
    NonExistingAgeRange,
    /// The municipality was not in the subscription.
    NonExistingMunicipalityCode,
    /// The event was not in the subscription.
    NonExistingChangeCode,
    /// Another word, which the contract allows: no error.
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
    /// Whether everybody is subscribed to.
    pub no_filter: bool,
    /// Filters of an unknown kind, or with a value that none of their kind can have; they are left out. Do not take
    /// the rest for all that there is when there are any.
    pub unreadable: u64,
}

/// Person numbers, of which there can be very many.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pnrs(Vec<Pnr>);

impl std::ops::Deref for Pnrs {
    type Target = [Pnr];

    fn deref(&self) -> &[Pnr] {
        &self.0
    }
}

impl fmt::Debug for Pnrs {
    /// Says how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pnrs({})", self.0.len())
    }
}

/// What came instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// A SOAP fault.
    Fault,
    /// Nothing.
    Empty,
    /// Something else than SOAP 1.1, for example a page for people.
    NotSoap,
    /// A document that is larger than any answer can be ([`MAX_REPLY`]).
    TooLarge,
    /// A document in another encoding than UTF-8, US-ASCII and ISO-8859-1, or not in the one that it declares.
    Encoding,
    /// A document that ends before its root element does.
    Truncated,
    /// A document that is not well-formed XML.
    Malformed,
    /// A document with a document type.
    Doctype,
    /// A document that refers to an entity that XML does not define by itself.
    Entity,
    /// A document whose elements are nested too deep, or have too many attributes.
    TooComplex,
    /// A document with more than one root element.
    SeveralRoots,
    /// The answer of another operation, or in another namespace.
    OtherAnswer,
    /// An answer with an element in another namespace.
    OtherNamespace,
    /// An answer without an element that must be there.
    MissingElement,
    /// An answer with an element again that may be there once.
    RepeatedElement,
    /// An answer with an element whose value is not of its type.
    BadValue,
    /// A right answer under an HTTP status other than 200.
    Status,
}

/// Whose move it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The caller's: the request is wrong.
    Caller,
    /// The holder's of the service agreement: it does not allow the call, or the address is wrong.
    Agreement,
    /// The holder's of the client certificate.
    Certificate,
    /// The platform's.
    Platform,
}

/// Why there is no answer, and what can be done. It holds no person number, whatever the platform sent.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What came instead.
    pub kind: FailureKind,
    /// The HTTP status that it came under.
    pub status: u16,
    /// Whose move it is.
    pub party: Party,
    /// Whether the same call may be made again later.
    pub retry: bool,
    /// The fault, if there was one.
    pub fault: Option<Box<Fault>>,
    /// The element of the answer that it is about, if it is about one.
    pub element: Option<String>,
    /// A sentence for people.
    pub message: String,
}

/// A SOAP fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The fault code without prefix, for example `Server`.
    pub code: String,
    /// The fault string.
    pub text: String,
    /// The errors in its detail, if it has any.
    pub errors: Vec<ErrorEntry>,
    /// UUID of the call: the helpdesk asks for it.
    pub call_uuid: Option<String>,
    /// When the platform received the call, as it stands: the helpdesk asks for that too.
    pub received: Option<String>,
}

/// An error in the detail of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// ErrorCode.
    pub code: String,
    /// ErrorText.
    pub text: String,
}
