//! Which agreement, and the way to its service.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use cprflow::config::{Configuration, Store};
use cprflow::subscriber::{
    self, Audit, Desk, Place, Service, SubscriberError, SubscriptionSettings, municipality_name,
};
use cprflow::sync::Stop;
use cprflow::{Agreement, Connector, Environment};

use super::super::Failure;
use super::super::say;
use super::not_a_number;

/// Which agreement.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which agreement")]
pub(super) struct Target {
    /// The configuration; `cprflow init` writes one
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG")]
    config: PathBuf,

    /// The agreement; needed when the configuration has several
    #[arg(long, value_name = "NAME")]
    agreement: Option<String>,

    /// Where audit log, snapshots and journal are
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// One agreement, with all that is known of it.
pub(super) struct Chosen {
    pub(super) store: Store,
    pub(super) agreement: Agreement,
    pub(super) service: Service,
}

impl Target {
    pub(super) fn choose(&self) -> Result<Chosen, Failure> {
        not_a_number(&self.config)?;
        let mut configuration = Configuration::from_file(&self.config)?;
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        let names: Vec<_> = configuration
            .agreements()
            .map(|agreement| agreement.name.to_string())
            .collect();
        let usage = |what: &str| Failure::Usage(format!("{what}: {}", names.join(", ")));
        match &self.agreement {
            Some(name) if !configuration.only(name) => {
                return Err(usage("there is no agreement of that name; there are"));
            }
            None if names.len() > 1 => {
                return Err(usage(
                    "a subscription belongs to one agreement: name it with --agreement. There are",
                ));
            }
            _ => {}
        }
        let Some(store) = configuration.stores.into_iter().next() else {
            return Err(usage("there is no agreement in the configuration"));
        };
        let Some(agreement) = store.agreements.first().cloned() else {
            return Err(usage("there is no agreement in the configuration"));
        };
        let service = agreement
            .service
            .clone()
            .ok_or_else(|| SubscriberError::NoService {
                agreement: agreement.name.to_string(),
            })?;
        Ok(Chosen {
            store,
            agreement,
            service,
        })
    }
}

impl Chosen {
    /// What names it: agreement, environment, municipality.
    pub(super) fn title(&self) -> String {
        let environment = match self.agreement.environment {
            Some(Environment::Test) => "test environment",
            Some(Environment::Production) => "PRODUCTION",
            None => "environment not given",
        };
        let municipality = match &self.service.municipality {
            Some(code) => format!(
                "municipality {code} {}",
                municipality_name(code).unwrap_or("(unknown)")
            ),
            None => "municipality not given".to_owned(),
        };
        // An address of the configuration's own may lead anywhere.
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

    /// What the configuration wants of the subscription.
    pub(super) fn wanted(&self) -> Result<SubscriptionSettings, Failure> {
        let wanted = self.agreement.subscription.clone();
        Ok(wanted.ok_or_else(|| SubscriberError::NothingWanted {
            agreement: self.agreement.name.to_string(),
        })?)
    }

    /// Whether filters may be added that can reach all of Denmark.
    pub(super) fn allows_national(&self) -> bool {
        let settings = self.agreement.subscription.as_ref();
        settings.is_some_and(|settings| settings.allow_national)
    }

    /// A desk that can look.
    pub(super) fn desk<'a>(&'a self, connector: &'a Connector) -> Result<Desk<'a>, Failure> {
        let client = subscriber::connect(&self.service)?;
        for warning in client.warnings(jiff::Timestamp::now()) {
            say::warning(&warning.to_string());
        }
        Ok(Desk::new(connector, client, &self.service, Stop::default()))
    }

    /// The place in which changes are remembered, for as long as this has it.
    pub(super) fn place(&self) -> Result<Place, Failure> {
        Ok(Place::take(&self.store.state, &self.agreement.name)?)
    }

    /// Where changes are remembered.
    pub(super) fn directory(&self) -> PathBuf {
        subscriber::directory(&self.store.state, &self.agreement.name)
    }

    /// The audit log.
    pub(super) fn audit(&self, place: &Place) -> Result<Audit, Failure> {
        let purpose = self.service.purpose.as_deref();
        Ok(Audit::open(
            place.directory(),
            self.agreement.name.as_str(),
            purpose,
        )?)
    }
}

/// Asks whether to go on; an error where nobody can be asked.
pub(super) fn ask(is_yes: bool, takes_stdin: bool) -> Result<bool, Failure> {
    if is_yes {
        return Ok(true);
    }
    let mut input = std::io::stdin().lock();
    if takes_stdin || !std::io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "nobody is there to be asked; give --yes to do it. Nothing was changed".to_owned(),
        ));
    }
    let mut err = anstream::stderr().lock();
    write!(err, "Do it? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Lets SIGINT and SIGTERM be a wish to stop: the call that is under way ends first.
pub(super) fn stop_on_signals(stop: &Stop) -> Result<(), Failure> {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The second time it ends at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, stop.flag())?;
        signal_hook::flag::register(signal, stop.flag())?;
    }
    Ok(())
}
