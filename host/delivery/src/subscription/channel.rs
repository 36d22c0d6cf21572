//! The channel to the real subscription service.

use super::SubscriptionError;
use super::client::{Answer, Channel, ChannelError};
use super::settings::{Credentials, Service};
use crate::error::Error;
use cprflow_transport::soap::{ClientCertificate, SoapClient, SoapSettings};

impl Channel for SoapClient {
    fn call(&mut self, request: &[u8]) -> Result<Answer, ChannelError> {
        match SoapClient::call(self, request) {
            Ok(response) => Ok(Answer {
                status: response.status,
                body: response.body,
            }),
            Err(error) => Err(ChannelError {
                is_transient: error.is_transient(),
                may_have_been_applied: error.may_have_been_applied(),
                error: Error::Soap(error),
            }),
        }
    }
}

/// Creates a client for the service of an agreement.
///
/// It reads and checks the client certificates, and does not connect yet.
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
    let Some(first) = certificates.next() else {
        // The configuration requires one certificate, and allows a second one.
        return Err(SubscriptionError::NoCertificate.into());
    };
    let mut settings = SoapSettings::new(&service.endpoint, first);
    settings.certificates.extend(certificates);
    settings.ca.clone_from(&service.ca);
    settings.proxy.clone_from(&service.proxy);
    if let Some(seconds) = service.timeout_seconds {
        let timeout = std::time::Duration::from_secs(seconds.max(1));
        settings.timeouts.answer = timeout;
        settings.timeouts.total = timeout.saturating_mul(5);
    }
    Ok(SoapClient::new(&settings, jiff::Timestamp::now())?)
}
