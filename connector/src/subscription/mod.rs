//! Calls of CprSubscriptionService: the subscription that determines the content of a nightly delivery.
//!
//! [`request()`] writes the body of a SOAP 1.1 call for one of the service's twelve operations. [`reply()`] reads the
//! response: the answer, or a [`Failure`] that tells who must act. Elements are matched by namespace and name, whatever
//! their prefixes. Person numbers are removed from every text of the platform.

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
    /// Ends the subscription to a person.
    RemovePnr(String),
    /// Subscribes to persons in an age range.
    AddAgeRange(AgeRange),
    /// Ends the subscription to an age range.
    RemoveAgeRange(AgeRange),
    /// Subscribes to the persons of a municipality, by four digits.
    AddMunicipalityCode(String),
    /// Ends the subscription to a municipality.
    RemoveMunicipalityCode(String),
    /// Subscribes to an event, by an upper-case letter and two digits.
    AddChangeCode(String),
    /// Ends the subscription to an event.
    RemoveChangeCode(String),
    /// Subscribes to all persons in Denmark.
    AddNoFilter,
    /// Ends the subscription to all persons.
    RemoveNoFilter,
    /// Removes every filter of a group.
    RemoveAll(FilterGroup),
    /// Lists the filters.
    GetAllFilters,
}

impl Operation {
    /// Returns the name of the request element. The response element has the suffix `Response`.
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
    /// Shows the operation without its value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An age range in years, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRange {
    /// The lowest age.
    pub start: u16,
    /// The highest age.
    pub end: u16,
}

/// A group of filters that can be removed in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterGroup {
    /// Persons.
    Pnr,
    /// Ages.
    AgeRange,
    /// Municipalities.
    MunicipalityCode,
    /// Events; the contract's name for this group is `EventChangeCode`.
    ChangeCode,
    /// All persons.
    NoFilter,
}

/// Identifies the caller and the agreement. The platform logs the three texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// `ADDED`.
    Added,
    /// `REMOVED`.
    Removed,
    /// `ALREADY_EXISTED`.
    AlreadyExisted,
    /// `NON_EXISTING_PNR`: the person was not in the subscription.
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
    /// Persons: ten digits each, without separators.
    pub pnrs: String,
    /// Whether all persons are subscribed to.
    pub no_filter: bool,
    /// The number of filters that were left out: those of an unknown kind, and those with an impossible value.
    pub unreadable: u64,
}

impl std::fmt::Debug for Filters {
    /// Shows how many persons there are, not who they are.
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
