//! Components whose calls do not end. `docs/hostile.md` has a line for each of these tests.

use std::time::Duration;

use cprflow::soap_messages::Operation;
use cprflow::{ComponentError, Error, Limits, Scan};
use cprflow_tests::hostile_guest::{
    CPU_LIMIT, assert_stopped, beside_healthy_scan, component, component_error, connector,
    hand_made, refused, scan, short_deadline, stopped_beside_healthy_scan,
};

const DEADLINE: Duration = Duration::from_millis(100);

#[test]
fn hostile_loop_in_the_catalog() {
    let bytes = component("spin-tables");
    is_late(&stopped_beside_healthy_scan(|| {
        refused(&bytes, short_deadline())
    }));
}

#[test]
fn hostile_loop_in_the_event_classes() {
    let bytes = component("spin-event-classes");
    is_late(&stopped_beside_healthy_scan(|| {
        refused(&bytes, short_deadline())
    }));
}

#[test]
fn hostile_loop_in_the_reference_tables() {
    let connector = connector("spin-code-tables");
    is_late(&stopped_beside_healthy_scan(|| {
        component_error(connector.code_tables_within(short_deadline()))
    }));
}

#[test]
fn hostile_loop_in_open() {
    is_late(&scan_of("spin-open", b"x"));
}

#[test]
fn hostile_loop_in_push() {
    is_late(&scan_of("spin-push", b"x"));
}

#[test]
fn hostile_loop_in_next() {
    is_late(&scan_of("spin-next", b"x"));
}

#[test]
fn hostile_loop_in_finish() {
    is_late(&scan_of("spin-finish", b""));
}

#[test]
fn hostile_loop_in_summary() {
    let connector = connector("spin-summary");
    let error = stopped_beside_healthy_scan(|| {
        let scan = Scan::new(&connector).limits(short_deadline());
        let mut reader = scan.read_all(&b""[..]).unwrap();
        assert!(reader.next().is_none());
        component_error(reader.summary())
    });
    is_late(&error);
}

#[test]
fn hostile_loop_in_delivery() {
    let connector = connector("spin-delivery");
    let error = stopped_beside_healthy_scan(|| {
        component_error(connector.read_metadata_within(short_deadline(), b"<a/>"))
    });
    is_late(&error);
}

#[test]
fn hostile_loop_in_subscription() {
    let connector = connector("spin-subscription");
    let error = stopped_beside_healthy_scan(|| {
        let operation = Operation::GetAllFilters;
        component_error(connector.subscription_reply_within(
            short_deadline(),
            &operation,
            200,
            b"<a/>",
        ))
    });
    is_late(&error);
}

/// The loop runs while the instance is created.
#[test]
fn hostile_loop_in_start() {
    let bytes = hand_made("(func $spin (loop $again (br $again))) (start $spin)");
    is_late(&stopped_beside_healthy_scan(|| {
        refused(&bytes, short_deadline())
    }));
}

/// The loop runs when the host passes bytes.
#[test]
fn hostile_loop_in_realloc() {
    is_late(&scan_of("spin-realloc", &[b'x'; 12_345]));
}

/// The loop runs after the host has taken a result.
#[test]
fn hostile_loop_in_post_return() {
    is_late(&scan_of("spin-post-return", b"alpha 1\n"));
}

/// The component drops a resource of its own, and the loop is in its destructor.
#[test]
fn hostile_loop_in_a_destructor_of_its_own() {
    is_late(&scan_of("destructor", b"x"));
}

/// The scan ends with its instance, so its destructor is never called.
#[test]
fn hostile_loop_in_the_destructor_of_the_scan() {
    let connector = connector("destructor-spin");
    let ended =
        stopped_beside_healthy_scan(|| scan(Scan::new(&connector).limits(short_deadline()), b""));
    assert!(ended.unwrap().is_empty());
}

#[test]
fn hostile_loop_that_allocates() {
    is_late(&scan_of("spin-allocating", b"x"));
}

/// Each call keeps the deadline, and the calls never end.
#[test]
fn hostile_slow_calls_without_end() {
    let connector = connector("dawdle");
    let total = Duration::from_millis(300);
    let error = stopped_beside_healthy_scan(|| {
        let scan = Scan::new(&connector).limits(Limits::new().total(total));
        let batches = scan.block_bytes(1).read_all(std::io::repeat(b'x'));
        component_error(batches.unwrap().collect::<Result<Vec<_>, _>>())
    });
    assert!(
        matches!(error, ComponentError::Time { limit } if limit == total),
        "{error:?}"
    );
}

/// Ten loops run at the same time, and each is stopped.
#[test]
fn hostile_loops_all_at_once() {
    let connector = connector("spin-push");
    stopped_beside_healthy_scan(|| {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                let scan_one =
                    || component_error(scan(Scan::new(&connector).limits(short_deadline()), b"x"));
                scope.spawn(move || is_late(&assert_stopped(CPU_LIMIT, scan_one)));
            }
        });
    });
}

/// The error names the tenant and the limit.
#[test]
fn hostile_loop_of_a_named_tenant() {
    let connector = connector("spin-push");
    let scan_one = || {
        scan(
            Scan::new(&connector)
                .limits(short_deadline())
                .tenant("roskilde"),
            b"x",
        )
    };
    let error = beside_healthy_scan(scan_one).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tenant roskilde: the component was stopped: a call took longer than 100ms. Raise this limit if it was \
         configured. Otherwise try again when the machine has less to do. If that does not help, this is a bug in the \
         component: report it with this message"
    );
    let Error::Component(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.tenant(), Some("roskilde"));
    is_late(error.cause());
}

fn scan_of(attack: &str, input: &[u8]) -> ComponentError {
    let connector = connector(attack);
    stopped_beside_healthy_scan(|| {
        component_error(scan(Scan::new(&connector).limits(short_deadline()), input))
    })
}

fn is_late(error: &ComponentError) {
    let is_late = matches!(error, ComponentError::Deadline { limit } if *limit == DEADLINE);
    assert!(is_late, "{error:?}");
}
