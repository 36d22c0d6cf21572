//! Components that use all memory, stack or handles, or read the memory of another. `docs/hostile.md` has a line for
//! each of these tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow::{ComponentError, Connector, Error, LimitKind, Limits, Scan};
use cprflow_tests::hostile_guest::{
    beside_healthy_scan, component, component_error, connector, extended, hand_made, long_deadline,
    refused, scan,
};

const MEMORY: usize = 64 << 20;

#[test]
fn hostile_memory_that_grows() {
    is_too_much(&scan_of("memory-grow"));
}

#[test]
fn hostile_memory_at_once() {
    is_too_much(&scan_of("memory-huge"));
}

#[test]
fn hostile_memory_in_small_pieces() {
    is_too_much(&scan_of("memory-many"));
}

/// The memory is declared, so it is needed before the first instruction.
#[test]
fn hostile_memory_from_the_start() {
    let mut bytes = component("");
    // The module's memory starts with a few pages. Here it starts with 4 GiB.
    let text = wasmprinter::print_bytes(&bytes).unwrap();
    let memory = text
        .lines()
        .find(|line| line.trim_start().starts_with("(memory (;0;) "));
    let large = text.replace(memory.unwrap(), "(memory (;0;) 65535)");
    bytes = wat::parse_str(large).unwrap();
    is_too_much(&beside_healthy_scan(|| refused(&bytes, long_deadline())));
}

#[test]
fn hostile_memories_by_the_dozen() {
    let memories = "(memory 1)".repeat(50);
    let error = beside_healthy_scan(|| refused(&hand_made(&memories), long_deadline()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("memories"), "{error}");
}

#[test]
fn hostile_instances_by_the_hundred() {
    let one = "(core module $bomb (memory 1))";
    let bomb = format!("{one}{}", "(core instance (instantiate $bomb))".repeat(500));
    let bytes = extended(&component(""), &bomb);
    let error = beside_healthy_scan(|| refused(&bytes, long_deadline()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("instances"), "{error}");
}

/// The growth is refused, and the component traps because of it.
#[test]
fn hostile_table_that_grows() {
    let bomb = "(table $bomb 1 funcref)
        (func $grow (loop $again
            (br_if $again (i32.ne (table.grow $bomb (ref.null func) (i32.const 1000)) (i32.const -1))))
            unreachable)
        (start $grow)";
    let error = beside_healthy_scan(|| refused(&hand_made(bomb), long_deadline()));
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
}

#[test]
fn hostile_recursion() {
    let error = scan_of("recursion");
    assert!(
        matches!(&error, ComponentError::Trapped(why) if why.contains("stack")),
        "{error:?}"
    );
}

#[test]
fn hostile_handles_without_end() {
    let error = scan_of("handles");
    assert!(
        matches!(
            error,
            ComponentError::Limit {
                limit: LimitKind::Handles,
                at_most: 16
            }
        ),
        "{error:?}"
    );
}

/// The text of the panic is discarded, and the error contains no input.
#[test]
fn hostile_panic() {
    is_trap_without_numbers(&scan_of("panic"));
}

#[test]
fn hostile_abort() {
    is_trap_without_numbers(&scan_of("abort"));
}

#[test]
fn hostile_trap_in_a_destructor() {
    let connector = connector("destructor-trap");
    let ended = beside_healthy_scan(|| scan(Scan::new(&connector).limits(long_deadline()), b""));
    assert!(
        ended.unwrap().is_empty(),
        "the host never calls the destructor"
    );
}

/// An instance that has trapped is not called again.
#[test]
fn hostile_calls_after_a_trap() {
    let connector = connector("abort");
    beside_healthy_scan(|| {
        let scan = Scan::new(&connector).limits(long_deadline());
        let mut reader = scan.read_all(&b"x"[..]).unwrap();
        assert!(matches!(
            reader.next(),
            Some(Err(Error::Component(ComponentError::Trapped(_))))
        ));
        assert!(reader.next().is_none(), "no batches after the trap");
        let error = component_error(reader.summary());
        assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
    });
}

/// No slot of the pool gives tenant B memory with bytes of tenant A.
#[test]
fn hostile_read_of_the_previous_tenants_memory() {
    let leaving = connector("");
    let looking = connector("look-back");
    let secret = b"SECRET-OF-TENANTBEFB".repeat(50_000);
    let said = beside_healthy_scan(|| {
        let mut said = Vec::new();
        for _ in 0..20 {
            assert!(scan(Scan::new(&leaving), &secret).unwrap().is_empty());
            said.push(error_text(&looking, b"x"));
        }
        // The search does find the bytes in its own memory.
        said.push(error_text(&looking, &secret));
        said
    });
    let (last, others) = said.split_last().unwrap();
    assert!(last.contains("found true"), "{last}");
    for said in others {
        assert!(said.contains("found false, grown true, dirty 0"), "{said}");
    }
}

/// Hash seeds and memory addresses, the only sources of random values, are the same in every run.
#[test]
fn hostile_random_values() {
    let connector = connector("chance");
    let said = beside_healthy_scan(|| [(); 5].map(|()| error_text(&connector, b"x")));
    assert!(said[0].contains("violates the contract: ["), "{}", said[0]);
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
}

fn scan_of(attack: &str) -> ComponentError {
    let connector = connector(attack);
    // Mapping this much memory takes longer than the short deadline.
    let limits = Limits::new().memory(MEMORY);
    beside_healthy_scan(|| component_error(scan(Scan::new(&connector).limits(limits), b"x")))
}

fn error_text(connector: &Connector, input: &[u8]) -> String {
    scan(Scan::new(connector), input).unwrap_err().to_string()
}

fn is_too_much(error: &ComponentError) {
    let is_too_much = matches!(error, ComponentError::Memory { limit } if *limit == MEMORY);
    assert!(is_too_much, "{error:?}");
}

fn is_trap_without_numbers(error: &ComponentError) {
    assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
    assert!(
        !format!("{error} {error:?}").contains("0101010101"),
        "{error:?}"
    );
}
