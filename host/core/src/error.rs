//! The errors of this crate, grouped by cause: the data, the caller, the component, the disk.
//!
//! No error contains a value of a person's record.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::redact::redact;
use crate::soap_messages::failure::Failure;

pub use crate::wit::delivery::ErrorKind as MetadataErrorKind;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input could not be read. The message ends with what to do, for example about a missing permission.
    #[error("cannot read the input: {0}{advice}", advice = advice(.0))]
    Input(#[source] io::Error),

    /// The input is not an extract, or is damaged so that the rest of it cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A metadata file is not valid.
    #[error(transparent)]
    Metadata(#[from] MetadataError),

    /// The subscription service returned a fault, or something that is not an answer.
    #[error(transparent)]
    Subscription(#[from] Failure),

    /// The caller asked for something that does not exist or is not allowed.
    #[error(transparent)]
    Request(#[from] RequestError),

    /// The component cannot be used, exceeded a limit or violated the contract.
    #[error(transparent)]
    Component(#[from] ComponentError),

    /// A thread could not be started.
    #[error(
        "cannot start a thread: {0}. The system allows this user too few processes or threads: raise the limit \
         (`ulimit -u`, or TasksMax= of the systemd unit)"
    )]
    Thread(#[source] io::Error),

    /// A file could not be read or written. The message ends with what to do, for example about a full disk.
    #[error(
        "cannot read or write {path}: {error}{advice}", path = path.display(), advice = advice(error)
    )]
    File {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        error: io::Error,
    },

    /// A Parquet file could not be read or written.
    #[error(
        "cannot read or write the Parquet file {path}: {error}. Check the disk and the permissions. If the file is \
         damaged, restore it or make it again", path = path.display()
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The error of the Parquet library.
        #[source]
        error: parquet::errors::ParquetError,
    },

    /// An extract of a state could not be read.
    #[error("the extract of {place}: {error}")]
    InExtract {
        /// The extract: its date, sequence number and agreement.
        place: String,
        /// The error.
        #[source]
        error: Box<Self>,
    },

    /// A copy of an extract could not be written.
    #[error(
        "cannot write the copy of an extract: {0}. Check the disk and its free space, then try again"
    )]
    Copy(#[source] io::Error),

    /// Rows could not be sorted.
    #[error(
        "cannot sort the rows of a table: {0}. This is a bug in cprflow: report it with this message"
    )]
    Sort(#[source] arrow::error::ArrowError),

    /// Rows could not be written in the requested format.
    #[error("cannot write the rows: {0}. Check the file or the program that they go to")]
    Output(#[source] arrow::error::ArrowError),

    /// A directory of tables cannot be used, or has tables that are not those of an extract.
    #[error("{path}: {what}", path = path.display())]
    Tables {
        /// The file or directory.
        path: PathBuf,
        /// The message for people: what is wrong and what to do.
        what: String,
    },
}

impl Error {
    /// Adds the tenant's name to an error of the component. Other errors, and errors with a name, stay the same.
    pub fn of_tenant(self, tenant: Option<&str>) -> Self {
        match (self, tenant) {
            (Self::Component(error), Some(tenant)) if error.tenant().is_none() => {
                let tenant = redact(tenant);
                let error = Box::new(error);
                ComponentError::OfTenant { tenant, error }.into()
            }
            (Self::InExtract { place, error }, tenant) => Self::InExtract {
                place,
                error: Box::new(error.of_tenant(tenant)),
            },
            (error, _) => error,
        }
    }

    /// Returns a function that adds the path of the file to an I/O error.
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |error| Self::File { path, error }
    }

    /// Returns a function that adds the path of the file to an error of the Parquet library.
    pub fn parquet(path: impl Into<PathBuf>) -> impl FnOnce(parquet::errors::ParquetError) -> Self {
        let path = path.into();
        |error| Self::Parquet { path, error }
    }
}

/// Returns what to do about an error of the operating system, as the rest of a message; empty if the error says enough.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        // An error that cprflow made itself says what to do.
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => ". Check the path",
        io::ErrorKind::PermissionDenied => ". Give this user the right to read and write it",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Free some space, then try again"
        }
        io::ErrorKind::ReadOnlyFilesystem => ". Name a directory that can be written",
        io::ErrorKind::FileTooLarge => {
            ". Raise the limit of file sizes (`ulimit -f`), then try again"
        }
        // This error has no kind, and an error about a temporary file has no number.
        _ if error.to_string().contains("(os error 24)") => {
            ". Raise the limit of open files (`ulimit -n`, or LimitNOFILE= of the systemd unit), then try again"
        }
        _ => "",
    }
}

/// A request of the caller that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The component refused the request: a table, column, condition, policy or message is not valid.
    #[error("{0}")]
    Refused(String),

    /// A scan with a policy was started by a function that reads the extract once.
    #[error(
        "the scan has a policy, so it must read the extract twice: call `read_with_policy` or `read_table_with_policy`"
    )]
    PolicyNeedsTwoPasses,

    /// A scan without a policy was started by a function that needs one.
    #[error("the scan has no policy: set one with `policy`, or call `read_all`")]
    NoPolicy,

    /// A scan of one table names no table or several.
    #[error(
        "a scan of one table must name exactly one table: name one with `table`, or call `read_all`"
    )]
    OneTable,

    /// The policy needs pseudonyms, and the scan has no key.
    #[error(
        "the policy replaces person numbers by pseudonyms, but the scan has no key: set the tenant's key with \
         `pseudonym_key`"
    )]
    NoPseudonymKey,

    /// A key for pseudonyms is too short to protect the person numbers.
    #[error(
        "the key for pseudonyms has {bytes} bytes, but needs at least {minimum}: create a random key, for example with \
         `openssl rand -hex 32`"
    )]
    ShortPseudonymKey {
        /// The length of the key in bytes.
        bytes: usize,
        /// The smallest valid length in bytes.
        minimum: usize,
    },

    /// A scan without a policy was asked for its roster or its delivered persons.
    #[error(
        "the scan has no policy, so it has no roster and no list of delivered persons: set a policy with `policy`"
    )]
    NoRoster,

    /// A part of an extract cannot be read here.
    #[error(transparent)]
    Part(#[from] PartRefusal),
}

/// Why a part of an extract cannot be read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartRefusal {
    /// The bytes are no part, or those of another version of cprflow.
    #[error(
        "this is no part of an extract, or another version of cprflow made it. Install the same version everywhere, and \
         divide the extract again"
    )]
    Unreadable,
    /// Another component has found the parts.
    #[error(
        "the component here is not the one that divided the extract, so it could read the part in another way. Install the \
         same version of cprflow everywhere"
    )]
    OtherComponent,
    /// The extract was divided under another policy.
    #[error(
        "the tenant's policy here is not the one with which the extract was divided. Use the same configuration everywhere"
    )]
    OtherPolicy,
    /// The extract is not the one that was divided.
    #[error(
        "the extract here is not the one that was divided, or it was changed meanwhile. Divide it again"
    )]
    OtherExtract,
    /// The table has leavers, whom only the process knows that selects the persons.
    #[error(
        "the part has a table of leavers, so that its persons are not selected: call `read_table_with_policy`"
    )]
    NotSelected,
}

/// The reason why an input cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataErrorKind {
    /// A record is longer than any record can be (64 KiB).
    RecordTooLong,
    /// The bytes are another product of CPR that begins like an extract.
    LookAlike,
    /// In a file without line ends the next record cannot be found: its type is unknown, or no known length fits.
    LostTrack,
    /// The bytes are a file of another kind (gzip, CSV, …), or text with the line ends of another system.
    OtherFormat,
    /// A copy cannot tell the records of two persons apart.
    NotSeparable,
}

impl DataErrorKind {
    /// Returns the stable code of the reason, for example `look-alike`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::RecordTooLong => "record-too-long",
            Self::LookAlike => "look-alike",
            Self::LostTrack => "lost-track",
            Self::OtherFormat => "other-format",
            Self::NotSeparable => "not-separable",
        }
    }
}

/// An input that is not an extract, or cannot be read to its end.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DataError {
    /// The reason.
    pub kind: DataErrorKind,
    /// The number of the record at which the error occurred, 1-based, if there is one.
    pub line: Option<u64>,
    /// The offset of that record in the input, in bytes, if there is one.
    pub offset: Option<u64>,
    /// The message for people: what is wrong and what to do.
    pub message: String,
}

/// A metadata file that is not valid.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct MetadataError {
    /// The reason.
    pub kind: MetadataErrorKind,
    /// The element that is missing, repeated or has a bad value, if there is one.
    pub element: Option<String>,
    /// The message for people: what is wrong and what to do.
    pub message: String,
}

/// A limit on what a component returns or holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// [`Limits::answer_bytes`](crate::Limits::answer_bytes).
    AnswerBytes,
    /// [`Limits::batch_bytes`](crate::Limits::batch_bytes).
    BatchBytes,
    /// [`Limits::batch_rows`](crate::Limits::batch_rows), or the number of rows that the scan asked for.
    BatchRows,
    /// [`Limits::empty_batches`](crate::Limits::empty_batches).
    EmptyBatches,
    /// [`Limits::output_rows`](crate::Limits::output_rows).
    OutputRows,
    /// [`Limits::output_bytes`](crate::Limits::output_bytes), or
    /// [`Limits::output_per_input`](crate::Limits::output_per_input).
    OutputBytes,
    /// [`Limits::handles`](crate::Limits::handles).
    Handles,
    /// The number of tables in the catalog, at most 256.
    Tables,
    /// The number of columns in a table: at most 512 in the catalog, and [`Limits::columns`](crate::Limits::columns) in
    /// a scan.
    Columns,
    /// [`Limits::text_bytes`](crate::Limits::text_bytes).
    TextBytes,
    /// The number of findings in a summary, at most 1,000.
    Findings,
    /// The number of core instances, memories or tables of function references.
    CoreObjects,
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnswerBytes => "bytes in an answer",
            Self::BatchBytes => "bytes in a batch",
            Self::BatchRows => "rows in a batch",
            Self::EmptyBatches => "consecutive empty batches",
            Self::OutputRows => "rows in total",
            Self::OutputBytes => "bytes of batches in total",
            Self::Handles => "resource handles",
            Self::Tables => "tables in its catalog",
            Self::Columns => "columns in a table",
            Self::TextBytes => "bytes in a text",
            Self::Findings => "findings in a summary",
            Self::CoreObjects => "core instances, memories or tables",
        })
    }
}

/// A component that cannot be used, was stopped, or violated the contract.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// The bytes are not a component that can be loaded.
    #[error("cannot load the component: {0}")]
    Invalid(String),

    /// The bytes are a core WebAssembly module, from which a component can be made.
    #[error(
        "cannot load the component: it is a core WebAssembly module. Build it for the target wasm32-wasip2, or convert \
         it with `wasm-tools component new`"
    )]
    CoreModule,

    /// The component is too large.
    #[error(
        "cannot load the component: it is larger than {limit} bytes. Check that the file is the right one, and build \
         it with `--release`"
    )]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },

    /// The component implements another version of the contract, or none.
    #[error(
        "cannot load the component: it exports {found}, but this cprflow needs {supported}. Build it against the \
         interfaces in wit/, or use the cprflow that it was built for"
    )]
    Contract {
        /// The version that the component exports.
        found: String,
        /// The version that this crate needs.
        supported: String,
    },

    /// The component imports something that a connector may not use.
    #[error(
        "cannot load the component: it imports {import}. It may import only the WASI functions that Rust's standard \
         library needs, and every call of them traps. Build it without this import"
    )]
    Refused {
        /// The name of the import.
        import: String,
    },

    /// Compiling the component exceeded a limit.
    #[error(
        "cannot load the component: compiling it did not end within {time:?} and {memory} bytes of memory ({how}). \
         Build it with `--release`, or try again when the machine has less to do"
    )]
    Compile {
        /// The time limit.
        time: Duration,
        /// The memory limit in bytes.
        memory: u64,
        /// The way in which the compiler ended.
        how: String,
    },

    /// The process that compiles components cannot be used.
    #[error("cannot run the process that compiles components: {0}")]
    Compiler(String),

    /// This program was built without the feature `compiler`, so it can load only the built-in component.
    #[error(
        "cannot load the component: this cprflow has no compiler and runs only its built-in component. Use the command of \
         the .deb or tar.gz package, or build the command with `--features compiler`"
    )]
    NoCompiler,

    /// The machine code of the built-in component does not run on this processor.
    #[error(
        "cannot load the built-in component: it was not compiled for this processor ({0}). Use the command of the .deb or \
         tar.gz package, or build the command on this machine with `--features compiler`"
    )]
    OtherProcessor(String),

    /// The machine code of the built-in component is not what was built.
    #[error(
        "cannot load the built-in component: its machine code has changed since cprflow was built. Install cprflow \
         again, and check the disk and the memory of this machine"
    )]
    DamagedCode,

    /// The pool of instances is full.
    #[error(
        "cannot start the component: {slots} instances are running, and the pool has no room for more. Run fewer scans \
         at a time"
    )]
    PoolFull {
        /// The number of instances in the pool.
        slots: u32,
    },

    /// The system does not give cprflow the memory that the component needs.
    #[error(
        "cannot run the component: {0}. The system gives this process too little memory: raise the limit (`ulimit -v`, or \
         MemoryMax= of the systemd unit), or end other programs"
    )]
    NoMemory(String),

    /// The system does not give cprflow the file in which the memory of the component is.
    #[error(
        "cannot run the component: {0}. The engine keeps the component's memory in a file without a name, and the system \
         refuses it: raise the limit of file sizes (`ulimit -f`, or LimitFSIZE= of the systemd unit), or free some space"
    )]
    NoFile(String),

    /// The component asked for more memory than its limit ([`Limits::memory`](crate::Limits::memory)).
    #[error(
        "the component was stopped: it asked for more than {limit} bytes of memory. Raise this limit if it was \
         configured. Otherwise this is a bug in the component: report it with this message"
    )]
    Memory {
        /// The limit in bytes.
        limit: usize,
    },

    /// A call took longer than its limit ([`Limits::call`](crate::Limits::call)).
    #[error(
        "the component was stopped: a call took longer than {limit:?}. Raise this limit if it was configured. Otherwise try \
         again when the machine has less to do. If that does not help, this is a bug in the component: report it with this \
         message"
    )]
    Deadline {
        /// The limit.
        limit: Duration,
    },

    /// All calls together took longer than their limit ([`Limits::total`](crate::Limits::total)).
    #[error(
        "the component was stopped: all its calls together took longer than {limit:?}. Raise this limit if it was \
         configured. Otherwise try again when the machine has less to do. If that does not help, this is a bug in the \
         component: report it with this message"
    )]
    Time {
        /// The limit.
        limit: Duration,
    },

    /// The component returned more than a limit, or held more.
    #[error(
        "the component was stopped: more than {at_most} {limit}. Raise this limit if it was configured. Otherwise this \
         is a bug in the component: report it with this message"
    )]
    Limit {
        /// The limit.
        limit: LimitKind,
        /// The value of the limit.
        at_most: u64,
    },

    /// The component trapped: it stopped itself or did something that WebAssembly does not allow.
    #[error(
        "the component trapped: {0}. This is a bug in the component: report it with this message"
    )]
    Trapped(String),

    /// The component returned something that the contract does not allow.
    #[error(
        "the component violates the contract: {0}. This is a bug in the component: report it with this message"
    )]
    Misbehaved(String),

    /// Any other of these errors, in the scan of a tenant.
    #[error("tenant {tenant}: {error}")]
    OfTenant {
        /// The tenant's name.
        tenant: String,
        /// The error.
        error: Box<ComponentError>,
    },
}

impl ComponentError {
    /// Converts an error of the engine about a component that cannot be loaded.
    pub(crate) fn invalid(error: wasmtime::Error) -> Self {
        let why = redact(&format!("{error:#}"));
        Self::Invalid(format!(
            "{why}. Build it again against the interfaces in wit/"
        ))
    }

    /// Returns [`Misbehaved`](Self::Misbehaved) with a text of this crate.
    pub(crate) fn misbehaved(what: &str) -> Self {
        Self::Misbehaved(what.to_owned())
    }

    /// Returns the error without the tenant.
    pub fn cause(&self) -> &Self {
        match self {
            Self::OfTenant { error, .. } => error.cause(),
            other => other,
        }
    }

    /// Returns the name of the tenant whose scan failed, if it has one.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::OfTenant { tenant, .. } => Some(tenant),
            _ => None,
        }
    }
}
