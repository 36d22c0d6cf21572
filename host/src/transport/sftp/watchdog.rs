//! The last word on waiting: a thread that cuts a connection off when something takes too long.
//!
//! libssh2 has timeouts of its own, and they do not hold always: it does not look at them while a server keeps
//! sending it something of no use. A socket that is shut down ends such a wait from outside.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Watches over a connection.
#[derive(Debug)]
pub(super) struct Watchdog {
    shared: Arc<Shared>,
    socket: TcpStream,
}

impl Watchdog {
    /// Begins; the thread ends with the value.
    pub(super) fn new(socket: &TcpStream) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = socket.try_clone()?;
        let watching = Arc::clone(&shared);
        thread::Builder::new()
            .name("cprflow-sftp-watchdog".to_owned())
            .spawn(move || watching.watch(&watched))?;
        Ok(Self {
            shared,
            socket: socket.try_clone()?,
        })
    }

    /// From now until the guard is dropped must be no longer than this and a little, or the connection is cut off.
    /// The little is for libssh2, which is to give up first.
    pub(super) fn limit(&self, limit: Duration) -> Limited<'_> {
        self.limit_the_rest(limit);
        Limited(&self.shared)
    }

    /// As [`limit`](Self::limit), for all that is still to come.
    pub(super) fn limit_the_rest(&self, limit: Duration) {
        let mut state = self.shared.lock();
        state.deadline = Instant::now().checked_add(limit + GRACE);
        state.limit = limit;
    }

    /// The limit that was set last.
    pub(super) fn last_limit(&self) -> Duration {
        self.shared.lock().limit
    }

    /// Cuts the connection off, so that nothing waits for it any more.
    pub(super) fn cut(&self) {
        // It fails when the connection is gone already, which is what is wanted.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Whether the other side has hung up and there is nothing more to read from it.
    pub(super) fn has_ended(&self) -> bool {
        // libssh2 has made the socket one that does not wait.
        match self.socket.peek(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Whether it has cut the connection off because something took too long.
    pub(super) fn has_bitten(&self) -> bool {
        self.shared.lock().bitten
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.wake.notify_all();
    }
}

/// A stretch of time that is limited.
#[derive(Debug)]
pub(super) struct Limited<'a>(&'a Shared);

impl Drop for Limited<'_> {
    fn drop(&mut self) {
        self.0.lock().deadline = None;
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    deadline: Option<Instant>,
    limit: Duration,
    bitten: bool,
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is sound after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deadlines are looked at every so often, which spares a wake-up with each of many thousand reads.
    fn watch(&self, socket: &TcpStream) {
        let mut state = self.lock();
        while !state.over {
            if state
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                state.bitten = true;
                state.deadline = None;
                let _ = socket.shutdown(Shutdown::Both);
            }
            let waited = self.wake.wait_timeout(state, TICK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

const TICK: Duration = Duration::from_millis(100);

/// libssh2 comes first where it can: it knows what it was waiting for.
const GRACE: Duration = Duration::from_secs(2);
