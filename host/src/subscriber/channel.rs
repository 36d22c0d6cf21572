//! The channel to the real service.

use super::desk::{Answer, Channel, Interruption};
use super::settings::{Credentials, Service};
use crate::error::Error;
use crate::transport::soap::{ClientCertificate, SoapClient, SoapSettings};

impl Channel for SoapClient {
    fn call(&mut self, request: &[u8]) -> Result<Answer, Interruption> {
        match SoapClient::call(self, request) {
            Ok(response) => Ok(Answer {
                status: response.status,
                body: response.body,
            }),
            Err(error) => Err(Interruption {
                is_transient: error.is_transient(),
                may_have_been_applied: error.may_have_been_applied(),
                error: Error::Soap(error),
            }),
        }
    }
}

/// A client of an agreement's service. Its certificates are checked; nothing is connected to yet.
pub fn connect(service: &Service) -> Result<SoapClient, Error> {
    let certificates = service.credentials.iter().map(|credentials| {
        Ok(match credentials {
            Credentials::Pem { certificate, key } => ClientCertificate::Pem {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            Credentials::Pkcs12 { file, password } => ClientCertificate::Pkcs12 {
                file: file.clone(),
                password: password.read()?,
            },
        })
    });
    let mut certificates = certificates.collect::<Result<Vec<_>, Error>>()?.into_iter();
    // The configuration has one or two.
    let Some(first) = certificates.next() else {
        return Err(Error::Request(
            "the service has no client certificate".to_owned(),
        ));
    };
    let mut settings = SoapSettings::new(&service.endpoint, first);
    settings.certificates.extend(certificates);
    settings.ca.clone_from(&service.ca);
    settings.proxy.clone_from(&service.proxy);
    if let Some(seconds) = service.timeout_seconds {
        let patience = std::time::Duration::from_secs(seconds.max(1));
        settings.timeouts.answer = patience;
        settings.timeouts.total = patience.saturating_mul(5);
    }
    Ok(SoapClient::new(&settings, jiff::Timestamp::now())?)
}
