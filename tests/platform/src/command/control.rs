//! Requests to a running stand-in, over a Unix socket in its directory.
//!
//! A request is one line. The answer is text; it starts with `error: ` if the request failed.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use cprflow_connector::generate::Person;
use cprflow_platform::{DeliveryFault, Platform, ServiceEvent, ServiceFault};
use serde_json::{Value, json};

use super::CommandError;

/// Answers requests until it is dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    path: PathBuf,
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ControlSocket {
    pub(super) fn start(platform: Arc<Platform>) -> Result<Self, CommandError> {
        let path = socket(platform.directory());
        if UnixStream::connect(&path).is_ok() {
            let directory = platform.directory().display();
            let why = format!(
                "another stand-in is already running in {directory}. Stop it or use another --directory."
            );
            return Err(CommandError::Usage(why));
        }
        // A stand-in that was killed leaves its socket behind.
        let _was_there = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(|error| listen_error(&path, &error))?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_stopping);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if flag.load(Ordering::SeqCst) {
                    break;
                }
                // A client that closes the connection early gets no answer.
                let _answered = handle_connection(&platform, stream);
            }
        });
        Ok(Self {
            path,
            is_stopping,
            thread: Some(thread),
        })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        let _woken = UnixStream::connect(&self.path);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
        let _removed = fs::remove_file(&self.path);
    }
}

/// Sends a request to the stand-in of a directory and returns the answer.
pub(super) fn send(directory: &Path, request: &str) -> Result<String, CommandError> {
    let path = socket(directory);
    let directory = directory.display();
    let not_running = |error: io::Error| {
        CommandError::Usage(format!(
            "no stand-in is running in {directory}: {error}. Start one with \"cprflow-platform serve\"."
        ))
    };
    let failed = |error: io::Error| {
        CommandError::Usage(format!(
            "the stand-in in {directory} did not answer: {error}"
        ))
    };
    let mut stream = UnixStream::connect(&path).map_err(not_running)?;
    writeln!(stream, "{request}").map_err(failed)?;
    let mut output = String::new();
    stream.read_to_string(&mut output).map_err(failed)?;
    match output.strip_prefix("error: ") {
        Some(why) => Err(CommandError::Usage(why.trim_end().to_owned())),
        None => Ok(output),
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("control.sock")
}

fn handle_connection(platform: &Platform, stream: UnixStream) -> io::Result<()> {
    let mut request = String::new();
    let mut reader = BufReader::new(stream).take(1024);
    reader.read_line(&mut request)?;
    let output = match execute(platform, request.trim_end()) {
        Ok(output) => output,
        Err(error) => format!("error: {error}\n"),
    };
    reader.into_inner().get_mut().write_all(output.as_bytes())
}

fn execute(platform: &Platform, request: &str) -> Result<String, CommandError> {
    let words: Vec<_> = request.split(' ').collect();
    let number = |word: &str| {
        let number = word.parse::<u32>();
        number.map_err(|_| CommandError::Usage(format!("{word} is not a number")))
    };
    match words[..] {
        ["night", count] => run_nights(platform, number(count)?),
        ["arm", name, times] => {
            let unknown = || {
                CommandError::Usage(format!(
                    "unknown service fault {name}; see cprflow-platform --faults"
                ))
            };
            let fault = ServiceFault::from_name(name).ok_or_else(unknown)?;
            platform.arm(&fault, number(times)? as usize);
            Ok(format!("armed {name}, requests: {times}\n"))
        }
        ["hazard", name, times] => {
            let unknown = || {
                CommandError::Usage(format!(
                    "unknown delivery fault {name}; see cprflow-platform --faults"
                ))
            };
            let fault = DeliveryFault::from_name(name).ok_or_else(unknown)?;
            platform.arm_delivery_fault(fault, number(times)? as usize);
            Ok(format!("armed {name}, deliveries: {times}\n"))
        }
        ["complete"] => {
            let count = platform.complete_uploads()?;
            Ok(format!("completed uploads: {count}\n"))
        }
        ["seen", "json"] => {
            let events = platform.take_events();
            json_text(&events.iter().map(ServiceEvent::to_json).collect())
        }
        ["seen", _] => {
            let mut output = String::new();
            for event in platform.take_events() {
                let _written = writeln!(output, "{event}");
            }
            Ok(output)
        }
        ["persons", format] => persons(platform, format, None),
        ["persons", format, code] => persons(platform, format, Some(code)),
        _ => Err(CommandError::Usage("unknown request".to_owned())),
    }
}

/// Returns the persons of the population, or of one municipality: as JSON, or one person number in each line.
fn persons(
    platform: &Platform,
    format: &str,
    municipality: Option<&str>,
) -> Result<String, CommandError> {
    let mut persons = platform.persons()?;
    if let Some(code) = municipality {
        persons.retain(|person| person.municipality_code() == Some(code));
    }
    if format != "json" {
        let lines = persons
            .iter()
            .map(|person| format!("{}\n", person.number()));
        return Ok(lines.collect());
    }
    let object = |person: &Person| {
        json!({
            "pnr": person.number(),
            "current_pnr": person.current_number(),
            "status": person.status(),
            "birth_date": person.birth_date().to_string(),
            "municipality_code": person.municipality_code(),
            "is_protected": person.is_protected(),
        })
    };
    json_text(&persons.iter().map(object).collect())
}

fn json_text(values: &Vec<Value>) -> Result<String, CommandError> {
    let text = serde_json::to_string_pretty(values);
    let text = text.map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(text + "\n")
}

fn run_nights(platform: &Platform, count: u32) -> Result<String, CommandError> {
    let mut output = String::new();
    for _ in 0..count {
        let night = platform.run_night()?;
        let _written = writeln!(
            output,
            "nightly run {}, production date {}, deliveries: {}",
            night.number,
            night.day,
            night.deliveries.len()
        );
        for delivered in &night.deliveries {
            let _written = writeln!(
                output,
                "  {}: {} persons in full, {} persons with changes, {} bytes",
                delivered.name,
                delivered.loaded.len(),
                delivered.changed.len(),
                delivered.bytes.len()
            );
        }
    }
    Ok(output)
}

fn listen_error(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Usage(format!("cannot listen on {}: {error}", path.display()))
}
