//! Writes the initial corpus for fuzzing. Run `cargo run --bin seeds` in `tests/fuzz`.
//!
//! The corpus contains small generated extracts in every shape, the batches of a scan, metadata and receipt files of an
//! inbox, and responses of the subscription service.

use std::fs;
use std::path::Path;

use cprflow_connector::writer::OutputShape;
use cprflow_connector::generate::{Settings, changes, status};
use cprflow_connector::ipc::Encoder;
use cprflow_connector::schema::all_tables;
use cprflow_connector::{Scan, ScanOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    fs::create_dir_all(corpus.join("scan"))?;
    fs::create_dir_all(corpus.join("decode"))?;
    for shape in [OutputShape::Trimmed, OutputShape::Full, OutputShape::Packed] {
        let mut settings = Settings::busy(2, 1);
        settings.shape = shape;
        let mut extract = vec![63];
        status(&settings, &mut extract)?;
        fs::write(corpus.join(format!("scan/status-{shape:?}").to_lowercase()), extract)?;
        settings.persons = 20;
        let mut extract = vec![254];
        changes(&settings, 1, &mut extract)?;
        extract.truncate(4000);
        fs::write(corpus.join(format!("scan/changes-{shape:?}").to_lowercase()), extract)?;
    }
    let mut extract = Vec::new();
    status(&Settings::busy(500, 1), &mut extract)?;
    let options = ScanOptions {
        batch_rows: 2,
        ..ScanOptions::default()
    };
    let mut scan = Scan::open(&options, None)?;
    scan.push(extract)?;
    scan.finish()?;
    let mut written = Vec::new();
    while let Some(rows) = scan.next()? {
        let name = rows.table.name();
        if written.contains(&name) {
            continue;
        }
        written.push(name);
        let index = all_tables().position(|table| table == rows.table);
        let mut seed = vec![index.unwrap_or_default() as u8, rows.batch.num_rows() as u8];
        seed.extend(Encoder::default().encode(&rows.batch)?);
        fs::write(corpus.join("decode").join(name), seed)?;
    }
    documents(&corpus)?;
    Ok(())
}

/// Writes one document of every kind that the readers of metadata and SOAP responses know.
fn documents(corpus: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let sftp = "http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types";
    let uuid = "47570fc2-be65-4ab1-8da7-3bcc086bfef9";
    let descriptor = "<FileDescriptor><FileName>d261124.l060001</FileName><SizeInBytes>11</SizeInBytes>\
        <Sender>cpr</Sender><Recipients>odense</Recipients></FileDescriptor>";
    let routing = format!(
        "<FileContentDescriptor><SFTPDynamicRoutingInfo><InfRef>SF6002</InfRef><SenderIt-system>{uuid}\
         </SenderIt-system><SenderAuthority>urn:oio:cvr-nr:12345678</SenderAuthority><TransactionId>{uuid}\
         </TransactionId><SenderTimestamp>2026-11-24T05:00:00Z</SenderTimestamp><RecipientAuthority>\
         urn:oio:cvr-nr:87654321</RecipientAuthority></SFTPDynamicRoutingInfo></FileContentDescriptor>"
    );
    let id = format!("<FileTransferUUID>{uuid}</FileTransferUUID>");
    fs::create_dir_all(corpus.join("metadata"))?;
    for (name, root, children) in [
        ("file-metadata", "FileMetadata", format!("{id}{descriptor}")),
        ("trigger", "Trigger", format!("{id}{descriptor}{routing}")),
        ("technical", "TechnicalReceipt", format!("{id}<Receipt><Message>SUCCESS</Message></Receipt>")),
        ("business", "BusinessReceipt", format!("{id}<FileAcceptance>REJECTED</FileAcceptance>")),
    ] {
        let file = format!("<n:{root} xmlns:n=\"{sftp}\">{children}</n:{root}>");
        fs::write(corpus.join("metadata").join(name), file)?;
    }
    let service = "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/";
    let pnr = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/";
    let detail = "http://serviceplatformen.dk/xml/schemas/ServiceplatformFault/1/";
    let filters = format!(
        "<t:GetAllFiltersResponse xmlns:t=\"{service}\"><t:AgeRange><t:StartAge>0</t:StartAge><t:EndAge>17\
         </t:EndAge></t:AgeRange><t:ChangeCode>A01</t:ChangeCode><t:MunicipalityCode>706</t:MunicipalityCode>\
         <p:PNR xmlns:p=\"{pnr}\">0101010101</p:PNR><t:noFilter>false</t:noFilter></t:GetAllFiltersResponse>"
    );
    let added = format!(
        "<t:AddPNRSubscriptionResponse xmlns:t=\"{service}\"><t:Result>ADDED</t:Result>\
         </t:AddPNRSubscriptionResponse>"
    );
    let fault = format!(
        "<s:Fault><faultcode>s:Server</faultcode><faultstring>010101-0101 CallUUID: {uuid} Received: \
         2025-10-23T13:06:14.306Z</faultstring><detail><f:ServiceplatformFault xmlns:f=\"{detail}\"><f:ErrorList>\
         <f:Error><f:ErrorCode>E&#48;1</f:ErrorCode><f:ErrorText>No</f:ErrorText></f:Error></f:ErrorList>\
         </f:ServiceplatformFault></detail></s:Fault>"
    );
    fs::create_dir_all(corpus.join("reply"))?;
    for (name, operation, status, body) in [("filters", 0, 0, filters), ("added", 1, 0, added), ("fault", 0, 5, fault)] {
        let mut seed = vec![operation, status];
        seed.extend_from_slice(b"<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>");
        seed.extend_from_slice(body.as_bytes());
        seed.extend_from_slice(b"</s:Body></s:Envelope>");
        fs::write(corpus.join("reply").join(name), seed)?;
    }
    Ok(())
}
