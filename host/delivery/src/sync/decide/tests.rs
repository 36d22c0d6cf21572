use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::ledger::Counts;
use cprflow::{DataError, DataErrorKind, Summary};
use cprflow_transport::RemoteName;

const EVERY_STATE: [State; 7] = [
    State::Fetching,
    State::Fetched,
    State::Publishing,
    State::Published,
    State::DataRemoved,
    State::Done,
    State::SetAside,
];

const FILE_NAME: &str = "d260303.l431101";

const TODAY: Date = jiff::civil::date(2026, 3, 3);

/// Decides about a delivery whose extract is not published yet, on the day of its production.
fn scanned(staged: &Staged, accepted: &[String], record: &Record) -> Verdict {
    scanned_delivery(staged, accepted, record, None, TODAY)
}

/// A record of a file of 100 bytes that was modified at 7.
fn record(state: State) -> Record {
    Record {
        id: 1,
        agreement: "a".to_owned(),
        transfer_uuid: "5b6f6b0e-0000-4000-8000-000000000000".to_owned(),
        file_name: FILE_NAME.to_owned(),
        metadata_name: format!("{FILE_NAME}.metadata"),
        size: 100,
        modified: Some(7),
        sender: None,
        routing: None,
        state,
        reason: None,
        accepted: Vec::new(),
        as_of: None,
        counts: Counts {
            sha256: "aa".to_owned(),
            production_date: Some("2026-03-03".to_owned()),
            ..Counts::default()
        },
        sequence: None,
        directory: None,
        first_seen: Timestamp::UNIX_EPOCH,
        published: None,
        expired: None,
        updated: Timestamp::UNIX_EPOCH,
    }
}

fn set_aside(code: &str) -> Record {
    Record {
        reason: Some(Reason::new(code, "")),
        ..record(State::SetAside)
    }
}

fn stat(size: u64, modified: Option<u64>) -> Stat {
    Stat {
        size,
        modified,
        is_file: true,
    }
}

fn file(name: &str, size: u64) -> RemoteFile {
    RemoteFile {
        name: RemoteName::try_from(name).unwrap(),
        stat: stat(size, Some(7)),
    }
}

fn finding(code: &str, level: Level) -> Finding {
    Finding {
        code: code.to_owned(),
        level,
        count: 2,
        message: format!("{code} happened"),
        places: Vec::new(),
    }
}

fn staged(findings: Vec<Finding>) -> Staged {
    Staged {
        summary: Summary {
            bytes: 0,
            records: 0,
            shape: cprflow::Shape::Unknown,
            start: None,
            declared_records: None,
            tables: Vec::new(),
            findings,
        },
        rows: BTreeMap::new(),
        files: BTreeMap::new(),
        broken: None,
    }
}

fn verdict_code(verdict: Verdict) -> String {
    match verdict {
        Verdict::Publish => "publish".to_owned(),
        Verdict::SetAside(reason) => reason.code,
    }
}

#[test]
fn fetches_an_unknown_delivery() {
    let action = found_delivery(None, &file(FILE_NAME, 100), false, false);
    assert_eq!(action, FoundAction::Fetch);
}

#[test]
fn continues_a_delivery_that_an_earlier_run_began() {
    for state in [State::Fetching, State::Fetched, State::Publishing] {
        for size in [100, 101] {
            let action = found_delivery(Some(&record(state)), &file(FILE_NAME, size), false, false);
            assert_eq!(action, FoundAction::Fetch, "{state}");
        }
    }
}

#[test]
fn compares_a_published_delivery_once_the_copy_may_be_removed() {
    for state in EVERY_STATE.into_iter().filter(|state| state.is_published()) {
        let known = record(state);
        let action =
            |may_remove| found_delivery(Some(&known), &file(FILE_NAME, 100), may_remove, false);
        assert_eq!(action(false), FoundAction::WaitForTenants, "{state}");
        assert_eq!(action(true), FoundAction::CompareWithPublished, "{state}");
    }
}

#[test]
fn keeps_a_published_delivery_again_that_the_register_lacks() {
    for state in EVERY_STATE {
        for may_remove in [false, true] {
            let file = file(FILE_NAME, 100);
            let action = found_delivery(Some(&record(state)), &file, may_remove, true);
            let is_kept_again = action == FoundAction::KeepAgain;
            assert_eq!(is_kept_again, state.is_published(), "{state}");
        }
    }
}

#[test]
fn leaves_a_delivery_that_is_set_aside() {
    let action = found_delivery(
        Some(&set_aside("count-mismatch")),
        &file(FILE_NAME, 100),
        false,
        false,
    );
    assert_eq!(action, FoundAction::LeaveSetAside);
}

#[test]
fn reports_another_file_under_the_transfer_of_a_delivery_that_is_set_aside() {
    let known = set_aside("count-mismatch");
    for data in [file(FILE_NAME, 101), file("d260304.l431101", 100)] {
        let action = found_delivery(Some(&known), &data, false, false);
        assert_eq!(action, FoundAction::ReportReusedTransfer);
    }
}

#[test]
fn tells_another_file_by_its_size() {
    for state in EVERY_STATE {
        let known = record(state);
        let is_complete = state.is_published() || state == State::SetAside;
        assert!(!is_reused(&known, &file(FILE_NAME, 100)), "{state}");
        assert_eq!(
            is_reused(&known, &file(FILE_NAME, 101)),
            is_complete,
            "{state}"
        );
        // A published delivery that comes again under another name is compared with what was published.
        let renamed = is_reused(&known, &file("d260304.l431101", 100));
        assert_eq!(renamed, state == State::SetAside, "{state}");
        // The manifest of an adopted delivery can lack the size.
        let adopted = Record {
            size: UNKNOWN_SIZE,
            ..known
        };
        let is_told = state == State::SetAside;
        assert_eq!(is_reused(&adopted, &file(FILE_NAME, 101)), is_told);
    }
}

#[test]
fn fetches_a_delivery_that_is_back_on_the_server() {
    for size in [100, 101] {
        let action = found_delivery(
            Some(&set_aside("gone-from-server")),
            &file(FILE_NAME, size),
            false,
            false,
        );
        assert_eq!(action, FoundAction::Fetch);
    }
}

#[test]
fn removes_only_a_copy_with_the_published_bytes() {
    assert_eq!(published_again(true), PublishedCopyAction::Remove);
    assert_eq!(
        published_again(false),
        PublishedCopyAction::ReportReusedTransfer
    );
}

#[test]
fn keeps_the_copy_on_the_server_while_a_tenant_may_need_it() {
    let postponed = |is_run_stopped, is_spooled| TenantProgress::Postponed {
        is_run_stopped,
        is_spooled,
    };
    for (progress, expected) in [
        (TenantProgress::Running, false),
        (TenantProgress::Complete, true),
        (postponed(false, true), true),
        (postponed(false, false), false),
        (postponed(true, true), false),
        (postponed(true, false), false),
    ] {
        assert_eq!(may_remove_remote(progress), expected, "{progress:?}");
    }
}

#[test]
fn recognizes_the_published_file_by_size_and_time() {
    let known = record(State::Published);
    let rebuilt = Record {
        modified: None,
        ..known.clone()
    };
    // A tenant's manifest does not tell the size.
    let of_tenant = Record {
        size: UNKNOWN_SIZE,
        ..rebuilt.clone()
    };
    for (record, size, modified, expected) in [
        (&known, 100, Some(7), RemoteCopy::Published),
        (&known, 100, Some(8), RemoteCopy::Other),
        // Without a time, only the bytes can tell.
        (&known, 100, None, RemoteCopy::CompareBytes),
        (&known, 101, None, RemoteCopy::Other),
        (&known, 101, Some(7), RemoteCopy::Other),
        (&rebuilt, 100, Some(7), RemoteCopy::CompareBytes),
        (&rebuilt, 100, None, RemoteCopy::CompareBytes),
        (&rebuilt, 101, Some(7), RemoteCopy::Other),
        (&of_tenant, 101, Some(7), RemoteCopy::CompareBytes),
    ] {
        assert_eq!(remote_copy(&stat(size, modified), record), expected);
    }
}

#[test]
fn resumes_only_a_download_of_the_same_size_and_time() {
    let known = record(State::Fetching);
    let without_time = Record {
        modified: None,
        ..known.clone()
    };
    for (known, size, modified, expected) in [
        (None, 100, Some(7), false),
        (Some(&known), 100, Some(7), true),
        (Some(&known), 101, Some(7), false),
        (Some(&known), 100, Some(8), false),
        (Some(&known), 100, None, false),
        (Some(&without_time), 100, None, false),
    ] {
        assert_eq!(can_resume(known, &stat(size, modified)), expected);
    }
}

#[test]
fn expects_the_newest_delivery_before_a_newer_one_only() {
    let newest = || Some("2026-03-02".to_owned());
    assert_eq!(expected_previous(newest(), Some("2026-03-03")), newest());
    assert_eq!(expected_previous(newest(), Some("2026-03-02")), None);
    assert_eq!(expected_previous(newest(), Some("2026-03-01")), None);
    assert_eq!(expected_previous(newest(), None), None);
    assert_eq!(expected_previous(None, Some("2026-03-03")), None);
}

#[test]
fn sets_a_delivery_aside_that_could_not_be_read_to_its_end() {
    for (kind, code) in [
        (DataErrorKind::RecordTooLong, "record-too-long"),
        (DataErrorKind::LookAlike, "look-alike"),
        (DataErrorKind::LostTrack, "lost-track"),
        (DataErrorKind::OtherFormat, "other-format"),
    ] {
        let broken = Staged {
            broken: Some(DataError {
                kind,
                line: None,
                offset: None,
                message: "cut".to_owned(),
            }),
            ..staged(Vec::new())
        };
        // Accepting the code changes nothing.
        let verdict = scanned(&broken, &[code.to_owned()], &record(State::Fetched));
        assert_eq!(verdict_code(verdict), code);
    }
}

#[test]
fn sets_a_delivery_aside_for_each_error_that_is_not_accepted() {
    let errors = staged(vec![
        finding("missing-end", Level::Error),
        finding("sequence-gap", Level::Error),
        finding("unusual", Level::Warning),
        finding("remarkable", Level::Note),
    ]);
    let own = Record {
        accepted: vec!["sequence-gap".to_owned()],
        ..record(State::Fetched)
    };
    let nothing = record(State::Fetched);
    let agreed = ["missing-end".to_owned()];

    let verdict = scanned(&errors, &[], &nothing);
    let message = "missing-end (2): missing-end happened; sequence-gap (2): sequence-gap happened";
    assert_eq!(
        verdict,
        Verdict::SetAside(Reason::new("missing-end", message))
    );

    let verdict = scanned(&errors, &agreed, &nothing);
    assert_eq!(
        verdict,
        Verdict::SetAside(Reason::new("sequence-gap", "sequence-gap happened"))
    );

    let verdict = scanned(&errors, &[], &own);
    assert_eq!(verdict_code(verdict), "missing-end");
    let verdict = scanned(&errors, &agreed, &own);
    assert_eq!(verdict, Verdict::Publish);
}

#[test]
fn sets_a_delivery_aside_without_a_production_date() {
    let mut record = record(State::Fetched);
    record.counts.production_date = None;
    let verdict = scanned(&staged(Vec::new()), &[], &record);
    assert_eq!(verdict_code(verdict), "no-production-date");
    record.as_of = Some("2026-03-03".to_owned());
    let verdict = scanned(&staged(Vec::new()), &[], &record);
    assert_eq!(verdict, Verdict::Publish);
}

#[test]
fn sets_a_delivery_aside_that_was_produced_after_tomorrow() {
    let produced_on = |date: &str| {
        let mut record = record(State::Fetched);
        record.counts.production_date = Some(date.to_owned());
        record
    };
    for date in ["1968-04-02", "2026-03-03", "2026-03-04"] {
        let verdict = scanned(&staged(Vec::new()), &[], &produced_on(date));
        assert_eq!(verdict, Verdict::Publish, "{date}");
    }
    for date in ["2026-03-05", "2027-03-03", "2099-12-31"] {
        let future = produced_on(date);
        // An agreement cannot accept it.
        let verdict = scanned(&staged(Vec::new()), &[FUTURE_DATE.to_owned()], &future);
        assert_eq!(verdict_code(verdict), "future-date", "{date}");
        let placed = Record {
            accepted: vec![FUTURE_DATE.to_owned()],
            as_of: Some("2026-03-02".to_owned()),
            ..future
        };
        assert_eq!(placed.production_date(), Some("2026-03-02"));
        let verdict = scanned(&staged(Vec::new()), &[], &placed);
        assert_eq!(verdict, Verdict::Publish, "{date}");
    }
}

#[test]
fn sets_a_delivery_aside_whose_extract_is_published() {
    let again = record(State::Fetched);
    let published = record(State::Done);
    let scanned = |again: &Record, accepted: &[String]| {
        let nothing = staged(Vec::new());
        scanned_delivery(&nothing, accepted, again, Some(&published), TODAY)
    };
    // An agreement cannot accept it.
    let verdict = scanned(&again, &[SAME_CONTENT.to_owned()]);
    assert_eq!(verdict_code(verdict), "same-content");
    let accepted = Record {
        accepted: vec![SAME_CONTENT.to_owned()],
        ..again
    };
    assert_eq!(scanned(&accepted, &[]), Verdict::Publish);
}

#[test]
fn sets_a_delivery_aside_for_a_failure_of_the_component_only() {
    let component = cprflow::ComponentError::Trapped("unreachable".to_owned());
    let reason = scan_failure(component.into()).unwrap();
    assert_eq!(reason.code, "component");
    assert!(matches!(scan_failure(Error::Stopped), Err(Error::Stopped)));
    // The delivery can be read when the machine has memory again.
    let memory = cprflow::ComponentError::NoMemory("no memory".to_owned());
    assert!(scan_failure(memory.into()).is_err());
    let file = cprflow::ComponentError::NoFile("no file".to_owned());
    assert!(scan_failure(file.into()).is_err());
}

#[test]
fn publishes_a_vanished_delivery_only_from_a_complete_extract() {
    assert_eq!(vanished_delivery(true), VanishedAction::PublishFromSpool);
    let VanishedAction::SetAside(reason) = vanished_delivery(false) else {
        panic!("published without an extract");
    };
    assert_eq!(reason.code, "gone-from-server");
}

#[test]
fn remarks_on_errors_warnings_and_late_deliveries() {
    let findings = [
        finding("missing-end", Level::Error),
        finding("unusual", Level::Warning),
        finding("remarkable", Level::Note),
    ];
    let remarks_of = |newest| remarks(&findings, Some("2026-03-03"), newest);
    let in_order = remarks_of(Some("2026-03-03"));
    assert_eq!(
        in_order,
        [
            "missing-end (2): missing-end happened",
            "unusual (2): unusual happened"
        ]
    );
    assert_eq!(remarks_of(None), in_order);
    let late = remarks_of(Some("2026-03-04"));
    assert_eq!(late.len(), 3);
    assert!(late[2].starts_with("late: it was produced on 2026-03-03"));
}
