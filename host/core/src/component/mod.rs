//! Components: the one that is built into this crate, and others from files.

mod code_digest;
mod embedded;
mod load;

use std::path::Path;
use std::sync::Arc;

use sha2::Digest;
use wasmtime::component::Component;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::sandbox::{Limits, Runtime, Session, StoreState, compiler, link};
use crate::wit::ConnectorPre;

pub use load::{Loader, compile_component};

/// A component that is loaded, checked and linked. It can be instantiated any number of times.
///
/// Cloning is cheap.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: &'static Runtime,
    template: ConnectorPre<StoreState>,
    catalog: Catalog,
    sha256: String,
}

impl Connector {
    /// Loads the component that is built into this crate. It was compiled when this crate was built.
    pub fn embedded() -> Result<Self, Error> {
        let (runtime, component) = embedded::load()?;
        Self::new(
            runtime,
            &component,
            embedded::SHA256.to_owned(),
            Limits::default(),
        )
    }

    /// Loads a component from a file in WebAssembly's binary format.
    ///
    /// It is compiled in this process without limits on time and memory. Use a [`Loader`] if you do not trust the file.
    /// Fails without the feature `compiler`.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        compiler::require()?;
        Self::from_bytes(&load::read_bounded(path, load::MAX_COMPONENT)?)
    }

    /// Loads a component from bytes in WebAssembly's binary format.
    ///
    /// It is compiled in this process without limits on time and memory. Use a [`Loader`] if you do not trust the
    /// bytes. Fails without the feature `compiler`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        compiler::require()?;
        load::check_form(bytes, load::MAX_COMPONENT)?;
        Self::compile(bytes, Limits::default())
    }

    /// Compiles a component, or finds its code in the cache, and asks it for its tables within these limits.
    fn compile(bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        let (runtime, component) = compiler::compile(bytes)?;
        let sha256 = base16ct::lower::encode_string(&sha2::Sha256::digest(bytes));
        Self::new(runtime, &component, sha256, limits)
    }

    /// Checks and links a component, and asks it for its tables within these limits.
    fn new(
        runtime: &'static Runtime,
        component: &Component,
        sha256: String,
        limits: Limits,
    ) -> Result<Self, Error> {
        let template = link(&runtime.engine, component)?;
        let mut session = Session::start(runtime, &template, limits)?;
        let tables = session
            .call(|bindings, store| bindings.cprflow_connector_catalog().call_tables(store))?;
        let event_classes = session.call(|bindings, store| {
            bindings
                .cprflow_connector_catalog()
                .call_event_classes(store)
        })?;
        let catalog = Catalog::new(tables, event_classes)?;
        Ok(Self {
            shared: Arc::new(Shared {
                runtime,
                template,
                catalog,
                sha256,
            }),
        })
    }

    /// Returns the component's tables.
    pub fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    /// Returns the SHA-256 of the component's bytes, in lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.shared.sha256
    }

    /// Creates an instance.
    pub(crate) fn start(&self, limits: Limits) -> Result<Session, Error> {
        Session::start(self.shared.runtime, &self.shared.template, limits)
    }
}
