//! A policy checked against the layouts, ready to be applied to records.

use super::{LeaverRule, NumberRule, Policy, ProtectionRule, View};
use crate::columns::schema::TableId;
use crate::error::Error;
use crate::grammar;
use crate::layout::{self, Sensitivity};
use crate::predicate::{Comparable, Predicate};

/// The checked form of a policy.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) view: View,
    /// The day that the policy names, as a day number.
    pub(crate) day: Option<i32>,
    pub(crate) protection: ProtectionRule,
    pub(crate) numbers: NumberRule,
    pub(crate) leavers: LeaverRule,
    /// The row predicates, by index in [`layout::tables`].
    rows: Vec<Option<Predicate>>,
    shows_religion: bool,
}

impl Rules {
    /// Checks a policy. Fails if it names something that does not exist or that it hides.
    pub(crate) fn new(policy: &Policy) -> Result<Self, Error> {
        let day = match &policy.day {
            Some(text) => Some(grammar::date(text.as_bytes()).ok_or_else(|| {
                Error::InvalidRequest(format!(
                    "the policy's day {text:?} is not a date of the form YYYY-MM-DD"
                ))
            })?),
            None => None,
        };
        let shows_religion = policy.allows_religion();
        check_events(policy, shows_religion)?;
        let view = View::new(policy)?;
        let mut rows: Vec<Option<Predicate>> = layout::tables().iter().map(|_| None).collect();
        for (name, text) in &policy.rows {
            let indexes = layout::tables().iter().zip(&mut rows);
            let Some((table, index)) = indexes.into_iter().find(|(t, _)| t.name == *name) else {
                continue;
            };
            let columns = TableId::Layout(table).columns();
            let columns = Comparable::all(&columns);
            *index = Some(Predicate::new(text, &columns).map_err(|error| {
                Error::InvalidRequest(format!(
                    "the condition on rows of the table {name:?} cannot be read: {error}"
                ))
            })?);
        }
        Ok(Self {
            view,
            day,
            protection: policy.protection,
            numbers: policy.numbers,
            leavers: policy.leavers,
            rows,
            shows_religion,
        })
    }

    /// Returns the row predicate of the table at that index, if there is one.
    pub(crate) fn rows(&self, index: usize) -> Option<&Predicate> {
        self.rows.get(index)?.as_ref()
    }

    /// Returns whether the record is an event that reveals church membership while religion is hidden.
    #[inline]
    pub(crate) fn hides_event(&self, table: &layout::Table, record: &[u8]) -> bool {
        if self.shows_religion {
            return false;
        }
        let events = table.religious_events();
        let code = || {
            let column = table.column(layout::EVENT_CODE)?;
            record.get(column.start()..column.end())
        };
        !events.is_empty() && code().is_some_and(|code| events.iter().any(|e| e.as_bytes() == code))
    }
}

/// Refuses a filter by church events while religion is hidden: being selected would reveal the membership.
fn check_events(policy: &Policy, shows_religion: bool) -> Result<(), Error> {
    let events = layout::tables().iter().flat_map(|t| t.religious_events());
    let wanted = policy.persons.event_codes.iter().flatten();
    for event in events {
        if !shows_religion && wanted.clone().any(|code| code == event) {
            return Err(Error::InvalidRequest(format!(
                "the policy selects persons by the event {event}, which reveals church membership, but hides its \
                 class {:?}: allow the class or leave the event out",
                Sensitivity::Religion.name()
            )));
        }
    }
    Ok(())
}
