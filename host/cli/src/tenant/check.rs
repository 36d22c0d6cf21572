//! `cprflow tenant check`: checks and explains the policy of each tenant.

use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use clap::Args;
use cprflow::{Connector, Policy};
use cprflow_delivery::config::Store;
use cprflow_delivery::{
    ListKey, SharedKey, Tenant, policy_digest, shared_keys, unknown_codes_of_scope,
};

use super::render::PolicyText;
use crate::failure::{Failure, Outcome};
use crate::options::ConfigurationOption;

/// Check the policies of the tenants and explain what each one shows and hides
///
/// Checks the configuration, the key, the group, the list of person numbers and the policy of each tenant. Changes
/// nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  every tenant is valid; there may be warnings
  1  at least one tenant has an error
  2  failed

Examples:
  cprflow tenant check --config cprflow.toml
  cprflow tenant check social --config cprflow.toml")]
pub(super) struct Check {
    /// The tenant. Default: all tenants
    name: Option<String>,

    #[command(flatten)]
    configuration: ConfigurationOption,
}

impl Check {
    /// Runs the subcommand.
    pub(super) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let tenants = match &self.name {
            Some(name) => vec![configuration.tenant(name)?],
            None => configuration.tenants(),
        };
        let mut out = crate::output::stdout()?;
        if tenants.is_empty() {
            writeln!(out, "no tenants")?;
        }
        let shared = shared_keys(&configuration.tenants());
        let mut outcome = Outcome::Success;
        for (index, tenant) in tenants.into_iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            let has_tenant =
                |store: &&Store| store.tenants.iter().any(|one| one.name == tenant.name);
            let states = configuration.stores.iter().filter(has_tenant);
            let states: Vec<_> = states.map(|store| store.state.as_path()).collect();
            if !explain(&mut out, connector, tenant, &states)? {
                outcome = Outcome::NeedsAttention;
            }
            let has_key = |shared: &&SharedKey| shared.tenants.contains(&tenant.name);
            for shared in shared.iter().filter(has_key) {
                let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
                writeln!(out, "  {yellow}{:12}{yellow:#} {shared}", "warning")?;
            }
        }
        Ok(outcome)
    }
}

/// Prints what a tenant may see, or the error of the tenant. Returns whether the tenant is valid.
fn explain(
    out: &mut impl Write,
    connector: &Connector,
    tenant: &Tenant,
    states: &[&Path],
) -> io::Result<bool> {
    let bold = Style::new().bold();
    writeln!(out, "{bold}{}{bold:#}", tenant.name)?;
    let checked = tenant.policy().and_then(|policy| {
        let view = connector.view(&policy)?;
        tenant.pseudonym_key()?;
        let group = tenant.group()?;
        Ok((policy, view, group))
    });
    let (policy, view, group) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
            writeln!(out, "  {red}{:12}{red:#} {error}", "error")?;
            return Ok(false);
        }
    };
    let text = PolicyText {
        tenant,
        group: group.as_ref(),
        policy: &policy,
        view: &view,
        catalog: connector.catalog(),
    };
    for (label, lines) in text.sections() {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            writeln!(out, "  {label:12} {line}")?;
        }
    }
    for warning in unknown_codes_of_scope(tenant) {
        let yellow = Style::new().bold().fg_color(Some(AnsiColor::Yellow.into()));
        writeln!(out, "  {yellow}{:12}{yellow:#} {warning}", "warning")?;
    }
    for digest in digests(&policy, states) {
        writeln!(out, "  {:12} {digest}", "policy")?;
    }
    Ok(true)
}

/// Returns the digest of the policy that the manifests have.
///
/// If the policy has a list of person numbers, the digest depends on the key of the state directory, so that there can
/// be several.
fn digests(policy: &Policy, states: &[&Path]) -> Vec<String> {
    let digest = |state: &&Path| {
        let key = ListKey::read(state).ok().flatten();
        match policy_digest(policy, key.as_ref()) {
            Some(digest) => format!("sha256:{digest}"),
            None => "the digest is known after the first published delivery".to_owned(),
        }
    };
    let mut digests: Vec<_> = states.iter().map(digest).collect();
    digests.dedup();
    digests
}
