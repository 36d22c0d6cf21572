//! The log: events of cprflow go to the logger `cprflow` of Python's `logging`.
//!
//! An event waits until a thread has Python's global lock anyway. So a thread that logs never waits for Python, and no
//! lock of this library is held while Python's handlers run.

use std::fmt::{self, Write};
use std::mem::take;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The largest number of waiting events. Further events are dropped.
const MAX_WAITING: usize = 1_000;

static WAITING: Mutex<Vec<Record>> = Mutex::new(Vec::new());

/// The number of waiting events: usually 0, and then nothing is locked.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An event as Python's `logging` takes it.
struct Record {
    level: u8,
    text: String,
}

/// Starts to keep events. Events of libraries are left out, because only those of cprflow are known to contain no
/// personal data.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let cprflow = Targets::new().with_target("cprflow", Level::DEBUG);
        let log = tracing_subscriber::registry().with(Keep.with_filter(cprflow));
        // The command has a log of its own, which stays.
        let _ = tracing::subscriber::set_global_default(log);
    });
}

/// Hands the waiting events to Python. Fails if a handler raises an exception, for example `KeyboardInterrupt`.
pub(crate) fn deliver(py: Python<'_>) -> PyResult<()> {
    if COUNT.load(Ordering::Relaxed) == 0 {
        return Ok(());
    }
    let records = {
        let mut waiting = waiting();
        COUNT.store(0, Ordering::Relaxed);
        take(&mut *waiting)
    };
    let logger = py
        .import("logging")?
        .call_method1("getLogger", ("cprflow",))?;
    for record in records {
        logger.call_method1("log", (record.level, "%s", record.text))?;
    }
    Ok(())
}

fn waiting() -> MutexGuard<'static, Vec<Record>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps events with the fields of the spans around them.
struct Keep;

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.others.push_str(&outer.others);
            }
        }
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            Level::INFO => 20,
            _ => 10,
        };
        let text = match fields.message.is_empty() {
            true => fields.others.trim_start().to_owned(),
            false => fields.message + &fields.others,
        };
        let mut waiting = waiting();
        if waiting.len() < MAX_WAITING {
            waiting.push(Record { level, text });
            COUNT.store(waiting.len(), Ordering::Relaxed);
        }
    }
}

/// The fields of an event or a span as text.
#[derive(Default)]
struct Fields {
    message: String,
    /// The other fields, each after a space.
    others: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}
