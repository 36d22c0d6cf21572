//! What events and derived marks disclose: the oracle's own table, `tests/data/event_classes.csv`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::columns::CLASSES;

/// What one code discloses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disclosed {
    /// The classes, or `None` if the meaning of the code is not known.
    pub classes: Option<BTreeSet<String>>,
    /// Whether all persons of a place have the event on the same day.
    pub is_of_place: bool,
}

/// The events (099, 997) by code.
pub static EVENTS: LazyLock<BTreeMap<String, Disclosed>> = LazyLock::new(|| read("event"));

/// The derived marks by code.
pub static MARKS: LazyLock<BTreeMap<String, Disclosed>> = LazyLock::new(|| read("mark"));

fn read(kind: &str) -> BTreeMap<String, Disclosed> {
    let text = include_str!("../../data/event_classes.csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let mut codes = BTreeMap::new();
    for row in reader.deserialize() {
        let (of, code, _, classes, place): (String, String, String, String, String) =
            row.expect("the table of events has five columns");
        if of != kind {
            continue;
        }
        let known = classes != "?";
        let classes: BTreeSet<String> = classes.split_whitespace().map(str::to_owned).collect();
        let is_class = |class: &String| CLASSES.contains(&class.as_str());
        assert!(!known || classes.iter().all(is_class), "classes of {code}");
        codes.insert(
            code,
            Disclosed {
                classes: known.then_some(classes),
                is_of_place: place == "place",
            },
        );
    }
    codes
}

/// Returns whether a policy with these classes may show an event with that code. An event without a code can be any.
pub fn is_event_shown(code: Option<&str>, allowed: &BTreeSet<String>) -> bool {
    is_shown(&EVENTS, code.or(Some("")), allowed)
}

/// Returns whether a policy with these classes may show the code. Blank codes disclose nothing. A code of unknown
/// meaning can disclose anything.
pub fn is_shown(
    codes: &BTreeMap<String, Disclosed>,
    code: Option<&str>,
    allowed: &BTreeSet<String>,
) -> bool {
    let Some(code) = code else {
        return true;
    };
    match codes.get(code).and_then(|code| code.classes.as_ref()) {
        Some(classes) => classes.is_subset(allowed),
        None => CLASSES.iter().all(|class| allowed.contains(*class)),
    }
}
