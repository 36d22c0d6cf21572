//! `cprflow generate`: generates an extract of persons who do not exist.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use cprflow::Error;
use cprflow_connector::generate::{self, LayoutAge, Order, Scenario, Settings};
use indicatif::{HumanBytes, HumanCount};

use crate::failure::{Failure, Outcome};
use crate::options::RecordShape;
use crate::output::{Sink, message};

/// Generate an extract of persons who do not exist
///
/// The same seed generates the same persons. The extract has all record types and the irregularities of real extracts, and
/// the members of a family refer to each other. Ages, families and changes are about as frequent as in Denmark. No number
/// belongs to a person, because all numbers fail CPR's modulus 11 check.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow generate --persons 1000 -o d261123.l000001
  cprflow generate --persons 50000 --changes --night 2 -o d261125.l000001
  cprflow generate --persons 1000 --busy --changes -o d261124.l000001
  cprflow generate --persons 100 --seed 7 --shape packed | cprflow verify -
  cprflow generate --scenario move-in,protected-child -o scenarios/

Scenarios:
  move-in           A family moves into the municipality of the extracts
  protected-child   The name and address of a child become protected, and the family moves
  number-chain      A person changes number twice
  emigration-return A person emigrates and comes back half a year later
  death-of-spouse   One of two spouses dies

Each scenario is a directory below the one of --output, with a status file, a change file for each
night, and expected.txt: the expected outcome in words.")]
pub(crate) struct Generate {
    /// Number of persons in the population, up to 5,000,000
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u64).range(1..=5_000_000),
        required_unless_present = "scenario"
    )]
    persons: Option<u64>,

    /// Generate small extracts that show one situation, with the expected outcome in words, instead of
    /// a population. All scenarios: see below. Needs --output DIRECTORY
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        hide_possible_values = true,
        requires = "output",
        conflicts_with_all = ["persons", "changes", "night", "busy"]
    )]
    scenario: Vec<ScenarioName>,

    /// Seed of the population; another seed generates other persons
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Let far more happen than in Denmark, so that few persons show everything: a change file has about
    /// 1 of 100 persons instead of 1 of 1,000, and 1 of 20 persons is protected instead of 1 of 70
    #[arg(long)]
    busy: bool,

    /// Physical shape of the extract
    #[arg(long, value_enum, default_value_t)]
    shape: RecordShape,

    /// Generate a change file: only the persons with changes, and their events
    #[arg(long)]
    changes: bool,

    /// With --changes, the night of the changes (default: 1). Without --changes, the number of
    /// nights of changes that the population has had (default: 0)
    #[arg(long, value_name = "N")]
    night: Option<u32>,

    /// Order of the records
    #[arg(long, value_enum, default_value_t)]
    order: RecordOrder,

    /// Use the older layout: 106 bytes for 001 and 306 bytes for 002, instead of 121 and 382
    #[arg(long)]
    original_layout: bool,

    /// The file to write, or with --scenario the directory. Default: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum RecordOrder {
    /// All records of a person together
    ByPerson,
    /// All 003 records after the last person, as in CPR's public test extracts
    #[default]
    SecondPass,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScenarioName {
    MoveIn,
    ProtectedChild,
    NumberChain,
    EmigrationReturn,
    DeathOfSpouse,
}

impl From<ScenarioName> for Scenario {
    fn from(name: ScenarioName) -> Self {
        match name {
            ScenarioName::MoveIn => Self::MoveIn,
            ScenarioName::ProtectedChild => Self::ProtectedChild,
            ScenarioName::NumberChain => Self::NumberChain,
            ScenarioName::EmigrationReturn => Self::EmigrationReturn,
            ScenarioName::DeathOfSpouse => Self::DeathOfSpouse,
        }
    }
}

impl Generate {
    /// Runs the subcommand.
    pub(crate) fn run(&self) -> Result<Outcome, Failure> {
        let mut settings = Settings::new(self.persons.unwrap_or_default(), self.seed);
        settings.busy = self.busy;
        settings.shape = self.shape.into();
        settings.order = match self.order {
            RecordOrder::ByPerson => Order::ByPerson,
            RecordOrder::SecondPass => Order::SecondPass,
        };
        if self.original_layout {
            settings.layout = LayoutAge::Original;
        }
        if let (Some(directory), false) = (&self.output, self.scenario.is_empty()) {
            for &name in &self.scenario {
                self.write_scenario(name.into(), &settings, directory)?;
            }
            return Ok(Outcome::Success);
        }
        let mut sink = Sink::open(self.output.as_deref(), self.force)?;
        let name = sink.name();
        let written = if self.changes {
            generate::changes(&settings, self.night.unwrap_or(1).max(1), &mut sink)
        } else {
            settings.night = self.night.unwrap_or(0);
            generate::status(&settings, &mut sink)
        };
        let written = written.map_err(Error::file(name))?;
        let is_stdout = sink.is_stdout();
        sink.finish()?;
        if !is_stdout {
            message::done(&format!(
                "wrote {} records of {} persons, {}",
                HumanCount(written.records),
                HumanCount(written.persons),
                HumanBytes(written.bytes)
            ));
        }
        Ok(Outcome::Success)
    }

    /// Writes the extracts of a scenario and the expected outcome into the scenario's directory below `directory`.
    fn write_scenario(
        &self,
        scenario: Scenario,
        settings: &Settings,
        directory: &Path,
    ) -> Result<(), Failure> {
        let directory = directory.join(scenario.name());
        let output = scenario
            .generate(settings)
            .map_err(Error::file(&directory))?;
        fs::create_dir_all(&directory).map_err(Error::file(&directory))?;
        let extracts = output.extracts.iter();
        let extracts = extracts.map(|extract| (extract.name.as_str(), extract.content.as_slice()));
        let expected = [("expected.txt", output.expected.as_bytes())];
        for (name, content) in extracts.chain(expected) {
            let path = directory.join(name);
            let mut sink = Sink::open(Some(&path), self.force)?;
            sink.write_all(content).map_err(Error::file(path))?;
            sink.finish()?;
        }
        message::done(&format!(
            "wrote {} extracts and expected.txt into {}",
            output.extracts.len(),
            directory.display()
        ));
        Ok(())
    }
}
