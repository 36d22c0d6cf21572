//! The generations of a dataset's current tables.
//!
//! `<dataset>/current` is a symbolic link to `generations/<number>`, which is a directory with one Parquet file for each
//! table. A generation never changes. A new one is written beside the dataset, renamed into `generations`, and then the
//! link is switched by a rename. A reader that resolves the link once reads tables that belong together.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::generation_manifest::GenerationManifest;
use super::{Dataset, name_of, remove_directory};
use crate::error::Error;
use crate::fs::{check_own_directory, entries, private_directory, sync_directory};

/// The name of the link to the newest generation.
pub(crate) const CURRENT: &str = "current";

/// The name of the directory of the generations.
pub(crate) const GENERATIONS: &str = "generations";

/// The directory in which generations are prepared, where deliveries of an agreement have its name. No agreement can have
/// this name.
const STAGING: &str = "=current";

/// The time for which a generation stays after a newer one has replaced it.
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_hours(48);

impl Dataset {
    /// Returns the directory of a generation.
    pub(crate) fn generation(&self, number: u64) -> PathBuf {
        generation_directory(&self.root, number)
    }

    /// Returns the number of the generation that `current` leads to; `None` if there is no such link.
    pub(crate) fn current_generation(&self) -> Result<Option<u64>, Error> {
        current_generation(&self.root)
    }

    /// Returns the numbers of the generations on the disk, sorted.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, Error> {
        let directories = entries(&self.root.join(GENERATIONS))?;
        let number = |path: &PathBuf| name_of(path).parse().ok();
        let mut numbers: Vec<u64> = directories.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Returns whether the dataset has a generation, or a link to one.
    pub(crate) fn has_generations(&self) -> Result<bool, Error> {
        Ok(self.current_generation()?.is_some() || !self.generations()?.is_empty())
    }

    /// Creates a new directory in which a generation is prepared.
    pub(crate) fn stage_generation(&self) -> Result<PathBuf, Error> {
        self.staging(STAGING, "generation")
    }

    /// Removes what is left of generations in preparation.
    pub(crate) fn clear_staged_generations(&self) -> Result<(), Error> {
        self.clear_staging_of(STAGING)
    }

    /// Moves a prepared directory to the generations, in one step and durably. Its files must be on the disk already.
    pub(crate) fn add_generation(&self, staged: &Path, number: u64) -> Result<(), Error> {
        sync_directory(Some(staged))?;
        let parent = self.root.join(GENERATIONS);
        private_directory(&parent)?;
        check_own_directory(&parent, &self.root)?;
        sync_directory(Some(&self.root))?;
        if let Some(group) = &self.group {
            group.open_directory(&parent)?;
            group.open_files(staged)?;
        }
        let target = self.generation(number);
        crate::failpoint::reached("generation-staged");
        fs::rename(staged, &target).map_err(Error::file(&target))?;
        sync_directory(Some(&parent))?;
        crate::failpoint::reached("generation-added");
        Ok(())
    }

    /// Makes `current` lead to a generation, in one step and durably.
    pub(crate) fn switch_current(&self, number: u64) -> Result<(), Error> {
        let (link, new) = (self.root.join(CURRENT), self.root.join(".current.new"));
        // A killed run can have left the new link.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file(new)(error));
            }
            _ => {}
        }
        let target = Path::new(GENERATIONS).join(directory_name(number));
        symlink(&target, &new).map_err(Error::file(&new))?;
        crate::failpoint::reached("current-linked");
        fs::rename(&new, &link).map_err(Error::file(&link))?;
        sync_directory(Some(&self.root))?;
        crate::failpoint::reached("current-switched");
        Ok(())
    }

    /// Removes `current` and every generation. The link goes first, so that a reader never finds a part of the tables.
    pub(crate) fn withdraw_current(&self) -> Result<(), Error> {
        let link = self.root.join(CURRENT);
        match fs::symlink_metadata(&link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file(link)(error)),
            Ok(metadata) if metadata.file_type().is_symlink() => {
                fs::remove_file(&link).map_err(Error::file(&link))?;
                sync_directory(Some(&self.root))?;
            }
            Ok(_) => {
                self.remove_generations(|_| true)?;
                return Err(not_a_link(&link));
            }
        }
        crate::failpoint::reached("current-withdrawn");
        self.remove_generations(|_| true)
    }

    /// Removes the generations that `current` does not lead to and that were replaced more than [`LIFETIME`] ago, and at
    /// once those that may not stay. Generations that were never current go too.
    pub(crate) fn remove_old_generations(
        &self,
        now: Timestamp,
        may_stay: impl Fn(u64) -> bool,
    ) -> Result<(), Error> {
        let Some(current) = self.current_generation()? else {
            return self.remove_generations(|_| true);
        };
        let numbers = self.generations()?;
        let made = |number: u64| {
            let manifest = GenerationManifest::read(&self.generation(number)).ok()??;
            manifest.made.parse::<Timestamp>().ok()
        };
        self.remove_generations(|number| {
            if number > current || !may_stay(number) {
                return number != current;
            }
            let successor = numbers.iter().copied().find(|other| *other > number);
            let replaced = successor.and_then(made);
            number != current
                && replaced.is_none_or(|replaced| now.duration_since(replaced) > LIFETIME)
        })
    }

    fn remove_generations(&self, is_removed: impl Fn(u64) -> bool) -> Result<(), Error> {
        let parent = self.root.join(GENERATIONS);
        check_own_directory(&parent, &self.root)?;
        let mut is_any_removed = false;
        for number in self.generations()? {
            if is_removed(number) {
                remove_directory(&self.generation(number))?;
                is_any_removed = true;
            }
        }
        match is_any_removed {
            true => sync_directory(Some(&parent)),
            false => Ok(()),
        }
    }
}

/// Returns the number of the generation that `current` of a dataset leads to; `None` if there is no such link.
pub(crate) fn current_generation(dataset: &Path) -> Result<Option<u64>, Error> {
    let link = dataset.join(CURRENT);
    let target = match fs::read_link(&link) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(not_a_link(&link)),
        Err(error) => return Err(Error::file(link)(error)),
    };
    let is_own = target.parent() == Some(Path::new(GENERATIONS));
    let number = is_own.then(|| name_of(&target).parse().ok()).flatten();
    Ok(number)
}

/// Returns the directory of a generation of a dataset.
pub(crate) fn generation_directory(dataset: &Path, number: u64) -> PathBuf {
    dataset.join(GENERATIONS).join(directory_name(number))
}

fn directory_name(number: u64) -> String {
    format!("{number:06}")
}

fn not_a_link(path: &Path) -> Error {
    Error::Dataset {
        path: path.to_owned(),
        what:
            "cprflow makes a symbolic link of this name, and something else is there. Move it away"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(number: u64, made: &str) -> GenerationManifest {
        GenerationManifest {
            number,
            made: made.to_owned(),
            ..GenerationManifest::default()
        }
    }

    fn add(dataset: &Dataset, number: u64, made: &str) {
        let staged = dataset.stage_generation().unwrap();
        fs::write(staged.join("person.parquet"), number.to_string()).unwrap();
        manifest(number, made).write(&staged).unwrap();
        dataset.add_generation(&staged, number).unwrap();
    }

    fn person(dataset: &Path) -> Option<String> {
        fs::read_to_string(dataset.join("current/person.parquet")).ok()
    }

    #[test]
    fn switches_to_a_generation_and_removes_old_ones() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("dataset");
        let dataset = Dataset::open(&root).unwrap();
        assert_eq!(dataset.current_generation().unwrap(), None);
        for (number, made) in [
            (1, "2026-03-01T00:00:00Z"),
            (2, "2026-03-02T00:00:00Z"),
            (3, "2026-03-03T00:00:00Z"),
        ] {
            add(&dataset, number, made);
            dataset.switch_current(number).unwrap();
            assert_eq!(dataset.current_generation().unwrap(), Some(number));
            assert_eq!(person(&root), Some(number.to_string()));
        }
        dataset.clear_staged_generations().unwrap();
        assert!(!dataset.staging_root().exists());
        let remove = |now: &str, at_once: bool| {
            let now = now.parse().unwrap();
            dataset.remove_old_generations(now, |_| !at_once).unwrap();
            dataset.generations().unwrap()
        };
        assert_eq!(remove("2026-03-04T00:00:00Z", false), [1, 2, 3]);
        // Generation 1 was replaced on 2 March.
        assert_eq!(remove("2026-03-04T00:00:01Z", false), [2, 3]);
        add(&dataset, 4, "2026-03-04T00:00:00Z");
        assert_eq!(
            remove("2026-03-04T00:00:02Z", false),
            [2, 3],
            "4 was never current"
        );
        assert_eq!(remove("2026-03-04T00:00:02Z", true), [3]);
        assert_eq!(person(&root).unwrap(), "3");
        dataset.withdraw_current().unwrap();
        assert_eq!(person(&root), None);
        assert!(dataset.generations().unwrap().is_empty());
        dataset.withdraw_current().unwrap();
    }

    #[test]
    fn replaces_links_and_refuses_other_things() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("dataset");
        let dataset = Dataset::open(&root).unwrap();
        add(&dataset, 1, "2026-03-01T00:00:00Z");
        symlink("/etc", root.join(CURRENT)).unwrap();
        symlink("/etc", root.join(".current.new")).unwrap();
        assert_eq!(dataset.current_generation().unwrap(), None);
        dataset.switch_current(1).unwrap();
        assert_eq!(person(&root).unwrap(), "1");
        fs::remove_file(root.join(CURRENT)).unwrap();
        fs::create_dir(root.join(CURRENT)).unwrap();
        for result in [
            dataset.current_generation().map(drop),
            dataset.withdraw_current(),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("something else is there"), "{error}");
        }
        assert!(dataset.switch_current(1).is_err());
        fs::remove_dir_all(root.join(GENERATIONS)).unwrap();
        symlink("/etc", root.join(GENERATIONS)).unwrap();
        let staged = dataset.stage_generation().unwrap();
        let error = dataset.add_generation(&staged, 2).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }
}
