//! The rosters of deliveries that tenants got after a backup, once the backup is restored.

use std::collections::BTreeSet;
use std::fs;

use cprflow_tests::handmade::Handmade;
use cprflow_tests::scope::texts;
use cprflow_tests::test_run::{TestRun, tables};

use super::{AGREEMENT, in_municipality, put, tenant};

const ALICE: &str = "0101010010";
const BERTA: &str = "0101010029";
const CARLA: &str = "0101010037";

/// What is there of the replaced state directory when the backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replaced {
    Whole,
    WithoutRosters,
    Gone,
}

fn extract(date: &str, persons: &[&str], municipality: &str) -> Vec<u8> {
    let all = persons.iter();
    all.fold(Handmade::new("431101", date), |file, person| {
        file.resident(person, municipality, "Almindelig")
    })
    .finish()
}

/// The next delivery tells all leavers, also those who came into scope after the backup. If their roster is lost, nothing is
/// published that would lack them, and each command says so.
#[test]
fn leavers_are_told_after_a_restore() {
    for replaced in [Replaced::Whole, Replaced::WithoutRosters, Replaced::Gone] {
        let test = TestRun::local();
        test.configure(&format!(
            "{AGREEMENT}{}",
            tenant("here", "town", &in_municipality("0265"))
        ));
        let nights = [
            extract("20260302", &[ALICE], "0265"),
            extract("20260303", &[BERTA], "0265"),
            extract("20260304", &[CARLA], "0265"),
        ];
        test.set_time("2026-03-05T08:00:00Z");
        put(&test, 0, &nights[0]);
        assert_eq!(test.sync().code, 0);
        let backup = test.path("backup.tar");
        let backup = backup.to_str().unwrap();
        assert_eq!(test.run_only("backup", &["-o", backup]).code, 0);
        test.set_time("2026-03-05T09:00:00Z");
        for night in [1, 2] {
            put(&test, night, &nights[night]);
            assert_eq!(test.sync().code, 0);
        }
        match replaced {
            Replaced::Whole => {}
            Replaced::WithoutRosters => fs::remove_dir_all(test.path("state/rosters")).unwrap(),
            Replaced::Gone => fs::remove_dir_all(test.path("state")).unwrap(),
        }
        let is_lost = replaced != Replaced::Whole;
        // A person may repeat it: the ledger of the first one does not know the deliveries yet.
        test.run_only("restore", &[backup, "--yes"]);
        let restored = test.run_only("restore", &[backup, "--yes"]);
        assert!(restored.code < 2, "{replaced:?}: {}", restored.stderr);
        let told = restored.stderr.contains("rosters/here/town.*");
        assert_eq!(told, is_lost, "{replaced:?}: {}", restored.stderr);
        // The register gets the extracts back, so that nothing else is missing.
        for night in [1, 2] {
            put(&test, night, &nights[night]);
        }
        for _ in 0..2 {
            let ended = test.sync();
            assert!(ended.code < 2, "{replaced:?}: {}", ended.stderr);
        }
        assert!(test.remote().is_empty(), "{replaced:?}");
        assert_eq!(test.published_to("here").len(), 3, "{replaced:?}");
        let status = test.run_only("status", &[]);
        let told = status.text().contains("the next delivery will be refused");
        assert_eq!(told, is_lost, "{replaced:?}: {}", status.text());
        put(
            &test,
            3,
            &extract("20260305", &[ALICE, BERTA, CARLA], "0101"),
        );
        let ended = test.sync();
        if is_lost {
            assert_eq!(ended.code, 2, "{replaced:?}");
            let told = ended.stderr.contains("put it back from a backup");
            assert!(told, "{replaced:?}: {}", ended.stderr);
            assert_eq!(test.published_to("here").len(), 3, "{replaced:?}");
            continue;
        }
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let (directory, _) = test.published_to("here").pop().unwrap();
        let left = texts(&tables(&directory)["out_of_scope"], "pnr");
        let all: BTreeSet<String> = [ALICE, BERTA, CARLA].map(str::to_owned).into();
        assert_eq!(left, all);
    }
}
