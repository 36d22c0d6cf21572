//! Components that are asked to keep to a policy and do not. `docs/hostile.md` has a line for each of these tests.
//!
//! Whether rows are those of the persons whom the policy means, nobody but the component can tell: a host that could
//! would have to read the records. What can be held against the policy from without is the view.

use std::time::Duration;

use cprflow::{ComponentError, Connector, DeliveryReader, Error, LimitKind, Limits, Policy, Scan};
use cprflow_tests::hostile_guest::{beside, connector, ended, hurried, limits, soon_beside};

const DEADLINE: Duration = Duration::from_millis(100);

/// What all the others change one thing of keeps to a policy that lets all of it through.
#[test]
fn a_sound_selection_is_made() {
    let mut reader = select(&connector(""), limits()).unwrap();
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
    // What comes before must not be late.
    let time = Duration::from_secs(1);
    let connector = connector("spin-roster");
    let error = soon_beside(|| ended(select(&connector, limits().call(time)).unwrap().roster()));
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == time),
        "{error:?}"
    );
}

#[test]
fn hostile_loop_in_the_persons_delivered() {
    let time = Duration::from_secs(1);
    let connector = connector("spin-delivered");
    let error = soon_beside(|| ended(select(&connector, limits().call(time)).unwrap().delivered()));
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == time),
        "{error:?}"
    );
}

#[test]
fn hostile_roster_of_hundreds_of_megabytes() {
    let limits = Limits::new().memory(1 << 30);
    let connector = connector("huge-roster");
    let error = beside(|| ended(select(&connector, limits).unwrap().roster()));
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
fn hostile_view_of_a_table_of_its_own() {
    misbehaves("view-own-table", "a table that its catalog lacks");
}

#[test]
fn hostile_view_of_a_column_of_its_own() {
    misbehaves("view-own-column", "a column that its catalog lacks");
}

#[test]
fn hostile_view_with_a_mark_that_nobody_asked_for() {
    misbehaves("view-protected", "that does not belong");
}

#[test]
fn hostile_view_of_more_columns_than_a_tenant_may_have() {
    let connector = connector("");
    let error = beside(|| ended(select(&connector, limits().columns(3))));
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
    assert!(select(&connector, limits().columns(4)).is_ok());
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
    let error = beside(|| ended(select(&connector, Limits::new())));
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

/// Whoever serves many must know whose scan it was.
#[test]
fn hostile_selection_of_a_tenant_who_has_a_name() {
    let connector = connector("spin-selection-push");
    let scan = Scan::new(&connector).limits(hurried()).tenant("roskilde");
    let scan = scan.policy(&Policy::default());
    let error = soon_beside(|| ended(scan.read_selected(|| Ok(&b"x"[..]))));
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
    scan.read_selected(|| Ok(&b"x"[..]))
}

fn is_late(attack: &str) {
    let connector = connector(attack);
    let error = soon_beside(|| ended(select(&connector, hurried())));
    assert!(
        matches!(error, ComponentError::Deadline { limit } if limit == DEADLINE),
        "{attack}: {error:?}"
    );
}

fn misbehaves(attack: &str, how: &str) {
    let connector = connector(attack);
    let error = beside(|| ended(select(&connector, limits())));
    assert!(matches!(error, ComponentError::Misbehaved(_)), "{error:?}");
    assert!(error.to_string().contains(how), "{error}");
}
