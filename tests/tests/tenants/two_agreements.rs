//! Two agreements that deliver the same persons to one tenant: the newest delivery decides, and a protection in any
//! agreement protects.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::path::Path;
use std::process::Command;

use cprflow_tests::command::cprflow;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::test_run::{TestRun, transfer};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";
const DORTE: &str = "0101010045";
const ELLEN: &str = "0101010053";
const FREJA: &str = "0101010061";
const GERDA: &str = "0101010088";

/// Two agreements, which are told apart by their task numbers, and these tenants of both.
fn configure(test: &TestRun, tenants: &[(&str, &str)]) {
    let mut text = String::new();
    for (name, task) in [("north", "111111"), ("south", "222222")] {
        text.push_str(&format!(
            "[agreement.{name}]\ninbox = \"inbox\"\nunrestricted = \"test\"\nfiles = {{ task_numbers = [\"{task}\"] }}\n"
        ));
    }
    for (name, policy) in tenants {
        text.push_str(&format!(
            "[tenant.{name}]\nagreements = [\"north\", \"south\"]\npurpose = \"test\"\n\
             dataset = \"tenants/{name}\"\n{policy}\n"
        ));
    }
    test.configure(&text);
}

fn north(date: &str) -> Handmade {
    Handmade::new("111111", date)
}

fn south(date: &str) -> Handmade {
    Handmade::new("222222", date)
}

/// Publishes deliveries, one run for each, so that they arrive in this order.
fn publish(test: &TestRun, deliveries: impl IntoIterator<Item = Handmade>) {
    for delivery in deliveries {
        let number = u32::try_from(test.published().len()).unwrap();
        test.put(
            &format!("d{number}"),
            &delivery.finish(),
            &transfer(number + 1),
        );
        let ended = test.sync();
        assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    }
}

fn protection(extract: Handmade, pnr: &str) -> Handmade {
    extract.record("004", &[("pnr", pnr), ("protection_type", "0001")])
}

/// The views of a dataset in DuckDB.
struct Views<'a> {
    test: &'a TestRun,
    script: String,
    python: std::path::PathBuf,
}

impl<'a> Views<'a> {
    fn of(test: &'a TestRun, dataset: &Path, more: &[&str]) -> Option<Self> {
        let python = cprflow_tests::python::python()?;
        let arguments = ["views", "--dialect", "duckdb", dataset.to_str().unwrap()];
        let sql = cprflow([&arguments, more].concat());
        assert_eq!(sql.code, 0, "{}", sql.stderr);
        Some(Self {
            test,
            script: sql.text().to_owned(),
            python,
        })
    }

    /// Returns the rows of a query, each as its values joined by spaces. Null is `-`.
    fn rows(&self, query: &str) -> Vec<String> {
        let script = self.test.path("views.sql");
        fs::write(&script, &self.script).unwrap();
        let program = "import duckdb, sys\n\
                       db = duckdb.connect()\n\
                       db.execute(open(sys.argv[1]).read())\n\
                       for row in db.execute(sys.argv[2]).fetchall():\n\
                       \x20   print(*('-' if value is None else value for value in row))";
        let answer = Command::new(&self.python)
            .args(["-c", program])
            .arg(&script)
            .arg(query)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(answer.status.success(), "{query}: {said}");
        let text = String::from_utf8(answer.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// Name, address, status, death and changes of number come from the newest production date, whichever agreement has it
/// and whichever arrived last.
#[test]
fn the_newest_production_date_of_any_agreement_counts() {
    let test = TestRun::local();
    let identity = "classes = [\"default\", \"identity\"]";
    configure(&test, &[("both", identity)]);
    let dead =
        |extract: Handmade, pnr: &str| extract.record("001", &[("pnr", pnr), ("status", "90")]);
    let replaced = |extract: Handmade, pnr: &str, by: &str| {
        extract.record(
            "001",
            &[("pnr", pnr), ("status", "60"), ("current_pnr", by)],
        )
    };
    let first = north("20260302")
        .resident(ALICE, "0265", "Old")
        .resident(FREJA, "0265", "Same")
        .record("022", &[("pnr", FREJA), ("former_pnr", ELLEN)]);
    let first = replaced(dead(first, BERTA), ELLEN, FREJA);
    let second = south("20260303")
        .resident(ALICE, "0851", "New")
        .resident(BERTA, "0851", "Alive")
        .resident(CARLA, "0851", "Living")
        .resident(ELLEN, "0851", "Own");
    let third = dead(north("20260304"), CARLA);
    // A late delivery is older than what is known, although it arrives last.
    let late = dead(south("20260301").resident(GERDA, "0851", "Late"), ALICE);
    publish(&test, [first, second, third, late]);
    for dataset in [test.dataset(), test.dataset_of("both")] {
        let Some(views) = Views::of(&test, &dataset, &[]) else {
            return;
        };
        let persons = "SELECT pnr, status, agreement FROM person ORDER BY pnr";
        assert_eq!(
            views.rows(persons),
            [
                format!("{ALICE} 01 south"),
                format!("{BERTA} 01 south"),
                format!("{CARLA} 90 north"),
                format!("{ELLEN} 01 south"),
                format!("{FREJA} 01 north"),
                format!("{GERDA} 01 south"),
            ]
        );
        // One row for each person: the older row of the other agreement is gone.
        let names = "SELECT name.surname, address.municipality_code FROM name JOIN address USING (pnr) ORDER BY pnr";
        assert_eq!(
            views.rows(names),
            [
                "New 0851",
                "Alive 0851",
                "Own 0851",
                "Same 0265",
                "Late 0851"
            ]
        );
        // The number is in use again, which corrects the change of number.
        assert!(views.rows("SELECT * FROM pnr_resolution").is_empty());
        // Each agreement alone still has its own state.
        let alone = Views::of(&test, &dataset, &["--agreement", "north"]).unwrap();
        assert_eq!(
            alone.rows(persons),
            [
                format!("{ALICE} 01 north"),
                format!("{BERTA} 90 north"),
                format!("{CARLA} 90 north"),
                format!("{ELLEN} 60 north"),
                format!("{FREJA} 01 north"),
            ]
        );
        let resolved = alone.rows("SELECT pnr, current_pnr FROM pnr_resolution");
        assert_eq!(resolved, [format!("{ELLEN} {FREJA}")]);
    }
}

/// The delivery of another agreement that lacks a protection does not lift it.
#[test]
fn a_protection_in_any_agreement_protects() {
    let test = TestRun::local();
    let classes = "classes = [\"default\", \"family\", \"free-text\", \"franchise\", \"social\"]\n";
    let mask = classes.to_owned();
    let include = format!("{classes}protection = \"include\"");
    let nameless = format!("{classes}tables = [\"person\", \"name\", \"address\", \"event\"]");
    let drop = format!("{classes}protection = \"drop\"");
    configure(
        &test,
        &[
            ("masked", &mask),
            ("nameless", &nameless),
            ("included", &include),
            ("dropped", &drop),
        ],
    );
    let event = |extract: Handmade, pnr: &str, code: &str| {
        let registered = ("registered", "202603030815");
        extract.record("099", &[("pnr", pnr), registered, ("event_code", code)])
    };
    let first = protection(
        north("20260302")
            .resident(ALICE, "0265", "Alice")
            .resident(BERTA, "0265", "Berta"),
        ALICE,
    );
    let second = south("20260303")
        .resident(ALICE, "0851", "Alice")
        .resident(BERTA, "0851", "Berta")
        .resident(DORTE, "0851", "Dorte")
        .record("001", &[("pnr", CARLA), ("status", "01")])
        .record(
            "015",
            &[
                ("pnr", CARLA),
                ("mother_pnr", ALICE),
                ("mother_name", "Alice"),
                ("father_pnr", BERTA),
                ("father_name", "Berta"),
            ],
        )
        .record("009", &[("pnr", ALICE), ("birth_authority_code", "7001")])
        .record("009", &[("pnr", BERTA), ("birth_authority_code", "7001")])
        .record(
            "018",
            &[
                ("pnr", ALICE),
                ("condition_type", "4"),
                ("condition_code", "00042"),
            ],
        )
        .record(
            "018",
            &[
                ("pnr", ALICE),
                ("condition_type", "1"),
                ("condition_code", "00043"),
            ],
        );
    let second = ["A42", "A01"]
        .into_iter()
        .fold(second, |extract, code| event(extract, ALICE, code));
    let second = event(second, BERTA, "A42");
    publish(&test, [first, second]);
    let name =
        "SELECT surname, municipality_code FROM name JOIN address USING (pnr) WHERE name.pnr = ";
    for tenant in ["masked", "nameless"] {
        let Some(views) = Views::of(&test, &test.dataset_of(tenant), &[]) else {
            return;
        };
        let of = |pnr: &str| views.rows(&format!("{name}'{pnr}'"));
        assert_eq!(of(ALICE), ["- -"], "{tenant}");
        assert_eq!(of(BERTA), ["Berta 0851"], "{tenant}");
        assert_eq!(of(DORTE), ["Dorte 0851"], "{tenant}");
        // Everything else is that of the newest delivery.
        let status = format!("SELECT status, agreement FROM person WHERE pnr = '{ALICE}'");
        assert_eq!(views.rows(&status), ["01 south"]);
        assert_eq!(views.rows("SELECT pnr FROM protected_person"), [ALICE]);
        let codes = "SELECT pnr, event_code, strftime(registered, '%H:%M') FROM event ORDER BY ALL";
        assert_eq!(
            views.rows(codes),
            [
                format!("{ALICE} A01 08:15"),
                format!("{ALICE} - 00:00"),
                format!("{BERTA} A42 08:15"),
            ]
        );
    }
    let views = Views::of(&test, &test.dataset_of("masked"), &[]).unwrap();
    let one = |query: &str| views.rows(query);
    assert_eq!(
        one("SELECT mother_pnr, mother_name, father_name FROM parents"),
        [format!("{ALICE} - Berta")]
    );
    assert_eq!(
        one("SELECT pnr, birth_authority_code FROM birth_registration ORDER BY pnr"),
        [format!("{ALICE} -"), format!("{BERTA} 7001")]
    );
    assert_eq!(
        one("SELECT condition_type, condition_code FROM municipal_condition ORDER BY 1"),
        ["1 00043", "4 -"]
    );
    assert_eq!(
        one("SELECT pnr, protection_type, agreement FROM protection"),
        [format!("{ALICE} 0001 north")]
    );
    // Every row of every delivery is still there. That of the agreement without the protection was made again without
    // the name.
    assert_eq!(
        one(&format!(
            "SELECT count(*) FROM published_name WHERE pnr = '{ALICE}' AND surname IS NULL"
        )),
        ["2"]
    );

    let views = Views::of(&test, &test.dataset_of("included"), &[]).unwrap();
    let marks = "SELECT name.pnr, surname, name.protected, address.protected FROM name JOIN address USING (pnr) ORDER BY 1";
    assert_eq!(
        views.rows(marks),
        [
            format!("{ALICE} Alice True True"),
            format!("{BERTA} Berta False False"),
            format!("{DORTE} Dorte False False"),
        ]
    );
    // The unrestricted dataset shows everything, and the protection of either agreement.
    let views = Views::of(&test, &test.dataset(), &[]).unwrap();
    assert_eq!(views.rows(&format!("{name}'{ALICE}'")), ["Alice 0851"]);
    assert_eq!(
        views.rows("SELECT pnr, agreement FROM protection"),
        [format!("{ALICE} north")]
    );
    // The delivery of the agreement without the protection was made again without her.
    let views = Views::of(&test, &test.dataset_of("dropped"), &[]).unwrap();
    assert!(views.rows(&format!("{name}'{ALICE}'")).is_empty());

    // The protection ends when its own agreement delivers the person without it.
    publish(&test, [north("20260304").resident(ALICE, "0265", "Alice")]);
    let assert_shown = |tenant: &str, shown: &str| {
        let views = Views::of(&test, &test.dataset_of(tenant), &[]).unwrap();
        assert_eq!(views.rows(&format!("{name}'{ALICE}'")), [shown], "{tenant}");
        assert!(views.rows("SELECT * FROM protected_person").is_empty());
        assert!(views.rows("SELECT * FROM protection").is_empty());
    };
    assert_shown("included", "Alice 0265");
    // The delivery that was made again says that she is protected until its agreement delivers her again.
    let views = Views::of(&test, &test.dataset_of("masked"), &[]).unwrap();
    assert_eq!(views.rows(&format!("{name}'{ALICE}'")), ["- -"]);
    publish(&test, [south("20260305").resident(ALICE, "0851", "Alice")]);
    assert_shown("masked", "Alice 0851");
    assert_shown("included", "Alice 0851");
    // The views of one agreement hide nothing that its deliveries show.
    let alone = Views::of(
        &test,
        &test.dataset_of("included"),
        &["--agreement", "south"],
    )
    .unwrap();
    assert_eq!(alone.rows(&format!("{name}'{ALICE}'")), ["Alice 0851"]);
    assert!(!alone.script.contains("protected_person"));
}

/// A person who has left the scope in the newest delivery of any agreement is gone. The end of a subscription ends the
/// state of its own agreement alone.
#[test]
fn leaving_the_scope_counts_in_every_agreement() {
    let test = TestRun::local();
    configure(
        &test,
        &[("here", "[tenant.here.persons]\nmunicipalities = [\"0265\"]")],
    );
    let event = |extract: Handmade, pnr: &str| {
        extract.record("099", &[("pnr", pnr), ("event_code", "A01")])
    };
    let persons = |extract: Handmade| {
        [ALICE, BERTA, CARLA, DORTE]
            .into_iter()
            .fold(extract, |extract, pnr| {
                event(extract.resident(pnr, "0265", "Here"), pnr)
            })
    };
    let unsubscribed = |extract: Handmade, pnr: &str| extract.record("997", &[("pnr", pnr)]);
    publish(
        &test,
        [
            persons(north("20260302")),
            persons(south("20260303")),
            // Alice moves away, and north tells it. The subscription of Berta ends in north, that of Carla in south.
            unsubscribed(north("20260304").resident(ALICE, "0851", "Away"), BERTA),
            unsubscribed(south("20260305"), CARLA),
        ],
    );
    let Some(views) = Views::of(&test, &test.dataset_of("here"), &[]) else {
        return;
    };
    assert_eq!(
        views.rows("SELECT pnr, agreement FROM person ORDER BY pnr"),
        [
            format!("{BERTA} south"),
            format!("{CARLA} north"),
            format!("{DORTE} south"),
        ]
    );
    assert_eq!(
        views.rows("SELECT pnr, agreement FROM event ORDER BY pnr, agreement"),
        [
            format!("{BERTA} south"),
            format!("{CARLA} north"),
            format!("{DORTE} north"),
            format!("{DORTE} south"),
        ]
    );
    // Alice comes back, and the other agreement tells it.
    publish(
        &test,
        [event(
            south("20260306").resident(ALICE, "0265", "Back"),
            ALICE,
        )],
    );
    let back = format!("SELECT surname FROM name WHERE pnr = '{ALICE}'");
    assert_eq!(views.rows(&back), ["Back"]);
    let events = format!("SELECT delivery FROM event WHERE pnr = '{ALICE}'");
    assert_eq!(views.rows(&events).len(), 1);
}
