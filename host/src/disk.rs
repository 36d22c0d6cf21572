//! How much room there is on a disk, and disks that do not answer.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Bytes that this user can still write to the disk on which a path is.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let disk = rustix::fs::statvfs(path).map_err(|error| Error::file(path)(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Asks several disks at once, and gives each answer that came in that time. A call to a dead disk comes back never,
/// and its thread is left to it.
pub(crate) fn ask<T: Send + 'static>(
    patience: Duration,
    questions: impl IntoIterator<Item = impl FnOnce() -> T + Send + 'static>,
) -> Vec<Option<T>> {
    let until = Instant::now() + patience;
    let mut asked = Vec::new();
    for question in questions {
        let (sender, receiver) = mpsc::channel();
        // Nobody may be listening any more.
        let thread = thread::Builder::new().spawn(move || sender.send(question()));
        asked.push(thread.is_ok().then_some(receiver));
    }
    let answer = |receiver: Option<mpsc::Receiver<T>>| {
        let left = until.saturating_duration_since(Instant::now());
        receiver?.recv_timeout(left).ok()
    };
    asked.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_answer_keeps_nobody_waiting() {
        let (_never, silence) = mpsc::channel::<u8>();
        let silence = std::sync::Mutex::new(silence);
        let silence = std::sync::Arc::new(silence);
        let ask_one = |number: u8| {
            let silence = std::sync::Arc::clone(&silence);
            move || match number {
                0 => silence.lock().unwrap().recv().unwrap_or_default(),
                number => number,
            }
        };
        let answers = ask(Duration::from_secs(2), (0..4).map(ask_one));
        assert_eq!(answers, [None, Some(1), Some(2), Some(3)]);
    }
}
