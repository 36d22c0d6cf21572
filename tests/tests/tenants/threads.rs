//! Scans with a policy return the same with several threads as with one: rows, roster, findings and leavers.

use cprflow::Policy;
use cprflow::policy::ProtectionRule;
use cprflow_tests::extract::{self, Dice};
use cprflow_tests::marked::Nights;
use cprflow_tests::oracle::TestPolicy;
use cprflow_tests::oracle::product::Tenant;
use cprflow_tests::rows::connector;
use cprflow_tests::threads::assert_same;
use proptest::prelude::*;

use crate::marked_nights::every_shape;
use crate::random::DELIVERIES;
use crate::random_policy::{RULES, accepted, plan};

/// Returns the bytes of an extract whose lines have their full length and no line ends.
fn without_line_ends(bytes: &[u8]) -> Vec<u8> {
    let padded = |line: Vec<u8>| {
        let record_type = String::from_utf8_lossy(&line[..3]).into_owned();
        let fields = RULES
            .get(&record_type)
            .into_iter()
            .flat_map(|rule| &rule.fields);
        let length = fields.map(|field| field.position + field.length - 1).max();
        let mut line = line;
        line.resize(length.unwrap_or_default().max(line.len()), b' ');
        line
    };
    extract::lines(bytes).into_iter().flat_map(padded).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_policies(
        population in 0..4_usize,
        plan in plan(),
        parts in prop::array::uniform3(400..40_000_usize),
    ) {
        let deliveries = &DELIVERIES[population];
        let mut tenant = Tenant::new(accepted(&plan, &deliveries[0]));
        for (place, (bytes, _)) in deliveries.iter().enumerate() {
            let name = format!("delivery {place} of population {population}");
            assert_same(&name, &tenant.scan(connector()), bytes, true, parts);
            if place == 0 {
                let packed = without_line_ends(bytes);
                assert_same("without line ends", &tenant.scan(connector()), &packed, true, parts);
            }
            tenant.deliver(bytes).unwrap();
        }
    }
}

/// Every shape of a person, with and without a 004 whose person number cannot be read, after another night.
#[test]
fn marked_extracts() {
    let mut dice = Dice::new(8);
    for unreadable in [None, Some(1)] {
        let nights = Nights {
            shapes: every_shape()
                .into_iter()
                .map(|shape| vec![Some(shape); 2])
                .collect(),
            unreadable,
            seed: 21,
            is_small: true,
        };
        let nights = nights.extracts(&RULES);
        for protection in [
            ProtectionRule::Include,
            ProtectionRule::Mask,
            ProtectionRule::Drop,
        ] {
            let policy = Policy {
                protection,
                ..Policy::default()
            };
            let mut tenant = Tenant::new(TestPolicy::new(policy));
            for night in &nights {
                let parts = std::array::from_fn(|_| 500 + dice.below(night.bytes.len() / 4));
                let name = format!("{protection:?}, {unreadable:?}");
                assert_same(&name, &tenant.scan(connector()), &night.bytes, true, parts);
                tenant.deliver(&night.bytes).unwrap();
            }
        }
    }
}

/// With small parts, several threads do make the rows of parts. Otherwise the other tests would compare nothing.
#[test]
fn small_parts_are_read_as_parts() {
    let (bytes, _) = &DELIVERIES[0][0];
    let tenant = Tenant::new(TestPolicy::new(Policy::default()));
    let batches = |scan: cprflow::Scan| {
        let reader = scan.read_with_policy(|| Ok(bytes.as_slice())).unwrap();
        reader.map(|batch| batch.map(drop).unwrap()).count()
    };
    let whole = batches(tenant.scan(connector()).threads(1));
    let scan = tenant.scan(connector()).threads(3).part_bytes(4_000);
    assert!(batches(scan) > 2 * whole);
}
