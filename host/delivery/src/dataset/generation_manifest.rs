//! The manifest of a generation of the current tables, `_generation.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{CheckDepth, DeliveryFile, compare_file};
use super::generations::{current_generation, generation_directory};
use super::manifest::ComponentIdentity;
use crate::error::Error;
use crate::fs::write_private_file;

/// The name of the manifest's file in the directory of its generation.
const MANIFEST: &str = "_generation.json";

/// The version of the manifest's format.
const FORMAT: u32 = 1;

/// The manifest of a generation of the current tables (`_generation.json`). It holds no value of a person's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationManifest {
    /// The version of the format: 1.
    pub format: u32,
    /// The number of the generation.
    pub number: u64,
    /// The day for which the persons were judged, `YYYY-MM-DD`: the Danish calendar date. It never goes back.
    pub day: String,
    /// The number of the generation with which the persons were compared for `into_scope` and `out_of_scope`: the last
    /// one of the latest day before. Left out if there was none. 0 stands for the persons in scope after the deliveries
    /// that were published before there were current tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<u64>,
    /// The day of a generation whose `out_of_scope` lacks the persons who left before it, because the list of those who
    /// were in scope was lost. A program that read `out_of_scope` last before this day must compare all persons with
    /// `person` once. Left out if that never happened, or if a person has accepted it (`cprflow tenant accept`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_since: Option<String>,
    /// The time at which the generation was made, in UTC (RFC 3339).
    pub made: String,
    /// The extracts from which the tables were made, in the order in which they apply; the newest is last.
    pub extracts: Vec<GenerationExtract>,
    /// The agreements whose protections count although the tenant may no longer see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_agreements: Vec<String>,
    /// A digest of everything that the tables depend on, except the day.
    pub inputs: String,
    /// The number of persons in scope.
    pub persons: u64,
    /// The number of those who were not in scope before.
    pub entered: u64,
    /// The number of persons who were in scope before and no longer are.
    pub left: u64,
    /// The number of rows per table.
    pub rows: BTreeMap<String, u64>,
    /// The files of the generation by name, without the manifest.
    pub files: BTreeMap<String, DeliveryFile>,
    /// The component that read the extracts.
    pub component: ComponentIdentity,
    /// `unrestricted`, or `sha256:` and the digest of the tenant's policy.
    pub policy: String,
    /// The purposes of the processing, each once.
    pub purposes: Vec<String>,
    /// The legal bases (hjemler) of the processing, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legal_bases: Vec<String>,
    /// The purposes of showing church membership; empty if it is not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub church_purposes: Vec<String>,
    /// The tenant's name; left out in the unrestricted dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The program that wrote the manifest, and its version.
    pub written_by: String,
}

/// An extract from which a generation was made. For a tenant it has no size and no digest: they tell about hidden rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GenerationExtract {
    /// The agreement's name.
    pub agreement: String,
    /// The day that orders the extracts, `YYYY-MM-DD`.
    pub production_date: String,
    /// The sequence number of the delivery, in the unrestricted dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The SHA-256 of the extract as it was delivered, in the unrestricted dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl Default for GenerationManifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            number: 0,
            day: String::new(),
            compared_with: None,
            compare_since: None,
            made: String::new(),
            extracts: Vec::new(),
            former_agreements: Vec::new(),
            inputs: String::new(),
            persons: 0,
            entered: 0,
            left: 0,
            rows: BTreeMap::new(),
            files: BTreeMap::new(),
            component: ComponentIdentity {
                sha256: String::new(),
            },
            policy: String::new(),
            purposes: Vec::new(),
            legal_bases: Vec::new(),
            church_purposes: Vec::new(),
            tenant: None,
            written_by: concat!("cprflow ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A generation of the current tables of a dataset, for reading. The link `current` was resolved once, so that all its
/// tables belong together.
#[derive(Debug, Clone)]
pub struct DatasetGeneration {
    /// The directory of the generation.
    pub directory: PathBuf,
    /// The manifest.
    pub manifest: GenerationManifest,
}

/// How often the link is resolved again if its generation was removed meanwhile.
const ATTEMPTS: usize = 3;

impl DatasetGeneration {
    /// Opens the generation that `current` of a dataset leads to; `None` if there is none.
    pub fn open(dataset: &Path) -> Result<Option<Self>, Error> {
        for _ in 0..ATTEMPTS {
            let Some(number) = current_generation(dataset)? else {
                return Ok(None);
            };
            let directory = generation_directory(dataset, number);
            if let Some(manifest) = GenerationManifest::read(&directory)? {
                return Ok(Some(Self {
                    directory,
                    manifest,
                }));
            }
        }
        Ok(None)
    }
}

impl GenerationManifest {
    /// Writes the manifest durably into the directory of its generation.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self)
            .map_err(io::Error::other)
            .map_err(Error::file(&path))?;
        write_private_file(&path, &text)
    }

    /// Reads the manifest of the generation that `current` of a dataset leads to; `None` if there is none.
    pub(crate) fn current(dataset: &Path) -> Result<Option<Self>, Error> {
        match current_generation(dataset)? {
            Some(number) => Self::read(&generation_directory(dataset, number)),
            None => Ok(None),
        }
    }

    /// Reads the manifest in the directory of a generation; `None` if there is none.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file(path)(error)),
        };
        let manifest: Option<Self> = serde_json::from_slice(&text).ok();
        Ok(manifest.filter(|manifest| manifest.format == FORMAT))
    }

    /// Returns what is missing or was changed in the directory of a generation, in words. Sizes are compared, and digests
    /// too if the depth says so.
    pub(crate) fn damage(directory: &Path, depth: CheckDepth) -> Vec<String> {
        match Self::read(directory) {
            Ok(Some(manifest)) => {
                let files = manifest.files.iter();
                let compared = files.filter_map(|(name, file)| {
                    Some(compare_file(directory, name, Some(file), depth)?.to_string())
                });
                compared.collect()
            }
            Ok(None) => vec![format!("{MANIFEST} is gone or is not readable")],
            Err(error) => vec![error.to_string()],
        }
    }
}
