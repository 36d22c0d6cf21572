//! Checks the clock before something is removed because of its age.

use jiff::Timestamp;

use super::plan::Clock;
use crate::calendar::danish_time;
use crate::config::Store;
use crate::error::Error;
use crate::ledger::Ledger;

/// Fails if the clock is far ahead of the current tables and the extracts of a store, and no person has said that it is
/// right. Without current tables, the clock cannot be compared.
pub(crate) fn check_clock(store: &Store, ledger: &Ledger, now: Timestamp) -> Result<(), Error> {
    let Some(day) = ledger.newest_generation_day()? else {
        return Ok(());
    };
    let extracts = ledger.applied_extracts()?;
    let days = extracts.iter();
    let newest = days
        .filter_map(|kept| kept.production_date.parse().ok())
        .max();
    let clock = Clock {
        today: danish_time(now).date(),
        newest,
        is_accepted: store.accept_clock,
    };
    clock.check(&day)?;
    Ok(())
}
