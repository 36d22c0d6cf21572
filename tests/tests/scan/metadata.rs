//! Metadata files, read in the sandbox through the host.

use cprflow::metadata::{Document, ReceiptKind, Root};
use cprflow::{Error, MetadataErrorKind};
use cprflow_tests::rows::connector;

const NAMESPACE: &str = "http://serviceplatformen.dk/xml/wsdl/soap11/SFTP/1/types";
const UUID: &str = "47570fc2-be65-4ab1-8da7-3bcc086bfef9";

fn file(root: &str, children: &str) -> Vec<u8> {
    format!("<n:{root} xmlns:n=\"{NAMESPACE}\">{children}</n:{root}>").into_bytes()
}

fn whole() -> Vec<u8> {
    let children = format!(
        "<FileTransferUUID>{UUID}</FileTransferUUID><FileDescriptor><FileName>d261124.l060001</FileName>\
         <SizeInBytes>4096</SizeInBytes><Sender>cpr</Sender><Recipients>odense</Recipients></FileDescriptor>"
    );
    file("FileMetadata", &children)
}

#[test]
fn a_metadata_file() {
    let Document::Metadata(metadata) = connector().read_metadata(&whole()).unwrap() else {
        panic!("expected a metadata file, got a receipt");
    };
    assert_eq!(metadata.root, Root::FileMetadata);
    assert_eq!(metadata.transfer_uuid, UUID);
    assert_eq!(metadata.file_name, "d261124.l060001");
    assert_eq!(metadata.size_in_bytes, 4096);
    assert_eq!(metadata.recipients, ["odense"]);
    assert!(metadata.routing.is_none());
}

#[test]
fn a_receipt() {
    let receipt = file(
        "TechnicalReceipt",
        "<ErrorMessage><ErrorCode>4</ErrorCode></ErrorMessage>",
    );
    let Document::Receipt(receipt) = connector().read_metadata(&receipt).unwrap() else {
        panic!("expected a receipt, got a metadata file");
    };
    assert_eq!(receipt.kind, ReceiptKind::Technical);
    assert!(!receipt.success);
    assert_eq!(receipt.error_codes, [4]);
}

#[test]
fn the_public_sample() {
    let Some(sample) = cprflow_tests::shared("sftp/trigger-root.metadata") else {
        return;
    };
    let sample = std::fs::read(sample).unwrap();
    let Document::Metadata(metadata) = connector().read_metadata(&sample).unwrap() else {
        panic!("expected a metadata file, got a receipt");
    };
    assert_eq!(metadata.root, Root::Trigger);
    assert_eq!(metadata.transfer_uuid, UUID);
    assert_eq!(metadata.file_name, "hellofile");
    assert_eq!(metadata.size_in_bytes, 11);
    assert_eq!(metadata.sender, "kong-christian");
    assert_eq!(metadata.recipients, ["x"]);
}

/// Snapshots the message of every kind of error.
#[test]
fn every_error() {
    let whole = String::from_utf8(whole()).unwrap();
    let twice = whole.repeat(2);
    let doctype = format!("<!DOCTYPE n [<!ENTITY a \"b\">]>{whole}");
    let repeated = whole.replace(
        "<Sender>cpr</Sender>",
        "<Sender>a</Sender><Sender>b</Sender>",
    );
    let bad = whole.replace("4096", "0101010101x");
    let deep = file("Trigger", &"<x>".repeat(100));
    let large = vec![b' '; 200_000_000];
    let cases: [(MetadataErrorKind, &[u8]); 13] = [
        (MetadataErrorKind::TooLarge, &large),
        (MetadataErrorKind::Encoding, b"<a>\xe6</a>"),
        (MetadataErrorKind::Truncated, b""),
        (
            MetadataErrorKind::Truncated,
            &whole.as_bytes()[..whole.len() - 1],
        ),
        (MetadataErrorKind::Malformed, b"0101010101"),
        (MetadataErrorKind::Doctype, doctype.as_bytes()),
        (MetadataErrorKind::Entity, &file("Trigger", "<a>&a;</a>")),
        (MetadataErrorKind::TooComplex, &deep),
        (MetadataErrorKind::SeveralRoots, twice.as_bytes()),
        (MetadataErrorKind::UnknownRoot, b"<Trigger/>"),
        (MetadataErrorKind::MissingElement, &file("Trigger", "")),
        (MetadataErrorKind::RepeatedElement, repeated.as_bytes()),
        (MetadataErrorKind::BadValue, bad.as_bytes()),
    ];
    let mut said = String::new();
    for (kind, bytes) in cases {
        match connector().read_metadata(bytes) {
            Err(Error::Metadata(error)) => {
                assert_eq!(error.kind, kind, "{error}");
                said.push_str(&format!("{kind:?} {:?}: {error}\n", error.element));
            }
            other => panic!("{kind:?}: {other:?}"),
        }
    }
    insta::assert_snapshot!("errors", said);
}
