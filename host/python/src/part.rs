//! `Scan.divide` and `cprflow.read_part`: parts of an extract that other processes read.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::SchemaRef;
use cprflow::{Irregular, Representation, ScanPart, Timestamps};
use cprflow_delivery::config::{ACCEPTABLE, Configuration};
use cprflow_delivery::sync::{tenant_part_scan, tenant_scan};
use pyo3::prelude::*;

use crate::failure::{Failure, detached};
use crate::input::Input;
use crate::interrupt::Interrupt;
use crate::stream::Rows;
use crate::table::{Scan, Source, TableSource};

/// A part of an extract, and the scan that reads it.
pub(crate) struct OpenPart {
    input: Input,
    part: ScanPart,
    scan: cprflow::Scan,
}

impl OpenPart {
    /// Starts to read the part.
    pub(crate) fn read(&self, interrupt: Option<Arc<Interrupt>>) -> Result<Rows, Failure> {
        let scan = self.scan.clone();
        let open = || self.input.reader(interrupt.clone());
        if self.part.needs_selection() {
            let rows = self
                .part
                .apply_to(scan)
                .read_table_with_policy(|| Ok(open()))?;
            return Ok(Rows::Extract(Box::new(rows)));
        }
        let rows = scan.read_part(&self.part, open())?;
        Ok(Rows::Part(Box::new(rows)))
    }
}

/// Returns a part as bytes for another process, with the form in which it shows the rows.
pub(crate) fn to_bytes(part: &ScanPart, representation: Representation) -> Vec<u8> {
    let irregular = match representation.irregular {
        Irregular::Map => 0,
        Irregular::Json => 1,
        Irregular::Drop => 2,
    };
    let timestamps = match representation.timestamps {
        Timestamps::Naive => 0,
        Timestamps::Utc => 1,
    };
    let mut bytes = vec![irregular, timestamps];
    bytes.extend(part.to_bytes());
    bytes
}

fn from_bytes(bytes: &[u8]) -> Result<(ScanPart, Representation), Failure> {
    let (form, part) = bytes.split_at_checked(2).unwrap_or_default();
    let (irregular, timestamps) = match form {
        [irregular, timestamps] => (*irregular, *timestamps),
        _ => (0, 0),
    };
    let representation = Representation {
        irregular: match irregular {
            0 => Irregular::Map,
            1 => Irregular::Json,
            _ => Irregular::Drop,
        },
        timestamps: match timestamps {
            0 => Timestamps::Naive,
            _ => Timestamps::Utc,
        },
    };
    Ok((ScanPart::from_bytes(part)?, representation))
}

/// Return a scan of one part of an extract, which `Scan.divide` has found, also in another process or on another machine.
///
/// `source` is the extract, as for `cprflow.open`. For a tenant, `config` and `tenant` must be those of the extract that was
/// divided: the key of pseudonyms and the limits come from there. One thread reads a part.
///
/// >>> parts = cprflow.open("d261123.l000001").table("person").scan(columns=["pnr"]).divide()
/// >>> batches = [batch for part in parts for batch in cprflow.read_part("d261123.l000001", part)]
///
/// Raises RequestError if the extract, the policy or the version of cprflow is another one.
#[pyfunction]
#[pyo3(signature = (source, part, *, config=None, tenant=None, agreement=None))]
pub(crate) fn read_part(
    py: Python<'_>,
    source: &Bound<'_, PyAny>,
    part: Vec<u8>,
    config: Option<PathBuf>,
    tenant: Option<String>,
    agreement: Option<String>,
) -> PyResult<Scan> {
    let input = Input::open(source)?;
    let policy = match (config, tenant) {
        (Some(config), Some(tenant)) => Some((config, tenant)),
        (None, None) => None,
        _ => return Err(Failure::request("config= and tenant= need each other").into()),
    };
    let opened = detached(py, || {
        let (part, representation) = from_bytes(&part)?;
        let connector = crate::connector()?;
        let scan = match policy {
            None => cprflow::Scan::new(&connector),
            Some((config, tenant)) => {
                let configuration = Configuration::from_file(&config)?;
                match part.needs_selection() {
                    true => {
                        let input = input.clone();
                        let open = move || Ok(input.reader(None));
                        tenant_scan(
                            &connector,
                            &configuration,
                            &tenant,
                            agreement.as_deref(),
                            open,
                        )?
                    }
                    false => tenant_part_scan(&connector, &configuration, &tenant)?,
                }
            }
        };
        let part = OpenPart {
            input,
            part,
            scan: scan.threads(1),
        };
        let schema: SchemaRef = match part.read(None)? {
            Rows::Extract(rows) => rows.schema(),
            Rows::Part(rows) => rows.schema(),
            Rows::Dataset(rows) => rows.schema(),
        };
        let table = TableSource {
            name: part.part.table().to_owned(),
            source: Source::Part(Arc::new(part)),
            representation,
            // The extract was checked when it was divided.
            accept: ACCEPTABLE.iter().map(|code| (*code).to_owned()).collect(),
            totals: Arc::default(),
        };
        let schema = representation.schema(&schema);
        Ok(Scan::of_part(table, schema))
    });
    Ok(opened?)
}

/// Return the SHA-256 of the component that reads extracts. Parts can only be read with the component that divided them.
///
/// >>> len(cprflow.component_digest())
/// 64
#[pyfunction]
pub(crate) fn component_digest(py: Python<'_>) -> PyResult<String> {
    let connector = detached(py, || crate::connector().map_err(Failure::from))?;
    Ok(connector.sha256().to_owned())
}
