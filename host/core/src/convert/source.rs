//! Conversions of the interface `source`: policies go in; counts, summaries and errors come out.

use crate::catalog::Catalog;
use crate::copy::CopyReport;
use crate::error::{ComponentError, DataError, DataErrorKind, Error, LimitKind, RequestError};
use crate::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use crate::redact::redact;
use crate::scan::{ExtractPlace, SelectionCounts};
use crate::summary::{Finding, FindingPlace, Level, Shape, StartRecord, Summary, TableCount};
use crate::wit::source as wit;

/// The largest number of findings in a summary. There are some dozens of codes.
const MAX_FINDINGS: usize = 1_000;

/// The largest number of places in all findings of a summary. There are some hundreds of columns.
const MAX_PLACES: usize = 10_000;

impl From<&Policy> for wit::Policy {
    fn from(policy: &Policy) -> Self {
        let tables = policy.tables.as_ref();
        let columns = policy.columns.iter();
        let rows = policy.rows.iter();
        Self {
            persons: (&policy.persons).into(),
            day: policy.day.clone(),
            as_of: policy.as_of.clone(),
            classes: policy.classes.iter().cloned().collect(),
            tables: tables.map(|tables| tables.iter().cloned().collect()),
            columns: columns
                .map(|(table, columns)| wit::TableColumns {
                    table: table.clone(),
                    columns: columns.clone(),
                })
                .collect(),
            rows: rows
                .map(|(table, where_)| wit::TableRows {
                    table: table.clone(),
                    where_: where_.clone(),
                })
                .collect(),
            protection: policy.protection.into(),
            numbers: policy.numbers.into(),
            leavers: policy.leavers.into(),
            may_reveal: policy.may_reveal,
        }
    }
}

impl From<&PersonFilter> for wit::PersonFilter {
    fn from(filter: &PersonFilter) -> Self {
        let ages = filter.ages;
        let numbers = filter.numbers.as_ref();
        Self {
            municipality_codes: filter.municipality_codes.clone(),
            status_codes: filter.status_codes.clone(),
            ages: ages.map(|(youngest, oldest)| wit::AgeRange { youngest, oldest }),
            event_codes: filter.event_codes.clone(),
            numbers: numbers.map(|numbers| {
                let digits = numbers.iter().map(|number| number.as_str().to_owned());
                digits.collect()
            }),
        }
    }
}

impl From<ProtectionRule> for wit::ProtectionRule {
    fn from(rule: ProtectionRule) -> Self {
        match rule {
            ProtectionRule::Include => Self::Include,
            ProtectionRule::Mask => Self::Mask,
            ProtectionRule::Drop => Self::Drop,
        }
    }
}

impl From<NumberRule> for wit::NumberRule {
    fn from(rule: NumberRule) -> Self {
        match rule {
            NumberRule::Keep => Self::Keep,
            NumberRule::Pseudonym => Self::Pseudonym,
            NumberRule::Drop => Self::Drop,
        }
    }
}

impl From<LeaverRule> for wit::LeaverRule {
    fn from(rule: LeaverRule) -> Self {
        match rule {
            LeaverRule::Notice => Self::Notice,
            LeaverRule::Last => Self::Last,
        }
    }
}

impl From<&ExtractPlace> for wit::ExtractPlace {
    fn from(place: &ExtractPlace) -> Self {
        Self {
            agreement: place.agreement.clone(),
            production_date: place.production_date.clone(),
            sequence: place.sequence,
        }
    }
}

impl CopyReport {
    /// Checks a component's report against its catalog. Fails if it counts tables that are not in the catalog.
    pub(crate) fn checked(
        report: wit::CopyReport,
        catalog: &Catalog,
    ) -> Result<Self, ComponentError> {
        Ok(Self {
            copied: report.copied,
            left_out: table_counts(report.left_out, catalog)?,
            referring: report.referring,
            blanked: report.blanked,
        })
    }
}

impl From<wit::Selected> for SelectionCounts {
    fn from(selected: wit::Selected) -> Self {
        let wit::Selected {
            persons,
            entered,
            left,
        } = selected;
        Self {
            persons,
            entered,
            left,
        }
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        let message = redact(&error.message);
        let kind = match error.kind {
            wit::ErrorKind::InvalidRequest => return RequestError::Refused(message).into(),
            wit::ErrorKind::Misuse => return ComponentError::Misbehaved(message).into(),
            wit::ErrorKind::Internal => {
                // The error has the advice to report it, so that of the component is left out.
                let what = message.split(". ").next().unwrap_or_default();
                return ComponentError::Misbehaved(what.to_owned()).into();
            }
            wit::ErrorKind::RecordTooLong => DataErrorKind::RecordTooLong,
            wit::ErrorKind::LookAlike => DataErrorKind::LookAlike,
            wit::ErrorKind::LostTrack => DataErrorKind::LostTrack,
            wit::ErrorKind::OtherFormat => DataErrorKind::OtherFormat,
            wit::ErrorKind::NotSeparable => DataErrorKind::NotSeparable,
        };
        Self::Data(DataError {
            kind,
            line: error.line,
            offset: error.offset,
            message,
        })
    }
}

impl Summary {
    /// Checks a component's summary against its catalog.
    ///
    /// Fails if it counts tables that are not in the catalog, has invalid dates or codes, or has too many findings.
    pub(crate) fn checked(
        summary: wit::Summary,
        catalog: &Catalog,
    ) -> Result<Self, ComponentError> {
        let tables = table_counts(summary.tables, catalog)?;
        let places = summary.findings.iter().map(|finding| finding.places.len());
        if summary.findings.len() > MAX_FINDINGS || places.sum::<usize>() > MAX_PLACES {
            return Err(ComponentError::Limit {
                limit: LimitKind::Findings,
                at_most: MAX_FINDINGS as u64,
            });
        }
        let findings = summary.findings.into_iter().map(Finding::try_from);
        Ok(Self {
            bytes: summary.bytes,
            records: summary.records,
            shape: summary.shape.into(),
            start: summary.start.map(StartRecord::try_from).transpose()?,
            declared_records: summary.declared_records,
            tables,
            findings: findings.collect::<Result<_, _>>()?,
        })
    }
}

/// Checks counts of records by table against the catalog.
fn table_counts(
    counts: Vec<wit::TableCount>,
    catalog: &Catalog,
) -> Result<Vec<TableCount>, ComponentError> {
    let mut tables: Vec<TableCount> = Vec::new();
    for count in counts {
        let is_new = tables.iter().all(|known| known.table != count.table);
        if !is_new || catalog.table(&count.table).is_none() {
            return Err(ComponentError::misbehaved(
                "its summary counts a table twice, or one that its catalog lacks",
            ));
        }
        tables.push(TableCount {
            table: count.table,
            records: count.records,
        });
    }
    Ok(tables)
}

impl From<wit::Shape> for Shape {
    fn from(shape: wit::Shape) -> Self {
        match shape {
            wit::Shape::Unknown => Self::Unknown,
            wit::Shape::Lines => Self::Lines,
            wit::Shape::Packed => Self::Packed,
            wit::Shape::PackedUniform => Self::PackedUniform,
        }
    }
}

impl TryFrom<wit::Start> for StartRecord {
    type Error = ComponentError;

    fn try_from(start: wit::Start) -> Result<Self, ComponentError> {
        let date = |date: Option<String>| match date {
            Some(date) if !is_date(&date) => Err(ComponentError::misbehaved(
                "its summary has an invalid date",
            )),
            date => Ok(date),
        };
        Ok(Self {
            task_number: redact(&start.task_number),
            production_date: date(start.production_date)?,
            previous_production_date: date(start.previous_production_date)?,
        })
    }
}

impl TryFrom<wit::Finding> for Finding {
    type Error = ComponentError;

    fn try_from(finding: wit::Finding) -> Result<Self, ComponentError> {
        if !is_code(&finding.code) {
            return Err(ComponentError::misbehaved(
                "its summary has a finding with an invalid code",
            ));
        }
        let places = finding.places.into_iter();
        Ok(Self {
            code: finding.code,
            level: match finding.level {
                wit::Level::Note => Level::Note,
                wit::Level::Warning => Level::Warning,
                wit::Level::Error => Level::Error,
            },
            count: finding.count,
            message: redact(&finding.message),
            places: places.map(FindingPlace::from).collect(),
        })
    }
}

impl From<wit::Place> for FindingPlace {
    fn from(place: wit::Place) -> Self {
        Self {
            record_type: place.record_type.as_deref().map(redact),
            column: place.column.as_deref().map(redact),
            count: place.count,
            first_line: place.first_line,
        }
    }
}

/// Returns whether the text has the form of a finding's code: 1 to 64 lower-case letters, digits and hyphens.
fn is_code(code: &str) -> bool {
    matches!(code.len(), 1..=64)
        && code
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && redact(code) == code
}

/// Returns whether the text has the form `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_error_says_once_to_report_it() {
        let error = Error::from(wit::Error {
            kind: wit::ErrorKind::Internal,
            line: None,
            offset: None,
            message: cprflow_connector::Error::Internal.to_string(),
        });
        let text = error.to_string();
        assert!(text.contains("the parser contradicts itself. "), "{text}");
        assert_eq!(text.to_lowercase().matches("report").count(), 1, "{text}");
    }
}
