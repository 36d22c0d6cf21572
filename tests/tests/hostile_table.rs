//! The table of hostile components in the documentation.

use std::fs;

/// It names every test of the files `hostile_*.rs`, each once, and no other.
#[test]
fn every_attack_is_documented() {
    let page = fs::read_to_string(cprflow_tests::root().join("docs/hostile.md")).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(cprflow_tests::root().join("tests/tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("hostile_") || !name.ends_with(".rs") {
            continue;
        }
        let tests = fs::read_to_string(&path).unwrap();
        let functions = tests.split("#[test]\nfn ").skip(1);
        let functions = functions.map(|rest| rest.split('(').next().unwrap().to_owned());
        names.extend(functions.filter(|function| function.starts_with("hostile_")));
    }
    names.sort_unstable();
    let mut documented: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter_map(|line| line.rsplit('`').nth(1))
        .collect();
    documented.sort_unstable();
    assert_eq!(documented, names);
    assert!(names.len() >= 40, "{}", names.len());
}
