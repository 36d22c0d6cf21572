//! Errors and panics as Python exceptions. The classes are in `python/cprflow/_errors.py`.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use arrow::error::ArrowError;
use cprflow::Error as ExtractError;
use cprflow_delivery::Error;
use cprflow_delivery::config::ConfigurationError;
use cprflow_delivery::sync::TenantPublishError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

/// Why something failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the crates below.
    Error(Box<Error>),
    /// The extract was read, and a finding says that it cannot be trusted.
    Finding {
        /// The code of the finding.
        code: String,
        /// The message for people.
        message: String,
    },
    /// A panic at this place. Its text can contain personal data, so it is not kept.
    Panic(String),
    /// A Python exception, for example `KeyboardInterrupt`.
    Python(PyErr),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

impl Failure {
    /// Returns the failure of a wrong argument.
    pub(crate) fn request(what: impl Into<String>) -> Self {
        let error = cprflow::RequestError::Refused(what.into());
        ExtractError::from(error).into()
    }

    /// Returns the failure as an error of an Arrow stream, which keeps its text only.
    pub(crate) fn into_arrow(self) -> ArrowError {
        let text = match self {
            Self::Error(error) => return ArrowError::ExternalError(error),
            Self::Finding { message, .. } => message,
            Self::Panic(place) => panic_message(&place),
            Self::Python(error) => error.to_string(),
        };
        ArrowError::ExternalError(text.into())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| match failure {
            Failure::Python(error) => error,
            Failure::Panic(place) => exception(py, "InternalError", &panic_message(&place), []),
            Failure::Finding { code, message } => {
                exception(py, "DataError", &message, [("kind", Some(code))])
            }
            Failure::Error(error) => of_error(py, &error),
        })
    }
}

/// Runs work and turns a panic into a failure.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(ended) => ended,
        Err(_) => Err(Failure::Panic(PLACE.take().unwrap_or_default())),
    }
}

/// Runs work without Python's global lock, so that other Python threads can run. Then hands what it logged to Python.
pub(crate) fn detached<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    crate::log::start();
    let done = py.detach(|| guard(work));
    crate::log::deliver(py).map_err(Failure::Python)?;
    done
}

thread_local! {
    /// The place of the last panic in this thread.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps panics of this library from printing their text, which can contain personal data.
pub(crate) fn hide_panics() {
    set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        PLACE.replace(place);
    }));
}

fn panic_message(place: &str) -> String {
    let place = match place {
        "" => "an unknown location",
        place => place,
    };
    format!(
        "internal error at {place}: this is a bug in cprflow. Report it with this location and cprflow.__version__"
    )
}

fn of_error(py: Python<'_>, error: &Error) -> PyErr {
    let text = match error {
        // Its own text names the option of the command.
        Error::TenantPublish(TenantPublishError::AgreementNotNamed { tenant, agreements }) => {
            format!(
                "tenant {tenant} may see data of several agreements. Name the one of this extract with agreement=: \
                 {agreements}"
            )
        }
        error => error.to_string(),
    };
    let extract = match error {
        Error::Extract(extract) => extract,
        Error::File { error, .. } => return file_error(py, &text, error),
        other => return exception(py, class(other), &text, []),
    };
    match extract {
        ExtractError::Data(data) => {
            let number = |number: Option<u64>| number.map(|number| number.to_string());
            let error = exception(
                py,
                "DataError",
                &text,
                [("kind", Some(data.kind.code().to_owned()))],
            );
            let value = error.value(py);
            // The class has these attributes, so setting them cannot fail.
            for (name, number) in [("line", number(data.line)), ("offset", number(data.offset))] {
                let number = number.and_then(|number| number.parse::<u64>().ok());
                let _ = value.setattr(name, number);
            }
            error
        }
        ExtractError::Input(error) | ExtractError::File { error, .. } => {
            file_error(py, &text, error)
        }
        ExtractError::Metadata(_) => exception(py, "DataError", &text, []),
        ExtractError::Subscription(_) => exception(py, "ServerError", &text, []),
        ExtractError::Request(_) => exception(py, "RequestError", &text, []),
        ExtractError::Component(_) => exception(py, "ComponentError", &text, []),
        ExtractError::Parquet { .. } | ExtractError::Tables { .. } => {
            exception(py, "DatasetError", &text, [])
        }
        _ => exception(py, "Error", &text, []),
    }
}

/// Returns the class of an error, by whose fault it is.
fn class(error: &Error) -> &'static str {
    match error {
        Error::Configuration(
            ConfigurationError::UnknownTenant { .. } | ConfigurationError::NoTenant,
        ) => "RequestError",
        Error::Configuration(_) | Error::Secret(_) | Error::HashKey(_) | Error::Group { .. } => {
            "ConfigurationError"
        }
        Error::Transport(_) | Error::Soap(_) | Error::Subscription(_) => "ServerError",
        Error::Operator(_) | Error::SqlViews(_) | Error::TenantPublish(_) => "RequestError",
        Error::Incomplete { .. } => "DataError",
        Error::TenantLimit { .. } | Error::TenantBound { .. } | Error::TenantStuck { .. } => {
            "ComponentError"
        }
        Error::Bug => "InternalError",
        Error::DatasetDirectory(_)
        | Error::Dataset { .. }
        | Error::InUse(_)
        | Error::Ledger(_)
        | Error::Sync(_) => "DatasetError",
        _ => "Error",
    }
}

fn file_error(py: Python<'_>, text: &str, error: &io::Error) -> PyErr {
    let exception = exception(py, "FileError", text, []);
    // `OSError` has this attribute, so setting it cannot fail.
    let _ = exception.value(py).setattr("errno", error.raw_os_error());
    exception
}

/// Creates an exception of a class of the package, with attributes.
fn exception<const N: usize>(
    py: Python<'_>,
    class: &'static str,
    text: &str,
    attributes: [(&str, Option<String>); N],
) -> PyErr {
    static ERRORS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let errors = ERRORS.get_or_try_init(py, || Ok(py.import("cprflow._errors")?.unbind()));
    let create = |errors: &Py<PyModule>| {
        let exception = errors.bind(py).getattr(class)?.call1((text,))?;
        for (name, value) in attributes {
            exception.setattr(name, value)?;
        }
        Ok(PyErr::from_value(exception))
    };
    errors.and_then(create).unwrap_or_else(|error| error)
}

/// Returns a dictionary of JSON values, for example of a manifest.
pub(crate) fn json_dict<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
) -> PyResult<Bound<'py, PyDict>> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|error| Failure::request(error.to_string()))?;
    let dict = py.import("json")?.call_method1("loads", (text,))?;
    Ok(dict.cast_into()?)
}
