//! What the stand-in is like: every choice, and what it is if nobody chooses.

use std::path::PathBuf;

use cprflow_connector::generate::Settings;

use crate::Agreement;
use crate::certificates::{ServerCertificate, TlsVersions};
use crate::coverage::Groups;
use crate::metadata::MetadataRoot;
use crate::reply::Prefixes;
use crate::sftp::SftpServer;

/// What the stand-in is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory for certificates, keys and the inbox. It is made if it is not there.
    pub directory: PathBuf,
    /// The population, and the shape and order of its extracts. The task number is that of the agreement.
    pub population: Settings,
    /// The service agreements.
    pub agreements: Vec<Agreement>,
    /// The port of the SOAP service; 0 for any that is free.
    pub port: u16,
    /// What serves the inbox.
    pub sftp: SftpServer,
    /// The port of the inbox; 0 for any that is free.
    pub sftp_port: u16,
    /// Which certificate the service shows.
    pub server_certificate: ServerCertificate,
    /// Which versions of TLS it offers.
    pub tls: TlsVersions,
    /// How its answers bind prefixes.
    pub prefixes: Prefixes,
    /// What data files are called.
    pub naming: Naming,
    /// What metadata files begin with.
    pub metadata_root: MetadataRoot,
    /// Whether metadata files have a routing block.
    pub has_routing: bool,
    /// `Sender` in metadata files.
    pub sender: String,
    /// How filters of different groups go together.
    pub groups: Groups,
    /// Which date an extract names as the one before.
    pub previous: Previous,
    /// Whether persons newly covered are loaded in full. The test environment of the real platform does not.
    pub has_initial_load: bool,
    /// How many persons of an agreement are loaded in a night before the run is cut off.
    pub cut_after: Option<usize>,
    /// A file for filters and nights, so that another start goes on where this one ends.
    pub state: Option<PathBuf>,
}

impl Options {
    /// One agreement, so many persons, everything else as it is assumed of the real platform.
    pub fn new(directory: impl Into<PathBuf>, persons: u64, seed: u64) -> Self {
        Self {
            directory: directory.into(),
            population: Settings::new(persons, seed),
            agreements: vec![Agreement::of_seed(seed, 0)],
            port: 0,
            sftp: SftpServer::Any,
            sftp_port: 0,
            server_certificate: ServerCertificate::Valid,
            tls: TlsVersions::Both,
            prefixes: Prefixes::Cxf,
            naming: Naming::Dated,
            metadata_root: MetadataRoot::FileMetadata,
            has_routing: false,
            sender: "SP_CPR_SIMPELSFTP".to_owned(),
            groups: Groups::AddUp,
            previous: Previous::Delivery,
            has_initial_load: true,
            cut_after: None,
            state: None,
        }
    }
}

/// What data files are called. The real pattern is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// `dYYMMDD.lNNNNNN`: production date and task number, as CPR names its files.
    Dated,
    /// With the agreement's UUID in it.
    WithAgreement,
}

/// Which production date an extract names as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// That of the agreement's last extract.
    Delivery,
    /// That of the last night, whether or not it made an extract for the agreement.
    Run,
}
