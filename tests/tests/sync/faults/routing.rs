//! Deliveries whose metadata names another sender or recipient than the configuration.

use cprflow_delivery::{Manifest, Routing};
use cprflow_tests::extract;
use cprflow_tests::test_run::{TestRun, metadata, transfer};

const SYSTEM: &str = "5b6f6b0e-0000-4000-8000-00000000000a";

/// The values that the configuration of the tests expects.
const EXPECTED: &str = "sender_it_system = \"5B6F6B0E-0000-4000-8000-00000000000A\"\n\
                        sender_authority = \"00000001\"\nrecipient_authority = \"urn:oio:cvr-nr:00000002\"\n";

#[test]
fn metadata_of_another_authority() {
    let test = TestRun::local();
    configure(&test, EXPECTED);
    let extracts = [1, 2, 3].map(|seed| extract::small(20, seed));
    put(&test, 1, &extracts[0], &routing("00000001", "00000002"));
    put(&test, 2, &extracts[1], &routing("00000001", "00000003"));
    put(&test, 3, &extracts[2], "");
    let ended = test.sync();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    test.assert_published(&[&extracts[0]]);
    let told = Routing {
        sender_it_system: Some(SYSTEM.to_owned()),
        sender_authority: Some("urn:oio:cvr-nr:00000001".to_owned()),
        recipient_authority: Some("urn:oio:cvr-nr:00000002".to_owned()),
    };
    for manifest in manifests(&test, 0) {
        assert_eq!(manifest.routing.as_ref(), Some(&told));
        assert!(manifest.accepted.is_empty());
    }
    // The others are still on the server, and no byte of them was downloaded.
    assert_eq!(test.remote().len(), 4);
    for number in [2, 3] {
        let spooled = test.path("state/spool/one").join(transfer(number));
        assert!(!spooled.with_extension("extract").exists());
        assert!(!spooled.with_extension("part").exists());
    }
    let status = test.run("status", &[]);
    for text in [
        "d2 was set aside (routing-mismatch)",
        "RecipientAuthority is \"urn:oio:cvr-nr:00000003\" instead of \"urn:oio:cvr-nr:00000002\"",
        "d3 was set aside (routing-mismatch)",
        "SenderIt-system is missing",
        "--accept routing-mismatch",
    ] {
        assert!(status.text().contains(text), "{}", status.text());
    }

    // A retry without changes sets it aside again, and accepting it publishes it.
    assert_eq!(test.run("retry", &["d2"]).code, 1);
    let ended = test.run("retry", &["d2", "--accept", "routing-mismatch"]);
    assert_eq!(ended.code, 1, "d3 is still set aside");
    test.assert_published(&[&extracts[0], &extracts[1]]);
    for manifest in manifests(&test, 1) {
        assert_eq!(manifest.accepted, ["routing-mismatch"]);
        let recipient = manifest.routing.unwrap().recipient_authority;
        assert_eq!(recipient.as_deref(), Some("urn:oio:cvr-nr:00000003"));
    }
    // Without expected values, nothing is compared.
    configure(&test, "");
    assert_eq!(test.run("retry", &["d3"]).code, 0);
    for manifest in manifests(&test, 2) {
        assert_eq!((manifest.routing, manifest.accepted.len()), (None, 0));
    }
    assert!(test.remote().is_empty());
    // A ledger that is made again from the published deliveries knows the same.
    test.remove_ledger();
    assert_eq!(test.sync().code, 0);
    let ledger = rusqlite::Connection::open(test.path("state/ledger.sqlite")).unwrap();
    let known: u32 = ledger
        .query_row(
            "SELECT count(*) FROM delivery WHERE routing LIKE '%cvr-nr:0000000_%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(known, 2);
}

/// The routing of a delivery that was begun is compared again when it is published from the spool, because the
/// configuration may have changed.
#[test]
fn metadata_of_another_authority_and_gone_from_the_server() {
    let test = TestRun::local();
    configure(&test, "");
    let extract = extract::small(20, 1);
    put(&test, 1, &extract, &routing("00000001", "00000003"));
    test.stop_at("fetched").kill();
    for name in test.remote() {
        std::fs::remove_file(test.inbox().join(name)).unwrap();
    }
    configure(&test, EXPECTED);
    assert_eq!(test.sync().code, 1);
    assert!(test.published().is_empty());
    let ended = test.run("retry", &["d1", "--accept", "routing-mismatch"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test.assert_published(&[&extract]);
}

fn configure(test: &TestRun, routing: &str) {
    test.configure(&format!(
        "[agreement.one]\ninbox = \"inbox\"\nunrestricted = \"test\"\n[agreement.one.routing]\n{routing}\
         [tenant.t]\nagreements = [\"one\"]\npurpose = \"test\"\ndataset = \"tenants/t\"\n"
    ));
}

/// Returns the manifests of a delivery in the unrestricted dataset and in the tenant's.
fn manifests(test: &TestRun, index: usize) -> [Manifest; 2] {
    [test.published(), test.published_to("t")].map(|published| published[index].1.clone())
}

fn put(test: &TestRun, number: u32, extract: &[u8], routing: &str) {
    let name = format!("d{number}");
    test.data(&name, extract);
    let metadata = metadata(&name, extract.len() as u64, &transfer(number));
    let descriptor = format!("<FileContentDescriptor>{routing}</FileContentDescriptor>");
    let metadata = metadata.replace("<FileContentDescriptor/>", &descriptor);
    test.file(&format!("{name}.metadata"), metadata.as_bytes());
}

fn routing(sender: &str, recipient: &str) -> String {
    format!(
        "<SFTPDynamicRoutingInfo><InfRef>SF6002</InfRef><SenderIt-system>{SYSTEM}</SenderIt-system>\
         <SenderAuthority>urn:oio:cvr-nr:{sender}</SenderAuthority>\
         <TransactionId>{SYSTEM}</TransactionId><SenderTimestamp>2026-03-02T04:00:00Z</SenderTimestamp>\
         <RecipientAuthority>urn:oio:cvr-nr:{recipient}</RecipientAuthority></SFTPDynamicRoutingInfo>"
    )
}
