//! Requests and responses of the subscription service, built and read in the sandbox through the host.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::time::{Duration, Instant};

use cprflow::soap_messages::{
    AgeRange, ChangeResult, Failure, FailureKind, FilterGroup, Filters, InvocationContext,
    Operation, Party, Reply,
};
use cprflow::{ComponentError, Error, Limits, Pnr};
use cprflow_tests::rows::connector;

const SERVICE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/";
const PNR: &str = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/";
const UUID: &str = "9cdccc2f-3243-11e2-8fef-d4bed98c5934";

fn context() -> InvocationContext {
    InvocationContext {
        service_agreement_uuid: UUID.to_uppercase(),
        user_system_uuid: UUID.to_owned(),
        user_uuid: UUID.to_owned(),
        service_uuid: UUID.to_owned(),
        callers_service_call_identifier: Some("night 1".to_owned()),
        ..InvocationContext::default()
    }
}

fn pnr(digits: &str) -> Pnr {
    digits.parse().unwrap()
}

fn envelope(body: &str) -> Vec<u8> {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>{body}</s:Body></s:Envelope>"
    )
    .into_bytes()
}

fn response(name: &str, children: &str) -> Vec<u8> {
    envelope(&format!(
        "<t:{name}Response xmlns:t=\"{SERVICE}\" xmlns:p=\"{PNR}\">{children}</t:{name}Response>"
    ))
}

fn failure(operation: &Operation, status: u16, body: &[u8]) -> Failure {
    match connector().subscription_reply(operation, status, body) {
        Err(Error::Subscription(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn filters(body: &[u8]) -> Filters {
    match connector().subscription_reply(&Operation::GetAllFilters, 200, body) {
        Ok(Reply::Filters(filters)) => filters,
        other => panic!("{other:?}"),
    }
}

/// The XML reader of the test knows no operations. It checks order and namespaces of the elements.
#[test]
fn builds_every_request() {
    let range = AgeRange { start: 0, end: 17 };
    let code = || "0851".to_owned();
    let change = || "A01".to_owned();
    let operations = [
        Operation::AddPnr(pnr("0101010101")),
        Operation::RemovePnr(pnr("0101010101")),
        Operation::AddAgeRange(range),
        Operation::RemoveAgeRange(range),
        Operation::AddMunicipalityCode(code()),
        Operation::RemoveMunicipalityCode(code()),
        Operation::AddChangeCode(change()),
        Operation::RemoveChangeCode(change()),
        Operation::AddNoFilter,
        Operation::RemoveNoFilter,
        Operation::RemoveAll(FilterGroup::ChangeCode),
        Operation::GetAllFilters,
    ];
    let mut said = String::new();
    for operation in &operations {
        let body = connector()
            .subscription_request(operation, &context())
            .unwrap();
        let body = String::from_utf8(body).unwrap();
        let (_, call) = body.split_once("<soapenv:Body>").unwrap();
        said.push_str(
            call.strip_suffix("</soapenv:Body></soapenv:Envelope>")
                .unwrap(),
        );
        said.push('\n');
        assert!(!format!("{operation:?}").contains("0101010101"));
    }
    insta::assert_snapshot!("requests", said);
}

#[test]
fn rejects_invalid_requests() {
    let said = |operation: Operation, context: &InvocationContext| match connector()
        .subscription_request(&operation, context)
    {
        Err(Error::Request(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let range = AgeRange { start: 18, end: 17 };
    let mut messages = vec![
        said(Operation::AddAgeRange(range), &context()),
        said(Operation::AddMunicipalityCode("851".to_owned()), &context()),
        said(Operation::RemoveChangeCode("A001".to_owned()), &context()),
    ];
    let mut wrong = context();
    wrong.user_uuid = "0101010101".to_owned();
    messages.push(said(Operation::GetAllFilters, &wrong));
    let mut wrong = context();
    wrong.accounting_info = Some("010101-0101".to_owned());
    messages.push(said(Operation::GetAllFilters, &wrong));
    insta::assert_snapshot!("request-errors", messages.join("\n"));
}

#[test]
fn replies() {
    for (word, result) in [
        ("ADDED", ChangeResult::Added),
        ("ALREADY_EXISTED", ChangeResult::AlreadyExisted),
        (
            "NON_EXISTING_CHANGECODE",
            ChangeResult::NonExistingChangeCode,
        ),
        ("LATER", ChangeResult::Other("LATER".to_owned())),
    ] {
        let body = response(
            "AddPNRSubscription",
            &format!("<t:Result>{word}</t:Result>"),
        );
        let operation = Operation::AddPnr(pnr("0101010101"));
        let reply = connector()
            .subscription_reply(&operation, 200, &body)
            .unwrap();
        assert_eq!(reply, Reply::Changed(result));
    }
}

#[test]
fn the_public_samples() {
    let Some(folder) = cprflow_tests::shared("soap") else {
        return;
    };
    for (name, pnrs) in [
        (
            "GetAllFiltersResponse.xml",
            &["0123456789", "0123456788"][..],
        ),
        ("GetAllFiltersResponse-noPNR.xml", &[]),
    ] {
        let body = std::fs::read(folder.join(name)).unwrap();
        let filters = filters(&body);
        assert_eq!(filters.municipality_codes, ["0706"]);
        let read: Vec<&str> = filters.pnrs.iter().map(Pnr::as_str).collect();
        assert_eq!(read, pnrs, "{name}");
        assert!(!filters.no_filter);
        assert_eq!(filters.unreadable, 0);
    }
}

/// Checks the message of each failure, and who must act.
#[test]
fn failures() {
    let fault = |code: &str, text: &str| {
        envelope(&format!(
            "<s:Fault><faultcode>s:{code}</faultcode><faultstring>{text}</faultstring></s:Fault>"
        ))
    };
    let detail = envelope(
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>Failed</faultstring><detail><f:ServiceplatformFault \
         xmlns:f=\"http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/\"><f:ErrorList><f:Error>\
         <f:ErrorCode>WrongUserSystem</f:ErrorCode><f:ErrorText>no PNR subscription configured</f:ErrorText>\
         </f:Error></f:ErrorList></f:ServiceplatformFault></detail></s:Fault>",
    );
    let right = response("GetAllFilters", "");
    let wrong = response("AddPNRSubscription", "<t:Result>ADDED</t:Result>");
    let doctype = [b"<!DOCTYPE s []>".as_slice(), &right].concat();
    let cases: [(u16, &[u8], FailureKind, Party, bool); 12] = [
        (500, &detail, FailureKind::Fault, Party::Agreement, false),
        (
            500,
            &fault("Server", "The person 010101-0101 is busy"),
            FailureKind::Fault,
            Party::Platform,
            true,
        ),
        (
            500,
            &fault("Client", "No"),
            FailureKind::Fault,
            Party::Caller,
            false,
        ),
        (503, b"", FailureKind::Empty, Party::Platform, true),
        (
            502,
            b"<html><h1>Bad Gateway</h1><br></html>",
            FailureKind::NotSoap,
            Party::Platform,
            true,
        ),
        (
            403,
            b"Forbidden",
            FailureKind::NotSoap,
            Party::Certificate,
            false,
        ),
        (
            404,
            b"Not Found",
            FailureKind::NotSoap,
            Party::Agreement,
            false,
        ),
        (
            200,
            &right[..100],
            FailureKind::Truncated,
            Party::Platform,
            false,
        ),
        (200, &doctype, FailureKind::Doctype, Party::Platform, false),
        (
            200,
            &wrong,
            FailureKind::OtherAnswer,
            Party::Platform,
            false,
        ),
        (500, &right, FailureKind::Status, Party::Platform, true),
        (
            200,
            &response("GetAllFilters", "<t:PNR>0101010101</t:PNR>"),
            FailureKind::OtherNamespace,
            Party::Platform,
            false,
        ),
    ];
    let mut said = String::new();
    for (status, body, kind, party, retry) in cases {
        let failure = failure(&Operation::GetAllFilters, status, body);
        assert_eq!(
            (failure.kind, failure.party, failure.retry),
            (kind, party, retry),
            "{failure}"
        );
        assert!(!format!("{failure:?}").contains("0101"), "{failure}");
        said.push_str(&format!("{failure}\n"));
    }
    insta::assert_snapshot!("failures", said);
}

#[test]
fn failures_carry_the_transaction_id() {
    let text = "No.\n  CallUUID: cca459ba-ee11-4030-8ae1-25ea95b0318c\n  Received: 2025-10-23T13:06:14.306Z";
    let body = format!(
        "<s:Fault><faultcode>Server</faultcode><faultstring>{text}</faultstring></s:Fault>"
    );
    let fault = failure(&Operation::AddNoFilter, 500, &envelope(&body))
        .fault
        .unwrap();
    assert_eq!(
        fault.call_uuid.as_deref(),
        Some("cca459ba-ee11-4030-8ae1-25ea95b0318c")
    );
    assert_eq!(fault.received.as_deref(), Some("2025-10-23T13:06:14.306Z"));
}

/// The filters of half a million persons fit into 64 MiB.
#[test]
fn half_a_million_persons() {
    let mut children = String::new();
    for number in 0..500_000 {
        children.push_str(&format!("\n  <p:PNR>{number:010}</p:PNR>"));
    }
    let body = response("GetAllFilters", &children);
    const MEMORY: usize = 64 << 20;
    let limits = Limits::new()
        .call(Duration::from_secs(60))
        .answer_bytes(MEMORY);
    let read = |memory: usize| {
        let limits = limits.memory(memory);
        connector().subscription_reply_within(limits, &Operation::GetAllFilters, 200, &body)
    };
    let begun = Instant::now();
    let Reply::Filters(filters) = read(MEMORY).unwrap() else {
        panic!("the response must contain filters");
    };
    let took = begun.elapsed();
    println!("{} bytes in {took:?}", body.len());
    assert_eq!(filters.pnrs.len(), 500_000);
    assert!(
        (0..)
            .zip(filters.pnrs.iter())
            .all(|(number, pnr)| pnr.as_str() == format!("{number:010}"))
    );
    // The limit is effective: the body does not fit into a smaller memory.
    let small = read(body.len() / 2).unwrap_err();
    assert!(
        matches!(small, Error::Component(ComponentError::Memory { .. })),
        "{small:?}"
    );
}

/// A response that is larger than any valid one has its own error, and does not exhaust the memory.
#[test]
fn rejects_an_oversized_response() {
    let body = vec![b' '; cprflow::soap_messages::MAX_REPLY * 2];
    let body = [b"<a>".as_slice(), &body].concat();
    let failure = failure(&Operation::GetAllFilters, 200, &body);
    assert_eq!(failure.kind, FailureKind::TooLarge);
}
