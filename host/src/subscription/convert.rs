//! Between the component's types and the host's. What comes out is checked and tamed.

use cprflow_connector::{is_date_time, uuid};

use super::{
    AgeRange, ChangeResult, ErrorEntry, Failure, FailureKind, Fault, FilterGroup, Filters,
    InvocationContext, Operation, Party, Pnrs, Reply,
};
use crate::error::ComponentError;
use crate::pnr::Pnr;
use crate::sandbox::bindings::exports::cprflow::connector::subscription as wit;
use crate::sandbox::tame;

impl From<&Operation> for wit::Operation {
    fn from(operation: &Operation) -> Self {
        match operation {
            Operation::AddPnr(pnr) => Self::AddPnr(pnr.as_str().to_owned()),
            Operation::RemovePnr(pnr) => Self::RemovePnr(pnr.as_str().to_owned()),
            Operation::AddAgeRange(range) => Self::AddAgeRange((*range).into()),
            Operation::RemoveAgeRange(range) => Self::RemoveAgeRange((*range).into()),
            Operation::AddMunicipalityCode(code) => Self::AddMunicipalityCode(code.clone()),
            Operation::RemoveMunicipalityCode(code) => Self::RemoveMunicipalityCode(code.clone()),
            Operation::AddChangeCode(code) => Self::AddChangeCode(code.clone()),
            Operation::RemoveChangeCode(code) => Self::RemoveChangeCode(code.clone()),
            Operation::AddNoFilter => Self::AddNoFilter,
            Operation::RemoveNoFilter => Self::RemoveNoFilter,
            Operation::RemoveAll(group) => Self::RemoveAll(match group {
                FilterGroup::Pnr => wit::FilterGroup::Pnr,
                FilterGroup::AgeRange => wit::FilterGroup::AgeRange,
                FilterGroup::MunicipalityCode => wit::FilterGroup::MunicipalityCode,
                FilterGroup::ChangeCode => wit::FilterGroup::ChangeCode,
                FilterGroup::NoFilter => wit::FilterGroup::NoFilter,
            }),
            Operation::GetAllFilters => Self::GetAllFilters,
        }
    }
}

impl From<AgeRange> for wit::AgeRange {
    fn from(range: AgeRange) -> Self {
        let AgeRange { start, end } = range;
        Self { start, end }
    }
}

impl From<wit::AgeRange> for AgeRange {
    fn from(range: wit::AgeRange) -> Self {
        let wit::AgeRange { start, end } = range;
        Self { start, end }
    }
}

impl From<&InvocationContext> for wit::InvocationContext {
    fn from(context: &InvocationContext) -> Self {
        Self {
            service_agreement_uuid: context.service_agreement_uuid.clone(),
            user_system_uuid: context.user_system_uuid.clone(),
            user_uuid: context.user_uuid.clone(),
            service_uuid: context.service_uuid.clone(),
            on_behalf_of_user: context.on_behalf_of_user.clone(),
            callers_service_call_identifier: context.callers_service_call_identifier.clone(),
            accounting_info: context.accounting_info.clone(),
        }
    }
}

impl TryFrom<wit::Reply> for Reply {
    type Error = ComponentError;

    fn try_from(reply: wit::Reply) -> Result<Self, ComponentError> {
        Ok(match reply {
            wit::Reply::Changed(result) => Self::Changed(match result {
                wit::ChangeResult::Added => ChangeResult::Added,
                wit::ChangeResult::Removed => ChangeResult::Removed,
                wit::ChangeResult::AlreadyExisted => ChangeResult::AlreadyExisted,
                wit::ChangeResult::NonExistingPnr => ChangeResult::NonExistingPnr,
                wit::ChangeResult::NonExistingAgeRange => ChangeResult::NonExistingAgeRange,
                wit::ChangeResult::NonExistingMunicipalityCode => {
                    ChangeResult::NonExistingMunicipalityCode
                }
                wit::ChangeResult::NonExistingChangeCode => ChangeResult::NonExistingChangeCode,
                wit::ChangeResult::Other(word) => ChangeResult::Other(tame(&word)),
            }),
            wit::Reply::Filters(filters) => Self::Filters(filters.try_into()?),
        })
    }
}

impl TryFrom<wit::Filters> for Filters {
    type Error = ComponentError;

    fn try_from(filters: wit::Filters) -> Result<Self, ComponentError> {
        let is_code =
            |code: &String| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
        if !filters.municipality_codes.iter().all(is_code) {
            return Err(misbehaved("it returns a municipality code that is none"));
        }
        let numbers = filters.pnrs.as_bytes().chunks(Pnr::DIGITS);
        let pnrs = numbers.map(Pnr::try_from).collect::<Result<_, _>>();
        Ok(Self {
            age_ranges: filters.age_ranges.into_iter().map(AgeRange::from).collect(),
            change_codes: filters.change_codes.iter().map(|code| tame(code)).collect(),
            municipality_codes: filters.municipality_codes,
            pnrs: Pnrs(pnrs.map_err(|_| misbehaved("it returns a person number that is none"))?),
            no_filter: filters.no_filter,
            unreadable: filters.unreadable,
        })
    }
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        Self {
            kind: failure_kind(failure.kind),
            status: failure.status,
            party: match failure.party {
                wit::Party::Caller => Party::Caller,
                wit::Party::Agreement => Party::Agreement,
                wit::Party::Certificate => Party::Certificate,
                wit::Party::Platform => Party::Platform,
            },
            retry: failure.retry,
            fault: failure.fault.map(|fault| Box::new(fault.into())),
            element: failure.element.as_deref().map(tame),
            message: tame(&failure.message),
        }
    }
}

fn failure_kind(kind: wit::FailureKind) -> FailureKind {
    match kind {
        wit::FailureKind::Fault => FailureKind::Fault,
        wit::FailureKind::Empty => FailureKind::Empty,
        wit::FailureKind::NotSoap => FailureKind::NotSoap,
        wit::FailureKind::TooLarge => FailureKind::TooLarge,
        wit::FailureKind::Encoding => FailureKind::Encoding,
        wit::FailureKind::Truncated => FailureKind::Truncated,
        wit::FailureKind::Malformed => FailureKind::Malformed,
        wit::FailureKind::Doctype => FailureKind::Doctype,
        wit::FailureKind::Entity => FailureKind::Entity,
        wit::FailureKind::TooComplex => FailureKind::TooComplex,
        wit::FailureKind::SeveralRoots => FailureKind::SeveralRoots,
        wit::FailureKind::OtherAnswer => FailureKind::OtherAnswer,
        wit::FailureKind::OtherNamespace => FailureKind::OtherNamespace,
        wit::FailureKind::MissingElement => FailureKind::MissingElement,
        wit::FailureKind::RepeatedElement => FailureKind::RepeatedElement,
        wit::FailureKind::BadValue => FailureKind::BadValue,
        wit::FailureKind::Status => FailureKind::Status,
    }
}

impl From<wit::Fault> for Fault {
    fn from(fault: wit::Fault) -> Self {
        let entry = |error: &wit::ErrorEntry| ErrorEntry {
            code: tame(&error.code),
            text: tame(&error.text),
        };
        Self {
            code: tame(&fault.code),
            text: tame(&fault.text),
            errors: fault.errors.iter().map(entry).collect(),
            // The helpdesk asks for both as they are, and digits of a UUID can look like a number. So what has their
            // form passes whole, and nothing else does.
            call_uuid: fault
                .call_uuid
                .filter(|text| uuid(text).as_ref() == Some(text)),
            received: fault.received.filter(|text| is_date_time(text)),
        }
    }
}

fn misbehaved(what: &str) -> ComponentError {
    ComponentError::Misbehaved(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_helpdesk_asks_for_passes_whole_or_not_at_all() {
        let fault = |call_uuid: &str, received: &str| {
            let fault = Fault::from(wit::Fault {
                code: "Server".to_owned(),
                text: String::new(),
                errors: Vec::new(),
                call_uuid: Some(call_uuid.to_owned()),
                received: Some(received.to_owned()),
            });
            (fault.call_uuid, fault.received)
        };
        let (uuid, time) = (
            "12345678-1234-4567-8901-0a2345678901",
            "2025-10-23T13:06:14.306123456Z",
        );
        assert_eq!(
            fault(uuid, time),
            (Some(uuid.to_owned()), Some(time.to_owned()))
        );
        for (uuid, time) in [
            ("", ""),
            ("0101010101", "0101010101"),
            ("010101-0101", "010101-0101"),
            ("12345678-1234-4567-8901-0A2345678901", "2025-10-23 13:06"),
            (
                "12345678123445678901a12345678901",
                "2025-10-23T13:06:14.0101010101Z",
            ),
            (
                "12345678-1234-4567-8901-0a2345678901 0101010101",
                "2025-10-23T13:06:14Z 0101010101",
            ),
        ] {
            assert_eq!(fault(uuid, time), (None, None), "{uuid} {time}");
        }
    }

    /// Another component may return anything.
    #[test]
    fn what_a_component_returns_is_checked() {
        let filters = |pnrs: &str, municipality_code: &str| wit::Filters {
            age_ranges: Vec::new(),
            change_codes: vec!["A\n1".to_owned()],
            municipality_codes: vec![municipality_code.to_owned()],
            pnrs: pnrs.to_owned(),
            no_filter: false,
            unreadable: 0,
        };
        let read = Filters::try_from(filters("01010101010202020202", "0851")).unwrap();
        let digits: Vec<&str> = read.pnrs.iter().map(Pnr::as_str).collect();
        assert_eq!(digits, ["0101010101", "0202020202"]);
        assert_eq!(read.change_codes, ["A 1"]);
        assert!(!format!("{read:?}").contains("0101"));
        for (pnrs, code) in [
            ("010101010", "0851"),
            ("010101010x", "0851"),
            ("", "851"),
            ("", "085x"),
        ] {
            let error = Filters::try_from(filters(pnrs, code)).unwrap_err();
            assert!(
                matches!(error, ComponentError::Misbehaved(_)),
                "{pnrs} {code}"
            );
        }
    }
}
