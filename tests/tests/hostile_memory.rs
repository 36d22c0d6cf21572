//! Components that want all memory, stack and handles, or another's. `docs/hostile.md` has a line for each of these
//! tests.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use cprflow::{ComponentError, Connector, Error, LimitKind, Limits, Scan};
use cprflow_tests::hostile_guest::{
    beside, component, connector, ended, extended, hand_made, limits, refused, scan,
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

/// It wants it before its first instruction.
#[test]
fn hostile_memory_from_the_start() {
    let mut bytes = component("");
    // The module's own memory begins with some pages; here it begins with 4 GiB.
    let text = wasmprinter::print_bytes(&bytes).unwrap();
    let memory = text
        .lines()
        .find(|line| line.trim_start().starts_with("(memory (;0;) "));
    let large = text.replace(memory.unwrap(), "(memory (;0;) 65535)");
    bytes = wat::parse_str(large).unwrap();
    is_too_much(&beside(|| refused(&bytes, limits())));
}

#[test]
fn hostile_memories_by_the_dozen() {
    let memories = "(memory 1)".repeat(50);
    let error = beside(|| refused(&hand_made(&memories), limits()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("memories"), "{error}");
}

#[test]
fn hostile_instances_by_the_hundred() {
    let one = "(core module $bomb (memory 1))";
    let bomb = format!("{one}{}", "(core instance (instantiate $bomb))".repeat(500));
    let bytes = extended(&component(""), &bomb);
    let error = beside(|| refused(&bytes, limits()));
    assert!(matches!(error, ComponentError::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("instances"), "{error}");
}

/// More is refused to it, and it traps over that.
#[test]
fn hostile_table_that_grows() {
    let bomb = "(table $bomb 1 funcref)
        (func $grow (loop $again
            (br_if $again (i32.ne (table.grow $bomb (ref.null func) (i32.const 1000)) (i32.const -1))))
            unreachable)
        (start $grow)";
    let error = beside(|| refused(&hand_made(bomb), limits()));
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

/// What it says goes nowhere, and what it was working on is in no error.
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
    let ended = beside(|| scan(Scan::new(&connector).limits(limits()), b""));
    assert!(ended.unwrap().is_empty(), "the host never runs it");
}

/// An instance that has trapped is not entered again.
#[test]
fn hostile_calls_after_a_trap() {
    let connector = connector("abort");
    beside(|| {
        let scan = Scan::new(&connector).limits(limits());
        let mut reader = scan.read_all(&b"x"[..]).unwrap();
        assert!(matches!(
            reader.next(),
            Some(Err(Error::Component(ComponentError::Trapped(_))))
        ));
        assert!(reader.next().is_none(), "and then nothing more");
        let error = ended(reader.summary());
        assert!(matches!(error, ComponentError::Trapped(_)), "{error:?}");
    });
}

/// Tenant A's bytes are in no memory that tenant B's instance gets, whichever place of the pool it is.
#[test]
fn hostile_memory_of_the_tenant_before() {
    let leaving = connector("");
    let looking = connector("look-back");
    let secret = b"SECRET-OF-TENANTBEFB".repeat(50_000);
    let said = beside(|| {
        let mut said = Vec::new();
        for _ in 0..20 {
            assert!(scan(Scan::new(&leaving), &secret).unwrap().is_empty());
            said.push(error_text(&looking, b"x"));
        }
        // It does find it in its own.
        said.push(error_text(&looking, &secret));
        said
    });
    let (last, others) = said.split_last().unwrap();
    assert!(last.contains("found true"), "{last}");
    for said in others {
        assert!(said.contains("found false, grown true, dirty 0"), "{said}");
    }
}

/// Its hash maps, its places in memory: all that it can draw from is the same on every run.
#[test]
fn hostile_chance() {
    let connector = connector("chance");
    let said = beside(|| [(); 5].map(|()| error_text(&connector, b"x")));
    assert!(
        said[0].contains("does not keep the contract: ["),
        "{}",
        said[0]
    );
    assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
}

fn scan_of(attack: &str) -> ComponentError {
    let connector = connector(attack);
    // Building a page table of all that takes longer than a loop is given.
    let limits = Limits::new().memory(MEMORY);
    beside(|| ended(scan(Scan::new(&connector).limits(limits), b"x")))
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
