//! Checks the tables of hostile components in the documentation.

use std::fs;

/// The tables of `docs/hostile.md` name exactly the tests of the programs `hostile` and `pool`, each once.
#[test]
fn every_attack_is_documented() {
    let page = fs::read_to_string(cprflow_tests::root().join("docs/hostile.md")).unwrap();
    let mut names = Vec::new();
    let root = cprflow_tests::root().join("tests/tests");
    for directory in ["hostile", "pool"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let tests = fs::read_to_string(entry.unwrap().path()).unwrap();
            let functions = tests.split("#[test]\nfn ").skip(1);
            let functions = functions.map(|rest| rest.split('(').next().unwrap().to_owned());
            names.extend(functions.filter(|function| function.starts_with("hostile_")));
        }
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
