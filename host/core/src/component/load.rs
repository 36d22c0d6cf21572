//! Loads components that are not trusted. They are first compiled in a child process.
//!
//! A malicious component can be made so that compiling it takes very much time and memory. The child process has limits
//! on both, and puts the compiled code into wasmtime's cache, where this process finds it. Without a cache this process
//! compiles the component again, but only after the child has shown that it ends within the limits.
//!
//! All of it needs the feature `compiler`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::Connector;
use crate::error::{ComponentError, Error};
use crate::redact::redact;
use crate::sandbox::{Limits, compiler};

/// The largest size of a component in bytes (32 MiB). cprflow's own has about one million bytes.
pub(super) const MAX_COMPONENT: u64 = 32 << 20;

/// Loads components that are not trusted, within limits on compiling them. Without the feature `compiler`, loading
/// fails.
///
/// ```no_run
/// use cprflow::Loader;
///
/// let connector = Loader::new("/usr/bin/cprflow").file("their-component.wasm".as_ref())?;
/// println!("{} tables", connector.catalog().tables().len());
/// # Ok::<(), cprflow::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    compiler: PathBuf,
    arguments: Vec<OsString>,
    size: u64,
    time: Duration,
    memory: u64,
    limits: Limits,
}

/// Ends a child process whose work cannot be followed. It may have ended by itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Loader {
    /// Creates a loader with default limits. `compiler` is the command `cprflow` of the same version as this crate.
    pub fn new(compiler: impl Into<PathBuf>) -> Self {
        Self {
            compiler: compiler.into(),
            arguments: Vec::new(),
            size: MAX_COMPONENT,
            time: Duration::from_secs(60),
            memory: 2 << 30,
            limits: Limits::default(),
        }
    }

    /// Sets the arguments that come before the subcommand. Default: none.
    ///
    /// For a compiler that is an interpreter, they name the command `cprflow` that it runs.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the largest size of a component in bytes. Default and maximum: 32 MiB.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes.min(MAX_COMPONENT);
        self
    }

    /// Sets the time limit of compiling. Default: 1 minute.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Sets the memory limit of compiling in bytes. Default: 2 GiB.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets the limits of the call that asks the component for its catalog.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Loads the component in this file.
    pub fn file(&self, path: &Path) -> Result<Connector, Error> {
        compiler::require()?;
        self.bytes(&read_bounded(path, self.size)?)
    }

    /// Loads the component of these bytes.
    pub fn bytes(&self, bytes: &[u8]) -> Result<Connector, Error> {
        compiler::require()?;
        check_form(bytes, self.size)?;
        self.compile_in_child(bytes)?;
        let hits = compiler::cache_hits();
        let connector = Connector::compile(bytes, self.limits)?;
        if compiler::cache_hits() == hits {
            tracing::debug!(
                "there is no cache of compiled code, so the component was compiled twice"
            );
        }
        Ok(connector)
    }

    /// Compiles a component in a child process.
    ///
    /// Fails if the component does not compile within the limits, or if the compiler is not `cprflow` of this version.
    fn compile_in_child(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut child = self.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (status, report) = thread::scope(|scope| {
            // A failed write is no error: the child may end before it has read all bytes.
            let write = move || stdin.map(|mut stdin| stdin.write_all(bytes).is_ok());
            let started = thread::Builder::new().spawn_scoped(scope, write);
            if let Err(error) = started {
                end(&mut child);
                return Err(Error::Thread(error));
            }
            let read = move || {
                let mut report = Vec::new();
                let read = stdout.map(|stdout| stdout.take(MAX_REPORT).read_to_end(&mut report));
                read.and_then(Result::ok)
                    .map(|_| report)
                    .unwrap_or_default()
            };
            let started = thread::Builder::new().spawn_scoped(scope, read);
            let report = started.map_err(|error| {
                end(&mut child);
                Error::Thread(error)
            })?;
            let status = self.wait(&mut child);
            Ok::<_, Error>((status, report.join().unwrap_or_default()))
        })?;
        let report = String::from_utf8_lossy(&report);
        let status = match status {
            Ok(Some(status)) => status,
            Ok(None) => return Err(self.exceeded("it was killed at the time limit")),
            Err(error) => return Err(ComponentError::Compiler(error.to_string()).into()),
        };
        match report.strip_prefix(REPORT_PREFIX).map(str::trim) {
            Some(COMPILED) if status.success() => Ok(()),
            Some(why) if status.code().is_some() && !why.is_empty() => {
                let why = redact(why);
                let what = format!("{why}. Build it again against the interfaces in wit/");
                Err(ComponentError::Invalid(what).into())
            }
            Some(_) => Err(self.exceeded(&end_of(status))),
            None => {
                let compiler = self.compiler.display();
                let what = format!(
                    "{compiler} is not cprflow {VERSION}; use the command of the same version as this library"
                );
                Err(ComponentError::Compiler(what).into())
            }
        }
    }

    fn spawn(&self) -> Result<Child, Error> {
        Command::new(&self.compiler)
            .args(&self.arguments)
            .arg(COMPILE)
            .arg(self.time.as_millis().to_string())
            .arg(self.memory.to_string())
            // Leaves processors to other processes.
            .env("RAYON_NUM_THREADS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let what = format!(
                    "{}: {error}. Check that this file is cprflow and can be run",
                    self.compiler.display()
                );
                ComponentError::Compiler(what).into()
            })
    }

    /// Waits for the child and returns its status, or `None` if it was killed at the time limit.
    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + self.time;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn exceeded(&self, how: &str) -> Error {
        let error = ComponentError::Compile {
            time: self.time,
            memory: self.memory,
            how: how.to_owned(),
        };
        error.into()
    }
}

/// The hidden command that runs [`compile_component`].
const COMPILE: &str = "compile-component";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The beginning of the child's report. It tells whether the command is `cprflow` of this version.
const REPORT_PREFIX: &str = concat!("cprflow ", env!("CARGO_PKG_VERSION"), " compiles: ");

/// The report of a successful child. Any other report is the reason of the failure.
const COMPILED: &str = "compiled";

/// The largest size of a report in bytes.
const MAX_REPORT: u64 = 16 << 10;

/// The interval between two checks of the child's status.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Compiles a component into the cache, for the child process of a [`Loader`].
///
/// It limits the processor time and memory of its own process, reads the component from `input` and writes a report for
/// the parent process to `output`. Fails if the limits cannot be set, or if reading or writing fails.
pub fn compile_component(
    time: Duration,
    memory: u64,
    input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    let limit = |resource, at_most: u64| {
        let limit = Rlimit {
            current: Some(at_most),
            maximum: Some(at_most),
        };
        setrlimit(resource, limit)
    };
    // Limits writable memory, not address space, because allocators reserve more address space than they use.
    limit(Resource::Data, memory)?;
    limit(Resource::Cpu, time.as_secs() + 1)?;
    limit(Resource::Core, 0)?;
    output.write_all(REPORT_PREFIX.as_bytes())?;
    output.flush()?;
    let mut bytes = Vec::new();
    input.take(MAX_COMPONENT).read_to_end(&mut bytes)?;
    match compiler::compile_into_cache(&bytes) {
        Ok(()) => output.write_all(COMPILED.as_bytes())?,
        Err(error) => output.write_all(redact(&error).as_bytes())?,
    }
    output.flush()
}

/// Reads a file, up to one byte more than `limit`.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(Error::file(path))?;
    Ok(bytes)
}

/// Checks the size and the first bytes of a component.
pub(super) fn check_form(bytes: &[u8], limit: u64) -> Result<(), ComponentError> {
    if bytes.len() as u64 > limit {
        return Err(ComponentError::TooLarge { limit });
    }
    let invalid = |what: &str| {
        Err(ComponentError::Invalid(format!(
            "{what}. Name a component that was built for the target wasm32-wasip2"
        )))
    };
    match bytes.first_chunk::<8>() {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(ComponentError::CoreModule),
        Some([0, b'a', b's', b'm', ..]) => {
            invalid("it is in another version of WebAssembly's binary format")
        }
        Some([0x7f, b'E', b'L', b'F', ..]) => invalid("it is compiled already"),
        _ if bytes.is_empty() => invalid("it is empty"),
        _ => invalid("it is not in WebAssembly's binary format"),
    }
}

/// Returns how a process ended that did not report a reason.
fn end_of(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("it ended by signal {signal}"),
        None => "it ended without a report".to_owned(),
    }
}
