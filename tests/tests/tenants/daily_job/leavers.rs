//! Persons who left the scope of a tenant, also if a late delivery describes an older state.

use std::collections::BTreeSet;
use std::fs;

use cprflow_tests::extract;
use cprflow_tests::scope::{Scope, municipalities, texts};
use cprflow_tests::test_run::{TestRun, tables};

use super::{AGREEMENT, in_municipality, nights, put, tenant};

/// The current state has no rows and no events of leavers, also with `leavers = "last"`.
#[test]
fn views_exclude_leavers() {
    let test = TestRun::local();
    let nights = nights(200, 11);
    let here = &municipalities(&nights[0])[0];
    let last = format!("leavers = \"last\"\n{}", in_municipality(here));
    test.configure(&format!(
        "{AGREEMENT}{}{}",
        tenant("notice", "town", &in_municipality(here)),
        tenant("last", "town", &last)
    ));
    let mut scope = Scope::new(here);
    let mut left = BTreeSet::new();
    for (night, extract) in nights.iter().enumerate() {
        left.extend(scope.apply(extract).left);
        put(&test, night, extract);
        assert_eq!(test.sync().code, 0);
    }
    left.retain(|number| !scope.persons.contains(number));
    assert!(
        !left.is_empty(),
        "the deliveries have no leavers, so nothing is tested"
    );
    for name in ["notice", "last"] {
        let dataset = test.dataset_of(name);
        let arguments = ["views", "--dialect", "duckdb", dataset.to_str().unwrap()];
        let sql = cprflow_tests::command::cprflow(arguments);
        assert_eq!(sql.code, 0, "{}", sql.stderr);
        let Some(python) = cprflow_tests::python::python() else {
            return;
        };
        let script = test.path("views.sql");
        fs::write(&script, &sql.stdout).unwrap();
        let numbers = |query: &str| -> BTreeSet<String> {
            let program = "import duckdb, sys\n\
                           db = duckdb.connect()\n\
                           db.execute(open(sys.argv[1]).read())\n\
                           print('\\n'.join(row[0] for row in db.execute(sys.argv[2]).fetchall()))";
            let answer = std::process::Command::new(&python)
                .args(["-c", program])
                .arg(&script)
                .arg(query)
                .output()
                .unwrap();
            assert!(
                answer.status.success(),
                "{}",
                String::from_utf8_lossy(&answer.stderr)
            );
            let text = String::from_utf8(answer.stdout).unwrap();
            text.lines()
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(numbers("SELECT pnr FROM person"), scope.persons, "{name}");
        let told = numbers("SELECT pnr FROM out_of_scope");
        assert!(left.is_subset(&told), "{name}");
        for table in ["name", "address", "event"] {
            let shown = numbers(&format!("SELECT pnr FROM {table}"));
            assert!(shown.is_disjoint(&left), "{name}: {table}");
            assert!(!shown.is_empty(), "{name}: {table}");
        }
    }
}

/// A late delivery describes an older state. Persons who left in it may be in scope again since then.
#[test]
fn a_late_delivery_removes_no_person_from_the_roster() {
    let test = TestRun::local();
    let status = extract::small(80, 3);
    let here = &municipalities(&status)[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    scope.apply(&status);
    assert!(scope.persons.len() > 5);
    let elsewhere: &[u8] = if here == "0101" { b"0851" } else { b"0101" };
    for (night, (date, is_away)) in [("20260310", false), ("20260305", true), ("20260320", true)]
        .into_iter()
        .enumerate()
    {
        let mut lines = extract::lines(&status);
        for line in lines
            .iter_mut()
            .filter(|line| line.starts_with(b"002") && is_away)
        {
            line[13..17].copy_from_slice(elsewhere);
        }
        let start = lines
            .iter_mut()
            .find(|line| line.starts_with(b"000"))
            .unwrap();
        start[19..27].copy_from_slice(date.as_bytes());
        put(&test, night, &extract::join(&lines, b"\n"));
        assert_eq!(test.sync().code, 0);
    }
    let told: Vec<_> = test
        .published_to("here")
        .into_iter()
        .map(|(directory, _)| texts(&tables(&directory)["out_of_scope"], "pnr"))
        .collect();
    // The late delivery lists no leavers, because later deliveries are newer.
    assert_eq!(told, [BTreeSet::new(), BTreeSet::new(), scope.persons]);
}

/// A late delivery with an older state does not bring a leaver back, also if the tenant never had that person.
#[test]
fn a_late_delivery_does_not_restore_leavers() {
    let test = TestRun::local();
    let status = extract::small(80, 3);
    let here = &municipalities(&status)[0];
    test.configure(&format!(
        "{AGREEMENT}{}",
        tenant("here", "town", &in_municipality(here))
    ));
    let mut scope = Scope::new(here);
    scope.apply(&status);
    let gone = scope.persons.first().unwrap().as_bytes().to_vec();
    let of = |date: &str, dead: Option<&[u8]>, only: Option<&[u8]>| {
        let mut lines = extract::lines(&status);
        lines.retain(|line| {
            let is_persons = !line.starts_with(b"000") && !line.starts_with(b"999");
            only.is_none_or(|only| !is_persons || line[3..13] == *only)
        });
        let count = lines.len() - 2;
        for line in &mut lines {
            match &line[..3] {
                b"000" => line[19..27].copy_from_slice(date.as_bytes()),
                b"999" => line[13..21].copy_from_slice(format!("{count:08}").as_bytes()),
                b"001" if dead.is_some_and(|dead| line[3..13] == *dead) => {
                    line[23..25].copy_from_slice(b"90");
                }
                _ => {}
            }
        }
        extract::join(&lines, b"\n")
    };
    let rosters = |ending: &str| {
        let all = fs::read_dir(test.path("state/rosters/here")).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).count()
    };
    put(&test, 0, &of("20260310", Some(&gone), Some(&gone)));
    assert_eq!(test.sync().code, 0);
    put(&test, 1, &of("20260305", None, None));
    let ended = test.sync();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let published = test.published_to("here");
    let late = &published[0].0;
    assert!(late.to_string_lossy().contains("2026-03-05"));
    let came = texts(&tables(late)["person"], "pnr");
    let mut expected = scope.persons.clone();
    expected.pop_first();
    assert_eq!(came, expected);
    assert_eq!((rosters(".roster"), rosters(".delivered")), (1, 2));
    // Without the record of a person, the outcome is not guessed.
    for entry in fs::read_dir(test.path("state/rosters/here")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "delivered" {
            fs::remove_file(path).unwrap();
        }
    }
    put(&test, 2, &of("20260301", None, None));
    let ended = test.sync();
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("persons who left the scope since could come back"),
        "{}",
        ended.stderr
    );
    assert_eq!(test.published_to("here").len(), 2);
}
