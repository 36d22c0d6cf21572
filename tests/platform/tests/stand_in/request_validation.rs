//! Requests that the validation rejects and accepts.

use cprflow_platform::ServiceEvent;

use crate::client::{Client, context, envelope, platform, pnr};

const UNUSED_PNR: &str = "0101010101";

#[test]
fn requests_that_violate_the_contract_are_rejected_and_change_nothing() {
    let test = platform(10);
    let client = Client::new(&test.platform);
    let context = context(&client.agreement);
    let valid = envelope("AddPNRSubscription", &context, &pnr(UNUSED_PNR));
    let upper = context.replace(
        &client.agreement.uuid,
        &client.agreement.uuid.to_uppercase(),
    );
    let (start, end) = ("<c:InvocationContext>", "</c:InvocationContext>");
    let with = |more: &str| context.replace(end, &format!("{more}{end}"));
    let pnr_call = |context: &str| envelope("AddPNRSubscription", context, &pnr(UNUSED_PNR));
    let municipality = |code: &str| {
        let argument = format!("<s:MunicipalityCode>{code}</s:MunicipalityCode>");
        envelope("AddMunicipalityCodeSubscription", &context, &argument)
    };
    let body = &valid[valid.find("<e:Body>").unwrap()..valid.find("</e:Envelope>").unwrap()];
    for (what, request) in [
        ("not well-formed", valid.replace("</e:Body>", "")),
        ("document type", valid.replace("?>", "?><!DOCTYPE x>")),
        (
            "SOAP 1.2",
            valid.replace(
                "schemas.xmlsoap.org/soap/envelope/",
                "www.w3.org/2003/05/soap-envelope",
            ),
        ),
        ("two bodies", valid.replace(body, &body.repeat(2))),
        (
            "header after body",
            valid.replace("</e:Envelope>", "<e:Header/></e:Envelope>"),
        ),
        (
            "two calls",
            valid.replace("</e:Body>", "<s:GetAllFilters/></e:Body>"),
        ),
        ("empty body", valid.replace(&body[8..body.len() - 9], "")),
        ("text in the body", valid.replace("<e:Body>", "<e:Body>x")),
        (
            "unknown operation",
            valid.replace("AddPNRSubscription", "AddPersonSubscription"),
        ),
        (
            "no subscription",
            valid.replace("AddPNRSubscription", "AddPNR"),
        ),
        (
            "wrong namespace of the call",
            valid.replace("CprSubscriptionService/1/", "CprSubscriptionService/2/"),
        ),
        ("wrong namespace of PNR", valid.replace("p:PNR", "s:PNR")),
        ("context in the namespace of PNR", valid.replace("c:", "p:")),
        (
            "argument before the context",
            envelope("AddPNRSubscription", &pnr(UNUSED_PNR), &context),
        ),
        (
            "two arguments",
            valid.replace("</p:PNR>", "</p:PNR><p:PNR>0202020202</p:PNR>"),
        ),
        ("no argument", envelope("AddPNRSubscription", &context, "")),
        (
            "an argument too many",
            envelope("GetAllFilters", &context, &pnr(UNUSED_PNR)),
        ),
        (
            "no context",
            envelope("AddPNRSubscription", "", &pnr(UNUSED_PNR)),
        ),
        ("upper case", pnr_call(&upper)),
        ("another service", valid.replace("9cdccc2f", "9cdccc2e")),
        (
            "no user",
            pnr_call(&context.replace(
                &format!("<c:UserUUID>{}</c:UserUUID>", client.agreement.user),
                "",
            )),
        ),
        (
            "unknown child",
            pnr_call(&with("<c:Something>x</c:Something>")),
        ),
        (
            "twice",
            pnr_call(&with("<c:AccountingInfo>x</c:AccountingInfo>").replace(
                start,
                &format!("{start}<c:AccountingInfo>y</c:AccountingInfo>"),
            )),
        ),
        (
            "too long",
            pnr_call(&with(&format!(
                "<c:OnBehalfOfUser>{}</c:OnBehalfOfUser>",
                "x".repeat(256)
            ))),
        ),
        (
            "a number in free text",
            pnr_call(&with(
                "<c:OnBehalfOfUser>for 010101-0101</c:OnBehalfOfUser>",
            )),
        ),
        ("nine digits", valid.replace(UNUSED_PNR, "010101010")),
        ("a hyphen", valid.replace(UNUSED_PNR, "010101-0101")),
        ("a space", valid.replace(UNUSED_PNR, "0101010101 ")),
        ("five digits", municipality("08510")),
        ("negative", municipality("-1")),
        ("no digits", municipality("x")),
        (
            "unknown group",
            envelope(
                "RemoveAll",
                &context,
                "<s:FilterGroup>ChangeCode</s:FilterGroup>",
            ),
        ),
        (
            "lower-case event",
            envelope(
                "AddChangeCodeSubscription",
                &context,
                "<s:ChangeCode>a01</s:ChangeCode>",
            ),
        ),
        (
            "ends first",
            envelope(
                "AddAgeRangeSubscription",
                &context,
                "<s:AgeRange><s:EndAge>3</s:EndAge><s:StartAge>1</s:StartAge></s:AgeRange>",
            ),
        ),
        (
            "reversed",
            envelope(
                "AddAgeRangeSubscription",
                &context,
                "<s:AgeRange><s:StartAge>3</s:StartAge><s:EndAge>1</s:EndAge></s:AgeRange>",
            ),
        ),
    ] {
        assert_ne!(request, valid, "{what}");
        let answer = client.post(&request).unwrap();
        assert_eq!(answer.status, 500, "{what}: {}", answer.body);
        let code = answer.text("faultcode");
        let is_parameter = ["negative", "reversed"].contains(&what);
        let expected = if is_parameter {
            "soap:Server"
        } else {
            "soap:Client"
        };
        assert_eq!(code, expected, "{what}");
        assert!(!answer.body.contains(UNUSED_PNR), "{what}");
        let seen = test.platform.take_events();
        assert!(
            matches!(&seen[..], [ServiceEvent::ContractViolation(_)]),
            "{what}: {seen:?}"
        );
    }
    let xml = ("Content-Type", "text/xml; charset=utf-8");
    let action = ("SOAPAction", "\"\"");
    for headers in [
        vec![xml],
        vec![xml, ("SOAPAction", "AddPNRSubscription")],
        vec![("Content-Type", "application/soap+xml"), action],
        vec![("Content-Type", "text/xml; charset=iso-8859-1"), action],
    ] {
        let answer = client.post_with(&headers, &valid).unwrap();
        assert_eq!(
            (answer.status, answer.text("faultcode")),
            (500, "soap:Client".to_owned())
        );
    }
    let elsewhere = client.url.replace("/1/", "/2/");
    let answer = client.agent.post(&elsewhere).send(&valid).unwrap();
    assert_eq!(answer.status().as_u16(), 404);
    assert_eq!(
        client
            .agent
            .get(&client.url)
            .call()
            .unwrap()
            .status()
            .as_u16(),
        405
    );
    assert!(test.platform.filters(&client.agreement).is_empty());

    // The contract allows the children of the invocation context in any order.
    let anywhere = context.replace(
        start,
        &format!(
            "{start}<c:CallersServiceCallIdentifier>{}</c:CallersServiceCallIdentifier>",
            client.agreement.uuid
        ),
    );
    let answer = client.post(&pnr_call(&anywhere)).unwrap();
    assert_eq!(answer.text("Result"), "ADDED");
}
