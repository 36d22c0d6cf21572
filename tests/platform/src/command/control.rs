//! Orders to a running stand-in, over a socket in its directory: one line in, text out.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use cprflow_platform::{Fault, Hazard, Platform};

use super::Failure;

/// Takes orders until it is dropped.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    pub(super) fn start(platform: Arc<Platform>) -> Result<Self, Failure> {
        let path = socket(platform.directory());
        if UnixStream::connect(&path).is_ok() {
            let directory = platform.directory().display();
            let why = format!("a stand-in is running in {directory} already");
            return Err(Failure::Usage(why));
        }
        // One that was killed leaves its socket behind.
        let _was_there = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|error| about(&path, &error))?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_stopping);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    break;
                }
                // Whoever gives an order and leaves gets no answer.
                let _answered = attend(&platform, stream);
            }
        });
        Ok(Self {
            path,
            is_stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let _woken = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        let _removed = fs::remove_file(&self.path);
    }
}

/// Gives an order to the stand-in of that directory and gives what it says.
pub(super) fn send(directory: &Path, order: &str) -> Result<String, Failure> {
    let path = socket(directory);
    let failed = |error: io::Error| {
        let directory = directory.display();
        Failure::Usage(format!("no stand-in answers in {directory}: {error}"))
    };
    let mut stream = UnixStream::connect(&path).map_err(failed)?;
    writeln!(stream, "{order}").map_err(failed)?;
    let mut said = String::new();
    stream.read_to_string(&mut said).map_err(failed)?;
    match said.strip_prefix("error: ") {
        Some(why) => Err(Failure::Usage(why.trim_end().to_owned())),
        None => Ok(said),
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("control.sock")
}

fn attend(platform: &Platform, stream: UnixStream) -> io::Result<()> {
    let mut order = String::new();
    let mut reader = BufReader::new(stream).take(1024);
    reader.read_line(&mut order)?;
    let said = match obey(platform, order.trim_end()) {
        Ok(said) => said,
        Err(failure) => format!("error: {failure}\n"),
    };
    reader.into_inner().get_mut().write_all(said.as_bytes())
}

fn obey(platform: &Platform, order: &str) -> Result<String, Failure> {
    let words: Vec<_> = order.split(' ').collect();
    let number = |word: &str| {
        let number = word.parse::<u32>();
        number.map_err(|_| Failure::Usage(format!("{word} is no number")))
    };
    match words[..] {
        ["night", count] => nights(platform, number(count)?),
        ["arm", name, times] => {
            let unknown = || Failure::Usage(format!("there is no fault {name}: see --faults"));
            let fault = Fault::named(name).ok_or_else(unknown)?;
            platform.arm(&fault, number(times)? as usize);
            Ok(format!("the next {times} meet {name}\n"))
        }
        ["hazard", name, times] => {
            let unknown = || Failure::Usage(format!("there is no hazard {name}: see --faults"));
            let hazard = Hazard::named(name).ok_or_else(unknown)?;
            platform.arm_hazard(hazard, number(times)? as usize);
            Ok(format!("the next {times} meet {name}\n"))
        }
        ["complete"] => {
            let count = platform.complete_uploads()?;
            Ok(format!("{count} uploads completed\n"))
        }
        ["seen"] => {
            let mut said = String::new();
            for seen in platform.seen() {
                let _written = writeln!(said, "{seen:?}");
            }
            Ok(said)
        }
        _ => Err(Failure::Usage("an order that nobody knows".to_owned())),
    }
}

fn nights(platform: &Platform, count: u32) -> Result<String, Failure> {
    let mut said = String::new();
    for _ in 0..count {
        let night = platform.night()?;
        let _written = writeln!(
            said,
            "night {} of {}: {} deliveries",
            night.number,
            night.day,
            night.deliveries.len()
        );
        for delivered in &night.deliveries {
            let _written = writeln!(
                said,
                "  {}: {} loaded, {} changed, {} bytes",
                delivered.name,
                delivered.loaded.len(),
                delivered.changed.len(),
                delivered.bytes.len()
            );
        }
    }
    Ok(said)
}

fn about(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", path.display()))
}
