//! Erases persons, an agreement or a tenant: from the register, and from everything that was made from it.
//!
//! The order is written down before anything changes, and removed when everything is done. A run that was killed is
//! continued by the next `erase` or `sync`. The steps:
//! 1. The order is stored (`state/erasing`), and the keyed hashes of the numbers (`state/erasures`).
//! 2. Each kept extract that has one of the persons is rewritten. In the same step, the ledger notes every delivery that was
//!    made from it.
//! 3. Lists of persons, extracts in progress and snapshots lose the persons.
//! 4. The noted deliveries are made again, or removed if their extract is gone.
//! 5. The current tables are made again, and older generations are removed.
//! 6. The ledger's file is cleaned, the proof is written (`state/erasures.jsonl`), and the order is removed.
//!
//! | module | contents |
//! |---|---|
//! | `order` | what is to be erased, and its file |
//! | `refusal` | when an erasure is refused |
//! | `numbers` | all numbers of the persons |
//! | `extracts` | the kept extracts and the deliveries made from them |
//! | `export_files` | the files of databases that were loaded from the datasets |
//! | `exports` | whether these databases have caught up |
//! | `foreign` | directories that were made for somebody else and are not removed |
//! | `lists` | rosters, lists, extracts in progress, snapshots |
//! | `waiting` | the datasets that are not there, for which an erasure waits |
//! | `pending` | an erasure that is not complete, and what stops it |
//! | `whole` | a whole agreement, and a tenant |
//! | `again` | makes deliveries of the unrestricted dataset again |
//! | `protections` | persons whom the erased records protected |
//! | `known` | persons who were erased before, as keyed hashes |
//! | `list` | the file with these hashes, and whether it is lost |
//! | `ties` | numbers that a late extract ties to persons who were erased before |
//! | `persons` | from which extracts persons are erased |
//! | `proof` | the proof of an erasure |
//! | `error` | [`EraseError`] |

mod again;
mod error;
mod export_files;
mod exports;
mod extracts;
mod foreign;
pub(crate) mod known;
pub(crate) mod list;
mod lists;
mod numbers;
mod order;
mod pending;
pub(crate) mod persons;
mod proof;
pub(crate) mod protections;
mod refusal;
pub(crate) mod ties;
mod waiting;
mod whole;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::fs::{StateLock, private_directory};
use crate::integrity::GONE;
use crate::ledger::Ledger;
use crate::register::{Register, open_file};
use crate::stop::Stop;
use crate::sync::{Observer, RunReport, Sync};
use crate::tenant::former::former_tenants;
use cprflow::{Connector, Pnr};
use persons::ErasedPersons;

pub(crate) use again::make_unrestricted_again;
pub use error::EraseError;
pub(crate) use exports::exports_behind;
pub use exports::{ExportLag, ExportTarget};
pub use extracts::ErasedExtract;
pub use list::{ListLoss, check as check_list};
pub(crate) use lists::files_with;
pub use order::{EraseRequest, ErasedSubject};
pub(crate) use order::{ORDER_FILE, Order};
pub use pending::{PendingErasure, pending};
pub(crate) use proof::{PROOF_FILE, left};
pub use proof::{Proof, StoreErasure};
pub(crate) use waiting::waits_for;

/// Returns what an erasure would do. Changes nothing.
pub fn plan(
    connector: &Connector,
    configuration: &Configuration,
    request: &EraseRequest,
) -> Result<Proof, Error> {
    survey(
        connector,
        configuration,
        &prepare(connector, configuration, request)?,
    )
}

/// Returns what an order would do.
fn survey(
    connector: &Connector,
    configuration: &Configuration,
    order: &Order,
) -> Result<Proof, Error> {
    let mut proof = Proof::new(order);
    for store in &configuration.stores {
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            continue;
        };
        let mut found = match &order.subject {
            ErasedSubject::Numbers(numbers) => {
                let mut found = StoreErasure::of(store);
                let persons = ErasedPersons::everywhere(numbers);
                found.extracts =
                    extracts::survey(connector, store, &ledger, &persons, order.blank_references)?;
                lists::survey(connector, store, numbers, &mut found)?;
                found.count_deliveries(store, &ledger)?;
                found
            }
            ErasedSubject::Agreement(name) => whole::agreement(store, &ledger, name)?,
            ErasedSubject::Tenant(name) => whole::tenant(store, &ledger, name)?,
        };
        found.left = proof::left_after(store, &ledger, &order.subject)?;
        found.exports = exports::targets(store, &ledger)?;
        proof.stores.push(found);
    }
    Ok(proof)
}

/// Erases. Continues an erasure of the same state directories that was interrupted before. The reports of the runs that made
/// the datasets again are returned with the proof; an erasure is complete if none of them has a problem.
pub fn erase(
    connector: &Connector,
    configuration: &Configuration,
    request: &EraseRequest,
    observer: &dyn Observer,
    stop: &Stop,
) -> Result<(Proof, RunReport), Error> {
    let order = prepare(connector, configuration, request)?;
    // Everything is tried before anything changes: persons who cannot be told apart in one extract stop the whole erasure.
    let mut proof = survey(connector, configuration, &order)?;
    let mut report = RunReport::default();
    for store in &configuration.stores {
        if !Ledger::is_in(&store.state) {
            continue;
        }
        let mut is_ordered = false;
        if request.is_list_lost {
            let _lock = StateLock::take(&store.state)?;
            // The order comes first: a run that finds the new list must have the persons.
            if Order::read(&store.state)?.is_none() {
                order.write(&store.state)?;
                is_ordered = true;
            }
            crate::failpoint::reached("erase-list-lost");
            list::begin_again(&store.state, &Ledger::open(&store.state)?)?;
        }
        // An older order is completed first.
        if !is_ordered && Order::read(&store.state)?.is_some() {
            report.append(
                Sync::new(connector, store)
                    .without_inboxes()
                    .stop(stop)
                    .run()?,
            );
            if Order::read(&store.state)?.is_some() {
                let mut older = report.erasing.iter();
                let older = older.find(|older| older.state == store.state);
                return Err(EraseError::Unfinished {
                    state: store.state.clone(),
                    older: older.map(ToString::to_string).unwrap_or_default(),
                }
                .into());
            }
        }
        {
            private_directory(&store.state)?;
            let _lock = StateLock::take(&store.state)?;
            order.write(&store.state)?;
            crate::failpoint::reached("erase-ordered");
        }
        let run = Sync::new(connector, store)
            .without_inboxes()
            .observer(observer)
            .stop(stop);
        report.append(run.run()?);
        if Order::read(&store.state)?.is_some() {
            proof.is_complete = false;
        }
    }
    Ok((proof, report))
}

/// Returns the order of an erasure. Fails if it is refused.
fn prepare(
    connector: &Connector,
    configuration: &Configuration,
    request: &EraseRequest,
) -> Result<Order, Error> {
    let mut order = Order::new(request, crate::calendar::now());
    for store in &configuration.stores {
        // Without its purpose, an agreement's deliveries could not be made again.
        store.check_purposes()?;
        refusal::check_ledger(store)?;
        if let Some(ledger) = Ledger::open_to_read(&store.state)?
            && !request.is_list_lost
        {
            list::check(&store.state, &ledger)?;
        }
    }
    if !configuration
        .stores
        .iter()
        .any(|store| Ledger::is_in(&store.state))
    {
        return Err(EraseError::NothingKept.into());
    }
    match &mut order.subject {
        ErasedSubject::Numbers(numbers) => {
            let all: BTreeSet<Pnr> = numbers::all_of(connector, configuration, numbers)?;
            refusal::check_subscriptions(connector, configuration, &all, request.is_unsubscribed)?;
            *numbers = all;
        }
        ErasedSubject::Agreement(name) => refusal::check_agreement(configuration, name)?,
        ErasedSubject::Tenant(name) => {
            if !is_former_tenant(configuration, name.as_str())? {
                configuration.tenant(name.as_str())?;
            }
        }
    }
    for store in &configuration.stores {
        if let Some(ledger) = Ledger::open_to_read(&store.state)? {
            foreign::check(store, &ledger, &order.subject)?;
        }
    }
    Ok(order)
}

/// Returns whether something is left of a tenant that is not configured any more, or its erasure is not complete: another
/// tenant can have its directory in the configuration, and the directory is left out until then.
fn is_former_tenant(configuration: &Configuration, name: &str) -> Result<bool, Error> {
    for store in &configuration.stores {
        let order = Order::read(&store.state)?;
        if let Some(ErasedSubject::Tenant(unfinished)) = order.map(|order| order.subject)
            && unfinished.as_str() == name
        {
            return Ok(true);
        }
        if let Some(ledger) = Ledger::open_to_read(&store.state)? {
            let mut former = former_tenants(store, &ledger)?.into_iter();
            if former.any(|former| former.tenant == name) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Carries out the steps of an order that change the state directory, and notes the deliveries to make again. Every step can
/// be repeated.
pub(crate) fn resume(
    connector: &Connector,
    store: &Store,
    ledger: &mut Ledger,
    order: &Order,
    stop: &Stop,
    now: Timestamp,
) -> Result<(), Error> {
    match &order.subject {
        ErasedSubject::Numbers(numbers) => {
            // What was produced after an earlier erasure is new data.
            let persons = match order.is_restored {
                true => ErasedPersons::until(numbers.clone(), known::days(&store.state, numbers)?),
                false => {
                    let is_owed = is_owed(store, ledger)?;
                    known::remember(&store.state, ledger, numbers, now)?;
                    // The order has these persons. Others who are still to be erased again would be forgotten.
                    if !is_owed {
                        note_applied(store, ledger)?;
                    }
                    ErasedPersons::everywhere(numbers)
                }
            };
            crate::failpoint::reached("erase-remembered");
            let blank = order.blank_references;
            let gone = match order.is_restored {
                true => persons.gone(store, ledger)?,
                false => numbers.clone(),
            };
            protections::add_all(connector, store, ledger, &persons, &gone)?;
            crate::failpoint::reached("erase-protections");
            extracts::rewrite_all(connector, store, ledger, &persons, blank, stop, now)?;
            protections::remove_numbers(&store.state, &gone)?;
            extracts::note_without_extract(store, ledger, now)?;
            crate::failpoint::reached("erase-extracts");
            lists::clean(connector, store, ledger, &gone, order.is_restored)?;
            if order.is_restored && extracts::damaged(store, ledger)?.is_empty() {
                note_applied(store, ledger)?;
            }
        }
        ErasedSubject::Agreement(name) => {
            foreign::check(store, ledger, &order.subject)?;
            whole::erase_agreement(connector, store, ledger, name, now)?;
        }
        ErasedSubject::Tenant(name) => {
            foreign::check(store, ledger, &order.subject)?;
            whole::erase_tenant(store, ledger, name, now)?;
        }
    }
    crate::failpoint::reached("erase-lists");
    Ok(())
}

/// Returns whether persons may have to be erased again: the list of erased persons is not the one that was applied last. The
/// ledger or the list is from a backup, or a late extract has told another number of an erased person.
fn is_owed(store: &Store, ledger: &Ledger) -> Result<bool, Error> {
    let list = known::fingerprint(&store.state)?;
    Ok(list.is_some() && list != ledger.erasures_applied()?)
}

/// Notes that all persons of the list are erased, or that an order has those who are not.
fn note_applied(store: &Store, ledger: &Ledger) -> Result<(), Error> {
    if let Some(list) = known::fingerprint(&store.state)? {
        ledger.set_erasures_applied(&list)?;
    }
    Ok(())
}

/// Returns an order to erase persons again who were erased before, if kept extracts have them: they came back from a backup,
/// or a late extract has told another number of theirs. `earlier` is such an order that is not complete. Writes the order.
pub(crate) fn restored(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    earlier: Option<Order>,
    now: Timestamp,
) -> Result<Option<Order>, Error> {
    if !is_owed(store, ledger)? {
        return Ok(earlier);
    }
    let order = owed(connector, store, ledger, earlier, now)?;
    if let Some(order) = &order {
        order.write(&store.state)?;
    }
    Ok(order)
}

/// Returns such an order without writing it, because another one waits: it is carried out first. Otherwise the persons would
/// come back when the other order is complete.
pub(crate) fn before(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    now: Timestamp,
) -> Result<Option<Order>, Error> {
    match is_owed(store, ledger)? {
        true => owed(connector, store, ledger, None, now),
        false => Ok(None),
    }
}

/// Searches the kept extracts for persons who were erased before.
fn owed(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    earlier: Option<Order>,
    now: Timestamp,
) -> Result<Option<Order>, Error> {
    let is_tied = ties::is_pending(ledger)?;
    let ordered = earlier.as_ref().map_or(now, |order| order.ordered);
    let mut numbers = match earlier.map(|order| order.subject) {
        Some(ErasedSubject::Numbers(numbers)) => numbers,
        Some(ErasedSubject::Agreement(_) | ErasedSubject::Tenant(_)) | None => BTreeSet::new(),
    };
    let register = Register::of(&store.state);
    for kept in extracts::applied(store, ledger)? {
        let open = || open_file(&register.path(&kept));
        let mut erased = known::erased_in(connector, &store.state, &kept.production_date, open)?;
        if is_tied {
            // The list has all numbers: which ties still count was decided when it was made.
            let known = &erased.known;
            erased.numbers.retain(|number| known.contains_key(number));
        }
        numbers.extend(erased.numbers);
    }
    if numbers.is_empty() {
        // An extract that was changed can have erased persons. It is searched when it is restored.
        if extracts::damaged(store, ledger)?.is_empty() {
            note_applied(store, ledger)?;
        }
        return Ok(None);
    }
    Ok(Some(Order {
        subject: ErasedSubject::Numbers(numbers),
        reason: Some(match is_tied {
            true => "erased before, under another number".to_owned(),
            false => "erased before, and restored from a backup".to_owned(),
        }),
        blank_references: false,
        is_restored: true,
        ordered,
    }))
}

/// Returns whether persons are still to be erased under numbers that a late extract has told.
pub(crate) fn has_new_numbers(ledger: &Ledger) -> Result<bool, Error> {
    ties::is_pending(ledger)
}

/// Completes an order, if every delivery was made again and no extract is damaged: cleans the ledger's file, writes the proof,
/// and removes the order. Returns whether it is complete.
pub(crate) fn finish(
    store: &Store,
    ledger: &Ledger,
    order: &Order,
    now: Timestamp,
) -> Result<bool, Error> {
    // Datasets of tenants that are no longer configured cannot be reached.
    let tenants = store
        .tenants
        .iter()
        .map(|tenant| Some(tenant.name.as_str()));
    for tenant in std::iter::once(None).chain(tenants) {
        if open_rewritings(ledger, tenant)? > 0 {
            return Ok(false);
        }
    }
    // What is in a damaged extract is not erased, and the file can be restored. A person must do that, or accept the loss.
    if matches!(order.subject, ErasedSubject::Numbers(_))
        && !extracts::damaged(store, ledger)?.is_empty()
    {
        return Ok(false);
    }
    ledger.truncate_log()?;
    crate::failpoint::reached("erase-cleaned");
    // New numbers of erased persons wait for the next run. Another order says nothing of those who were erased before.
    if order.is_restored && !ties::is_pending(ledger)? {
        note_applied(store, ledger)?;
    }
    proof::write(store, ledger, order, now)?;
    crate::failpoint::reached("erase-proved");
    Order::remove(&store.state)?;
    crate::failpoint::reached("erase-done");
    Ok(true)
}

/// Returns how many deliveries of a dataset are still to be made again or removed, apart from those that a person has accepted
/// as gone.
fn open_rewritings(ledger: &Ledger, tenant: Option<&str>) -> Result<usize, Error> {
    let mut open = 0;
    for one in ledger.rewritings(tenant)? {
        if !one.is_done && !is_accepted_as_gone(ledger, tenant, one.delivery)? {
            open += 1;
        }
    }
    Ok(open)
}

/// Returns whether a person has accepted that a delivery is gone. If it comes back, the next run makes it again.
fn is_accepted_as_gone(
    ledger: &Ledger,
    tenant: Option<&str>,
    delivery: i64,
) -> Result<bool, Error> {
    let reason = match tenant {
        Some(tenant) => ledger
            .tenant_delivery(delivery, tenant)?
            .and_then(|share| share.reason),
        None => ledger.delivery(delivery)?.and_then(|record| record.reason),
    };
    Ok(reason.is_some_and(|reason| reason.code == GONE))
}
