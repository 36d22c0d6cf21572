//! Selects nine million persons, about as many as CPR has ever numbered, by every condition at once. The selection must
//! fit into the default memory of an instance, 256 MiB.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::io::{self, Read};

use cprflow::policy::PersonFilter;
use cprflow::{Limits, Policy, Scan, SelectionCounts};
use cprflow_tests::rows::connector;

#[test]
fn selects_nine_million_persons_in_256_mib() {
    let policy = Policy {
        persons: PersonFilter {
            municipality_codes: Some(vec!["0851".to_owned()]),
            status_codes: Some(vec!["01".to_owned()]),
            ages: Some((0, 120)),
            ..PersonFilter::default()
        },
        tables: Some(["name".to_owned()].into()),
        ..Policy::default()
    };
    let pass = |roster: Option<Vec<u8>>, status: &'static [u8; 2]| {
        let limits = Limits::new().memory(256 << 20);
        let mut scan = Scan::new(connector()).limits(limits).policy(&policy);
        if let Some(roster) = roster {
            scan = scan.roster(roster);
        }
        let mut rows = scan.read_with_policy(|| Ok(Register::new(status))).unwrap();
        let mut left = 0;
        for batch in rows.by_ref().map(Result::unwrap) {
            assert_eq!(batch.table, "out_of_scope");
            left += batch.batch.num_rows() as u64;
        }
        let selected = rows.selected().unwrap();
        assert_eq!(left, selected.left);
        (selected, rows.roster().unwrap())
    };
    let (selected, roster) = pass(None, b"01");
    let everybody = SelectionCounts {
        persons: PERSONS,
        entered: PERSONS,
        left: 0,
    };
    assert_eq!(selected, everybody);
    // The roster needs two bytes per person, and a little for each day of birth.
    assert!(roster.len() < 32 << 20, "{}", roster.len());
    // In the next extract all persons are dead, and each is listed as a leaver.
    let (selected, roster) = pass(Some(roster), b"90");
    assert_eq!((selected.persons, selected.left), (0, PERSONS));
    assert!(roster.len() < 1 << 10, "{}", roster.len());
}

const PERSONS: u64 = DAYS * A_DAY;
/// 100 years of 12 months of 28 days.
const DAYS: u64 = 100 * 12 * 28;
const A_DAY: u64 = 268;

/// An extract with a 001 and a 002 for each person, and a protection for one in four. It is generated while it is read.
struct Register {
    /// The records of all persons who were born on one day.
    block: Vec<u8>,
    /// The positions of the day in these records: in person numbers, as DDMMYY, and in dates of birth.
    numbers: Vec<usize>,
    dates: Vec<usize>,
    /// The next day, and how many bytes of the current one are read.
    day: u64,
    at: usize,
}

impl Register {
    fn new(status: &[u8; 2]) -> Self {
        let mut register = Self {
            block: Vec::new(),
            numbers: Vec::new(),
            dates: Vec::new(),
            day: 0,
            at: 0,
        };
        let status = std::str::from_utf8(status).unwrap();
        for person in 0..A_DAY {
            register.key("001", person);
            let before = format!("{:10}{status}000000000000 K", "");
            register.block.extend_from_slice(before.as_bytes());
            register.dates.push(register.block.len());
            register.block.extend_from_slice(b"1900-01-01\n");
            register.key("002", person);
            register.block.extend_from_slice(b"0851\n");
            if person % 4 == 0 {
                register.key("004", person);
                register.block.extend_from_slice(b"00012001-01-01\n");
            }
        }
        register.at = register.block.len();
        register
    }

    fn key(&mut self, record_type: &str, person: u64) {
        self.block.extend_from_slice(record_type.as_bytes());
        self.numbers.push(self.block.len());
        let number = format!("010100{person:04}");
        self.block.extend_from_slice(number.as_bytes());
    }

    fn turn(&mut self) {
        let (day, month) = (self.day % 28 + 1, self.day / 28 % 12 + 1);
        let year = self.day / (28 * 12);
        let number = format!("{day:02}{month:02}{year:02}");
        let date = format!("19{year:02}-{month:02}-{day:02}");
        for place in &self.numbers {
            self.block[*place..place + 6].copy_from_slice(number.as_bytes());
        }
        for place in &self.dates {
            self.block[*place..place + 10].copy_from_slice(date.as_bytes());
        }
        self.day += 1;
        self.at = 0;
    }
}

impl Read for Register {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const START: &[u8] = b"00000000000001109012019123120191230\n";
        const END: &[u8] = b"999999999999999999999\n";
        if self.at == self.block.len() {
            match self.day {
                0 => {
                    self.turn();
                    return START.chain(io::empty()).read(buffer);
                }
                DAYS => {
                    self.day += 1;
                    return END.chain(io::empty()).read(buffer);
                }
                day if day > DAYS => return Ok(0),
                _ => self.turn(),
            }
        }
        let read = self.block[self.at..].chain(io::empty()).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
