//! What can go wrong, by whose move it is. No error holds a value of a person's record.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::ledger::LedgerError;
use crate::sandbox::LimitKind;
use crate::transport::TransportError;
use crate::transport::soap::SoapError;

/// Any error of cprflow's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read.
    #[error("cannot read the input: {0}")]
    Input(#[source] io::Error),

    /// The input is no extract, or not one that can be read to its end.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A metadata file cannot be read.
    #[error(transparent)]
    Metadata(#[from] MetadataError),

    /// The subscription service did not answer, or not with an answer.
    #[error(transparent)]
    Subscription(#[from] crate::subscription::Failure),

    /// A subscription cannot be read or changed, or must not.
    #[error(transparent)]
    Subscriber(#[from] crate::subscriber::SubscriberError),

    /// The caller asked for something that does not exist or does not fit.
    #[error("{0}")]
    Request(String),

    /// The component cannot be used, or did what it must not.
    #[error(transparent)]
    Component(#[from] ComponentError),

    /// A file could not be written or read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },

    /// A Parquet file could not be written or read.
    #[error("{path}: {error}", path = path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: parquet::errors::ParquetError,
    },

    /// Rows could not be written in the format asked for.
    #[error("cannot write the rows: {0}")]
    Output(#[source] arrow::error::ArrowError),

    /// The inbox could not be reached, or did not do what was asked.
    #[error(transparent)]
    Transport(#[from] TransportError),

    /// The subscription service gave no answer.
    #[error(transparent)]
    Soap(#[from] SoapError),

    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),

    /// The configuration does not say what it must.
    #[error("{path}: {what}", path = path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },

    /// A tenant's delivery is larger than the tenant's configuration lets it be.
    #[error("it was stopped: more than `{key}` allows, which is {limit}")]
    TenantLimit {
        /// The key of the configuration.
        key: &'static str,
        /// Its value.
        limit: u64,
    },

    /// The group of a tenant's dataset is of no use. Its name is not repeated.
    #[error("group: {what}")]
    Group {
        /// What is wrong with it, and what to do.
        what: String,
    },

    /// Records may be missing from the extract, and a tenant's policy needs all of them.
    #[error(
        "records may be missing from the extract ({code}), and the policy {on}: what is missing may be what says who \
         that is. Have it delivered anew (ask the helpdesk, or `cprflow subscription reorder`), and set this one aside \
         for the tenant: cprflow set-aside … --tenant"
    )]
    Incomplete {
        /// The finding that says so.
        code: &'static str,
        /// What of the policy depends on them.
        on: &'static str,
    },

    /// A limit that a tenant's configuration sets has stopped the component.
    #[error("{error}: `{key}` allows no more")]
    TenantBound {
        /// The key of the configuration.
        key: &'static str,
        /// What happened.
        #[source]
        error: ComponentError,
    },

    /// Nothing came back of a tenant's work, and nobody waits for it any longer.
    #[error(
        "nothing has come back of it within {seconds} seconds, and it was given up: see whether the disk of {path} \
         answers. The next run tries again",
        path = path.display()
    )]
    TenantStuck {
        /// The tenant's dataset.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },

    /// A bug of cprflow's ended a tenant's work. What the panic said may be anybody's data, and is not here.
    #[error(
        "a bug in cprflow ended it; what was written until then is removed. Tell the makers of cprflow what stands in \
         the log about it, and try another version"
    )]
    Bug,

    /// Somebody asked to stop. Nothing is lost: the next run goes on from here.
    #[error("stopped before the end; the next run goes on from here")]
    Stopped,

    /// The tables in a directory are not those of an extract.
    #[error("{path}: {what}", path = path.display())]
    Tables {
        /// Which file or directory.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
}

impl Error {
    /// Whether another inbox may do better: the disk and the ledger are the same for all.
    pub(crate) fn is_of_one_inbox(&self) -> bool {
        matches!(
            self,
            Self::Transport(_) | Self::Input(_) | Self::Component(_)
        )
    }

    /// Whether another file of the same inbox may do better.
    pub(crate) fn is_of_one_file(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_of_one_file())
    }

    /// The same with the tenant's name, if it is the component's doing.
    pub(crate) fn of_tenant(self, tenant: Option<&str>) -> Self {
        match (self, tenant) {
            (Self::Component(error), Some(tenant)) if error.tenant().is_none() => {
                let tenant = crate::sandbox::tame(tenant);
                let error = Box::new(error);
                ComponentError::OfTenant { tenant, error }.into()
            }
            (error, _) => error,
        }
    }

    /// An error about a file.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }

    /// An error about a Parquet file.
    pub fn parquet(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        |error| Self::Parquet { path, error }
    }
}

/// Why an input cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataErrorKind {
    /// A record is longer than any record can be (64 KiB).
    RecordTooLong,
    /// The bytes are another product of CPR's.
    LookAlike,
    /// In a file without line ends the next record cannot be found.
    LostTrack,
}

/// The input is no extract, or not one that can be read to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DataError {
    /// Why.
    pub kind: DataErrorKind,
    /// The record at which it happened, 1-based.
    pub line: Option<u64>,
    /// Offset of that record in the input, in bytes.
    pub offset: Option<u64>,
    /// A sentence for people.
    pub message: String,
}

/// What is wrong with a metadata file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataErrorKind {
    /// It is larger than any metadata file can be (64 KiB).
    TooLarge,
    /// It is in another encoding than UTF-8, US-ASCII and ISO-8859-1, or not in the one that it declares.
    Encoding,
    /// It is empty or ends before its root element does: it may still be on its way.
    Truncated,
    /// It is not well-formed XML.
    Malformed,
    /// It has a document type.
    Doctype,
    /// It refers to an entity that XML does not define by itself.
    Entity,
    /// Its elements are nested too deep, or have too many attributes.
    TooComplex,
    /// It has more than one root element.
    SeveralRoots,
    /// Its root element is none of those that are known.
    UnknownRoot,
    /// An element that must be there is not.
    MissingElement,
    /// An element that may be there once is there again.
    RepeatedElement,
    /// The value of an element is not of its type.
    BadValue,
}

/// A metadata file cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct MetadataError {
    /// Why.
    pub kind: MetadataErrorKind,
    /// The element that is missing, repeated or of a bad value.
    pub element: Option<String>,
    /// A sentence for people.
    pub message: String,
}

/// The component cannot be used, or did what it must not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// It is no component.
    #[error("this is no component that cprflow can run: {0}")]
    Invalid(String),

    /// It is a WebAssembly module of the kind that components are made of.
    #[error(
        "this is a core WebAssembly module and no component: build it for the target wasm32-wasip2, or make a \
         component of it with `wasm-tools component new`"
    )]
    CoreModule,

    /// It is larger than a component may be.
    #[error("the component is refused: it is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },

    /// It keeps another version of the contract, or none.
    #[error(
        "the component is refused: it exports {found}, and this cprflow runs {supported}; build it against the \
         contract in wit/, or take the cprflow that it was built for"
    )]
    Contract {
        /// What it exports of the contract.
        found: String,
        /// What it must export.
        supported: String,
    },

    /// It asks for a power that no connector gets.
    #[error(
        "the component is refused: it imports {import}, and a connector gets nothing but what Rust's \
         standard library drags in, and that answered by nothing"
    )]
    Refused {
        /// The name of the import.
        import: String,
    },

    /// Compiling it took more than it may.
    #[error(
        "the component is refused: compiling it did not end within {time:?} and {memory} bytes of memory ({how})"
    )]
    Compile {
        /// The limit on time.
        time: Duration,
        /// The limit on memory.
        memory: u64,
        /// How the compiler ended.
        how: String,
    },

    /// The process that compiles components cannot be run.
    #[error("cannot run the compiler of components: {0}")]
    Compiler(String),

    /// There is no room for another instance.
    #[error(
        "no instance of the component can be made: {slots} are running, which is as many as there is room for; run \
         fewer scans at a time"
    )]
    PoolFull {
        /// Instances that there is room for.
        slots: u32,
    },

    /// It wanted more memory than a scan may have.
    #[error("the component was stopped: it wanted more than {limit} bytes of memory")]
    Memory {
        /// The limit.
        limit: usize,
    },

    /// A call did not end in time.
    #[error("the component was stopped: a call took longer than {limit:?}")]
    Deadline {
        /// The limit.
        limit: Duration,
    },

    /// All its calls together took too long.
    #[error("the component was stopped: all its calls together took longer than {limit:?}")]
    Time {
        /// The limit.
        limit: Duration,
    },

    /// It returned or held more than it may.
    #[error("the component was stopped: more than {at_most} {limit}")]
    Limit {
        /// Which limit.
        limit: LimitKind,
        /// How many or how much there may be.
        at_most: u64,
    },

    /// It trapped.
    #[error("the component trapped: {0}")]
    Trapped(String),

    /// What it returned is not what the contract says.
    #[error("the component does not keep the contract: {0}")]
    Misbehaved(String),

    /// One of these, in the scan of a tenant.
    #[error("tenant {tenant}: {error}")]
    OfTenant {
        /// The tenant's name.
        tenant: String,
        /// What happened.
        error: Box<ComponentError>,
    },
}

impl ComponentError {
    /// What happened, whosever scan it was.
    pub fn cause(&self) -> &Self {
        match self {
            Self::OfTenant { error, .. } => error.cause(),
            other => other,
        }
    }

    /// The tenant in whose scan it happened, if that has a name.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::OfTenant { tenant, .. } => Some(tenant),
            _ => None,
        }
    }
}
