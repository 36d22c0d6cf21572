//! The files of a delivery, as its manifest lists them, and how they differ from those on the disk.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::manifest::Manifest;
use crate::error::Error;
use crate::fs::{Digesting, entries};
use cprflow_transport::redacted_name;

/// A file of a published delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFile {
    /// The size in bytes.
    pub size: u64,
    /// The SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
}

/// How thoroughly published deliveries are compared with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckDepth {
    /// Looks for the directories of the deliveries.
    Directories,
    /// Compares names and sizes.
    Sizes,
    /// Reads every file and compares its digest too.
    Digests,
}

/// A difference between a delivery as it was published and its directory on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The directory does not exist.
    DirectoryGone,
    /// The manifest does not exist.
    ManifestGone,
    /// The manifest is not readable as one.
    ManifestUnreadable,
    /// The manifest is that of another delivery.
    OtherDelivery,
    /// A file does not exist.
    FileGone {
        /// The name of the file.
        name: String,
    },
    /// A file has another size.
    FileSize {
        /// The name of the file.
        name: String,
        /// The size that was published, in bytes.
        published: u64,
        /// The size on the disk, in bytes.
        found: u64,
    },
    /// A file has other bytes of the same number.
    FileChanged {
        /// The name of the file.
        name: String,
    },
    /// A table was added to the directory.
    FileAdded {
        /// The name of the file.
        name: String,
    },
    /// A file or the directory cannot be read.
    Unreadable {
        /// The name of the file; empty for the directory.
        name: String,
        /// The operating system's error.
        error: String,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DirectoryGone => f.write_str("the directory is gone"),
            Self::ManifestGone => f.write_str("_delivery.json is gone"),
            Self::ManifestUnreadable => f.write_str("_delivery.json is not readable"),
            Self::OtherDelivery => f.write_str("_delivery.json describes another delivery"),
            Self::FileGone { name } => write!(f, "{} is gone", redacted_name(name)),
            Self::FileSize {
                name,
                published,
                found,
            } => write!(
                f,
                "{} has {found} bytes instead of {published}",
                redacted_name(name)
            ),
            Self::FileChanged { name } => {
                write!(f, "{} was changed", redacted_name(name))
            }
            Self::FileAdded { name } => write!(f, "{} was added", redacted_name(name)),
            Self::Unreadable { name, error } if name.is_empty() => {
                write!(f, "the directory cannot be read: {error}")
            }
            Self::Unreadable { name, error } => {
                write!(f, "{} cannot be read: {error}", redacted_name(name))
            }
        }
    }
}

/// Returns the size and digest of every file in a directory that is ready to be published. `open` opens a file.
pub(crate) fn describe_files<R: Read>(
    directory: &Path,
    open: impl Fn(&Path) -> io::Result<R>,
) -> Result<BTreeMap<String, DeliveryFile>, Error> {
    let mut files = BTreeMap::new();
    for path in entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = open(&path).and_then(describe).map_err(Error::file(&path))?;
        files.insert(name.into_owned(), file);
    }
    Ok(files)
}

fn describe(bytes: impl Read) -> io::Result<DeliveryFile> {
    let mut digest = Digesting::new(());
    let size = digest.skip(bytes)?;
    let (_, sha256) = digest.finish();
    Ok(DeliveryFile { size, sha256 })
}

/// The identity of a delivery, as the ledger has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) transfer_uuid: &'a str,
    /// The SHA-256 of the extract.
    pub(crate) sha256: &'a str,
    /// The digest with a key, by which the manifest of a tenant names the extract. Those of older versions have the
    /// SHA-256.
    pub(crate) keyed_digest: Option<&'a str>,
}

/// Compares the directory of a delivery with what was published. Returns nothing if it is as it was published.
///
/// Manifests of older versions list tables without sizes and digests. Then only the names are compared.
pub(crate) fn compare_with_disk(
    directory: &Path,
    identity: Identity<'_>,
    depth: CheckDepth,
) -> Vec<Damage> {
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() && depth == CheckDepth::Directories => return Vec::new(),
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return vec![Damage::DirectoryGone],
        Err(error) => return vec![missing_or(error, Damage::DirectoryGone, "")],
    }
    let manifest = match Manifest::read(directory) {
        Ok(Some(manifest)) => manifest,
        Ok(None) => return vec![Damage::ManifestGone],
        Err(Error::File { error, .. }) => {
            return vec![missing_or(error, Damage::ManifestGone, "_delivery.json")];
        }
        Err(_) => return vec![Damage::ManifestUnreadable],
    };
    let is_same = manifest.sha256 == identity.sha256
        || identity.keyed_digest == Some(manifest.sha256.as_str());
    if manifest.transfer_uuid != identity.transfer_uuid || !is_same {
        return vec![Damage::OtherDelivery];
    }
    let mut damage = Vec::new();
    if manifest.files.is_empty() {
        for table in manifest.rows.keys() {
            let name = table_file(table);
            damage.extend(compare_file(directory, &name, None, depth));
        }
    }
    for (name, file) in &manifest.files {
        damage.extend(compare_file(directory, name, Some(file), depth));
    }
    damage.extend(added_tables(directory, &manifest));
    damage
}

pub(super) fn compare_file(
    directory: &Path,
    name: &str,
    published: Option<&DeliveryFile>,
    depth: CheckDepth,
) -> Option<Damage> {
    let gone = || Damage::FileGone {
        name: name.to_owned(),
    };
    // The manifest may have been changed, so a name in it may lead out of the directory.
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return Some(gone());
    }
    let path = directory.join(name);
    let found = match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Some(gone()),
        Err(error) => return Some(missing_or(error, gone(), name)),
    };
    let published = published?;
    if found != published.size {
        return Some(Damage::FileSize {
            name: name.to_owned(),
            published: published.size,
            found,
        });
    }
    if depth != CheckDepth::Digests {
        return None;
    }
    match File::open(&path).and_then(describe) {
        Ok(found) if found.sha256 == published.sha256 => None,
        Ok(_) => Some(Damage::FileChanged {
            name: name.to_owned(),
        }),
        Err(error) => Some(missing_or(error, gone(), name)),
    }
}

/// Returns the tables that were not published. Programs that read the dataset would read them too.
fn added_tables(directory: &Path, manifest: &Manifest) -> Vec<Damage> {
    let entries = match entries(directory) {
        Ok(entries) => entries,
        Err(error) => {
            return vec![Damage::Unreadable {
                name: String::new(),
                error: error.to_string(),
            }];
        }
    };
    let names = entries.iter().filter_map(|path| path.file_name()?.to_str());
    let is_published = |name: &str| {
        manifest.files.contains_key(name)
            || manifest.rows.keys().any(|table| table_file(table) == name)
    };
    let added = names.filter(|name| name.ends_with(".parquet") && !is_published(name));
    let added = added.map(|name| Damage::FileAdded {
        name: name.to_owned(),
    });
    added.collect()
}

pub(super) fn table_file(table: &str) -> String {
    format!("{table}.parquet")
}

/// Returns `gone` if the error says that there is no such file.
fn missing_or(error: io::Error, gone: Damage, name: &str) -> Damage {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => gone,
        _ => Damage::Unreadable {
            name: name.to_owned(),
            error: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Writes a delivery with the table `person` and a manifest that names these files.
    fn delivery(directory: &Path, files: serde_json::Value) {
        let manifest = json!({
            "format": 1, "agreement": "a", "sequence": 1, "transfer_uuid": "uuid", "file_name": "d",
            "metadata_name": "d.metadata", "size": 1, "sha256": "digest", "production_date": "2026-03-02",
            "published": "2026-03-02T00:00:00Z", "records": 1, "rows": {"person": 1}, "files": files,
            "findings": [], "accepted": [], "component": {"sha256": ""}, "policy": "unrestricted", "purpose": "p",
            "written_by": "cprflow",
        });
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("person.parquet"), "rows").unwrap();
        fs::write(directory.join("_delivery.json"), manifest.to_string()).unwrap();
    }

    fn damage(directory: &Path, depth: CheckDepth) -> Vec<Damage> {
        let identity = Identity {
            transfer_uuid: "uuid",
            sha256: "digest",
            keyed_digest: None,
        };
        compare_with_disk(directory, identity, depth)
    }

    #[test]
    fn recognises_an_extract_by_each_of_its_digests_only() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("delivery");
        delivery(&directory, json!({}));
        let damage = |sha256, keyed_digest| {
            let identity = Identity {
                transfer_uuid: "uuid",
                sha256,
                keyed_digest,
            };
            compare_with_disk(&directory, identity, CheckDepth::Sizes)
        };
        assert_eq!(damage("digest", None), []);
        assert_eq!(damage("digest", Some("hmac-sha256:1")), []);
        assert_eq!(damage("other", Some("digest")), []);
        for keyed_digest in [None, Some("hmac-sha256:1")] {
            assert_eq!(damage("other", keyed_digest), [Damage::OtherDelivery]);
        }
    }

    #[test]
    fn describes_files_and_finds_them_unchanged() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("delivery");
        delivery(&directory, json!({}));
        fs::remove_file(directory.join("_delivery.json")).unwrap();
        let files = describe_files(&directory, |path| File::open(path)).unwrap();
        // The digest was calculated with sha256sum.
        let expected = DeliveryFile {
            size: 4,
            sha256: "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e".to_owned(),
        };
        assert_eq!(files, [("person.parquet".to_owned(), expected)].into());
        delivery(&directory, json!(files));
        for depth in [
            CheckDepth::Directories,
            CheckDepth::Sizes,
            CheckDepth::Digests,
        ] {
            assert_eq!(damage(&directory, depth), []);
        }
        fs::write(directory.join("person.parquet"), "ROWS").unwrap();
        assert_eq!(damage(&directory, CheckDepth::Sizes), []);
        let name = "person.parquet".to_owned();
        let changed = Damage::FileChanged { name };
        assert_eq!(damage(&directory, CheckDepth::Digests), [changed]);
    }

    /// A manifest may have been changed by hand. Names in it do not lead out of the directory.
    #[test]
    fn names_with_directories_are_no_files_of_a_delivery() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("delivery");
        let outside = place.path().join("secret");
        fs::write(&outside, "rows").unwrap();
        for name in ["../secret", outside.to_str().unwrap(), "..", "", "."] {
            delivery(&directory, json!({name: {"size": 4, "sha256": ""}}));
            let gone = Damage::FileGone {
                name: name.to_owned(),
            };
            assert_eq!(damage(&directory, CheckDepth::Digests), [gone], "{name}");
        }
    }

    #[test]
    fn shows_no_person_number_in_a_name() {
        let name = "0101801234.parquet".to_owned();
        let told = Damage::FileAdded { name }.to_string();
        assert!(!told.contains("0101801234"), "{told}");
        assert!(told.ends_with("was added"), "{told}");
    }
}
