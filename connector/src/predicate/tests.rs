use std::collections::BTreeMap;

use proptest::prelude::*;

use super::parse::{
    ColumnName, Comparison, Expression, Literal, MAX_DEPTH, Operator, Value, expression,
};
use super::*;
use crate::columns::schema::{ColumnId, TableId};
use crate::layout;

/// A row of `person`, by column.
#[derive(Default)]
struct Given(BTreeMap<&'static str, Vec<u8>>);

impl Row for Given {
    fn cell(&self, column: ColumnId) -> RowCell<'_> {
        let Some(raw) = self.0.get(column.name()) else {
            return RowCell::Null;
        };
        match column {
            ColumnId::Field(field) => RowCell::of_field(field, raw),
            ColumnId::Line => RowCell::Number(7),
            _ => RowCell::Null,
        }
    }
}

fn given(values: &[(&'static str, &[u8])]) -> Given {
    Given(
        values
            .iter()
            .map(|(name, raw)| (*name, raw.to_vec()))
            .collect(),
    )
}

fn person() -> Vec<Comparable> {
    let table = layout::by_name("person").map(TableId::Layout).unwrap();
    Comparable::all(&table.columns())
}

fn is_met(text: &str, row: &Given) -> bool {
    Predicate::new(text, &person()).unwrap().is_met(row)
}

fn refused(text: &str) -> String {
    Predicate::new(text, &person()).unwrap_err().to_string()
}

#[test]
fn evaluates_every_comparison() {
    let row = given(&[
        ("pnr", b"0101965058"),
        ("status", b"05"),
        ("occupation", b"S\xf8mand                           "),
        ("birth_date", b"1965-01-01"),
        ("birth_date_uncertain", b"*"),
        ("status_start", b"199909231205"),
        ("line", b""),
    ]);
    for met in [
        "status = '05'",
        "STATUS = '05' AND Birth_Date IS NOT NULL",
        "status != '01'",
        "status <> '01'",
        "status in ('01','03', '05')",
        "status not in ('01', '03')",
        "not status in ('01')",
        "status > '01' and status <= '05' and status >= '05' and status < '06'",
        "status between '01' and '05'",
        "status not between '06' and '99'",
        "birth_date < '1990-01-01'",
        "birth_date = '1965-01-01'",
        "status_start = '1999-09-23 12:05'",
        "status_start > '1999-09-23'",
        "status_start < '1999-09-23 12:05:01'",
        "birth_date_uncertain = true",
        "birth_date_uncertain != false and birth_date_uncertain in (true)",
        "line = 7 and line < 10 and line between -1 and 7",
        "occupation = 'Sømand'",
        "occupation > 'Sz' and occupation < '€'",
        "pnr_end_date is null and not pnr_end_date is not null",
        "(status = '01' or status = '05') and (not (not (line = 7)))",
        "status = '01' and status = '02' or status = '05'",
    ] {
        assert!(is_met(met, &row), "{met}");
        assert!(!is_met(&format!("not ({met})"), &row), "{met}");
    }
}

#[test]
fn comparison_with_null_is_neither_true_nor_false() {
    let row = given(&[("status", b"  "), ("pnr", b"0000000000")]);
    for neither in [
        "status = '01'",
        "status != '01'",
        "not status = '01'",
        "status in ('01')",
        "status not in ('01')",
        "status between '01' and '02'",
        "status not between '01' and '02'",
        "status = '01' or pnr != '1'",
        "status = '01' and line is null",
        "birth_date < '1990-01-01'",
        "birth_date_uncertain = true",
    ] {
        assert!(!is_met(neither, &row), "{neither}");
        assert!(!is_met(&format!("not ({neither})"), &row), "{neither}");
    }
    assert!(is_met("status is null and pnr is null", &row));
    assert!(is_met("status = '01' or line is null", &row));
    assert!(!is_met("status = '01' and line is not null", &row));
    assert!(is_met("not (status = '01' and line is not null)", &row));
}

/// A value that a typed column cannot hold is null, except for the date of an impossible time.
#[test]
fn compares_irregular_values_as_their_columns_hold_them() {
    let row = given(&[
        ("birth_date", b"1961-00-00"),
        ("status_start", b"199909231299"),
        ("birth_date_uncertain", b"X"),
    ]);
    assert!(is_met(
        "birth_date is null and birth_date_uncertain is null",
        &row
    ));
    assert!(is_met("status_start = '1999-09-23'", &row));
}

#[test]
fn errors_have_position_and_cause() {
    for (text, expected) in [
        ("", "at character 1: a condition is expected"),
        ("status", "at character 7: =, !=, <, <=, >, >=, in, not in"),
        ("status =", "at character 9: a value is expected"),
        ("status = 01", "at character 10: \"status\" is text"),
        ("status = null", "at character 10: no value equals null"),
        ("status is nul", "at character 11: \"null\" or \"not null\""),
        ("status in '01'", "at character 11: a list is expected"),
        ("status in ()", "at character 12: a value is expected"),
        ("status in ('01' '02')", "at character 17: a comma"),
        (
            "status between '01'",
            "at character 20: \"and\" and the upper bound",
        ),
        (
            "status = '01",
            "at character 10: the text has no closing quote",
        ),
        (
            "status = '01' birth",
            "at character 15: \"and\", \"or\" or the end",
        ),
        (
            "(status = '01'",
            "at character 15: \"and\", \"or\" or a closing",
        ),
        (
            "status = '01' and",
            "at character 18: a condition is expected",
        ),
        (
            "line = 99999999999999999999",
            "at character 8: a whole number from -9223372036854775808",
        ),
        ("line = 1x", "at character 8: a value is expected"),
        ("line = '1'", "at character 8: \"line\" is a whole number"),
        (
            "birth_date > '1990-13-01'",
            "at character 14: \"birth_date\" is a date",
        ),
        (
            "birth_date > '1990-01-01 10:00'",
            "at character 14: \"birth_date\" is a date",
        ),
        (
            "status_start > '1990-01-01T10:00'",
            "at character 16: \"status_start\" is a date with a time",
        ),
        (
            "birth_date_uncertain < true",
            "at character 24: true and false have no order",
        ),
        (
            "birth_date_uncertain = 'true'",
            "at character 24: \"birth_date_uncertain\" is true or false",
        ),
        (
            "irregular is null",
            "at character 1: \"irregular\" holds raw texts",
        ),
        (
            "occupation = 'ø' and ages = 3",
            "at character 22: there is no column \"ages\"; the columns are pnr, ",
        ),
        ("status; drop table", "at character 7: =, !=,"),
    ] {
        let error = refused(text);
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    assert!(refused("age > 3").ends_with("occupation, key_constant, line"));
}

/// Errors are written to logs, and predicates can hold person numbers.
#[test]
fn errors_never_contain_a_value() {
    for text in [
        "birth_date = '0101965058'",
        "line = '0101965058'",
        "pnr = 0101965058",
        "pnr = '0101965058",
        "pnr in ('0101965058'",
        "pnr = '0101965058' 0101965058",
        "0101965058 = pnr",
    ] {
        let error = refused(text);
        assert!(!error.contains("0101965058"), "{error}");
    }
    let predicate = Predicate::new("pnr = '0101965058'", &person()).unwrap();
    assert!(!format!("{predicate:?}").contains("0101965058"));
}

#[test]
fn refuses_comparisons_of_pseudonyms() {
    let table = layout::by_name("child").map(TableId::Layout).unwrap();
    let columns = Comparable::pseudonymous(&table.columns());
    for text in ["pnr = '0101965058'", "not child_pnr > '0'", "pnr in ('1')"] {
        let error = Predicate::new(text, &columns).unwrap_err().to_string();
        assert!(error.contains("shows pseudonyms"), "{error}");
    }
    assert!(Predicate::new("child_pnr is not null and line > 3", &columns).is_ok());
}

#[test]
fn limits_depth_and_length() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{}line = 1{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("(", ")"), ("not ", ""), ("not(", ")")] {
        let deep = MAX_DEPTH / (1 + usize::from(open == "not("));
        assert!(expression(&nested(deep - 1, open, close)).is_ok());
        for depth in [deep, deep + 1, 13_000] {
            let error = refused(&nested(depth, open, close));
            assert!(error.contains("nested deeper than"), "{error}");
        }
    }
    assert!(refused(&nested(70_000, "(", ")")).contains("64 KiB"));
    let long = vec!["line = 1"; 3_000].join(" or ");
    assert!(Predicate::new(&long, &person()).is_ok());
    let list = vec!["'01'"; 8_000].join(",");
    assert!(is_met(
        &format!("status in ({list})"),
        &given(&[("status", b"01")])
    ));
}

proptest! {
    #[test]
    fn printed_predicates_parse_to_the_same(written in expressions()) {
        let printed = written.to_string();
        let read = expression(&printed);
        prop_assert_eq!(read.as_ref(), Ok(&written), "{}", printed);
        // Spaces and case do not matter.
        let loud = printed.replace(" and ", "\n AND\t").replace(" or ", "  Or ").replace(" is null", " IS  NULL ");
        if !printed.contains('\'') {
            prop_assert_eq!(expression(&loud), Ok(written));
        }
    }

    #[test]
    fn never_panics_on_any_text(text in "([a-z_]{1,8}|[ ()'<>=!,]|and|or|not|in|is null|between|[0-9]{1,3}|\\PC){0,30}") {
        let _ = Predicate::new(&text, &person());
    }
}

fn expressions() -> impl Strategy<Value = Expression> {
    let literal = prop_oneof![
        "[ -~æøå€]{0,6}".prop_map(Value::Text),
        any::<i64>().prop_map(Value::Integer),
        any::<bool>().prop_map(Value::Boolean),
    ];
    let literal = literal.prop_map(|value| Literal { value, at: 0 });
    let operator = prop::sample::select(vec![
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
    ]);
    let test = prop_oneof![
        (operator, literal.clone())
            .prop_map(|(operator, literal)| Comparison::Compare(operator, literal)),
        prop::collection::vec(literal.clone(), 1..4).prop_map(Comparison::In),
        (literal.clone(), literal).prop_map(|(low, high)| Comparison::Between(low, high)),
        Just(Comparison::IsNull),
    ];
    let leaf = ("col_[a-z0-9_]{0,6}", test)
        .prop_map(|(name, test)| Expression::Comparison(ColumnName { name, at: 0 }, test));
    leaf.prop_recursive(6, 40, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expression::Or),
            several.prop_map(Expression::And),
            inner.prop_map(|inner| Expression::Not(Box::new(inner))),
        ]
    })
}
