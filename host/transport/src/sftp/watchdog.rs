//! A thread that shuts a connection down when an operation takes too long.
//!
//! libssh2 has timeouts of its own, but does not check them while a server keeps sending useless packets. Shutting the
//! socket down from another thread ends such a wait.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::TransportError;
use crate::inbox::Server;

/// Limits how long the operations of a connection take.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<WatchdogShared>,
    socket: TcpStream,
}

impl Watchdog {
    /// Starts the thread for a connection. The thread ends when the value is dropped.
    pub(super) fn new(socket: &TcpStream, server: &Server) -> Result<Self, TransportError> {
        let unreachable = |error| TransportError::Unreachable {
            server: server.address(),
            error,
        };
        let shared = Arc::new(WatchdogShared::default());
        let watched = socket.try_clone().map_err(unreachable)?;
        let watching = Arc::clone(&shared);
        thread::Builder::new()
            .name("cprflow-sftp-watchdog".to_owned())
            .spawn(move || watching.watch(&watched))
            .map_err(|error| TransportError::Thread {
                server: server.address(),
                error,
            })?;
        Ok(Self {
            shared,
            socket: socket.try_clone().map_err(unreachable)?,
        })
    }

    /// Shuts the connection down if the returned guard is not dropped within `limit` plus [`GRACE`]. The grace lets
    /// libssh2 time out first.
    pub(super) fn limit(&self, limit: Duration) -> LimitGuard<'_> {
        self.set_deadline(limit);
        LimitGuard(&self.shared)
    }

    /// Does the same as [`limit`](Self::limit) for everything that follows, without a guard.
    pub(super) fn set_deadline(&self, limit: Duration) {
        let mut state = self.shared.lock();
        state.deadline = Instant::now().checked_add(limit + GRACE);
        state.limit = limit;
    }

    /// Returns the limit that was set last.
    pub(super) fn last_limit(&self) -> Duration {
        self.shared.lock().limit
    }

    /// Shuts the connection down, so that nothing waits for it any more.
    pub(super) fn shut_down(&self) {
        // This fails if the connection has already ended, which is fine.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Returns whether the other side has closed the connection and everything it sent has been read.
    pub(super) fn has_ended(&self) -> bool {
        // The call does not block, because libssh2 has set the socket to non-blocking.
        match self.socket.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Returns whether the watchdog has shut the connection down because an operation took too long.
    pub(super) fn has_timed_out(&self) -> bool {
        self.shared.lock().has_timed_out
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().is_stopped = true;
        self.shared.wake.notify_all();
    }
}

/// Removes the limit when it is dropped.
#[derive(Debug)]
pub(super) struct LimitGuard<'a>(&'a WatchdogShared);

impl Drop for LimitGuard<'_> {
    fn drop(&mut self) {
        self.0.lock().deadline = None;
    }
}

#[derive(Debug, Default)]
struct WatchdogShared {
    state: Mutex<WatchdogState>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct WatchdogState {
    deadline: Option<Instant>,
    limit: Duration,
    has_timed_out: bool,
    is_stopped: bool,
}

impl WatchdogShared {
    fn lock(&self) -> MutexGuard<'_, WatchdogState> {
        // The state is valid after every statement, so a panic of another thread does not damage it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the deadline every [`POLL_INTERVAL`] until the watchdog is stopped. Polling spares a wake-up of this
    /// thread for each of many thousand reads.
    fn watch(&self, socket: &TcpStream) {
        let mut state = self.lock();
        while !state.is_stopped {
            if state
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                state.has_timed_out = true;
                state.deadline = None;
                let _ = socket.shutdown(Shutdown::Both);
            }
            let waited = self.wake.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The extra time in which libssh2 can time out by itself; it knows what it was waiting for.
const GRACE: Duration = Duration::from_secs(2);
