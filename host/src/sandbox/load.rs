//! Components that are not ours: checked, compiled in a process of its own, and only then loaded.
//!
//! Compiling is work in proportion to what the component makes of it, so that one that is made to be slow to compile
//! can take a machine's time and memory. It is therefore rehearsed in a child process with limits of its own. What
//! that compiles goes to wasmtime's cache, where this process finds it: so it never compiles what the rehearsal has
//! not, and where there is no place for a cache, it only does over what has been seen to end within the limits.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::component::Component;

use super::engine::Machine;
use super::{Connector, Limits, tame};
use crate::error::{ComponentError, Error};

/// Bytes of a component at the most. cprflow's own has about one million.
pub(super) const MAX_COMPONENT: u64 = 32 << 20;

/// Loads components that are not ours.
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
    size: u64,
    time: Duration,
    memory: u64,
    limits: Limits,
}

impl Loader {
    /// One that compiles by this command: `cprflow` of the same version as this library.
    pub fn new(compiler: impl Into<PathBuf>) -> Self {
        Self {
            compiler: compiler.into(),
            size: MAX_COMPONENT,
            time: Duration::from_secs(60),
            memory: 2 << 30,
            limits: Limits::default(),
        }
    }

    /// Bytes of a component at the most: 32 MiB by default, and never more.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = bytes.min(MAX_COMPONENT);
        self
    }

    /// How long compiling may take, a minute by default.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Bytes of memory that compiling may take, 2 GiB by default.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// What the component may use while it is asked for its catalog.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The component in this file.
    pub fn file(&self, path: &Path) -> Result<Connector, Error> {
        self.bytes(&read_bounded(path, self.size)?)
    }

    /// The component of these bytes.
    pub fn bytes(&self, bytes: &[u8]) -> Result<Connector, Error> {
        check_form(bytes, self.size)?;
        self.rehearse(bytes)?;
        let cache = Machine::shared()?.cache.as_ref();
        let hits = cache.map(|cache| cache.cache_hits());
        let connector = Connector::compile(bytes, self.limits)?;
        if cache.map(|cache| cache.cache_hits()) == hits {
            tracing::debug!("no cache of compiled code: the component was compiled twice");
        }
        Ok(connector)
    }

    /// Compiles it in a child process.
    fn rehearse(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut child = self.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let (status, said) = thread::scope(|scope| {
            // It may end without reading it all.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(bytes).is_ok()));
            let said = scope.spawn(move || {
                let mut said = Vec::new();
                let read = stdout.map(|stdout| stdout.take(MAX_SAID).read_to_end(&mut said));
                read.and_then(Result::ok).map(|_| said).unwrap_or_default()
            });
            let status = self.wait(&mut child);
            (status, said.join().unwrap_or_default())
        });
        let said = String::from_utf8_lossy(&said);
        let status = match status {
            Ok(Some(status)) => status,
            Ok(None) => return Err(self.stopped("it was killed at the end of its time")),
            Err(error) => return Err(ComponentError::Compiler(error.to_string()).into()),
        };
        match said.strip_prefix(GREETING).map(str::trim) {
            Some(COMPILED) if status.success() => Ok(()),
            Some(why) if status.code().is_some() && !why.is_empty() => {
                Err(ComponentError::Invalid(tame(why)).into())
            }
            Some(_) => Err(self.stopped(&how(status))),
            None => {
                let compiler = self.compiler.display();
                let what = format!("{compiler} is no cprflow of version {VERSION}");
                Err(ComponentError::Compiler(what).into())
            }
        }
    }

    fn spawn(&self) -> Result<Child, Error> {
        Command::new(&self.compiler)
            .arg(COMPILE)
            .arg(self.time.as_millis().to_string())
            .arg(self.memory.to_string())
            // Others want the processor too.
            .env("RAYON_NUM_THREADS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                let what = format!("{}: {error}", self.compiler.display());
                ComponentError::Compiler(what).into()
            })
    }

    /// Waits for the child within its time; none if it had to be killed.
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
            thread::sleep(POLL);
        }
    }

    fn stopped(&self, how: &str) -> Error {
        let error = ComponentError::Compile {
            time: self.time,
            memory: self.memory,
            how: how.to_owned(),
        };
        error.into()
    }
}

/// The name of the command that compiles, which is for this module alone.
const COMPILE: &str = "compile-component";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the compiling process says first, so that no other program is taken for it.
const GREETING: &str = concat!("cprflow ", env!("CARGO_PKG_VERSION"), " compiles: ");

/// What it says at the end.
const COMPILED: &str = "compiled";

/// Bytes of what it says at the most.
const MAX_SAID: u64 = 16 << 10;

/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(5);

/// What the compiling process does: gives up all but so much time and memory, reads a component, and compiles it
/// into the cache. It tells the parent process how that went; an error is one of telling.
pub fn compile_component(
    time: Duration,
    memory: u64,
    input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    let limit = |resource, most: u64| {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
    };
    // Pages that can be written, not address space: allocators set more of that aside than they use.
    limit(Resource::Data, memory)?;
    limit(Resource::Cpu, time.as_secs() + 1)?;
    limit(Resource::Core, 0)?;
    output.write_all(GREETING.as_bytes())?;
    output.flush()?;
    let mut bytes = Vec::new();
    input.take(MAX_COMPONENT).read_to_end(&mut bytes)?;
    let compiled = Machine::compiler().and_then(|engine| Component::from_binary(&engine, &bytes));
    match compiled {
        Ok(_) => output.write_all(COMPILED.as_bytes())?,
        Err(error) => output.write_all(tame(&format!("{error:#}")).as_bytes())?,
    }
    output.flush()
}

/// The bytes of a file, if there are no more than so many.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(Error::file(path))?;
    Ok(bytes)
}

/// Refuses what cannot be a component by its size or its first bytes.
pub(super) fn check_form(bytes: &[u8], limit: u64) -> Result<(), ComponentError> {
    if bytes.len() as u64 > limit {
        return Err(ComponentError::TooLarge { limit });
    }
    let invalid = |what: &str| Err(ComponentError::Invalid(what.to_owned()));
    match bytes.first_chunk::<8>() {
        Some(b"\0asm\x0d\0\x01\0") => Ok(()),
        Some(b"\0asm\x01\0\0\0") => Err(ComponentError::CoreModule),
        Some([0, b'a', b's', b'm', ..]) => invalid("it is of another version of WebAssembly"),
        Some([0x7f, b'E', b'L', b'F', ..]) => {
            invalid("it is compiled already; only WebAssembly's binary format is taken")
        }
        _ if bytes.is_empty() => invalid("it is empty"),
        _ => invalid("it is not in WebAssembly's binary format"),
    }
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        Some(signal) => format!("it ended by signal {signal}"),
        None => "it ended without a word".to_owned(),
    }
}
