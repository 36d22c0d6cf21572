//! Tests of answers that are accepted and refused.

use proptest::prelude::*;

use super::*;
use crate::xml::XmlError;

#[test]
fn reads_results() {
    for (word, result) in [
        ("ADDED", ChangeResult::Added),
        ("REMOVED", ChangeResult::Removed),
        ("ALREADY_EXISTED", ChangeResult::AlreadyExisted),
        ("NON_EXISTING_PNR", ChangeResult::NonExistingPnr),
        ("NON_EXISTING_AGERANGE", ChangeResult::NonExistingAgeRange),
        (
            "NON_EXISTING_MUNICIPALITYCODE",
            ChangeResult::NonExistingMunicipalityCode,
        ),
        (
            "NON_EXISTING_CHANGECODE",
            ChangeResult::NonExistingChangeCode,
        ),
        // The specification writes the same results in another way.
        ("Added", ChangeResult::Added),
        ("removed", ChangeResult::Removed),
        ("AlreadyExisted", ChangeResult::AlreadyExisted),
        ("Non existing PNR", ChangeResult::NonExistingPnr),
        ("Later", ChangeResult::Other("Later".to_owned())),
        ("", ChangeResult::Other(String::new())),
        (
            "010101&#x2D;0101",
            ChangeResult::Other("[number]".to_owned()),
        ),
    ] {
        let body = response(
            "AddNoFilterSubscription",
            &format!("<t:Result> {word} </t:Result>"),
        );
        let read = reply(&Operation::AddNoFilter, 200, body.as_bytes()).unwrap();
        assert_eq!(read, Reply::Changed(result), "{word}");
    }
}

#[test]
fn reads_numbers_in_every_notation_of_an_integer() {
    let read = |children: &str| {
        let body = response("GetAllFilters", children);
        match reply(&Operation::GetAllFilters, 200, body.as_bytes()).unwrap() {
            Reply::Filters(filters) => filters,
            Reply::Changed(_) => panic!("these are filters"),
        }
    };
    for (code, expected) in [
        ("+265", Some("0265")),
        ("0000265", Some("0265")),
        ("+00851", Some("0851")),
        ("265", Some("0265")),
        ("-265", None),
        ("+-265", None),
        ("+", None),
        ("", None),
        ("+0", None),
        ("12345", None),
        ("2 65", None),
    ] {
        let filters = read(&format!("<t:MunicipalityCode>{code}</t:MunicipalityCode>"));
        let codes: Vec<_> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(filters.unreadable, u64::from(codes.is_empty()), "{code}");
        assert_eq!(filters.municipality_codes, codes, "{code}");
    }
    let filters =
        read("<t:AgeRange><t:StartAge>+0</t:StartAge><t:EndAge>00017</t:EndAge></t:AgeRange>");
    assert_eq!(filters.age_ranges, [AgeRange { start: 0, end: 17 }]);
}

#[test]
fn reads_filters() {
    let read = |children: &str| {
        let body = response("GetAllFilters", children);
        match reply(&Operation::GetAllFilters, 200, body.as_bytes()).unwrap() {
            Reply::Filters(filters) => filters,
            Reply::Changed(_) => panic!("these are filters"),
        }
    };
    assert_eq!(read(""), Filters::default());
    let filters = read(
        "<t:AgeRange><t:StartAge>0</t:StartAge><t:EndAge>17</t:EndAge></t:AgeRange><t:ChangeCode>A01</t:ChangeCode>\
         <t:MunicipalityCode>706</t:MunicipalityCode><t:MunicipalityCode>0851</t:MunicipalityCode>\
         <p:PNR>0101010101</p:PNR><p:PNR>&#48;101010102</p:PNR><t:noFilter>true</t:noFilter>",
    );
    let expected = Filters {
        age_ranges: vec![AgeRange { start: 0, end: 17 }],
        change_codes: vec!["A01".to_owned()],
        municipality_codes: vec!["0706".to_owned(), "0851".to_owned()],
        pnrs: "01010101010101010102".to_owned(),
        no_filter: true,
        unreadable: 0,
    };
    assert_eq!(filters, expected);
    assert!(!format!("{filters:?}").contains("0101010101"));
    // None of these can be a filter, and each must be counted.
    let odd = read(
        "<t:AgeRange><t:StartAge>0</t:StartAge></t:AgeRange><t:ChangeCode>A-1</t:ChangeCode>\
         <t:MunicipalityCode>-1</t:MunicipalityCode><p:PNR>010101-010</p:PNR><p:PNR/><t:Sex>K</t:Sex>\
         <t:ChangeCode>a01</t:ChangeCode><t:ChangeCode>A1</t:ChangeCode><t:MunicipalityCode>0</t:MunicipalityCode>\
         <t:AgeRange><t:StartAge>17</t:StartAge><t:EndAge>0</t:EndAge></t:AgeRange>",
    );
    assert_eq!(
        odd,
        Filters {
            unreadable: 10,
            ..Filters::default()
        }
    );
}

#[test]
fn ignores_namespace_prefixes() {
    let body = format!(
        "<Envelope xmlns=\"{SOAP}\"><Body><GetAllFiltersResponse xmlns=\"{SERVICE}\">\
         <soap:PNR xmlns:soap=\"{PNR}\">0101010101</soap:PNR><noFilter>0</noFilter></GetAllFiltersResponse></Body>\
         </Envelope>"
    );
    let Ok(Reply::Filters(filters)) = reply(&Operation::GetAllFilters, 200, body.as_bytes()) else {
        panic!("it is right");
    };
    assert_eq!(filters.pnrs, "0101010101");
}

#[test]
fn refuses_what_is_not_an_answer() {
    let add = Operation::AddNoFilter;
    let right = response("AddNoFilterSubscription", "<t:Result>ADDED</t:Result>");
    assert!(reply(&add, 200, right.as_bytes()).is_ok());
    assert_eq!(failed(&add, 500, &right).kind, FailureKind::Status);
    for body in ["", " \r\n"] {
        assert_eq!(kind(&add, body), FailureKind::Empty);
    }
    let soap12 = right.replace(SOAP, "http://www.w3.org/2003/05/soap-envelope");
    for body in [
        "502 Bad Gateway",
        "{\"error\": 1}",
        "<html><body><br></body></html>",
        "<!DOCTYPE html><html><br></html>",
        "<!doctype HTML PUBLIC \"-//W3C//DTD\"><html>",
        "<Envelope/>",
        &soap12,
    ] {
        assert_eq!(kind(&add, body), FailureKind::NotSoap, "{body}");
    }
    for (body, error) in [
        (
            format!("<!DOCTYPE s [<!ENTITY a \"b\">]>{right}"),
            XmlError::Doctype,
        ),
        (right.replace("ADDED", "&a;"), XmlError::Entity),
        (right.repeat(2), XmlError::SeveralRoots),
        (
            right.replace("<x/>", &"<x>".repeat(100)),
            XmlError::TooComplex,
        ),
        (right[..right.len() - 2].to_owned(), XmlError::Truncated),
    ] {
        assert_eq!(kind(&add, &body), FailureKind::Xml(error), "{body}");
    }
    let wrong = right.replace("</t:Result>", "</t:Results>");
    assert!(matches!(
        kind(&add, &wrong),
        FailureKind::Xml(XmlError::Malformed(_))
    ));
    assert_eq!(
        reply(&add, 200, b"<\xe6/>").unwrap_err().kind,
        FailureKind::Xml(XmlError::Encoding)
    );
    let large = vec![b'x'; MAX_BYTES + 1];
    assert_eq!(
        reply(&add, 200, &large).unwrap_err().kind,
        FailureKind::Xml(XmlError::TooLarge(MAX_BYTES))
    );
    for body in [
        response("RemoveNoFilterSubscription", "<t:Result>REMOVED</t:Result>"),
        right.replace(SERVICE, "urn:other"),
        envelope(""),
        right.replace("</soap:Body>", "<x/></soap:Body>"),
        // The request itself, sent back.
        String::from_utf8(request(&add, &context()).unwrap()).unwrap(),
    ] {
        assert_eq!(kind(&add, &body), FailureKind::OtherAnswer, "{body}");
    }
    let body = right.replace("t:Result>", "p:Result>");
    assert_eq!(kind(&add, &body), FailureKind::OtherNamespace("Result"));
    let body = response("AddNoFilterSubscription", "<t:Results/>");
    assert_eq!(kind(&add, &body), FailureKind::MissingElement("Result"));
    let body = response(
        "AddNoFilterSubscription",
        &"<t:Result>ADDED</t:Result>".repeat(2),
    );
    assert_eq!(kind(&add, &body), FailureKind::RepeatedElement("Result"));
    let body = format!("<soap:Envelope xmlns:soap=\"{SOAP}\"/>");
    assert_eq!(kind(&add, &body), FailureKind::MissingElement("Body"));
    let all = Operation::GetAllFilters;
    for element in [
        "PNR",
        "AgeRange",
        "MunicipalityCode",
        "ChangeCode",
        "noFilter",
    ] {
        let body = response("GetAllFilters", &format!("<{element}/>"));
        assert_eq!(kind(&all, &body), FailureKind::OtherNamespace(element));
    }
    let body = response("GetAllFilters", "<t:noFilter>maybe</t:noFilter>");
    assert_eq!(kind(&all, &body), FailureKind::BadValue("noFilter"));
}

/// The party that must act if there is no fault.
#[test]
fn the_status_gives_the_party() {
    for (status, party, retry) in [
        (200, Party::Platform, false),
        (302, Party::Agreement, false),
        (400, Party::Caller, false),
        (401, Party::Certificate, false),
        (403, Party::Certificate, false),
        (404, Party::Agreement, false),
        (429, Party::Platform, true),
        (500, Party::Platform, true),
        (502, Party::Platform, true),
        (503, Party::Platform, true),
        (504, Party::Platform, true),
    ] {
        let failure = failed(&Operation::GetAllFilters, status, "<html/>");
        assert_eq!((failure.party, failure.retry), (party, retry), "{status}");
        assert_eq!(failure.status, status);
    }
}

/// A truncated answer is never accepted.
#[test]
fn refuses_a_document_cut_at_any_byte() {
    let filters = response(
        "GetAllFilters",
        "<t:MunicipalityCode>706</t:MunicipalityCode><p:PNR>0101010101</p:PNR>",
    );
    let added = response("AddNoFilterSubscription", "<t:Result>ADDED</t:Result>");
    for (operation, body) in [
        (Operation::GetAllFilters, filters),
        (Operation::AddNoFilter, added),
    ] {
        assert!(reply(&operation, 200, body.as_bytes()).is_ok());
        for length in 0..body.len() {
            let cut = reply(&operation, 200, &body.as_bytes()[..length]);
            assert!(cut.is_err(), "cut at {length}");
        }
    }
    let body = fault("Server", "No", &detail("A", "B"));
    for length in 0..body.len() {
        let failure = failed(&Operation::AddNoFilter, 500, &body[..length]);
        assert_ne!(failure.kind, FailureKind::Fault, "cut at {length}");
    }
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), status in any::<u16>()) {
        prop_assert!(reply(&Operation::GetAllFilters, status, &bytes).is_err());
    }

    #[test]
    fn never_panics_on_damaged_documents(place in 0usize..900, with in "[<>&;/!?a-z\"'= \\[\\]\u{e6}-]{0,6}", length in 0usize..40) {
        let mut body = fault("Server", "No", &detail("A", "B")).into_bytes();
        let start = place.min(body.len());
        let end = (start + length).min(body.len());
        body.splice(start..end, with.bytes());
        prop_assert!(reply(&Operation::GetAllFilters, 500, &body).is_err());
    }
}
