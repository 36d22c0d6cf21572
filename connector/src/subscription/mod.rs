//! CprSubscriptionService: the subscription that decides what a nightly delivery holds.
//!
//! [`request`] makes the body of a SOAP 1.1 call of one of the service's twelve operations, [`reply`] reads what
//! came back: the answer, or a [`Failure`] that says whose move it is. Elements are known by namespace and name,
//! whatever their prefixes. Every text of the platform's is freed of person numbers before it goes on.

mod failure;
mod fault;
mod reply;
mod request;

pub use failure::{ErrorEntry, Failure, FailureKind, Fault, Party};
pub use reply::{MAX_BYTES, reply};
pub use request::{RequestError, RequestErrorKind, request};

/// The namespace of the service's own elements.
const SERVICE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/";
/// The namespace of the invocation context.
const CONTEXT: &str = "http://serviceplatformen.dk/xml/schemas/InvocationContext/1/";
/// The namespace of person numbers.
const PNR: &str = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/";
/// The namespace of SOAP 1.1.
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A call of the service.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// Subscribes to a person, by ten digits.
    AddPnr(String),
    /// Ends that.
    RemovePnr(String),
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

impl Operation {
    /// The name of the request element, without `Response` that of the answer.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddPnr(_) => "AddPNRSubscription",
            Self::RemovePnr(_) => "RemovePNRSubscription",
            Self::AddAgeRange(_) => "AddAgeRangeSubscription",
            Self::RemoveAgeRange(_) => "RemoveAgeRangeSubscription",
            Self::AddMunicipalityCode(_) => "AddMunicipalityCodeSubscription",
            Self::RemoveMunicipalityCode(_) => "RemoveMunicipalityCodeSubscription",
            Self::AddChangeCode(_) => "AddChangeCodeSubscription",
            Self::RemoveChangeCode(_) => "RemoveChangeCodeSubscription",
            Self::AddNoFilter => "AddNoFilterSubscription",
            Self::RemoveNoFilter => "RemoveNoFilterSubscription",
            Self::RemoveAll(_) => "RemoveAll",
            Self::GetAllFilters => "GetAllFilters",
        }
    }
}

impl std::fmt::Debug for Operation {
    /// Says which operation it is, not on whom.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Ages in years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Events; the contract calls them `EventChangeCode` here.
    ChangeCode,
    /// Everybody.
    NoFilter,
}

/// Who calls, under which agreement. The three texts are logged by the platform.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
pub enum ChangeResult {
    /// `ADDED`.
    Added,
    /// `REMOVED`.
    Removed,
    /// `ALREADY_EXISTED`.
    AlreadyExisted,
    /// `NON_EXISTING_PNR`: it was not in the subscription.
    NonExistingPnr,
    /// `NON_EXISTING_AGERANGE`.
    NonExistingAgeRange,
    /// `NON_EXISTING_MUNICIPALITYCODE`.
    NonExistingMunicipalityCode,
    /// `NON_EXISTING_CHANGECODE`.
    NonExistingChangeCode,
    /// Another word, which the contract allows.
    Other(String),
}

/// The filters of a subscription.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Ages.
    pub age_ranges: Vec<AgeRange>,
    /// Events.
    pub change_codes: Vec<String>,
    /// Municipalities, four digits each.
    pub municipality_codes: Vec<String>,
    /// Persons: ten digits each, one after the other.
    pub pnrs: String,
    /// Whether everybody is subscribed to.
    pub no_filter: bool,
    /// Filters of an unknown kind, or with a value that none of their kind can have; they are left out.
    pub unreadable: u64,
}

impl std::fmt::Debug for Filters {
    /// Counts the persons.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filters")
            .field("age_ranges", &self.age_ranges)
            .field("change_codes", &self.change_codes)
            .field("municipality_codes", &self.municipality_codes)
            .field("pnrs", &(self.pnrs.len() / 10))
            .field("no_filter", &self.no_filter)
            .field("unreadable", &self.unreadable)
            .finish()
    }
}

#[cfg(test)]
mod tests;
