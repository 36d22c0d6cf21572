//! A tie of numbers that one agreement tells counts until that agreement delivers the persons again, also if another agreement
//! has them in a newer extract: docs/data-model.md and docs/register.md say so.

use cprflow_tests::search::files_with;

use crate::hidden_later::{ALICE, BERTA, assert_hidden, other, protection, put, start, town};

#[test]
fn a_tie_is_ended_only_by_its_own_agreement() {
    let test = start(&["town", "other"], "");
    test.set_time("2026-03-05T08:00:00Z");
    let replaced = [("pnr", ALICE), ("status", "60"), ("current_pnr", BERTA)];
    let tied = other("20260302")
        .record("001", &replaced)
        .resident(BERTA, "0265", "Birk");
    assert!(put(&test, "other", 1, tied).code < 2);
    let is_shown = |tenant: &str, text: &str| {
        let current = test.dataset_of(tenant).join("current");
        !files_with(&current, text).is_empty()
    };
    for tenant in ["mask", "drop"] {
        assert!(is_shown(tenant, "Birk"), "{tenant}");
    }
    // The newer extract of another agreement has both numbers and does not tie them. One of them is protected.
    let newer = town("20260303")
        .resident(ALICE, "0265", "Anders")
        .resident(BERTA, "0265", "Nyborg");
    assert!(put(&test, "town", 2, protection(newer, ALICE)).code < 2);
    for name in ["Anders", "Birk", "Nyborg"] {
        assert_hidden(&test, name);
    }
    // The agreement of the tie delivers both numbers again, without it.
    let again = other("20260304")
        .resident(ALICE, "0265", "Hansen")
        .resident(BERTA, "0265", "Juhl");
    assert!(put(&test, "other", 3, again).code < 2);
    assert_hidden(&test, "Hansen");
    for tenant in ["mask", "drop"] {
        assert!(is_shown(tenant, "Juhl"), "{tenant}");
    }
}
