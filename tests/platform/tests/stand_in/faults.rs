//! Every fault is met, and does what it says.

use std::time::{Duration, Instant};

use cprflow_platform::{Fault, Filter, Platform, Seen};

use crate::client::{Answer, Client, agent, files, platform, pnr};

const NOBODY: &str = "0101010101";

/// A client that waits so long.
fn client(platform: &Platform, patience: Duration) -> Client {
    let mut client = Client::new(platform);
    client.agent = agent(&platform.ca(), Some(files(platform.client())), patience);
    client
}

#[test]
fn every_fault_is_met_and_tells_whether_the_request_was_carried_out() {
    let place = platform(10);
    let platform = &place.platform;
    let agreement = &platform.agreements()[0];
    let filter = Filter::Pnr(NOBODY.to_owned());
    for (name, fault) in Fault::all() {
        platform.arm(&fault, 1);
        let patience = match fault {
            // These last as long as anybody waits.
            Fault::Silence { .. }
            | Fault::Drip { .. }
            | Fault::HandshakeStall
            | Fault::EndlessBody => Duration::from_secs(2),
            _ => Duration::from_secs(60),
        };
        let started = Instant::now();
        let answered = client(platform, patience).call("AddPNRSubscription", &pnr(NOBODY));
        let took = started.elapsed();
        check(&name, &fault, answered, took, patience);

        let is_applied = platform.filters(agreement).contains(&filter);
        match &platform.seen()[..] {
            [Seen::Connection(met)] => {
                assert_eq!(met, &fault, "{name}");
                assert!(!is_applied, "{name}");
            }
            [
                Seen::Call {
                    fault: Some(met),
                    is_applied: said,
                    ..
                },
            ] => {
                assert_eq!(met, &fault, "{name}");
                assert_eq!(*said, is_applied, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(platform.disarm(), 0, "{name}");
        // What comes after meets no fault.
        let after = client(platform, Duration::from_secs(10));
        let expected = if is_applied {
            "REMOVED"
        } else {
            "NON_EXISTING_PNR"
        };
        assert_eq!(after.remove_pnr(NOBODY), expected, "{name}");
        platform.seen();
    }
}

/// What the client sees of a fault.
fn check(
    name: &str,
    fault: &Fault,
    answered: Result<Answer, ureq::Error>,
    took: Duration,
    patience: Duration,
) {
    let answer = match fault {
        Fault::ResetBeforeApplying | Fault::ResetAfterApplying | Fault::HandshakeReset => {
            answered.unwrap_err();
            assert!(took < patience, "{name}");
            return;
        }
        Fault::Silence { .. } | Fault::Drip { .. } | Fault::HandshakeStall => {
            answered.unwrap_err();
            assert!(took >= patience, "{name}");
            return;
        }
        Fault::EndlessBody | Fault::HalfResponse { is_announced: true } => {
            answered.unwrap_err();
            return;
        }
        _ => answered.unwrap_or_else(|error| panic!("{name}: {error}")),
    };
    // Not for every answer: some are made to take a parser's time.
    let is_xml = || roxmltree::Document::parse(&answer.body).is_ok();
    match fault {
        Fault::Refusal { error, .. } => {
            assert_eq!(
                (answer.status, answer.text("faultcode").as_str()),
                (500, "soap:Server")
            );
            let detail = answer.texts("ErrorCode");
            assert_eq!(
                name.contains("typed") || name.contains("after"),
                detail == [error.code()]
            );
            let said = [detail.concat(), answer.text("faultstring")].concat();
            assert!(
                said.contains(error.code()) && said.contains(error.text()),
                "{name}"
            );
            assert_eq!(said.contains("CallUUID: "), name.contains("text-block"));
        }
        Fault::Told { code, text, detail } => {
            assert_eq!(answer.text("faultcode"), format!("soap:{code}"), "{name}");
            assert_eq!(answer.text("faultstring"), *text, "{name}");
            assert_eq!(answer.texts("detail").first(), detail.as_ref(), "{name}");
        }
        Fault::PersonNumberInFault => assert!(answer.text("faultstring").contains(NOBODY)),
        Fault::FaultWithStatus200 => {
            assert_eq!((answer.status, answer.texts("Fault").len()), (200, 1));
        }
        Fault::Status {
            status, has_page, ..
        } => {
            assert_eq!(answer.status, *status, "{name}");
            assert_eq!(answer.body.is_empty(), !has_page, "{name}");
            assert!(!is_xml(), "{name}");
        }
        Fault::Redirect => assert_eq!(answer.status, 307),
        Fault::Rubbish | Fault::DoubleRoot | Fault::HalfResponse { .. } => {
            assert!(answer.status == 200 && !is_xml(), "{name}");
        }
        Fault::UnknownResult => assert_eq!(answer.text("Result"), "POSTPONED"),
        Fault::WrongOperation => assert_eq!(answer.texts("AddSomethingElseResponse").len(), 1),
        Fault::WrongNamespace => assert!(answer.body.contains("/Other/9/")),
        Fault::Prefixes(_) | Fault::UnreadableFilters | Fault::NotCarriedOut => {
            assert_eq!(answer.text("Result"), "ADDED");
        }
        Fault::HugeBody { bytes } => {
            assert_eq!(
                (answer.body.len(), answer.text("Result").as_str()),
                (*bytes, "ADDED")
            );
        }
        Fault::EntityBomb | Fault::ExternalEntity => {
            assert!(answer.body.contains("<!DOCTYPE") && answer.body.len() < 4096);
        }
        Fault::DeepNesting { levels } => {
            assert_eq!(answer.body.matches("<a>").count(), *levels);
        }
        Fault::ManyAttributes { count } => {
            assert_eq!(answer.body.matches("=\"\"").count(), *count);
        }
        other => panic!("{other:?} should not be answered"),
    }
}

#[test]
fn faults_come_in_the_order_in_which_they_were_armed() {
    let place = platform(10);
    let client = Client::new(&place.platform);
    place
        .platform
        .arm(&Fault::named("status-503-empty").unwrap(), 2);
    place.platform.arm(&Fault::UnknownResult, 1);
    let statuses: Vec<_> = (0..4)
        .map(|_| client.call("AddNoFilterSubscription", "").unwrap().status)
        .collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
    // Some are for changes alone.
    place.platform.arm_at_changes(&Fault::UnknownResult, 1);
    let looked = client.call("GetAllFilters", "").unwrap();
    assert!(!looked.body.contains("POSTPONED"));
    let added = client.call("AddNoFilterSubscription", "").unwrap();
    assert_eq!(added.text("Result"), "POSTPONED");
    // A request that breaks the contract uses up no fault.
    place.platform.arm(&Fault::UnknownResult, 3);
    assert_eq!(client.post("rubbish").unwrap().status, 500);
    assert_eq!(place.platform.disarm(), 3);
}
