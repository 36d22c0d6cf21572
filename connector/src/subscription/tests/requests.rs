//! Tests of the content of requests, and of values that are refused.

use super::*;

fn requested(operation: &Operation) -> Result<String, RequestErrorKind> {
    match request(operation, &context()) {
        Ok(body) => Ok(String::from_utf8(body).unwrap()),
        Err(error) => Err(error.kind),
    }
}

#[test]
fn writes_a_complete_request() {
    let body = requested(&Operation::AddPnr("0101010101".to_owned())).unwrap();
    let uuids = [
        "ServiceAgreementUUID",
        "UserSystemUUID",
        "UserUUID",
        "ServiceUUID",
    ]
    .map(|element| format!("<ctx:{element}>{UUID}</ctx:{element}>"))
    .concat();
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:sub=\"http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/\" \
         xmlns:ctx=\"http://serviceplatformen.dk/xml/schemas/InvocationContext/1/\" \
         xmlns:pnr=\"http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/\"><soapenv:Body>\
         <sub:AddPNRSubscription><ctx:InvocationContext>{uuids}</ctx:InvocationContext>\
         <pnr:PNR>0101010101</pnr:PNR></sub:AddPNRSubscription></soapenv:Body></soapenv:Envelope>"
    );
    assert_eq!(body, expected);
}

#[test]
fn writes_every_operation() {
    let text = |value: &str| value.to_owned();
    let range = AgeRange { start: 0, end: 999 };
    let ages =
        "<sub:AgeRange><sub:StartAge>0</sub:StartAge><sub:EndAge>999</sub:EndAge></sub:AgeRange>";
    let municipality = "<sub:MunicipalityCode>0851</sub:MunicipalityCode>";
    let change = "<sub:ChangeCode>A01</sub:ChangeCode>";
    let pnr = "<pnr:PNR>0101010101</pnr:PNR>";
    for (operation, name, argument) in [
        (
            Operation::AddPnr(text("0101010101")),
            "AddPNRSubscription",
            pnr,
        ),
        (
            Operation::RemovePnr(text("0101010101")),
            "RemovePNRSubscription",
            pnr,
        ),
        (
            Operation::AddAgeRange(range),
            "AddAgeRangeSubscription",
            ages,
        ),
        (
            Operation::RemoveAgeRange(range),
            "RemoveAgeRangeSubscription",
            ages,
        ),
        (
            Operation::AddMunicipalityCode(text("0851")),
            "AddMunicipalityCodeSubscription",
            municipality,
        ),
        (
            Operation::RemoveMunicipalityCode(text("0851")),
            "RemoveMunicipalityCodeSubscription",
            municipality,
        ),
        (
            Operation::AddChangeCode(text("A01")),
            "AddChangeCodeSubscription",
            change,
        ),
        (
            Operation::RemoveChangeCode(text("A01")),
            "RemoveChangeCodeSubscription",
            change,
        ),
        (Operation::AddNoFilter, "AddNoFilterSubscription", ""),
        (Operation::RemoveNoFilter, "RemoveNoFilterSubscription", ""),
        (Operation::GetAllFilters, "GetAllFilters", ""),
    ] {
        let body = requested(&operation).unwrap();
        assert!(body.contains(&format!(
            "<soapenv:Body><sub:{name}><ctx:InvocationContext>"
        )));
        assert!(
            body.contains(&format!("</ctx:InvocationContext>{argument}</sub:{name}>")),
            "{body}"
        );
        assert_eq!(format!("{operation:?}"), name);
    }
    for (group, value) in [
        (FilterGroup::Pnr, "PNR"),
        (FilterGroup::AgeRange, "AgeRange"),
        (FilterGroup::MunicipalityCode, "MunicipalityCode"),
        (FilterGroup::ChangeCode, "EventChangeCode"),
        (FilterGroup::NoFilter, "NoFilter"),
    ] {
        let body = requested(&Operation::RemoveAll(group)).unwrap();
        let argument = format!("<sub:FilterGroup>{value}</sub:FilterGroup></sub:RemoveAll>");
        assert!(body.contains(&argument), "{body}");
    }
}

#[test]
fn refuses_invalid_arguments() {
    for pnr in [
        "",
        "010101010",
        "01010101011",
        "010101-0101",
        "010101010x",
        "\u{ff10}101010",
    ] {
        for operation in [
            Operation::AddPnr(pnr.to_owned()),
            Operation::RemovePnr(pnr.to_owned()),
        ] {
            assert_eq!(requested(&operation), Err(RequestErrorKind::Pnr), "{pnr}");
        }
    }
    for (start, end) in [(2, 1), (0, 1000), (1000, 1000)] {
        let range = AgeRange { start, end };
        for operation in [
            Operation::AddAgeRange(range),
            Operation::RemoveAgeRange(range),
        ] {
            assert_eq!(requested(&operation), Err(RequestErrorKind::AgeRange));
        }
    }
    for code in ["", "851", "0000", "00851", "-851", "085x"] {
        let operation = Operation::AddMunicipalityCode(code.to_owned());
        assert_eq!(
            requested(&operation),
            Err(RequestErrorKind::MunicipalityCode),
            "{code}"
        );
    }
    for code in ["", "A1", "a01", "A011", "001", "AA1"] {
        let operation = Operation::RemoveChangeCode(code.to_owned());
        assert_eq!(
            requested(&operation),
            Err(RequestErrorKind::ChangeCode),
            "{code}"
        );
    }
}

#[test]
fn checks_the_invocation_context() {
    let with = |text: &str| {
        let mut context = context();
        context.on_behalf_of_user = Some(text.to_owned());
        request(&Operation::GetAllFilters, &context)
    };
    let body = String::from_utf8(with("<b> & \"c\"").unwrap()).unwrap();
    let written = "<ctx:OnBehalfOfUser>&lt;b&gt; &amp; &quot;c&quot;</ctx:OnBehalfOfUser>";
    assert!(body.contains(written), "{body}");
    assert!(with(&"\u{e6}".repeat(255)).is_ok());
    // The identifier of a call may have ten digits in a row by chance.
    assert!(with("01234567-0123-4012-8012-012345678901").is_ok());
    for wrong in [
        "0101010101",
        "for 010101-0101",
        "010101 0101",
        "a\nb",
        &"x".repeat(256),
    ] {
        let error = with(wrong).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Text);
        assert_eq!(error.element, "OnBehalfOfUser");
        assert!(!error.to_string().contains("0101"), "{error}");
    }
    let mut context = context();
    context.user_uuid = "secret".to_owned();
    let error = request(&Operation::GetAllFilters, &context).unwrap_err();
    assert_eq!(
        (error.kind, error.element),
        (RequestErrorKind::Uuid, "UserUUID")
    );
    assert!(!error.to_string().contains("secret"));
}
