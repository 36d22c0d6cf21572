//! What a tenant's delivery tells about rows that it does not have: by counts, digests, sizes and the order of rows.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cprflow_tests::handmade::Handmade;
use cprflow_tests::reference_reader::{Row, Value};
use cprflow_tests::test_run::{TestRun, files, tables, transfer};
use serde_json::Value as Json;

const DATE: &str = "20260302";

/// The policies of the tests, by tenant.
const POLICIES: [(&str, &str); 5] = [
    ("default", ""),
    (
        "pseudonymous",
        "numbers = \"pseudonym\"\nkey = { file = \"key\" }\n",
    ),
    ("numberless", "numbers = \"drop\"\n"),
    ("dropping", "protection = \"drop\"\n"),
    (
        "here",
        "[tenant.here.persons]\nmunicipalities = [\"0265\"]\nages = [0, 120]\n",
    ),
];

fn configure(test: &TestRun, policies: &[(&str, &str)]) {
    fs::write(test.path("key"), "0123456789abcdef".repeat(4)).unwrap();
    fs::set_permissions(test.path("key"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut text = "[agreement.town]\ninbox = \"inbox\"\n".to_owned();
    for (name, policy) in policies {
        text.push_str(&format!(
            "[tenant.{name}]\nagreements = [\"town\"]\npurpose = \"test\"\ndataset = \"tenants/{name}\"\n{policy}"
        ));
    }
    test.configure(&text);
}

/// Returns the numbers of twenty persons, in ascending order.
fn numbers() -> Vec<String> {
    (1..=20).map(|day| format!("{day:02}01701001")).collect()
}

/// Adds a resident who is born on the day in the number. Surnames descend while numbers and birth dates ascend.
fn resident(extract: Handmade, pnr: &str) -> Handmade {
    let day: u8 = pnr[..2].parse().unwrap();
    let born = format!("1970-01-{day:02}");
    let surname = format!("{}berg", char::from(b'Z' - day));
    extract
        .record(
            "001",
            &[("pnr", pnr), ("status", "01"), ("birth_date", &born)],
        )
        .record(
            "002",
            &[
                ("pnr", pnr),
                ("municipality_code", "0265"),
                ("street_code", "0042"),
            ],
        )
        .record("008", &[("pnr", pnr), ("surname", &surname)])
}

/// Publishes an extract to tenants with all policies.
fn published(extract: Handmade) -> TestRun {
    let test = TestRun::local();
    configure(&test, &POLICIES);
    test.put("d", &extract.finish(), &transfer(1));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    test
}

/// Returns the manifest without the time, and the digest of the extract.
fn manifest(directory: &Path) -> (Json, String) {
    let text = fs::read_to_string(directory.join("_delivery.json")).unwrap();
    let mut manifest: Json = serde_json::from_str(&text).unwrap();
    let fields = manifest.as_object_mut().unwrap();
    assert!(fields.remove("published").is_some());
    let digest = fields.remove("sha256").unwrap();
    (manifest, digest.as_str().unwrap().to_owned())
}

/// Returns the bytes of the tables, by name.
fn parquet(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = files(directory).into_iter();
    let parquet = all.filter(|file| file.extension().is_some_and(|end| end == "parquet"));
    parquet
        .map(|file| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(file).unwrap())
        })
        .collect()
}

/// A tenant gets the same bytes, whether or not the extract has anything that the tenant may not see.
#[test]
fn a_delivery_is_the_same_with_and_without_hidden_rows() {
    let visible = || {
        numbers()
            .iter()
            .fold(Handmade::new("111111", DATE), |all, pnr| resident(all, pnr))
    };
    let person = &numbers()[3];
    // Records of hidden classes, before, between and after the visible ones.
    let hidden = Handmade::new("111111", DATE)
        .record("011", &[("pnr", person), ("church_relation", "F")])
        .record("017", &[("pnr", person), ("start_date", "2020-00-00")]);
    let hidden = numbers().iter().fold(hidden, |all, pnr| {
        let all = resident(all, pnr)
            .record("014", &[("pnr", pnr), ("child_pnr", person)])
            .record("028", &[("pnr", pnr), ("church_relation", "U")]);
        all.record("004", &[("pnr", pnr), ("protection_type", "0005")])
    });
    let hidden = hidden
        .record(
            "910",
            &[("sort_key", "9999999999"), ("error_number", "8451")],
        )
        .line(format!("077{person}unknown").as_bytes());
    let (without, with) = (published(visible()), published(hidden));
    for (tenant, _) in POLICIES {
        let delivery = |test: &TestRun| test.published_to(tenant)[0].0.clone();
        let (without, with) = (delivery(&without), delivery(&with));
        let ((one, digest), (other, other_digest)) = (manifest(&without), manifest(&with));
        assert_eq!(one, other, "{tenant}");
        assert!(one.get("size").is_none() && one["findings"] == Json::Array(Vec::new()));
        // The digest has a key, so nobody can find what is hidden by trying values.
        assert!(
            digest.starts_with("hmac-sha256:") && digest != other_digest,
            "{tenant}"
        );
        assert!(parquet(&without) == parquet(&with), "{tenant}");
        assert!(!parquet(&without).is_empty());
    }
    // Persons outside the scope leave no trace either.
    let others =
        numbers()
            .iter()
            .enumerate()
            .fold(Handmade::new("111111", DATE), |all, (place, pnr)| {
                let elsewhere = format!("{:02}02701002", place + 1);
                resident(all.resident(&elsewhere, "0851", "Away"), pnr)
            });
    let others = protection(others.record("008", &[("pnr", "3001701009")]), "2801701001");
    let with = published(others);
    let delivery = |test: &TestRun| test.published_to("here")[0].0.clone();
    assert_eq!(
        manifest(&delivery(&with)).0,
        manifest(&delivery(&without)).0
    );
    assert!(parquet(&delivery(&with)) == parquet(&delivery(&without)));
}

/// Adds a protected person who lives elsewhere.
fn protection(extract: Handmade, pnr: &str) -> Handmade {
    let protection = [("pnr", pnr), ("protection_type", "0001")];
    extract
        .resident(pnr, "0851", "Hidden")
        .record("004", &protection)
}

fn texts(rows: &[Row], column: &str) -> Vec<String> {
    let value = |row: &Row| {
        let found = row.iter().find(|(name, _)| name == column);
        match found.map(|(_, value)| value) {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Days(days)) => format!("{days:08}"),
            other => panic!("{column} is {other:?}"),
        }
    };
    rows.iter().map(value).collect()
}

/// The rows at one place of two tables do not belong to one person, unless the rows say so themselves.
#[test]
fn tables_cannot_be_joined_by_the_position_of_rows() {
    let test = TestRun::local();
    let unnamed = "[tenant.unnamed.columns]\nname = [\"surname\"]\n";
    configure(
        &test,
        &[POLICIES[0], POLICIES[1], POLICIES[2], ("unnamed", unnamed)],
    );
    let all = numbers();
    let extract = all
        .iter()
        .fold(Handmade::new("111111", DATE), |extract, pnr| {
            resident(extract, pnr)
        });
    test.put("d", &extract.finish(), &transfer(1));
    // The next night, half of them die, and the others move abroad.
    let mut extract = Handmade::new("111111", "20260303");
    for (place, pnr) in all.iter().enumerate() {
        let status = if place % 2 == 0 { "90" } else { "80" };
        extract = extract.record("001", &[("pnr", pnr), ("status", status)]);
    }
    let tenants = ["default", "pseudonymous", "numberless", "unnamed"];
    assert_eq!(test.sync().code, 0);
    let found: BTreeMap<_, _> = tenants
        .map(|tenant| (tenant, tables(&test.published_to(tenant)[0].0)))
        .into();
    // Surnames descend in the extract, and birth dates ascend.
    let plain = &found["default"];
    assert_eq!(texts(&plain["person"], "pnr"), all);
    let surnames = texts(&plain["name"], "surname");
    assert!(surnames.is_sorted_by(|one, other| one > other));
    for tenant in ["numberless", "unnamed"] {
        let mut sorted = surnames.clone();
        sorted.sort();
        assert_eq!(texts(&found[tenant]["name"], "surname"), sorted, "{tenant}");
        assert!(texts(&found[tenant]["person"], "birth_date").is_sorted());
    }
    let hidden = &found["pseudonymous"];
    let pseudonyms = texts(&hidden["person"], "pnr");
    assert!(pseudonyms.is_sorted());
    assert_eq!(texts(&hidden["name"], "pnr"), pseudonyms);
    // The tenant's own tables still join, and not those of another tenant.
    let joined = texts(&hidden["name"], "surname");
    assert!(joined != surnames && joined.len() == surnames.len());

    configure(
        &test,
        &[
            ("default", "[tenant.default.persons]\nstatuses = [\"01\"]\n"),
            (
                "pseudonymous",
                "numbers = \"pseudonym\"\nkey = { file = \"key\" }\n[tenant.pseudonymous.persons]\nstatuses = [\"01\"]\n",
            ),
            (
                "numberless",
                "numbers = \"drop\"\n[tenant.numberless.persons]\nstatuses = [\"01\"]\n",
            ),
        ],
    );
    test.put("e", &extract.finish(), &transfer(2));
    // The policies hide more than half of the persons, so each waits for a person.
    assert_eq!(test.sync().code, 2);
    for tenant in ["default", "pseudonymous", "numberless"] {
        assert_eq!(test.run_only("tenant accept", &[tenant]).code, 0);
    }
    assert!(test.sync().code < 2);
    let leavers = |tenant: &str| tables(&test.published_to(tenant)[1].0)["out_of_scope"].clone();
    assert_eq!(texts(&leavers("default"), "pnr"), all);
    assert!(!texts(&leavers("default"), "reason").is_sorted());
    assert!(texts(&leavers("pseudonymous"), "pnr").is_sorted());
    let reasons = texts(&leavers("numberless"), "reason");
    assert!(reasons.is_sorted() && reasons.len() == all.len());
}
