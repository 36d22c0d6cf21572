//! Full loads that were ordered and have not arrived, according to the audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use super::audit;
use super::filter::FilterKind;
use crate::calendar::danish_time;
use crate::error::Error;

/// A filter that brings a full load, and the time at which it was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OverdueFilter {
    pub(crate) kind: FilterKind,
    /// The value; `None` for a person number.
    pub(crate) value: Option<String>,
    pub(crate) added: Timestamp,
}

/// The fields of a line of the log that are read.
#[derive(Deserialize)]
struct Line {
    time: Timestamp,
    operation: String,
    kind: FilterKind,
    value: Option<String>,
    pnr_hash: Option<String>,
    result: String,
    call_id: String,
}

/// Returns the filters that bring a full load, were added on this day or later, and were not removed since, the oldest
/// first. The list is empty if cprflow never changed the subscription.
///
/// A call without a reply may have been carried out, so its filter counts as added.
pub(crate) fn overdue_filters(
    directory: &Path,
    from: Option<Date>,
) -> Result<Vec<OverdueFilter>, Error> {
    let path = directory.join(audit::FILE_NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file(path)(error)),
    };
    let mut added = BTreeMap::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(Error::file(&path))?;
        // After a power failure, the last line can be incomplete. No decision depends on it.
        let Ok(line) = serde_json::from_slice::<Line>(&line) else {
            continue;
        };
        let name = (line.kind, line.value.clone().or(line.pnr_hash));
        let overdue = OverdueFilter {
            kind: line.kind,
            value: line.value,
            added: line.time,
        };
        match (line.operation.as_str(), line.result.as_str()) {
            ("add", "sent") if line.kind.brings_full_load() => {
                // Adding an existing filter again orders no full load, so the time of the first call counts.
                added.entry(name).or_insert((line.call_id, overdue));
            }
            ("add", "added") if line.kind.brings_full_load() => {
                added.insert(name, (line.call_id, overdue));
            }
            ("add", "refused" | "not-sent")
                if added
                    .get(&name)
                    .is_some_and(|(call, _)| *call == line.call_id) =>
            {
                added.remove(&name);
            }
            ("remove", "removed" | "not-there") => {
                added.remove(&name);
            }
            ("clear", "removed") => added.retain(|(kind, _), _| *kind != line.kind),
            _ => {}
        }
    }
    let mut overdue: Vec<_> = added.into_values().map(|(_, overdue)| overdue).collect();
    let day = |filter: &OverdueFilter| danish_time(filter.added).date();
    overdue.retain(|filter| from.is_none_or(|from| day(filter) >= from));
    overdue.sort_by_key(|filter| filter.added);
    Ok(overdue)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn finds_filters_that_were_added_and_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(overdue_filters(directory.path(), None).unwrap(), []);
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
            // 0101: the reply was lost, and the call was repeated. 0147: refused. 0151: the result is unknown.
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
        std::fs::write(directory.path().join(audit::FILE_NAME), log.concat()).unwrap();
        let all = overdue_filters(directory.path(), None).unwrap();
        let values: Vec<_> = all
            .iter()
            .map(|one| (one.kind, one.value.as_deref()))
            .collect();
        assert_eq!(
            values,
            [
                (FilterKind::Municipality, Some("0265")),
                (FilterKind::Municipality, Some("0101")),
                (FilterKind::Pnr, None),
                (FilterKind::Municipality, Some("0151")),
            ]
        );
        // A delivery of the same day may have been made before the filter was added.
        let from = |day: i8| overdue_filters(directory.path(), Some(date(2026, 11, day))).unwrap();
        assert_eq!(from(9), all[2..]);
        assert_eq!(from(10), all[3..]);
        assert_eq!(from(11), []);
    }
}
