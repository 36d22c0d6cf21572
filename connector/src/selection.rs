//! Which persons a scan is about.
//!
//! A person's records do not stand together, and only one of them says where the person lives: so persons are
//! chosen in a pass of their own, and the scan takes the result.

use std::fmt;
use std::sync::Arc;

use roaring::RoaringTreemap;

use crate::error::Error;
use crate::grammar;
use crate::layout;
use crate::split::{Splitter, Step};
use crate::tally::{Class, classify, pnr_number};

/// Which persons to choose: everybody who meets every condition that is given.
#[derive(Clone, Default)]
pub struct PersonFilter {
    /// Persons whose current address (002) is in one of these municipalities, four digits each.
    pub municipality_codes: Option<Vec<String>>,
    /// Persons whose status (001) is one of these.
    pub status_codes: Option<Vec<String>>,
    /// Persons with one of these numbers.
    pub numbers: Option<Vec<String>>,
}

/// The persons whom a filter chooses from an extract.
pub struct Selection {
    splitter: Splitter,
    conditions: Vec<Condition>,
    numbers: Option<RoaringTreemap>,
    chosen: Option<Arc<RoaringTreemap>>,
}

/// A code that stands in a field of a record type.
struct Condition {
    table: usize,
    from: usize,
    to: usize,
    /// None for any.
    codes: Option<Vec<Vec<u8>>>,
    meeting: RoaringTreemap,
}

impl fmt::Debug for PersonFilter {
    /// Says which conditions there are, and of the numbers only how many.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonFilter")
            .field("municipality_codes", &self.municipality_codes)
            .field("status_codes", &self.status_codes)
            .field("numbers", &self.numbers.as_ref().map(Vec::len))
            .finish()
    }
}

impl fmt::Debug for Selection {
    /// Says how many persons are chosen, not who.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("chosen", &self.chosen.as_ref().map(|chosen| chosen.len()))
            .finish_non_exhaustive()
    }
}

impl Selection {
    /// Begins a first pass.
    pub fn open(filter: PersonFilter) -> Result<Self, Error> {
        let mut conditions = Vec::new();
        if let Some(codes) = filter.municipality_codes {
            conditions.push(Condition::new("address", "municipality_code", Some(codes))?);
        }
        if let Some(codes) = filter.status_codes {
            conditions.push(Condition::new("person", "status", Some(codes))?);
        }
        let numbers = filter.numbers.map(numbers).transpose()?;
        if conditions.is_empty() && numbers.is_none() {
            conditions.push(Condition::new("person", "status", None)?);
        }
        Ok(Self {
            splitter: Splitter::default(),
            conditions,
            numbers,
            chosen: None,
        })
    }

    /// Takes the next bytes of the extract.
    pub fn push(&mut self, block: Vec<u8>) -> Result<(), Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("push after finish: the selection is made"));
        }
        self.splitter.push(block);
        self.read()
    }

    /// Ends the pass, and says how many persons were chosen.
    pub fn finish(&mut self) -> Result<u64, Error> {
        if self.chosen.is_some() {
            return Err(Error::Misuse("finish was called before"));
        }
        self.splitter.finish();
        self.read()?;
        let conditions = self
            .conditions
            .iter_mut()
            .map(|c| std::mem::take(&mut c.meeting));
        let chosen = conditions
            .chain(self.numbers.take())
            .reduce(|mut chosen, meeting| {
                chosen &= meeting;
                chosen
            })
            .unwrap_or_default();
        let count = chosen.len();
        self.chosen = Some(Arc::new(chosen));
        Ok(count)
    }

    /// Adds the persons of another finished selection.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let other = other.chosen()?;
        match &mut self.chosen {
            Some(chosen) => {
                *Arc::make_mut(chosen) |= &*other;
                Ok(())
            }
            None => Err(UNFINISHED),
        }
    }

    /// The chosen persons.
    pub(crate) fn chosen(&self) -> Result<Arc<RoaringTreemap>, Error> {
        self.chosen.clone().ok_or(UNFINISHED)
    }

    fn read(&mut self) -> Result<(), Error> {
        while self.splitter.next()? == Step::Record {
            let record = self.splitter.record();
            let Class::Known(table) = classify(record) else {
                continue;
            };
            for condition in &mut self.conditions {
                if condition.table == table && condition.is_met_by(record) {
                    let key = record.get(3..13).unwrap_or_default();
                    condition.meeting.insert(pnr_number(key));
                }
            }
        }
        Ok(())
    }
}

const UNFINISHED: Error = Error::Misuse("the selection is not finished: call finish first");

impl Condition {
    fn new(table: &str, column: &str, codes: Option<Vec<String>>) -> Result<Self, Error> {
        let place = layout::tables().iter().position(|t| t.name == table);
        let field = layout::by_name(table).and_then(|table| table.column(column));
        let (Some(place), Some(field)) = (place, field) else {
            return Err(Error::InvalidRequest(format!(
                "there is no column {table}.{column}"
            )));
        };
        for code in codes.iter().flatten() {
            if !grammar::is_code(code, field.length) {
                return Err(Error::InvalidRequest(format!(
                    "a {column} has {} digits, leading zeros included",
                    field.length
                )));
            }
        }
        Ok(Self {
            table: place,
            from: field.start(),
            to: field.end(),
            codes: codes.map(|codes| codes.into_iter().map(String::into_bytes).collect()),
            meeting: RoaringTreemap::new(),
        })
    }

    fn is_met_by(&self, record: &[u8]) -> bool {
        let Some(codes) = &self.codes else {
            return true;
        };
        let code = record.get(self.from..self.to);
        code.is_some_and(|code| codes.iter().any(|wanted| wanted == code))
    }
}

fn numbers(numbers: Vec<String>) -> Result<RoaringTreemap, Error> {
    numbers
        .iter()
        .enumerate()
        .map(|(place, number)| {
            if grammar::is_code(number, 10) {
                Ok(pnr_number(number.as_bytes()))
            } else {
                Err(Error::InvalidRequest(format!(
                    "entry {} of the list of person numbers is not ten digits",
                    place + 1
                )))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scan, ScanOptions};

    const EXTRACT: &str = "00000000000001109012001111720011116\n\
        0010101965058          01000000000000 K1896-01-01\n\
        002010196505808510000\n\
        0010101965066          90000000000000 M1896-01-01\n\
        002010196506608510000\n\
        0010101965074          01000000000000 M1896-01-01\n\
        002010196507407060000\n\
        0030101965058Somebody\n\
        999999999999900000007\n";

    fn select(filter: PersonFilter) -> Selection {
        let mut selection = Selection::open(filter).unwrap();
        for piece in EXTRACT.as_bytes().chunks(10) {
            selection.push(piece.to_vec()).unwrap();
        }
        selection.finish().unwrap();
        selection
    }

    fn codes(codes: &[&str]) -> Option<Vec<String>> {
        Some(codes.iter().map(|code| (*code).to_owned()).collect())
    }

    /// The lines that a scan of all tables yields for the selection.
    fn lines(selection: &Selection) -> Vec<i64> {
        use arrow::array::AsArray;
        let mut scan = Scan::open(&ScanOptions::default(), Some(selection)).unwrap();
        scan.push(EXTRACT.as_bytes().to_vec()).unwrap();
        scan.finish().unwrap();
        let mut lines = Vec::new();
        while let Some(rows) = scan.next().unwrap() {
            let line = rows.batch.column_by_name("line").unwrap();
            lines.extend(line.as_primitive::<arrow::datatypes::Int64Type>().values());
        }
        lines.sort_unstable();
        lines
    }

    #[test]
    fn a_person_is_chosen_with_every_record_wherever_it_stands() {
        let living_in_0851 = select(PersonFilter {
            municipality_codes: codes(&["0851"]),
            status_codes: codes(&["01", "03"]),
            numbers: None,
        });
        assert_eq!(lines(&living_in_0851), [2, 3, 8]);
        let by_number = select(PersonFilter {
            numbers: codes(&["0101965074"]),
            ..PersonFilter::default()
        });
        assert_eq!(lines(&by_number), [6, 7]);
        let everybody = select(PersonFilter::default());
        assert_eq!(lines(&everybody), [2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn selections_merge() {
        let mut chosen = select(PersonFilter {
            status_codes: codes(&["90"]),
            ..PersonFilter::default()
        });
        let other = select(PersonFilter {
            municipality_codes: codes(&["0706"]),
            ..PersonFilter::default()
        });
        chosen.merge(&other).unwrap();
        assert_eq!(lines(&chosen), [4, 5, 6, 7]);
    }

    #[test]
    fn misuse_and_misfits_are_typed() {
        let mut open = Selection::open(PersonFilter::default()).unwrap();
        assert!(matches!(
            Scan::open(&ScanOptions::default(), Some(&open)),
            Err(Error::Misuse(_))
        ));
        open.finish().unwrap();
        assert!(matches!(open.push(Vec::new()), Err(Error::Misuse(_))));
        for (municipality_codes, numbers) in
            [(codes(&["851"]), None), (None, codes(&["010196505"]))]
        {
            let filter = PersonFilter {
                municipality_codes,
                numbers,
                status_codes: None,
            };
            let refused = Selection::open(filter);
            assert!(matches!(refused, Err(Error::InvalidRequest(_))));
        }
    }

    #[test]
    fn nobody_is_named_by_debug() {
        let filter = PersonFilter {
            numbers: codes(&["0101965074"]),
            ..PersonFilter::default()
        };
        assert!(!format!("{filter:?}").contains("0101965074"));
        assert!(!format!("{:?}", select(filter)).contains("0101965074"));
    }
}
