//! Claims on tenants' datasets by the threads of this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::error::TenantPublishError;

/// The datasets that a thread is using. An abandoned thread keeps its claim in later runs of the same process, until it
/// ends.
static CLAIMED: Mutex<BTreeMap<PathBuf, Weak<()>>> = Mutex::new(BTreeMap::new());

/// Claims a dataset for a thread until the returned value is dropped. Fails if another thread has claimed it.
pub(super) fn claim(dataset: &Path) -> Result<Arc<()>, TenantPublishError> {
    let mut claimed = CLAIMED.lock().unwrap_or_else(PoisonError::into_inner);
    claimed.retain(|_, thread| thread.strong_count() > 0);
    if claimed.contains_key(dataset) {
        return Err(TenantPublishError::DatasetBusy {
            dataset: dataset.to_owned(),
        });
    }
    let thread = Arc::new(());
    claimed.insert(dataset.to_owned(), Arc::downgrade(&thread));
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_dataset_that_another_thread_still_uses() {
        let dataset = Path::new("/nowhere/held");
        let thread = claim(dataset).unwrap();
        let refused = claim(dataset).unwrap_err().to_string();
        assert!(refused.contains("does not respond"), "{refused}");
        assert!(claim(Path::new("/nowhere/other")).is_ok());
        drop(thread);
        assert!(claim(dataset).is_ok());
    }
}
