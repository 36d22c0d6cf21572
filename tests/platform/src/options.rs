//! The options of the stand-in platform and their defaults.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use cprflow_connector::generate::Settings;

use crate::Agreement;
use crate::certificates::{ServerCertificate, TlsVersions};
use crate::contract::Contract;
use crate::delivery_plan::FilterCombination;
use crate::foreign_client::ForeignClient;
use crate::inbox_server::SftpBackend;
use crate::metadata::MetadataRoot;
use crate::soap_response::NamespacePrefixes;

/// The options of a stand-in platform. [`Options::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory for certificates, keys and the inbox. It is created if it does not exist.
    pub directory: PathBuf,
    /// The population, and the shape and record order of the extracts. The task number comes from the agreement.
    pub population: Settings,
    /// The service agreements. Default: one.
    pub agreements: Vec<Agreement>,
    /// The address on which both servers listen. Default: 127.0.0.1.
    pub address: IpAddr,
    /// The name or address under which clients find both servers. Default: the address on which they listen, or 127.0.0.1
    /// if they listen on all addresses.
    pub host: Option<String>,
    /// The port of the SOAP service. Default: 0, any free port.
    pub port: u16,
    /// The SFTP server of the inbox. Default: OpenSSH if it is installed.
    pub sftp: SftpBackend,
    /// The port of the SFTP server. Default: 0, any free port.
    pub sftp_port: u16,
    /// The certificate that the service presents. Default: a valid one.
    pub server_certificate: ServerCertificate,
    /// The client certificates of other authorities that the service accepts. Default: none.
    pub foreign_clients: Vec<ForeignClient>,
    /// The TLS versions that the service offers. Default: 1.2 and 1.3.
    pub tls: TlsVersions,
    /// The namespace prefixes of responses. Default: as Apache CXF writes them.
    pub prefixes: NamespacePrefixes,
    /// The version of the service's contract. Default: 1.1.
    pub contract: Contract,
    /// The names of data files. Default: [`FileNaming::Dated`].
    pub naming: FileNaming,
    /// The root element of metadata files. Default: `FileMetadata`.
    pub metadata_root: MetadataRoot,
    /// Whether metadata files have a routing block. Default: no.
    pub has_routing: bool,
    /// The value of `Sender` in metadata files. Default: `SP_CPR_SIMPELSFTP`.
    pub sender: String,
    /// How filters of different groups combine. Default: [`FilterCombination::Union`].
    pub filter_combination: FilterCombination,
    /// The previous production date in record 000. Default: [`PreviousDate::LastDelivery`].
    pub previous_date: PreviousDate,
    /// Whether newly covered persons are delivered in full. Default: yes; the real test environment does not do it.
    pub has_initial_load: bool,
    /// The most persons per agreement and run that are delivered in full. Default: no limit.
    pub cut_after: Option<usize>,
    /// The days after which a nightly run deletes files from the inbox. Default: never.
    pub delete_after: Option<u16>,
    /// A file that keeps filters and nightly runs between starts. Default: none.
    pub state_file: Option<PathBuf>,
}

impl Options {
    /// Returns the name or address under which clients find both servers.
    pub(crate) fn host(&self) -> String {
        let address = match self.address.is_unspecified() {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => self.address,
        };
        self.host.clone().unwrap_or_else(|| address.to_string())
    }

    /// Returns the defaults: one agreement, and the behaviour that is assumed of the real platform.
    ///
    /// `persons` is the size of the population; `seed` selects the population, the agreements and the UUIDs.
    pub fn new(directory: impl Into<PathBuf>, persons: u64, seed: u64) -> Self {
        Self {
            directory: directory.into(),
            population: Settings::busy(persons, seed),
            agreements: vec![Agreement::from_seed(seed, 0)],
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: None,
            port: 0,
            sftp: SftpBackend::Any,
            sftp_port: 0,
            server_certificate: ServerCertificate::Valid,
            foreign_clients: Vec::new(),
            tls: TlsVersions::Both,
            prefixes: NamespacePrefixes::Cxf,
            contract: Contract::V1_1,
            naming: FileNaming::Dated,
            metadata_root: MetadataRoot::FileMetadata,
            has_routing: false,
            sender: "SP_CPR_SIMPELSFTP".to_owned(),
            filter_combination: FilterCombination::Union,
            previous_date: PreviousDate::LastDelivery,
            has_initial_load: true,
            cut_after: None,
            delete_after: None,
            state_file: None,
        }
    }
}

/// The names of data files. The real pattern is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileNaming {
    /// `dYYMMDD.lNNNNNN`: production date and task number, like files from CPR.
    Dated,
    /// `CPR_UUID_YYMMDD.txt`, with the UUID of the agreement.
    WithAgreement,
}

/// The previous production date that an extract names in record 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviousDate {
    /// The date of the agreement's last extract.
    LastDelivery,
    /// The date of the last nightly run, even if the agreement had no extract in it.
    LastRun,
}
