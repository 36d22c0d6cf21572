//! A stand-in platform, and clients that call its subscription service.

use std::path::Path;

use cprflow_platform::{Options, Platform, SERVICE_UUID};
use cprflow_transport::Secret;
use cprflow_transport::soap::{
    ClientCertificate, SoapClient, SoapError, SoapResponse, SoapSettings,
};
use jiff::Timestamp;

/// A stand-in platform with its directory.
#[derive(Debug)]
pub struct ServiceSetup {
    /// The platform.
    pub platform: Platform,
    /// The directory.
    pub directory: tempfile::TempDir,
}

impl ServiceSetup {
    /// Starts a platform.
    #[expect(clippy::new_without_default, reason = "it starts servers")]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let platform = Platform::start(Options::new(directory.path(), 10, 1)).unwrap();
        Self {
            platform,
            directory,
        }
    }

    /// Returns the settings of a client of the platform.
    pub fn settings(&self, certificate: ClientCertificate) -> SoapSettings {
        let mut settings = SoapSettings::new(self.platform.url(), certificate);
        settings.ca = Some(self.platform.ca());
        settings
    }

    /// Returns a client with a certificate.
    pub fn client_with(&self, certificate: ClientCertificate) -> Result<SoapClient, SoapError> {
        SoapClient::new(&self.settings(certificate), Timestamp::now())
    }

    /// Calls the service on a new connection.
    pub fn call(&self) -> Result<SoapResponse, SoapError> {
        self.client_with(pem(self.platform.client()))?
            .call(&self.request())
    }

    /// Calls another server, which is signed by `ca` and reads until `</end>`.
    pub fn call_at(&self, port: u16, ca: &Path) -> Result<SoapResponse, SoapError> {
        let mut settings = self.settings(pem(self.platform.client()));
        settings.endpoint = format!("https://127.0.0.1:{port}/");
        settings.ca = Some(ca.to_owned());
        SoapClient::new(&settings, Timestamp::now())?.call(b"<end></end>")
    }

    /// Returns a request for all filters.
    pub fn request(&self) -> Vec<u8> {
        let agreement = &self.platform.agreements()[0];
        let context = [
            ("ServiceAgreementUUID", agreement.uuid.as_str()),
            ("UserSystemUUID", &agreement.user_system),
            ("UserUUID", &agreement.user),
            ("ServiceUUID", SERVICE_UUID),
        ]
        .map(|(name, value)| format!("<c:{name}>{value}</c:{name}>"))
        .concat();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:s=\"http://serviceplatformen.dk/xml/wsdl/soap11/CprSubscriptionService/1/\" \
             xmlns:c=\"http://serviceplatformen.dk/xml/schemas/InvocationContext/1/\"><e:Body><s:GetAllFilters>\
             <c:InvocationContext>{context}</c:InvocationContext></s:GetAllFilters></e:Body></e:Envelope>"
        )
        .into_bytes()
    }
}

/// Returns a certificate as PEM files.
pub fn pem(certificate: &cprflow_platform::ClientCertificate) -> ClientCertificate {
    ClientCertificate::Pem {
        certificate: certificate.chain.clone(),
        key: certificate.key.clone(),
    }
}

/// Returns a certificate as a PKCS #12 archive.
pub fn p12(certificate: &cprflow_platform::ClientCertificate, password: &str) -> ClientCertificate {
    ClientCertificate::Pkcs12 {
        file: certificate.p12.clone(),
        password: Secret::new(password),
    }
}
