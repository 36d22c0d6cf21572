//! `cprflow-platform serve`.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use cprflow_connector::emit::Shape;
use cprflow_platform::{
    Agreement, Groups, MetadataRoot, Naming, Options, P12_PASSWORD, Platform, SERVICE_UUID,
    SftpServer, TlsVersions,
};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Failure;
use super::control::Control;

/// Run a stand-in until it is interrupted
///
/// It says how to reach it, and writes the same to platform.json in its directory. Filters and nights are kept there
/// too, so that another start goes on where this one ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow-platform serve --directory platform/
  cprflow-platform serve --directory platform/ --persons 50000 --seed 7 --agreements 3
  cprflow-platform serve --directory platform/ --port 8443 --sftp-port 2222 --tls 1.2")]
pub(super) struct Serve {
    /// The directory for certificates, keys and the inbox
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,

    /// Persons in the population
    #[arg(long, value_name = "N", default_value_t = 1000)]
    persons: u64,

    /// What makes this population another than the next
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// How many service agreements there are
    #[arg(long, value_name = "N", default_value_t = 1)]
    agreements: u32,

    /// The port of the SOAP service; any that is free without it
    #[arg(long, value_name = "P", default_value_t = 0)]
    port: u16,

    /// The port of the inbox; any that is free without it
    #[arg(long, value_name = "P", default_value_t = 0)]
    sftp_port: u16,

    /// What serves the inbox
    #[arg(long, value_enum, default_value_t)]
    sftp: SftpArg,

    /// The versions of TLS that it offers
    #[arg(long, value_enum, default_value_t)]
    tls: TlsArg,

    /// How records follow each other
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeArg,

    /// Put the agreement's UUID into the names of data files
    #[arg(long)]
    agreement_in_names: bool,

    /// Begin metadata files with the older element, Trigger
    #[arg(long)]
    trigger: bool,

    /// Put a routing block into metadata files
    #[arg(long)]
    routing: bool,

    /// Let filters of different groups narrow each other instead of adding up
    #[arg(long)]
    narrow: bool,

    /// Deliver changes alone, as the real test environment does
    #[arg(long)]
    no_initial_load: bool,

    /// Cut a full load after so many persons a night
    #[arg(long, value_name = "N")]
    cut_after: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum SftpArg {
    /// OpenSSH where the machine has it
    #[default]
    Any,
    /// OpenSSH
    Sshd,
    /// A server in the process
    InProcess,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum TlsArg {
    /// 1.2 and 1.3
    #[default]
    Both,
    #[value(name = "1.2")]
    Only12,
    #[value(name = "1.3")]
    Only13,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ShapeArg {
    /// Lines without trailing spaces
    #[default]
    Trimmed,
    /// Lines of full record length
    Full,
    /// Records of full length, no line ends
    Packed,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        // From here on a signal is a word of the user's, also while the stand-in starts.
        let signals = Signals::new([SIGINT, SIGTERM]);
        let mut signals = signals.map_err(|error| Failure::Usage(error.to_string()))?;
        let platform = Arc::new(Platform::start(self.options()?)?);
        let control = Control::start(Arc::clone(&platform))?;
        let description = describe(&platform)?;
        let path = platform.directory().join("platform.json");
        let text = serde_json::to_vec_pretty(&description);
        let written = text
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text));
        written.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        tell(&platform)?;

        signals.forever().next();
        drop(control);
        platform.save()?;
        let _removed = fs::remove_file(path);
        Ok(())
    }

    fn options(&self) -> Result<Options, Failure> {
        let directory = &self.directory;
        let about = |error: io::Error| {
            let directory = directory.display();
            Failure::Usage(format!("{directory}: {error}"))
        };
        fs::create_dir_all(directory).map_err(about)?;
        let directory = fs::canonicalize(directory).map_err(about)?;
        let mut options = Options::new(&directory, self.persons, self.seed);
        options.population.shape = match self.shape {
            ShapeArg::Trimmed => Shape::Trimmed,
            ShapeArg::Full => Shape::Full,
            ShapeArg::Packed => Shape::Packed,
        };
        options.agreements = (0..self.agreements)
            .map(|place| Agreement::of_seed(self.seed, place))
            .collect();
        (options.port, options.sftp_port) = (self.port, self.sftp_port);
        options.sftp = match self.sftp {
            SftpArg::Any => SftpServer::Any,
            SftpArg::Sshd => SftpServer::Sshd,
            SftpArg::InProcess => SftpServer::InProcess,
        };
        options.tls = match self.tls {
            TlsArg::Both => TlsVersions::Both,
            TlsArg::Only12 => TlsVersions::Only12,
            TlsArg::Only13 => TlsVersions::Only13,
        };
        if self.agreement_in_names {
            options.naming = Naming::WithAgreement;
        }
        if self.trigger {
            options.metadata_root = MetadataRoot::Trigger;
        }
        if self.narrow {
            options.groups = Groups::Narrow;
        }
        options.has_routing = self.routing;
        options.has_initial_load = !self.no_initial_load;
        options.cut_after = self.cut_after;
        options.state = Some(directory.join("state.json"));
        Ok(options)
    }
}

fn describe(platform: &Platform) -> Result<serde_json::Value, Failure> {
    let sftp = platform.sftp();
    let agreements = platform.agreements().iter().map(|agreement| {
        json!({
            "service_agreement_uuid": agreement.uuid,
            "user_system_uuid": agreement.user_system,
            "user_uuid": agreement.user,
            "service_uuid": SERVICE_UUID,
            "task_number": agreement.task_number,
        })
    });
    let client = |certificate: &cprflow_platform::ClientCertificate| {
        json!({
            "certificate": certificate.chain,
            "key": certificate.key,
            "pkcs12": certificate.p12,
            "pkcs12_password": P12_PASSWORD,
        })
    };
    Ok(json!({
        "url": platform.url(),
        "ca": platform.ca(),
        "client": client(platform.client()),
        "next_client": client(platform.next_client()),
        "agreements": agreements.collect::<Vec<_>>(),
        "sftp": {
            "host": sftp.host(),
            "port": sftp.port(),
            "user": sftp.user(),
            "inbox": sftp.inbox(),
            "identity": sftp.identity(),
            "known_hosts": sftp.known_hosts(),
            "fingerprint": sftp.fingerprint()?,
        },
    }))
}

fn tell(platform: &Platform) -> Result<(), Failure> {
    let sftp = platform.sftp();
    let client = platform.client();
    let mut out = io::stdout().lock();
    let path = |path: &Path| path.display().to_string();
    let mut line = |name: &str, value: String| writeln!(out, "{name:<22}{value}");
    line("service", platform.url())?;
    line("  authority", path(&platform.ca()))?;
    line("  certificate", path(&client.chain))?;
    line("  key", path(&client.key))?;
    for agreement in platform.agreements() {
        line("agreement", agreement.uuid.clone())?;
        line("  user system", agreement.user_system.clone())?;
        line("  user", agreement.user.clone())?;
    }
    line("inbox", format!("{}@{}", sftp.user(), sftp.host()))?;
    line("  port", sftp.port().to_string())?;
    line("  directory", sftp.inbox().to_owned())?;
    line("  identity", path(&sftp.identity()))?;
    line("  known hosts", path(&sftp.known_hosts()))?;
    line("  fingerprint", sftp.fingerprint()?)?;
    line("nights made", platform.nights().to_string())?;
    out.flush()?;
    Ok(())
}
