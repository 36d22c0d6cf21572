//! A run over the parts of an extract.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::cut::{Cut, Cutter, read_until};
use super::queue::{Job, Promise, Queue, Turn};
use super::{Division, Helpers, PartError, PartPass, memory};
use crate::error::{ComponentError, Error};
use crate::sandbox::Session;
use crate::wit::source as wit;

/// The parts of an extract that are being read.
pub(in crate::scan) struct PartRun<P: PartPass> {
    queue: Arc<Queue<P::Output>>,
    threads: Vec<JoinHandle<()>>,
    /// The process that has the threads. A process that it forks has none of them.
    process: u32,
    cutter: Cutter,
    /// The pass in the main instance.
    own: P,
    /// The parts that were cut and whose results were not returned, in their order.
    in_flight: VecDeque<Arc<Vec<u8>>>,
    /// The number of the first of them.
    first: u64,
    /// The largest number of parts in flight.
    at_most: usize,
    cutting: Cutting,
    _helpers: Helpers,
}

enum Cutting {
    /// More parts can be cut.
    Open,
    /// The input has ended, or cannot be cut any more.
    Over,
    /// The input has failed.
    Failed(Error),
}

/// A part with its result.
pub(in crate::scan) struct FinishedPart<T> {
    pub(in crate::scan) bytes: Arc<Vec<u8>>,
    pub(in crate::scan) result: Result<T, PartError>,
}

/// What was read of the input and not as a part.
#[derive(Default)]
pub(in crate::scan) struct Rest {
    blocks: VecDeque<Arc<Vec<u8>>>,
    /// The number of bytes of the first block that were taken.
    taken: usize,
    /// Whether the input has ended after them.
    has_ended: bool,
}

impl Rest {
    /// Copies the next bytes to the buffer and returns their number, or `None` if all were taken and the input goes on.
    pub(in crate::scan) fn next(&mut self, buffer: &mut [u8]) -> Option<usize> {
        while let Some(block) = self.blocks.front() {
            let left = block.get(self.taken..).unwrap_or_default();
            let count = left.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..count), left.get(..count))
                && count > 0
            {
                to.copy_from_slice(from);
                self.taken += count;
                return Some(count);
            }
            self.blocks.pop_front();
            self.taken = 0;
        }
        self.has_ended.then_some(0)
    }

    fn of(bytes: Vec<u8>, has_ended: bool) -> Self {
        Self {
            blocks: VecDeque::from([Arc::new(bytes)]),
            taken: 0,
            has_ended,
        }
    }
}

/// The result of [`PartRun::begin`].
pub(in crate::scan) enum Begun<P: PartPass> {
    /// The parts are being read. The main instance had read so many bytes less than it was given.
    Run(Box<PartRun<P>>, u64),
    /// The extract cannot be divided here.
    Whole(Rest),
}

impl<P: PartPass> PartRun<P> {
    /// Begins a run. `start` asks the main instance where the first part begins. `open` opens the pass of parts there, and
    /// returns a function that does the same in a new instance, for each thread.
    pub(in crate::scan) fn begin<R: Read, W>(
        division: Division,
        block_bytes: usize,
        given: u64,
        input: &mut R,
        session: &mut Session,
        start: impl FnOnce(&mut Session) -> Result<Option<wit::PartStart>, Error>,
        open: impl FnOnce(&mut Session, &wit::PartStart) -> Result<(P, W), Error>,
    ) -> Result<Begun<P>, Error>
    where
        W: FnOnce() -> Result<(Session, P), Error> + Clone + Send + 'static,
    {
        let helpers = division.helpers();
        let count = helpers.count;
        if count == 0 {
            return Ok(Begun::Whole(Rest::default()));
        }
        memory::keep_freed();
        let mut ahead = Vec::new();
        // An input with less than another part is read by one instance.
        if read_until(input, &mut ahead, division.part_bytes)? {
            return Ok(Begun::Whole(Rest::of(ahead, true)));
        }
        let Some(mut start) = start(session)? else {
            return Ok(Begun::Whole(Rest::of(ahead, false)));
        };
        let returned = start.rest.len() as u64;
        if returned > given {
            return Err(
                ComponentError::misbehaved("it returned more bytes than it was given").into(),
            );
        }
        // What was read ahead stays where it is: new memory of that size costs more than moving it.
        ahead.splice(0..0, std::mem::take(&mut start.rest));
        let (own, worker) = open(session, &start)?;
        let mut run = Self {
            queue: Arc::new(Queue::new()),
            threads: Vec::new(),
            process: process::id(),
            cutter: Cutter::new(ahead, division.part_bytes, block_bytes, start.has_line_ends),
            own,
            in_flight: VecDeque::new(),
            first: 0,
            at_most: 2 * (count + 1),
            cutting: Cutting::Open,
            _helpers: helpers,
        };
        // If a thread does not start, the others read its parts.
        for _ in 0..count {
            let queue = run.queue.clone();
            let worker = worker.clone();
            let thread = thread::Builder::new()
                .name("cprflow-scan".to_owned())
                .spawn(move || work(&queue, worker));
            run.threads.extend(thread.ok());
        }
        Ok(Begun::Run(Box::new(run), returned))
    }

    /// Returns the next part in the order of the extract, or `None` after the last.
    pub(in crate::scan) fn next<R: Read>(
        &mut self,
        input: &mut R,
        session: &mut Session,
    ) -> Result<Option<FinishedPart<P::Output>>, Error> {
        if process::id() != self.process {
            // The threads are in the other process, and both would read the same input.
            self.threads.clear();
            return Err(Error::Input(io::Error::other(
                "the scan was begun in another process: begin it in the process that reads it",
            )));
        }
        self.cut(input, session)?;
        let Some(bytes) = self.in_flight.pop_front() else {
            return match std::mem::replace(&mut self.cutting, Cutting::Over) {
                Cutting::Failed(error) => Err(error),
                _ => Ok(None),
            };
        };
        let index = self.first;
        self.first += 1;
        let result = loop {
            match self.queue.turn(index) {
                Turn::Result(result) => break result,
                Turn::Job(job) => {
                    read_job(&self.queue, job, session, &mut self.own);
                }
            }
        };
        Ok(Some(FinishedPart { bytes, result }))
    }

    /// Takes a part back whose result was used: the next one is read into its memory.
    pub(in crate::scan) fn reuse(&mut self, bytes: Arc<Vec<u8>>) {
        if let Ok(bytes) = Arc::try_unwrap(bytes) {
            self.cutter.reuse(bytes);
        }
    }

    /// Ends the run and returns what was read of the input after the parts that were returned. `last` is a part that was
    /// returned and is to be read once more.
    pub(in crate::scan) fn into_rest(mut self, last: Option<Arc<Vec<u8>>>) -> Rest {
        self.end();
        let parts = std::mem::take(&mut self.in_flight);
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(Vec::new(), 0, 0, true));
        let (pending, has_ended) = cutter.into_rest();
        let mut blocks: VecDeque<_> = last.into_iter().chain(parts).collect();
        blocks.push_back(Arc::new(pending));
        Rest {
            blocks,
            taken: 0,
            has_ended,
        }
    }

    /// Cuts parts for the threads, until they have enough or the next part is ready.
    fn cut<R: Read>(&mut self, input: &mut R, session: &mut Session) -> Result<(), Error> {
        while matches!(self.cutting, Cutting::Open) && self.in_flight.len() < self.at_most {
            match self.cutter.next(input, session, &mut self.own) {
                Ok(Cut::Part(part)) => {
                    let bytes = Arc::new(part);
                    self.queue.add(Job {
                        index: self.first + self.in_flight.len() as u64,
                        bytes: bytes.clone(),
                    });
                    self.in_flight.push_back(bytes);
                }
                Ok(Cut::End | Cut::Whole) => self.cutting = Cutting::Over,
                // The rows before the error are returned first.
                Err(error @ Error::Input(_)) => self.cutting = Cutting::Failed(error),
                Err(error) => return Err(error),
            }
            if self.queue.is_finished(self.first) {
                break;
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.queue.stop();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

impl<P: PartPass> Drop for PartRun<P> {
    /// Waits for the threads, each of which ends after its call.
    fn drop(&mut self) {
        if process::id() == self.process {
            self.end();
        }
    }
}

/// Reads parts in an instance of its own.
fn work<P: PartPass>(
    queue: &Queue<P::Output>,
    worker: impl FnOnce() -> Result<(Session, P), Error>,
) {
    // Without an instance, for example because the pool is full, the other threads read the parts.
    let (mut session, mut pass) = match worker() {
        Ok(started) => started,
        Err(error) => {
            tracing::debug!("a thread of a scan has not started: {error}");
            return;
        }
    };
    while let Some(job) = queue.take() {
        read_job(queue, job, &mut session, &mut pass);
    }
}

/// Reads a part and hands its result over.
fn read_job<P: PartPass>(queue: &Queue<P::Output>, job: Job, session: &mut Session, pass: &mut P) {
    let Job { index, bytes } = job;
    let promise = Promise::new(queue, index);
    let result = pass.read(session, &bytes, queue.stop_flag());
    // Before the result is handed over: then the memory of the part can be used again.
    drop(bytes);
    promise.keep(result);
}
