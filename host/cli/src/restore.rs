//! `cprflow restore`: restores a backup.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use cprflow_delivery::backup::{self, Restored};
use cprflow_delivery::{Error, calendar};
use indicatif::HumanCount;

use crate::failure::{Failure, Outcome};
use crate::options::{ConfigurationOption, ReportFormat};
use crate::output::{message, print_json};

/// Restore the state directory from a backup of `cprflow backup`
///
/// The whole backup is compared with its digests before anything is changed. A state directory that exists is kept beside
/// the restored one, as STATE.before-restore-TIME: delete it when you do not need it any more.
///
/// Persons who were erased after the backup are erased again by the next run. For that, cprflow needs the newest list of
/// them: it takes that of the existing state directory. If the directory is lost, name another copy with --erasures.
///
/// Without --yes, the command only checks the backup.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  restored, or checked
  1  restored; deliveries that were published after the backup are lost
  2  failed. Nothing was changed

Examples:
  cprflow restore /backup/cprflow.tar --config cprflow.toml
  cprflow restore /backup/cprflow.tar --yes --config cprflow.toml
  cprflow restore /backup/cprflow.tar --erasures /backup/newest/ --yes --config cprflow.toml
  age -d -i KEY cprflow.tar.age | cprflow restore - --yes --config cprflow.toml")]
pub(crate) struct Restore {
    /// The backup; - for standard input
    #[arg(value_name = "FILE")]
    backup: PathBuf,

    /// The directory with the newest files erasures and erasures.key
    #[arg(long, value_name = "DIR")]
    erasures: Option<PathBuf>,

    /// Do it. Without this option, nothing is changed
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    configuration: ConfigurationOption,

    /// Format of the report
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

impl Restore {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let configuration = self.configuration.read()?;
        let input: Box<dyn Read> = match self.backup == Path::new("-") {
            true => Box::new(io::stdin().lock()),
            false => Box::new(io::BufReader::new(self.open()?)),
        };
        let erasures = self.erasures.as_deref();
        let restored = match self.yes {
            true => backup::restore(&configuration, input, erasures, calendar::now())?,
            false => backup::check_backup(&configuration, input, erasures)?,
        };
        match self.format {
            ReportFormat::Json => print_json(&restored)?,
            ReportFormat::Text => print(&mut crate::output::stdout()?, &restored)?,
        }
        if restored.stores.iter().any(|store| !store.has_erasures) {
            message::note(&format!(
                "no list of erased persons was found that is newer than the backup. Persons who were erased after {} come \
                 back: erase them again (`cprflow erase`), or name a newer list with --erasures",
                restored.backup.made
            ));
        }
        if !self.yes {
            message::note("the backup is whole. Nothing was changed. Add --yes to restore it");
            return Ok(Outcome::Success);
        }
        let lost: Vec<_> = restored
            .stores
            .iter()
            .flat_map(|store| store.lost.keys())
            .collect();
        for agreement in &lost {
            message::note(&format!(
                "the register lacks deliveries of {agreement} that came after the backup. If the server still has their \
                 files, `cprflow sync` takes the extracts from there. Otherwise order a new full load (`cprflow \
                 subscription reorder`), and when it has come, run `cprflow register accept-missing {agreement}`"
            ));
        }
        let without_roster = restored
            .stores
            .iter()
            .flat_map(|store| &store.without_roster);
        for (tenant, agreements) in without_roster {
            for agreement in agreements {
                message::note(&format!(
                    "tenant {tenant} has deliveries of {agreement} that came after the backup, and their roster is lost: the \
                     next delivery to the tenant will be refused. If you have a newer copy of the state directory, copy \
                     rosters/{tenant}/{agreement}.* from it. Otherwise move the tenant's deliveries of {agreement} away, run \
                     `cprflow set-aside --gone --tenant {tenant} --reason …`, and order a new full load (`cprflow \
                     subscription reorder`)"
                ));
            }
        }
        message::done("restored. Run `cprflow sync`");
        Ok(match lost.is_empty() {
            true => Outcome::Success,
            false => Outcome::NeedsAttention,
        })
    }

    fn open(&self) -> Result<File, Failure> {
        let opened = File::open(&self.backup);
        Ok(opened.map_err(|error| Error::File {
            path: self.backup.clone(),
            error,
        })?)
    }
}

fn print(out: &mut impl Write, restored: &Restored) -> io::Result<()> {
    writeln!(
        out,
        "backup    of {} by {}",
        restored.backup.made, restored.backup.written_by
    )?;
    for store in &restored.stores {
        writeln!(
            out,
            "state     {}: {} extracts of {}; the newest is of {}",
            store.state.display(),
            HumanCount(store.backup.extracts),
            store.backup.agreements.join(", "),
            store.backup.newest.as_deref().unwrap_or("no day")
        )?;
        for (agreement, deliveries) in &store.lost {
            writeln!(
                out,
                "lost      {deliveries} deliveries of {agreement} that were published after the backup"
            )?;
        }
        if let Some(replaced) = &store.replaced {
            writeln!(out, "kept      {}", replaced.display())?;
        }
    }
    Ok(())
}
