//! The agreement whose subscription is shown or changed, with its service and its directory.

use std::path::PathBuf;

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::config::{Configuration, Store};
use cprflow_delivery::subscription::{
    self, AuditLog, Client, Executor, Service, SubscriptionDirectory, SubscriptionError,
    SubscriptionSettings, municipality_name,
};
use cprflow_delivery::{Agreement, Environment, Stop};

use super::options::check_file_name_unless_exists;
use crate::failure::{Failure, Outcome};
use crate::options::{agreement_names, configuration_file};
use crate::output::message;
use crate::usage::UsageError;

/// The options that choose the agreement.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Agreement")]
pub(super) struct TargetOptions {
    /// The configuration file; `cprflow init` writes one. Default: ./cprflow.toml
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG")]
    config: Option<PathBuf>,

    /// The agreement; needed if the configuration has several
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// The state directory, which has the audit log, the snapshots and the journal
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// The agreement that the command works on.
pub(super) struct TargetAgreement {
    pub(super) store: Store,
    pub(super) agreement: Agreement,
    pub(super) service: Service,
}

impl TargetOptions {
    /// Returns the agreement. Fails if the configuration has several and none was named, or if it has no service.
    pub(super) fn choose(&self) -> Result<TargetAgreement, Failure> {
        if let Some(named) = &self.config {
            check_file_name_unless_exists(named)?;
        }
        let file = configuration_file(self.config.as_deref());
        let mut configuration = Configuration::from_file(file.ok_or(UsageError::NoConfiguration)?)?;
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        let known = agreement_names(&configuration);
        match &self.agreement {
            Some(name) if !configuration.only(name) => {
                return Err(UsageError::UnknownAgreement { known }.into());
            }
            None if configuration.agreements().count() > 1 => {
                return Err(UsageError::SeveralAgreements { known }.into());
            }
            _ => {}
        }
        let store = configuration.stores.into_iter().next();
        let store = store.ok_or(UsageError::NoAgreement)?;
        let agreement = store.agreements.first().cloned();
        let agreement = agreement.ok_or(UsageError::NoAgreement)?;
        let service = agreement
            .service
            .clone()
            .ok_or_else(|| SubscriptionError::NoService {
                agreement: agreement.name.to_string(),
            })?;
        Ok(TargetAgreement {
            store,
            agreement,
            service,
        })
    }
}

impl TargetAgreement {
    /// Returns a line with agreement, environment and municipality.
    pub(super) fn title(&self) -> String {
        let environment = match self.agreement.environment {
            Some(Environment::Test) => "test environment",
            Some(Environment::Production) => "PRODUCTION",
            None => "environment not configured",
        };
        let municipality = match &self.service.municipality {
            Some(code) => format!(
                "municipality {code} {}",
                municipality_name(code).unwrap_or("(unknown)")
            ),
            None => "municipality not configured".to_owned(),
        };
        // An address that the configuration sets can belong to any server, so it is shown.
        let is_usual = |environment| self.service.is_usual(environment);
        let host = match self.agreement.environment.is_some_and(is_usual) {
            true => String::new(),
            false => format!(" at {}", self.service.host()),
        };
        format!(
            "agreement {} ({}), {environment}{host}, {municipality}",
            self.agreement.name, self.service.agreement
        )
    }

    /// Returns the subscription that is configured.
    pub(super) fn wanted(&self) -> Result<SubscriptionSettings, Failure> {
        let wanted = self.agreement.subscription.clone();
        Ok(wanted.ok_or_else(|| SubscriptionError::NothingWanted {
            agreement: self.agreement.name.to_string(),
        })?)
    }

    /// Returns whether filters that can reach all of Denmark may be added.
    pub(super) fn allows_national(&self) -> bool {
        let settings = self.agreement.subscription.as_ref();
        settings.is_some_and(|settings| settings.allow_national)
    }

    /// Returns a client that can read filters. Prints warnings about the certificates. Does not connect yet.
    pub(super) fn client<'a>(&'a self, connector: &'a Connector) -> Result<Client<'a>, Failure> {
        let channel = subscription::connect(&self.service)?;
        for warning in channel.warnings(jiff::Timestamp::now()) {
            message::warning(&warning.to_string());
        }
        Ok(Client::new(
            connector,
            channel,
            &self.service,
            Stop::default(),
        ))
    }

    /// Returns the path of the directory with audit log, snapshots and journal.
    pub(super) fn directory(&self) -> PathBuf {
        subscription::directory(&self.store.state, &self.agreement.name)
    }

    /// Locks this directory for as long as the returned value lives.
    pub(super) fn lock_directory(&self) -> Result<SubscriptionDirectory, Failure> {
        Ok(SubscriptionDirectory::take(
            &self.store.state,
            &self.agreement.name,
        )?)
    }

    /// Opens the audit log.
    pub(super) fn audit_log(&self, directory: &SubscriptionDirectory) -> Result<AuditLog, Failure> {
        let purpose = self.service.purpose.as_deref();
        let name = self.agreement.name.as_str();
        let log = AuditLog::open(directory.directory(), name, purpose)?;
        Ok(log.with_legal_basis(self.service.legal_basis.as_deref()))
    }

    /// Warns if a reorder was started and not finished.
    pub(super) fn warn_of_unfinished_reorder(&self) -> Result<Outcome, Failure> {
        Ok(match Executor::unfinished(&self.directory())? {
            None => Outcome::Success,
            Some(_) => {
                message::warning(&SubscriptionError::Unfinished.to_string());
                Outcome::NeedsAttention
            }
        })
    }
}
