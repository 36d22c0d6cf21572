//! Named points at which a test can stop the program, to kill it there or to change its surroundings.

/// Stops at this point if `CPRFLOW_STOP_AT=<name>` is set, until the file named by `CPRFLOW_GO_ON` exists. Panics if
/// `CPRFLOW_PANIC_AT=<name>` is set.
///
/// Only builds with the feature `test-hooks` stop; in all others this function does nothing.
#[cfg(feature = "test-hooks")]
pub(crate) fn reached(point: &str) {
    let is_asked = |variable| std::env::var(variable).is_ok_and(|asked| asked == point);
    if is_asked("CPRFLOW_PANIC_AT") {
        // The message of a panic may hold personal data. A test sets one to check that it is not printed.
        let message = std::env::var("CPRFLOW_PANIC_WITH").unwrap_or_default();
        std::panic::panic_any(message);
    }
    if is_asked("CPRFLOW_STOP_AT") {
        use std::io::Write;
        // The test waits for this line. Without a reader, the program still stops.
        let _ = writeln!(std::io::stderr(), "stopped at {point}");
        let go_on = std::env::var_os("CPRFLOW_GO_ON").unwrap_or_default();
        while !std::path::Path::new(&go_on).is_file() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Stops or panics at this point for one tenant or file if the variable is `<name>:<tenant>`, and for all if it is `<name>`.
#[cfg(feature = "test-hooks")]
pub(crate) fn reached_by(point: &str, tenant: &str) {
    reached(&format!("{point}:{tenant}"));
    reached(point);
}

/// Returns whether a test wants file systems to be unable to exchange two directories (`CPRFLOW_NO_EXCHANGE`).
#[cfg(feature = "test-hooks")]
pub(crate) fn lacks_exchange() -> bool {
    std::env::var_os("CPRFLOW_NO_EXCHANGE").is_some()
}

/// Returns `false`: without test hooks, the file system decides.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn lacks_exchange() -> bool {
    false
}

/// Does nothing in builds without test hooks.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn reached(_point: &str) {}

/// Does nothing in builds without test hooks.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn reached_by(_point: &str, _tenant: &str) {}

/// Returns the time that a test sets with `CPRFLOW_NOW=<RFC 3339>`.
#[cfg(feature = "test-hooks")]
pub(crate) fn now() -> Option<jiff::Timestamp> {
    std::env::var("CPRFLOW_NOW").ok()?.parse().ok()
}

/// Returns `None`: without test hooks, the clock gives the time.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn now() -> Option<jiff::Timestamp> {
    None
}
