//! Tests of metadata files and receipts.

use proptest::prelude::*;

use super::*;

const UUID: &str = "47570fc2-be65-4ab1-8da7-3bcc086bfef9";

const ROUTING: &str = "<FileContentDescriptor><SFTPDynamicRoutingInfo><InfRef>SF6002</InfRef>\
    <SenderIt-system>47570FC2-BE65-4AB1-8DA7-3BCC086BFEF9</SenderIt-system>\
    <SenderAuthority>urn:oio:cvr-nr:12345678</SenderAuthority>\
    <TransactionId>47570fc2-be65-4ab1-8da7-3bcc086bfef9</TransactionId>\
    <SenderTimestamp>2026-11-24T05:00:00.000+01:00</SenderTimestamp>\
    <RecipientAuthority>urn:oio:cvr-nr:87654321</RecipientAuthority>\
    <RouteParameterList><RouteParameter><x/></RouteParameter><RouteParameter/></RouteParameterList>\
    </SFTPDynamicRoutingInfo></FileContentDescriptor>";

fn descriptor(name: &str) -> String {
    format!(
        "<FileDescriptor><FileName>{name}</FileName><SizeInBytes>11</SizeInBytes><Sender>cpr</Sender>\
         <SendersFileId>7</SendersFileId><Recipients>odense</Recipients><Recipients>aarhus</Recipients>\
         </FileDescriptor>"
    )
}

fn file(root: &str, children: &str) -> String {
    format!("<t:{root} xmlns:t=\"{NAMESPACE}\">{children}</t:{root}>")
}

fn whole() -> String {
    let id = format!("<FileTransferUUID>\n {UUID}\t</FileTransferUUID>");
    file(
        "FileMetadata",
        &format!("{id}{}{ROUTING}", descriptor("D261124.L060001")),
    )
}

fn read_metadata(file: &str) -> Result<Metadata, DeliveryError> {
    match read(file.as_bytes())? {
        Document::Metadata(metadata) => Ok(metadata),
        Document::Receipt(_) => panic!("it is no receipt"),
    }
}

#[test]
fn reads_a_complete_metadata_file() {
    let metadata = read_metadata(&whole()).unwrap();
    let expected = Metadata {
        root: Root::FileMetadata,
        transfer_uuid: UUID.to_owned(),
        file_name: "D261124.L060001".to_owned(),
        size_in_bytes: 11,
        sender: "cpr".to_owned(),
        senders_file_id: Some("7".to_owned()),
        recipients: vec!["odense".to_owned(), "aarhus".to_owned()],
        routing: Some(Box::new(Routing {
            inf_ref: "SF6002".to_owned(),
            sender_it_system: UUID.to_owned(),
            sender_authority: "urn:oio:cvr-nr:12345678".to_owned(),
            transaction_id: UUID.to_owned(),
            sender_timestamp: "2026-11-24T05:00:00.000+01:00".to_owned(),
            recipient_it_system: None,
            recipient_authority: "urn:oio:cvr-nr:87654321".to_owned(),
            route_parameters: 2,
        })),
    };
    assert_eq!(metadata, expected);
    // The other root element, children in the namespace, another prefix and an unknown element.
    let qualified = whole()
        .replace("<t:FileMetadata xmlns:t", "<Trigger xmlns")
        .replace(
            "</t:FileMetadata>",
            "<News><FileTransferUUID/></News></Trigger>",
        );
    let root = Root::Trigger;
    assert_eq!(
        read_metadata(&qualified).unwrap(),
        Metadata { root, ..expected }
    );
}

#[test]
fn accepts_missing_optional_elements() {
    let least = format!(
        "<FileTransferUUID>{UUID}</FileTransferUUID><FileDescriptor><FileName>f</FileName>\
         <SizeInBytes>18446744073709551615</SizeInBytes><Sender>s</Sender><SendersFileId/>\
         <Recipients>r</Recipients></FileDescriptor>"
    );
    for content in [
        "",
        "<FileContentDescriptor/>",
        "<FileContentDescriptor><o:x xmlns:o=\"o\"/></FileContentDescriptor>",
    ] {
        let metadata = read_metadata(&file("Trigger", &format!("{least}{content}"))).unwrap();
        assert_eq!(metadata.size_in_bytes, u64::MAX);
        assert_eq!(metadata.senders_file_id, None);
        assert_eq!(metadata.routing, None);
    }
}

#[test]
fn errors_name_the_element() {
    let whole = whole();
    let error = |from: &str, to: &str| {
        let damaged = whole.replace(from, to);
        assert_ne!(damaged, whole, "{from}");
        let error = read(damaged.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        error
    };
    for element in [
        "FileTransferUUID",
        "FileDescriptor",
        "FileName",
        "SizeInBytes",
        "Sender",
        "Recipients",
    ] {
        // A renamed element is unknown and skipped.
        let renamed = whole
            .replace(&format!("<{element}>"), "<x>")
            .replace(&format!("</{element}>"), "</x>");
        let expected = DeliveryError::MissingElement(element);
        assert_eq!(read(renamed.as_bytes()), Err(expected), "{element}");
        assert_eq!(expected.element(), Some(element));
    }
    for (element, value) in [
        (
            "FileTransferUUID",
            "\n 47570fc2-be65-4ab1-8da7-3bcc086bfef9\t",
        ),
        ("FileName", "D261124.L060001"),
        ("SizeInBytes", "11"),
        ("Sender", "cpr"),
    ] {
        let once = format!("<{element}>{value}</{element}>");
        let twice = once.repeat(2);
        assert_eq!(
            error(&once, &twice),
            DeliveryError::RepeatedElement(element)
        );
        let empty = format!("<{element}></{element}>");
        assert_eq!(error(&once, &empty), DeliveryError::BadValue(element));
    }
    for (element, value, wrong) in [
        ("FileName", "D261124.L060001", "../secret"),
        ("FileName", "D261124.L060001", "IN\\secret"),
        ("FileName", "D261124.L060001", ".."),
        ("FileName", "D261124.L060001", "a&#9;secret"),
        ("SizeInBytes", ">11<", ">-1<"),
        ("SizeInBytes", ">11<", ">+1<"),
        ("SizeInBytes", ">11<", ">1e3<"),
        ("SizeInBytes", ">11<", ">18446744073709551616<"),
    ] {
        assert_eq!(
            error(value, wrong),
            DeliveryError::BadValue(element),
            "{wrong}"
        );
    }
    let longest = "n".repeat(255);
    assert!(read(whole.replace("D261124.L060001", &longest).as_bytes()).is_ok());
    assert_eq!(
        error("D261124.L060001", &format!("n{longest}")),
        DeliveryError::BadValue("FileName")
    );
    // A sender's own trigger does not have a transfer yet.
    let own = file("Trigger", &descriptor("f"));
    assert_eq!(
        read(own.as_bytes()),
        Err(DeliveryError::MissingElement("FileTransferUUID"))
    );
}

#[test]
fn accepts_routing_that_does_not_follow_the_contract() {
    let routing = |from: &str, to: &str| {
        let changed = whole().replace(from, to);
        assert_ne!(changed, whole(), "{from}");
        *read_metadata(&changed).unwrap().routing.unwrap()
    };
    let right = *read_metadata(&whole()).unwrap().routing.unwrap();
    // A company number without its prefix gets the prefix.
    assert_eq!(routing("urn:oio:cvr-nr:12345678", "12345678"), right);
    assert_eq!(routing("urn:oio:cvr-nr:87654321", "87654321"), right);
    let found = routing("urn:oio:cvr-nr:12345678", "Odense");
    assert_eq!(found.sender_authority, "Odense");
    let found = routing(
        "<TransactionId>47570fc2-be65-4ab1-8da7-3bcc086bfef9",
        "<TransactionId>SF-17",
    );
    assert_eq!(found.transaction_id, "SF-17");
    let found = routing("47570FC2-BE65-4AB1-8DA7-3BCC086BFEF9", "CPR");
    assert_eq!(found.sender_it_system, "CPR");
    let found = routing("2026-11-24T05:00:00.000+01:00", "yesterday");
    assert_eq!(found.sender_timestamp, "yesterday");
    // Missing and empty elements.
    for element in [
        "InfRef",
        "SenderIt-system",
        "SenderAuthority",
        "TransactionId",
        "SenderTimestamp",
        "RecipientAuthority",
    ] {
        let begin = format!("<{element}>");
        let whole = whole();
        let start = whole.find(&begin).unwrap() + begin.len();
        let end = start + whole[start..].find('<').unwrap();
        let empty = format!("{}{}", &whole[..start], &whole[end..]);
        let missing = empty
            .replace(&begin, "<x>")
            .replace(&format!("</{element}>"), "</x>");
        for changed in [empty, missing] {
            let found = *read_metadata(&changed).unwrap().routing.unwrap();
            let values = [
                found.inf_ref,
                found.sender_it_system,
                found.sender_authority,
                found.transaction_id,
                found.sender_timestamp,
                found.recipient_authority,
            ];
            let count = values.iter().filter(|value| value.is_empty()).count();
            assert_eq!(count, 1, "{element}");
        }
    }
}

#[test]
fn every_transfer_has_a_uuid_as_its_key() {
    let key = |transfer: &str| {
        let changed = whole().replace(&format!("\n {UUID}\t"), transfer);
        assert_ne!(changed, whole());
        read_metadata(&changed).map(|metadata| metadata.transfer_uuid)
    };
    for same in [
        "47570FC2-BE65-4AB1-8DA7-3BCC086BFEF9",
        "47570fc2be654ab18da73bcc086bfef9",
        "{47570fc2-be65-4ab1-8da7-3bcc086bfef9}",
        "urn:uuid:47570fc2-be65-4ab1-8da7-3bcc086bfef9",
    ] {
        assert_eq!(key(same).unwrap(), UUID, "{same}");
    }
    let mut computed = std::collections::BTreeSet::new();
    let others = [
        "SF-17",
        "sf-17",
        "../../../../tmp/x",
        "0101010101",
        "47570fc2",
    ];
    for other in others {
        let found = key(other).unwrap();
        assert_eq!(key(other).unwrap(), found);
        assert_eq!(crate::ident::uuid(&found).as_ref(), Some(&found), "{found}");
        assert_eq!(found.as_bytes()[14], b'8', "{found}");
        assert!(matches!(found.as_bytes()[19], b'8'..=b'b'), "{found}");
        computed.insert(found);
    }
    assert_eq!(computed.len(), others.len());
    // The key must never change, because the ledger has it.
    assert_eq!(
        key("SF-17").unwrap(),
        "96a5fcc6-4883-894f-b081-1e78d2ba911b"
    );
    for wrong in ["", "a&#9;b", &"n".repeat(256)] {
        assert_eq!(key(wrong), Err(DeliveryError::BadValue("FileTransferUUID")));
    }
}

#[test]
fn refuses_other_documents() {
    for root in ["FileMetaData", "BusinessResponse", "html"] {
        assert_eq!(
            read(file(root, "").as_bytes()),
            Err(DeliveryError::UnknownRoot),
            "{root}"
        );
    }
    let whole = whole();
    for namespace in ["", "urn:other"] {
        let other = whole.replace(
            &format!("xmlns:t=\"{NAMESPACE}\""),
            &format!("xmlns:t=\"{namespace}\""),
        );
        assert!(read(other.as_bytes()).is_err());
    }
    assert_eq!(read(b"<FileMetadata/>"), Err(DeliveryError::UnknownRoot));
    assert_eq!(
        read(&[b' '; MAX_BYTES + 1]),
        Err(XmlError::TooLarge(MAX_BYTES).into())
    );
    assert_eq!(
        read(b"0101010101Nilsson"),
        Err(XmlError::Malformed("it has text outside the root element").into())
    );
}

#[test]
fn reads_receipts() {
    let receipt = |root: &str, children: &str| match read(file(root, children).as_bytes()) {
        Ok(Document::Receipt(receipt)) => Ok(receipt),
        Ok(Document::Metadata(_)) => panic!("it is a receipt"),
        Err(error) => Err(error),
    };
    let id = format!("<FileTransferUUID>{UUID}</FileTransferUUID>");
    let technical = |children: &str| receipt("TechnicalReceipt", &format!("{id}{children}"));
    let taken = technical("<Receipt><Message>SUCCESS</Message></Receipt>").unwrap();
    assert!(taken.success);
    assert_eq!(taken.kind, ReceiptKind::Technical);
    assert_eq!(taken.transfer_uuid.as_deref(), Some(UUID));
    assert!(
        !technical("<Receipt><Message>LATER</Message></Receipt>")
            .unwrap()
            .success
    );
    let refused = technical(
        "<ErrorMessage><ErrorCode>17</ErrorCode><ErrorDescription>0101010101</ErrorDescription></ErrorMessage>\
         <ErrorMessage><ErrorCode>0101010101</ErrorCode></ErrorMessage>",
    );
    let refused = refused.unwrap();
    assert!(!refused.success);
    assert_eq!(refused.error_codes, [17]);
    assert_eq!(technical(""), Err(DeliveryError::MissingElement("Receipt")));
    let business = |value: &str| {
        receipt(
            "BusinessReceipt",
            &format!("<FileAcceptance>{value}</FileAcceptance><Reason>r</Reason>"),
        )
    };
    assert!(business("ACCEPTED").unwrap().success);
    assert!(!business("REJECTED").unwrap().success);
    assert!(!business("COULD_NOT_NOTIFY_RECIPIENT").unwrap().success);
    assert_eq!(
        business("PERHAPS"),
        Err(DeliveryError::BadValue("FileAcceptance"))
    );
    assert_eq!(
        receipt("BusinessReceipt", ""),
        Err(DeliveryError::MissingElement("FileAcceptance"))
    );
}

/// A truncated file is never accepted.
#[test]
fn refuses_a_document_cut_at_any_byte() {
    let declared = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- \u{e6} -->{}",
        whole()
    );
    for file in [whole(), declared] {
        assert!(read(file.as_bytes()).is_ok());
        for length in 0..file.len() {
            assert!(read(&file.as_bytes()[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn refuses_entity_bombs() {
    let mut entities = String::from("<!DOCTYPE t [<!ENTITY a \"aaaaaaaaaa\">");
    for (name, of) in ["b", "c", "d", "e", "f"]
        .iter()
        .zip(["a", "b", "c", "d", "e"])
    {
        let references = format!("&{of};").repeat(10);
        entities.push_str(&format!("<!ENTITY {name} \"{references}\">"));
    }
    let bomb = format!("{entities}]>{}", whole().replace("D261124", "&f;"));
    assert_eq!(read(bomb.as_bytes()), Err(XmlError::Doctype.into()));
    let undeclared = whole().replace("D261124", "&f;");
    assert_eq!(read(undeclared.as_bytes()), Err(XmlError::Entity.into()));
    let attributes = " a=\"\"".repeat(1_000_000);
    let many = whole().replace("<FileDescriptor", &format!("<FileDescriptor{attributes}"));
    assert_eq!(
        read(many.as_bytes()),
        Err(XmlError::TooLarge(MAX_BYTES).into())
    );
    let attributes: String = (0..5_000).map(|n| format!(" a{n}=\"\"")).collect();
    let many = whole().replace("<FileDescriptor", &format!("<FileDescriptor{attributes}"));
    assert_eq!(read(many.as_bytes()), Err(XmlError::TooComplex.into()));
    let deep = whole().replace(
        "<FileDescriptor>",
        &format!("<FileDescriptor>{}", "<x>".repeat(20_000)),
    );
    assert_eq!(read(deep.as_bytes()), Err(XmlError::TooComplex.into()));
}

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    /// Damaged documents, which are closer to real ones than random bytes.
    #[test]
    fn never_panics_on_damaged_documents(place in 0usize..1200, with in "[<>&;/!?a-z\"'= \\[\\]\u{e6}-]{0,6}", length in 0usize..40) {
        let mut file = whole().into_bytes();
        let start = place.min(file.len());
        let end = (start + length).min(file.len());
        file.splice(start..end, with.bytes());
        let _ = read(&file);
    }

    /// A name is read correctly whatever way its characters are written in.
    #[test]
    fn reads_names_in_any_notation(name in "[ -~\u{a0}-\u{ff}\u{20ac}]{0,60}", style in 0u8..3) {
        let name = format!("d{}", name.replace(['/', '\\'], "_").trim_end_matches(' '));
        prop_assume!(!name.chars().any(char::is_control));
        let written: String = match style {
            0 => quick_xml::escape::escape(&name).into_owned(),
            1 => name.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect(),
            _ => format!("<![CDATA[{name}]]>"),
        };
        prop_assume!(style != 2 || !name.contains("]]>"));
        let metadata = read_metadata(&whole().replace("D261124.L060001", &written)).unwrap();
        prop_assert_eq!(metadata.file_name, name);
    }
}
