//! Finds the files and directories that have data of persons, apart from the kept extracts: in the state directory, and in the
//! datasets. What cannot be searched is named, because an answer must not say that nothing is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::array::AsArray;
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::Sha256;

use crate::config::Store;
use crate::dataset::{Dataset, GenerationManifest, current_generation, generation_directory};
use crate::erase::files_with;
use crate::error::Error;
use crate::fs::{ask_disks, entries};
use crate::integrity::{GONE, has_no_tables};
use crate::ledger::{AdoptedDataset, Ledger, Reason};
use crate::tenant::Tenant;
use crate::unmounted::empty_datasets;
use cprflow::policy::NumberRule;
use cprflow::{Connector, Pnr};

/// The time in which a disk must say whether it has tables.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// The column with the number of the person of a row.
const NUMBER: &str = "pnr";

/// Where data of persons was found in a store, and what could not be searched. Persons are named by their place in the list.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The files and directories, each with the persons.
    pub(super) stored: Vec<(PathBuf, BTreeSet<usize>)>,
    /// The deliveries in the datasets of tenants that have one of the persons, or that have no numbers.
    pub(super) shares: Vec<Share>,
    /// The generations of tenants that have no numbers.
    pub(super) unnumbered: Vec<UnnumberedGeneration>,
    /// The datasets that are not there, or whose disks do not respond.
    pub(super) absent: BTreeSet<PathBuf>,
    /// What could not be searched, in words.
    pub(super) left: Vec<String>,
}

/// A delivery in a tenant's dataset.
#[derive(Debug)]
pub(super) struct Share {
    /// The row ID of the delivery.
    pub(super) delivery: i64,
    pub(super) tenant: String,
    pub(super) directory: PathBuf,
    /// The persons who have rows in it.
    pub(super) persons: BTreeSet<usize>,
    /// Whether the tables have no numbers, so that they do not tell who is in them.
    pub(super) is_unnumbered: bool,
}

/// A generation of a tenant's current tables without numbers.
#[derive(Debug)]
pub(super) struct UnnumberedGeneration {
    pub(super) tenant: String,
    pub(super) directory: PathBuf,
    /// The day for which the persons were judged; `None` if the manifest does not tell.
    pub(super) day: Option<Date>,
}

/// What the tables in a directory have.
#[derive(Debug, Default)]
struct Content {
    /// The persons who have rows.
    persons: BTreeSet<usize>,
    has_tables: bool,
    /// Whether a table has numbers of persons.
    has_numbers: bool,
}

impl Content {
    fn is_unnumbered(&self) -> bool {
        self.has_tables && !self.has_numbers
    }
}

/// What stands for persons in tables, each with the persons.
type Wanted = BTreeMap<String, BTreeSet<usize>>;

/// Searches a store. `searched` are the deliveries whose extracts the register has: their records tell which persons the
/// deliveries of the unrestricted dataset have.
pub(super) fn search(
    connector: &Connector,
    store: &Store,
    ledger: &Ledger,
    persons: &[BTreeSet<Pnr>],
    searched: &BTreeSet<i64>,
) -> Result<Places, Error> {
    let mut places = Places::default();
    places.name_absent(store, ledger)?;
    places.state_directory(connector, store, persons)?;
    let wanted = wanted(persons, |number| vec![number.as_str().to_owned()]);
    if !places.absent.contains(&store.dataset) {
        places.unrestricted_deliveries(store, ledger, searched, &wanted)?;
        places.generations(&store.dataset, None, &wanted);
    }
    for tenant in &store.tenants {
        if !places.absent.contains(&tenant.dataset) {
            let wanted = shown_numbers(tenant, persons)?;
            places.shares(tenant, ledger, &wanted)?;
            places.generations(&tenant.dataset, Some(tenant), &wanted);
        }
    }
    Ok(places)
}

impl Places {
    /// Returns the files and directories that have data of a person.
    pub(super) fn of(&self, person: usize) -> impl Iterator<Item = PathBuf> {
        let stored = self.stored.iter();
        let stored = stored
            .filter(move |(_, persons)| persons.contains(&person))
            .map(|(path, _)| path.clone());
        let shares = self.shares.iter();
        let shares = shares
            .filter(move |share| share.persons.contains(&person))
            .map(|share| share.directory.clone());
        stored.chain(shares)
    }

    /// Names the datasets that are not there although something was published in them.
    fn name_absent(&mut self, store: &Store, ledger: &Ledger) -> Result<(), Error> {
        for empty in empty_datasets(store, ledger)? {
            self.left.push(empty.to_string());
            self.absent.insert(empty.path);
        }
        // With `publish = ["current"]`, a dataset has no deliveries.
        let mut datasets = vec![(AdoptedDataset::Dataset, &store.dataset)];
        for tenant in &store.tenants {
            let name = AdoptedDataset::Tenant(tenant.name.as_str());
            datasets.push((name, &tenant.dataset));
        }
        datasets.retain(|(_, path)| !self.absent.contains(*path));
        let questions = datasets.iter().map(|(_, path)| {
            let path = (*path).clone();
            move || has_no_tables(&path)
        });
        let answers = ask_disks(DISK_TIMEOUT, questions);
        for ((dataset, path), answer) in datasets.into_iter().zip(answers) {
            let is_made = ledger
                .generation(dataset)?
                .is_some_and(|one| one.is_current);
            let shown = path.display();
            match answer {
                Some(false) => continue,
                None => self
                    .left
                    .push(format!("the dataset {shown}: its disk does not respond")),
                Some(true) if is_made => {
                    self.left.push(format!(
                        "the dataset {shown}: it has no tables, although current tables were made there. Its disk may not \
                         be mounted"
                    ));
                }
                Some(true) => {}
            }
            self.absent.insert(path.clone());
        }
        Ok(())
    }

    /// Searches the extracts in progress, the lists of persons and the snapshots of a state directory.
    fn state_directory(
        &mut self,
        connector: &Connector,
        store: &Store,
        persons: &[BTreeSet<Pnr>],
    ) -> Result<(), Error> {
        let all: BTreeSet<Pnr> = persons.iter().flatten().copied().collect();
        let files = files_with(connector, store, &all)?;
        self.left.extend(files.unread);
        for (path, numbers) in files.found {
            let own = persons.iter().enumerate();
            let own = own.filter(|(_, own)| !own.is_disjoint(&numbers));
            let found = own.map(|(index, _)| index).collect();
            self.stored.push((path, found));
        }
        Ok(())
    }

    /// Searches the deliveries of the unrestricted dataset whose extracts the register does not have, and names those that are
    /// gone.
    fn unrestricted_deliveries(
        &mut self,
        store: &Store,
        ledger: &Ledger,
        searched: &BTreeSet<i64>,
        wanted: &Wanted,
    ) -> Result<(), Error> {
        for record in ledger.all()? {
            let name = record.directory.as_ref();
            let Some(name) = name.filter(|_| record.expired.is_none()) else {
                continue;
            };
            let directory = delivery_directory(&store.dataset, &record.agreement, name);
            if !directory.is_dir() {
                self.name_gone(
                    &directory,
                    record.state.is_published(),
                    record.reason.as_ref(),
                );
            } else if !searched.contains(&record.id)
                && let Some(content) = self.content(&directory, wanted)
                && !content.persons.is_empty()
            {
                self.stored.push((directory, content.persons));
            }
        }
        Ok(())
    }

    /// Searches the deliveries of a tenant, and names those that are gone.
    fn shares(&mut self, tenant: &Tenant, ledger: &Ledger, wanted: &Wanted) -> Result<(), Error> {
        let mut shares = ledger.tenant_deliveries()?;
        shares.retain(|share| share.tenant == tenant.name.as_str() && share.expired.is_none());
        for share in shares {
            let Some(name) = &share.directory else {
                continue;
            };
            let directory = delivery_directory(&tenant.dataset, &share.agreement, name);
            if !directory.is_dir() {
                self.name_gone(&directory, share.published.is_some(), share.reason.as_ref());
                continue;
            }
            let Some(content) = self.content(&directory, wanted) else {
                continue;
            };
            let is_unnumbered = content.is_unnumbered();
            if !content.persons.is_empty() || is_unnumbered {
                self.shares.push(Share {
                    delivery: share.delivery,
                    tenant: share.tenant,
                    directory,
                    persons: content.persons,
                    is_unnumbered,
                });
            }
        }
        Ok(())
    }

    /// Searches all generations of a dataset: older ones stay for a while.
    fn generations(&mut self, dataset: &Path, tenant: Option<&Tenant>, wanted: &Wanted) {
        let numbers = Dataset::at(dataset).map(|dataset| dataset.generations());
        let numbers = match numbers.transpose() {
            Ok(numbers) => numbers.unwrap_or_default(),
            Err(error) => {
                self.left.push(error.to_string());
                return;
            }
        };
        for number in numbers {
            let directory = generation_directory(dataset, number);
            let Some(content) = self.content(&directory, wanted) else {
                continue;
            };
            if let Some(tenant) = tenant.filter(|_| content.is_unnumbered()) {
                let manifest = GenerationManifest::read(&directory).ok().flatten();
                self.unnumbered.push(UnnumberedGeneration {
                    tenant: tenant.name.to_string(),
                    directory,
                    day: manifest.and_then(|manifest| manifest.day.parse().ok()),
                });
            } else if !content.persons.is_empty() {
                self.stored.push((directory, content.persons));
            }
        }
    }

    /// Reads the tables in a directory. Names it and returns `None` if it cannot be read.
    fn content(&mut self, directory: &Path, wanted: &Wanted) -> Option<Content> {
        match read_content(directory, wanted) {
            Ok(content) => Some(content),
            Err(error) => {
                self.left.push(error.to_string());
                None
            }
        }
    }

    /// Names a delivery whose directory is gone, unless a person has accepted that or it was never complete.
    fn name_gone(&mut self, directory: &Path, was_published: bool, reason: Option<&Reason>) {
        let is_accepted = reason.is_some_and(|reason| reason.code == GONE);
        if was_published && !is_accepted {
            self.left.push(format!(
                "the directory {} of a published delivery is gone. Restore it, or accept the loss with `cprflow set-aside --gone \
                 --reason TEXT`",
                directory.display()
            ));
        }
    }
}

pub(super) fn delivery_directory(dataset: &Path, agreement: &str, name: &str) -> PathBuf {
    dataset.join(format!("agreement={agreement}")).join(name)
}

/// Returns the directory of the current tables of a dataset, if it has some.
pub(super) fn current_directory(dataset: &Path) -> Result<Option<PathBuf>, Error> {
    let exists = Dataset::at(dataset).is_some_and(|dataset| dataset.exists());
    match current_generation(dataset) {
        Ok(Some(number)) if exists => Ok(Some(generation_directory(dataset, number))),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    }
}

fn wanted(persons: &[BTreeSet<Pnr>], texts: impl Fn(&Pnr) -> Vec<String>) -> Wanted {
    let mut wanted = Wanted::new();
    for (index, numbers) in persons.iter().enumerate() {
        for text in numbers.iter().flat_map(&texts) {
            wanted.entry(text).or_default().insert(index);
        }
    }
    wanted
}

/// Returns what stands for the persons in a tenant's tables. The policy can have been another one before, so the numbers
/// themselves are searched too.
fn shown_numbers(tenant: &Tenant, persons: &[BTreeSet<Pnr>]) -> Result<Wanted, Error> {
    let secret = match (tenant.rules.numbers, &tenant.key) {
        (NumberRule::Pseudonym, Some(source)) => Some(source.read()?),
        _ => None,
    };
    let pseudonym = |number: &Pnr| {
        let secret = secret.as_ref()?;
        // HMAC takes a key of any length.
        let mut hash = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
        hash.update(number.as_str().as_bytes());
        Some(base16ct::lower::encode_string(
            &hash.finalize().into_bytes(),
        ))
    };
    Ok(wanted(persons, |number| {
        let mut texts = vec![number.as_str().to_owned()];
        texts.extend(pseudonym(number));
        texts
    }))
}

/// Reads the numbers in all tables in a directory.
fn read_content(directory: &Path, wanted: &Wanted) -> Result<Content, Error> {
    let mut content = Content::default();
    for path in entries(directory)? {
        if path
            .extension()
            .is_none_or(|extension| extension != "parquet")
        {
            continue;
        }
        content.has_tables = true;
        let unreadable = |error: String| Error::Dataset {
            path: path.clone(),
            what: format!("the table cannot be read: {error}"),
        };
        let file = File::open(&path).map_err(Error::file(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file);
        let builder = builder.map_err(|error| unreadable(error.to_string()))?;
        if builder.schema().index_of(NUMBER).is_err() {
            continue;
        }
        content.has_numbers = true;
        let mask = ProjectionMask::columns(builder.parquet_schema(), [NUMBER]);
        let reader = builder.with_projection(mask).build();
        for batch in reader.map_err(|error| unreadable(error.to_string()))? {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            let numbers = batch.column_by_name(NUMBER);
            let numbers = numbers.and_then(|numbers| numbers.as_string_opt::<i32>());
            let numbers = numbers.into_iter().flat_map(|numbers| numbers.iter());
            for persons in numbers.flatten().filter_map(|number| wanted.get(number)) {
                content.persons.extend(persons);
            }
        }
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Pnr {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_can_be_of_several_persons() {
        let (alice, berta) = (number("0101010010"), number("0101010029"));
        let persons = [BTreeSet::from([alice]), BTreeSet::from([alice, berta])];
        let wanted = wanted(&persons, |number| vec![number.as_str().to_owned()]);
        assert_eq!(wanted["0101010010"], BTreeSet::from([0, 1]));
        assert_eq!(wanted["0101010029"], BTreeSet::from([1]));
    }

    #[test]
    fn names_a_table_that_cannot_be_read() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("person.parquet"), "damaged").unwrap();
        let mut places = Places::default();
        assert!(places.content(place.path(), &Wanted::new()).is_none());
        let [left] = &places.left[..] else {
            panic!("{:?}", places.left);
        };
        assert!(left.contains("person.parquet"), "{left}");
    }
}
