//! The daily job with many tenants: nothing that a tenant's policy hides is in any byte of what is written or printed
//! for that tenant.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use cprflow::policy::{LeaverRule, NumberRule, PersonFilter, Policy, ProtectionRule};
use cprflow_tests::marked::promises::Promises;
use cprflow_tests::marked::shape::{Chain, Dates, Lost, Shape};
use cprflow_tests::marked::{MarkedExtract, Nights};
use cprflow_tests::oracle::columns::CLASSES;
use cprflow_tests::oracle::{Extract, TestPolicy};
use cprflow_tests::output_bytes::{Found, assert_parquet_tells_only_its_values, marks_of};
use cprflow_tests::reference_reader::{Tables, Value};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};

use crate::random_policy::RULES;

const AGREEMENTS: [&str; 2] = ["town", "other"];

/// A tenant, with its rosters by agreement.
struct Tenant {
    name: &'static str,
    agreements: &'static [&'static str],
    wanted: TestPolicy,
    rosters: BTreeMap<&'static str, BTreeSet<String>>,
    /// The expected marks and numbers of everything so far.
    told: Found,
}

impl Tenant {
    fn new(
        name: &'static str,
        agreements: &'static [&'static str],
        change: impl FnOnce(&mut Policy),
    ) -> Self {
        let mut policy = Policy::default();
        change(&mut policy);
        let mut wanted = TestPolicy::new(policy);
        if wanted.policy.numbers == NumberRule::Pseudonym {
            wanted.key = "5e".repeat(32).into_bytes();
        }
        Self {
            name,
            agreements,
            wanted,
            rosters: BTreeMap::new(),
            told: Found::default(),
        }
    }

    /// Returns the section of the configuration.
    fn section(&self, test: &TestRun) -> String {
        let policy = &self.wanted.policy;
        let name = self.name;
        let list = |texts: &mut dyn Iterator<Item = &String>| {
            let quoted: Vec<String> = texts.map(|text| format!("'{text}'")).collect();
            format!("[{}]", quoted.join(", "))
        };
        let classes = policy.classes.iter().filter(|class| *class != "religion");
        let mut section = format!(
            "[tenant.{name}]\nagreements = {:?}\npurpose = 'what {name} does'\ndataset = 'tenants/{name}'\n\
             classes = {}\nprotection = '{}'\nnumbers = '{}'\nleavers = '{}'\n",
            self.agreements,
            list(&mut { classes }),
            format!("{:?}", policy.protection).to_lowercase(),
            format!("{:?}", policy.numbers).to_lowercase(),
            format!("{:?}", policy.leavers).to_lowercase(),
        );
        if policy.classes.contains("religion") {
            section.push_str("church = { purpose = 'membership' }\n");
        }
        if policy.numbers == NumberRule::Pseudonym {
            let key = test.path(&format!("{name}.key"));
            fs::write(&key, format!("{}\n", "5e".repeat(32))).unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
            writeln!(section, "key = {{ file = '{name}.key' }}").unwrap();
        }
        if let Some(codes) = &policy.persons.municipality_codes {
            let codes = list(&mut codes.iter());
            writeln!(section, "persons = {{ municipalities = {codes} }}").unwrap();
        }
        section
    }
}

/// Returns tenants with every kind of rule, of one agreement or of both.
fn tenants() -> Vec<Tenant> {
    let every: BTreeSet<String> = CLASSES.map(str::to_owned).into();
    let with = |classes: &[&str]| -> BTreeSet<String> {
        classes.iter().map(|class| (*class).to_owned()).collect()
    };
    let all = || every.clone();
    let here = || PersonFilter {
        municipality_codes: Some(vec!["0851".to_owned(), "0101".to_owned()]),
        ..PersonFilter::default()
    };
    let town = &AGREEMENTS[..1];
    vec![
        Tenant::new("plain", town, |_| {}),
        Tenant::new("both", &AGREEMENTS, |policy| policy.classes = all()),
        Tenant::new("dropping", &AGREEMENTS, |policy| {
            policy.classes = all();
            policy.protection = ProtectionRule::Drop;
        }),
        Tenant::new("pseudonym", town, |policy| {
            policy.classes = all();
            policy.classes.insert("person-id".to_owned());
            policy.numbers = NumberRule::Pseudonym;
            policy.leavers = LeaverRule::Last;
        }),
        Tenant::new("numberless", town, |policy| {
            policy.classes = all();
            policy.numbers = NumberRule::Drop;
            policy.protection = ProtectionRule::Drop;
            policy.leavers = LeaverRule::Last;
        }),
        Tenant::new("local", town, |policy| {
            policy.persons = here();
            policy.classes = with(&["address", "family", "name", "social"]);
            policy.leavers = LeaverRule::Last;
        }),
        Tenant::new("marking", town, |policy| {
            policy.classes = with(&["address", "economic", "free-text", "protection"]);
            policy.protection = ProtectionRule::Include;
        }),
        Tenant::new("open", town, |policy| {
            policy.classes = all();
            policy.protection = ProtectionRule::Include;
        }),
        Tenant::new("bare", town, |policy| policy.classes = with(&["franchise"])),
        Tenant::new("secret", town, |policy| {
            policy.classes = with(&[
                "civil-status",
                "civil-status-history",
                "identity",
                "religion",
            ]);
            policy.numbers = NumberRule::Pseudonym;
            policy.protection = ProtectionRule::Drop;
        }),
    ]
}

/// Returns three nights. In the last one a protection has no readable number. With `is_reversed`, other numbers have
/// these shapes.
fn nights(seed: u64, is_reversed: bool) -> Vec<MarkedExtract> {
    let chain = |changes, protected, links, lost| {
        Shape::Chain(Chain {
            changes,
            protected,
            links,
            lost,
            deleted: 2,
        })
    };
    let over = |first, second, third| vec![Some(first), second, third];
    let ordinary = Shape::Ordinary;
    let protected = Shape::Protected;
    let mut shapes = vec![
        over(ordinary, Some(ordinary), Some(ordinary)),
        over(ordinary, Some(protected(Dates::Planned)), None),
        over(ordinary, Some(Shape::Damaged(7)), Some(ordinary)),
        over(ordinary, Some(Shape::Unsubscribed), None),
        over(protected(Dates::Ended), Some(ordinary), Some(ordinary)),
        over(Shape::UnreadableType(0), None, Some(Shape::ProtectedTwice)),
        over(chain(3, Some(0), 0, Lost::Nothing), None, None),
        over(chain(5, Some(5), 0x5555, Lost::Nothing), None, None),
        over(chain(2, None, 0, Lost::Number(2)), Some(ordinary), None),
        over(
            Shape::Circle {
                length: 2,
                protected: None,
                has_outsider: true,
            },
            Some(Shape::FormerAlone),
            Some(ordinary),
        ),
        over(
            Shape::OtherProtection(3),
            Some(Shape::Twice { differ: true }),
            Some(ordinary),
        ),
        over(
            Shape::RelativeWithDate(0),
            Some(Shape::WithoutPerson),
            Some(ordinary),
        ),
        over(
            Shape::CurrentOfProtected,
            Some(Shape::Harmless(0)),
            Some(ordinary),
        ),
    ];
    if is_reversed {
        shapes.reverse();
    }
    let nights = Nights {
        shapes,
        unreadable: Some(2),
        seed,
        is_small: false,
    };
    nights.extracts(&RULES)
}

#[test]
fn nothing_hidden_is_in_any_file_of_a_tenant() {
    let test = TestRun::local();
    let mut tenants = tenants();
    let sections: Vec<String> = tenants.iter().map(|tenant| tenant.section(&test)).collect();
    test.configure(&format!(
        "[agreement.town]\ninbox = 'inbox'\nfiles = {{ name = 'd\\d{{6}}\\.l431101' }}\n\
         [agreement.other]\ninbox = 'inbox'\nfiles = {{ name = 'e\\d{{6}}\\.l431101' }}\n{}",
        sections.join("\n"),
    ));
    let deliveries = [nights(3, false), nights(4, true)];
    let printed = |ended: &cprflow_tests::command::CommandOutput| {
        let mut found = Found::default();
        found.add(&ended.stdout);
        found.add(ended.stderr.as_bytes());
        found.assert_marks(&Found::default(), "a value is printed");
    };
    for night in 0..3 {
        for (of, letter) in deliveries.iter().zip(["d", "e"]) {
            let name = format!("{letter}2603{:02}.l431101", 2 + night);
            let number = night as u32 * 2 + u32::from(letter == "e") + 1;
            test.put(&name, &of[night].bytes, &transfer(number));
        }
        if night == 1 {
            assert_scans(&test, &tenants[0], &deliveries[0][1]);
        }
        let ended = test.sync();
        printed(&ended);
        if night == 2 {
            // A person must first accept that a protection cannot be assigned.
            assert_eq!(ended.code, 1, "{}{}", ended.stderr, ended.text());
            assert!(
                ended.text().contains("protection-unreadable"),
                "{}",
                ended.text()
            );
            for tenant in &tenants {
                assert_eq!(
                    test.published_to(tenant.name).len(),
                    2 * tenant.agreements.len()
                );
            }
            for letter in ["d", "e"] {
                let name = format!("{letter}260304.l431101");
                let ended = test.run("retry", &[&name, "--accept", "protection-unreadable"]);
                printed(&ended);
            }
        } else {
            assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
        }
        for tenant in &mut tenants {
            assert_night(&test, tenant, &deliveries, night);
        }
    }
    for command in ["status", "doctor"] {
        printed(&test.run(command, &["--format", "json"]));
    }
    printed(&test.run_only("tenant", &["check"]));
    // There was much to find, and each tenant sees its own part of it.
    let told: BTreeMap<&str, usize> = tenants
        .iter()
        .map(|tenant| (tenant.name, tenant.told.marks.len()))
        .collect();
    assert!(
        told["open"] > 2000 && told["dropping"] > 500 && told["local"] > 50,
        "{told:?}"
    );
    assert!(told["bare"] < 50 && told["secret"] < 50, "{told:?}");
}

/// Checks what `cprflow scan --tenant` writes for the tenant, in every format.
fn assert_scans(test: &TestRun, tenant: &Tenant, marked: &MarkedExtract) {
    let extract = Extract::of_lines(&RULES, &marked.bytes);
    let roster = &tenant.rosters["town"];
    let answer = extract.expected(&tenant.wanted, roster).unwrap();
    let input = test.path("looked-at.cpr");
    fs::write(&input, &marked.bytes).unwrap();
    for table in ["plaintext_address", "name"] {
        let mut wanted = Found::default();
        let rows = answer.delivery.tables[table].clone();
        add_texts(&mut wanted, &[(table.to_owned(), rows)].into());
        for format in ["table", "csv", "jsonl", "arrow"] {
            let config = test.path("cprflow.toml");
            let [input, config] = [&input, &config].map(|path| path.to_str().unwrap());
            let options = [
                "--tenant",
                tenant.name,
                "--config",
                config,
                "--agreement",
                "town",
            ];
            let what = ["scan", input, "--table", table, "--format", format];
            let ended = cprflow_tests::command::cprflow(what.into_iter().chain(options));
            let mut found = Found::default();
            found.add(&ended.stdout);
            found.add(ended.stderr.as_bytes());
            found.assert_marks(&wanted, format);
        }
    }
}

/// Checks everything that was written for the tenant in a night.
fn assert_night(
    test: &TestRun,
    tenant: &mut Tenant,
    deliveries: &[Vec<MarkedExtract>; 2],
    night: usize,
) {
    let name = tenant.name;
    for (agreement, of) in AGREEMENTS.into_iter().zip(deliveries) {
        if !tenant.agreements.contains(&agreement) {
            continue;
        }
        let marked = &of[night];
        let extract = Extract::of_lines(&RULES, &marked.bytes);
        let roster = tenant.rosters.entry(agreement).or_default();
        let answer = extract.expected(&tenant.wanted, roster).unwrap();
        *roster = answer.roster.clone();
        let published = test.published_to(name);
        let part = format!("agreement={agreement}");
        let mut of_agreement = published
            .into_iter()
            .filter(|(directory, _)| directory.parent().unwrap().ends_with(&part));
        let (directory, manifest) = of_agreement.nth(night).unwrap();
        assert!(of_agreement.next().is_none());
        let place = format!("{name}, {agreement}, night {night}");
        let read = tables(&directory);
        let seen: BTreeSet<&String> = read.keys().collect();
        assert_eq!(seen, answer.delivery.view.keys().collect(), "{place}");
        for (table, rows) in &read {
            let expected = answer
                .delivery
                .tables
                .get(table)
                .cloned()
                .unwrap_or_default();
            // Between two agreements, what one protects is hidden in the delivery of the other once it is made again.
            if tenant.agreements.len() == 1 {
                assert!(*rows == expected, "{table} of {place}");
            }
            let file = directory.join(format!("{table}.parquet"));
            assert_parquet_tells_only_its_values(&file, rows);
        }
        let own = manifest.tenant.as_ref().unwrap();
        if tenant.agreements.len() == 1 {
            assert_eq!(
                (own.persons, own.entered, own.left),
                (
                    answer.delivery.persons,
                    answer.delivery.entered,
                    answer.delivery.left
                ),
                "{place}"
            );
        }
        let promises = Promises {
            policy: &tenant.wanted.policy,
            truth: &marked.truth,
        };
        for mark in marks_of(&read) {
            if let Some(place) = marked.marks.get(&mark) {
                assert_eq!(
                    promises.why_hidden(place),
                    None,
                    "{name}: {mark:?}, {place:?}"
                );
            }
        }
        add_texts(&mut tenant.told, &answer.delivery.tables);
    }
    // All bytes of all files, with their names: also what earlier nights have left.
    let mut found = Found::default();
    let dataset = test.dataset_of(name);
    // The current tables are made from all nights. They are compared with a model of their own.
    let is_current = |path: &std::path::Path| {
        ["current", "generations"]
            .iter()
            .any(|part| path.starts_with(dataset.join(part)))
    };
    for file in files(&dataset).iter().filter(|file| !is_current(file)) {
        found.add_file(file);
    }
    for mark in marks_of(&tables(&dataset.join("current"))) {
        let all = deliveries.iter().flatten();
        let places: Vec<_> = all.filter_map(|marked| marked.marks.get(&mark)).collect();
        // A short mark stands in several nights.
        if let [place] = places.as_slice() {
            let is_allowed = place.needs.is_subset(&tenant.wanted.policy.classes);
            assert!(is_allowed, "current of {name}: {mark:?}, {place:?}");
        }
    }
    // Older deliveries can have less than before.
    found.assert_no_other_marks(&tenant.told, name);
    let persons = deliveries.iter().flatten().flat_map(|night| &night.numbers);
    for number in persons.collect::<BTreeSet<_>>() {
        assert!(
            !found.numbers.contains_key(number) || tenant.told.numbers.contains_key(number),
            "{name} has {number} in {:?}",
            found.numbers[number]
        );
    }
}

fn add_texts(told: &mut Found, tables: &Tables) {
    for (_, value) in tables.values().flatten().flatten() {
        match value {
            Value::Text(text) => told.add(text.as_bytes()),
            Value::Map(entries) => {
                for (_, text) in entries {
                    told.add(text.as_bytes());
                }
            }
            _ => {}
        }
    }
}
