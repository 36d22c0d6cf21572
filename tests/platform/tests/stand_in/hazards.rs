//! Every hazard of a delivery shows in the inbox.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use cprflow_platform::{Delivered, Hazard};

use crate::client::{Client, Place, names, numbers, platform};

/// A night's delivery under a hazard.
fn delivery(place: &Place, hazard: Option<Hazard>) -> Delivered {
    if let Some(hazard) = hazard {
        place.platform.arm_hazard(hazard, 1);
    }
    let mut night = place.platform.night().unwrap();
    assert_eq!(night.deliveries.len(), 1);
    let delivered = night.deliveries.remove(0);
    assert_eq!(delivered.hazard, hazard);
    delivered
}

fn read(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.platform.inbox().join(name)).unwrap()
}

fn in_metadata(place: &Place, delivered: &Delivered, name: &str) -> String {
    let text = read(place, &format!("{}.metadata", delivered.name));
    let text = String::from_utf8(text).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let mut nodes = document.descendants();
    let node = nodes.find(|node| node.tag_name().name() == name).unwrap();
    node.text().unwrap().to_owned()
}

#[test]
fn every_hazard_shows() {
    for (name, hazard) in Hazard::ALL {
        assert_eq!(Hazard::named(name), Some(hazard));
        let place = platform(1000);
        let client = Client::new(&place.platform);
        client.add_municipality("0851");
        let before = match hazard {
            Hazard::ReusedName => Some(delivery(&place, None)),
            _ => None,
        };
        let delivered = delivery(&place, Some(hazard));
        let data = delivered.name.clone();
        let metadata = format!("{data}.metadata");
        let inbox = || names(&place.platform.inbox());
        let complete = |count| {
            assert_eq!(place.platform.complete_uploads().unwrap(), count, "{name}");
            assert_eq!(inbox(), [data.clone(), metadata.clone()], "{name}");
            assert!(read(&place, &data) == delivered.bytes, "{name}");
        };
        match hazard {
            Hazard::MetadataFirst => {
                assert_eq!(inbox().concat(), metadata);
                complete(1);
            }
            Hazard::MetadataLate => {
                assert_eq!(inbox().concat(), data);
                complete(1);
            }
            Hazard::Growing => {
                assert_eq!(read(&place, &data).len(), delivered.bytes.len() / 2);
                let size = in_metadata(&place, &delivered, "SizeInBytes");
                complete(1);
                assert_eq!(size, delivered.bytes.len().to_string());
            }
            Hazard::SizeMismatch => {
                let size = (delivered.bytes.len() + 1).to_string();
                assert_eq!(in_metadata(&place, &delivered, "SizeInBytes"), size);
            }
            Hazard::NamesAnother => {
                assert_eq!(
                    in_metadata(&place, &delivered, "FileName"),
                    format!("{data}.other")
                );
            }
            Hazard::BrokenMetadata | Hazard::EmptyMetadata | Hazard::MetadataBomb => {
                let text = String::from_utf8(read(&place, &metadata)).unwrap();
                assert!(roxmltree::Document::parse(&text).is_err(), "{name}");
                assert_eq!(text.is_empty(), hazard == Hazard::EmptyMetadata);
                assert_eq!(text.contains("<!ENTITY"), hazard == Hazard::MetadataBomb);
            }
            Hazard::RepeatedTransfer => {
                let again = format!("{data}.again");
                assert!(read(&place, &again) == delivered.bytes);
                let text = String::from_utf8(read(&place, &format!("{again}.metadata"))).unwrap();
                assert!(text.contains(&delivered.transfer) && text.contains(&again));
            }
            Hazard::ReusedName => {
                let before = before.unwrap();
                assert_eq!(before.name, data);
                assert_ne!(before.transfer, delivered.transfer);
                assert!(before.bytes != delivered.bytes && read(&place, &data) == delivered.bytes);
            }
            Hazard::ForeignFiles => {
                assert!(inbox().len() > 6);
                assert!(inbox().iter().any(|name| name.ends_with(".sftpreceipt")));
            }
            Hazard::HostileNames => {
                let entries = fs::read_dir(place.platform.inbox()).unwrap();
                let names: BTreeSet<Vec<u8>> = entries
                    .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
                    .collect();
                assert!(names.iter().any(|name| name.contains(&b'\n')));
                assert!(names.iter().any(|name| str::from_utf8(name).is_err()));
                assert!(names.iter().any(|name| name.starts_with(b"-")));
                let link = place.platform.inbox().join("link.l000001");
                assert!(link.symlink_metadata().unwrap().is_symlink());
                let text = String::from_utf8(read(&place, "escape.metadata")).unwrap();
                assert!(text.contains("<FileName>../../escape</FileName>"));
            }
            Hazard::WrongCount | Hazard::MissingEnd | Hazard::CutOff => {
                let bytes = read(&place, &data);
                assert!(bytes != delivered.bytes, "{name}");
                let size = in_metadata(&place, &delivered, "SizeInBytes");
                assert_eq!(size, bytes.len().to_string());
                assert_eq!(
                    numbers(&bytes, "999").len(),
                    usize::from(hazard == Hazard::WrongCount)
                );
                assert_eq!(bytes.ends_with(b"\n"), hazard != Hazard::CutOff, "{name}");
            }
            Hazard::FiveHours { persons } => {
                assert!(delivered.is_cut);
                assert_eq!(delivered.loaded.len(), persons);
                assert!(place.platform.night().unwrap().deliveries[0].loaded.len() > persons);
            }
            other => panic!("{other:?} is not looked at"),
        }
    }
}

#[test]
fn a_delivery_can_come_again() {
    let place = platform(300);
    Client::new(&place.platform).add_municipality("0851");
    let delivered = delivery(&place, None);
    let before = names(&place.platform.inbox());
    for name in &before {
        fs::remove_file(place.platform.inbox().join(name)).unwrap();
    }
    place.platform.deliver_again(&delivered).unwrap();
    assert_eq!(names(&place.platform.inbox()), before);
    assert_eq!(
        in_metadata(&place, &delivered, "FileTransferUUID"),
        delivered.transfer
    );
}
