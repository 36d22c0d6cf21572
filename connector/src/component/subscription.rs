//! Implements the interface `subscription`: calls of CprSubscriptionService.

use super::Component;
use super::bindings::exports::cprflow::connector::subscription as wit;
use crate::subscription::{
    self, AgeRange, ChangeResult, Failure, FailureKind, Fault, FilterGroup, Filters,
    InvocationContext, Operation, Party, Reply, RequestError, RequestErrorKind,
};
use crate::xml::XmlError;

impl wit::Guest for Component {
    fn make_request(
        operation: wit::Operation,
        context: wit::InvocationContext,
    ) -> Result<Vec<u8>, wit::RequestError> {
        Ok(subscription::request(&operation.into(), &context.into())?)
    }

    fn read_reply(
        operation: wit::Operation,
        status: u16,
        body: Vec<u8>,
    ) -> Result<wit::Reply, wit::Failure> {
        let reply = subscription::reply(&operation.into(), status, &body)?;
        // The body is as large as the reply. It is freed before the reply is copied to the host.
        drop(body);
        Ok(reply.into())
    }
}

impl From<wit::Operation> for Operation {
    fn from(operation: wit::Operation) -> Self {
        match operation {
            wit::Operation::AddPnr(pnr) => Self::AddPnr(pnr),
            wit::Operation::RemovePnr(pnr) => Self::RemovePnr(pnr),
            wit::Operation::AddAgeRange(range) => Self::AddAgeRange(range.into()),
            wit::Operation::RemoveAgeRange(range) => Self::RemoveAgeRange(range.into()),
            wit::Operation::AddMunicipalityCode(code) => Self::AddMunicipalityCode(code),
            wit::Operation::RemoveMunicipalityCode(code) => Self::RemoveMunicipalityCode(code),
            wit::Operation::AddChangeCode(code) => Self::AddChangeCode(code),
            wit::Operation::RemoveChangeCode(code) => Self::RemoveChangeCode(code),
            wit::Operation::AddNoFilter => Self::AddNoFilter,
            wit::Operation::RemoveNoFilter => Self::RemoveNoFilter,
            wit::Operation::RemoveAll(group) => Self::RemoveAll(match group {
                wit::FilterGroup::Pnr => FilterGroup::Pnr,
                wit::FilterGroup::AgeRange => FilterGroup::AgeRange,
                wit::FilterGroup::MunicipalityCode => FilterGroup::MunicipalityCode,
                wit::FilterGroup::ChangeCode => FilterGroup::ChangeCode,
                wit::FilterGroup::NoFilter => FilterGroup::NoFilter,
            }),
            wit::Operation::GetAllFilters => Self::GetAllFilters,
        }
    }
}

impl From<wit::AgeRange> for AgeRange {
    fn from(range: wit::AgeRange) -> Self {
        let wit::AgeRange { start, end } = range;
        Self { start, end }
    }
}

impl From<AgeRange> for wit::AgeRange {
    fn from(range: AgeRange) -> Self {
        let AgeRange { start, end } = range;
        Self { start, end }
    }
}

impl From<wit::InvocationContext> for InvocationContext {
    fn from(context: wit::InvocationContext) -> Self {
        Self {
            service_agreement_uuid: context.service_agreement_uuid,
            user_system_uuid: context.user_system_uuid,
            user_uuid: context.user_uuid,
            service_uuid: context.service_uuid,
            on_behalf_of_user: context.on_behalf_of_user,
            callers_service_call_identifier: context.callers_service_call_identifier,
            accounting_info: context.accounting_info,
        }
    }
}

impl From<RequestError> for wit::RequestError {
    fn from(error: RequestError) -> Self {
        Self {
            kind: match error.kind {
                RequestErrorKind::Uuid => wit::RequestErrorKind::Uuid,
                RequestErrorKind::Text => wit::RequestErrorKind::Text,
                RequestErrorKind::Pnr => wit::RequestErrorKind::Pnr,
                RequestErrorKind::AgeRange => wit::RequestErrorKind::AgeRange,
                RequestErrorKind::MunicipalityCode => wit::RequestErrorKind::MunicipalityCode,
                RequestErrorKind::ChangeCode => wit::RequestErrorKind::ChangeCode,
            },
            element: error.element.to_owned(),
            message: error.to_string(),
        }
    }
}

impl From<Reply> for wit::Reply {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Changed(result) => Self::Changed(match result {
                ChangeResult::Added => wit::ChangeResult::Added,
                ChangeResult::Removed => wit::ChangeResult::Removed,
                ChangeResult::AlreadyExisted => wit::ChangeResult::AlreadyExisted,
                ChangeResult::NonExistingPnr => wit::ChangeResult::NonExistingPnr,
                ChangeResult::NonExistingAgeRange => wit::ChangeResult::NonExistingAgeRange,
                ChangeResult::NonExistingMunicipalityCode => {
                    wit::ChangeResult::NonExistingMunicipalityCode
                }
                ChangeResult::NonExistingChangeCode => wit::ChangeResult::NonExistingChangeCode,
                ChangeResult::Other(word) => wit::ChangeResult::Other(word),
            }),
            Reply::Filters(filters) => Self::Filters(filters.into()),
        }
    }
}

impl From<Filters> for wit::Filters {
    fn from(filters: Filters) -> Self {
        Self {
            age_ranges: filters.age_ranges.into_iter().map(Into::into).collect(),
            change_codes: filters.change_codes,
            municipality_codes: filters.municipality_codes,
            pnrs: filters.pnrs,
            no_filter: filters.no_filter,
            unreadable: filters.unreadable,
        }
    }
}

impl From<Failure> for wit::Failure {
    fn from(failure: Failure) -> Self {
        Self {
            message: failure.to_string(),
            kind: failure_kind(failure.kind),
            status: failure.status,
            party: match failure.party {
                Party::Caller => wit::Party::Caller,
                Party::Agreement => wit::Party::Agreement,
                Party::Certificate => wit::Party::Certificate,
                Party::Platform => wit::Party::Platform,
            },
            retry: failure.retry,
            element: failure.kind.element().map(str::to_owned),
            fault: failure.fault.map(|fault| (*fault).into()),
        }
    }
}

fn failure_kind(kind: FailureKind) -> wit::FailureKind {
    match kind {
        FailureKind::Fault => wit::FailureKind::Fault,
        FailureKind::Empty => wit::FailureKind::Empty,
        FailureKind::NotSoap => wit::FailureKind::NotSoap,
        FailureKind::Xml(error) => match error {
            XmlError::TooLarge(_) => wit::FailureKind::TooLarge,
            XmlError::Encoding => wit::FailureKind::Encoding,
            XmlError::Truncated => wit::FailureKind::Truncated,
            XmlError::Malformed(_) => wit::FailureKind::Malformed,
            XmlError::Doctype => wit::FailureKind::Doctype,
            XmlError::Entity => wit::FailureKind::Entity,
            XmlError::TooComplex => wit::FailureKind::TooComplex,
            XmlError::SeveralRoots => wit::FailureKind::SeveralRoots,
        },
        FailureKind::OtherAnswer => wit::FailureKind::OtherAnswer,
        FailureKind::OtherNamespace(_) => wit::FailureKind::OtherNamespace,
        FailureKind::MissingElement(_) => wit::FailureKind::MissingElement,
        FailureKind::RepeatedElement(_) => wit::FailureKind::RepeatedElement,
        FailureKind::BadValue(_) => wit::FailureKind::BadValue,
        FailureKind::Status => wit::FailureKind::Status,
    }
}

impl From<Fault> for wit::Fault {
    fn from(fault: Fault) -> Self {
        let entry = |error: subscription::ErrorEntry| wit::ErrorEntry {
            code: error.code,
            text: error.text,
        };
        Self {
            code: fault.code,
            text: fault.text,
            errors: fault.errors.into_iter().map(entry).collect(),
            call_uuid: fault.call_uuid,
            received: fault.received,
        }
    }
}
