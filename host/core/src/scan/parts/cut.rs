//! Cuts the input into parts that begin with a record.

use std::io::Read;

use super::PartPass;
use crate::error::{ComponentError, Error};
use crate::sandbox::Session;

/// The longest line with its line end that is looked for, in bytes. No record is longer.
const LONGEST: usize = 128 << 10;

/// Cuts an input.
pub(super) struct Cutter {
    /// The bytes that were read and belong to no part yet.
    pending: Vec<u8>,
    /// The memory of parts that are not needed any more. New memory costs about as much as reading a part into it.
    spare: Vec<Vec<u8>>,
    part_bytes: usize,
    /// How records are found that have no line ends.
    walk: Option<Walk>,
    has_ended: bool,
}

#[derive(Clone, Copy)]
struct Walk {
    block_bytes: usize,
    /// The number of pending bytes that the component has passed.
    walked: usize,
    /// The number of pending bytes up to the end of the last record that it has passed.
    whole: usize,
}

/// The result of [`Cutter::next`].
pub(super) enum Cut {
    /// The next part.
    Part(Vec<u8>),
    /// The input has ended.
    End,
    /// The input cannot be cut any more.
    Whole,
}

impl Cutter {
    /// Creates a cutter for an input whose first bytes were read.
    pub(super) fn new(
        first: Vec<u8>,
        part_bytes: usize,
        block_bytes: usize,
        has_line_ends: bool,
    ) -> Self {
        let walk = Walk {
            block_bytes,
            walked: 0,
            whole: 0,
        };
        Self {
            pending: first,
            spare: Vec::new(),
            part_bytes,
            walk: (!has_line_ends).then_some(walk),
            has_ended: false,
        }
    }

    /// Returns the bytes that were read and belong to no part, and whether the input has ended.
    pub(super) fn into_rest(self) -> (Vec<u8>, bool) {
        (self.pending, self.has_ended)
    }

    /// Takes a part whose memory is used again.
    pub(super) fn reuse(&mut self, mut part: Vec<u8>) {
        part.clear();
        self.spare.push(part);
    }

    /// Cuts off the next part. `pass` finds the records of an input without line ends.
    pub(super) fn next<P: PartPass>(
        &mut self,
        input: &mut impl Read,
        session: &mut Session,
        pass: &mut P,
    ) -> Result<Cut, Error> {
        let mut wanted = self.part_bytes;
        loop {
            self.has_ended |= read_until(input, &mut self.pending, wanted)?;
            if self.has_ended && self.pending.len() <= wanted {
                return Ok(match self.pending.is_empty() {
                    true => Cut::End,
                    // The last part ends where the input ends.
                    false => Cut::Part(std::mem::take(&mut self.pending)),
                });
            }
            let end = match &mut self.walk {
                None => {
                    let within = self.pending.get(..wanted).unwrap_or_default();
                    let last = within.iter().rposition(|byte| *byte == b'\n');
                    last.map(|last| last + 1)
                }
                Some(walk) => match walk.until(wanted, &self.pending, session, pass)? {
                    true => Some(walk.whole).filter(|end| *end > 0),
                    false => return Ok(Cut::Whole),
                },
            };
            if let Some(end) = end {
                let mut rest = self.spare.pop().unwrap_or_default();
                rest.extend(self.pending.drain(end..));
                if let Some(walk) = &mut self.walk {
                    walk.walked -= end;
                    walk.whole = 0;
                }
                return Ok(Cut::Part(std::mem::replace(&mut self.pending, rest)));
            }
            if wanted >= self.part_bytes + LONGEST {
                return Ok(Cut::Whole);
            }
            wanted += self.part_bytes.min(LONGEST);
        }
    }
}

impl Walk {
    /// Passes the records of at least the first `wanted` bytes. Returns `false` if a record cannot be found.
    fn until<P: PartPass>(
        &mut self,
        wanted: usize,
        pending: &[u8],
        session: &mut Session,
        pass: &mut P,
    ) -> Result<bool, Error> {
        while self.walked < wanted {
            let unseen = pending.get(self.walked..).unwrap_or_default();
            let block = unseen
                .get(..self.block_bytes.min(unseen.len()))
                .unwrap_or_default();
            if block.is_empty() {
                break;
            }
            let Some(rest) = pass.walk(session, block)? else {
                return Ok(false);
            };
            self.walked += block.len();
            let whole = usize::try_from(rest).ok();
            let whole = whole.and_then(|rest| self.walked.checked_sub(rest));
            self.whole = whole.ok_or_else(|| {
                ComponentError::misbehaved("a record begins before the bytes that were given")
            })?;
        }
        Ok(true)
    }
}

/// Reads until there are `wanted` bytes. Returns whether the input has ended.
pub(super) fn read_until(
    input: &mut impl Read,
    bytes: &mut Vec<u8>,
    wanted: usize,
) -> Result<bool, Error> {
    let missing = wanted.saturating_sub(bytes.len());
    if missing == 0 {
        return Ok(false);
    }
    bytes.reserve(missing);
    let limit = u64::try_from(missing).unwrap_or(u64::MAX);
    let read = input.take(limit).read_to_end(bytes);
    Ok(read.map_err(Error::Input)? < missing)
}
