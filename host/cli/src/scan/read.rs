//! Starts the scan of `cprflow scan`.

use std::path::Path;

use cprflow::{Connector, DeliveryReader, StateScan, TableReader};
use cprflow_delivery::config::Configuration;
use cprflow_delivery::register_state::RegisterState;
use cprflow_delivery::sync::tenant_scan;

use super::{RequestedTable, Scan};
use crate::failure::Failure;
use crate::input::{Input, RereadableInput};
use crate::options::configuration_file;
use crate::output::progress::ScanProgress;
use crate::usage::UsageError;

impl Scan {
    /// Starts a scan of one table.
    pub(super) fn read_table(
        &self,
        connector: &Connector,
        file: &Path,
        request: &RequestedTable,
        limit: Option<u64>,
    ) -> Result<(TableReader<Input>, ScanProgress), Failure> {
        let limited = |scan: cprflow::Scan| {
            let scan = self.of_table(scan, request);
            match limit {
                Some(limit) => scan.limit(limit),
                None => scan,
            }
        };
        if let Some(agreement) = &self.register {
            let state = self.register_state(agreement)?;
            let mut scan = self.state_of_table(connector, Some(request));
            if let Some(limit) = limit {
                scan = scan.limit(limit);
            }
            let mut open = state.opener();
            let rows =
                scan.read_table(state.places(), move |place| open(place).map(Input::kept))?;
            return Ok((rows, ScanProgress::new(None)));
        }
        match &self.tenant {
            None => {
                let input = Input::open(file)?;
                let progress = ScanProgress::new(input.len);
                Ok((limited(self.whole_scan(connector)).read(input)?, progress))
            }
            Some(tenant) => {
                let input = RereadableInput::open(file)?;
                let progress = ScanProgress::new(input.len);
                let scan = limited(self.tenant_scan(connector, tenant, &input)?);
                Ok((scan.read_table_with_policy(|| input.again())?, progress))
            }
        }
    }

    /// Starts a scan of all tables, or of the table that was named.
    pub(super) fn read_all(
        &self,
        connector: &Connector,
        file: &Path,
        request: Option<&RequestedTable>,
    ) -> Result<(DeliveryReader<Input>, ScanProgress), Failure> {
        if let Some(agreement) = &self.register {
            let state = self.register_state(agreement)?;
            let mut open = state.opener();
            let scan = self.state_of_table(connector, request);
            let rows = scan.read(state.places(), move |place| open(place).map(Input::kept))?;
            return Ok((rows, ScanProgress::new(None)));
        }
        let requested = |scan| match request {
            Some(request) => self.of_table(scan, request),
            None => scan,
        };
        match &self.tenant {
            None => {
                let input = Input::open(file)?;
                let progress = ScanProgress::new(input.len);
                let scan = requested(self.whole_scan(connector));
                Ok((scan.read_all(input)?, progress))
            }
            Some(tenant) => {
                let input = RereadableInput::open(file)?;
                let progress = ScanProgress::new(input.len);
                let scan = requested(self.tenant_scan(connector, tenant, &input)?);
                Ok((scan.read_with_policy(|| input.again())?, progress))
            }
        }
    }

    /// Limits the scan to the table, and to the columns and rows of the options.
    fn of_table(&self, scan: cprflow::Scan, request: &RequestedTable) -> cprflow::Scan {
        let mut scan = scan.table(&request.name);
        if let Some(columns) = &request.columns {
            scan = scan.columns(columns);
        }
        match &self.predicate {
            Some(predicate) => scan.where_(predicate),
            None => scan,
        }
    }

    /// Opens the state of the register that the options name.
    fn register_state(&self, agreement: &str) -> Result<RegisterState, Failure> {
        let Some(config) = configuration_file(self.config.as_deref()) else {
            return Err(UsageError::NoConfiguration.into());
        };
        let mut configuration = Configuration::from_file(config)?;
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        Ok(RegisterState::open(
            &configuration,
            Some(agreement),
            self.as_of,
        )?)
    }

    /// Returns a scan of a state, limited to the table, and to the columns and rows of the options.
    fn state_of_table(&self, connector: &Connector, request: Option<&RequestedTable>) -> StateScan {
        let mut scan = StateScan::new(connector);
        if let Some(rows) = self.batch_rows {
            scan = scan.batch_rows(rows);
        }
        let Some(request) = request else {
            return scan;
        };
        scan = scan.table(&request.name);
        if let Some(columns) = &request.columns {
            scan = scan.columns(columns);
        }
        match &self.predicate {
            Some(predicate) => scan.where_(predicate),
            None => scan,
        }
    }

    /// Returns a scan without a policy.
    fn whole_scan(&self, connector: &Connector) -> cprflow::Scan {
        self.in_batches(cprflow::Scan::new(connector))
    }

    /// Returns a scan with the tenant's policy. Reads the input before, to check it and to find whom other extracts protect.
    fn tenant_scan(
        &self,
        connector: &Connector,
        tenant: &str,
        input: &RereadableInput,
    ) -> Result<cprflow::Scan, Failure> {
        let Some(config) = configuration_file(self.config.as_deref()) else {
            return Err(UsageError::TenantNeedsConfiguration.into());
        };
        let mut configuration = Configuration::from_file(config)?;
        if let Some(state) = &self.state {
            configuration.state(state)?;
        }
        let agreement = self.agreement.as_deref();
        let input = input.clone();
        let open = move || input.again();
        let scan = tenant_scan(connector, &configuration, tenant, agreement, open)?;
        Ok(self.in_batches(scan))
    }

    fn in_batches(&self, scan: cprflow::Scan) -> cprflow::Scan {
        let scan = scan.threads(self.threads);
        match self.batch_rows {
            Some(rows) => scan.batch_rows(rows),
            None => scan,
        }
    }
}
