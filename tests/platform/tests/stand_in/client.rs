//! A client of the stand-in platform, and readers of its extracts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use cprflow_platform::{Agreement, ClientCertificate, Options, Platform, SERVICE_UUID};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// A stand-in platform and its temporary directory.
pub(crate) struct TestPlatform {
    pub(crate) platform: Platform,
    _directory: tempfile::TempDir,
}

/// Starts a stand-in platform with this number of persons.
pub(crate) fn platform(persons: u64) -> TestPlatform {
    platform_with(persons, |_| {})
}

/// Starts a stand-in platform with this number of persons and changed options.
pub(crate) fn platform_with(persons: u64, change: impl FnOnce(&mut Options)) -> TestPlatform {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options::new(directory.path(), persons, 1);
    change(&mut options);
    let platform = Platform::start(options).unwrap();
    TestPlatform {
        platform,
        _directory: directory,
    }
}

/// A response of the service.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Answer {
    /// Returns the texts of all elements with this name.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(&self.body).unwrap();
        let nodes = document.descendants();
        nodes
            .filter(|node| node.is_element() && node.tag_name().name() == name)
            .map(|node| node.text().unwrap_or_default().to_owned())
            .collect()
    }

    /// Returns the text of the only element with this name.
    pub(crate) fn text(&self, name: &str) -> String {
        let texts = self.texts(name);
        assert_eq!(texts.len(), 1, "{name} in {}", self.body);
        texts[0].clone()
    }
}

/// A client of the service.
pub(crate) struct Client {
    pub(crate) agent: ureq::Agent,
    pub(crate) url: String,
    pub(crate) agreement: Agreement,
}

impl Client {
    pub(crate) fn new(platform: &Platform) -> Self {
        Self::with(platform, Some(platform.client()))
    }

    pub(crate) fn with(platform: &Platform, certificate: Option<&ClientCertificate>) -> Self {
        Self {
            agent: agent(
                &platform.ca(),
                certificate.map(files),
                Duration::from_secs(10),
            ),
            url: platform.url(),
            agreement: platform.agreements()[0].clone(),
        }
    }

    /// Calls an operation with this argument after the invocation context.
    pub(crate) fn call(&self, operation: &str, argument: &str) -> Result<Answer, ureq::Error> {
        self.post(&envelope(operation, &context(&self.agreement), argument))
    }

    /// Calls an operation that must succeed, and returns its result.
    pub(crate) fn result(&self, operation: &str, argument: &str) -> String {
        let answer = self.call(operation, argument).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.text("Result")
    }

    pub(crate) fn add_pnr(&self, number: &str) -> String {
        self.result("AddPNRSubscription", &pnr(number))
    }

    pub(crate) fn remove_pnr(&self, number: &str) -> String {
        self.result("RemovePNRSubscription", &pnr(number))
    }

    pub(crate) fn add_municipality(&self, code: &str) -> String {
        let argument = format!("<s:MunicipalityCode>{code}</s:MunicipalityCode>");
        self.result("AddMunicipalityCodeSubscription", &argument)
    }

    pub(crate) fn post(&self, body: &str) -> Result<Answer, ureq::Error> {
        let headers = [
            ("Content-Type", "text/xml; charset=utf-8"),
            ("SOAPAction", "\"\""),
        ];
        self.post_with(&headers, body)
    }

    pub(crate) fn post_with(
        &self,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.post(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body)?;
        let bytes = response
            .body_mut()
            .with_config()
            .limit(256 << 20)
            .read_to_vec()?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

/// The chain and the key of a certificate.
pub(crate) fn files(certificate: &ClientCertificate) -> (&Path, &Path) {
    (&certificate.chain, &certificate.key)
}

/// Returns an HTTP agent with a client certificate that trusts an authority.
pub(crate) fn agent(
    ca: &Path,
    certificate: Option<(&Path, &Path)>,
    timeout: Duration,
) -> ureq::Agent {
    let client = certificate.map(|(chain, key)| {
        let key = PrivateKey::from_pem(&fs::read(key).unwrap()).unwrap();
        ClientCert::new_with_certs(&certificates(chain), key)
    });
    let tls = TlsConfig::builder()
        .client_cert(client)
        .root_certs(RootCerts::new_with_certs(&certificates(ca)))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(timeout))
        .build()
        .into()
}

fn certificates(path: &Path) -> Vec<Certificate<'static>> {
    let pem = fs::read(path).unwrap();
    let items = parse_pem(&pem).map(Result::unwrap);
    items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect()
}

pub(crate) fn pnr(number: &str) -> String {
    format!("<p:PNR>{number}</p:PNR>")
}

/// Returns the invocation context of an agreement.
pub(crate) fn context(agreement: &Agreement) -> String {
    format!(
        "<c:InvocationContext><c:ServiceAgreementUUID>{}</c:ServiceAgreementUUID>\
         <c:UserSystemUUID>{}</c:UserSystemUUID><c:UserUUID>{}</c:UserUUID>\
         <c:ServiceUUID>{SERVICE_UUID}</c:ServiceUUID></c:InvocationContext>",
        agreement.uuid, agreement.user_system, agreement.user
    )
}

pub(crate) fn envelope(operation: &str, context: &str, argument: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:s=\"http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/\" \
         xmlns:c=\"http://serviceplatformen.dk/xml/schemas/InvocationContext/1/\" \
         xmlns:p=\"http://serviceplatformen.dk/xml/schemas/cpr/PNR/1/\">\
         <e:Body><s:{operation}>{context}{argument}</s:{operation}></e:Body></e:Envelope>"
    )
}

/// Returns the records of an extract by person number, without events (099) and receipts (997).
pub(crate) fn records(extract: &[u8]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut records: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for line in extract.split(|byte| *byte == b'\n') {
        if line.len() > 13 && !matches!(&line[..3], b"000" | b"099" | b"997" | b"999") {
            let number = String::from_utf8(line[3..13].to_vec()).unwrap();
            records.entry(number).or_default().push(line.to_vec());
        }
    }
    records
}

/// Returns the person numbers that have a record of this type.
pub(crate) fn numbers(extract: &[u8], record_type: &str) -> BTreeSet<String> {
    extract
        .split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(record_type.as_bytes()))
        .map(|line| String::from_utf8(line[3..13].to_vec()).unwrap())
        .collect()
}

/// Returns the sorted names in a directory. Names that are not UTF-8 are converted with replacement characters.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Reports a skipped test on standard error directly, because the test harness captures printed output.
pub(crate) fn skipped(reason: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {reason}").unwrap();
}
