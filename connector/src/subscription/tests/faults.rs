//! Tests of faults: the party that must act, and the texts that are kept.

use proptest::prelude::*;

use super::*;

#[test]
fn a_fault_gives_the_party() {
    let add = Operation::AddNoFilter;
    for (code, text, detail, party, retry) in [
        (
            "soap:Server",
            "Fault",
            detail(
                "ServiceConfigurationDatabaseError",
                "Service Configuration update failed",
            ),
            Party::Platform,
            true,
        ),
        (
            "soap:Server",
            "Fault",
            detail(
                "WrongUserSystem",
                "no PNR subscription configured for serviceAgreement",
            ),
            Party::Agreement,
            false,
        ),
        (
            "Server",
            "Fault",
            detail("InvalidCallParameters", "municipality code was negative"),
            Party::Caller,
            false,
        ),
        (
            "env:Server",
            "CPR ReplicaSubscription - municipality code was negative",
            String::new(),
            Party::Caller,
            false,
        ),
        ("env:Client", "No", String::new(), Party::Caller, false),
        (
            "Client.Authentication",
            "No",
            String::new(),
            Party::Caller,
            false,
        ),
        (
            "Server",
            "Security model for the called operation was not provided",
            String::new(),
            Party::Agreement,
            false,
        ),
        (
            "Server",
            "The certificate is unknown",
            String::new(),
            Party::Certificate,
            false,
        ),
        (
            "Server",
            "Something else",
            String::new(),
            Party::Platform,
            true,
        ),
        ("", "", String::new(), Party::Platform, true),
    ] {
        let failure = failed(&add, 500, &fault(code, text, &detail));
        assert_eq!(failure.kind, FailureKind::Fault);
        assert_eq!(
            (failure.party, failure.retry),
            (party, retry),
            "{code} {text} {detail}"
        );
    }
    let failure = failed(&add, 403, &fault("Server", "No", ""));
    assert_eq!((failure.party, failure.retry), (Party::Certificate, false));
    // It is a fault whatever the status is.
    assert_eq!(
        failed(&add, 200, &fault("Server", "No", "")).kind,
        FailureKind::Fault
    );
}

#[test]
fn keeps_the_texts_of_a_fault() {
    let text = "Person 010101-0101 &lt;unknown&gt;.\r\n\r\nFor further information contact Serviceplatformen \
                Helpdesk and inform:\n  CallUUID: CCA459BA-ee11-4030-8ae1-25ea95b0318c\n  \
                Received: 2025-10-23T13:06:14.306Z\n";
    let body = fault(
        "soap:Server",
        text,
        &detail(
            "E&#x30;1",
            "01010&#49;01<!-- -->01 is <![CDATA[no]]> number",
        ),
    );
    let failure = failed(&Operation::AddPnr("0101010101".to_owned()), 500, &body);
    let text = failure.to_string();
    let fault = failure.fault.unwrap();
    assert_eq!(fault.code, "Server");
    assert!(
        fault.text.starts_with("Person [number] <unknown>."),
        "{}",
        fault.text
    );
    assert_eq!(
        fault.call_uuid.as_deref(),
        Some("cca459ba-ee11-4030-8ae1-25ea95b0318c")
    );
    assert_eq!(fault.received.as_deref(), Some("2025-10-23T13:06:14.306Z"));
    let expected = ErrorEntry {
        code: "E01".to_owned(),
        text: "[number] is no number".to_owned(),
    };
    assert_eq!(fault.errors, [expected]);
    assert!(
        text.starts_with("the service answered with a fault (HTTP 500): Server: Person [number]"),
        "{text}"
    );
    let long = failed(
        &Operation::GetAllFilters,
        500,
        &self::fault("Server", &"x".repeat(100_000), ""),
    );
    assert_eq!(long.fault.unwrap().text.len(), 1_000);
    let more = format!("{}<f:Error>", "<f:Error/>".repeat(1_000));
    let many = detail("", "").replace("<f:Error>", &more);
    let many = failed(
        &Operation::GetAllFilters,
        500,
        &self::fault("Server", "", &many),
    );
    assert_eq!(many.fault.unwrap().errors.len(), 20);
}

/// Some services write plain text instead of elements, or elements instead of text; the content is kept.
#[test]
fn reads_a_fault_of_unusual_form() {
    let failed = |body: &str| failed(&Operation::GetAllFilters, 500, body);
    let kept = |body: &str| failed(body).fault.unwrap();
    let plain = fault("Server", "Internal error", "Restarting, 010101-0101");
    let text = kept(&plain);
    assert_eq!(text.code, "Server");
    assert_eq!(text.text, "Internal error; Restarting, [number]");
    let uuid = "cca459ba-ee11-4030-8ae1-25ea95b0318c";
    let inside = format!("CallUUID: {uuid}<x>WrongUserSystem</x>");
    let text = kept(&fault("Server", "", &inside));
    assert_eq!(text.call_uuid.as_deref(), Some(uuid));
    let mixed = fault("Server", "No", &detail("WrongUserSystem", "no"));
    let mixed = mixed
        .replace("<f:Error>", "text<f:Error>text")
        .replace("<faultcode>", "text<faultcode>");
    assert_eq!(kept(&mixed).errors.len(), 1);
    assert_eq!(failed(&mixed).party, Party::Agreement);
    let nested = fault("Server", "N<b>o</b>t now", "");
    assert_eq!(kept(&nested).text, "N o t now");
    // The document must still be complete.
    for end in 1..plain.len() {
        assert!(failed(&plain[..end]).fault.is_none());
    }
}

proptest! {
    /// A fault never shows a person number, wherever and however it is written.
    #[test]
    fn faults_never_contain_a_number(
        number in "[0-9]{6}[- ]?[0-9]{4}",
        around in "[a-z ,.:]{0,20}",
        referenced in prop::collection::vec(any::<bool>(), 11),
    ) {
        let written: String = number
            .chars()
            .zip(&referenced)
            .map(|(c, referenced)| if *referenced { format!("&#{};", u32::from(c)) } else { c.to_string() })
            .collect();
        let text = format!("{around}{written}{around}");
        let body = fault(&text, &text, &detail(&text, &text));
        let failure = failed(&Operation::AddPnr(number.clone()), 500, &body);
        let everything = format!("{failure} {failure:?}");
        let bare = number.replace(['-', ' '], "");
        prop_assert!(!everything.contains(&number) && !everything.contains(&bare), "{everything}");
    }
}

#[test]
fn a_fault_without_texts_is_described() {
    for (content, expected) in [
        ("", ", which has no code and no text."),
        (
            "<faultcode></faultcode><faultstring/>",
            ", which has no code and no text.",
        ),
        ("<faultcode>soap:Server</faultcode>", ": Server."),
        ("<faultstring>away</faultstring>", ": away."),
    ] {
        let body = envelope(&format!("<soap:Fault>{content}</soap:Fault>"));
        let failure = reply(&Operation::AddNoFilter, 500, body.as_bytes()).unwrap_err();
        let text = failure.to_string();
        assert!(
            text.contains(&format!("fault (HTTP 500){expected}")),
            "{text}"
        );
    }
}
