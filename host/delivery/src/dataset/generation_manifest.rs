//! The manifest of a generation of the current tables, `_generation.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::DeliveryFile;
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
    /// one of the latest day before. Left out if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared_with: Option<u64>,
    /// The time at which the generation was made, in UTC (RFC 3339).
    pub made: String,
    /// The extracts from which the tables were made, in the order in which they apply; the newest is last.
    pub extracts: Vec<GenerationExtract>,
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
            made: String::new(),
            extracts: Vec::new(),
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

impl GenerationManifest {
    /// Writes the manifest durably into the directory of its generation.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self)
            .map_err(io::Error::other)
            .map_err(Error::file(&path))?;
        write_private_file(&path, &text)
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
}
