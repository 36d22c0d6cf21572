//! The classes of personal data that events reveal, as data.
//!
//! Source: CPR's lists of events (HAENDELSE) and derived marks (AFLEDTMRK). Where CPR names no meaning, it was inferred
//! from the test extracts. A code that several classes describe has all of them, and a code whose meaning is not known
//! is not in the table.

use super::Sensitivity;

const ADDRESS: &str = Sensitivity::Address.name();
const CIVIL_STATUS: &str = Sensitivity::CivilStatus.name();
const CIVIL_STATUS_HISTORY: &str = Sensitivity::CivilStatusHistory.name();
const ECONOMIC: &str = Sensitivity::Economic.name();
const FAMILY: &str = Sensitivity::Family.name();
const FRANCHISE: &str = Sensitivity::Franchise.name();
const FREE_TEXT: &str = Sensitivity::FreeText.name();
const IDENTITY: &str = Sensitivity::Identity.name();
const NAME: &str = Sensitivity::Name.name();
const PROTECTION: &str = Sensitivity::Protection.name();
const RELIGION: &str = Sensitivity::Religion.name();
const SOCIAL: &str = Sensitivity::Social.name();

/// What an event code or a derived mark reveals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventClass {
    /// The code: three characters of an event, or two of a derived mark.
    pub code: &'static str,
    /// The classes that it reveals; empty if it reveals nothing that is not in 001, 005 or 010.
    pub classes: &'static [&'static str],
    /// Whether other persons at the same place have the event on the same day, so that it shows where a person lives.
    pub places: bool,
}

const fn of(code: &'static str, classes: &'static [&'static str]) -> EventClass {
    EventClass {
        code,
        classes,
        places: false,
    }
}

const fn of_place(code: &'static str, classes: &'static [&'static str]) -> EventClass {
    EventClass {
        code,
        classes,
        places: true,
    }
}

/// All event codes, in order.
#[rustfmt::skip]
pub static EVENT_CLASSES: &[EventClass] = &[
    of("A01", &[ADDRESS]),
    of("A02", &[SOCIAL]),
    of("A03", &[SOCIAL]),
    of("A04", &[ADDRESS]),
    of("A05", &[ADDRESS]),
    of("A06", &[ADDRESS]),
    of("A07", &[ADDRESS]),
    of("A08", &[ADDRESS, FRANCHISE]),
    of("A09", &[ADDRESS]),
    of("A10", &[ADDRESS, SOCIAL]),
    of("A13", &[NAME]),
    of("A14", &[NAME]),
    of("A15", &[NAME]),
    of("A16", &[NAME]),
    of("A17", &[NAME]),
    of("A19", &[CIVIL_STATUS]),
    of("A20", &[CIVIL_STATUS]),
    of("A21", &[]),
    of("A23", &[CIVIL_STATUS]),
    of("A24", &[CIVIL_STATUS]),
    of("A25", &[CIVIL_STATUS]),
    of("A27", &[]),
    of("A29", &[]),
    of("A31", &[FREE_TEXT]),
    of("A32", &[SOCIAL]),
    of("A33", &[PROTECTION, ECONOMIC]),
    of("A34", &[RELIGION]),
    of("A35", &[FAMILY]),
    of("A36", &[FAMILY]),
    of("A37", &[FAMILY]),
    of("A38", &[FAMILY]),
    of("A40", &[IDENTITY]),
    of_place("A42", &[ADDRESS]),
    of("A45", &[]),
    of("A47", &[ADDRESS]),
    of("A51", &[FAMILY]),
    of("A73", &[SOCIAL]),
    of("A74", &[]),
    of("K74", &[]),
    of("P02", &[IDENTITY]),
    of("P03", &[IDENTITY]),
    of_place("P10", &[ADDRESS]),
    of("P11", &[PROTECTION, FREE_TEXT, ADDRESS, FAMILY]),
    of("P31", &[ADDRESS]),
    of("P32", &[SOCIAL]),
    of("P35", &[CIVIL_STATUS]),
    of("P36", &[CIVIL_STATUS, CIVIL_STATUS_HISTORY]),
    of("P40", &[FAMILY]),
    of("P42", &[IDENTITY]),
    of("P43", &[IDENTITY]),
    of("P48", &[CIVIL_STATUS]),
    of("P49", &[CIVIL_STATUS, CIVIL_STATUS_HISTORY]),
    of("P56", &[RELIGION]),
    of("P58", &[NAME, CIVIL_STATUS, FAMILY]),
];

/// All derived marks: through which other person, or which number, an event concerns a person.
#[rustfmt::skip]
pub static MARK_CLASSES: &[EventClass] = &[
    of("BØ", &[FAMILY]),
    of("FA", &[FAMILY]),
    of("HP", &[CIVIL_STATUS_HISTORY]),
    of("HÆ", &[CIVIL_STATUS_HISTORY]),
    of("MO", &[FAMILY]),
    of("NB", &[FAMILY]),
    of("NF", &[FAMILY]),
    of("NM", &[FAMILY]),
    of("NP", &[CIVIL_STATUS]),
    of("NV", &[SOCIAL]),
    of("NÆ", &[CIVIL_STATUS]),
    of("PA", &[CIVIL_STATUS]),
    of("PH", &[IDENTITY]),
    of("PN", &[IDENTITY]),
    of("PT", &[IDENTITY]),
    of("TB", &[FAMILY]),
    of("TF", &[FAMILY]),
    of("TM", &[FAMILY]),
    of("TP", &[CIVIL_STATUS_HISTORY]),
    of("TÆ", &[CIVIL_STATUS_HISTORY]),
    of("VS", &[SOCIAL]),
    of("ÆG", &[CIVIL_STATUS]),
    of("FM", &[FAMILY]),
    of("FN", &[FAMILY]),
    of("FT", &[FAMILY]),
    of("MF", &[FAMILY]),
];

/// Returns what a code in ISO-8859-1 reveals, or `None` if its meaning is not known.
pub(crate) fn class_of(classes: &'static [EventClass], code: &[u8]) -> Option<&'static EventClass> {
    let is_code = |event: &&EventClass| {
        let own = event.code.chars();
        own.eq(code.iter().copied().map(char::from))
    };
    classes.iter().find(is_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_have_known_classes() {
        for (codes, length) in [(EVENT_CLASSES, 3), (MARK_CLASSES, 2)] {
            for (place, event) in codes.iter().enumerate() {
                assert_eq!(event.code.chars().count(), length);
                assert!(
                    codes[..place]
                        .iter()
                        .all(|before| before.code != event.code)
                );
                for class in event.classes {
                    let mut known = Sensitivity::ALL.iter().map(|known| known.name());
                    assert!(known.any(|known| known == *class));
                }
            }
        }
        assert_eq!((EVENT_CLASSES.len(), MARK_CLASSES.len()), (54, 26));
    }

    #[test]
    fn finds_codes_in_iso_8859_1() {
        assert_eq!(
            class_of(EVENT_CLASSES, b"A34").unwrap().classes,
            ["religion"]
        );
        assert_eq!(
            class_of(MARK_CLASSES, b"\xc6G").unwrap().classes,
            ["civil-status"]
        );
        assert_eq!(class_of(MARK_CLASSES, b"B\xd8").unwrap().code, "BØ");
        for unknown in [&b"P51"[..], b"P55", b"A99", b"A3", b"", b"   "] {
            assert_eq!(class_of(EVENT_CLASSES, unknown), None);
        }
    }
}
