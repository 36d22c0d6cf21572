//! Attacks in the output: too much of it, or empty batches without end.

use crate::attack;
use crate::bindings::exports::cprflow::connector::source::{
    Batch, Finding, Level, Place, Shape, Start, Summary, TableCount,
};

/// Returns the next batch of the attack, if it produces batches. `last` is the last batch that was pushed.
pub(crate) fn batch(last: Option<&Batch>) -> Option<Batch> {
    let last = last?;
    if attack("endless-batches") {
        return Some(last.clone());
    }
    if attack("endless-empty-batches") {
        return Some(Batch {
            rows: 0,
            ..last.clone()
        });
    }
    if attack("huge-batch") {
        return Some(Batch {
            ipc: vec![0; 200 << 20],
            ..last.clone()
        });
    }
    if attack("huge-table-name") {
        return Some(Batch {
            table: "t".repeat(200 << 20),
            ..last.clone()
        });
    }
    None
}

/// Returns the summary, changed by the attack.
pub(crate) fn summary() -> Summary {
    let mut summary = Summary {
        bytes: 0,
        records: 0,
        shape: Shape::Unknown,
        start: None,
        declared_records: None,
        tables: Vec::new(),
        findings: Vec::new(),
    };
    let finding = |code: &str, message: &str| Finding {
        code: code.to_owned(),
        level: Level::Note,
        count: 1,
        message: message.to_owned(),
        places: Vec::new(),
    };
    let count = |table: &str| TableCount {
        table: table.to_owned(),
        records: 1,
    };
    if attack("many-findings") {
        summary.findings = (0..5_000).map(|_| finding("many", "one of many")).collect();
    }
    if attack("million-findings") {
        summary.findings = (0..1_000_000).map(|_| finding("many", "one")).collect();
    }
    if attack("many-places") {
        let mut full = finding("many", "one of many");
        full.places = (0..20_000)
            .map(|line| Place {
                record_type: None,
                column: None,
                count: 1,
                first_line: line,
            })
            .collect();
        summary.findings.push(full);
    }
    if attack("finding-number") {
        let mut told = finding("told", "it is 010101-0101\nor 0101010101");
        told.places.push(Place {
            record_type: Some("0101010101".to_owned()),
            column: Some("010101-0101".to_owned()),
            count: 1,
            first_line: 1,
        });
        summary.findings.push(told);
    }
    if attack("finding-code") {
        summary
            .findings
            .push(finding("0101010101", "the code is the attack"));
    }
    if attack("finding-code-control") {
        summary
            .findings
            .push(finding("a\u{1b}[2J", "the code is the attack"));
    }
    if attack("summary-unknown-table") {
        summary.tables.push(count("gamma"));
    }
    if attack("summary-table-twice") {
        summary.tables = vec![count("alpha"), count("alpha")];
    }
    if attack("summary-date") {
        summary.start = Some(Start {
            task_number: "1".to_owned(),
            production_date: Some("0101010101".to_owned()),
            previous_production_date: None,
        });
    }
    if attack("summary-task-number") {
        summary.start = Some(Start {
            task_number: "010101-0101".to_owned(),
            production_date: None,
            previous_production_date: None,
        });
    }
    summary
}
