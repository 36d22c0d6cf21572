//! Tests what is never generated: the columns that are always blank, and the codes that never occur.

use std::collections::BTreeSet;

use super::super::*;
use super::{changes_of, field, kind, lines, status_of, table};
use crate::codes::code_table_named;
use crate::layout;

/// The page that lists for users what is never generated.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/test-data.md");

/// Returns the code words of the list of the page after that heading.
fn listed(heading: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (_, after) = page.split_once(heading).unwrap();
    let list = after.split("\n#").next().unwrap();
    let words = list.split('`').skip(1).step_by(2);
    words.map(str::to_owned).collect()
}

#[test]
fn the_page_lists_exactly_what_is_never_generated() {
    let mut columns: BTreeSet<_> = layout::tables()
        .iter()
        .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
        .map(|(table, column)| format!("{}.{}", table.name, column.name))
        .collect();
    let codes = |name: &str| {
        let known = code_table_named(name).unwrap();
        known
            .codes
            .iter()
            .map(|code| code.code.to_owned())
            .collect::<BTreeSet<_>>()
    };
    let (mut events, mut marks) = (codes("event"), codes("derived_mark"));
    let busy = |seed| Settings {
        shape: OutputShape::Full,
        ..Settings::busy(60_000, seed)
    };
    let nights = (5..=6).flat_map(|seed| (1..=12).map(move |night| changes_of(&busy(seed), night)));
    for extract in std::iter::once(status_of(&busy(5))).chain(nights) {
        for line in lines(&extract) {
            let table = table(line);
            for column in table.columns {
                let value = field(line, column.name);
                // The key of the start record is ten zeros.
                if kind(line) == "000" || !value.bytes().all(|byte| byte == b'0') {
                    columns.remove(&format!("{}.{}", table.name, column.name));
                }
            }
            if kind(line) == "099" {
                events.remove(&field(line, "event_code"));
                marks.remove(&field(line, "derived_mark"));
            }
        }
    }
    let marks: BTreeSet<_> = marks.into_iter().filter(|mark| !mark.is_empty()).collect();
    let on_page = ["### Columns", "### Event codes", "### Derived marks"].map(listed);
    assert_eq!([columns, events, marks], on_page);
}
