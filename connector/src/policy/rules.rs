//! A policy held against the layouts: what a scan asks of it, record by record.

use super::{LeaverRule, NumberRule, Policy, ProtectionRule, View};
use crate::error::Error;
use crate::grammar;
use crate::layout::{self, Column, Sensitivity};
use crate::predicate::{Comparable, Predicate};
use crate::schema::TableId;

/// What a scan asks of a policy.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) view: View,
    /// The day that the policy names.
    pub(crate) day: Option<i32>,
    pub(crate) protection: ProtectionRule,
    pub(crate) numbers: NumberRule,
    pub(crate) leavers: LeaverRule,
    /// Which rows, by place in [`layout::tables`].
    rows: Vec<Option<Predicate>>,
    shows_religion: bool,
}

impl Rules {
    /// The rules of a policy; an error if it names what there is not, or what it hides.
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
            let places = layout::tables().iter().zip(&mut rows);
            let Some((table, place)) = places.into_iter().find(|(t, _)| t.name == *name) else {
                continue;
            };
            let columns = TableId::Layout(table).columns();
            let columns = Comparable::all(&columns);
            *place = Some(Predicate::new(text, &columns).map_err(|error| {
                Error::InvalidRequest(format!("the rows of the table {name:?}: {error}"))
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

    /// Which rows of the table at that place, as the policy says it.
    pub(crate) fn rows(&self, place: usize) -> Option<&Predicate> {
        self.rows.get(place)?.as_ref()
    }

    /// Whether the record tells of religion by its event, and religion is hidden.
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

    /// Whether `irregular` may show a column's raw text.
    pub(crate) fn tells_irregular(&self, column: &Column) -> bool {
        column.kind != layout::Kind::Pnr || self.numbers == NumberRule::Keep
    }
}

/// Choosing persons by an event of the church would tell who they are.
fn check_events(policy: &Policy, shows_religion: bool) -> Result<(), Error> {
    let events = layout::tables().iter().flat_map(|t| t.religious_events());
    let wanted = policy.persons.event_codes.iter().flatten();
    for event in events {
        if !shows_religion && wanted.clone().any(|code| code == event) {
            return Err(Error::InvalidRequest(format!(
                "the policy chooses persons by the event {event}, which tells of church membership, and hides its \
                 class {:?}: allow the class or leave the event out",
                Sensitivity::Religion.name()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
