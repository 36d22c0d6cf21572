//! The catalog, and attacks in it.

use crate::Component;
use crate::attack;
use crate::bindings::exports::cprflow::connector::catalog::{
    Code, CodeBasis, CodeTable, Column, DataType, EventClass, Field, Guest, Table,
};
use crate::spin::spin;

impl Guest for Component {
    fn tables() -> Vec<Table> {
        spin("spin-tables");
        if attack("environment-at-load") {
            std::hint::black_box(std::env::vars().next());
        }
        let mut tables = tables();
        let name = |name: &str| Table {
            name: name.to_owned(),
            ..alpha()
        };
        if attack("million-columns") {
            let columns = (0..1_000_000).map(|place| column(&format!("c{place}"), DataType::Int64));
            tables.push(Table {
                columns: columns.collect(),
                ..name("wide")
            });
        }
        if attack("many-columns") {
            let columns = (0..5_000).map(|place| column(&format!("c{place}"), DataType::Int64));
            tables.push(Table {
                columns: columns.collect(),
                ..name("wide")
            });
        }
        if attack("many-tables") {
            tables.extend((0..1_000).map(|place| name(&format!("t{place}"))));
        }
        if attack("long-name") {
            tables.push(name(&"n".repeat(1 << 20)));
        }
        if attack("duplicate-tables") {
            tables.push(alpha());
        }
        if attack("path") {
            tables.push(name("../../etc/passwd"));
        }
        if attack("upper-case") {
            tables.push(name("Alpha"));
        }
        if attack("name-number") {
            tables.push(name("p0101010101"));
        }
        if attack("no-name") {
            tables.push(name(""));
        }
        if attack("no-columns") {
            tables.push(Table {
                columns: Vec::new(),
                ..name("empty")
            });
        }
        if attack("duplicate-columns") {
            tables.push(Table {
                columns: vec![column("c", DataType::Utf8), column("c", DataType::Int64)],
                ..name("twice")
            });
        }
        if attack("column-path") {
            tables.push(Table {
                columns: vec![column("a/b", DataType::Utf8)],
                ..name("slash")
            });
        }
        if attack("described-by-number") {
            tables.push(Table {
                description: "the record of 010101-0101".to_owned(),
                ..name("telling")
            });
        }
        if attack("described-at-length") {
            tables.push(Table {
                description: "d".repeat(1 << 20),
                ..name("telling")
            });
        }
        if attack("record-type") {
            tables.push(Table {
                record_type: Some("0101010101".to_owned()),
                ..name("typed")
            });
        }
        if attack("field-control") {
            let mut table = name("escape");
            if let Some(column) = table.columns.first_mut() {
                column.field = Some(Field {
                    cpr_name: "\u{1b}[2J".to_owned(),
                    position: 1,
                    length: 1,
                    kind: "text".to_owned(),
                    sensitivity: None,
                });
            }
            tables.push(table);
        }
        tables
    }

    fn event_classes() -> Vec<EventClass> {
        spin("spin-event-classes");
        event_classes()
    }

    fn code_tables() -> Vec<CodeTable> {
        spin("spin-code-tables");
        code_tables()
    }
}

/// Returns a valid reference table, changed by the attack.
fn code_tables() -> Vec<CodeTable> {
    let code = |code: &str, name: &str| Code {
        code: code.to_owned(),
        name_da: Some(name.to_owned()),
        name_en: None,
        basis: CodeBasis::Listed,
        more: Vec::new(),
    };
    let mut table = CodeTable {
        name: "status".to_owned(),
        description: "Status".to_owned(),
        more_columns: Vec::new(),
        used_in: Vec::new(),
        codes: vec![code("01", "Bopæl i Danmark"), code("90", "Død")],
    };
    if attack("million-codes") {
        table.codes = (0..1_000_000).map(|_| code("01", "")).collect();
    }
    for (name, bad) in [
        ("code-number", code("91", "0101010101")),
        ("code-control", code("91", "\u{1b}[2J")),
        ("code-of-a-megabyte", code(&"9".repeat(1 << 20), "")),
        ("code-twice", code("90", "Udrejst")),
        (
            "code-with-more",
            Code {
                more: vec![None],
                ..code("91", "")
            },
        ),
    ] {
        if attack(name) {
            table.codes.push(bad);
        }
    }
    if attack("code-table-path") {
        table.name = "../status".to_owned();
    }
    if attack("code-table-column-path") {
        table.more_columns.push("../a".to_owned());
    }
    let mut tables = vec![table.clone()];
    if attack("code-table-twice") {
        tables.push(table);
    }
    tables
}

/// Returns valid event codes and derived marks, changed by the attack.
fn event_classes() -> Vec<EventClass> {
    let event = |code: &str, classes: &[&str]| EventClass {
        code: code.to_owned(),
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
    };
    let mut events = vec![
        event("A01", &["address"]),
        event("A21", &[]),
        event("P11", &["protection", "free-text", "address", "family"]),
        event("BØ", &["family"]),
    ];
    if attack("million-events") {
        events.extend((0..1_000_000).map(|_| event("A01", &["address"])));
    }
    if attack("many-events") {
        let codes = (0..2_000).map(|place| format!("{place:03x}"));
        events.extend(codes.map(|code| event(&code, &[])));
    }
    if attack("many-classes-of-event") {
        events.push(event("A34", &["religion"; 10_000]));
    }
    for (name, code) in [
        ("event-number", "0101010101"),
        ("event-half-number", "010101-0101"),
        ("event-of-a-megabyte", &"A".repeat(1 << 20)),
        ("event-without-code", ""),
        ("event-control", "\u{1b}[2"),
        ("event-path", "../"),
        ("event-mark-of-one", "B"),
        ("event-twice", "A01"),
    ] {
        if attack(name) {
            events.push(event(code, &["religion"]));
        }
    }
    for (name, class) in [
        ("event-class-unknown", "hans-hansen"),
        ("event-class-number", "0101010101"),
        ("event-class-control", "\u{1b}[2J"),
        ("event-class-empty", ""),
        ("event-class-word", "person-id"),
    ] {
        if attack(name) {
            events.push(event("A34", &[class]));
        }
    }
    if attack("event-class-twice") {
        events.push(event("A34", &["religion", "religion"]));
    }
    events
}

/// Returns valid tables.
pub(crate) fn tables() -> Vec<Table> {
    let beta = Table {
        name: "beta".to_owned(),
        columns: vec![
            column("day", DataType::Date),
            column("is_so", DataType::Boolean),
            column("irregular", DataType::TextMap),
            column("line", DataType::Int64),
        ],
        ..alpha()
    };
    vec![alpha(), beta]
}

/// Returns the tables that any policy allows, changed by the attack.
pub(crate) fn view() -> Vec<Table> {
    let mut tables = tables();
    let name = |name: &str| Table {
        name: name.to_owned(),
        ..alpha()
    };
    if attack("view-own-table") {
        tables.push(name("gamma"));
    }
    if attack("view-own-column") {
        for table in &mut tables {
            table.columns.push(column("more", DataType::Utf8));
        }
    }
    if attack("view-protected") {
        for table in &mut tables {
            table.columns.push(Column {
                nullable: false,
                ..column("protected", DataType::Boolean)
            });
        }
    }
    if attack("view-table-twice") {
        tables.push(alpha());
    }
    if attack("view-without-leavers") {
        return tables;
    }
    if attack("view-million") {
        tables.extend((0..100_000).map(|_| alpha()));
    }
    let strict = |name: &str| Column {
        nullable: false,
        ..column(name, DataType::Utf8)
    };
    tables.push(Table {
        record_type: None,
        columns: vec![
            strict("pnr"),
            strict("reason"),
            column("date", DataType::Date),
        ],
        ..name("out_of_scope")
    });
    tables
}

fn alpha() -> Table {
    Table {
        name: "alpha".to_owned(),
        record_type: Some("001".to_owned()),
        cpr_title: "Alfa".to_owned(),
        description: "A table.".to_owned(),
        columns: vec![
            Column {
                field: attack("short-field").then(|| Field {
                    cpr_name: "NAVN".to_owned(),
                    position: 4,
                    length: 3,
                    kind: "text".to_owned(),
                    sensitivity: None,
                }),
                ..column("name", DataType::Utf8)
            },
            Column {
                nullable: false,
                ..column("line", DataType::Int64)
            },
        ],
    }
}

fn column(name: &str, data_type: DataType) -> Column {
    Column {
        name: name.to_owned(),
        data_type,
        nullable: true,
        field: None,
    }
}
