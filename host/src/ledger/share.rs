//! Shares: how far each delivery is with each tenant that may see it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};
use serde::Serialize;

use super::record::{Reason, Record, optional_time, time, unreadable};
use super::{Ledger, LedgerError, schema};

/// How far a delivery is with a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareState {
    /// It is to be published, or could not be; the spool keeps the extract.
    Waiting,
    /// It has its place in the tenant's dataset, and may or may not stand there already.
    Publishing,
    /// It stands in the tenant's dataset, on the disk, and so does the roster that it left.
    Published,
    /// A person has decided that the tenant does not get it.
    SetAside,
}

impl ShareState {
    const ALL: [Self; 4] = [
        Self::Waiting,
        Self::Publishing,
        Self::Published,
        Self::SetAside,
    ];

    /// Its name, as the ledger has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::SetAside => "set-aside",
        }
    }

    /// Whether nothing is left to do: nobody needs the extract for it any more.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Published | Self::SetAside)
    }
}

/// A tenant's share of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The delivery's row.
    #[serde(skip)]
    pub delivery: i64,
    /// The tenant's name.
    pub tenant: String,
    /// The agreement's name.
    pub agreement: String,
    /// The UUID of the transfer.
    pub transfer_uuid: String,
    /// How far it is.
    pub state: ShareState,
    /// What went wrong the last time, or why it was set aside.
    pub reason: Option<Reason>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Its number in the tenant's dataset.
    pub sequence: Option<u64>,
    /// Its directory in the tenant's dataset, below that of the agreement.
    pub directory: Option<String>,
    /// What was published.
    #[serde(flatten)]
    pub counts: ShareCounts,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// When its state changed last.
    pub updated: Timestamp,
}

/// What a tenant got of a delivery, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ShareCounts {
    /// The digest of the policy.
    pub policy: String,
    /// Persons in scope.
    pub persons: u64,
    /// Those of them who were not before.
    pub entered: u64,
    /// Persons who no longer are.
    pub left: u64,
    /// Rows of all tables.
    pub rows: u64,
}

impl Ledger {
    /// Every share, in the order of the deliveries.
    pub fn shares(&self) -> Result<Vec<Share>, LedgerError> {
        if !self.told(schema::has_shares(&self.connection))? {
            // A ledger of before there were tenants, opened only to read.
            return Ok(Vec::new());
        }
        let sql = format!("{SELECT} ORDER BY delivery.sequence, delivery.id, share.tenant");
        let shares = self.connection.prepare(&sql).and_then(|mut query| {
            let rows = query.query_map([], read_share)?;
            rows.collect()
        });
        self.told(shares)
    }

    /// The directories of a tenant's dataset that it knows, each after its agreement.
    pub(crate) fn directories_of(
        &self,
        tenant: &str,
    ) -> Result<BTreeSet<(String, String)>, LedgerError> {
        let sql = "SELECT delivery.agreement, share.directory FROM share
                   JOIN delivery ON delivery.id = share.delivery
                   WHERE share.tenant = ?1 AND share.directory IS NOT NULL";
        let found = self.connection.prepare(sql).and_then(|mut query| {
            let rows = query.query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        });
        self.told(found)
    }

    /// A tenant's share of a delivery.
    pub fn share(&self, delivery: i64, tenant: &str) -> Result<Option<Share>, LedgerError> {
        let sql = format!("{SELECT} WHERE share.delivery = ?1 AND share.tenant = ?2");
        let found = self
            .connection
            .query_row(&sql, params![delivery, tenant], read_share);
        self.told(found.optional())
    }

    /// Whether a tenant still needs the extract of a delivery.
    pub fn is_needed(&self, delivery: i64) -> Result<bool, LedgerError> {
        self.told(self.connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM share
                            WHERE delivery = ?1 AND state NOT IN ('published', 'set-aside'))",
            [delivery],
            |row| row.get(0),
        ))
    }

    /// A delivery is for these tenants. What is known of a share already stays.
    pub fn share_out(
        &mut self,
        delivery: i64,
        tenants: &[&str],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.together(|ledger| ledger.add_shares(delivery, tenants, now))
    }

    /// The same as a part of more that is on the disk together.
    pub(crate) fn add_shares(
        &self,
        delivery: i64,
        tenants: &[&str],
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        for tenant in tenants {
            self.change(
                "INSERT INTO share (delivery, tenant, state, updated) VALUES (?1, ?2, 'waiting', ?3)
                 ON CONFLICT DO NOTHING",
                params![delivery, tenant, now.to_string()],
            )?;
        }
        Ok(())
    }

    /// A share gets the next number of the tenant's dataset, unless it has one, and the directory that it will be
    /// published as.
    pub fn share_publishing(
        &mut self,
        delivery: i64,
        tenant: &str,
        directory: impl FnOnce(u64) -> String,
        now: Timestamp,
    ) -> Result<(u64, String), LedgerError> {
        self.at_once(|transaction| {
            let sequence: i64 = transaction.query_row(
                "SELECT coalesce((SELECT sequence FROM share WHERE delivery = ?1 AND tenant = ?2),
                                 (SELECT coalesce(max(sequence), 0) + 1 FROM share WHERE tenant = ?2))",
                params![delivery, tenant],
                |row| row.get(0),
            )?;
            let name = directory(sequence as u64);
            transaction.execute(
                "UPDATE share SET state = 'publishing', sequence = ?3, directory = ?4, updated = ?5
                 WHERE delivery = ?1 AND tenant = ?2",
                params![delivery, tenant, sequence, name, now.to_string()],
            )?;
            Ok((sequence as u64, name))
        })
    }

    /// The delivery stands in the tenant's dataset under its name, and the roster that it left in the state.
    pub fn share_published(
        &self,
        delivery: i64,
        tenant: &str,
        counts: &ShareCounts,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE share SET state = 'published', reason_code = NULL, reason = NULL, policy = ?3, persons = ?4,
                 entered = ?5, departed = ?6, rows = ?7, published = coalesce(published, ?8), updated = ?8
             WHERE delivery = ?1 AND tenant = ?2",
            params![
                delivery,
                tenant,
                counts.policy,
                counts.persons as i64,
                counts.entered as i64,
                counts.left as i64,
                counts.rows as i64,
                now.to_string(),
            ],
        )
    }

    /// It could not be published; the next run tries again.
    pub fn share_failed(
        &self,
        delivery: i64,
        tenant: &str,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE share SET reason_code = ?3, reason = ?4, attempts = attempts + 1, updated = ?5
             WHERE delivery = ?1 AND tenant = ?2 AND state IN ('waiting', 'publishing')",
            params![
                delivery,
                tenant,
                reason.code,
                reason.message,
                now.to_string()
            ],
        )
    }

    /// A person decides that the tenant does not get it.
    pub fn set_share_aside(
        &self,
        delivery: i64,
        tenant: &str,
        reason: &Reason,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "UPDATE share SET state = 'set-aside', reason_code = ?3, reason = ?4, sequence = NULL, directory = NULL,
                 updated = ?5
             WHERE delivery = ?1 AND tenant = ?2 AND state <> 'published'",
            params![delivery, tenant, reason.code, reason.message, now.to_string()],
        )
    }

    /// A person decides that the tenant gets it after all, or gets one that was published before it came.
    pub fn release_share(
        &self,
        delivery: i64,
        tenant: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.change(
            "INSERT INTO share (delivery, tenant, state, updated) VALUES (?1, ?2, 'waiting', ?3)
             ON CONFLICT DO UPDATE SET state = 'waiting', reason_code = NULL, reason = NULL, updated = ?3
             WHERE state = 'set-aside'",
            params![delivery, tenant, now.to_string()],
        )
    }

    /// The number of the share that left the roster which is in force for a tenant and an agreement.
    pub fn newest_share(&self, tenant: &str, agreement: &str) -> Result<Option<u64>, LedgerError> {
        if !self.told(schema::has_shares(&self.connection))? {
            return Ok(None);
        }
        let number: Option<i64> = self.told(self.connection.query_row(
            "SELECT max(share.sequence) FROM share JOIN delivery ON delivery.id = share.delivery
             WHERE share.tenant = ?1 AND delivery.agreement = ?2 AND share.state = 'published'",
            params![tenant, agreement],
            |row| row.get(0),
        ))?;
        Ok(number.map(|number| number as u64))
    }

    /// The numbers of the deliveries of the agreement that a tenant has and that are applied after one of that name.
    pub fn later_shares(
        &self,
        tenant: &str,
        agreement: &str,
        directory: &str,
    ) -> Result<Vec<u64>, LedgerError> {
        let sql = "SELECT share.sequence FROM share JOIN delivery ON delivery.id = share.delivery
                   WHERE share.tenant = ?1 AND delivery.agreement = ?2 AND share.state = 'published'
                       AND share.directory > ?3
                   ORDER BY share.directory";
        let found = self.connection.prepare(sql).and_then(|mut query| {
            let number = |row: &Row<'_>| row.get::<_, i64>(0).map(i64::cast_unsigned);
            let rows = query.query_map([tenant, agreement, directory], number)?;
            rows.collect()
        });
        self.told(found)
    }

    /// Takes up a delivery that stands in a tenant's dataset, from what it says of itself there.
    pub(crate) fn adopt_share(
        &self,
        record: &Record,
        tenant: &str,
        counts: &ShareCounts,
    ) -> Result<(), LedgerError> {
        let known = self.find(&record.agreement, &record.transfer_uuid)?;
        if known.is_none() {
            // Its number in the tenant's dataset is no number of the whole.
            let next: i64 = self.told(self.connection.query_row(
                "SELECT coalesce(max(sequence), 0) + 1 FROM delivery",
                [],
                |row| row.get(0),
            ))?;
            self.adopt(&Record {
                sequence: Some(next as u64),
                ..record.clone()
            })?;
        }
        let known = self.find(&record.agreement, &record.transfer_uuid)?;
        let known = known.ok_or_else(|| self.contradiction())?;
        self.change(
            "INSERT INTO share (delivery, tenant, state, sequence, directory, policy, persons, entered, departed,
                 rows, published, updated)
             VALUES (?1, ?2, 'published',
                 CASE WHEN EXISTS (SELECT 1 FROM share WHERE tenant = ?2 AND sequence = ?3 AND delivery <> ?1)
                      THEN (SELECT max(sequence) + 1 FROM share WHERE tenant = ?2) ELSE ?3 END,
                 ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)
             ON CONFLICT (delivery, tenant) DO UPDATE SET
                 state = excluded.state, reason_code = NULL, reason = NULL, sequence = excluded.sequence,
                 directory = excluded.directory, policy = excluded.policy, persons = excluded.persons,
                 entered = excluded.entered, departed = excluded.departed, rows = excluded.rows,
                 published = excluded.published, updated = excluded.updated
             WHERE share.state = 'waiting'",
            params![
                known.id,
                tenant,
                record.sequence.map(|sequence| sequence as i64),
                record.directory,
                counts.policy,
                counts.persons as i64,
                counts.entered as i64,
                counts.left as i64,
                counts.rows as i64,
                record.updated.to_string(),
            ],
        )
    }

    /// Several changes that are on the disk together or not at all. Threads of one run write beside each other, so the
    /// right to write is taken before anything is read.
    pub(super) fn at_once<T>(
        &mut self,
        act: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let done = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| {
                let done = act(&transaction)?;
                transaction.commit()?;
                Ok(done)
            });
        self.told(done)
    }
}

const SELECT: &str = "
SELECT share.delivery, share.tenant, delivery.agreement, delivery.transfer_uuid, share.state, share.reason_code,
    share.reason, share.attempts, share.sequence, share.directory, share.policy, share.persons, share.entered,
    share.departed, share.rows, share.published, share.updated
FROM share JOIN delivery ON delivery.id = share.delivery";

fn read_share(row: &Row<'_>) -> rusqlite::Result<Share> {
    let state: String = row.get(4)?;
    let state = ShareState::ALL
        .into_iter()
        .find(|known| known.name() == state);
    let code: Option<String> = row.get(5)?;
    let message: Option<String> = row.get(6)?;
    let count = |column: usize| row.get::<_, i64>(column).map(|count| count as u64);
    Ok(Share {
        delivery: row.get(0)?,
        tenant: row.get(1)?,
        agreement: row.get(2)?,
        transfer_uuid: row.get(3)?,
        state: state.ok_or_else(|| unreadable(4, "no such state"))?,
        reason: code.map(|code| Reason::new(code, message.unwrap_or_default())),
        attempts: row.get(7)?,
        sequence: row.get::<_, Option<i64>>(8)?.map(|number| number as u64),
        directory: row.get(9)?,
        counts: ShareCounts {
            policy: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
            persons: count(11)?,
            entered: count(12)?,
            left: count(13)?,
            rows: count(14)?,
        },
        published: optional_time(row, 15)?,
        updated: time(row, 16)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{NewDelivery, Place, State};

    fn begin(ledger: &Ledger, transfer: &str) -> i64 {
        let new = NewDelivery {
            agreement: "a".to_owned(),
            transfer_uuid: transfer.to_owned(),
            file_name: transfer.to_owned(),
            metadata_name: transfer.to_owned(),
            size: 1,
            modified: None,
            sender: None,
        };
        ledger.begin(&new, Timestamp::UNIX_EPOCH).unwrap().id
    }

    #[test]
    fn a_ledger_of_before_there_were_tenants_is_taken_up() {
        let place = tempfile::tempdir().unwrap();
        let old = Ledger::open(place.path()).unwrap();
        begin(&old, "one");
        let back = "DROP TABLE share; DROP TABLE adopted; PRAGMA user_version = 1";
        old.connection.execute_batch(back).unwrap();
        drop(old);
        let read = Ledger::open_to_read(place.path()).unwrap().unwrap();
        assert!(read.shares().unwrap().is_empty());
        assert_eq!(read.newest_share("t", "a").unwrap(), None);
        drop(read);
        let mut ledger = Ledger::open(place.path()).unwrap();
        assert!(ledger.has_adopted(Place::Dataset).unwrap());
        let now = Timestamp::UNIX_EPOCH;
        ledger.share_out(1, &["t"], now).unwrap();
        assert_eq!(ledger.shares().unwrap().len(), 1);
    }

    #[test]
    fn what_goes_together_goes_back_together() {
        let place = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(place.path()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let failed: Result<(), LedgerError> = ledger.together(|ledger| {
            begin(ledger, "one");
            ledger.adopted(Place::Dataset, now)?;
            Err(ledger.contradiction())
        });
        assert!(failed.is_err());
        assert!(ledger.all().unwrap().is_empty());
        assert!(!ledger.has_adopted(Place::Dataset).unwrap());
        let done: Result<(), LedgerError> =
            ledger.together(|ledger| ledger.adopted(Place::Dataset, now));
        done.unwrap();
        assert!(ledger.has_adopted(Place::Dataset).unwrap());
    }

    #[test]
    fn what_is_not_published_yet_is_not_the_newest() {
        let place = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(place.path()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let id = begin(&ledger, "one");
        let counts = crate::ledger::Counts {
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
    fn what_another_ledger_published_is_taken_up_under_a_number_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(place.path()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let ids = ["one", "two"].map(|transfer| begin(&ledger, transfer));
        let name = |number: u64| format!("delivery={number}");
        ledger.publishing(ids[0], name, now).unwrap();
        ledger.published(ids[0], now).unwrap();
        let reason = Reason::new("by-hand", "x");
        ledger.set_aside(ids[1], &reason, now).unwrap();
        for transfer in ["two", "three"] {
            let theirs = Record {
                transfer_uuid: transfer.to_owned(),
                sequence: Some(1),
                directory: Some(format!("delivery=their-{transfer}")),
                ..ledger.delivery(ids[0]).unwrap().unwrap()
            };
            ledger.adopt(&theirs).unwrap();
        }
        let all = ledger.all().unwrap();
        let numbers: Vec<_> = all.iter().map(|record| record.sequence).collect();
        assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
        assert!(all.iter().all(|record| record.state.is_published()));
        assert!(all.iter().all(|record| record.reason.is_none()));
        assert_eq!(ledger.directories().unwrap().len(), 3);
    }

    #[test]
    fn each_tenant_counts_for_itself() {
        let place = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(place.path()).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let name = |number: u64| format!("delivery={number}");
        let ids = ["one", "two", "three"].map(|transfer| begin(&ledger, transfer));
        for id in ids {
            ledger.share_out(id, &["t", "u"], now).unwrap();
            ledger.share_out(id, &["t"], now).unwrap();
        }
        let counts = ShareCounts::default();
        for (id, number) in ids.into_iter().zip(1..) {
            let given = ledger.share_publishing(id, "t", name, now).unwrap();
            assert_eq!(given, (number, name(number)));
            assert_eq!(ledger.share_publishing(id, "t", name, now).unwrap(), given);
            assert_eq!(
                ledger.newest_share("t", "a").unwrap(),
                (number > 1).then(|| number - 1)
            );
            ledger.share_published(id, "t", &counts, now).unwrap();
            assert!(ledger.is_needed(id).unwrap(), "by the other");
        }
        assert_eq!(ledger.later_shares("t", "a", &name(1)).unwrap(), [2, 3]);
        assert_eq!(ledger.later_shares("t", "a", &name(2)).unwrap(), [3]);
        assert!(ledger.later_shares("t", "a", &name(3)).unwrap().is_empty());
        // The other has the last one only: its first.
        let reason = Reason::new("x", "y");
        ledger.share_failed(ids[0], "u", &reason, now).unwrap();
        assert_eq!(ledger.share(ids[0], "u").unwrap().unwrap().attempts, 1);
        ledger.set_share_aside(ids[0], "u", &reason, now).unwrap();
        assert!(!ledger.is_needed(ids[0]).unwrap());
        assert_eq!(
            ledger.share_publishing(ids[2], "u", name, now).unwrap().0,
            1
        );
        // What is published is not set aside, and what is not is let go again.
        ledger.set_share_aside(ids[0], "t", &reason, now).unwrap();
        assert_eq!(
            ledger.share(ids[0], "t").unwrap().unwrap().state,
            ShareState::Published
        );
        ledger.release_share(ids[0], "u", now).unwrap();
        let released = ledger.share(ids[0], "u").unwrap().unwrap();
        assert_eq!(
            (released.state, released.reason),
            (ShareState::Waiting, None)
        );
    }
}
