//! Finds everything that is kept of persons, for the right of access (GDPR, article 15).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Serialize, Serializer};

use super::place;
use super::scope::{OwnRecords, Scope, current_records};
use super::stored::{self, Places, UnnumberedGeneration, current_directory, delivery_directory};
use crate::calendar::danish_time;
use crate::config::{Configuration, Store};
use crate::error::Error;
use crate::ledger::{KeptExtract, Ledger};
use crate::register::{Register, open_file};
use cprflow::{Connector, Pnr, Scan, StateScan, TableBatch};

/// Everything that is kept of several persons.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    /// The persons, in the order of their numbers.
    pub persons: Vec<PersonReport>,
    /// Extracts that could not be searched, because their files are gone or were changed.
    pub missing: Vec<PathBuf>,
    /// What was not searched, in words: data that no tenant of the configuration has any more, datasets that are not there, and
    /// files that cannot be read.
    pub left: Vec<String>,
}

impl RegisterReport {
    /// Returns whether everything was searched.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.left.is_empty()
    }
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

/// What was found of one person in the registers.
#[derive(Default)]
struct Found {
    own: Vec<OwnRecords>,
    unnumbered: Vec<UnnumberedDelivery>,
}

/// A tenant's delivery without numbers, made from an extract that has the person. The scope tells whether it has the person.
struct UnnumberedDelivery {
    /// The place in [`PersonReport::deliveries`].
    index: usize,
    tenant: String,
    directory: PathBuf,
    /// The day of publication.
    day: Date,
}

/// Returns everything that is kept of these persons and under their other numbers.
pub fn show_persons(
    connector: &Connector,
    configuration: &Configuration,
    numbers: &BTreeSet<Pnr>,
    today: Date,
) -> Result<RegisterReport, Error> {
    let mut report = RegisterReport {
        persons: numbers.iter().copied().map(PersonReport::new).collect(),
        missing: Vec::new(),
        left: Vec::new(),
    };
    let mut searches = Vec::new();
    for store in &configuration.stores {
        let Some(ledger) = Ledger::open_to_read(&store.state)? else {
            report.left.push(format!(
                "the state directory {}: it has no ledger. If deliveries were processed there, its disk may not be mounted",
                store.state.display()
            ));
            continue;
        };
        report.left.extend(crate::erase::left(store, &ledger)?);
        let search = Search::new(connector, store, ledger)?;
        search.tie(&mut report.persons)?;
        searches.push(search);
    }
    let numbers: Vec<BTreeSet<Pnr>> = report
        .persons
        .iter()
        .map(|person| numbers_of(person).collect())
        .collect();
    let mut found: Vec<Found> = numbers.iter().map(|_| Found::default()).collect();
    let (mut generations, mut absent) = (Vec::new(), BTreeSet::new());
    for search in &searches {
        let extracts = search.extracts.iter();
        let searched: BTreeSet<i64> = extracts.map(|kept| kept.delivery).collect();
        let (store, ledger) = (search.store, &search.ledger);
        let places = stored::search(connector, store, ledger, &numbers, &searched)?;
        search.records(&mut report.persons, &mut found, &places)?;
        search.name_missing(&mut report, &places, &searched)?;
        for (index, person) in report.persons.iter_mut().enumerate() {
            person.stored.extend(places.of(index));
        }
        report.left.extend(places.left);
        generations.extend(places.unnumbered);
        absent.extend(places.absent);
    }
    for (person, found) in report.persons.iter_mut().zip(&mut found) {
        // Numbered by the order of applying.
        found.own.sort_by(|one, other| one.place.cmp(&other.place));
        for (index, own) in found.own.iter_mut().enumerate() {
            own.place.sequence = index as u64 + 1;
        }
        person.records = current_records(connector, &found.own)?;
        for tenant in configuration.tenants() {
            let scope = Scope::new(connector, tenant, &found.own)?;
            let name = tenant.name.as_str();
            let since = scope.since(today)?;
            if since.is_some() && !absent.contains(&tenant.dataset) {
                person.stored.extend(current_directory(&tenant.dataset)?);
            }
            person.add_unnumbered(name, &scope, found, &generations)?;
            person.tenants.push(TenantScope {
                tenant: name.to_owned(),
                in_scope: since.is_some(),
                since,
                is_without_numbers: scope.is_without_numbers(),
            });
        }
        person.stored.sort();
        person.stored.dedup();
    }
    report.left.sort();
    report.left.dedup();
    Ok(report)
}

impl PersonReport {
    fn new(number: Pnr) -> Self {
        Self {
            number,
            other_numbers: Vec::new(),
            records: Vec::new(),
            deliveries: Vec::new(),
            tenants: Vec::new(),
            stored: Vec::new(),
        }
    }

    /// Adds the deliveries and generations of a tenant without numbers that were made while the person was in scope.
    fn add_unnumbered(
        &mut self,
        tenant: &str,
        scope: &Scope<'_>,
        found: &Found,
        generations: &[UnnumberedGeneration],
    ) -> Result<(), Error> {
        for share in found.unnumbered.iter().filter(|one| one.tenant == tenant) {
            if !scope.has_around(share.day)? {
                continue;
            }
            let one = (share.tenant.clone(), share.directory.clone());
            self.stored.push(share.directory.clone());
            if let Some(delivery) = self.deliveries.get_mut(share.index)
                && !delivery.tenants.contains(&one)
            {
                delivery.tenants.push(one);
            }
        }
        for generation in generations.iter().filter(|one| one.tenant == tenant) {
            // Without a day, the generation counts: it may have the person.
            let is_in_scope = match generation.day {
                Some(day) => scope.has_around(day)?,
                None => true,
            };
            if is_in_scope {
                self.stored.push(generation.directory.clone());
            }
        }
        Ok(())
    }
}

/// The search of one store.
struct Search<'a> {
    connector: &'a Connector,
    store: &'a Store,
    ledger: Ledger,
    register: Register,
    /// The extracts that the register must have.
    all: Vec<KeptExtract>,
    /// Those whose files are as they were written.
    extracts: Vec<KeptExtract>,
}

impl<'a> Search<'a> {
    fn new(connector: &'a Connector, store: &'a Store, ledger: Ledger) -> Result<Self, Error> {
        let register = Register::of(&store.state);
        let all = ledger.kept_extracts()?;
        let mut extracts = Vec::new();
        for kept in &all {
            if register.is_whole(kept)? {
                extracts.push(kept.clone());
            }
        }
        Ok(Self {
            connector,
            store,
            ledger,
            register,
            all,
            extracts,
        })
    }

    /// Adds the records of the persons, and the deliveries that had them.
    fn records(
        &self,
        persons: &mut [PersonReport],
        found: &mut [Found],
        places: &Places,
    ) -> Result<(), Error> {
        for kept in &self.extracts {
            let rows = self.records_in(kept, persons)?;
            let reports = persons.iter_mut().zip(found.iter_mut()).enumerate();
            for ((index, (person, found)), batches) in reports.zip(rows) {
                if batches.is_empty() {
                    continue;
                }
                let delivery = self.delivery(kept, &batches, index, places)?;
                let day = danish_time(delivery.published.unwrap_or(kept.kept)).date();
                let shares = places
                    .shares
                    .iter()
                    .filter(|share| share.is_unnumbered && share.delivery == kept.delivery);
                let unnumbered = shares.map(|share| UnnumberedDelivery {
                    index: person.deliveries.len(),
                    tenant: share.tenant.clone(),
                    directory: share.directory.clone(),
                    day,
                });
                found.unnumbered.extend(unnumbered);
                found
                    .own
                    .push(OwnRecords::new(kept, &batches, delivery.published)?);
                person.stored.push(delivery.register_file.clone());
                person.stored.extend(delivery.directory.clone());
                person.deliveries.push(delivery);
            }
        }
        Ok(())
    }

    /// Names the extracts that could not be searched, and what cannot be told without them.
    fn name_missing(
        &self,
        report: &mut RegisterReport,
        places: &Places,
        searched: &BTreeSet<i64>,
    ) -> Result<(), Error> {
        let gone = self.all.iter().filter(|kept| !self.extracts.contains(kept));
        report
            .missing
            .extend(gone.map(|kept| self.register.path(kept)));
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.ledger.missing_in_register()? {
            *counts.entry(record.agreement).or_default() += 1;
        }
        for (agreement, count) in counts {
            report.left.push(format!(
                "the extracts of {count} published deliveries of agreement {agreement}: the register does not have them"
            ));
        }
        let unnumbered = places.shares.iter().filter(|share| share.is_unnumbered);
        for share in unnumbered.filter(|share| !searched.contains(&share.delivery)) {
            report.left.push(format!(
                "the delivery {} of tenant {}: it has no person numbers, and the register does not have its extract",
                share.directory.display(),
                share.tenant
            ));
        }
        // A run that works at the same time moves extracts from the spool to the register.
        if self.ledger.kept_extracts()? != self.all {
            report.left.push(format!(
                "the register in {}: it changed while it was searched. Run the command again",
                self.store.state.display()
            ));
        }
        Ok(())
    }

    /// Finds the other numbers of the persons.
    fn tie(&self, persons: &mut [PersonReport]) -> Result<(), Error> {
        if self.extracts.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = self.extracts.iter().rev().map(place).collect();
        let paths: Vec<_> = self
            .extracts
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
        person: usize,
        places: &Places,
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
        let is_there = !places.absent.contains(&self.store.dataset);
        let shares = places.shares.iter();
        let shares = shares
            .filter(|share| share.delivery == kept.delivery && share.persons.contains(&person));
        let tenants = shares.map(|share| (share.tenant.clone(), share.directory.clone()));
        Ok(StoredDelivery {
            agreement: kept.agreement.clone(),
            production_date: kept.production_date.clone(),
            published: record.and_then(|record| record.published),
            records,
            register_file: self.register.path(kept),
            directory: directory.filter(|directory| is_there && directory.is_dir()),
            tenants: tenants.collect(),
        })
    }
}

fn numbers_of(person: &PersonReport) -> impl Iterator<Item = Pnr> {
    [person.number]
        .into_iter()
        .chain(person.other_numbers.iter().copied())
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

fn serialize_number<S: Serializer>(number: &Pnr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(number.as_str())
}

fn serialize_numbers<S: Serializer>(numbers: &[Pnr], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(numbers.iter().map(Pnr::as_str))
}
