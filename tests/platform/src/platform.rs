//! The whole stand-in: service, nightly run and inbox.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cprflow_connector::generate::{self, Day, Settings, Share};

use crate::agreement::uuid_of;
use crate::book::{Book, Memory, Standing};
use crate::certificates::{
    Certificates, ClientCertificate, ClientKeys, ClientKind, ServerCertificate, TlsVersions,
};
use crate::coverage::{Plan, Rules, plan};
use crate::fault::Fault;
use crate::filter::Filter;
use crate::hazard::Hazard;
use crate::inbox::{Inbox, Parcel};
use crate::judge::PATH;
use crate::metadata::Metadata;
use crate::options::{Naming, Options, Previous};
use crate::reply::Prefixes;
use crate::service::{Desk, Seen, Service};
use crate::sftp::Sftp;
use crate::{Agreement, Error, locked};

/// What a night delivered.
#[derive(Debug, Clone)]
pub struct Night {
    /// Its number, from 1 on.
    pub number: u32,
    /// The production date.
    pub day: Day,
    /// A delivery for each agreement that has one.
    pub deliveries: Vec<Delivered>,
}

/// A delivery as it was put into the inbox.
#[derive(Clone)]
pub struct Delivered {
    /// The agreement.
    pub agreement: Agreement,
    /// The name of the data file.
    pub name: String,
    /// `FileTransferUUID`.
    pub transfer: String,
    /// The data file as it was made, before any hazard.
    pub bytes: Vec<u8>,
    /// Numbers loaded in full.
    pub loaded: BTreeSet<String>,
    /// Numbers delivered with the night's events.
    pub changed: BTreeSet<String>,
    /// Whether a part of the full load is left for the next night.
    pub is_cut: bool,
    /// What was out of order about it.
    pub hazard: Option<Hazard>,
}

/// Masked: numbers and records are not shown.
impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivered")
            .field("name", &self.name)
            .field("transfer", &self.transfer)
            .field("bytes", &self.bytes.len())
            .field("loaded", &self.loaded.len())
            .field("changed", &self.changed.len())
            .field("is_cut", &self.is_cut)
            .field("hazard", &self.hazard)
            .finish_non_exhaustive()
    }
}

/// A running stand-in. It ends when it is dropped.
#[derive(Debug)]
pub struct Platform {
    options: Options,
    desk: Arc<Desk>,
    service: Service,
    sftp: Sftp,
    inbox: Mutex<Inbox>,
    hazards: Mutex<VecDeque<Hazard>>,
    client: ClientCertificate,
    next_client: ClientCertificate,
}

impl Platform {
    /// Starts the service and the inbox.
    pub fn start(options: Options) -> Result<Self, Error> {
        let directory = &options.directory;
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        let certificates = Certificates::new(directory, options.population.seed)?;
        let client = certificates.client("client", ClientKind::Valid)?;
        let next_client = certificates.client("client-next", ClientKind::Valid)?;
        let tls =
            certificates.server_config(options.server_certificate, options.tls, ClientKeys::All)?;
        let mut book = Book::new(&options.agreements);
        if let Some(state) = &options.state {
            book.load(state)?;
        }
        let root = directory.join("sftp");
        let inbox = Inbox::new(root.join("IN"), directory.join("spool"))?;
        let out = root.join("OUT");
        fs::create_dir_all(&out).map_err(Error::file(out))?;
        let sftp = Sftp::start(
            options.sftp,
            &root,
            &directory.join("ssh"),
            options.sftp_port,
        )?;
        let desk = Arc::new(Desk::new(book, certificates, tls));
        *locked(&desk.prefixes) = options.prefixes;
        Ok(Self {
            service: Service::start(Arc::clone(&desk), options.port)?,
            options,
            desk,
            sftp,
            inbox: Mutex::new(inbox),
            hazards: Mutex::default(),
            client,
            next_client,
        })
    }

    /// The address of the SOAP service.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}{PATH}", self.service.port())
    }

    /// The authority whose certificate the service shows, PEM.
    pub fn ca(&self) -> PathBuf {
        self.desk.certificates.ca()
    }

    /// The certificate of the IT system.
    pub const fn client(&self) -> &ClientCertificate {
        &self.client
    }

    /// The certificate that is to follow; it is registered too.
    pub const fn next_client(&self) -> &ClientCertificate {
        &self.next_client
    }

    /// Makes another client's certificate, registered with the IT system. Its files have that name.
    pub fn issue(&self, name: &str, kind: ClientKind) -> Result<ClientCertificate, Error> {
        self.desk.certificates.client(name, kind)
    }

    /// Registers a client's certificate with the IT system, or strikes it off.
    pub fn set_registered(&self, certificate: &ClientCertificate, is_registered: bool) {
        self.desk
            .certificates
            .set_registered(certificate, is_registered);
    }

    /// Takes keys of these kinds alone from the next connection on, with a certificate that is right.
    pub fn set_client_keys(&self, keys: ClientKeys, versions: TlsVersions) -> Result<(), Error> {
        let valid = ServerCertificate::Valid;
        self.serve_with(valid, versions, keys)
    }

    /// Shows another certificate, and offers other versions of TLS, from the next connection on.
    pub fn set_tls(
        &self,
        certificate: ServerCertificate,
        versions: TlsVersions,
    ) -> Result<(), Error> {
        self.serve_with(certificate, versions, ClientKeys::All)
    }

    fn serve_with(
        &self,
        certificate: ServerCertificate,
        versions: TlsVersions,
        keys: ClientKeys,
    ) -> Result<(), Error> {
        let certificates = &self.desk.certificates;
        let config = certificates.server_config(certificate, versions, keys)?;
        *locked(&self.desk.tls) = config;
        Ok(())
    }

    /// Binds the prefixes of answers otherwise from now on.
    pub fn set_prefixes(&self, prefixes: Prefixes) {
        *locked(&self.desk.prefixes) = prefixes;
    }

    /// The service agreements.
    pub fn agreements(&self) -> &[Agreement] {
        &self.options.agreements
    }

    /// The inbox: how to log in, and its keys.
    pub const fn sftp(&self) -> &Sftp {
        &self.sftp
    }

    /// The inbox's server, to stop and start it.
    pub const fn sftp_mut(&mut self) -> &mut Sftp {
        &mut self.sftp
    }

    /// The directory that the inbox is.
    pub fn inbox(&self) -> PathBuf {
        locked(&self.inbox).directory().to_owned()
    }

    /// The settings of the population.
    pub const fn population(&self) -> &Settings {
        &self.options.population
    }

    /// How many nights were made.
    pub fn nights(&self) -> u32 {
        locked(&self.desk.book).night
    }

    /// The filters of an agreement, in the order of `GetAllFilters`.
    pub fn filters(&self, agreement: &Agreement) -> Vec<Filter> {
        let book = locked(&self.desk.book);
        let mut standings = book.standings.iter();
        let standing = standings.find(|standing| standing.agreement == *agreement);
        standing.map_or_else(Vec::new, |standing| {
            standing.memory.filters.all().cloned().collect()
        })
    }

    /// The next so many requests, or connections, meet this fault. Faults that are armed already come first.
    pub fn arm(&self, fault: &Fault, times: usize) {
        let faults = std::iter::repeat_n(fault.clone(), times);
        locked(&self.desk.armed).extend(faults);
    }

    /// The next so many calls that change something meet this fault; those that only look do not.
    /// What comes before any request meets the next connection.
    pub fn arm_at_changes(&self, fault: &Fault, times: usize) {
        let armed = match fault.is_of_connection() {
            true => &self.desk.armed,
            false => &self.desk.armed_at_changes,
        };
        locked(armed).extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Forgets the faults that nobody has met, and says how many they were.
    pub fn disarm(&self) -> usize {
        let armed = std::mem::take(&mut *locked(&self.desk.armed)).len();
        armed + std::mem::take(&mut *locked(&self.desk.armed_at_changes)).len()
    }

    /// The next so many deliveries meet this hazard. Hazards that are armed already come first.
    pub fn arm_hazard(&self, hazard: Hazard, times: usize) {
        locked(&self.hazards).extend(std::iter::repeat_n(hazard, times));
    }

    /// What the service has seen since it was last asked.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *locked(&self.desk.seen))
    }

    /// Makes the nightly run, and delivers.
    pub fn night(&self) -> Result<Night, Error> {
        let mut book = locked(&self.desk.book);
        let number = book.night + 1;
        let day = self.options.population.production_date(number);
        let mut deliveries = Vec::new();
        for standing in &mut book.standings {
            deliveries.extend(self.run(standing, number, day)?);
        }
        book.night = number;
        if let Some(state) = &self.options.state {
            book.save(state)?;
        }
        Ok(Night {
            number,
            day,
            deliveries,
        })
    }

    /// Completes what hazards have held back, and says how many files that concerned.
    pub fn complete_uploads(&self) -> Result<usize, Error> {
        locked(&self.inbox).complete()
    }

    /// Puts a delivery into the inbox once more, as the same transfer.
    pub fn deliver_again(&self, delivered: &Delivered) -> Result<(), Error> {
        self.put(delivered, None)
    }

    /// Writes the state file, if there is to be one.
    pub fn save(&self) -> Result<(), Error> {
        match &self.options.state {
            Some(state) => locked(&self.desk.book).save(state),
            None => Ok(()),
        }
    }

    /// The nightly run of an agreement; nothing where there is nothing to tell.
    fn run(
        &self,
        standing: &mut Standing,
        night: u32,
        day: Day,
    ) -> Result<Option<Delivered>, Error> {
        let Standing { agreement, memory } = standing;
        let mut hazards = locked(&self.hazards);
        let cut_after = match hazards.front() {
            Some(Hazard::FiveHours { persons }) => Some(*persons),
            _ => self.options.cut_after,
        };
        let rules = Rules {
            groups: self.options.groups,
            has_initial_load: self.options.has_initial_load,
            cut_after,
        };
        let made = self.make(agreement, memory, rules, night, day);
        let (plan, bytes) = made.map_err(Error::Extract)?;
        let delivered = match bytes {
            None => None,
            Some(bytes) => {
                let hazard = hazards.pop_front();
                let name = match (hazard, &memory.last_name) {
                    (Some(Hazard::ReusedName), Some(name)) => name.clone(),
                    _ => self.name(agreement, day),
                };
                let delivered = Delivered {
                    transfer: self.transfer(agreement, night),
                    agreement: agreement.clone(),
                    loaded: plan.numbers(Share::Everything),
                    changed: plan.numbers(Share::Changes),
                    is_cut: plan.is_cut(),
                    name,
                    bytes,
                    hazard,
                };
                self.put(&delivered, hazard)?;
                memory.last_name = Some(delivered.name.clone());
                Some(delivered)
            }
        };
        plan.settle(memory);
        if delivered.is_some() || self.options.previous == Previous::Run {
            memory.previous = Some(day.parts());
        }
        Ok(delivered)
    }

    /// The extract, if there is anybody in it.
    fn make(
        &self,
        agreement: &Agreement,
        memory: &Memory,
        rules: Rules,
        night: u32,
        day: Day,
    ) -> std::io::Result<(Plan, Option<Vec<u8>>)> {
        let mut settings = self.options.population.clone();
        settings.task_number.clone_from(&agreement.task_number);
        let everyone = generate::population(&settings, night)?;
        let plan = plan(memory, rules, day, everyone)?;
        if plan.shares.is_empty() {
            return Ok((plan, None));
        }
        let mut bytes = Vec::new();
        let share = |number: &str| plan.shares.get(number).copied();
        generate::subscribed(&settings, night, memory.previous_day(), share, &mut bytes)?;
        Ok((plan, Some(bytes)))
    }

    fn put(&self, delivered: &Delivered, hazard: Option<Hazard>) -> Result<(), Error> {
        let parcel = Parcel {
            name: &delivered.name,
            bytes: delivered.bytes.clone(),
            metadata: Metadata {
                root: self.options.metadata_root,
                transfer: &delivered.transfer,
                file_name: &delivered.name,
                size: 0,
                sender: &self.options.sender,
                recipient: self.sftp.user(),
                has_routing: self.options.has_routing,
            },
        };
        locked(&self.inbox).deliver(parcel, hazard)
    }

    fn name(&self, agreement: &Agreement, day: Day) -> String {
        let (year, month, of_month) = day.parts();
        let date = format!("{:02}{month:02}{of_month:02}", year % 100);
        match self.options.naming {
            Naming::Dated => format!("d{date}.l{}", agreement.task_number),
            Naming::WithAgreement => format!("CPR_{}_{date}.txt", agreement.uuid),
        }
    }

    fn transfer(&self, agreement: &Agreement, night: u32) -> String {
        let seed = self.options.population.seed;
        uuid_of(&["transfer", &agreement.uuid], &[seed, night.into()])
    }

    /// The directory of certificates and keys.
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }
}
