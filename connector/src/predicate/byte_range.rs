//! Cheap tests on the bytes of a record. Most records that do not meet a condition fail one of them, so that their values
//! need not be converted.

use super::evaluate::{Condition, ValueTest};
use super::parse::Operator;
use super::text_value::TextValue;
use crate::columns::schema::ColumnId;
use crate::layout::{Column, Kind};
use crate::value::{self, DAY_MICROS};

/// The number of bytes of a field that are compared.
const BYTES: usize = 8;

/// The range in which the first bytes of a field lie, as a number, in every record that meets a condition.
#[derive(Clone)]
pub(super) struct ByteRange {
    start: usize,
    /// The bits of the bytes that belong to the field.
    mask: u64,
    low: u64,
    high: u64,
}

impl ByteRange {
    /// Returns the ranges of a condition. A condition that is no comparison, or not one of these, has none.
    pub(super) fn all(condition: &Condition) -> Vec<Self> {
        match condition {
            Condition::And(all) => all.iter().flat_map(Self::all).collect(),
            Condition::Text(ColumnId::Field(column), test) => {
                Self::of_text(column, test).into_iter().collect()
            }
            Condition::Number(ColumnId::Field(column), test) => {
                Self::of_number(column, test).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether a record can meet the condition. A record that ends within the bytes can.
    #[inline]
    pub(super) fn has(&self, record: &[u8]) -> bool {
        let bytes = record.get(self.start..).and_then(<[u8]>::first_chunk);
        bytes.is_none_or(|bytes| {
            (self.low..=self.high).contains(&(u64::from_be_bytes(*bytes) & self.mask))
        })
    }

    /// A text has a range only if it must be one of some texts: a field filled up with spaces has another order than its text.
    fn of_text(column: &'static Column, test: &ValueTest<TextValue>) -> Option<Self> {
        let texts = match test {
            ValueTest::Compare(Operator::Equal, text) => std::slice::from_ref(text),
            ValueTest::In(texts) => texts,
            _ => return None,
        };
        let bytes = texts.iter().map(TextValue::latin1);
        let bytes = bytes.collect::<Option<Vec<_>>>()?;
        let (low, high) = (bytes.iter().min()?, bytes.iter().max()?);
        Some(Self::between(column, low, high))
    }

    /// Dates and times have the same order as their bytes.
    fn of_number(column: &'static Column, test: &ValueTest<i64>) -> Option<Self> {
        let (low, high) = match test {
            ValueTest::Compare(operator, value) => match operator {
                Operator::Equal => (Some(value), Some(value)),
                Operator::Less | Operator::LessOrEqual => (None, Some(value)),
                Operator::Greater | Operator::GreaterOrEqual => (Some(value), None),
                Operator::NotEqual => return None,
            },
            ValueTest::Between(low, high) => (Some(low), Some(high)),
            // The values are sorted.
            ValueTest::In(values) => (Some(values.first()?), Some(values.last()?)),
        };
        let text = |value: Option<&i64>, without: &str| {
            let Some(value) = value else {
                return Some(without.to_owned());
            };
            let days = match column.kind {
                // A time is at least as late as its day, whose digits come first.
                Kind::Timestamp => value.div_euclid(DAY_MICROS),
                _ => *value,
            };
            let date = value::iso_date(i32::try_from(days).ok()?);
            Some(match column.kind {
                Kind::Date => date,
                _ => date.replace('-', ""),
            })
        };
        if !matches!(column.kind, Kind::Date | Kind::Date8 | Kind::Timestamp) {
            return None;
        }
        let (low, high) = (text(low, "00000000")?, text(high, "99999999")?);
        Some(Self::between(column, low.as_bytes(), high.as_bytes()))
    }

    fn between(column: &'static Column, low: &[u8], high: &[u8]) -> Self {
        let unused = BYTES.saturating_sub(column.length) * 8;
        let mask = u64::MAX << unused;
        Self {
            start: column.start(),
            mask,
            low: first_bytes(low) & mask,
            high: first_bytes(high) & mask,
        }
    }
}

/// Returns the first bytes of a text, filled up with spaces, as a number.
fn first_bytes(text: &[u8]) -> u64 {
    let mut bytes = [b' '; BYTES];
    for (to, from) in bytes.iter_mut().zip(text) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Comparable, Predicate, Row, RowCell};
    use crate::columns::schema::{ColumnId, TableId};
    use crate::layout;

    /// A record of `person`.
    struct Record(Vec<u8>);

    impl Row for Record {
        fn cell(&self, column: ColumnId) -> RowCell<'_> {
            match column {
                ColumnId::Field(field) => {
                    RowCell::of_field(field, &self.0[field.start()..field.end()])
                }
                _ => RowCell::Null,
            }
        }
    }

    /// Returns a record with that text at the beginning of a column.
    fn record(column: &str, text: &str) -> Record {
        let table = layout::by_name("person").unwrap();
        let column = table.column(column).unwrap();
        let mut record = vec![b' '; table.record_length()];
        let bytes = text.bytes().take(column.length);
        for (at, byte) in bytes.enumerate() {
            record[column.start() + at] = byte;
        }
        Record(record)
    }

    fn predicate(text: &str) -> Predicate {
        let table = layout::by_name("person").map(TableId::Layout).unwrap();
        Predicate::new(text, &Comparable::all(&table.columns())).unwrap()
    }

    #[test]
    fn sorts_out_records_by_their_bytes() {
        for (condition, column, passes, fails) in [
            (
                "birth_date > '1990-05-10'",
                "birth_date",
                "1990-05-11",
                "1990-04-30",
            ),
            (
                "birth_date <= '1990-05-10'",
                "birth_date",
                "1990-05-10",
                "1990-06-01",
            ),
            ("status = '05'", "status", "05", "06"),
            ("status in ('05', '70')", "status", "70", "90"),
            (
                "status_start >= '2020-01-02 12:00'",
                "status_start",
                "202001030000",
                "202001012359",
            ),
            ("line > 1 and status = '05'", "status", "05", "01"),
        ] {
            let predicate = predicate(condition);
            assert!(
                !predicate.may_be_met(&record(column, fails).0),
                "{condition}"
            );
            assert!(
                predicate.may_be_met(&record(column, passes).0),
                "{condition}"
            );
        }
        for condition in [
            "birth_date is null",
            "not status = '05'",
            "status != '05'",
            "status > '05'",
            "sex = 'M' or status = '05'",
        ] {
            assert!(
                predicate(condition).may_be_met(&record("status", "05").0),
                "{condition}"
            );
        }
    }

    proptest! {
        #[test]
        fn keeps_every_record_that_meets_the_condition(
            column in prop_oneof![Just("birth_date"), Just("status_start"), Just("status"), Just("occupation")],
            text in "((19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]|20[0-9]{2}(01|12)[0-3][0-9](00|23)(00|99)|[0-9]{2}|[A-C ]{0,10}|.{0,12})",
            operator in prop_oneof![Just("="), Just("!="), Just("<"), Just("<="), Just(">"), Just(">=")],
            is_equal: bool,
            other in "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9])",
            word in "([0-9]{2}|[A-C ]{0,10})",
            form in 0..4_u8,
        ) {
            let value = match column {
                "birth_date" | "status_start" => &other,
                _ => &word,
            };
            let least = match column {
                "birth_date" | "status_start" => "1950-06-15",
                _ => "B",
            };
            let condition = match form {
                0 => format!("{column} in ('{least}', '{value}')"),
                1 => format!("{column} between '{least}' and '{value}'"),
                2 => format!("{column} {operator} '{value}' and {column} > '{least}'"),
                _ => format!("{column} {operator} '{value}'"),
            };
            // Random texts are seldom equal.
            let text = match (is_equal, column) {
                (false, _) => text,
                (true, "status_start") => value.replace('-', "") + "0000",
                (true, _) => value.clone(),
            };
            let record = record(column, &text);
            let predicate = predicate(&condition);
            prop_assert!(!predicate.is_met(&record) || predicate.may_be_met(&record.0), "{}", condition);
        }
    }
}
