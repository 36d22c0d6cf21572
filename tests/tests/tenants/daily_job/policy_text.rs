//! The policy of a tenant in words.

use cprflow_tests::test_run::TestRun;

use super::{AGREEMENT, key, tenant};

#[test]
fn prints_a_policy_in_words() {
    let test = TestRun::local();
    key(&test, "key", 'k');
    test.configure(&format!(
        "{AGREEMENT}{}{}{}{}",
        tenant(
            "social",
            "town",
            "numbers = \"pseudonym\"\nkey = { file = \"key\" }\nprotection = \"drop\"\nleavers = \"last\"\n\
             persons = { municipalities = [\"265\"], ages = [18, 66], statuses = [\"01\", \"03\"] }\n\
             rows = { event = \"event_code <> 'A01'\" }\nlimits = { memory_mb = 64, total_seconds = 500 }\n"
        ),
        tenant("church", "town", "church = { purpose = \"membership fees\" }\n"),
        tenant(
            "residents",
            "town",
            "numbers = \"drop\"\nmay_reveal = true\npersons = { municipalities = [\"0265\"], events = [\"A34\"] }\n"
        ),
        tenant("few", "town", "tables = [\"person\"]\n"),
    ));
    let ended = test.run_only("tenant", &["check"]);
    assert_eq!(ended.code, 0, "{}{}", ended.stderr, ended.text());
    let text = ended.text();
    for expected in [
        "what social does",
        "persons who live in municipality 0265, and whose status is 01 or 03, and who are 18 to 66 years old (in deliveries on the production date, in the current tables on their day)",
        "is replaced by a pseudonym",
        "in every table and delivery, and rows are sorted by it",
        "persons who live in municipality 0265, and who are residents (status 01, 03, 05 or 07; `statuses` chooses others), \
         and who have event A34 in the delivery\n",
        "may reveal   yes: persons and rows may be chosen by what the tenant does not see",
        "may reveal   no: a condition on what the tenant does not see is refused",
        "name, address, number, birth date and dates of a relative are null",
        "the rows of those who died, disappeared or lost their number are published once more, unless",
        "church membership is hidden: the tables church and church_history, and its events",
        "are null for A02, A03, A08, A10, A31, A32, A33, A34, A35,",
        "the same for events with the mark BØ, FA, HP,",
        "the table event is hidden",
        "columns with person numbers are left out, and rows are sorted by their values",
        "class religion: table church",
        "church membership is shown, for this purpose: membership fees",
        "memory 64.00 MiB",
        "unparsed lines",
        "policy       sha256:",
    ] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    let list = test.run_only("tenant", &["list"]);
    assert!(list.text().contains("what church does"), "{}", list.text());
    let doctor = test.run("doctor", &[]);
    assert!(
        doctor
            .text()
            .contains("ok    key: the key for pseudonyms can be read"),
        "{}",
        doctor.text()
    );
    assert!(
        doctor
            .text()
            .contains("ok    purpose: each tenant has its own"),
        "{}",
        doctor.text()
    );
}
