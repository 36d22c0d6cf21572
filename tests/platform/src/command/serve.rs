//! The subcommand `cprflow-platform serve`.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use cprflow_connector::writer::OutputShape;
use cprflow_platform::{
    Agreement, Contract, FileNaming, FilterCombination, ForeignClient, MetadataRoot, Options,
    P12_PASSWORD, Platform, SERVICE_UUID, SftpBackend, TlsVersions,
};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::CommandError;
use super::control::ControlSocket;

/// Run a stand-in until it is interrupted
///
/// Prints the addresses, certificates and keys, and writes them to platform.json in the directory. Filters and nightly
/// runs are kept in state.json there, so that the next start continues with them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cprflow-platform serve --directory platform/
  cprflow-platform serve --directory platform/ --persons 50000 --seed 7 --agreements 3
  cprflow-platform serve --directory platform/ --port 8443 --sftp-port 2222 --tls 1.2
  cprflow-platform serve --directory platform/ --contract 1.0
  cprflow-platform serve --directory platform/ --listen 0.0.0.0 --host test.example.dk --port 8443
  cprflow-platform serve --directory platform/ --client-certificate own.pem=12345678")]
pub(super) struct ServeArguments {
    /// Directory for certificates, keys, the inbox and the state
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,

    /// Number of persons in the population
    #[arg(long, value_name = "N", default_value_t = 1000)]
    persons: u64,

    /// Seed of the random population; the same seed gives the same persons
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Number of service agreements
    #[arg(long, value_name = "N", default_value_t = 1)]
    agreements: u32,

    /// Address on which both servers listen; 0.0.0.0 for all addresses of this machine
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,

    /// Name or address under which clients find both servers; it stands in the URLs, the service's certificate and the
    /// known_hosts file [default: the address of --listen, or 127.0.0.1 for all addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,

    /// Port of the SOAP service; 0 for any free port
    #[arg(long, value_name = "P", default_value_t = 0)]
    port: u16,

    /// Port of the SFTP server; 0 for any free port
    #[arg(long, value_name = "P", default_value_t = 0)]
    sftp_port: u16,

    /// SFTP server of the inbox
    #[arg(long, value_enum, default_value_t)]
    sftp: SftpArg,

    /// Client certificate of your own (PEM) that the service accepts, in addition to the ones that it makes. It is mapped
    /// to the CVR number in it (OCES), or to the one after "=". Can be repeated
    #[arg(long, value_name = "FILE[=CVR]")]
    client_certificate: Vec<ForeignClient>,

    /// TLS versions of the SOAP service
    #[arg(long, value_enum, default_value_t)]
    tls: TlsArg,

    /// Version of the service's contract
    #[arg(long, value_enum, default_value_t)]
    contract: ContractArg,

    /// Form of the records in data files
    #[arg(long, value_enum, default_value_t)]
    shape: ShapeArg,

    /// Name data files after the UUID of the agreement
    #[arg(long)]
    agreement_in_names: bool,

    /// Use the older root element Trigger in metadata files
    #[arg(long)]
    trigger: bool,

    /// Add a routing block to metadata files
    #[arg(long)]
    routing: bool,

    /// Deliver only persons who match a filter of every group in use (default: of any group)
    #[arg(long)]
    narrow: bool,

    /// Deliver changes but no full loads, like the real test environment
    #[arg(long)]
    no_initial_load: bool,

    /// Delete files from the inbox when they are N days old by the dates of the nightly runs; the specification says 40
    /// in one place and 30 in another (default: never)
    #[arg(long, value_name = "N")]
    delete_after: Option<u16>,

    /// Stop a full load after N persons per night and continue in the next run
    #[arg(long, value_name = "N")]
    cut_after: Option<usize>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum SftpArg {
    /// OpenSSH if it is installed, otherwise the server in this process
    #[default]
    Any,
    /// OpenSSH
    Sshd,
    /// The server in this process
    InProcess,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum TlsArg {
    /// TLS 1.2 and 1.3
    #[default]
    Both,
    /// TLS 1.2 only
    #[value(name = "1.2")]
    Only12,
    /// TLS 1.3 only
    #[value(name = "1.3")]
    Only13,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ContractArg {
    /// The contract of 2015: ten operations, no NoFilter, no noFilter in GetAllFilters
    #[value(name = "1.0")]
    V1_0,
    /// The present contract: twelve operations
    #[default]
    #[value(name = "1.1")]
    V1_1,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum ShapeArg {
    /// Lines without trailing spaces
    #[default]
    Trimmed,
    /// Lines of full length
    Full,
    /// Records of full length without line ends
    Packed,
}

impl ServeArguments {
    pub(super) fn run(self) -> Result<(), CommandError> {
        // Catches signals before the start, so that an interrupted start also stops in order.
        let signals = Signals::new([SIGINT, SIGTERM]);
        let mut signals = signals.map_err(|error| CommandError::Usage(error.to_string()))?;
        let platform = Arc::new(Platform::start(self.options()?)?);
        let control = ControlSocket::start(Arc::clone(&platform))?;
        let description = describe(&platform)?;
        let path = platform.directory().join("platform.json");
        let text = serde_json::to_vec_pretty(&description);
        let written = text
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text));
        written.map_err(|error| {
            CommandError::Usage(format!("cannot write {}: {error}", path.display()))
        })?;
        print_addresses(&platform)?;

        signals.forever().next();
        drop(control);
        platform.save()?;
        let _removed = fs::remove_file(path);
        Ok(())
    }

    fn options(&self) -> Result<Options, CommandError> {
        let directory = &self.directory;
        let unusable = |error: io::Error| {
            let directory = directory.display();
            CommandError::Usage(format!("cannot use directory {directory}: {error}"))
        };
        fs::create_dir_all(directory).map_err(unusable)?;
        let directory = fs::canonicalize(directory).map_err(unusable)?;
        let mut options = Options::new(&directory, self.persons, self.seed);
        options.population.shape = match self.shape {
            ShapeArg::Trimmed => OutputShape::Trimmed,
            ShapeArg::Full => OutputShape::Full,
            ShapeArg::Packed => OutputShape::Packed,
        };
        options.agreements = (0..self.agreements)
            .map(|index| Agreement::from_seed(self.seed, index))
            .collect();
        (options.address, options.host) = (self.listen, self.host.clone());
        (options.port, options.sftp_port) = (self.port, self.sftp_port);
        options.sftp = match self.sftp {
            SftpArg::Any => SftpBackend::Any,
            SftpArg::Sshd => SftpBackend::Sshd,
            SftpArg::InProcess => SftpBackend::InProcess,
        };
        options.tls = match self.tls {
            TlsArg::Both => TlsVersions::Both,
            TlsArg::Only12 => TlsVersions::Only12,
            TlsArg::Only13 => TlsVersions::Only13,
        };
        options.foreign_clients.clone_from(&self.client_certificate);
        options.contract = match self.contract {
            ContractArg::V1_0 => Contract::V1_0,
            ContractArg::V1_1 => Contract::V1_1,
        };
        if self.agreement_in_names {
            options.naming = FileNaming::WithAgreement;
        }
        if self.trigger {
            options.metadata_root = MetadataRoot::Trigger;
        }
        if self.narrow {
            options.filter_combination = FilterCombination::Intersection;
        }
        options.has_routing = self.routing;
        options.has_initial_load = !self.no_initial_load;
        options.cut_after = self.cut_after;
        options.delete_after = self.delete_after;
        options.state_file = Some(directory.join("state.json"));
        Ok(options)
    }
}

fn describe(platform: &Platform) -> Result<serde_json::Value, CommandError> {
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
        "accepted_clients": platform
            .foreign_clients()
            .map(|(file, cvr)| json!({"certificate": file, "cvr": cvr}))
            .collect::<Vec<_>>(),
        "agreements": agreements.collect::<Vec<_>>(),
        "sftp": {
            "host": sftp.host(),
            "port": sftp.port(),
            "user": sftp.user(),
            "inbox": sftp.inbox(),
            "url": sftp.url(),
            "identity": sftp.identity(),
            "known_hosts": sftp.known_hosts(),
            "fingerprint": sftp.fingerprint()?,
        },
    }))
}

fn print_addresses(platform: &Platform) -> Result<(), CommandError> {
    let sftp = platform.sftp();
    let client = platform.client();
    let mut out = io::stdout().lock();
    let path = |path: &Path| path.display().to_string();
    let mut line = |name: &str, value: String| writeln!(out, "{name:<22}{value}");
    line("service", platform.url())?;
    line("  CA certificate", path(&platform.ca()))?;
    line("  client certificate", path(&client.chain))?;
    line("  client key", path(&client.key))?;
    for (file, cvr) in platform.foreign_clients() {
        line(
            "  accepted client",
            format!("{}, CVR {cvr}", file.display()),
        )?;
    }
    for agreement in platform.agreements() {
        line("service agreement", agreement.uuid.clone())?;
        line("  user system", agreement.user_system.clone())?;
        line("  user", agreement.user.clone())?;
    }
    line("inbox", sftp.url())?;
    line("  host", sftp.host().to_owned())?;
    line("  port", sftp.port().to_string())?;
    line("  user", sftp.user().to_owned())?;
    line("  directory", sftp.inbox())?;
    line("  identity", path(&sftp.identity()))?;
    line("  known hosts", path(&sftp.known_hosts()))?;
    line("  fingerprint", sftp.fingerprint()?)?;
    line("nightly runs", platform.completed_nights().to_string())?;
    out.flush()?;
    Ok(())
}
