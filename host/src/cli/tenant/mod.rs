//! `cprflow tenant`.

mod words;

use std::io::Write;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use clap::{Args, Subcommand};
use cprflow::config::{Configuration, Store};
use cprflow::{Connector, Error, ListKey, Policy, Tenant as Party, policy_digest};

use super::{Failure, Outcome, catalog};
use words::Words;

/// Explain what each tenant may see
///
/// A tenant is a party that gets its own share of the deliveries: [tenant.NAME] in the configuration says what it may
/// see and what for. What is not allowed is not there.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Check),
    List(List),
}

/// Check the tenants' policies, and say in words what each lets through and hides, and what for
///
/// The configuration, the key, the list of numbers, and the policy itself, which the component is asked about. Nothing
/// is fetched and nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  all is well
  1  something is wrong with a tenant
  2  could not run

Examples:
  cprflow tenant check --config cprflow.toml
  cprflow tenant check social --config cprflow.toml")]
struct Check {
    /// The tenant; all of them without it
    name: Option<String>,

    #[command(flatten)]
    configuration: File,
}

/// List the tenants
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  cprflow tenant list --config cprflow.toml")]
struct List {
    #[command(flatten)]
    configuration: File,
}

#[derive(Debug, Args)]
struct File {
    /// The configuration; `cprflow init` writes one
    #[arg(long, value_name = "FILE", env = "CPRFLOW_CONFIG")]
    config: PathBuf,
}

impl File {
    fn read(&self) -> Result<Configuration, Error> {
        Configuration::from_file(&self.config)
    }
}

impl Tenant {
    pub(crate) fn run(
        &self,
        connector: impl FnOnce() -> Result<Connector, Error>,
    ) -> Result<Outcome, Failure> {
        match &self.command {
            Command::Check(check) => check.run(&connector()?),
            Command::List(list) => list.run(),
        }
    }
}

impl Check {
    fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let tenants = match &self.name {
            Some(name) => vec![configuration.tenant(name)?],
            None => configuration.tenants(),
        };
        let mut out = anstream::stdout().lock();
        if tenants.is_empty() {
            writeln!(out, "no tenants")?;
        }
        let mut outcome = Outcome::Clean;
        for (place, tenant) in tenants.into_iter().enumerate() {
            if place > 0 {
                writeln!(out)?;
            }
            let own = |store: &&Store| store.tenants.iter().any(|one| one.name == tenant.name);
            let states = configuration.stores.iter().filter(own);
            let states: Vec<_> = states.map(|store| store.state.as_path()).collect();
            if !explain(&mut out, connector, tenant, &states)? {
                outcome = Outcome::Findings;
            }
        }
        Ok(outcome)
    }
}

impl List {
    fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let rows: Vec<[String; 4]> = configuration
            .tenants()
            .into_iter()
            .map(|tenant| {
                let agreements: Vec<_> = tenant.agreements.iter().map(|one| one.as_str()).collect();
                [
                    tenant.name.to_string(),
                    agreements.join(", "),
                    tenant.dataset.display().to_string(),
                    tenant.purpose.clone(),
                ]
            })
            .collect();
        catalog::print(
            ["TENANT", "AGREEMENTS", "DATASET", "PURPOSE"],
            rows.iter().map(|row| row.each_ref().map(String::as_str)),
        )?;
        Ok(Outcome::Clean)
    }
}

/// Says what a tenant may see; false if something is wrong with it.
fn explain(
    out: &mut impl Write,
    connector: &Connector,
    tenant: &Party,
    states: &[&Path],
) -> Result<bool, std::io::Error> {
    let bold = Style::new().bold();
    writeln!(out, "{bold}{}{bold:#}", tenant.name)?;
    let seen = tenant.policy().and_then(|policy| {
        let view = connector.view(&policy)?;
        tenant.pseudonym_key()?;
        let group = tenant.group()?;
        Ok((policy, view, group))
    });
    let (policy, view, group) = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            writeln!(out, "  {red}wrong{red:#}        {error}")?;
            return Ok(false);
        }
    };
    let words = Words {
        tenant,
        group: group.as_ref(),
        policy: &policy,
        view: &view,
        catalog: connector.catalog(),
    };
    for (what, lines) in words.all() {
        for (place, line) in lines.iter().enumerate() {
            let what = if place == 0 { what } else { "" };
            writeln!(out, "  {what:12} {line}")?;
        }
    }
    for digest in digests(&policy, states) {
        writeln!(out, "  {:12} {digest}", "policy")?;
    }
    Ok(true)
}

/// What stands for the policy in manifests. Where it has a list of numbers, each state directory has a key of its own.
fn digests(policy: &Policy, states: &[&Path]) -> Vec<String> {
    let digest = |state: &&Path| {
        let key = ListKey::read(state).ok().flatten();
        match policy_digest(policy, key.as_ref()) {
            Some(digest) => format!("sha256:{digest}"),
            None => "its digest is known when the first delivery has been published".to_owned(),
        }
    };
    let mut digests: Vec<_> = states.iter().map(digest).collect();
    digests.dedup();
    digests
}
