//! What was subscribed to and has not come, as far as the audit log tells.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::audit;
use super::filter::Kind;
use crate::calendar::danish_time;
use crate::error::Error;

/// A filter that brings a full load, and when it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) kind: Kind,
    /// The value; none for a person number.
    pub(crate) value: Option<String>,
    pub(crate) added: Timestamp,
}

/// What is looked at of a line of the log.
#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    operation: String,
    kind: Kind,
    value: Option<String>,
    pnr_hash: Option<String>,
    result: String,
    call_id: String,
}

/// The filters that bring a full load, were added on that day or later, and were not removed since; the first added
/// first. None where nobody ever changed the subscription with this program.
///
/// Of a call without an answer nobody knows whether it had its effect, so its filter counts as added.
pub(crate) fn awaited(directory: &Path, from: Option<Date>) -> Result<Vec<Awaited>, Error> {
    let path = directory.join(audit::NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(path)(error)),
    };
    let mut there = BTreeMap::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(Error::file(&path))?;
        // The last line of a machine that lost its power may be none; nothing is decided by it.
        let Ok(line) = serde_json::from_slice::<Line>(&line) else {
            continue;
        };
        let name = (line.kind, line.value.clone().or(line.pnr_hash));
        let awaited = Awaited {
            kind: line.kind,
            value: line.value,
            added: line.time,
        };
        match (line.operation.as_str(), line.result.as_str()) {
            ("add", "sent") if line.kind.brings_full_load() => {
                // What was there before stays awaited since then: adding it again brings nothing.
                there.entry(name).or_insert((line.call_id, awaited));
            }
            ("add", "added") if line.kind.brings_full_load() => {
                there.insert(name, (line.call_id, awaited));
            }
            ("add", "refused" | "not-sent")
                if there
                    .get(&name)
                    .is_some_and(|(call, _)| *call == line.call_id) =>
            {
                there.remove(&name);
            }
            ("remove", "removed" | "not-there") => {
                there.remove(&name);
            }
            ("clear", "removed") => there.retain(|(kind, _), _| *kind != line.kind),
            _ => {}
        }
    }
    let mut awaited: Vec<_> = there.into_values().map(|(_, awaited)| awaited).collect();
    let day = |awaited: &Awaited| danish_time(awaited.added).date();
    awaited.retain(|awaited| from.is_none_or(|from| day(awaited) >= from));
    awaited.sort_by_key(|awaited| awaited.added);
    Ok(awaited)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_was_added_last_and_is_still_there() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(awaited(directory.path(), None).unwrap(), []);
        let line = |day: u32, operation: &str, kind: &str, value: &str, result: &str| {
            format!(
                "{{\"time\":\"2026-11-{day:02}T10:00:00Z\",\"who\":\"x\",\"operation\":\"{operation}\",\
                 \"kind\":\"{kind}\",{value}\"result\":\"{result}\",\"call_id\":\"x{day}\"}}\n"
            )
        };
        let code = |code: &str| format!("\"value\":\"{code}\",");
        let hash = "\"pnr_hash\":\"abc\",";
        let log = [
            line(1, "add", "municipality", &code("0265"), "added"),
            line(2, "add", "pnr", hash, "added"),
            line(3, "clear", "pnr", "", "removed"),
            // An answer was lost, and the call made again; one was refused; of one nothing more was told.
            line(4, "add", "municipality", &code("0101"), "sent"),
            line(4, "add", "municipality", &code("0101"), "already-existed"),
            line(5, "add", "municipality", &code("0147"), "sent"),
            line(5, "add", "municipality", &code("0147"), "refused"),
            line(5, "add", "municipality", &code("0101"), "sent"),
            line(5, "add", "municipality", &code("0101"), "refused"),
            line(10, "add", "municipality", &code("0151"), "sent"),
            line(6, "add", "change-code", &code("A01"), "added"),
            line(7, "add", "municipality", &code("0751"), "added"),
            line(8, "remove", "municipality", &code("0751"), "removed"),
            line(9, "add", "pnr", hash, "added"),
            "{\"time\":\"2026".to_owned(),
        ];
        std::fs::write(directory.path().join(audit::NAME), log.concat()).unwrap();
        let all = awaited(directory.path(), None).unwrap();
        let values: Vec<_> = all
            .iter()
            .map(|one| (one.kind, one.value.as_deref()))
            .collect();
        assert_eq!(
            values,
            [
                (Kind::Municipality, Some("0265")),
                (Kind::Municipality, Some("0101")),
                (Kind::Pnr, None),
                (Kind::Municipality, Some("0151")),
            ]
        );
        // A delivery of the day itself may have been made before.
        let from = |day: i8| awaited(directory.path(), Some(date(2026, 11, day))).unwrap();
        assert_eq!(from(9), all[2..]);
        assert_eq!(from(10), all[3..]);
        assert_eq!(from(11), []);
    }
}
