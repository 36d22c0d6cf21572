//! The stand-in platform: service, nightly run and inbox.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cprflow_connector::generate::{self, Day, Person, Settings, Share};

use crate::agreement::derived_uuid;
use crate::certificates::{
    Certificates, ClientCertificate, ClientKeys, ClientKind, ServerCertificate, TlsVersions,
};
use crate::clock::Clock;
use crate::delivery_fault::DeliveryFault;
use crate::delivery_plan::{DeliveryPlan, PlanRules, plan_delivery};
use crate::event_log::ServiceEvent;
use crate::filter::Filter;
use crate::inbox::{Inbox, OutgoingDelivery};
use crate::inbox_server::InboxServer;
use crate::metadata::Metadata;
use crate::options::{FileNaming, Options, PreviousDate};
use crate::platform_state::{AgreementState, PlatformState, SubscriptionState};
use crate::request_validation::PATH;
use crate::service::{Service, ServiceContext};
use crate::service_fault::ServiceFault;
use crate::soap_response::NamespacePrefixes;
use crate::{Agreement, Error, lock, url_host};

/// The deliveries of one nightly run.
#[derive(Debug, Clone)]
pub struct NightlyRun {
    /// The number of the run, starting at 1.
    pub number: u32,
    /// The production date.
    pub day: Day,
    /// One delivery for each agreement that has something to deliver.
    pub deliveries: Vec<Delivery>,
}

/// A delivery (leverance) to the inbox.
#[derive(Clone)]
pub struct Delivery {
    /// The agreement.
    pub agreement: Agreement,
    /// The name of the data file.
    pub name: String,
    /// `FileTransferUUID`.
    pub transfer_uuid: String,
    /// The content of the data file, without the delivery fault.
    pub bytes: Vec<u8>,
    /// The person numbers that were delivered in full.
    pub loaded: BTreeSet<String>,
    /// The person numbers that were delivered because of a change.
    pub changed: BTreeSet<String>,
    /// Whether a part of the full load is postponed to the next run.
    pub has_backlog: bool,
    /// The fault that this delivery has.
    pub fault: Option<DeliveryFault>,
}

/// Shows counts instead of person numbers and records.
impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("name", &self.name)
            .field("transfer_uuid", &self.transfer_uuid)
            .field("bytes", &self.bytes.len())
            .field("loaded", &self.loaded.len())
            .field("changed", &self.changed.len())
            .field("has_backlog", &self.has_backlog)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A running stand-in platform. It stops when it is dropped.
#[derive(Debug)]
pub struct Platform {
    options: Options,
    context: Arc<ServiceContext>,
    service: Service,
    sftp: InboxServer,
    inbox: Mutex<Inbox>,
    delivery_faults: Mutex<VecDeque<DeliveryFault>>,
    client: ClientCertificate,
    next_client: ClientCertificate,
    /// The CVR numbers of [`Options::foreign_clients`].
    foreign_cvrs: Vec<String>,
}

impl Platform {
    /// Starts the service and the inbox. Fails if a port is taken or the directory cannot be written.
    pub fn start(options: Options) -> Result<Self, Error> {
        let directory = &options.directory;
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        let host = options.host();
        let mut certificates = Certificates::new(directory, options.population.seed, &host)?;
        let foreign_clients = options.foreign_clients.iter();
        let foreign_cvrs = foreign_clients
            .map(|client| certificates.accept_foreign(client))
            .collect::<Result<_, _>>()?;
        let client = certificates.client("client", ClientKind::Valid)?;
        let next_client = certificates.client("client-next", ClientKind::Valid)?;
        let tls =
            certificates.server_config(options.server_certificate, options.tls, ClientKeys::All)?;
        let mut state = PlatformState::new(&options.agreements);
        if let Some(path) = &options.state_file {
            state.load(path)?;
        }
        let root = directory.join("sftp");
        let inbox = Inbox::new(root.join("IN"), directory.join("staging"))?;
        let out = root.join("OUT");
        fs::create_dir_all(&out).map_err(Error::file(out))?;
        let sftp = InboxServer::start(
            options.sftp,
            &root,
            &directory.join("ssh"),
            SocketAddr::new(options.address, options.sftp_port),
            host,
        )?;
        let clock = Clock::at_run(options.population.production_date(state.night));
        let context = Arc::new(ServiceContext::new(
            state,
            certificates,
            options.contract,
            clock,
            tls,
        ));
        *lock(&context.prefixes) = options.prefixes;
        Ok(Self {
            service: Service::start(
                Arc::clone(&context),
                SocketAddr::new(options.address, options.port),
            )?,
            options,
            context,
            sftp,
            inbox: Mutex::new(inbox),
            delivery_faults: Mutex::default(),
            client,
            next_client,
            foreign_cvrs,
        })
    }

    /// Returns the URL of the SOAP service.
    pub fn url(&self) -> String {
        let host = url_host(&self.options.host());
        format!("https://{host}:{}{PATH}", self.service.port())
    }

    /// Returns the PEM file with the authority of the service's certificate.
    pub fn ca(&self) -> PathBuf {
        self.context.certificates.ca()
    }

    /// Returns the client certificate of the IT system.
    pub const fn client(&self) -> &ClientCertificate {
        &self.client
    }

    /// Returns the next client certificate of the IT system, for a certificate change. It is registered too.
    pub const fn next_client(&self) -> &ClientCertificate {
        &self.next_client
    }

    /// Returns the accepted client certificates of other authorities, each with its file and CVR number.
    pub fn foreign_clients(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = self.options.foreign_clients.iter();
        let files = files.map(|client| client.file.as_path());
        files.zip(self.foreign_cvrs.iter().map(String::as_str))
    }

    /// Issues another client certificate and registers it with the IT system. `name` is the name of its files.
    pub fn issue(&self, name: &str, kind: ClientKind) -> Result<ClientCertificate, Error> {
        self.context.certificates.client(name, kind)
    }

    /// Registers a client certificate with the IT system, or removes it.
    pub fn set_registered(&self, certificate: &ClientCertificate, is_registered: bool) {
        self.context
            .certificates
            .set_registered(certificate, is_registered);
    }

    /// Accepts only these client keys from the next connection on, with a valid server certificate.
    pub fn set_client_keys(&self, keys: ClientKeys, versions: TlsVersions) -> Result<(), Error> {
        let valid = ServerCertificate::Valid;
        self.serve_with(valid, versions, keys)
    }

    /// Changes the server certificate and the TLS versions from the next connection on. Accepts all client keys.
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
        let certificates = &self.context.certificates;
        let config = certificates.server_config(certificate, versions, keys)?;
        *lock(&self.context.tls) = config;
        Ok(())
    }

    /// Changes the namespace prefixes of responses from the next request on.
    pub fn set_prefixes(&self, prefixes: NamespacePrefixes) {
        *lock(&self.context.prefixes) = prefixes;
    }

    /// Returns the service agreements.
    pub fn agreements(&self) -> &[Agreement] {
        &self.options.agreements
    }

    /// Returns the SFTP server of the inbox: address, user and keys.
    pub const fn sftp(&self) -> &InboxServer {
        &self.sftp
    }

    /// Returns the SFTP server of the inbox, to stop or restart it.
    pub const fn sftp_mut(&mut self) -> &mut InboxServer {
        &mut self.sftp
    }

    /// Returns the local directory of the inbox.
    pub fn inbox(&self) -> PathBuf {
        lock(&self.inbox).directory().to_owned()
    }

    /// Returns the settings of the generated population.
    pub const fn population(&self) -> &Settings {
        &self.options.population
    }

    /// Returns all persons after the last nightly run, in the order of a status file. None of them exists.
    ///
    /// Fails if the generator fails.
    pub fn persons(&self) -> Result<Vec<Person>, Error> {
        let persons = generate::population(&self.options.population, self.completed_nights());
        let persons = persons.and_then(Iterator::collect);
        persons.map_err(Error::Extract)
    }

    /// Returns the number of completed nightly runs.
    pub fn completed_nights(&self) -> u32 {
        lock(&self.context.state).night
    }

    /// Returns the filters of an agreement, in the order of `GetAllFilters`.
    pub fn filters(&self, agreement: &Agreement) -> Vec<Filter> {
        let state = lock(&self.context.state);
        let mut agreements = state.agreements.iter();
        let entry = agreements.find(|entry| entry.agreement == *agreement);
        entry.map_or_else(Vec::new, |entry| {
            entry.subscription.filters.all().cloned().collect()
        })
    }

    /// Arms a fault for the next `times` requests or connections. Faults that are already armed come first.
    pub fn arm(&self, fault: &ServiceFault, times: usize) {
        let faults = std::iter::repeat_n(fault.clone(), times);
        lock(&self.context.armed).extend(faults);
    }

    /// Arms a fault for the next `times` calls that change filters; `GetAllFilters` is not affected.
    ///
    /// A fault that concerns connections is armed for the next connections instead.
    pub fn arm_for_changes(&self, fault: &ServiceFault, times: usize) {
        let armed = match fault.is_connection_fault() {
            true => &self.context.armed,
            false => &self.context.armed_for_changes,
        };
        lock(armed).extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Removes the armed faults that no request has met yet, and returns their number.
    pub fn disarm(&self) -> usize {
        let armed = std::mem::take(&mut *lock(&self.context.armed)).len();
        armed + std::mem::take(&mut *lock(&self.context.armed_for_changes)).len()
    }

    /// Arms a fault for the next `times` deliveries. Faults that are already armed come first.
    pub fn arm_delivery_fault(&self, fault: DeliveryFault, times: usize) {
        lock(&self.delivery_faults).extend(std::iter::repeat_n(fault, times));
    }

    /// Takes the entries of the event log since the last call of this function.
    pub fn take_events(&self) -> Vec<ServiceEvent> {
        std::mem::take(&mut *lock(&self.context.events))
    }

    /// Performs the next nightly run and puts its deliveries into the inbox.
    ///
    /// Fails if an extract cannot be generated or a file cannot be written.
    pub fn run_night(&self) -> Result<NightlyRun, Error> {
        let mut state = lock(&self.context.state);
        let number = state.night + 1;
        let day = self.options.population.production_date(number);
        *lock(&self.context.clock) = Clock::at_run(day);
        if let Some(days) = self.options.delete_after {
            let now = lock(&self.context.clock).last_run();
            lock(&self.inbox).delete_until(now - time::Duration::days(days.into()))?;
        }
        let mut deliveries = Vec::new();
        for entry in &mut state.agreements {
            deliveries.extend(self.run_agreement(entry, number, day)?);
        }
        state.night = number;
        if let Some(path) = &self.options.state_file {
            state.save(path)?;
        }
        Ok(NightlyRun {
            number,
            day,
            deliveries,
        })
    }

    /// Completes the uploads that delivery faults withheld, and returns the number of file operations.
    pub fn complete_uploads(&self) -> Result<usize, Error> {
        lock(&self.inbox).complete()
    }

    /// Puts a delivery into the inbox again, with the same transfer UUID and without a fault.
    pub fn deliver_again(&self, delivered: &Delivery) -> Result<(), Error> {
        self.put(delivered, None)
    }

    /// Writes the state file, if the options name one.
    pub fn save(&self) -> Result<(), Error> {
        match &self.options.state_file {
            Some(path) => lock(&self.context.state).save(path),
            None => Ok(()),
        }
    }

    /// Performs the nightly run of one agreement. Returns `None` if there is nothing to deliver.
    fn run_agreement(
        &self,
        entry: &mut AgreementState,
        night: u32,
        day: Day,
    ) -> Result<Option<Delivery>, Error> {
        let AgreementState {
            agreement,
            subscription,
        } = entry;
        let mut delivery_faults = lock(&self.delivery_faults);
        let cut_after = match delivery_faults.front() {
            Some(DeliveryFault::FiveHours { persons }) => Some(*persons),
            _ => self.options.cut_after,
        };
        let rules = PlanRules {
            filter_combination: self.options.filter_combination,
            has_initial_load: self.options.has_initial_load,
            cut_after,
        };
        let planned = self.plan_and_generate(agreement, subscription, rules, night, day);
        let (plan, bytes) = planned.map_err(Error::Extract)?;
        let delivered = match bytes {
            None => None,
            Some(bytes) => {
                let fault = delivery_faults.pop_front();
                let name = match (fault, &subscription.last_name) {
                    (Some(DeliveryFault::ReusedName), Some(name)) => name.clone(),
                    _ => self.file_name(agreement, day),
                };
                let delivered = Delivery {
                    transfer_uuid: self.transfer_uuid(agreement, night),
                    agreement: agreement.clone(),
                    loaded: plan.numbers(Share::Everything),
                    changed: plan.numbers(Share::Changes),
                    has_backlog: plan.has_backlog(),
                    name,
                    bytes,
                    fault,
                };
                self.put(&delivered, fault)?;
                subscription.last_name = Some(delivered.name.clone());
                Some(delivered)
            }
        };
        plan.store(subscription);
        if delivered.is_some() || self.options.previous_date == PreviousDate::LastRun {
            subscription.previous = Some(day.parts());
        }
        Ok(delivered)
    }

    /// Plans and generates the extract; no bytes if it would contain no person.
    fn plan_and_generate(
        &self,
        agreement: &Agreement,
        subscription: &SubscriptionState,
        rules: PlanRules,
        night: u32,
        day: Day,
    ) -> std::io::Result<(DeliveryPlan, Option<Vec<u8>>)> {
        let mut settings = self.options.population.clone();
        settings.task_number.clone_from(&agreement.task_number);
        let everyone = generate::population(&settings, night)?;
        let plan = plan_delivery(subscription, rules, day, everyone)?;
        if plan.shares.is_empty() {
            return Ok((plan, None));
        }
        let mut bytes = Vec::new();
        let share = |number: &str| plan.shares.get(number).copied();
        generate::subscribed(
            &settings,
            night,
            subscription.previous_day(),
            share,
            &mut bytes,
        )?;
        Ok((plan, Some(bytes)))
    }

    fn put(&self, delivered: &Delivery, fault: Option<DeliveryFault>) -> Result<(), Error> {
        let sent = lock(&self.context.clock).now();
        let outgoing = OutgoingDelivery {
            name: &delivered.name,
            bytes: delivered.bytes.clone(),
            metadata: Metadata {
                root: self.options.metadata_root,
                transfer: &delivered.transfer_uuid,
                file_name: &delivered.name,
                size: 0,
                sender: &self.options.sender,
                recipient: self.sftp.user(),
                // The receiver is the first client that is not the stand-in's own.
                recipient_cvr: self.foreign_cvrs.first().map_or("00000002", String::as_str),
                sent: &sent,
                has_routing: self.options.has_routing,
            },
        };
        let arrival = self
            .options
            .delete_after
            .map(|_| lock(&self.context.clock).last_run());
        lock(&self.inbox).deliver(outgoing, fault, arrival)
    }

    fn file_name(&self, agreement: &Agreement, day: Day) -> String {
        let (year, month, of_month) = day.parts();
        let date = format!("{:02}{month:02}{of_month:02}", year % 100);
        match self.options.naming {
            FileNaming::Dated => format!("d{date}.l{}", agreement.task_number),
            FileNaming::WithAgreement => format!("CPR_{}_{date}.txt", agreement.uuid),
        }
    }

    fn transfer_uuid(&self, agreement: &Agreement, night: u32) -> String {
        let seed = self.options.population.seed;
        derived_uuid(&["transfer", &agreement.uuid], &[seed, night.into()])
    }

    /// Returns the directory of certificates, keys and the inbox.
    pub fn directory(&self) -> &Path {
        &self.options.directory
    }
}
