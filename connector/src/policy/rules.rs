//! A policy checked against the layouts, ready to be applied to records.

use super::row_rules::ShownClasses;
use super::{LeaverRule, NumberRule, Policy, ProtectionRule, View};
use crate::columns::schema::{ColumnId, TableId};
use crate::error::Error;
use crate::grammar;
use crate::layout::{self, EVENT_CLASSES, Sensitivity, Table, class_of};
use crate::predicate::{Comparable, Predicate};

/// The checked form of a policy.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) view: View,
    /// The day that the policy names, as a day number.
    pub(crate) day: Option<i32>,
    /// The day in place of the production date, as a day number.
    pub(crate) as_of: Option<i32>,
    pub(crate) protection: ProtectionRule,
    pub(crate) numbers: NumberRule,
    pub(crate) leavers: LeaverRule,
    /// The row predicates, by index in [`layout::tables`].
    rows: Vec<Option<Predicate>>,
    /// Whether the policy shows everything of the persons in scope, unchanged.
    pub(super) hides_nothing: bool,
    /// Whether persons and rows may be selected by what the classes hide.
    pub(crate) may_reveal: bool,
    pub(super) shown: ShownClasses,
}

impl Rules {
    /// Checks a policy. Fails if it names something that does not exist or that it hides.
    pub(crate) fn new(policy: &Policy) -> Result<Self, Error> {
        let day = day_number("day", policy.day.as_deref())?;
        let as_of = day_number("as-of", policy.as_of.as_deref())?;
        let shown = ShownClasses::new(|class| policy.allows(class));
        let view = View::new(policy)?;
        if !policy.may_reveal {
            check_persons(policy, &shown)?;
        }
        let mut rows: Vec<Option<Predicate>> = layout::tables().iter().map(|_| None).collect();
        for (name, text) in &policy.rows {
            let indexes = layout::tables().iter().zip(&mut rows);
            let Some((table, index)) = indexes.into_iter().find(|(t, _)| t.name == *name) else {
                continue;
            };
            let columns = TableId::Layout(table).columns();
            let columns = match policy.may_reveal || policy.numbers != NumberRule::Pseudonym {
                true => Comparable::all(&columns),
                false => Comparable::pseudonymous(&columns),
            };
            let predicate = Predicate::new(text, &columns).map_err(|error| {
                Error::InvalidRequest(format!(
                    "the condition on rows of the table {name:?} cannot be read: {error}"
                ))
            })?;
            if predicate.columns().contains(&ColumnId::Line) {
                return Err(Error::InvalidRequest(format!(
                    "the condition on rows of the table {name:?} names the column \"line\", which a policy with such a \
                     condition hides: select rows by another column"
                )));
            }
            if !policy.may_reveal {
                check_rows(policy, &shown, table, &predicate)?;
            }
            *index = Some(predicate);
        }
        Ok(Self {
            view,
            day,
            as_of,
            protection: policy.protection,
            numbers: policy.numbers,
            leavers: policy.leavers,
            rows,
            hides_nothing: policy.hides_nothing(),
            may_reveal: policy.may_reveal,
            shown,
        })
    }

    /// Checks a policy for a scan of a state. Fails like [`new`](Self::new).
    pub(crate) fn of_state(policy: &Policy) -> Result<Self, Error> {
        let mut rules = Self::new(policy)?;
        rules.view = rules.view.of_state(policy.numbers);
        Ok(rules)
    }

    /// Returns the row predicate of the table at that index, if there is one.
    pub(crate) fn rows(&self, index: usize) -> Option<&Predicate> {
        self.rows.get(index)?.as_ref()
    }
}

/// Refuses a filter on persons by what the policy hides: being selected would reveal it.
fn check_persons(policy: &Policy, shown: &ShownClasses) -> Result<(), Error> {
    let address = Sensitivity::Address.name();
    if policy.persons.municipality_codes.is_some() && !policy.allows(address) {
        return Err(reveals(&format!(
            "persons by municipality_codes but hides the class {address:?}"
        )));
    }
    if policy.persons.numbers.is_some() && policy.numbers != NumberRule::Keep {
        return Err(reveals(
            "persons by a list of person numbers but does not show person numbers",
        ));
    }
    check_events(
        shown,
        policy.persons.event_codes.iter().flatten(),
        "persons",
    )
}

/// Refuses a condition on rows by what the policy hides.
fn check_rows(
    policy: &Policy,
    shown: &ShownClasses,
    table: &'static Table,
    predicate: &Predicate,
) -> Result<(), Error> {
    for column in predicate.columns() {
        if let ColumnId::Field(field) = column
            && let Some(why) = policy.why_hidden(field)
        {
            return Err(reveals(&format!(
                "rows of the table {:?} by the column {:?} but hides it: {why}",
                table.name, field.name
            )));
        }
    }
    let events = predicate.texts_of(layout::EVENT_CODE);
    check_events(shown, events.iter(), "rows")
}

fn check_events(
    shown: &ShownClasses,
    mut codes: impl Iterator<Item = impl AsRef<str>>,
    what: &str,
) -> Result<(), Error> {
    let hidden = codes.find(|code| !shown.shows_event(code.as_ref().as_bytes()));
    let Some(code) = hidden else {
        return Ok(());
    };
    let code = code.as_ref();
    let classes = match class_of(EVENT_CLASSES, code.as_bytes()) {
        Some(event) => format!("of the classes {}", event.classes.join(", ")),
        None => "of unknown meaning".to_owned(),
    };
    Err(reveals(&format!(
        "{what} by the event {code}, which is {classes}, but hides such events"
    )))
}

/// Creates the error for a policy that selects by what it hides.
fn reveals(what: &str) -> Error {
    Error::InvalidRequest(format!(
        "the policy selects {what}. Being selected reveals it: allow the class, select by something else, or set \
         may_reveal"
    ))
}

/// Reads a day of a policy as a day number.
fn day_number(name: &str, text: Option<&str>) -> Result<Option<i32>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    let day = grammar::date(text.as_bytes()).ok_or_else(|| {
        Error::InvalidRequest(format!(
            "the policy's {name} {text:?} is not a date of the form YYYY-MM-DD"
        ))
    })?;
    Ok(Some(day))
}
