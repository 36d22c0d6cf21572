//! Makes marks, and keeps account of where each stands.

use std::collections::BTreeMap;

use super::{Mark, Place};

/// 2100-01-01: no other date of the extracts is later.
const FIRST_DAY: i64 = 47_482;

/// The moments are at this minute of their day.
const MINUTE: i64 = 13 * 60 + 37;

/// Makes marks.
#[derive(Debug)]
pub(super) struct MarkSource {
    next: u32,
    next_short: u32,
    next_day: i64,
    marks: BTreeMap<Mark, Place>,
    /// The marks of the present record.
    of_record: Vec<Mark>,
}

impl MarkSource {
    /// Creates a source. The long marks of 64 successive seeds differ.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            next: u32::try_from(seed % 64).unwrap_or_default() << 18,
            next_short: 0,
            next_day: FIRST_DAY,
            marks: BTreeMap::new(),
            of_record: Vec::new(),
        }
    }

    /// Returns the marks since the last call.
    pub(super) fn take(&mut self) -> BTreeMap<Mark, Place> {
        std::mem::take(&mut self.marks)
    }

    /// Begins a record.
    pub(super) fn begin_record(&mut self) {
        self.of_record.clear();
    }

    /// Notes of all marks of the record that its values stand in wrong columns.
    pub(super) fn shift_record(&mut self) {
        for mark in &self.of_record {
            if let Some(place) = self.marks.get_mut(mark) {
                place.is_shifted = true;
            }
        }
    }

    /// Notes the same of a record in which only values about a former spouse stand in wrong columns.
    pub(super) fn shift_record_by_former_spouse(&mut self) {
        for mark in &self.of_record {
            if let Some(place) = self.marks.get_mut(mark) {
                place.is_shifted_by_former_spouse = true;
            }
        }
    }

    fn insert(&mut self, mark: Mark, place: Place) -> bool {
        self.of_record.push(mark.clone());
        self.marks.insert(mark, place).is_none()
    }

    /// Returns a mark of eight characters.
    pub(super) fn long(&mut self, place: Place) -> String {
        let mut text = "Zq".to_owned();
        for digit in (0..6).rev() {
            let letter = self.next >> (4 * digit) & 15;
            text.extend(char::from_digit(letter + 10, 36).map(|c| c.to_ascii_uppercase()));
        }
        self.next += 1;
        self.insert(Mark::Long(text.clone()), place);
        text
    }

    /// Returns a mark of four characters.
    pub(super) fn short(&mut self, place: Place) -> String {
        let mut text = "w".to_owned();
        for digit in (0..3).rev() {
            let letter = self.next_short >> (5 * digit) & 31;
            text.extend(char::from_digit(letter, 32).map(|c| c.to_ascii_uppercase()));
        }
        self.next_short += 1;
        assert!(
            self.insert(Mark::Short(text.clone()), place),
            "there are no more marks of four characters"
        );
        text
    }

    /// Returns a date.
    pub(super) fn day(&mut self, place: Place) -> i64 {
        let day = self.next_day;
        self.next_day += 1;
        self.insert(Mark::Day(day), place);
        day
    }

    /// Returns the day of a moment at [`MINUTE`].
    pub(super) fn moment(&mut self, place: Place) -> i64 {
        let day = self.next_day;
        self.next_day += 1;
        let micros = (day * 24 * 60 + MINUTE) * 60 * 1_000_000;
        self.insert(Mark::Moment(micros), place);
        day
    }
}
