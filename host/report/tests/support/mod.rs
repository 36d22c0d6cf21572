//! Reports in four states: the first day, a year of nights, trouble, and several tenants after months without a delivery.

use cprflow_report::{
    AgreementReport, Certificate, Day, DayKind, Fact, FindingRow, PolicySection, Report,
    ScopePoint, Series, StoragePlace, TenantReport, Volume, WaitingItem,
};
use jiff::civil::{Date, Weekday, date};

const TODAY: Date = date(2026, 12, 1);

/// The first day: an agreement without any delivery.
pub(crate) fn first_day() -> Report {
    Report {
        made: TODAY.at(8, 5, 0, 0),
        version: "cprflow 0.1.0".to_owned(),
        dataset: "/srv/cprflow/dataset".to_owned(),
        agreements: vec![AgreementReport {
            name: "roskilde".to_owned(),
            facts: facts(),
            figures: vec![
                Fact::new("deliveries published", "0"),
                Fact::new("newest delivery", "none"),
            ],
            notes: vec!["the inbox was never checked. Run `cprflow sync`".to_owned()],
            certificates: certificates(700),
            retention: retention("0 extracts"),
            ..AgreementReport::default()
        }],
        tenants: vec![TenantReport {
            name: "schools".to_owned(),
            purpose: "Enrolment of pupils".to_owned(),
            policy: policy(),
            places: places(),
            figures: vec![Fact::new("persons in scope", "not known yet")],
            notes: vec!["it lacks 1 delivery of agreement roskilde".to_owned()],
            ..TenantReport::default()
        }],
    }
}

/// A year of nights.
pub(crate) fn year() -> Report {
    let mut report = first_day();
    let agreement = &mut report.agreements[0];
    agreement.notes.clear();
    let first = date(2025, 12, 8);
    let mut day = date(2025, 12, 1);
    let mut number = 12_345_u64;
    while day <= TODAY {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let random = number >> 33;
        let is_rest = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let records = match day == first {
            true => 1_650_000,
            false => 1_400 + random % 1_900,
        };
        let kind = match (day < first, is_rest, random % 29) {
            (true, _, _) => DayKind::Before,
            (_, true, _) => DayKind::Rest,
            (_, _, 0) if day != first => DayKind::Gap,
            _ => DayKind::Delivered {
                deliveries: 1,
                records,
            },
        };
        agreement.days.push(Day { date: day, kind });
        if matches!(kind, DayKind::Delivered { .. }) && day > first {
            agreement.volumes.push(Volume {
                day,
                records,
                persons: records / 19,
                events: records / 24,
            });
        }
        day = day.tomorrow().unwrap();
    }
    agreement.figures = vec![
        Fact::new("deliveries published", "252"),
        Fact::new("newest delivery", "2026-11-30"),
        Fact::new("person numbers in the current tables", "61 204"),
        Fact::new("current tables for", "2026-12-01"),
        Fact::new("register", "48.2 MiB"),
    ];
    let months: Vec<Date> = (0..12).map(|month| date(2026, 1 + month, 1)).collect();
    let series = |name: &str, meaning: &str, base: u64| Series {
        name: name.to_owned(),
        meaning: meaning.to_owned(),
        months: months
            .iter()
            .enumerate()
            .map(|(place, month)| (*month, base + (place as u64 * 37 + base) % (base / 2 + 1)))
            .collect(),
    };
    agreement.tables = [
        "person",
        "address",
        "name",
        "civil_status",
        "protection",
        "child",
        "event",
        "address_history",
    ]
    .iter()
    .enumerate()
    .map(|(place, name)| series(name, "", 400 - place as u64 * 40))
    .collect();
    agreement.events = [
        ("A01", "Move"),
        ("A21", "Death"),
        ("A51", "Birth"),
        ("A13", "Name change"),
        (
            "P11",
            "Automatic deletion of protection, note, contact address or custody",
        ),
        ("A06", "Emigration"),
        ("A33", "Protection"),
    ]
    .iter()
    .enumerate()
    .map(|(place, (code, name))| series(code, name, 300 - place as u64 * 38))
    .collect();
    agreement.findings = vec![
        FindingRow {
            code: "irregular-value".to_owned(),
            level: "note".to_owned(),
            count: 12_033,
            deliveries: 249,
            last: Some(TODAY),
        },
        FindingRow {
            code: "sequence-gap".to_owned(),
            level: "warning".to_owned(),
            count: 1,
            deliveries: 1,
            last: Some(date(2026, 4, 7)),
        },
    ];
    agreement.retention = retention("252 extracts, 48.2 MiB (301 MiB as delivered)");
    agreement.certificates = certificates(143);
    let tenant = &mut report.tenants[0];
    tenant.legal_basis = Some("Folkeskoleloven § 36".to_owned());
    let mut persons = 7_900_u64;
    let mut day = date(2025, 12, 8);
    while day <= TODAY {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (entered, left) = ((number >> 33) % 9, (number >> 40) % 8);
        persons = persons + entered - left;
        if day == date(2026, 6, 15) {
            persons += 640;
        }
        tenant.scope.push(ScopePoint {
            day,
            persons,
            entered,
            left,
        });
        day = day.tomorrow().unwrap();
    }
    tenant.policy_changes = vec![date(2026, 6, 15)];
    tenant.reasons = [
        ("moved", 812),
        ("age", 604),
        ("emigrated", 71),
        ("protected", 19),
        ("dead", 3),
    ]
    .map(|(reason, count)| (reason.to_owned(), count))
    .to_vec();
    tenant.figures = vec![
        Fact::new("persons in scope", "8 731"),
        Fact::new("entered today", "4"),
        Fact::new("left today", "2"),
        Fact::new("current tables for", "2026-12-01"),
    ];
    report
}

/// Trouble: gaps, deliveries that were set aside, an expired certificate, withdrawn tables.
pub(crate) fn trouble() -> Report {
    let mut report = year();
    let agreement = &mut report.agreements[0];
    for day in &mut agreement.days {
        if day.date >= date(2026, 11, 12) && day.kind != DayKind::Rest {
            day.kind = match day.date.day() {
                12 | 17 => DayKind::SetAside,
                _ => DayKind::Gap,
            };
        }
    }
    agreement
        .volumes
        .retain(|volume| volume.day < date(2026, 11, 12));
    agreement.attention = vec![
        "2 deliveries are set aside. Look at them, and retry or set them aside for good".to_owned(),
        "no delivery for 13 of CPR's working days. That is normal if no person in the subscription has changed; otherwise ask the helpdesk".to_owned(),
        "the client certificate /etc/cprflow/keys/client.p12 expired on 2026-11-11. Renew it, or the subscription service refuses every call".to_owned(),
    ];
    agreement.waiting = vec![
        WaitingItem { name: "D261112.L431101".to_owned(), state: "set aside".to_owned(), since: Some(date(2026, 11, 13)), why: "count-mismatch: the end record states 2 310 records and the file has 1 877. The file may be cut off: order it again, or accept the finding".to_owned() },
        WaitingItem { name: "D261117.L431101".to_owned(), state: "set aside".to_owned(), since: Some(date(2026, 11, 18)), why: "protection-unreadable: 1 protection is damaged, and its person number cannot be read".to_owned() },
        WaitingItem { name: "a-file-with-a-very-long-name-without-any-place-to-break-it-010101-0101.zip".to_owned(), state: "in the inbox".to_owned(), since: Some(date(2026, 11, 20)), why: "no-metadata: <no metadata file> & more".to_owned() },
    ];
    agreement.findings.push(FindingRow {
        code: "count-mismatch".to_owned(),
        level: "error".to_owned(),
        count: 1,
        deliveries: 1,
        last: Some(date(2026, 11, 12)),
    });
    agreement.certificates = certificates(-20);
    let tenant = &mut report.tenants[0];
    tenant.attention = vec!["the current tables were withdrawn, because newer ones could not be made: the register lacks 2 extracts".to_owned()];
    tenant.scope.retain(|point| point.day < date(2026, 11, 12));
    tenant.figures = vec![
        Fact::new("persons in scope", "8 702"),
        Fact::new("current tables", "withdrawn"),
    ];
    report
}

/// Three tenants, two of which see the same of most tables. The last delivery came four months ago.
pub(crate) fn tenants() -> Report {
    let mut report = year();
    let agreement = &mut report.agreements[0];
    for day in &mut agreement.days {
        if day.date >= date(2026, 8, 1) && day.kind != DayKind::Rest {
            day.kind = DayKind::Gap;
        }
    }
    let mut care = report.tenants[0].clone();
    care.name = "care".to_owned();
    care.purpose = "Care of the elderly".to_owned();
    let mut library = report.tenants[0].clone();
    library.name = "library".to_owned();
    for section in &mut care.policy {
        if section.label == "sees" {
            section.lines[0] = "all columns of child".to_owned();
        }
    }
    for section in &mut library.policy {
        if section.label == "sees" {
            section.lines = ["person: pnr", "name: surname", "event: registered"]
                .map(str::to_owned)
                .to_vec();
        }
        if section.label == "hides" {
            section.lines[0] = "class religion: table church_history".to_owned();
        }
    }
    report.tenants.extend([care, library]);
    report
}

fn facts() -> Vec<Fact> {
    vec![
        Fact::new("Controller", "Roskilde Kommune"),
        Fact::new("Inbox", "sftp://cprflow@sftp.example.dk/IN"),
        Fact::new("All data is published for", "Citizen service and case work"),
        Fact::new("Legal basis", "CPR-loven § 31"),
    ]
}

fn certificates(days_left: i64) -> Vec<Certificate> {
    vec![
        Certificate {
            what: "subscription service".to_owned(),
            place: "/etc/cprflow/keys/client.p12".to_owned(),
            ends: Some(TODAY.saturating_add(jiff::Span::new().days(days_left))),
            days_left: Some(days_left),
        },
        Certificate {
            what: "login to the inbox".to_owned(),
            place: "/etc/cprflow/keys/id_ed25519".to_owned(),
            ends: None,
            days_left: None,
        },
    ]
}

fn retention(register: &str) -> Vec<Fact> {
    vec![
        Fact::new("Register", register),
        Fact::new("Published", "current tables and deliveries"),
        Fact::new("Deliveries are kept", "90 days"),
        Fact::new("State directory", "/var/lib/cprflow/state"),
    ]
}

fn policy() -> Vec<PolicySection> {
    let section = |label: &str, lines: &[&str]| PolicySection {
        label: label.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    };
    vec![
        section(
            "persons",
            &[
                "persons who live in municipality 0265, and who are 5 to 16 years old (in deliveries on the production date, in the current tables on their day)",
            ],
        ),
        section(
            "protected",
            &[
                "names, addresses and free text of persons with name and address protection are null",
            ],
        ),
        section("numbers", &["person numbers are shown"]),
        section("classes", &["address, family, name"]),
        section(
            "sees",
            &[
                "all columns of child, custody, parents",
                "person: pnr, status, sex, birth_date",
                "name: given_name, surname",
                "address: municipality_code, street_code",
                "event: registered",
            ],
        ),
        section(
            "hides",
            &[
                "class religion: table church, table church_history",
                "class economic: table credit_warning",
                "class civil-status: table civil_status",
                "class social: table guardianship, table disappearance",
                "unparsed lines, of any person: table unknown_record",
            ],
        ),
    ]
}

fn places() -> Vec<StoragePlace> {
    let place = |what: &str, place: &str, readers: &str, kept: &str| StoragePlace {
        what: what.to_owned(),
        place: place.to_owned(),
        readers: readers.to_owned(),
        kept: kept.to_owned(),
    };
    vec![
        place(
            "current tables",
            "/srv/schools/dataset/current",
            "the owner and group schools",
            "until replaced, at most 48 hours longer",
        ),
        place(
            "deliveries",
            "/srv/schools/dataset/agreement=roskilde",
            "the owner and group schools",
            "90 days",
        ),
        place(
            "persons in scope",
            "/var/lib/cprflow/state/generations/schools",
            "the owner",
            "until the next generation",
        ),
    ]
}
