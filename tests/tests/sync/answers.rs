//! The ready answers in DuckDB, compared row by row with an implementation in plain Python on generated data.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::command::cprflow;
use cprflow_tests::extract;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, transfer};

/// Publishes the first days of a population: the whole population, and the nights after it.
fn publish(test: &TestRun, settings: &Settings, first: u32) {
    test.put("whole", &extract::status(settings), &transfer(first));
    for night in 1..=6 {
        let mut changes = Vec::new();
        generate::changes(settings, night, &mut changes).unwrap();
        test.put(&format!("n{night}"), &changes, &transfer(first + night));
    }
}

/// Prints the statements for a dataset.
fn answers(test: &TestRun, dataset: &Path) -> String {
    let path = dataset.display().to_string();
    let ended = cprflow(["views", "--dialect", "duckdb", "--answers", &path]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let sql = test.path("answers.sql");
    fs::write(&sql, ended.text()).unwrap();
    sql.display().to_string()
}

/// Compares the answers of a dataset with those of plain Python. Returns the report.
fn compare(test: &TestRun, dataset: &Path) -> Option<String> {
    let python = cprflow_tests::python::python()?;
    let root = cprflow_tests::root();
    let output = Command::new(python)
        .arg(root.join("tests/python/answers.py"))
        .arg(answers(test, dataset))
        .arg(dataset)
        .arg(root.join("docs/queries.md"))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{errors}");
    Some(report)
}

/// Returns the number of rows of a view in a report.
fn rows(report: &str, view: &str) -> u64 {
    let prefix = format!("{view}: ");
    let line = report.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap().split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn answers_equal_an_independent_implementation() {
    let test = TestRun::local();
    let settings = Settings::busy(900, 7);
    test.set_time(&format!("{}T08:00:00Z", settings.production_date(8)));
    publish(&test, &settings, 1);
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let Some(report) = compare(&test, &test.dataset()) else {
        return;
    };
    for view in [
        "resident",
        "protected",
        "family",
        "moves",
        "births",
        "deaths",
        "number_changes",
        "new_since 5",
        "residents_without_protected",
    ] {
        assert!(rows(&report, view) > 0, "{view} has no row:\n{report}");
    }
}

#[test]
fn two_agreements_count_a_person_once() {
    let test = TestRun::local();
    let agreement = |name: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"inbox\"\nunrestricted = \"test\"\nfiles.name = '{name}.*'\n"
        )
    };
    test.configure(&(agreement("east") + &agreement("west")));
    let settings = Settings::busy(300, 3);
    test.set_time(&format!("{}T08:00:00Z", settings.production_date(4)));
    let whole = extract::status(&settings);
    let mut changes = Vec::new();
    generate::changes(&settings, 2, &mut changes).unwrap();
    test.put("east1", &whole, &transfer(1));
    test.put("west1", &whole, &transfer(2));
    // A receipt (997) ends a person only in the agreement that has it, so both have the same.
    test.put("east2", &changes, &transfer(4));
    test.put("west2", &changes, &transfer(3));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let both = compare(&test, &test.dataset());
    let alone = TestRun::local();
    alone.set_time(&format!("{}T08:00:00Z", settings.production_date(4)));
    alone.put("west1", &whole, &transfer(2));
    alone.put("west2", &changes, &transfer(3));
    let ended = alone.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let one = compare(&alone, &alone.dataset());
    let (Some(both), Some(one)) = (both, one) else {
        return;
    };
    for view in ["resident", "births", "deaths", "family", "moves"] {
        assert_eq!(rows(&both, view), rows(&one, view), "{view}");
    }
}

#[test]
fn a_tenants_answers_show_what_its_policy_shows() {
    let test = TestRun::local();
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\n\
         [tenant.marked]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/marked\"\n\
         classes = [\"name\", \"address\", \"family\"]\nprotection = \"include\"\n\
         [tenant.unknown]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/unknown\"\n\
         classes = [\"name\"]\n",
    );
    let settings = Settings::busy(400, 5);
    test.set_time(&format!("{}T08:00:00Z", settings.production_date(1)));
    test.put("whole", &extract::status(&settings), &transfer(1));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let Some(report) = compare(&test, &test.dataset_of("marked")) else {
        return;
    };
    assert!(rows(&report, "protected") > 0);
    // The dataset does not tell who is protected, so that a query for unprotected persons finds none.
    let report = compare(&test, &test.dataset_of("unknown")).unwrap();
    assert!(rows(&report, "resident") > 0);
    assert_eq!(rows(&report, "residents_without_protected"), 0);
}

#[test]
fn says_what_is_missing() {
    let test = TestRun::local();
    let path = test.path("nothing").display().to_string();
    fs::create_dir(&path).unwrap();
    let path = path.as_str();
    let refused = |arguments: &[&str], reason: &str| {
        let ended = cprflow([&["views"], arguments].concat());
        assert_eq!(ended.code, 2, "{arguments:?}");
        assert!(ended.stdout.is_empty(), "{arguments:?}");
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    };
    for dialect in ["duckdb", "spark", "postgres"] {
        let arguments = ["--dialect", dialect, "--answers"];
        refused(&[&arguments[..], &[path]].concat(), "no current tables");
        let store = "s3a://bucket/dataset";
        refused(
            &[&arguments[..], &[store]].concat(),
            "a dataset on this machine",
        );
    }
    refused(&["--dialect", "postgres", path], "add --answers");
    refused(
        &["--answers", "--schema", "other", path],
        "--dialect postgres",
    );
    let long = "x".repeat(56);
    let long = long.as_str();
    let answers = ["--dialect", "postgres", "--answers", "--schema"];
    refused(&[&answers[..], &[long, path]].concat(), "1 to 55 bytes");
    refused(&[&answers[..], &["", path]].concat(), "1 to 55 bytes");
}

/// Without a dialect, the statements are for DuckDB.
#[test]
fn duckdb_is_the_default() {
    let test = TestRun::local();
    test.set_time(&format!("{DAY}T08:00:00Z"));
    test.put("d1", &hand_made(), &transfer(1));
    assert!(test.sync().code < 2);
    let path = test.dataset().display().to_string();
    let path = path.as_str();
    let print = |arguments: &[&str]| {
        let ended = cprflow([&["views", path], arguments].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.text().to_owned()
    };
    assert_eq!(print(&[]), print(&["--dialect", "duckdb"]));
    assert_eq!(
        print(&["--answers"]),
        print(&["--answers", "--dialect", "duckdb"])
    );
}

/// The day of the hand-made extract.
const DAY: &str = "2026-03-10";

const ADA: &str = "0101010010";
const BO: &str = "0101010017";
const CAJ: &str = "0101010024";
const DAN: &str = "0101010038";
const EVA: &str = "0101010045";
const FIE: &str = "0101010052";
const GRO: &str = "0101010059";
const HUG: &str = "0101010073";
const IDA: &str = "0101010080";
const JON: &str = "0101010087";
const KAJ: &str = "0101010094";

/// Returns an extract with the cases that are easy to get wrong.
fn hand_made() -> Vec<u8> {
    let person = |extract: Handmade, pnr: &str, status: &str, valid: &str| {
        let columns = [
            ("pnr", pnr),
            ("status", status),
            ("current_pnr", valid),
            ("birth_date", "1980-03-11"),
        ];
        extract.record("001", &columns)
    };
    let protection = |extract: Handmade, pnr: &str, kind: &str, start: &str, end: &str| {
        let columns = [
            ("pnr", pnr),
            ("protection_type", kind),
            ("start_date", start),
            ("deletion_date", end),
        ];
        extract.record("004", &columns)
    };
    let mut extract = Handmade::new("431101", "20260310");
    for pnr in [ADA, DAN, EVA, FIE, HUG, IDA] {
        extract = person(extract, pnr, "01", "");
    }
    // Ada's protection has no start, Hug's has ended, Ida has one against marketing only.
    extract = protection(extract, ADA, "0001", "", "");
    extract = protection(extract, HUG, "0001", "2019-01-01", "2020-01-01");
    extract = protection(extract, IDA, "0003", "2019-01-01", "");
    // Bo's number was replaced by Caj's, and only the old number is protected.
    extract = person(extract, BO, "60", CAJ);
    extract = person(extract, CAJ, "01", "");
    extract = extract.record("022", &[("pnr", CAJ), ("former_pnr", BO)]);
    extract = protection(extract, BO, "0001", "2026-01-01", "");
    // Nothing says which number is valid instead of Gro's. Jon's and Kaj's replace each other.
    extract = person(extract, GRO, "50", "");
    extract = person(extract, JON, "60", KAJ);
    extract = person(extract, KAJ, "60", JON);
    // Eva is the child of Ada and Dan, and the record about Dan says that he is protected. One custody ends today, the
    // other tomorrow.
    extract
        .record(
            "015",
            &[("pnr", EVA), ("mother_pnr", ADA), ("father_pnr", DAN)],
        )
        .record(
            "032",
            &[
                ("pnr", EVA),
                ("father_pnr", DAN),
                ("protection_start_date", "2025-05-05"),
            ],
        )
        .record(
            "016",
            &[
                ("pnr", EVA),
                ("custody_type", "0003"),
                ("start_date", "2000-01-01"),
                ("deletion_date", DAY),
            ],
        )
        .record(
            "016",
            &[
                ("pnr", EVA),
                ("custody_type", "0004"),
                ("start_date", "2000-01-01"),
                ("deletion_date", "2026-03-11"),
            ],
        )
        // Fie's spouse is a former one. Her address has a place name, a household and a floor.
        .record(
            "012",
            &[("pnr", FIE), ("civil_status", "F"), ("spouse_pnr", IDA)],
        )
        .record(
            "002",
            &[
                ("pnr", FIE),
                ("municipality_code", "0265"),
                ("street_code", "0042"),
                ("house_number", "062"),
                ("floor", "03"),
                ("door", "  th"),
                ("co_name", "Hans Hansen"),
                ("moved_in", "202603091200"),
            ],
        )
        .record(
            "003",
            &[
                ("pnr", FIE),
                ("locality", "Nygaard"),
                ("postal_code", "4000"),
                ("postal_district", "Roskilde"),
                ("street_addressing_name", "Algade"),
                ("town_name", "Himmelev"),
            ],
        )
        // An annulled address, which is no move, and a former one.
        .record(
            "023",
            &[
                ("pnr", FIE),
                ("correction_mark", "A"),
                ("municipality_code", "0101"),
                ("street_code", "0001"),
                ("moved_in", "202601011200"),
            ],
        )
        .record(
            "023",
            &[
                ("pnr", FIE),
                ("municipality_code", "0851"),
                ("street_code", "0001"),
                ("moved_in", "202001011200"),
                ("moved_out", "202603091200"),
            ],
        )
        .record(
            "099",
            &[
                ("pnr", FIE),
                ("registered", "202603091200"),
                ("event_code", "A01"),
            ],
        )
        .finish()
}

#[test]
fn hand_made_cases_have_hand_made_answers() {
    let Some(python) = cprflow_tests::python::python() else {
        return;
    };
    let test = TestRun::local();
    test.set_time(&format!("{DAY}T08:00:00Z"));
    test.put("d1", &hand_made(), &transfer(1));
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    compare(&test, &test.dataset());
    let sql = answers(&test, &test.dataset());
    let ask = |query: &str| {
        let script = "import duckdb, sys; connection = duckdb.connect(); connection.execute(open(sys.argv[1]).read()); \
                      print(connection.execute(sys.argv[2]).fetchall())";
        let output = Command::new(&python)
            .args(["-c", script, &sql, query])
            .output();
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let quoted = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(one, other)| format!("('{one}', '{other}')"))
            .collect();
        format!("[{}]", pairs.join(", "))
    };
    assert_eq!(
        ask("SELECT pnr, reason FROM protected ORDER BY pnr"),
        quoted(&[
            (ADA, "own"),
            (BO, "own"),
            (CAJ, "number"),
            (DAN, "relative"),
            (GRO, "unclear"),
            (HUG, "own"),
            (JON, "unclear"),
            (KAJ, "unclear"),
        ])
    );
    assert_eq!(
        ask("SELECT relation, relative_pnr FROM family WHERE in_force ORDER BY relation"),
        quoted(&[
            ("custody_holder", DAN),
            ("father", DAN),
            ("former_spouse", IDA),
            ("mother", ADA)
        ])
    );
    assert_eq!(
        ask("SELECT address, moved_in::VARCHAR FROM resident WHERE address IS NOT NULL"),
        quoted(&[(
            "c/o Hans Hansen, Nygaard, Algade 62, 3. th, Himmelev, 4000 Roskilde",
            "2026-03-09"
        )])
    );
    assert_eq!(
        ask("SELECT municipality, coalesce(from_municipality, '-') FROM moves ORDER BY moved_on"),
        quoted(&[("Aalborg", "-"), ("Roskilde", "Aalborg")])
    );
    // The birthday is tomorrow.
    assert_eq!(ask("SELECT DISTINCT age FROM resident"), "[(45,)]");
    assert_eq!(
        ask("SELECT former_pnr, valid_pnr FROM number_changes WHERE valid_pnr IS NOT NULL"),
        quoted(&[(BO, CAJ)])
    );
    assert_eq!(
        ask(
            "SELECT status_en, events_en[1] FROM new_since(DATE '2026-03-09') WHERE event_codes IS NOT NULL"
        ),
        quoted(&[("Resident in Denmark", "Move")])
    );
}

/// A protection counts although another agreement has a newer record of the person.
#[test]
fn a_protection_counts_in_every_agreement() {
    let test = TestRun::local();
    test.set_time("2026-03-03T08:00:00Z");
    let agreement = |name: &str| {
        format!(
            "[agreement.{name}]\ninbox = \"inbox\"\nfiles.name = \"{name}.*\"\nunrestricted = \"test\"\n"
        )
    };
    test.configure(&format!("{}{}", agreement("town"), agreement("other")));
    let resident =
        |task: &str, date: &str| Handmade::new(task, date).resident("0101010010", "0265", "Anders");
    let columns = [("pnr", "0101010010"), ("protection_type", "0001")];
    let first = resident("431102", "20260301").record("004", &columns);
    test.put("other1", &first.finish(), &transfer(1));
    test.put(
        "town2",
        &resident("431101", "20260302").finish(),
        &transfer(2),
    );
    let ended = test.sync();
    assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    let Some(report) = compare(&test, &test.dataset()) else {
        return;
    };
    assert_eq!(
        (rows(&report, "protected"), rows(&report, "resident")),
        (1, 1)
    );
}

/// After the record is erased that protected a person, the answers still treat the person as protected: of the unrestricted
/// dataset by a row of `protection`, of a tenant that masks names because the name is missing.
#[test]
fn whom_an_erased_record_protected_is_protected() {
    let test = TestRun::local();
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n\
         [tenant.masking]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/masking\"\n\
         classes = [\"default\", \"family\"]\n[tenant.masking.rows]\nprotection = \"protection_type != '0001'\"\n",
    );
    test.set_time(&format!("{DAY}T08:00:00Z"));
    let relative = [
        ("pnr", BO),
        ("child_pnr", ADA),
        ("protection_start_date", "2020-01-01"),
    ];
    let extract = Handmade::new("431101", &DAY.replace('-', ""))
        .resident(ADA, "0265", "Ask")
        .resident(BO, "0265", "Birk")
        .resident(CAJ, "0265", "Carlsen")
        .record("033", &relative);
    test.put("one", &extract.finish(), &transfer(1));
    assert!(test.sync().code < 2);
    let list = test.path("erase.txt");
    fs::write(&list, BO).unwrap();
    let list = list.to_str().unwrap();
    let erased = test.run("erase", &["--numbers", list, "--not-subscribed", "--yes"]);
    assert_eq!(erased.code, 0, "{}", erased.stderr);
    for (dataset, name) in [
        (test.dataset(), "Ask"),
        (test.dataset_of("masking"), "nothing"),
    ] {
        let Some(report) = compare(&test, &dataset) else {
            return;
        };
        assert_eq!(rows(&report, "resident"), 2);
        assert_eq!(rows(&report, "residents_without_protected"), 1, "{name}");
        assert_eq!(rows(&report, "protected"), 1, "{name}");
    }
}
