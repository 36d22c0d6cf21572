//! Random policies: a tenant gets what the oracle expects, the same bytes on every run, and no other person is
//! mentioned.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use arrow::array::RecordBatch;
use cprflow::policy::ProtectionRule;
use cprflow_tests::extract::{self, Damage, Dice};
use cprflow_tests::oracle::extract_cases::extracts;
use cprflow_tests::oracle::product::{Tenant, in_roster};
use cprflow_tests::oracle::{Extract, compare, refusal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::random_policy::{Delivery, RULES, accepted, plan};

/// Four deliveries of each population. The last one is damaged.
pub(crate) static DELIVERIES: LazyLock<Vec<Vec<Delivery>>> = LazyLock::new(|| {
    let population = |seed: u64| {
        let mut nights = extracts(&RULES, 70, seed, 10);
        nights.retain(|night| matches!(night.night, 0 | 4 | 5 | 8));
        let deliveries = nights.into_iter().enumerate().map(|(place, night)| {
            let mut bytes = night.bytes;
            if place == 3 {
                let mut lines = extract::lines(&bytes);
                let kinds = [
                    Damage::Overwrite,
                    Damage::Truncate,
                    Damage::Tail,
                    Damage::Junk,
                ];
                extract::damage(&mut lines, &mut Dice::new(seed), 300, &kinds);
                bytes = extract::join(&lines, b"\n");
            }
            let extract = Extract::of_lines(&RULES, &bytes);
            (bytes, extract)
        });
        deliveries.collect()
    };
    (40..44).map(population).collect()
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tenant_gets_what_the_oracle_expects(population in 0..4_usize, plan in plan()) {
        let deliveries = &DELIVERIES[population];
        let wanted = accepted(&plan, &deliveries[0]);
        let mut tenant = Tenant::new(wanted.clone());
        let mut roster = BTreeSet::new();
        let mut persons = BTreeSet::new();
        for (place, (bytes, extract)) in deliveries.iter().enumerate() {
            let answer = extract.expected(&wanted, &roster).unwrap();
            let got = tenant.deliver(bytes).unwrap();
            compare::assert_same(&got.delivery, &answer.delivery, &format!("delivery {place}"));
            compare::assert_only_persons_in_scope(&got.delivery.tables, &wanted, &answer);
            roster = answer.roster;
            persons.extend(extract.persons());
        }
        prop_assert_eq!(in_roster(tenant.roster.as_deref().unwrap(), &persons), roster);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 15, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_roster_and_policy_give_the_same_batches(
        population in 0..4_usize,
        plan in plan(),
    ) {
        let deliveries = &DELIVERIES[population];
        let mut tenant = Tenant::new(accepted(&plan, &deliveries[0]));
        tenant.deliver(&deliveries[0].0).unwrap();
        let (bytes, _) = &deliveries[2];
        let run = |block: usize| {
            let got = tenant.preview(bytes, |scan| scan.block_bytes(block).batch_rows(40)).unwrap();
            (written(&got.batches), got.roster)
        };
        let first = run(1 << 18);
        prop_assert!(first.0.len() < 1 << 24);
        for block in [1 << 18, 1 << 18, 997, 64 * 1024] {
            prop_assert!(run(block) == first, "blocks of {}", block);
        }
    }
}

/// Returns the batches as bytes.
fn written(batches: &[(String, RecordBatch)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (table, batch) in batches {
        bytes.extend_from_slice(table.as_bytes());
        let mut writer =
            arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
    }
    bytes
}

/// The random policies must not be so strict that most deliveries are empty.
#[test]
fn many_plans_select_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut rows, mut left, mut masked, mut refused) = (0, 0, 0, 0);
    for _ in 0..60 {
        let (population, plan) = (0..4_usize, plan())
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let deliveries = &DELIVERIES[population];
        let wanted = plan.wanted(&deliveries[0].1);
        refused += usize::from(refusal::is_refused(&RULES, &wanted));
        let mut roster = BTreeSet::new();
        for (_, extract) in deliveries {
            let answer = extract.expected(&wanted, &roster).unwrap();
            rows += usize::from(answer.delivery.tables.len() > 3);
            left += answer.delivery.left;
            masked += usize::from(wanted.policy.protection == ProtectionRule::Mask);
            roster = answer.roster;
        }
    }
    assert!(
        rows > 80 && left > 100 && masked > 30 && (5..40).contains(&refused),
        "{rows} {left} {masked} {refused}"
    );
}
