//! Every operation over mutual TLS, and the clients that are denied access.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rcgen::{CertificateParams, DnType, KeyPair};
use ureq::tls::PrivateKey;

use crate::client::{Client, agent, context, envelope, files, platform, platform_with, pnr};
use cprflow_platform::{
    Agreement, ClientKind, Contract, Filter, ForeignClient, NamespacePrefixes, Options,
    P12_PASSWORD, Platform, ServerCertificate, ServiceEvent, TlsVersions,
};

const UNUSED_PNR: &str = "0101010101";

#[test]
fn every_operation_returns_the_result_of_the_contract() {
    let test = platform(10);
    let client = Client::new(&test.platform);
    let municipality = |code: &str| format!("<s:MunicipalityCode>{code}</s:MunicipalityCode>");
    let ages = |start: u32, end: u32| {
        format!(
            "<s:AgeRange><s:StartAge>{start}</s:StartAge><s:EndAge>{end}</s:EndAge></s:AgeRange>"
        )
    };
    let event = |code: &str| format!("<s:ChangeCode>{code}</s:ChangeCode>");
    for (subject, argument, missing) in [
        ("PNR", pnr(UNUSED_PNR), "NON_EXISTING_PNR"),
        ("AgeRange", ages(0, 17), "NON_EXISTING_AGERANGE"),
        (
            "MunicipalityCode",
            municipality("0851"),
            "NON_EXISTING_MUNICIPALITYCODE",
        ),
        ("ChangeCode", event("A01"), "NON_EXISTING_CHANGECODE"),
        ("NoFilter", String::new(), "REMOVED"),
    ] {
        let add = format!("Add{subject}Subscription");
        let remove = format!("Remove{subject}Subscription");
        assert_eq!(client.result(&remove, &argument), missing);
        assert_eq!(client.result(&add, &argument), "ADDED");
        assert_eq!(client.result(&add, &argument), "ALREADY_EXISTED");
        assert_eq!(client.result(&remove, &argument), "REMOVED");
        assert_eq!(client.result(&add, &argument), "ADDED");
    }
    client.result("AddPNRSubscription", &pnr("0202020202"));
    // Leading zeros are not significant.
    assert_eq!(client.add_municipality("851"), "ALREADY_EXISTED");

    let all = client.call("GetAllFilters", "").unwrap();
    assert_eq!(all.text("StartAge"), "0");
    assert_eq!(all.text("EndAge"), "17");
    assert_eq!(all.text("ChangeCode"), "A01");
    assert_eq!(all.text("MunicipalityCode"), "851");
    assert_eq!(all.texts("PNR"), [UNUSED_PNR, "0202020202"]);
    assert_eq!(all.text("noFilter"), "true");
    let order = [
        "AgeRange>",
        "ChangeCode>",
        "MunicipalityCode>",
        "PNR>",
        "noFilter>",
    ];
    let places = order.map(|name| all.body.find(name).unwrap());
    assert!(places.is_sorted(), "{}", all.body);

    for group in [
        "PNR",
        "AgeRange",
        "MunicipalityCode",
        "EventChangeCode",
        "NoFilter",
    ] {
        let argument = format!("<s:FilterGroup>{group}</s:FilterGroup>");
        let before = test.platform.filters(&client.agreement).len();
        assert_eq!(client.result("RemoveAll", &argument), "REMOVED");
        assert!(test.platform.filters(&client.agreement).len() < before);
    }
    let none = client.call("GetAllFilters", "").unwrap();
    assert_eq!(none.text("noFilter"), "false");
    assert!(
        none.body
            .contains("<ns3:noFilter>false</ns3:noFilter></ns3:GetAllFiltersResponse>")
    );
    let seen = test.platform.take_events();
    let is_call = |seen: &&ServiceEvent| {
        matches!(
            seen,
            ServiceEvent::Call {
                is_applied: true,
                fault: None,
                ..
            }
        )
    };
    assert_eq!(seen.iter().filter(is_call).count(), seen.len());
    assert!(!format!("{seen:?}").contains(UNUSED_PNR));
}

#[test]
fn the_contract_of_2015_has_no_no_filter() {
    let test = platform_with(10, |options| options.contract = Contract::V1_0);
    let client = Client::new(&test.platform);
    assert_eq!(client.add_municipality("0851"), "ADDED");
    for prefixes in [NamespacePrefixes::Cxf, NamespacePrefixes::Everywhere] {
        test.platform.set_prefixes(prefixes);
        let all = client.call("GetAllFilters", "").unwrap();
        assert_eq!(all.text("MunicipalityCode"), "851");
        assert_eq!(all.texts("noFilter"), Vec::<String>::new());
    }
    let group = |group: &str| format!("<s:FilterGroup>{group}</s:FilterGroup>");
    for (operation, argument) in [
        ("AddNoFilterSubscription", String::new()),
        ("RemoveNoFilterSubscription", String::new()),
        ("RemoveAll", group("NoFilter")),
    ] {
        let fault = client.call(operation, &argument).unwrap();
        assert_eq!(fault.status, 500, "{operation}");
        assert_eq!(fault.text("faultcode"), "soap:Client");
        let text = fault.text("faultstring");
        assert!(text.contains("version 1.0 of the contract"), "{text}");
    }
    assert_eq!(
        client.result("RemoveAll", &group("MunicipalityCode")),
        "REMOVED"
    );
}

#[test]
fn the_description_has_the_operations_of_the_contract() {
    for (contract, operations, groups) in [(Contract::V1_0, 10, 4), (Contract::V1_1, 12, 5)] {
        let test = platform_with(10, |options| options.contract = contract);
        let client = Client::new(&test.platform);
        for query in ["?wsdl", "?WSDL"] {
            let url = client.url.clone() + query;
            let mut response = client.agent.get(&url).call().unwrap();
            assert_eq!(response.status().as_u16(), 200);
            let text = response.body_mut().read_to_string().unwrap();
            let document = roxmltree::Document::parse(&text).unwrap();
            let named = |name: &'static str| {
                let nodes = document.descendants();
                nodes.filter(move |node| node.is_element() && node.tag_name().name() == name)
            };
            let binding = named("binding").find(|node| node.has_attribute("type"));
            let binding = binding.unwrap();
            let offered = binding.children().filter(|node| node.has_attribute("name"));
            assert_eq!(offered.count(), operations);
            assert_eq!(named("enumeration").count(), groups);
            assert_eq!(text.contains("noFilter"), contract == Contract::V1_1);
            let address = named("address").next().unwrap();
            assert_eq!(address.attribute("location"), Some(client.url.as_str()));
            // Every message that an operation names is described, and so is every element of a message.
            for (user, attribute, described) in [
                ("input", "message", "message"),
                ("part", "element", "element"),
            ] {
                for node in named(user).filter(|node| node.has_attribute(attribute)) {
                    let wanted = node.attribute(attribute).unwrap().strip_prefix("tns:");
                    assert!(
                        named(described).any(|node| node.attribute("name") == wanted),
                        "{wanted:?}"
                    );
                }
            }
        }
        assert_eq!(test.platform.take_events(), []);
    }
}

#[test]
fn responses_are_equal_with_all_namespace_prefixes() {
    let test = platform(10);
    let client = Client::new(&test.platform);
    client.add_pnr(UNUSED_PNR);
    client.add_municipality("0851");
    for prefixes in [
        NamespacePrefixes::Cxf,
        NamespacePrefixes::Default,
        NamespacePrefixes::Moved,
        NamespacePrefixes::Everywhere,
    ] {
        test.platform.set_prefixes(prefixes);
        let all = client.call("GetAllFilters", "").unwrap();
        let document = roxmltree::Document::parse(&all.body).unwrap();
        let elements = document.descendants().filter(|node| node.is_element());
        let names: Vec<_> = elements
            .map(|node| (node.tag_name().namespace().unwrap(), node.tag_name().name()))
            .filter(|(_, name)| *name != "Header")
            .collect();
        let soap = "http://schemas.xmlsoap.org/soap/envelope/";
        let service = "http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/";
        let number = "http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/";
        let expected = [
            (soap, "Envelope"),
            (soap, "Body"),
            (service, "GetAllFiltersResponse"),
            (service, "MunicipalityCode"),
            (number, "PNR"),
            (service, "noFilter"),
        ];
        assert_eq!(names, expected, "{prefixes:?}");
        assert_eq!(
            client.add_pnr(UNUSED_PNR),
            "ALREADY_EXISTED",
            "{prefixes:?}"
        );
    }
}

#[test]
fn clients_without_a_valid_certificate_are_denied() {
    let test = platform(10);
    let platform = &test.platform;
    for versions in [TlsVersions::Only12, TlsVersions::Only13, TlsVersions::Both] {
        platform
            .set_tls(ServerCertificate::Valid, versions)
            .unwrap();
        for certificate in [platform.client(), platform.next_client()] {
            let client = Client::with(platform, Some(certificate));
            client.call("GetAllFilters", "").unwrap().text("noFilter");
        }
        Client::with(platform, None)
            .call("GetAllFilters", "")
            .unwrap_err();
        for kind in [
            ClientKind::Expired,
            ClientKind::NotYetValid,
            ClientKind::WrongAuthority,
        ] {
            let certificate = platform.issue("refused", kind).unwrap();
            let client = Client::with(platform, Some(&certificate));
            client.call("GetAllFilters", "").unwrap_err();
        }
    }
    // With TLS 1.3 a client can see the refusal before the server has recorded it.
    let mut refusals = 0;
    let begun = Instant::now();
    while refusals < 12 && begun.elapsed() < Duration::from_secs(20) {
        let seen = platform.take_events();
        refusals += seen
            .iter()
            .filter(|seen| matches!(seen, ServiceEvent::HandshakeFailed(_)))
            .count();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(refusals, 12);
    assert!(platform.filters(&platform.agreements()[0]).is_empty());

    for kind in [ClientKind::Rsa, ClientKind::EndsIn(7)] {
        let certificate = platform.issue("other", kind).unwrap();
        let client = Client::with(platform, Some(&certificate));
        client.call("GetAllFilters", "").unwrap().text("noFilter");
        platform.set_registered(&certificate, false);
        let denied = client.call("GetAllFilters", "").unwrap();
        assert_eq!(denied.status, 500);
        assert!(denied.text("faultstring").contains("not registered"));
        assert!(denied.text("faultstring").contains("CallUUID: "));
    }
}

/// Writes a self-signed certificate with an attribute of the subject, and its key.
pub(crate) fn self_signed(
    directory: &Path,
    attribute: (&[u64], &str),
    years: (i32, i32),
) -> (PathBuf, PathBuf) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let kind = DnType::CustomDnType(attribute.0.to_vec());
    params.distinguished_name.push(kind, attribute.1);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let paths = (directory.join("own.pem"), directory.join("own.key"));
    fs::write(&paths.0, certificate.pem()).unwrap();
    fs::write(&paths.1, key.serialize_pem()).unwrap();
    paths
}

/// The attribute `organizationIdentifier`.
pub(crate) const ORGANIZATION_IDENTIFIER: &[u64] = &[2, 5, 4, 97];
/// The attribute `serialNumber`.
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

#[test]
fn a_certificate_of_another_authority_is_accepted_with_its_cvr_number() {
    for (attribute, given, cvr) in [
        (
            (ORGANIZATION_IDENTIFIER, "NTRDK-12345678"),
            None,
            "12345678",
        ),
        ((SERIAL_NUMBER, "CVR:23456789-UID:1"), None, "23456789"),
        ((SERIAL_NUMBER, "UI:DK-O:G:1"), Some("34567890"), "34567890"),
    ] {
        let own = tempfile::tempdir().unwrap();
        let (file, key) = self_signed(own.path(), attribute, (2020, 2099));
        let test = platform_with(3000, |options| {
            options.has_routing = true;
            options.foreign_clients = vec![ForeignClient {
                file: file.clone(),
                cvr: given.map(str::to_owned),
            }];
        });
        let platform = &test.platform;
        let known: Vec<_> = platform.foreign_clients().collect();
        assert_eq!(known, [(file.as_path(), cvr)]);
        let mut client = Client::new(platform);
        for versions in [TlsVersions::Only12, TlsVersions::Only13] {
            platform
                .set_tls(ServerCertificate::Valid, versions)
                .unwrap();
            let timeout = Duration::from_secs(10);
            client.agent = agent(&platform.ca(), Some((&file, &key)), timeout);
            client.call("GetAllFilters", "").unwrap().text("noFilter");
            let is_own = |seen: &ServiceEvent| matches!(seen, ServiceEvent::Call { cvr: by, .. } if by == cvr);
            assert!(platform.take_events().iter().all(is_own));
        }
        // The certificates of the stand-in still work.
        assert_eq!(Client::new(platform).add_municipality("0851"), "ADDED");
        let night = platform.run_night().unwrap();
        let metadata = format!("{}.metadata", night.deliveries[0].name);
        let metadata = fs::read_to_string(platform.inbox().join(metadata)).unwrap();
        let recipient = format!("<RecipientAuthority>urn:oio:cvr-nr:{cvr}</RecipientAuthority>");
        assert!(metadata.contains(&recipient), "{metadata}");
    }
}

#[test]
fn an_expired_or_unknown_certificate_of_another_authority_is_denied() {
    let own = tempfile::tempdir().unwrap();
    let attribute = (ORGANIZATION_IDENTIFIER, "NTRDK-12345678");
    let (file, key) = self_signed(own.path(), attribute, (2020, 2021));
    let test = platform_with(10, |options| {
        let file = file.clone();
        options.foreign_clients = vec![ForeignClient { file, cvr: None }];
    });
    let platform = &test.platform;
    let mut client = Client::new(platform);
    let timeout = Duration::from_secs(10);
    client.agent = agent(&platform.ca(), Some((&file, &key)), timeout);
    client.call("GetAllFilters", "").unwrap_err();
    // Another certificate with the same subject.
    let (file, key) = self_signed(own.path(), attribute, (2020, 2099));
    client.agent = agent(&platform.ca(), Some((&file, &key)), timeout);
    client.call("GetAllFilters", "").unwrap_err();

    let start = |file: PathBuf| {
        let mut options = Options::new(own.path().join("platform"), 10, 1);
        options.foreign_clients = vec![ForeignClient { file, cvr: None }];
        Platform::start(options).unwrap_err().to_string()
    };
    let (file, key) = self_signed(own.path(), (SERIAL_NUMBER, "UI:DK-O:G:1"), (2020, 2099));
    let error = start(file);
    assert!(
        error
            .ends_with("own.pem: its certificate has no CVR number. Add the number: FILE=12345678"),
        "{error}"
    );
    let error = start(key);
    assert!(error.contains("no certificate in PEM format"), "{error}");
}

#[test]
fn clients_reject_an_invalid_server_certificate() {
    let test = platform(10);
    for kind in [
        ServerCertificate::WrongHost,
        ServerCertificate::UnknownAuthority,
        ServerCertificate::Expired,
        ServerCertificate::NotYetValid,
    ] {
        test.platform.set_tls(kind, TlsVersions::Both).unwrap();
        let client = Client::new(&test.platform);
        client.call("GetAllFilters", "").unwrap_err();
    }
}

#[test]
fn agreements_have_separate_filters() {
    let test = platform_with(10, |options| {
        let second = Agreement::from_seed(1, 1);
        options.agreements.push(second);
    });
    let mut client = Client::new(&test.platform);
    client.add_pnr(UNUSED_PNR);
    let [first, second] = test.platform.agreements() else {
        panic!("expected two agreements");
    };
    client.agreement = second.clone();
    client.add_municipality("0101");
    assert_eq!(
        test.platform.filters(first),
        [Filter::Pnr(UNUSED_PNR.to_owned())]
    );
    assert_eq!(
        test.platform.filters(second),
        [Filter::MunicipalityCode(101)]
    );

    let fault = |agreement: Agreement| {
        client
            .post(&envelope("GetAllFilters", &context(&agreement), ""))
            .unwrap()
    };
    let mut unknown = first.clone();
    unknown.uuid.clone_from(&first.user);
    assert!(
        fault(unknown)
            .text("faultstring")
            .contains("no service agreement")
    );
    let mut other_user = first.clone();
    other_user.user.clone_from(&second.user);
    assert!(
        fault(other_user)
            .text("faultstring")
            .contains("no service agreement")
    );
    let mut other_system = first.clone();
    other_system.user_system.clone_from(&second.user);
    assert_eq!(fault(other_system).text("ErrorCode"), "WrongUserSystem");
}

#[test]
fn the_state_is_kept_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let mut options = cprflow_platform::Options::new(directory.path(), 300, 1);
        options.state_file = Some(directory.path().join("state.json"));
        cprflow_platform::Platform::start(options).unwrap()
    };
    let platform = start();
    let client = Client::new(&platform);
    client.add_municipality("0851");
    let night = platform.run_night().unwrap();
    assert!(!night.deliveries[0].loaded.is_empty());
    client.add_pnr(UNUSED_PNR);
    platform.save().unwrap();
    drop(platform);

    let platform = start();
    let client = Client::new(&platform);
    assert_eq!(client.add_pnr(UNUSED_PNR), "ALREADY_EXISTED");
    let night = platform.run_night().unwrap();
    assert_eq!(night.number, 2);
    // Persons who were loaded before the restart are not loaded again.
    assert!(
        night
            .deliveries
            .iter()
            .all(|delivered| delivered.loaded.is_empty())
    );
}

#[test]
fn a_stopped_stand_in_does_not_respond() {
    let test = platform(10);
    let (url, ca) = (test.platform.url(), test.platform.ca());
    let agent = agent(
        &ca,
        Some(files(test.platform.client())),
        Duration::from_secs(5),
    );
    assert_eq!(agent.get(&url).call().unwrap().status().as_u16(), 405);
    drop(test.platform);
    agent.get(&url).call().unwrap_err();
}

#[test]
fn client_keys_are_private_and_also_stored_as_pkcs12() {
    let test = platform(10);
    for certificate in [test.platform.client(), test.platform.next_client()] {
        for path in [&certificate.key, &certificate.p12] {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let bytes = fs::read(&certificate.p12).unwrap();
        let store =
            KeyStore::from_pkcs12(&bytes, P12_PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
        let (_, chain) = store.private_key_chain().unwrap();
        assert_eq!(chain.certs().len(), 2);
        let key = PrivateKey::from_pem(&fs::read(&certificate.key).unwrap()).unwrap();
        assert_eq!(chain.key().as_der(), key.der());
    }
}
