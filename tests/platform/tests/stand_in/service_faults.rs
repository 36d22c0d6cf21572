//! The effect of every service fault on the client and on the filters.

use std::time::{Duration, Instant};

use cprflow_platform::{Filter, Platform, ServiceEvent, ServiceFault};

use crate::client::{Answer, Client, agent, files, platform, pnr};

const UNUSED_PNR: &str = "0101010101";

/// Returns a client with this timeout.
fn client(platform: &Platform, timeout: Duration) -> Client {
    let mut client = Client::new(platform);
    client.agent = agent(&platform.ca(), Some(files(platform.client())), timeout);
    client
}

#[test]
fn every_fault_is_logged_with_whether_the_request_was_applied() {
    let test = platform(10);
    let platform = &test.platform;
    let agreement = &platform.agreements()[0];
    let filter = Filter::Pnr(UNUSED_PNR.to_owned());
    for (name, fault) in ServiceFault::all() {
        platform.arm(&fault, 1);
        let timeout = match fault {
            // These faults last until the client gives up.
            ServiceFault::Silence { .. }
            | ServiceFault::Drip { .. }
            | ServiceFault::HandshakeStall
            | ServiceFault::EndlessBody => Duration::from_secs(2),
            _ => Duration::from_secs(60),
        };
        let started = Instant::now();
        let answered = client(platform, timeout).call("AddPNRSubscription", &pnr(UNUSED_PNR));
        let took = started.elapsed();
        check(&name, &fault, answered, took, timeout);

        let is_applied = platform.filters(agreement).contains(&filter);
        match &platform.take_events()[..] {
            [ServiceEvent::ConnectionFault(met)] => {
                assert_eq!(met, &fault, "{name}");
                assert!(!is_applied, "{name}");
            }
            [
                ServiceEvent::Call {
                    fault: Some(met),
                    is_applied: logged,
                    ..
                },
            ] => {
                assert_eq!(met, &fault, "{name}");
                assert_eq!(*logged, is_applied, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(platform.disarm(), 0, "{name}");
        // The next request meets no fault.
        let after = client(platform, Duration::from_secs(10));
        let expected = if is_applied {
            "REMOVED"
        } else {
            "NON_EXISTING_PNR"
        };
        assert_eq!(after.remove_pnr(UNUSED_PNR), expected, "{name}");
        platform.take_events();
    }
}

/// Checks what the client receives for a fault.
fn check(
    name: &str,
    fault: &ServiceFault,
    answered: Result<Answer, ureq::Error>,
    took: Duration,
    timeout: Duration,
) {
    let answer = match fault {
        ServiceFault::ResetBeforeApplying
        | ServiceFault::ResetAfterApplying
        | ServiceFault::HandshakeReset => {
            answered.unwrap_err();
            assert!(took < timeout, "{name}");
            return;
        }
        ServiceFault::Silence { .. } | ServiceFault::Drip { .. } | ServiceFault::HandshakeStall => {
            answered.unwrap_err();
            assert!(took >= timeout, "{name}");
            return;
        }
        ServiceFault::EndlessBody | ServiceFault::HalfResponse { is_announced: true } => {
            answered.unwrap_err();
            return;
        }
        _ => answered.unwrap_or_else(|error| panic!("{name}: {error}")),
    };
    // Not called for every response, because some are made to slow down a parser.
    let is_xml = || roxmltree::Document::parse(&answer.body).is_ok();
    match fault {
        ServiceFault::DocumentedError { error, .. } => {
            assert_eq!(
                (answer.status, answer.text("faultcode").as_str()),
                (500, "soap:Server")
            );
            let detail = answer.texts("ErrorCode");
            assert_eq!(
                name.contains("typed") || name.contains("after"),
                detail == [error.code()]
            );
            let error_text = [detail.concat(), answer.text("faultstring")].concat();
            assert!(
                error_text.contains(error.code()) && error_text.contains(error.text()),
                "{name}"
            );
            assert_eq!(
                error_text.contains("CallUUID: "),
                name.contains("text-block")
            );
        }
        ServiceFault::SoapFault { code, text, detail } => {
            assert_eq!(answer.text("faultcode"), format!("soap:{code}"), "{name}");
            assert_eq!(answer.text("faultstring"), *text, "{name}");
            assert_eq!(answer.texts("detail").first(), detail.as_ref(), "{name}");
        }
        ServiceFault::PersonNumberInFault => {
            assert!(answer.text("faultstring").contains(UNUSED_PNR))
        }
        ServiceFault::FaultWithStatus200 => {
            assert_eq!((answer.status, answer.texts("Fault").len()), (200, 1));
        }
        ServiceFault::Status {
            status, has_page, ..
        } => {
            assert_eq!(answer.status, *status, "{name}");
            assert_eq!(answer.body.is_empty(), !has_page, "{name}");
            assert!(!is_xml(), "{name}");
        }
        ServiceFault::Redirect => assert_eq!(answer.status, 307),
        ServiceFault::Rubbish | ServiceFault::DoubleRoot | ServiceFault::HalfResponse { .. } => {
            assert!(answer.status == 200 && !is_xml(), "{name}");
        }
        ServiceFault::UnknownResult => assert_eq!(answer.text("Result"), "POSTPONED"),
        ServiceFault::WrongOperation => {
            assert_eq!(answer.texts("AddSomethingElseResponse").len(), 1)
        }
        ServiceFault::WrongNamespace => assert!(answer.body.contains("/Other/9/")),
        ServiceFault::Prefixes(_)
        | ServiceFault::UnreadableFilters
        | ServiceFault::NotCarriedOut => {
            assert_eq!(answer.text("Result"), "ADDED");
        }
        ServiceFault::HugeBody { bytes } => {
            assert_eq!(
                (answer.body.len(), answer.text("Result").as_str()),
                (*bytes, "ADDED")
            );
        }
        ServiceFault::EntityBomb | ServiceFault::ExternalEntity => {
            assert!(answer.body.contains("<!DOCTYPE") && answer.body.len() < 4096);
        }
        ServiceFault::DeepNesting { levels } => {
            assert_eq!(answer.body.matches("<a>").count(), *levels);
        }
        ServiceFault::ManyAttributes { count } => {
            assert_eq!(answer.body.matches("=\"\"").count(), *count);
        }
        other => panic!("{other:?} must not have a response"),
    }
}

#[test]
fn faults_occur_in_the_order_in_which_they_were_armed() {
    let test = platform(10);
    let client = Client::new(&test.platform);
    test.platform
        .arm(&ServiceFault::from_name("status-503-empty").unwrap(), 2);
    test.platform.arm(&ServiceFault::UnknownResult, 1);
    let statuses: Vec<_> = (0..4)
        .map(|_| client.call("AddNoFilterSubscription", "").unwrap().status)
        .collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
    // A fault can be armed for changes only.
    test.platform
        .arm_for_changes(&ServiceFault::UnknownResult, 1);
    let looked = client.call("GetAllFilters", "").unwrap();
    assert!(!looked.body.contains("POSTPONED"));
    let added = client.call("AddNoFilterSubscription", "").unwrap();
    assert_eq!(added.text("Result"), "POSTPONED");
    // A request that violates the contract uses up no fault.
    test.platform.arm(&ServiceFault::UnknownResult, 3);
    assert_eq!(client.post("rubbish").unwrap().status, 500);
    assert_eq!(test.platform.disarm(), 3);
}
