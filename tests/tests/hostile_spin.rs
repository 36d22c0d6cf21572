//! Components that do not come back. `docs/hostile.md` has a line for each of these tests.

use std::time::Duration;

use cprflow::subscription::Operation;
use cprflow::{ComponentError, Error, Limits, Scan};
use cprflow_tests::hostile_guest::{
    beside, component, connector, ended, hand_made, hurried, refused, scan, soon_beside,
};

const DEADLINE: Duration = Duration::from_millis(100);

#[test]
fn hostile_loop_in_the_catalog() {
    let bytes = component("spin-tables");
    is_late(&soon_beside(|| refused(&bytes, hurried())));
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
    let error = soon_beside(|| {
        let scan = Scan::new(&connector).limits(hurried());
        let mut reader = scan.read_all(&b""[..]).unwrap();
        assert!(reader.next().is_none());
        ended(reader.summary())
    });
    is_late(&error);
}

#[test]
fn hostile_loop_in_delivery() {
    let connector = connector("spin-delivery");
    let error = soon_beside(|| ended(connector.read_metadata_within(hurried(), b"<a/>")));
    is_late(&error);
}

#[test]
fn hostile_loop_in_subscription() {
    let connector = connector("spin-subscription");
    let error = soon_beside(|| {
        let operation = Operation::GetAllFilters;
        ended(connector.subscription_reply_within(hurried(), &operation, 200, b"<a/>"))
    });
    is_late(&error);
}

/// It runs while the instance is made.
#[test]
fn hostile_loop_in_start() {
    let bytes = hand_made("(func $spin (loop $again (br $again))) (start $spin)");
    is_late(&soon_beside(|| refused(&bytes, hurried())));
}

/// It runs when the host hands bytes over.
#[test]
fn hostile_loop_in_realloc() {
    is_late(&scan_of("spin-realloc", &[b'x'; 12_345]));
}

/// It runs when the host has taken an answer.
#[test]
fn hostile_loop_in_post_return() {
    is_late(&scan_of("spin-post-return", b"alpha 1\n"));
}

/// The component lets go of a resource of its own, and does not come back from it.
#[test]
fn hostile_loop_in_a_destructor_of_its_own() {
    is_late(&scan_of("destructor", b"x"));
}

/// The host's own resource goes with its instance: whatever its destructor would do, it is never asked.
#[test]
fn hostile_loop_in_the_destructor_of_the_scan() {
    let connector = connector("destructor-spin");
    let ended = soon_beside(|| scan(Scan::new(&connector).limits(hurried()), b""));
    assert!(ended.unwrap().is_empty());
}

#[test]
fn hostile_loop_that_allocates() {
    is_late(&scan_of("spin-allocating", b"x"));
}

/// No call is late, and there is no end to them.
#[test]
fn hostile_calls_that_are_slow_for_ever() {
    let connector = connector("dawdle");
    let total = Duration::from_millis(300);
    let error = soon_beside(|| {
        let scan = Scan::new(&connector).limits(Limits::new().total(total));
        let batches = scan.block_bytes(1).read_all(std::io::repeat(b'x'));
        ended(batches.unwrap().collect::<Result<Vec<_>, _>>())
    });
    assert!(
        matches!(error, ComponentError::Time { limit } if limit == total),
        "{error:?}"
    );
}

/// Ten at once, on a machine of few cores, each by its deadline.
#[test]
fn hostile_loops_all_at_once() {
    let connector = connector("spin-push");
    soon_beside(|| {
        std::thread::scope(|scope| {
            for _ in 0..10 {
                let scan_one = || ended(scan(Scan::new(&connector).limits(hurried()), b"x"));
                scope.spawn(move || is_late(&scan_one()));
            }
        });
    });
}

/// Who was being served is said, and what the limit was.
#[test]
fn hostile_loop_of_a_tenant_who_has_a_name() {
    let connector = connector("spin-push");
    let scan_one = || {
        scan(
            Scan::new(&connector).limits(hurried()).tenant("roskilde"),
            b"x",
        )
    };
    let error = beside(scan_one).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tenant roskilde: the component was stopped: a call took longer than 100ms"
    );
    let Error::Component(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.tenant(), Some("roskilde"));
    is_late(error.cause());
}

fn scan_of(attack: &str, input: &[u8]) -> ComponentError {
    let connector = connector(attack);
    soon_beside(|| ended(scan(Scan::new(&connector).limits(hurried()), input)))
}

fn is_late(error: &ComponentError) {
    let is_late = matches!(error, ComponentError::Deadline { limit } if *limit == DEADLINE);
    assert!(is_late, "{error:?}");
}
