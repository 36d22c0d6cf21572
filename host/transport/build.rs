//! Fails the build if it would use the system's libssh2, because those versions have a known vulnerability.

use std::env;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=LIBSSH2_SYS_USE_PKG_CONFIG");
    if env::var_os("LIBSSH2_SYS_USE_PKG_CONFIG").is_some() {
        return Err(
            "LIBSSH2_SYS_USE_PKG_CONFIG is set, so the system's libssh2 would be used. Distributions ship libssh2 \
             1.11.1 or older, in which a server can attack its clients (CVE-2026-55200). Unset the variable to build \
             the bundled copy, which has the fix"
                .into(),
        );
    }
    Ok(())
}
