//! What the judge refuses, and what it lets pass.

use cprflow_platform::Seen;

use crate::client::{Client, context, envelope, platform, pnr};

const NOBODY: &str = "0101010101";

#[test]
fn requests_that_break_the_contract_are_refused_and_change_nothing() {
    let place = platform(10);
    let client = Client::new(&place.platform);
    let context = context(&client.agreement);
    let right = envelope("AddPNRSubscription", &context, &pnr(NOBODY));
    let upper = context.replace(
        &client.agreement.uuid,
        &client.agreement.uuid.to_uppercase(),
    );
    let (start, end) = ("<c:InvocationContext>", "</c:InvocationContext>");
    let with = |more: &str| context.replace(end, &format!("{more}{end}"));
    let pnr_call = |context: &str| envelope("AddPNRSubscription", context, &pnr(NOBODY));
    let municipality = |code: &str| {
        let argument = format!("<s:MunicipalityCode>{code}</s:MunicipalityCode>");
        envelope("AddMunicipalityCodeSubscription", &context, &argument)
    };
    let body = &right[right.find("<e:Body>").unwrap()..right.find("</e:Envelope>").unwrap()];
    for (what, request) in [
        ("not well-formed", right.replace("</e:Body>", "")),
        ("document type", right.replace("?>", "?><!DOCTYPE x>")),
        (
            "SOAP 1.2",
            right.replace(
                "schemas.xmlsoap.org/soap/envelope/",
                "www.w3.org/2003/05/soap-envelope",
            ),
        ),
        ("two bodies", right.replace(body, &body.repeat(2))),
        (
            "header after body",
            right.replace("</e:Envelope>", "<e:Header/></e:Envelope>"),
        ),
        (
            "two calls",
            right.replace("</e:Body>", "<s:GetAllFilters/></e:Body>"),
        ),
        ("empty body", right.replace(&body[8..body.len() - 9], "")),
        ("text in the body", right.replace("<e:Body>", "<e:Body>x")),
        (
            "unknown operation",
            right.replace("AddPNRSubscription", "AddPersonSubscription"),
        ),
        (
            "no subscription",
            right.replace("AddPNRSubscription", "AddPNR"),
        ),
        (
            "wrong namespace of the call",
            right.replace("CprSubscriptionService/1/", "CprSubscriptionService/2/"),
        ),
        ("wrong namespace of PNR", right.replace("p:PNR", "s:PNR")),
        ("context in the namespace of PNR", right.replace("c:", "p:")),
        (
            "argument before the context",
            envelope("AddPNRSubscription", &pnr(NOBODY), &context),
        ),
        (
            "two arguments",
            right.replace("</p:PNR>", "</p:PNR><p:PNR>0202020202</p:PNR>"),
        ),
        ("no argument", envelope("AddPNRSubscription", &context, "")),
        (
            "an argument too many",
            envelope("GetAllFilters", &context, &pnr(NOBODY)),
        ),
        (
            "no context",
            envelope("AddPNRSubscription", "", &pnr(NOBODY)),
        ),
        ("upper case", pnr_call(&upper)),
        ("another service", right.replace("9cdccc2f", "9cdccc2e")),
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
        ("nine digits", right.replace(NOBODY, "010101010")),
        ("a hyphen", right.replace(NOBODY, "010101-0101")),
        ("a space", right.replace(NOBODY, "0101010101 ")),
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
        assert_ne!(request, right, "{what}");
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
        assert!(!answer.body.contains(NOBODY), "{what}");
        let seen = place.platform.seen();
        assert!(matches!(&seen[..], [Seen::Breach(_)]), "{what}: {seen:?}");
    }
    let xml = ("Content-Type", "text/xml; charset=utf-8");
    let action = ("SOAPAction", "\"\"");
    for headers in [
        vec![xml],
        vec![xml, ("SOAPAction", "AddPNRSubscription")],
        vec![("Content-Type", "application/soap+xml"), action],
        vec![("Content-Type", "text/xml; charset=iso-8859-1"), action],
    ] {
        let answer = client.post_with(&headers, &right).unwrap();
        assert_eq!(
            (answer.status, answer.text("faultcode")),
            (500, "soap:Client".to_owned())
        );
    }
    let elsewhere = client.url.replace("/1/", "/2/");
    let answer = client.agent.post(&elsewhere).send(&right).unwrap();
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
    assert!(place.platform.filters(&client.agreement).is_empty());

    // What the contract leaves free.
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
