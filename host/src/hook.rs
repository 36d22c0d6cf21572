//! Named points at which a test can stop the program, to kill it there or to change the world around it.

/// Stops here if the environment asks for it: `CPRFLOW_STOP_AT=<name>`, until the file `CPRFLOW_GO_ON` is there.
///
/// Only builds with the feature `test-hooks` have it; in all others this is nothing.
#[cfg(feature = "test-hooks")]
pub(crate) fn reached(point: &str) {
    let asked = std::env::var("CPRFLOW_STOP_AT");
    if asked.is_ok_and(|asked| asked == point) {
        use std::io::Write;
        // The test waits for this line; if nobody listens, stopping is still right.
        let _ = writeln!(std::io::stderr(), "stopped at {point}");
        let go_on = std::env::var_os("CPRFLOW_GO_ON").unwrap_or_default();
        while !std::path::Path::new(&go_on).is_file() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// The same for one tenant: `CPRFLOW_STOP_AT=<name>:<tenant>` stops where it is the tenant's turn. With
/// `CPRFLOW_PANIC_AT=<name>:<tenant>` there is a bug.
#[cfg(feature = "test-hooks")]
pub(crate) fn reached_by(point: &str, tenant: &str) {
    let own = format!("{point}:{tenant}");
    let asked = std::env::var("CPRFLOW_PANIC_AT");
    if asked.is_ok_and(|asked| asked == own) {
        // What a panic says may be anything, a person's data among it.
        let said = std::env::var("CPRFLOW_PANIC_WITH").unwrap_or_default();
        std::panic::panic_any(said);
    }
    reached(&own);
    reached(point);
}

/// Nothing.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn reached(_point: &str) {}

/// Nothing.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn reached_by(_point: &str, _tenant: &str) {}

/// The time that a test says it is: `CPRFLOW_NOW=<RFC 3339>`.
#[cfg(feature = "test-hooks")]
pub(crate) fn now() -> Option<jiff::Timestamp> {
    std::env::var("CPRFLOW_NOW").ok()?.parse().ok()
}

/// None: the clock tells the time.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn now() -> Option<jiff::Timestamp> {
    None
}
