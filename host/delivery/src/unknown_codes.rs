//! Codes in conditions and scopes that no record can have, for warnings: such a condition silently selects nothing.

use cprflow_connector::codes::code_table_named;
use cprflow_connector::compared_codes::compared_codes;
use cprflow_connector::layout;

use crate::subscription::municipality_name;
use crate::tenant::Tenant;

/// Returns a warning for each code in a condition on rows of a table that no record can have.
pub fn unknown_codes(table: &str, condition: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for compared in compared_codes(table, condition) {
        for text in &compared.texts {
            let (column, length) = (compared.column.name, compared.column.length);
            if let Some(why) = why_unknown(column, length, text) {
                warnings.push(format!(
                    "no row has this value in the column {column}: {why}"
                ));
            }
        }
    }
    warnings
}

/// Returns a warning for each code in the scope of a tenant that no record can have.
pub fn unknown_codes_of_scope(tenant: &Tenant) -> Vec<String> {
    let Ok(policy) = tenant.policy() else {
        return Vec::new();
    };
    let of = |key: &str, column: &str, length, codes: &Option<Vec<String>>| {
        let codes = codes.iter().flatten();
        let unknown = codes.filter_map(|code| why_unknown(column, length, code));
        let warnings = unknown.map(|why| format!("persons.{key} selects no person: {why}"));
        warnings.collect::<Vec<_>>()
    };
    [
        of(
            "municipalities",
            "municipality_code",
            4,
            &policy.persons.municipality_codes,
        ),
        of("statuses", "status", 2, &policy.persons.status_codes),
        of("events", layout::EVENT_CODE, 3, &policy.persons.event_codes),
    ]
    .concat()
}

/// Returns why a column of that length never holds the text; `None` if it can.
fn why_unknown(column: &str, length: usize, text: &str) -> Option<String> {
    if text.chars().count() > length {
        return Some(format!("it has at most {length} characters"));
    }
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match column {
        "sex" | "status" | "civil_status" => {
            let table = code_table_named(column)?;
            let codes = || table.codes.iter().map(|code| code.code);
            let is_known = codes().any(|code| code == text);
            (!is_known).then(|| format!("the codes are {}", codes().collect::<Vec<_>>().join(", ")))
        }
        "municipality_code" | "previous_municipality_code" if is_digits && text.len() < length => {
            Some(format!(
                "write it with {length} digits, leading zeros included"
            ))
        }
        "municipality_code" => municipality_name(text).is_none().then(|| {
            "no municipality has this code today; older records can have former ones".to_owned()
        }),
        layout::EVENT_CODE => {
            let is_known = layout::EVENT_CLASSES.iter().any(|event| event.code == text);
            (!is_known).then(|| "`cprflow codes event` lists the codes".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_about_codes_that_no_record_has() {
        for (table, condition) in [
            ("person", "sex = 'F'"),
            ("person", "status in ('01', '99')"),
            ("person", "not (status = '1')"),
            ("address", "municipality_code = '265'"),
            ("address", "municipality_code in ('0265', '9999')"),
            ("address", "door = '12345'"),
            ("civil_status", "civil_status = 'M'"),
            ("event", "event_code = 'B99'"),
        ] {
            assert_eq!(unknown_codes(table, condition).len(), 1, "{condition}");
        }
        for (table, condition) in [
            ("person", "sex = 'K' and status = '01'"),
            ("person", "pnr = '1'"),
            ("address", "municipality_code = '0265'"),
            ("civil_status", "civil_status in ('G', 'P')"),
            ("event", "event_code = 'A01'"),
            ("name", "surname = 'F'"),
            ("person", "this is no condition"),
            ("nothing", "sex = 'F'"),
        ] {
            assert!(unknown_codes(table, condition).is_empty(), "{condition}");
        }
    }
}
