//! Implements the interface `source`: scans and selections.

use std::cell::RefCell;

use super::Component;
use super::bindings::exports::cprflow::connector::source;
use super::catalog::catalog_table;
use crate::columns::ipc::Encoder;
use crate::columns::schema::{TableId, table_count};
use crate::policy::View;
use crate::{
    CopyOptions, Error, ExtractCopy, ExtractPlace, Level, PartStart, Policy, Scan, ScanOptions,
    Selection, Shape, TableRequest,
};

impl source::Guest for Component {
    type Selection = RefCell<Selection>;
    type Scan = RefCell<Session>;
    type ExtractCopy = RefCell<ExtractCopy>;

    fn view(policy: source::Policy) -> Result<Vec<source::Table>, source::Error> {
        let view = Policy::from(policy).view()?;
        let tables = view.tables.iter();
        Ok(tables
            .map(|table| catalog_table(&table.id, &table.columns))
            .collect())
    }

    fn state_view(policy: Option<source::Policy>) -> Result<Vec<source::Table>, source::Error> {
        let view = View::state(policy.map(Policy::from).as_ref())?;
        let tables = view.tables.iter();
        Ok(tables
            .map(|table| catalog_table(&table.id, &table.columns))
            .collect())
    }
}

/// A scan with the IPC encoders of its tables.
pub(super) struct Session {
    scan: Scan,
    encoders: Vec<(&'static str, Encoder)>,
}

impl Session {
    fn resource(scan: Scan) -> source::Scan {
        source::Scan::new(RefCell::new(Self {
            scan,
            encoders: Vec::with_capacity(table_count()),
        }))
    }
}

fn scan_options(options: source::ScanOptions) -> ScanOptions {
    ScanOptions {
        tables: options.tables.map(|tables| {
            let requests = tables.into_iter().map(|request| TableRequest {
                name: request.name,
                columns: request.columns,
                predicate: request.where_,
            });
            requests.collect()
        }),
        batch_rows: options.batch_rows as usize,
        check_persons: options.check_persons,
        expected_previous: options.expected_previous,
    }
}

impl source::GuestScan for RefCell<Session> {
    fn open(
        options: source::ScanOptions,
        persons: Option<source::SelectionBorrow<'_>>,
    ) -> Result<source::Scan, source::Error> {
        let options = scan_options(options);
        let scan = match &persons {
            Some(persons) => {
                let selection: &RefCell<Selection> = persons.get();
                Scan::open(&options, Some(&selection.borrow()))
            }
            None => Scan::open(&options, None),
        };
        Ok(Session::resource(scan?))
    }

    fn open_part(
        options: source::ScanOptions,
        persons: Option<source::SelectionBorrow<'_>>,
        context: Vec<u8>,
    ) -> Result<source::Scan, source::Error> {
        let options = scan_options(options);
        let scan = match &persons {
            Some(persons) => {
                let selection: &RefCell<Selection> = persons.get();
                Scan::open_part(&options, Some(&selection.borrow()), &context)
            }
            None => Scan::open_part(&options, None, &context),
        };
        Ok(Session::resource(scan?))
    }

    fn begin_parts(&self) -> Result<Option<source::PartStart>, source::Error> {
        let start = self.borrow_mut().scan.begin_parts()?;
        Ok(start.map(Into::into))
    }

    fn end_part(&self) -> Result<(), source::Error> {
        Ok(self.borrow_mut().scan.end_part()?)
    }

    fn take_part(&self) -> Result<Vec<u8>, source::Error> {
        Ok(self.borrow_mut().scan.take_part()?)
    }

    fn add_part(&self, part: Vec<u8>) -> Result<Option<u64>, source::Error> {
        Ok(self.borrow_mut().scan.add_part(&part)?)
    }

    fn walk(&self, block: Vec<u8>) -> Result<u64, source::Error> {
        Ok(self.borrow_mut().scan.walk(block)?)
    }

    fn begin_extract(&self, extract: source::ExtractPlace) -> Result<(), source::Error> {
        Ok(self.borrow_mut().scan.begin_extract(&extract.into())?)
    }

    fn end_extract(&self) -> Result<(), source::Error> {
        Ok(self.borrow_mut().scan.end_extract()?)
    }

    fn push(&self, block: Vec<u8>) -> Result<(), source::Error> {
        Ok(self.borrow_mut().scan.push(block)?)
    }

    fn finish(&self) -> Result<(), source::Error> {
        Ok(self.borrow_mut().scan.finish()?)
    }

    fn next(&self) -> Result<Option<source::Batch>, source::Error> {
        let session = &mut *self.borrow_mut();
        let Some(rows) = session.scan.next()? else {
            return Ok(None);
        };
        let name = rows.table.name();
        let index = match session
            .encoders
            .iter()
            .position(|(table, _)| *table == name)
        {
            Some(index) => index,
            None => {
                session.encoders.push((name, Encoder::default()));
                session.encoders.len() - 1
            }
        };
        let (_, encoder) = session.encoders.get_mut(index).ok_or(Error::Internal)?;
        Ok(Some(source::Batch {
            table: name.to_owned(),
            rows: rows.batch.num_rows() as u32,
            ipc: encoder.encode(&rows.batch).map_err(|_| Error::Internal)?,
        }))
    }

    fn summary(&self) -> source::Summary {
        summary(self.borrow_mut().scan.summary())
    }
}

impl source::GuestSelection for RefCell<Selection> {
    fn open(filter: source::PersonFilter) -> Result<source::Selection, source::Error> {
        let selection = Selection::open(filter.into())?;
        Ok(source::Selection::new(RefCell::new(selection)))
    }

    fn open_policy(
        policy: source::Policy,
        roster: Option<Vec<u8>>,
        delivered_later: Option<Vec<u8>>,
    ) -> Result<source::Selection, source::Error> {
        let mut selection = Selection::open_policy(policy.into(), roster.as_deref())?;
        if let Some(delivered_later) = delivered_later {
            selection.set_delivered_later(&delivered_later)?;
        }
        Ok(source::Selection::new(RefCell::new(selection)))
    }

    fn open_state(
        policy: Option<source::Policy>,
        roster: Option<Vec<u8>>,
    ) -> Result<source::Selection, source::Error> {
        let selection = Selection::open_state(policy.map(Policy::from), roster.as_deref())?;
        Ok(source::Selection::new(RefCell::new(selection)))
    }

    fn begin_extract(&self, extract: source::ExtractPlace) -> Result<(), source::Error> {
        Ok(self.borrow_mut().begin_extract(&extract.into())?)
    }

    fn end_extract(&self) -> Result<(), source::Error> {
        Ok(self.borrow_mut().end_extract()?)
    }

    fn push(&self, block: Vec<u8>) -> Result<(), source::Error> {
        Ok(self.borrow_mut().push(block)?)
    }

    fn finish(&self) -> Result<source::Selected, source::Error> {
        let selected = self.borrow_mut().finish()?;
        Ok(source::Selected {
            persons: selected.persons,
            entered: selected.entered,
            left: selected.left,
        })
    }

    fn merge(&self, other: source::SelectionBorrow<'_>) -> Result<(), source::Error> {
        let other: &RefCell<Selection> = other.get();
        if std::ptr::eq(self, other) {
            return Ok(());
        }
        Ok(self.borrow_mut().merge(&other.borrow())?)
    }

    fn roster(&self) -> Result<Vec<u8>, source::Error> {
        Ok(self.borrow().roster()?)
    }

    fn delivered_persons(&self) -> Result<Vec<u8>, source::Error> {
        Ok(self.borrow().delivered_persons()?)
    }

    fn superseded_persons(&self, extract: u32) -> Result<Vec<u8>, source::Error> {
        Ok(self.borrow().superseded_persons(extract as usize)?)
    }

    fn tied_numbers(&self, numbers: Vec<String>) -> Result<Vec<String>, source::Error> {
        Ok(self.borrow().tied_numbers(&numbers)?)
    }

    fn begin_parts(&self) -> Result<Option<source::PartStart>, source::Error> {
        let start = self.borrow_mut().begin_parts()?;
        Ok(start.map(Into::into))
    }

    fn open_part(
        policy: source::Policy,
        context: Vec<u8>,
    ) -> Result<source::Selection, source::Error> {
        let selection = Selection::open_part(policy.into(), &context)?;
        Ok(source::Selection::new(RefCell::new(selection)))
    }

    fn take_part(&self) -> Result<Vec<u8>, source::Error> {
        Ok(self.borrow_mut().take_part()?)
    }

    fn add_part(&self, part: Vec<u8>) -> Result<bool, source::Error> {
        Ok(self.borrow_mut().add_part(&part)?)
    }

    fn walk(&self, block: Vec<u8>) -> Result<u64, source::Error> {
        Ok(self.borrow_mut().walk(block)?)
    }

    fn chosen(&self, piece: u32) -> Result<Option<Vec<u8>>, source::Error> {
        Ok(self.borrow().chosen_piece(piece)?)
    }

    fn open_chosen(policy: source::Policy) -> Result<source::Selection, source::Error> {
        let selection = Selection::open_chosen(policy.into())?;
        Ok(source::Selection::new(RefCell::new(selection)))
    }

    fn add_chosen(&self, piece: Vec<u8>) -> Result<(), source::Error> {
        Ok(self.borrow_mut().add_chosen(&piece)?)
    }

    fn protect(&self, numbers: Vec<String>) -> Result<(), source::Error> {
        Ok(self.borrow_mut().protect(&numbers)?)
    }

    fn protected_numbers(&self) -> Result<Vec<String>, source::Error> {
        Ok(self.borrow().protected_numbers()?)
    }

    fn roster_without(roster: Vec<u8>, numbers: Vec<String>) -> Result<Vec<u8>, source::Error> {
        Ok(Selection::roster_without(&roster, &numbers)?)
    }

    fn common_roster(roster: Option<Vec<u8>>, other: Vec<u8>) -> Result<Vec<u8>, source::Error> {
        Ok(Selection::common_roster(roster.as_deref(), &other)?)
    }
}

impl source::GuestExtractCopy for RefCell<ExtractCopy> {
    fn open(options: source::CopyOptions) -> Result<source::ExtractCopy, source::Error> {
        let copy = ExtractCopy::open(&CopyOptions {
            erased: options.erased,
            superseded: options.superseded,
            blank_references: options.blank_references,
        })?;
        Ok(source::ExtractCopy::new(RefCell::new(copy)))
    }

    fn push(&self, block: Vec<u8>) -> Result<(), source::Error> {
        Ok(self.borrow_mut().push(block)?)
    }

    fn finish(&self) -> Result<(), source::Error> {
        Ok(self.borrow_mut().finish()?)
    }

    fn next(&self) -> Result<Option<Vec<u8>>, source::Error> {
        Ok(self.borrow_mut().next())
    }

    fn report(&self) -> source::CopyReport {
        let report = self.borrow().report();
        source::CopyReport {
            copied: report.copied,
            left_out: table_counts(report.left_out),
            referring: report.referring,
            blanked: report.blanked,
        }
    }
}

impl From<PartStart> for source::PartStart {
    fn from(start: PartStart) -> Self {
        Self {
            context: start.context,
            rest: start.rest,
            has_line_ends: start.has_line_ends,
        }
    }
}

impl From<source::ExtractPlace> for ExtractPlace {
    fn from(place: source::ExtractPlace) -> Self {
        Self {
            agreement: place.agreement,
            production_date: place.production_date,
            sequence: place.sequence,
        }
    }
}

fn table_counts(tables: Vec<(TableId, u64)>) -> Vec<source::TableCount> {
    let count = |(table, records): (TableId, u64)| source::TableCount {
        table: table.name().to_owned(),
        records,
    };
    tables.into_iter().map(count).collect()
}

impl From<Error> for source::Error {
    fn from(error: Error) -> Self {
        let position = error.position();
        Self {
            kind: match &error {
                Error::InvalidRequest(_) => source::ErrorKind::InvalidRequest,
                Error::Misuse(_) => source::ErrorKind::Misuse,
                Error::RecordTooLong(_) => source::ErrorKind::RecordTooLong,
                Error::LookAlike { .. } => source::ErrorKind::LookAlike,
                Error::LostTrack(_) => source::ErrorKind::LostTrack,
                Error::OtherFormat { .. } => source::ErrorKind::OtherFormat,
                Error::NotSeparable { .. } => source::ErrorKind::NotSeparable,
                Error::Internal => source::ErrorKind::Internal,
            },
            line: position.map(|position| position.line),
            offset: position.map(|position| position.offset),
            message: error.to_string(),
        }
    }
}

fn summary(summary: crate::Summary) -> source::Summary {
    source::Summary {
        bytes: summary.bytes,
        records: summary.records,
        shape: match summary.shape {
            Shape::Unknown => source::Shape::Unknown,
            Shape::Lines => source::Shape::Lines,
            Shape::Packed => source::Shape::Packed,
            Shape::PackedUniform(_) => source::Shape::PackedUniform,
        },
        start: summary.start.map(|start| source::Start {
            task_number: start.task_number,
            production_date: start.production_date,
            previous_production_date: start.previous_production_date,
        }),
        declared_records: summary.declared_records,
        tables: table_counts(summary.tables),
        findings: summary.findings.into_iter().map(finding).collect(),
    }
}

fn finding(finding: crate::Finding) -> source::Finding {
    source::Finding {
        code: finding.code.name().to_owned(),
        level: match finding.level {
            Level::Note => source::Level::Note,
            Level::Warning => source::Level::Warning,
            Level::Error => source::Level::Error,
        },
        count: finding.count,
        message: finding.message,
        places: finding
            .places
            .into_iter()
            .map(|place| source::Place {
                record_type: place.record_type,
                column: place.column,
                count: place.count,
                first_line: place.first_line,
            })
            .collect(),
    }
}
