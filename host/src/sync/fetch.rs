//! Downloads: from the server to the spool, read along by the scan, resumed after a cut.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::discover::Found;
use super::stage::{Staged, examine, stage};
use super::{Connection, Observer, Stop};
use crate::arrival::{Arrival, Follower, write_back};
use crate::error::Error;
use crate::ledger::Reason;
use crate::scan::Scan;
use crate::spool::{Digesting, Spooled};
use crate::transport::{Stat, TransportError, relay};

/// How a download ended, when nothing failed.
pub(super) enum Fetched {
    /// The extract is in the spool, durably, and its tables stand in the staging directory, or why they do not.
    Whole {
        sha256: String,
        staged: Box<Result<Staged, Error>>,
    },
    /// The file on the server is not what it was when it was listed: another run takes it.
    Changed(Reason),
}

/// What a download needs to know.
pub(super) struct Fetch<'a> {
    pub(super) found: &'a Found,
    pub(super) spooled: &'a Spooled,
    /// Bytes in the spool that are of this very file.
    pub(super) from: u64,
    /// Where the tables of the whole are made ready; none if nobody wants them.
    pub(super) staging: Option<&'a Path>,
    /// Whether only the scan that reads along will read it.
    pub(super) is_read_once: bool,
    pub(super) observer: &'a dyn Observer,
    pub(super) stop: &'a Stop,
}

impl Fetch<'_> {
    /// Downloads and scans at once.
    pub(super) fn run(
        &self,
        connection: &mut Connection<'_>,
        scan: Scan,
    ) -> Result<Fetched, Error> {
        let mut sink = self.open()?;
        let arrival = Arrival::default();
        arrival.arrived(self.from);
        let reader = self.spooled.reader()?;
        let on_its_way = self.spooled.reader()?;
        let (downloaded, on_disk, staged) = thread::scope(|threads| {
            let arrival = &arrival;
            let back = threads.spawn(|| write_back(&on_its_way, arrival, self.is_read_once));
            let scanner = threads.spawn(move || {
                let rows = |rows| self.observer.scanned(rows);
                let input = Follower::new(reader, arrival);
                match self.staging {
                    Some(staging) => stage(scan, input, staging, rows),
                    None => examine(scan, input, rows),
                }
            });
            let downloaded = self.download(connection, &mut sink, arrival);
            arrival.ended(matches!(downloaded, Ok(None)));
            // The disk is waited for while the scan goes on.
            let written_back = joined(back);
            let on_disk = match downloaded {
                Ok(None) => written_back.and_then(|()| sink.get_ref().sync_all()),
                _ => written_back,
            };
            let staged = joined(scanner);
            (downloaded, on_disk, staged)
        });
        if let Err(error) = on_disk {
            // What the disk did not take is told once, and forgotten: nobody must go on from what is in the spool.
            self.spooled.remove()?;
            return Err(self.spooled.error()(error));
        }
        if let Some(changed) = downloaded? {
            self.spooled.remove()?;
            return Ok(Fetched::Changed(changed));
        }
        let (file, sha256) = sink.finish();
        crate::hook::reached("downloaded");
        self.spooled.complete(&file)?;
        let staged = Box::new(staged);
        Ok(Fetched::Whole { sha256, staged })
    }

    fn open(&self) -> Result<Digesting<File>, Error> {
        let file = self.spooled.resume(self.from)?;
        let mut sink = Digesting::new(file);
        let there = self.spooled.reader()?.take(self.from);
        sink.skip(there).map_err(self.spooled.error())?;
        Ok(sink)
    }

    /// Brings the rest of the file, over as many connections as it takes; none if it is whole, and otherwise what
    /// has changed.
    fn download(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        arrival: &Arrival,
    ) -> Result<Option<Reason>, Error> {
        let mut written = self.from;
        let mut attempts = Attempts::default();
        let mut was_cut = false;
        loop {
            let before = written;
            let ended = self.attempt(connection, sink, &mut written, arrival, was_cut);
            match ended {
                Ok(changed) => return Ok(changed),
                Err(Error::Transport(TransportError::Gone { .. })) => return Ok(Some(gone())),
                Err(Error::Transport(TransportError::Shrunk { .. })) => return Ok(Some(changed())),
                Err(Error::Transport(error)) if error.is_transient() => {
                    if written > before {
                        attempts = Attempts::default();
                    }
                    let Some(pause) = attempts.next() else {
                        return Err(error.into());
                    };
                    tracing::warn!(%error, offset = written, "the download was cut off; going on after a pause");
                    self.stop.wait(pause)?;
                    was_cut = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One attempt to bring the rest; after a cut over a new connection, which may take its time to be there again.
    /// None if the file is whole, and otherwise what has changed.
    fn attempt(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        written: &mut u64,
        arrival: &Arrival,
        was_cut: bool,
    ) -> Result<Option<Reason>, Error> {
        let expected = self.found.data.stat;
        if was_cut {
            connection.reconnect()?;
            match connection.get()?.stat(&self.found.data.name)? {
                None => return Ok(Some(gone())),
                Some(stat) if stat != expected => return Ok(Some(changed())),
                Some(_) => {}
            }
        }
        self.stream(connection, sink, written, arrival)?;
        let stat = connection.get()?.stat(&self.found.data.name)?;
        Ok(match stat {
            Some(Stat { size, .. }) if size != *written => Some(changed()),
            Some(stat) if stat != expected => Some(changed()),
            Some(_) => None,
            None => Some(gone()),
        })
    }

    /// Reads from where the spool ends to the end of the file, over one connection.
    fn stream(
        &self,
        connection: &mut Connection<'_>,
        sink: &mut Digesting<File>,
        written: &mut u64,
        arrival: &Arrival,
    ) -> Result<(), Error> {
        let size = self.found.data.stat.size;
        let mut file = connection.get()?.open(&self.found.data.name, *written)?;
        relay(&mut *file, |block| {
            self.stop.check()?;
            while !arrival.is_near(GLANCE) {
                self.stop.check()?;
            }
            sink.write_all(block).map_err(self.spooled.error())?;
            *written += block.len() as u64;
            arrival.arrived(*written);
            self.observer.downloaded(*written);
            if *written < size {
                crate::hook::reached("half-downloaded");
            }
            Ok(match *written > size {
                // It grows. What has come is thrown away.
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })
    }
}

/// What a thread has come to.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// How long to wait before looking whether to stop.
const GLANCE: Duration = Duration::from_millis(100);

/// Pauses between attempts that bring nothing.
#[derive(Default)]
struct Attempts(usize);

impl Iterator for Attempts {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        const PAUSES: [u64; 3] = [1, 4, 15];
        let pause = PAUSES.get(self.0).copied()?;
        self.0 += 1;
        Some(Duration::from_secs(pause))
    }
}

fn gone() -> Reason {
    Reason::new("gone", "it has gone from the server since it was listed")
}

fn changed() -> Reason {
    Reason::new(
        "growing",
        "it has changed on the server while it was fetched",
    )
}
