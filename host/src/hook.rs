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

/// Nothing.
#[cfg(not(feature = "test-hooks"))]
pub(crate) fn reached(_point: &str) {}

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
