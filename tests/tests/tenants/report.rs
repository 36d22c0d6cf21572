//! The report: what it shows of agreements and tenants, and that it has no data of persons.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::fs;

use cprflow_connector::generate::{self, Settings};
use cprflow_tests::extract;
use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::Value;
use cprflow_tests::rows;
use cprflow_tests::test_run::{TestRun, transfer};

/// The columns with names and addresses of persons, which the page must not have.
const PERSONAL: [&str; 8] = [
    "given_name",
    "surname",
    "addressing_name",
    "street_name",
    "standard_address",
    "town_name",
    "mother_name",
    "spouse_name",
];

fn configure(test: &TestRun) {
    test.configure(
        "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\nlegal_basis = \"CPR-loven § 31\"\n\
         controller = \"Byen\"\n\
         [tenant.schools]\nagreements = [\"town\"]\npurpose = \"Enrolment of <pupils>\"\n\
         dataset = \"tenants/schools\"\nclasses = [\"name\", \"family\"]\n\
         persons = { ages = [5, 40], statuses = [\"01\"] }\n\
         [tenant.elderly]\nagreements = [\"town\"]\npurpose = \"Care\"\nlegal_basis = \"Serviceloven § 83\"\n\
         dataset = \"tenants/elderly\"\npersons = { ages = [65, 120] }\n",
    );
}

/// Writes the report and returns the page. Searches it for the person numbers of the test.
fn report(test: &TestRun, more: &[&str]) -> String {
    let path = test.path("report.html").display().to_string();
    let arguments = [&["-o", &path, "--force"], more].concat();
    let ended = test.run("report", &arguments);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let page = fs::read_to_string(&path).unwrap();
    test.search(&page);
    page
}

/// Returns the words of names and addresses in an extract.
fn words(extract: &[u8]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for (_, rows) in rows::scan(extract).tables() {
        for (column, value) in rows.into_iter().flatten() {
            if let (true, Value::Text(text)) = (PERSONAL.contains(&column.as_str()), value) {
                let parts = text.split(|c: char| !c.is_alphabetic());
                words.extend(
                    parts
                        .filter(|part| part.chars().count() > 2)
                        .map(str::to_owned),
                );
            }
        }
    }
    words
}

#[test]
fn shows_everything_and_no_person() {
    let test = TestRun::local();
    configure(&test);
    let settings = Settings::busy(700, 11);
    let mut personal = BTreeSet::new();
    for night in 0..=5 {
        let extract = match night {
            0 => extract::status(&settings),
            _ => {
                let mut bytes = Vec::new();
                generate::changes(&settings, night, &mut bytes).unwrap();
                bytes
            }
        };
        personal.extend(words(&extract));
        test.set_time(&format!("{}T20:00:00Z", settings.production_date(night)));
        test.put(&format!("n{night}"), &extract, &transfer(night + 1));
        let ended = test.sync();
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    }
    // A delivery that is cut off is set aside.
    let whole = extract::status(&settings);
    test.put("cut-off", &whole[..whole.len() / 2], &transfer(99));
    test.sync();
    // A file of which nothing is known.
    test.file("0101010101.txt", b"x");
    test.sync();
    let page = report(&test, &[]);
    assert!(personal.len() > 200);
    let shown: BTreeSet<&str> = page.split(|c: char| !c.is_alphabetic()).collect();
    // Months are written in English.
    let months = ["Jan", "Mar", "Maj", "Jun", "Nov", "Dec"];
    let told: Vec<_> = personal
        .iter()
        .filter(|word| shown.contains(word.as_str()) && !months.contains(&word.as_str()))
        .collect();
    assert_eq!(
        told,
        Vec::<&String>::new(),
        "the page has words of names and addresses"
    );
    for text in [
        "class=\"state bad\"",
        "Agreement town",
        "CPR-loven § 31",
        "Byen",
        "A01</code> Move",
        "set aside",
        "missing-end",
        "Enrolment of &#60;pupils&#62;",
        "Serviceloven § 83",
        "not stated",
        "who are 5 to 40 years old",
        "class address",
        "Persons in scope by day",
        "tenants/schools/current",
        "The policy has not changed",
        "6 extracts",
    ] {
        assert!(page.contains(text), "{text}");
    }
    // Six nights were delivered. The delivery that was set aside has the date of the first.
    assert_eq!(page.matches("1 delivery, ").count(), 5);
    assert_eq!(page.matches("a delivery was set aside\">").count(), 1);
    let one = report(&test, &["--tenant", "elderly"]);
    assert!(
        one.contains("Tenant elderly")
            && !one.contains("Tenant schools")
            && !one.contains("Agreement town")
    );
    assert!(one.contains("Nothing needs attention"));
    let ended = test.run("report", &["--tenant", "nobody"]);
    assert_eq!(ended.code, 2);
    // The file is there already.
    let path = test.path("report.html").display().to_string();
    assert_eq!(test.run("report", &["-o", &path]).code, 2);
}

#[test]
fn the_first_day_has_a_report() {
    let test = TestRun::local();
    configure(&test);
    let page = report(&test, &[]);
    for text in [
        "The inbox was never checked.",
        "No delivery is published.",
        "not known yet",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

/// A tenant that was added later has all persons in its current tables, and a note about the deliveries that it lacks.
#[test]
fn the_notes_about_tenants_are_shown() {
    let test = TestRun::local();
    let agreement = "[agreement.town]\ninbox = \"inbox\"\nunrestricted = \"test\"\n";
    test.configure(agreement);
    test.put("d260302.l431101", &extract::small(20, 1), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    test.configure(&format!(
        "{agreement}[tenant.late]\nagreements = [\"town\"]\npurpose = \"p\"\nlegal_basis = \"l\"\n\
         dataset = \"tenants/late\"\n"
    ));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let status = test.run("status", &[]);
    let lacks = "it lacks 1 delivery of agreement town, up to 2026-03-02, because the tenant was added later. Its current \
                 tables have the persons of all deliveries.";
    assert_eq!(status.code, 0, "{}", status.text());
    assert!(status.text().contains(lacks), "{}", status.text());
    // The spool does not have the extract any more, so a retry would fail.
    assert!(
        !status.text().contains("cprflow retry"),
        "{}",
        status.text()
    );
    let page = report(&test, &[]);
    assert!(page.contains(lacks) && page.contains("Nothing needs attention;"));
    assert!(
        page.contains("About the dataset ") && page.contains("disk/dataset. The page has counts"),
        "{page}"
    );

    // A tenant that was removed has no section, and what is left of it still needs attention.
    test.configure(agreement);
    let ended = test.sync();
    assert!(ended.code < 2, "{}", ended.stderr);
    let page = report(&test, &[]);
    assert!(page.contains("tenant late is not in the configuration any more"));
    assert!(page.contains("1 thing needs attention"));
}

#[test]
fn counts_leavers_by_reason_and_marks_changes_of_the_policy() {
    let test = TestRun::local();
    configure(&test);
    let person = |extract: Handmade, pnr: &str, status: &str| {
        let columns = [
            ("pnr", pnr),
            ("status", status),
            ("birth_date", "2000-01-01"),
        ];
        extract.record("001", &columns)
    };
    let night = |date: &str| Handmade::new("431101", date);
    let put = |number: u32, day: &str, extract: Handmade| {
        test.set_time(&format!("{day}T20:00:00Z"));
        test.put(&format!("n{number}"), &extract.finish(), &transfer(number));
        let ended = test.sync();
        assert!(ended.code < 2, "{}{}", ended.stderr, ended.text());
    };
    let numbers = ["0101010010", "0101010029", "0101010037"];
    let all = numbers
        .iter()
        .fold(night("20260302"), |extract, pnr| person(extract, pnr, "01"));
    put(1, "2026-03-02", all);
    put(2, "2026-03-03", person(night("20260303"), numbers[0], "90"));
    let other = fs::read_to_string(test.path("cprflow.toml")).unwrap();
    fs::write(
        test.path("cprflow.toml"),
        other.replace("[5, 40]", "[6, 40]"),
    )
    .unwrap();
    put(3, "2026-03-04", person(night("20260304"), numbers[1], "80"));
    let page = report(&test, &["--tenant", "schools"]);
    let row = |reason: &str| format!("<tr><td>{reason}</td><td class=\"number\">1</td>");
    assert!(
        page.contains(&row("dead")) && page.contains(&row("emigrated")),
        "{page}"
    );
    assert!(
        page.contains("Another policy came into force on 2026-03-04."),
        "{page}"
    );
    assert!(
        page.contains("<b>1</b><span>persons in scope</span>"),
        "{page}"
    );
}
