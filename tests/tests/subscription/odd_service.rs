//! `cprflow subscription` against a service that writes its answers in unusual ways.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;

use cprflow_tests::hostile_server::HostileServer;
use cprflow_tests::subscription_run::SubscriptionRun;

/// How a service writes its answers.
#[derive(Clone, Copy)]
struct Habits {
    headers: &'static str,
    added: &'static str,
    removed_all: &'static str,
}

/// Starts a service with municipality filters only, and a configuration for it.
fn start(habits: Habits) -> (SubscriptionRun, HostileServer) {
    let test = SubscriptionRun::new("municipality_codes = [\"0265\"]");
    let codes = Mutex::new(BTreeSet::new());
    let directory = test.path("odd");
    fs::create_dir(&directory).unwrap();
    let (server, ca) = HostileServer::answering(&directory, move |request| {
        let mut codes = codes.lock().unwrap();
        let code = request
            .split("MunicipalityCode>")
            .nth(1)
            .and_then(|rest| rest.split('<').next());
        let (operation, content) = if request.contains("GetAllFilters") {
            // A number may have a sign and leading zeros.
            let codes = codes.iter();
            let codes =
                codes.map(|code| format!("<s:MunicipalityCode>+{code}</s:MunicipalityCode>"));
            ("GetAllFilters", codes.collect::<String>())
        } else if request.contains("AddMunicipalityCode") {
            codes.insert(code.unwrap().to_owned());
            ("AddMunicipalityCodeSubscription", result(habits.added))
        } else if request.contains("RemoveMunicipalityCode") {
            codes.remove(code.unwrap());
            ("RemoveMunicipalityCodeSubscription", result("Removed"))
        } else {
            codes.clear();
            ("RemoveAllFilters", result(habits.removed_all))
        };
        let operation = operation_of(request).unwrap_or(operation.to_owned());
        let document = format!(
            "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/' \
             xmlns:s='http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/'><e:Body>\
             <s:{operation}Response>{content}</s:{operation}Response></e:Body></e:Envelope>"
        );
        let body = match habits.headers.contains("multipart") {
            true => format!("--b\r\nContent-Type: text/xml\r\n\r\n{document}\r\n--b--\r\n"),
            false => document,
        };
        (habits.headers, body.into_bytes())
    });
    let config = test.path("cprflow.toml");
    let text = fs::read_to_string(&config).unwrap();
    let url = format!("https://127.0.0.1:{}/", server.port());
    let text = text
        .replace(&format!("{:?}", test.platform.url()), &format!("{url:?}"))
        .replace(&format!("{:?}", test.platform.ca()), &format!("{ca:?}"));
    fs::write(config, text).unwrap();
    (test, server)
}

/// Returns the name of the first element in the body of a request.
fn operation_of(request: &str) -> Option<String> {
    let (_, body) = request.split_once("Body>")?;
    let (_, name) = body.split_once('<')?;
    let name = name.split([' ', '>', '/']).next()?;
    Some(name.rsplit(':').next()?.to_owned())
}

fn result(word: &str) -> String {
    format!("<s:Result>{word}</s:Result>")
}

#[test]
fn every_notation_of_a_result_is_understood() {
    for (added, removed_all) in [("Added", "Removed"), ("OK", "Done"), ("", "")] {
        let (test, _server) = start(Habits {
            headers: "Content-Type: text/xml\r\n",
            added,
            removed_all,
        });
        let said = test.ok(&["add", "municipality", "0265", "--yes"]);
        assert!(said.contains("1 added"), "{added}: {said}");
        let said = test.ok(&["list"]);
        assert!(said.contains("0265 Roskilde"), "{added}: {said}");
        assert!(!said.contains("cannot read"), "{added}: {said}");
        // The removal has no usual result. The filters are added again all the same.
        let said = test.ok(&["reorder", "--yes"]);
        assert!(said.contains("1 added"), "{added}: {said}");
        let said = test.ok(&["remove", "municipality", "0265", "--yes"]);
        assert!(said.contains("1 removed"), "{added}: {said}");
        assert!(test.ok(&["list"]).contains("nothing"), "{added}");
    }
}

#[test]
fn answers_in_multipart_bodies_are_read() {
    let (test, _server) = start(Habits {
        headers: "Content-Type: multipart/related; type=\"application/xop+xml\"; boundary=b\r\n",
        added: "ADDED",
        removed_all: "REMOVED",
    });
    let said = test.ok(&["add", "municipality", "0265", "--yes"]);
    assert!(said.contains("1 added"), "{said}");
    assert!(test.ok(&["list"]).contains("0265 Roskilde"));
}
