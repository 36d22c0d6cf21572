//! Free space of disks, and questions to disks that may not respond.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Returns the number of bytes that this user can still write to the disk of a path.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let disk = rustix::fs::statvfs(path).map_err(|error| Error::file(path)(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Asks several disks at the same time, and returns the answers that came within the timeout, in order.
///
/// A call to a disk that does not respond may never return, so its thread is abandoned.
pub(crate) fn ask_disks<T: Send + 'static>(
    timeout: Duration,
    questions: impl IntoIterator<Item = impl FnOnce() -> T + Send + 'static>,
) -> Vec<Option<T>> {
    let deadline = Instant::now() + timeout;
    let mut receivers = Vec::new();
    for question in questions {
        let (sender, receiver) = mpsc::channel();
        // Sending fails if the answer comes after the timeout.
        let thread = thread::Builder::new().spawn(move || sender.send(question()));
        if let Err(error) = &thread {
            tracing::warn!(
                "cannot start a thread to ask a disk: {error}. The system allows this user too few processes or threads: \
                 raise the limit (`ulimit -u`, or TasksMax= of the systemd unit)"
            );
        }
        receivers.push(thread.is_ok().then_some(receiver));
    }
    let answer = |receiver: Option<mpsc::Receiver<T>>| {
        let left = deadline.saturating_duration_since(Instant::now());
        receiver?.recv_timeout(left).ok()
    };
    receivers.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_respond_delays_no_other_disk() {
        let (_never, silence) = mpsc::channel::<u8>();
        let silence = std::sync::Mutex::new(silence);
        let silence = std::sync::Arc::new(silence);
        let question = |number: u8| {
            let silence = std::sync::Arc::clone(&silence);
            move || match number {
                0 => silence.lock().unwrap().recv().unwrap_or_default(),
                number => number,
            }
        };
        let answers = ask_disks(Duration::from_secs(2), (0..4).map(question));
        assert_eq!(answers, [None, Some(1), Some(2), Some(3)]);
    }
}
