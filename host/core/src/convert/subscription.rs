//! Conversions of the interface `subscription`.

use cprflow_connector::{is_date_time, uuid};

use crate::error::{ComponentError, Error, RequestError};
use crate::pnr::Pnr;
use crate::redact::redact;
use crate::soap_messages::{
    ChangeResult, ErrorEntry, Failure, Fault, Filters, InvocationContext, Operation, Pnrs, Reply,
};
use crate::wit::subscription as wit;

impl From<&Operation> for wit::Operation {
    fn from(operation: &Operation) -> Self {
        match operation {
            Operation::AddPnr(pnr) => Self::AddPnr(pnr.as_str().to_owned()),
            Operation::RemovePnr(pnr) => Self::RemovePnr(pnr.as_str().to_owned()),
            Operation::AddAgeRange(range) => Self::AddAgeRange(*range),
            Operation::RemoveAgeRange(range) => Self::RemoveAgeRange(*range),
            Operation::AddMunicipalityCode(code) => Self::AddMunicipalityCode(code.clone()),
            Operation::RemoveMunicipalityCode(code) => Self::RemoveMunicipalityCode(code.clone()),
            Operation::AddChangeCode(code) => Self::AddChangeCode(code.clone()),
            Operation::RemoveChangeCode(code) => Self::RemoveChangeCode(code.clone()),
            Operation::AddNoFilter => Self::AddNoFilter,
            Operation::RemoveNoFilter => Self::RemoveNoFilter,
            Operation::RemoveAll(group) => Self::RemoveAll(*group),
            Operation::GetAllFilters => Self::GetAllFilters,
        }
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

/// A request that the component refuses is the caller's error, and the message says what is wrong.
impl From<wit::RequestError> for Error {
    fn from(error: wit::RequestError) -> Self {
        RequestError::Refused(redact(&error.message)).into()
    }
}

impl TryFrom<wit::Reply> for Reply {
    type Error = ComponentError;

    fn try_from(reply: wit::Reply) -> Result<Self, ComponentError> {
        Ok(match reply {
            wit::Reply::Changed(result) => Self::Changed(result.into()),
            wit::Reply::Filters(filters) => Self::Filters(filters.try_into()?),
        })
    }
}

impl From<wit::ChangeResult> for ChangeResult {
    fn from(result: wit::ChangeResult) -> Self {
        match result {
            wit::ChangeResult::Added => Self::Added,
            wit::ChangeResult::Removed => Self::Removed,
            wit::ChangeResult::AlreadyExisted => Self::AlreadyExisted,
            wit::ChangeResult::NonExistingPnr => Self::NonExistingPnr,
            wit::ChangeResult::NonExistingAgeRange => Self::NonExistingAgeRange,
            wit::ChangeResult::NonExistingMunicipalityCode => Self::NonExistingMunicipalityCode,
            wit::ChangeResult::NonExistingChangeCode => Self::NonExistingChangeCode,
            wit::ChangeResult::Other(word) => Self::Other(redact(&word)),
        }
    }
}

impl TryFrom<wit::Filters> for Filters {
    type Error = ComponentError;

    fn try_from(filters: wit::Filters) -> Result<Self, ComponentError> {
        let is_code =
            |code: &String| code.len() == 4 && code.bytes().all(|byte| byte.is_ascii_digit());
        if !filters.municipality_codes.iter().all(is_code) {
            return Err(ComponentError::misbehaved(
                "it returned an invalid municipality code",
            ));
        }
        let numbers = filters.pnrs.as_bytes().chunks(Pnr::DIGITS);
        let pnrs = numbers.map(Pnr::try_from).collect::<Result<_, _>>();
        let pnrs =
            pnrs.map_err(|_| ComponentError::misbehaved("it returned an invalid person number"))?;
        let change_codes = filters.change_codes.iter();
        Ok(Self {
            age_ranges: filters.age_ranges,
            change_codes: change_codes.map(|code| redact(code)).collect(),
            municipality_codes: filters.municipality_codes,
            pnrs: Pnrs(pnrs),
            no_filter: filters.no_filter,
            unreadable: filters.unreadable,
        })
    }
}

impl From<wit::Failure> for Error {
    fn from(failure: wit::Failure) -> Self {
        Self::Subscription(failure.into())
    }
}

impl From<wit::Failure> for Failure {
    fn from(failure: wit::Failure) -> Self {
        Self {
            kind: failure.kind,
            status: failure.status,
            party: failure.party,
            retry: failure.retry,
            fault: failure.fault.map(|fault| Box::new(fault.into())),
            element: failure.element.as_deref().map(redact),
            message: redact(&failure.message),
        }
    }
}

impl From<wit::Fault> for Fault {
    fn from(fault: wit::Fault) -> Self {
        let entry = |error: &wit::ErrorEntry| ErrorEntry {
            code: redact(&error.code),
            text: redact(&error.text),
        };
        Self {
            code: redact(&fault.code),
            text: redact(&fault.text),
            errors: fault.errors.iter().map(entry).collect(),
            // The platform's helpdesk needs both unchanged, but redaction would change a UUID whose digits look like a
            // person number. So a value of the right form is kept unchanged, and any other value is dropped.
            call_uuid: fault
                .call_uuid
                .filter(|text| uuid(text).as_ref() == Some(text)),
            received: fault.received.filter(|text| is_date_time(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_call_uuid_and_time_of_a_fault_only_in_their_exact_form() {
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

    #[test]
    fn rejects_filters_that_break_the_contract() {
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
