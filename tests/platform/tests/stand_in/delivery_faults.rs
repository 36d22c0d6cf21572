//! The effect of every delivery fault on the inbox.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use cprflow_platform::{Delivery, DeliveryFault};

use crate::client::{Client, TestPlatform, names, numbers, platform};

/// Performs a nightly run with this fault and returns its only delivery.
fn delivery(test: &TestPlatform, fault: Option<DeliveryFault>) -> Delivery {
    if let Some(fault) = fault {
        test.platform.arm_delivery_fault(fault, 1);
    }
    let mut night = test.platform.run_night().unwrap();
    assert_eq!(night.deliveries.len(), 1);
    let delivered = night.deliveries.remove(0);
    assert_eq!(delivered.fault, fault);
    delivered
}

fn read(test: &TestPlatform, name: &str) -> Vec<u8> {
    fs::read(test.platform.inbox().join(name)).unwrap()
}

fn in_metadata(test: &TestPlatform, delivered: &Delivery, name: &str) -> String {
    let text = read(test, &format!("{}.metadata", delivered.name));
    let text = String::from_utf8(text).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let mut nodes = document.descendants();
    let node = nodes.find(|node| node.tag_name().name() == name).unwrap();
    node.text().unwrap().to_owned()
}

#[test]
fn every_delivery_fault_changes_the_inbox() {
    for (name, fault) in DeliveryFault::ALL {
        assert_eq!(DeliveryFault::from_name(name), Some(fault));
        let test = platform(1000);
        let client = Client::new(&test.platform);
        client.add_municipality("0851");
        let before = match fault {
            DeliveryFault::ReusedName => Some(delivery(&test, None)),
            _ => None,
        };
        let delivered = delivery(&test, Some(fault));
        let data = delivered.name.clone();
        let metadata = format!("{data}.metadata");
        let inbox = || names(&test.platform.inbox());
        let complete = |count| {
            assert_eq!(test.platform.complete_uploads().unwrap(), count, "{name}");
            assert_eq!(inbox(), [data.clone(), metadata.clone()], "{name}");
            assert!(read(&test, &data) == delivered.bytes, "{name}");
        };
        match fault {
            DeliveryFault::MetadataFirst => {
                assert_eq!(inbox().concat(), metadata);
                complete(1);
            }
            DeliveryFault::MetadataLate => {
                assert_eq!(inbox().concat(), data);
                complete(1);
            }
            DeliveryFault::Growing => {
                assert_eq!(read(&test, &data).len(), delivered.bytes.len() / 2);
                let size = in_metadata(&test, &delivered, "SizeInBytes");
                complete(1);
                assert_eq!(size, delivered.bytes.len().to_string());
            }
            DeliveryFault::SizeMismatch => {
                let size = (delivered.bytes.len() + 1).to_string();
                assert_eq!(in_metadata(&test, &delivered, "SizeInBytes"), size);
            }
            DeliveryFault::NamesAnother => {
                assert_eq!(
                    in_metadata(&test, &delivered, "FileName"),
                    format!("{data}.other")
                );
            }
            DeliveryFault::BrokenMetadata
            | DeliveryFault::EmptyMetadata
            | DeliveryFault::MetadataBomb => {
                let text = String::from_utf8(read(&test, &metadata)).unwrap();
                assert!(roxmltree::Document::parse(&text).is_err(), "{name}");
                assert_eq!(text.is_empty(), fault == DeliveryFault::EmptyMetadata);
                assert_eq!(
                    text.contains("<!ENTITY"),
                    fault == DeliveryFault::MetadataBomb
                );
            }
            DeliveryFault::RepeatedTransfer => {
                let again = format!("{data}.again");
                assert!(read(&test, &again) == delivered.bytes);
                let text = String::from_utf8(read(&test, &format!("{again}.metadata"))).unwrap();
                assert!(text.contains(&delivered.transfer_uuid) && text.contains(&again));
            }
            DeliveryFault::ReusedName => {
                let before = before.unwrap();
                assert_eq!(before.name, data);
                assert_ne!(before.transfer_uuid, delivered.transfer_uuid);
                assert!(before.bytes != delivered.bytes && read(&test, &data) == delivered.bytes);
            }
            DeliveryFault::ForeignFiles => {
                assert!(inbox().len() > 6);
                assert!(inbox().iter().any(|name| name.ends_with(".sftpreceipt")));
            }
            DeliveryFault::HostileNames => {
                let entries = fs::read_dir(test.platform.inbox()).unwrap();
                let names: BTreeSet<Vec<u8>> = entries
                    .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
                    .collect();
                assert!(names.iter().any(|name| name.contains(&b'\n')));
                assert!(names.iter().any(|name| str::from_utf8(name).is_err()));
                assert!(names.iter().any(|name| name.starts_with(b"-")));
                let link = test.platform.inbox().join("link.l000001");
                assert!(link.symlink_metadata().unwrap().is_symlink());
                let text = String::from_utf8(read(&test, "escape.metadata")).unwrap();
                assert!(text.contains("<FileName>../../escape</FileName>"));
            }
            DeliveryFault::WrongCount | DeliveryFault::MissingEnd | DeliveryFault::CutOff => {
                let bytes = read(&test, &data);
                assert!(bytes != delivered.bytes, "{name}");
                let size = in_metadata(&test, &delivered, "SizeInBytes");
                assert_eq!(size, bytes.len().to_string());
                assert_eq!(
                    numbers(&bytes, "999").len(),
                    usize::from(fault == DeliveryFault::WrongCount)
                );
                assert_eq!(
                    bytes.ends_with(b"\n"),
                    fault != DeliveryFault::CutOff,
                    "{name}"
                );
            }
            DeliveryFault::FiveHours { persons } => {
                assert!(delivered.has_backlog);
                assert_eq!(delivered.loaded.len(), persons);
                assert!(
                    test.platform.run_night().unwrap().deliveries[0]
                        .loaded
                        .len()
                        > persons
                );
            }
            other => panic!("{other:?} is not checked"),
        }
    }
}

#[test]
fn a_delivery_can_be_repeated() {
    let test = platform(300);
    Client::new(&test.platform).add_municipality("0851");
    let delivered = delivery(&test, None);
    let before = names(&test.platform.inbox());
    for name in &before {
        fs::remove_file(test.platform.inbox().join(name)).unwrap();
    }
    test.platform.deliver_again(&delivered).unwrap();
    assert_eq!(names(&test.platform.inbox()), before);
    assert_eq!(
        in_metadata(&test, &delivered, "FileTransferUUID"),
        delivered.transfer_uuid
    );
}
