//! Tests of the ledger.

use jiff::Timestamp;

use super::*;
use crate::routing::Routing;

fn begin(ledger: &Ledger, transfer: &str) -> i64 {
    let new = NewDelivery {
        agreement: "a".to_owned(),
        transfer_uuid: transfer.to_owned(),
        file_name: transfer.to_owned(),
        metadata_name: transfer.to_owned(),
        size: 1,
        modified: None,
        sender: None,
        routing: None,
    };
    ledger.begin(&new, Timestamp::UNIX_EPOCH).unwrap().id
}

#[test]
fn a_rewriting_has_a_number_of_its_dataset() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let name = |sequence| format!("delivery={sequence}");
    let (one, two) = (begin(&ledger, "1"), begin(&ledger, "2"));
    ledger.publishing(one, name, now).unwrap();
    ledger.assign_to_tenants(one, &["t"], now).unwrap();
    ledger.tenant_publishing(one, "t", name, now).unwrap();
    for tenant in [None, Some("t")] {
        let kind = RewritingKind::Rewritten;
        ledger.begin_rewriting(one, tenant, kind, now).unwrap();
        // A run that was killed begins again, and an erasure counts more.
        ledger
            .begin_rewriting(one, tenant, RewritingKind::Erased, now)
            .unwrap();
        ledger.begin_rewriting(one, tenant, kind, now).unwrap();
        let all = ledger.rewritings(tenant).unwrap();
        let found = all.iter().map(|one| (one.number, one.kind, one.is_done));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(2, RewritingKind::Erased, false)]
        );
    }
    ledger.rewritten(one, now).unwrap();
    let counts = TenantCounts {
        policy: "sha256:aa".to_owned(),
        ..TenantCounts::default()
    };
    ledger
        .compared_for_tenant(one, "t", 7, Some(&counts), now)
        .unwrap();
    for tenant in [None, Some("t")] {
        assert!(ledger.rewritings(tenant).unwrap()[0].is_done);
    }
    let share = ledger.tenant_delivery(one, "t").unwrap().unwrap();
    assert_eq!(
        (share.hidden, share.counts.policy.as_str()),
        (7, "sha256:aa")
    );
    assert_eq!(ledger.publishing(two, name, now).unwrap().0, 3);
    ledger.assign_to_tenants(two, &["t", "u"], now).unwrap();
    assert_eq!(ledger.tenant_publishing(two, "t", name, now).unwrap().0, 3);
    assert_eq!(ledger.tenant_publishing(two, "u", name, now).unwrap().0, 1);
    ledger
        .begin_rewriting(two, Some("u"), RewritingKind::Rewritten, now)
        .unwrap();
    let reason = Reason::new("rewritten", "the extract is gone");
    ledger
        .removed_for_good(two, Some("u"), &reason, now)
        .unwrap();
    assert!(ledger.rewritings(Some("u")).unwrap()[0].is_done);
    let share = ledger.tenant_delivery(two, "u").unwrap().unwrap();
    assert_eq!((share.expired, share.reason), (Some(now), Some(reason)));
    ledger.truncate_log().unwrap();
    assert_eq!(ledger.erasures_applied().unwrap(), None);
    for list in ["a", "b"] {
        ledger.set_erasures_applied(list).unwrap();
        assert_eq!(ledger.erasures_applied().unwrap().as_deref(), Some(list));
    }
}

/// A rewriting that is complete after a later delivery was published comes after it, so that a reader of the feed sees it.
#[test]
fn a_rewriting_that_took_long_has_a_later_number() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let name = |number: u64| number.to_string();
    let (one, two) = (begin(&ledger, "one"), begin(&ledger, "two"));
    assert_eq!(ledger.publishing(one, name, now).unwrap().0, 1);
    let kind = RewritingKind::Erased;
    ledger.begin_rewriting(one, None, kind, now).unwrap();
    assert_eq!(ledger.publishing(two, name, now).unwrap().0, 3);
    ledger.rewritten(one, now).unwrap();
    assert_eq!(ledger.rewritings(None).unwrap()[0].number, 4);
}

#[test]
fn refuses_a_ledger_of_another_format() {
    let directory = tempfile::tempdir().unwrap();
    for (format, word) in [(3, "an earlier version"), (5, "an earlier"), (7, "a later")] {
        let ledger = Ledger::open(directory.path()).unwrap();
        let version = |number| format!("PRAGMA user_version = {number}");
        ledger.connection.execute_batch(&version(format)).unwrap();
        drop(ledger);
        let to_write = Ledger::open(directory.path()).map(drop).unwrap_err();
        let to_read = Ledger::open_to_read(directory.path()).map(drop);
        for error in [to_write, to_read.unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains(word) && text.contains(&format!("(format {format})")));
        }
        let file = rusqlite::Connection::open(directory.path().join(FILE_NAME)).unwrap();
        file.execute_batch(&version(6)).unwrap();
    }
}

#[test]
fn an_error_of_sqlite_says_what_to_check() {
    // SQLITE_FULL
    let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
    let text = schema::ledger_error(Path::new("state/ledger.sqlite"), full).to_string();
    for part in ["state/ledger.sqlite: ", " full. ", "free space", "again"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// What the metadata said must be known when the delivery is published, which can be days later.
#[test]
fn keeps_the_routing_block() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path()).unwrap();
    let id = begin(&ledger, "one");
    assert_eq!(ledger.delivery(id).unwrap().unwrap().routing, None);
    let routing = Routing {
        recipient_authority: Some("urn:oio:cvr-nr:00000002".to_owned()),
        ..Routing::default()
    };
    let again = NewDelivery {
        agreement: "a".to_owned(),
        transfer_uuid: "one".to_owned(),
        file_name: "one".to_owned(),
        metadata_name: "one".to_owned(),
        size: 1,
        modified: None,
        sender: None,
        routing: Some(routing.clone()),
    };
    let record = ledger.begin(&again, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((record.id, &record.routing), (id, &Some(routing)));
}

#[test]
fn keeps_its_contents_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Ledger::open_to_read(directory.path()).unwrap().is_none());
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let id = begin(&ledger, "one");
    assert!(!ledger.has_adopted(AdoptedDataset::Dataset).unwrap());
    ledger.mark_adopted(AdoptedDataset::Dataset, now).unwrap();
    assert!(ledger.tenant_deliveries().unwrap().is_empty());
    assert_eq!(ledger.newest_tenant_sequence("t", "a").unwrap(), None);
    ledger.assign_to_tenants(id, &["t"], now).unwrap();
    drop(ledger);
    let ledger = Ledger::open_to_read(directory.path()).unwrap().unwrap();
    assert!(ledger.has_adopted(AdoptedDataset::Dataset).unwrap());
    assert_eq!(ledger.all().unwrap().len(), 1);
    assert_eq!(ledger.tenant_deliveries().unwrap().len(), 1);
}

#[test]
fn a_failed_transaction_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let failed: Result<(), LedgerError> = ledger.transaction(|ledger| {
        begin(ledger, "one");
        ledger.mark_adopted(AdoptedDataset::Dataset, now)?;
        Err(ledger.contradiction())
    });
    assert!(failed.is_err());
    assert!(ledger.all().unwrap().is_empty());
    assert!(!ledger.has_adopted(AdoptedDataset::Dataset).unwrap());
    let done: Result<(), LedgerError> =
        ledger.transaction(|ledger| ledger.mark_adopted(AdoptedDataset::Dataset, now));
    done.unwrap();
    assert!(ledger.has_adopted(AdoptedDataset::Dataset).unwrap());
}

#[test]
fn an_unpublished_delivery_is_not_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let id = begin(&ledger, "one");
    let counts = Counts {
        task_number: Some("1".to_owned()),
        production_date: Some("2026-03-02".to_owned()),
        ..Default::default()
    };
    ledger.fetched(id, &counts, now).unwrap();
    let name = |number: u64| format!("delivery={number}");
    ledger.publishing(id, name, now).unwrap();
    assert_eq!(ledger.newest_published("a", "1").unwrap(), None);
    for state in [State::Published, State::DataRemoved, State::Done] {
        ledger.removed(id, state, now).unwrap();
        let newest = ledger.newest_published("a", "1").unwrap();
        assert_eq!(newest.as_deref(), Some("2026-03-02"));
    }
}

#[test]
fn an_adopted_delivery_gets_a_free_sequence_number() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let ids = ["one", "two"].map(|transfer| begin(&ledger, transfer));
    let name = |number: u64| format!("delivery={number}");
    ledger.publishing(ids[0], name, now).unwrap();
    ledger.published(ids[0], now).unwrap();
    let reason = Reason::new("by-hand", "x");
    ledger.set_aside(ids[1], &reason, now).unwrap();
    for transfer in ["two", "three"] {
        let of_other_ledger = Record {
            transfer_uuid: transfer.to_owned(),
            sequence: Some(1),
            directory: Some(format!("delivery=other-{transfer}")),
            ..ledger.delivery(ids[0]).unwrap().unwrap()
        };
        ledger.adopt(&of_other_ledger).unwrap();
    }
    let all = ledger.all().unwrap();
    let numbers: Vec<_> = all.iter().map(|record| record.sequence).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert!(all.iter().all(|record| record.state.is_published()));
    assert!(all.iter().all(|record| record.reason.is_none()));
    assert_eq!(ledger.directories().unwrap().len(), 3);
}

#[test]
fn each_tenant_has_its_own_sequence_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(directory.path()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let name = |number: u64| format!("delivery={number}");
    let ids = ["one", "two", "three"].map(|transfer| begin(&ledger, transfer));
    for id in ids {
        ledger.assign_to_tenants(id, &["t", "u"], now).unwrap();
        ledger.assign_to_tenants(id, &["t"], now).unwrap();
    }
    let counts = TenantCounts::default();
    for (id, number) in ids.into_iter().zip(1..) {
        let given = ledger.tenant_publishing(id, "t", name, now).unwrap();
        assert_eq!(given, (number, name(number)));
        assert_eq!(ledger.tenant_publishing(id, "t", name, now).unwrap(), given);
        assert_eq!(
            ledger.newest_tenant_sequence("t", "a").unwrap(),
            (number > 1).then(|| number - 1)
        );
        ledger.tenant_published(id, "t", &counts, now).unwrap();
        assert!(ledger.is_needed(id).unwrap(), "tenant u still needs it");
    }
    assert_eq!(
        ledger.later_tenant_sequences("t", "a", &name(1)).unwrap(),
        [2, 3]
    );
    assert_eq!(
        ledger.later_tenant_sequences("t", "a", &name(2)).unwrap(),
        [3]
    );
    assert!(
        ledger
            .later_tenant_sequences("t", "a", &name(3))
            .unwrap()
            .is_empty()
    );
    // Tenant u gets only the last delivery, which is its first.
    let reason = Reason::new("x", "y");
    ledger.tenant_failed(ids[0], "u", &reason, now).unwrap();
    assert_eq!(
        ledger
            .tenant_delivery(ids[0], "u")
            .unwrap()
            .unwrap()
            .attempts,
        1
    );
    ledger
        .set_aside_for_tenant(ids[0], "u", &reason, now)
        .unwrap();
    assert!(!ledger.is_needed(ids[0]).unwrap());
    assert_eq!(
        ledger.tenant_publishing(ids[2], "u", name, now).unwrap().0,
        1
    );
    // A published delivery is not set aside, and a delivery that was set aside can be retried.
    ledger
        .set_aside_for_tenant(ids[0], "t", &reason, now)
        .unwrap();
    assert_eq!(
        ledger.tenant_delivery(ids[0], "t").unwrap().unwrap().state,
        TenantDeliveryState::Published
    );
    ledger.retry_for_tenant(ids[0], "u", now).unwrap();
    let released = ledger.tenant_delivery(ids[0], "u").unwrap().unwrap();
    assert_eq!(
        (released.state, released.reason),
        (TenantDeliveryState::Waiting, None)
    );
}
