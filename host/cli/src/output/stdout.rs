//! Standard output, and whether it is closed.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output was closed when the program began.
static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Returns standard output, without colours if it is no terminal. Fails if it is closed.
pub(crate) fn stdout() -> io::Result<anstream::AutoStream<io::StdoutLock<'static>>> {
    check()?;
    Ok(anstream::stdout().lock())
}

/// Returns standard output as it is, for data. Fails if it is closed.
pub(crate) fn raw_stdout() -> io::Result<io::Stdout> {
    check()?;
    Ok(io::stdout())
}

/// Fails if standard output is closed. Rust's standard library would then drop what is written, without an error.
fn check() -> io::Result<()> {
    if WAS_CLOSED.load(Ordering::Relaxed) || is_closed() {
        return Err(io::Error::other("it is closed"));
    }
    Ok(())
}

fn is_closed() -> bool {
    rustix::io::fcntl_getfd(rustix::stdio::stdout()).is_err()
}

/// Runs before the start code of Rust's standard library, which opens `/dev/null` in place of a closed standard output.
extern "C" fn remember_closed() {
    WAS_CLOSED.store(is_closed(), Ordering::Relaxed);
}

// SAFETY: the loader calls every pointer in this section once, before `main`. The function has the type that it
// expects, does not unwind, and uses nothing that the start code of the standard library prepares: one system call and
// an atomic. The test `fails_if_standard_output_is_closed` runs it.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = remember_closed;
