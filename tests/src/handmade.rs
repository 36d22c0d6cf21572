//! Extracts that are made record by record.

use cprflow_connector::layout;
use cprflow_connector::writer::{OutputShape, RecordBuilder, RecordWriter};

/// An extract in the making: a start record, the added records, and an end record with their number.
#[derive(Debug, Clone)]
pub struct Handmade {
    bytes: Vec<u8>,
    records: u32,
}

impl Handmade {
    /// Begins an extract of this task number and production date (`YYYYMMDD`).
    pub fn new(task_number: &str, production_date: &str) -> Self {
        let mut extract = Self {
            bytes: Vec::new(),
            records: 0,
        };
        extract.write(
            "000",
            &[
                ("sort_key", "0000000000"),
                ("task_number", task_number),
                ("production_date", production_date),
            ],
        );
        extract
    }

    /// Adds a record of this type with these columns. The other columns are blank.
    pub fn record(mut self, record_type: &str, columns: &[(&str, &str)]) -> Self {
        self.write(record_type, columns);
        self.records += 1;
        self
    }

    /// Adds a line unchanged.
    pub fn line(mut self, line: &[u8]) -> Self {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.records += 1;
        self
    }

    /// Adds a resident (001, 002, 008) with this address in this municipality, and this surname.
    pub fn resident(self, pnr: &str, municipality: &str, surname: &str) -> Self {
        let named = format!("{surname},Ida");
        let name = [
            ("pnr", pnr),
            ("given_name", "Ida"),
            ("surname", surname),
            ("addressing_name", &named),
        ];
        self.record("001", &[("pnr", pnr), ("status", "01")])
            .record(
                "002",
                &[
                    ("pnr", pnr),
                    ("municipality_code", municipality),
                    ("street_code", "0042"),
                ],
            )
            .record("008", &name)
    }

    /// Adds the end record and returns the extract.
    pub fn finish(mut self) -> Vec<u8> {
        let count = format!("{:08}", self.records);
        let columns = [("sort_key", "9999999999"), ("record_count", count.as_str())];
        self.write("999", &columns);
        self.bytes
    }

    fn write(&mut self, record_type: &str, columns: &[(&str, &str)]) {
        let mut tables = layout::tables().iter();
        let table = tables.find(|table| table.record_type == record_type);
        let mut record = RecordBuilder::new(table.unwrap());
        for (column, text) in columns {
            record.set(column, text);
        }
        let mut writer = RecordWriter::new(Vec::new(), OutputShape::Trimmed);
        writer.write_built(&record).unwrap();
        self.bytes.extend(writer.into_inner());
    }
}
