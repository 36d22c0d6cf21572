//! Components that violate a policy. `docs/hostile.md` has a line for each of these tests.
//!
//! The host cannot check whether rows belong to the selected persons, because it does not read records. It can only
//! compare the view with the policy.

use std::time::Duration;

use cprflow::{ComponentError, Connector, DeliveryReader, Error, LimitKind, Limits, Policy, Scan};
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component_error, connector, long_deadline, short_deadline,
    stopped_beside_healthy_scan, stopped_within,
};

const DEADLINE: Duration = Duration::from_millis(100);

/// The component that the other tests change is accepted unchanged.
#[test]
fn an_unchanged_selection_is_accepted() {
    let mut reader = select(&connector(""), long_deadline()).unwrap();
    assert!(reader.next().is_none());
    assert_eq!(reader.roster().unwrap(), Vec::<u8>::new());
}

#[test]
fn hostile_loop_in_view() {
    is_late("spin-view");
}

#[test]
fn hostile_loop_in_selection() {
    is_late("spin-selection");
}

#[test]
fn hostile_loop_in_a_push_of_the_selection() {
    is_late("spin-selection-push");
}

#[test]
fn hostile_loop_in_a_finish_of_the_selection() {
    is_late("spin-selection-finish");
}

#[test]
fn hostile_loop_in_the_roster() {
    // The calls before the attack must end within the deadline.
    let time = Duration::from_secs(1);
    let connector = connector("spin-roster");
    let error = stopped_within(time * 2, || {
        component_error(
            select(&connector, long_deadline().call(time))
                .unwrap()
                .roster(),
        )
    });
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == time),
        "{error:?}"
    );
}

#[test]
fn hostile_loop_in_the_persons_delivered() {
    let time = Duration::from_secs(1);
    let connector = connector("spin-delivered");
    let error = stopped_within(time * 2, || {
        component_error(
            select(&connector, long_deadline().call(time))
                .unwrap()
                .delivered_persons(),
        )
    });
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == time),
        "{error:?}"
    );
}

#[test]
fn hostile_roster_of_hundreds_of_megabytes() {
    let limits = Limits::new().memory(1 << 30);
    let connector = connector("huge-roster");
    let error =
        beside_healthy_scan(|| component_error(select(&connector, limits).unwrap().roster()));
    assert!(
        matches!(
            error,
            ComponentError::Limit {
                limit: LimitKind::BatchBytes,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn hostile_view_with_an_invented_table() {
    misbehaves("view-own-table", "a table that its catalog lacks");
}

#[test]
fn hostile_view_with_an_invented_column() {
    misbehaves("view-own-column", "a column that its catalog lacks");
}

#[test]
fn hostile_view_with_a_column_that_was_not_requested() {
    misbehaves("view-protected", "that the policy does not ask for");
}

#[test]
fn hostile_view_of_more_columns_than_a_tenant_may_have() {
    let connector = connector("");
    let error =
        beside_healthy_scan(|| component_error(select(&connector, long_deadline().columns(3))));
    assert!(
        matches!(
            error,
            ComponentError::Limit {
                limit: LimitKind::Columns,
                at_most: 3,
            }
        ),
        "{error:?}"
    );
    assert!(select(&connector, long_deadline().columns(4)).is_ok());
}

#[test]
fn hostile_view_of_a_table_twice() {
    misbehaves("view-table-twice", "a table twice");
}

#[test]
fn hostile_view_without_leavers() {
    misbehaves("view-without-leavers", "lacks out_of_scope");
}

#[test]
fn hostile_view_of_a_hundred_thousand_tables() {
    let connector = connector("view-million");
    let error = beside_healthy_scan(|| component_error(select(&connector, Limits::new())));
    assert!(
        matches!(
            error,
            ComponentError::Limit {
                limit: LimitKind::AnswerBytes,
                ..
            }
        ),
        "{error:?}"
    );
}

/// The error must name the tenant of the scan.
#[test]
fn hostile_selection_of_a_named_tenant() {
    let connector = connector("spin-selection-push");
    let scan = Scan::new(&connector)
        .limits(short_deadline())
        .tenant("roskilde");
    let scan = scan.policy(&Policy::default());
    let error =
        stopped_beside_healthy_scan(|| component_error(scan.read_with_policy(|| Ok(&b"x"[..]))));
    assert_eq!(error.tenant(), Some("roskilde"));
    assert!(
        matches!(error.cause(), ComponentError::Deadline { .. }),
        "{error:?}"
    );
}

fn select(connector: &Connector, limits: Limits) -> Result<DeliveryReader<&'static [u8]>, Error> {
    let scan = Scan::new(connector)
        .limits(limits)
        .policy(&Policy::default());
    scan.read_with_policy(|| Ok(&b"x"[..]))
}

fn is_late(attack: &str) {
    let connector = connector(attack);
    let error =
        stopped_beside_healthy_scan(|| component_error(select(&connector, short_deadline())));
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == DEADLINE),
        "{attack}: {error:?}"
    );
}

fn misbehaves(attack: &str, how: &str) {
    let connector = connector(attack);
    let error = beside_healthy_scan(|| component_error(select(&connector, long_deadline())));
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    assert!(error.to_string().contains(how), "{error}");
}
