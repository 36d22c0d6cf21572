//! Finds everything that is kept of persons, for the right of access (GDPR, article 15).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Serialize, Serializer};
use sha2::Sha256;

use super::export::ExtractWriter;
use super::place;
use crate::calendar::danish_time;
use crate::config::{Configuration, Store};
use crate::dataset::{Dataset, GENERATIONS, current_generation, generation_directory};
use crate::error::Error;
use crate::fs::entries;
use crate::ledger::{KeptExtract, Ledger, TenantDeliveryState};
use crate::register::{Register, open_file};
use crate::tenant::Tenant;
use cprflow::policy::NumberRule;
use cprflow::{Connector, ExtractPlace, Pnr, Policy, Scan, StateScan, TableBatch};

/// Everything that is kept of several persons.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    /// The persons, in the order of their numbers.
    pub persons: Vec<PersonReport>,
    /// Extracts that could not be searched, because their files are gone.
    pub missing: Vec<PathBuf>,
    /// Data that was not searched, because no tenant of the configuration has it any more.
    pub left: Vec<String>,
}

/// Everything that is kept of one person.
#[derive(Debug, Serialize)]
pub struct PersonReport {
    /// The number that was asked for.
    #[serde(serialize_with = "serialize_number")]
    pub number: Pnr,
    /// The other numbers of the person.
    #[serde(serialize_with = "serialize_numbers")]
    pub other_numbers: Vec<Pnr>,
    /// The records that count now, by table. Each row has `as_of` and `agreement`.
    #[serde(skip)]
    pub records: Vec<TableBatch>,
    /// The deliveries that had records of the person, in the order of the production dates.
    pub deliveries: Vec<StoredDelivery>,
    /// Every tenant, with what it may see of the person.
    pub tenants: Vec<TenantScope>,
    /// The files and directories that have data of the person.
    pub stored: Vec<PathBuf>,
}

/// A delivery that had records of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredDelivery {
    /// The agreement's name.
    pub agreement: String,
    /// The production date, `YYYY-MM-DD`.
    pub production_date: String,
    /// The time of publication.
    pub published: Option<Timestamp>,
    /// The number of records that are kept of the person, by table.
    pub records: BTreeMap<String, u64>,
    /// The file of the register.
    pub register_file: PathBuf,
    /// The directory in the unrestricted dataset; `None` if it never had one, or if it was removed.
    pub directory: Option<PathBuf>,
    /// The directories of tenants that have rows of the person: the tenant and the directory.
    pub tenants: Vec<(String, PathBuf)>,
}

/// What a tenant may see of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantScope {
    /// The tenant's name.
    pub tenant: String,
    /// Whether the person is in the tenant's scope today.
    pub in_scope: bool,
    /// The day since which the person is in scope without a break, under the policy of today; `None` if not in scope.
    pub since: Option<Date>,
    /// Whether the tenant's deliveries have no person numbers, so that it is not known which of them have the person.
    pub is_without_numbers: bool,
}

/// A small extract with the records that an extract of the register has of one person.
#[derive(Clone)]
struct OwnRecords {
    place: ExtractPlace,
    published: Date,
    extract: Arc<[u8]>,
}

/// Returns everything that is kept of these persons and under their other numbers.
pub fn show_persons(
    connector: &Connector,
    configuration: &Configuration,
    numbers: &BTreeSet<Pnr>,
    today: Date,
) -> Result<RegisterReport, Error> {
    let mut persons: Vec<_> = numbers
        .iter()
        .map(|number| PersonReport {
            number: *number,
            other_numbers: Vec::new(),
            records: Vec::new(),
            deliveries: Vec::new(),
            tenants: Vec::new(),
            stored: Vec::new(),
        })
        .collect();
    let mut own: Vec<Vec<OwnRecords>> = persons.iter().map(|_| Vec::new()).collect();
    let mut missing = Vec::new();
    let mut left = Vec::new();
    for store in &configuration.stores {
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            continue;
        };
        left.extend(crate::erase::left(store, &ledger)?);
        let search = Search {
            connector,
            store,
            ledger,
            register: Register::of(&store.state),
        };
        search.store(&mut persons, &mut own, &mut missing)?;
    }
    for (person, own) in persons.iter_mut().zip(&mut own) {
        // Numbered by the order of applying.
        own.sort_by(|one, other| one.place.cmp(&other.place));
        for (index, own) in own.iter_mut().enumerate() {
            own.place.sequence = index as u64 + 1;
        }
        person.records = current_records(connector, own)?;
        for tenant in configuration.tenants() {
            let scope = tenant_scope(connector, tenant, own, today)?;
            if scope.in_scope {
                let current = tenant.dataset.clone();
                person.stored.extend(current_directory(&current)?);
                person.stored.extend(rosters(configuration, tenant)?);
            }
            person.tenants.push(scope);
        }
        person.stored.sort();
        person.stored.dedup();
    }
    Ok(RegisterReport {
        persons,
        missing,
        left,
    })
}

/// The search of one store.
struct Search<'a> {
    connector: &'a Connector,
    store: &'a Store,
    ledger: Ledger,
    register: Register,
}

impl Search<'_> {
    fn store(
        &self,
        persons: &mut [PersonReport],
        own: &mut [Vec<OwnRecords>],
        missing: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        let extracts = self.ledger.kept_extracts()?;
        let (extracts, gone): (Vec<_>, Vec<_>) = extracts
            .into_iter()
            .partition(|kept| self.register.path(kept).is_file());
        missing.extend(gone.iter().map(|kept| self.register.path(kept)));
        if extracts.is_empty() {
            return Ok(());
        }
        self.tie(persons, &extracts)?;
        let mut was_found = vec![false; persons.len()];
        for kept in &extracts {
            let found = self.records_in(kept, persons)?;
            for (index, batches) in found.into_iter().enumerate() {
                let (Some(person), Some(own), Some(was_found)) = (
                    persons.get_mut(index),
                    own.get_mut(index),
                    was_found.get_mut(index),
                ) else {
                    continue;
                };
                if batches.is_empty() {
                    continue;
                }
                *was_found = true;
                let delivery = self.delivery(kept, &batches, person)?;
                own.push(own_records(kept, &batches, delivery.published)?);
                let tenants = delivery.tenants.iter().map(|(_, path)| path.clone());
                person.stored.push(delivery.register_file.clone());
                person.stored.extend(delivery.directory.clone());
                person.stored.extend(tenants);
                person.deliveries.push(delivery);
            }
        }
        let current = current_directory(&self.store.dataset)?;
        for (person, _) in persons
            .iter_mut()
            .zip(was_found)
            .filter(|(_, found)| *found)
        {
            person.stored.extend(current.clone());
        }
        Ok(())
    }

    /// Finds the other numbers of the persons.
    fn tie(&self, persons: &mut [PersonReport], extracts: &[KeptExtract]) -> Result<(), Error> {
        let places: Vec<_> = extracts.iter().rev().map(place).collect();
        let paths: Vec<_> = extracts
            .iter()
            .map(|kept| (place(kept), self.register.path(kept)))
            .collect();
        let mut survey = StateScan::new(self.connector).survey(places, move |wanted| {
            let found = paths.iter().find(|(place, _)| place == wanted);
            let (_, path) = found.ok_or(io::ErrorKind::NotFound)?;
            open_file(path)
        })?;
        for person in persons {
            let tied = survey.tied_numbers(&[person.number])?;
            person.other_numbers.extend(tied);
            person.other_numbers.sort();
            person.other_numbers.dedup();
            person.other_numbers.retain(|other| *other != person.number);
        }
        Ok(())
    }

    /// Returns the rows that an extract has of each person.
    fn records_in(
        &self,
        kept: &KeptExtract,
        persons: &[PersonReport],
    ) -> Result<Vec<Vec<TableBatch>>, Error> {
        let all: BTreeSet<Pnr> = persons.iter().flat_map(numbers_of).collect();
        let list: Vec<_> = all
            .iter()
            .map(|one| format!("'{}'", one.as_str()))
            .collect();
        let condition = format!("pnr in ({})", list.join(", "));
        let mut scan = Scan::new(self.connector);
        for table in self.connector.catalog().tables() {
            if table.columns.iter().any(|column| column.name == "pnr") {
                scan = scan.table(&table.name).where_(&condition);
            }
        }
        let path = self.register.path(kept);
        let extract = open_file(&path).map_err(Error::file(&path))?;
        let mut found: Vec<Vec<TableBatch>> = persons.iter().map(|_| Vec::new()).collect();
        for batch in scan.read_all(extract)? {
            let TableBatch { table, batch } = batch?;
            for (person, found) in persons.iter().zip(&mut found) {
                let own = rows_of(&batch, &numbers_of(person).collect());
                if own.num_rows() > 0 {
                    found.push(TableBatch {
                        table: table.clone(),
                        batch: own,
                    });
                }
            }
        }
        Ok(found)
    }

    fn delivery(
        &self,
        kept: &KeptExtract,
        batches: &[TableBatch],
        person: &PersonReport,
    ) -> Result<StoredDelivery, Error> {
        let record = self.ledger.delivery(kept.delivery)?;
        let mut records = BTreeMap::new();
        for batch in batches {
            *records.entry(batch.table.clone()).or_default() += batch.batch.num_rows() as u64;
        }
        let directory = record
            .as_ref()
            .filter(|record| record.expired.is_none())
            .and_then(|record| record.directory.clone())
            .map(|name| delivery_directory(&self.store.dataset, &kept.agreement, &name));
        let mut tenants = Vec::new();
        for tenant in &self.store.tenants {
            let name = tenant.name.as_str();
            let share = self.ledger.tenant_delivery(kept.delivery, name)?;
            let share = share.filter(|share| {
                share.state == TenantDeliveryState::Published && share.expired.is_none()
            });
            let Some(directory) = share.and_then(|share| share.directory) else {
                continue;
            };
            let directory = delivery_directory(&tenant.dataset, &kept.agreement, &directory);
            let wanted = shown_numbers(tenant, &numbers_of(person).collect())?;
            if holds(&directory, &wanted)? {
                tenants.push((name.to_owned(), directory));
            }
        }
        Ok(StoredDelivery {
            agreement: kept.agreement.clone(),
            production_date: kept.production_date.clone(),
            published: record.and_then(|record| record.published),
            records,
            register_file: self.register.path(kept),
            directory: directory.filter(|directory| directory.is_dir()),
            tenants,
        })
    }
}

fn numbers_of(person: &PersonReport) -> impl Iterator<Item = Pnr> {
    [person.number]
        .into_iter()
        .chain(person.other_numbers.iter().copied())
}

fn delivery_directory(dataset: &Path, agreement: &str, name: &str) -> PathBuf {
    dataset.join(format!("agreement={agreement}")).join(name)
}

/// Returns the rows of a batch whose `pnr` is one of the numbers.
fn rows_of(batch: &RecordBatch, numbers: &BTreeSet<Pnr>) -> RecordBatch {
    let own = batch
        .column_by_name("pnr")
        .and_then(|values| values.as_string_opt::<i32>())
        .map(|values| {
            let is_own = |value: Option<&str>| {
                value.is_some_and(|value| numbers.iter().any(|number| number.as_str() == value))
            };
            values
                .iter()
                .map(is_own)
                .map(Some)
                .collect::<BooleanArray>()
        });
    let filtered = own.map(|own| filter_record_batch(batch, &own));
    let empty = || RecordBatch::new_empty(batch.schema());
    filtered.and_then(Result::ok).unwrap_or_else(empty)
}

/// Returns the extract with the rows of one person.
fn own_records(
    kept: &KeptExtract,
    batches: &[TableBatch],
    published: Option<Timestamp>,
) -> Result<OwnRecords, Error> {
    let mut bytes = Vec::new();
    let mut writer = ExtractWriter::new(&mut bytes, &kept.production_date)?;
    for batch in batches {
        writer.write(&batch.table, &batch.batch)?;
    }
    writer.finish()?;
    Ok(OwnRecords {
        place: place(kept),
        published: danish_time(published.unwrap_or(kept.kept)).date(),
        extract: bytes.into(),
    })
}

/// Returns the places of extracts, newest first.
fn places(own: &[OwnRecords]) -> Vec<ExtractPlace> {
    own.iter().rev().map(|own| own.place.clone()).collect()
}

/// Returns a function that opens the extracts.
fn opener(
    own: &[OwnRecords],
) -> impl FnMut(&ExtractPlace) -> io::Result<Cursor<Arc<[u8]>>> + Send + 'static + use<> {
    let own = own.to_vec();
    move |wanted| {
        let found = own.iter().find(|own| own.place == *wanted);
        let found = found.ok_or(io::ErrorKind::NotFound)?;
        Ok(Cursor::new(found.extract.clone()))
    }
}

/// Returns the records that count now.
fn current_records(connector: &Connector, own: &[OwnRecords]) -> Result<Vec<TableBatch>, Error> {
    if own.is_empty() {
        return Ok(Vec::new());
    }
    let batches = StateScan::new(connector).read(places(own), opener(own))?;
    let batches: Result<Vec<_>, _> = batches.collect();
    Ok(batches?)
}

fn tenant_scope(
    connector: &Connector,
    tenant: &Tenant,
    own: &[OwnRecords],
    today: Date,
) -> Result<TenantScope, Error> {
    let policy = tenant.policy()?;
    let key = tenant.pseudonym_key()?;
    let mut seen: Vec<OwnRecords> = own.to_vec();
    seen.retain(|own| tenant.sees(&own.place.agreement));
    let is_in_scope = |day: Date| -> Result<bool, Error> {
        let mut known = seen.clone();
        known.retain(|own| own.published <= day);
        if known.is_empty() {
            return Ok(false);
        }
        let mut scan = StateScan::new(connector).policy(&policy);
        if policy.day.is_none() {
            scan = scan.day(day.to_string());
        }
        if let Some(key) = &key {
            scan = scan.pseudonym_key(key.clone());
        }
        let batches = scan.read(places(&known), opener(&known))?;
        Ok(batches
            .selected()
            .is_some_and(|selected| selected.persons > 0))
    };
    let changes: BTreeSet<Date> = seen.iter().map(|own| own.published).collect();
    let since = in_scope_since(&changes, today, is_in_scope)?;
    Ok(TenantScope {
        tenant: tenant.name.to_string(),
        in_scope: since.is_some(),
        since,
        is_without_numbers: is_without_numbers(&policy),
    })
}

/// Returns the day since which a person is in scope without a break. `changes` are the days on which records came; between
/// them only the age changes.
fn in_scope_since(
    changes: &BTreeSet<Date>,
    today: Date,
    is_in_scope: impl Fn(Date) -> Result<bool, Error>,
) -> Result<Option<Date>, Error> {
    let mut since = None;
    let mut end = today;
    for start in changes
        .iter()
        .rev()
        .copied()
        .filter(|start| *start <= today)
    {
        if !is_in_scope(end)? {
            break;
        }
        let (mut out, mut inside) = (start, end);
        if is_in_scope(start)? {
            inside = start;
        }
        // The person came into scope between two days: out of it on the first, in it on the second.
        while inside > start && out.tomorrow().is_ok_and(|next| next < inside) {
            let days = out.until(inside).map(|span| span.get_days());
            let half = days.unwrap_or_default() / 2;
            let Ok(middle) = out.checked_add(half.days()) else {
                break;
            };
            match is_in_scope(middle)? {
                true => inside = middle,
                false => out = middle,
            }
        }
        since = Some(inside);
        let Ok(before) = start.yesterday() else { break };
        if inside > start {
            break;
        }
        end = before;
    }
    Ok(since)
}

fn is_without_numbers(policy: &Policy) -> bool {
    policy.numbers == NumberRule::Drop
}

/// Returns what stands for the numbers in a tenant's tables.
fn shown_numbers(tenant: &Tenant, numbers: &BTreeSet<Pnr>) -> Result<BTreeSet<String>, Error> {
    let texts = numbers.iter().map(|number| number.as_str().to_owned());
    match (tenant.rules.numbers, &tenant.key) {
        (NumberRule::Pseudonym, Some(source)) => {
            let secret = source.read()?;
            let pseudonym = |text: String| {
                // HMAC takes a key of any length.
                let mut hash = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
                hash.update(text.as_bytes());
                Some(base16ct::lower::encode_string(
                    &hash.finalize().into_bytes(),
                ))
            };
            Ok(texts.filter_map(pseudonym).collect())
        }
        _ => Ok(texts.collect()),
    }
}

/// Returns whether a table in a directory has a row with one of these values in `pnr`.
fn holds(directory: &Path, values: &BTreeSet<String>) -> Result<bool, Error> {
    for path in entries(directory)? {
        if path
            .extension()
            .is_none_or(|extension| extension != "parquet")
        {
            continue;
        }
        let unreadable = |error: String| Error::Dataset {
            path: path.clone(),
            what: format!("the table cannot be read: {error}"),
        };
        let file = File::open(&path).map_err(Error::file(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        let reader = builder.and_then(ParquetRecordBatchReaderBuilder::build);
        for batch in reader.map_err(|error| unreadable(error.to_string()))? {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            let numbers = batch.column_by_name("pnr");
            let numbers = numbers.and_then(|numbers| numbers.as_string_opt::<i32>());
            let mut found = numbers
                .into_iter()
                .flat_map(|numbers| numbers.iter().flatten());
            if found.any(|number| values.contains(number)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns the directory of the current tables of a dataset, if it has some.
fn current_directory(dataset: &Path) -> Result<Option<PathBuf>, Error> {
    let exists = Dataset::at(dataset).is_some_and(|dataset| dataset.exists());
    match current_generation(dataset) {
        Ok(Some(number)) if exists => Ok(Some(generation_directory(dataset, number))),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the directories with the lists of a tenant's persons.
fn rosters(configuration: &Configuration, tenant: &Tenant) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for store in &configuration.stores {
        for directory in ["rosters", GENERATIONS] {
            let path = store.state.join(directory).join(tenant.name.as_str());
            if !entries(&path)?.is_empty() {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn serialize_number<S: Serializer>(number: &Pnr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(number.as_str())
}

fn serialize_numbers<S: Serializer>(numbers: &[Pnr], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers.iter().map(Pnr::as_str))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn finds_the_day_since_which_a_person_is_in_scope() {
        let changes = BTreeSet::from([date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1)]);
        let since = |is_in: fn(Date) -> bool| {
            in_scope_since(&changes, date(2026, 4, 1), |day| Ok(is_in(day))).unwrap()
        };
        assert_eq!(since(|_| true), Some(date(2026, 1, 1)));
        assert_eq!(since(|_| false), None);
        assert_eq!(since(|day| day >= date(2026, 2, 1)), Some(date(2026, 2, 1)));
        // By age, between two deliveries.
        for day in [date(2026, 2, 2), date(2026, 2, 17), date(2026, 2, 28)] {
            let found = in_scope_since(&changes, date(2026, 4, 1), |one| Ok(one >= day)).unwrap();
            assert_eq!(found, Some(day));
        }
        assert_eq!(since(|day| day >= date(2026, 4, 1)), Some(date(2026, 4, 1)));
        assert_eq!(since(|day| day < date(2026, 4, 1)), None);
        // Out of scope in February.
        let is_in = |day: Date| day.month() != 2;
        assert_eq!(since(is_in), Some(date(2026, 3, 1)));
    }
}
