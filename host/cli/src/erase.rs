//! `cprflow erase`: erases persons, an agreement or a tenant.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use cprflow::Connector;
use cprflow_delivery::config::Configuration;
use cprflow_delivery::erase::{self, EraseRequest, ErasedSubject, Proof};
use cprflow_delivery::subscription::list_file;
use cprflow_delivery::sync::{RunReport, Silent};
use cprflow_delivery::{AgreementName, Stop, TenantName};

use crate::agreement::agreement_name;
use crate::failure::{Failure, Outcome};
use crate::options::{ConfigurationOption, ReportFormat};
use crate::output::{message, print_json};

/// Erase persons, an agreement or a tenant from everything that cprflow keeps and published
///
/// Persons are erased under all their numbers: from the kept extracts, extracts in progress, lists of persons in scope and
/// snapshots of subscriptions. Everything that was published from these extracts is made again without the persons, and older
/// tables are removed. A delivery whose extract is gone is removed. Records of relatives that name a person stay, unless
/// --references is given. Everybody whom the agreement protected stays protected until they are delivered again. Erasing a
/// whole agreement ends the protections that only it knew.
///
/// Without --yes, the command only shows what it would do, and asks if it runs on a terminal. A person who may still be
/// subscribed is refused: remove the filter first. An erasure that was interrupted is continued by the next `cprflow erase`
/// or `cprflow sync`. The proof is written to erasures.jsonl in the state directory.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  erased, or shown
  1  not complete: the next run continues, for example when the disk of a dataset is mounted again; or
     tenants that are not configured any more have data left
  2  refused or failed

Examples:
  cprflow erase --numbers persons.txt --config cprflow.toml
  cprflow erase --numbers persons.txt --reason 'case 2026-117' --yes --format json --config cprflow.toml
  cprflow erase --numbers - --references --yes --config cprflow.toml < persons.txt
  cprflow erase --agreement old-town --yes --config cprflow.toml
  cprflow erase --tenant schools --yes --config cprflow.toml")]
pub(crate) struct Erase {
    #[command(flatten)]
    subject: Subject,

    /// The reason, for the proof. It must not have a person number
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Also blank the persons in the records of their relatives
    #[arg(long, requires = "numbers")]
    references: bool,

    /// Erase persons for whom no receipt (997) came: no filter of the subscription brings them any more
    #[arg(long, requires = "numbers")]
    not_subscribed: bool,

    /// The list of erased persons (`erasures`, `erasures.key`) is lost: begin a new one with these persons. Name everybody who
    /// was erased before
    #[arg(long, requires = "numbers")]
    list_lost: bool,

    /// Do it. Without this option, nothing is changed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    configuration: ConfigurationOption,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// What is erased.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Subject {
    /// The file with the person numbers, one on each line; - for standard input
    #[arg(long, value_name = "FILE")]
    numbers: Option<PathBuf>,

    /// An agreement that has ended: it is in ended_agreements of the configuration
    #[arg(long, value_name = "NAME", value_parser = agreement_name)]
    agreement: Option<AgreementName>,

    /// The tenant whose deliveries, current tables and lists are erased
    #[arg(long, value_name = "NAME", value_parser = tenant_name)]
    tenant: Option<TenantName>,
}

fn tenant_name(text: &str) -> Result<TenantName, String> {
    TenantName::new(text).ok_or_else(|| {
        "a tenant's name has 1 to 64 small letters, digits, hyphens and underscores".to_owned()
    })
}

impl Erase {
    /// Runs the subcommand.
    pub(crate) fn run(&self, connector: &Connector) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let request = self.request()?;
        if !self.yes {
            let proof = erase::plan(connector, &configuration, &request)?;
            self.print(&proof, None)?;
            if !self.is_confirmed()? {
                message::note("nothing was erased. Add --yes to erase");
                return Ok(Outcome::Success);
            }
        }
        self.erase(connector, &configuration, &request)
    }

    fn erase(
        &self,
        connector: &Connector,
        configuration: &Configuration,
        request: &EraseRequest,
    ) -> Result<Outcome, Failure> {
        let stop = Stop::default();
        let (proof, report) = erase::erase(connector, configuration, request, &Silent, &stop)?;
        self.print(&proof, Some(&report))?;
        for problem in &report.problems {
            message::error(&problem.to_string());
        }
        if let ErasedSubject::Tenant(name) = &request.subject
            && configuration.tenant(name.as_str()).is_ok()
        {
            message::note(&format!(
                "remove [tenant.{name}] from the configuration: otherwise the next `cprflow sync` makes its current tables \
                 again"
            ));
        }
        let has_left = proof.stores.iter().any(|store| !store.left.is_empty());
        if has_left {
            message::note(
                "the erasure is not complete: what is left of other tenants or agreements can have what was to be erased. \
                 Delete it, then run the command again",
            );
        }
        match (proof.is_complete, has_left) {
            (true, true) => Ok(Outcome::NeedsAttention),
            (true, false) => {
                message::done("everything is erased");
                Ok(Outcome::Success)
            }
            (false, _) => {
                for erasing in &report.erasing {
                    message::note(&erasing.to_string());
                }
                message::note("the erasure is not complete. The next `cprflow sync` continues it");
                Ok(Outcome::NeedsAttention)
            }
        }
    }

    fn request(&self) -> Result<EraseRequest, Failure> {
        if let Some(reason) = &self.reason
            && cprflow_redact::holds_person_number(reason)
        {
            return Err(crate::usage::UsageError::PersonNumberOnCommandLine.into());
        }
        let subject = match &self.subject {
            Subject {
                agreement: Some(name),
                ..
            } => ErasedSubject::Agreement(name.clone()),
            Subject {
                tenant: Some(name), ..
            } => ErasedSubject::Tenant(name.clone()),
            // The group of options demands one of the three.
            Subject { numbers, .. } => {
                let path = numbers.as_deref().unwrap_or(Path::new("-"));
                ErasedSubject::Numbers(list_file(path)?)
            }
        };
        Ok(EraseRequest {
            subject,
            reason: self.reason.clone(),
            blank_references: self.references,
            is_unsubscribed: self.not_subscribed,
            is_list_lost: self.list_lost,
        })
    }

    /// Asks on a terminal whether to go on. A program that runs the command must give --yes.
    fn is_confirmed(&self) -> io::Result<bool> {
        let is_from_input = self
            .subject
            .numbers
            .as_ref()
            .is_some_and(|path| path.as_os_str() == "-");
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() || is_from_input {
            return Ok(false);
        }
        message::note("type yes to erase this for ever");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }

    fn print(&self, proof: &Proof, report: Option<&RunReport>) -> io::Result<()> {
        match self.format {
            // What a program gets is what is done at the end.
            ReportFormat::Json if report.is_none() && self.yes => Ok(()),
            ReportFormat::Json => print_json(proof),
            ReportFormat::Text => print(&mut crate::output::stdout()?, proof, report),
        }
    }
}

fn print(out: &mut impl Write, proof: &Proof, report: Option<&RunReport>) -> io::Result<()> {
    if proof.numbers > 0 {
        writeln!(out, "{} numbers, former ones included", proof.numbers)?;
    }
    for store in &proof.stores {
        for extract in &store.extracts {
            writeln!(
                out,
                "extract   of {} from {}: {} records left out, {} records name a person, {} of them blanked",
                extract.agreement,
                extract.production_date,
                extract.left_out,
                extract.referring,
                extract.blanked
            )?;
        }
        for (count, what) in [
            (store.removed_extracts, "kept extracts removed"),
            (
                store.deliveries,
                "published deliveries made again or removed",
            ),
            (
                store.removed_deliveries,
                "of them removed: their extracts are gone",
            ),
            (store.lists, "lists of persons"),
            (store.spooled, "extracts in progress"),
            (store.snapshots, "snapshots of subscriptions"),
        ] {
            if count > 0 {
                writeln!(out, "{count:>9} {what}")?;
            }
        }
        for left in &store.left {
            writeln!(out, "left      {left}")?;
        }
        for export in &store.exports {
            let advice = match (export.is_former, export.kind.as_str()) {
                (true, _) => format!(
                    "delete it and {}, because the configuration does not have its dataset any more",
                    export.file.display()
                ),
                (false, "delta") => "load it again with `cprflow export` --vacuum 0".to_owned(),
                (false, _) => "load it again with `cprflow export`".to_owned(),
            };
            writeln!(out, "export    {} {}: {advice}", export.kind, export.name())?;
        }
        for list in &store.other_lists {
            writeln!(
                out,
                "list      {} names a person: remove the number yourself",
                list.display()
            )?;
        }
    }
    let rewritten = report.into_iter().flat_map(|report| &report.rewritten);
    for one in rewritten {
        let of = match &one.tenant {
            Some(tenant) => format!("of tenant {tenant}"),
            None => "of the dataset".to_owned(),
        };
        let directory = one.directory.display();
        match &one.removed {
            None => writeln!(out, "again     {directory} {of}")?,
            Some(why) => writeln!(out, "removed   {directory} {of}: {why}")?,
        }
    }
    writeln!(out, "outside   {}: not erased by cprflow", proof.outside)
}
