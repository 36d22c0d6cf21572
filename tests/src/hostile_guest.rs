//! Hostile components: built once, and made one attack each.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use cprflow::{ComponentError, Connector, Error, Limits, Loader, Scan, TableBatch};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

use crate::{extract, rows};

/// What stands before the attack's name in the component of `tests/hostile`.
const MARK: &[u8] = b"cprflow-attack:";

/// Bytes of the name at the most.
const NAME: usize = 64 - MARK.len();

/// The component of `tests/hostile` with this attack; without one if the name is empty.
pub fn component(attack: &str) -> Vec<u8> {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = BUILT.get_or_init(build).clone();
    let mut places = bytes.windows(MARK.len()).enumerate();
    let is_mark = |(place, window): (usize, &[u8])| (window == MARK).then_some(place);
    let places: Vec<usize> = places.by_ref().filter_map(is_mark).collect();
    // The mark itself may also be compared with somewhere; the slot is the one with room behind it.
    let room = |place: &&usize| {
        let slot = bytes.get(**place + MARK.len()..**place + MARK.len() + NAME);
        slot.is_some_and(|slot| slot.iter().all(|byte| *byte == 0))
    };
    let place = *places.iter().find(room).expect("a slot for the name");
    assert!(attack.len() < NAME, "{attack} is too long");
    bytes[place + MARK.len()..][..attack.len()].copy_from_slice(attack.as_bytes());
    bytes
}

/// That component, loaded: its attack comes later.
pub fn connector(attack: &str) -> Connector {
    Connector::from_bytes(&component(attack)).unwrap()
}

/// How loading that component fails, in a loader with these limits.
pub fn refused(bytes: &[u8], limits: Limits) -> ComponentError {
    ended(loader().limits(limits).bytes(bytes).map(drop))
}

/// A loader with the command that was built beside the tests.
pub fn loader() -> Loader {
    Loader::new(crate::command::binary().clone())
}

/// A component written by hand: a core module that keeps to the contract, whose every export traps, with these
/// items besides.
pub fn hand_made(items: &str) -> Vec<u8> {
    let mut resolve = Resolve::new();
    let (package, _) = resolve.push_dir(crate::root().join("wit")).unwrap();
    let world = resolve.select_world(&[package], Some("connector")).unwrap();
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let module = wit_component::dummy_module(&resolve, world, abi);
    let text = wasmprinter::print_bytes(&module).unwrap();
    let mut module = wat::parse_str(with(&text, items)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// A component with these items at its end.
pub fn extended(component: &[u8], items: &str) -> Vec<u8> {
    let text = wasmprinter::print_bytes(component).unwrap();
    wat::parse_str(with(&text, items)).unwrap()
}

fn with(text: &str, items: &str) -> String {
    let (text, _) = text.rsplit_once(')').unwrap();
    format!("{text}\n{items}\n)")
}

/// Runs the scan over input that is handed over whole.
pub fn scan(scan: Scan, input: &[u8]) -> Result<Vec<TableBatch>, Error> {
    scan.block_bytes(input.len().max(1))
        .read_all(input)?
        .collect()
}

/// Has the component without an attack return these: table, rows, and messages of each batch.
pub fn hand_on(batches: &[(&str, usize, Vec<u8>)]) -> Result<Vec<TableBatch>, Error> {
    static HONEST: OnceLock<Connector> = OnceLock::new();
    hand_on_by(Scan::new(HONEST.get_or_init(|| connector(""))), batches)
}

/// Has the scan's component return these.
pub fn hand_on_by(
    scan: Scan,
    batches: &[(&str, usize, Vec<u8>)],
) -> Result<Vec<TableBatch>, Error> {
    let blocks = batches.iter().map(|(table, rows, messages)| {
        let head = format!("{table} {rows}\n");
        [head.as_bytes(), messages].concat()
    });
    let blocks: VecDeque<Vec<u8>> = blocks.collect();
    let largest = blocks.iter().map(Vec::len).max().unwrap_or(1);
    scan.block_bytes(largest)
        .read_all(Blocks(blocks))?
        .collect()
}

/// Blocks, each read whole.
struct Blocks(VecDeque<Vec<u8>>);

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(block) = self.0.pop_front() else {
            return Ok(0);
        };
        buffer[..block.len()].copy_from_slice(&block);
        Ok(block.len())
    }
}

/// The component's error that this ended in.
pub fn ended<T>(result: Result<T, Error>) -> ComponentError {
    match result {
        Err(Error::Component(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it ended well"),
    }
}

/// Limits for an attack that ends in another way than by its deadline.
pub fn limits() -> Limits {
    Limits::new().memory(64 << 20)
}

/// Limits under which an attack that would not end is stopped soon.
pub fn hurried() -> Limits {
    limits().call(Duration::from_millis(100))
}

/// How long an attack that is stopped after 100 ms may take in a test: on a machine that runs many at once, and
/// builds besides, the processor is not always at hand. The benchmark `isolation` holds it to 110 ms.
pub const SOON: Duration = Duration::from_secs(30);

/// Makes an attack while a healthy scan goes on in the same engine, and sees that the scan has lost nothing.
pub fn beside<T: Send>(attack: impl FnOnce() -> T + Send) -> T {
    let extract = extract::small(40, 7);
    let expected = healthy(&extract);
    assert!(expected.len() > 20, "that is a scan");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scanning = scope.spawn(|| {
            loop {
                // One more when the attack is over: nothing of it stays.
                let last = is_over.load(Ordering::SeqCst);
                assert!(
                    healthy(&extract) == expected,
                    "the neighbour's batches changed"
                );
                if last {
                    return;
                }
            }
        });
        let over = Over(&is_over);
        let ended = attack();
        drop(over);
        scanning.join().expect("the neighbour's scan is whole");
        ended
    })
}

/// Says that an attack is over, also where the test that makes it fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The same for an attack that is to end by its deadline.
pub fn soon_beside<T: Send>(attack: impl FnOnce() -> T + Send) -> T {
    // Building it is no part of the attack.
    crate::command::binary();
    beside(|| {
        let began = Instant::now();
        let ended = attack();
        let took = began.elapsed();
        assert!(took < SOON, "it took {took:?}");
        ended
    })
}

fn healthy(extract: &[u8]) -> Vec<(String, RecordBatch)> {
    let batches = Scan::new(rows::connector())
        .batch_rows(50)
        .read_all(extract);
    let batches = batches.unwrap().map(Result::unwrap);
    batches.map(|batch| (batch.table, batch.batch)).collect()
}

/// Builds `tests/hostile` as the host's build script builds the component.
fn build() -> Vec<u8> {
    let target = target_directory();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for variable in [
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTDOCFLAGS",
    ] {
        cargo.env_remove(variable);
    }
    let built = cargo
        .current_dir(crate::root().join("tests/hostile"))
        .env("RUSTFLAGS", "")
        .args(["rustc", "--quiet", "--lib", "--crate-type", "cdylib"])
        .args([
            "--target",
            "wasm32-wasip2",
            "--profile",
            "component",
            "--locked",
        ])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .unwrap();
    assert!(built.success(), "tests/hostile can be built");
    let file = target.join("wasm32-wasip2/component/cprflow_hostile.wasm");
    std::fs::read(file).unwrap()
}

/// A directory of its own beside the outer build's profiles: sharing one would wait for itself.
fn target_directory() -> PathBuf {
    let profile = crate::command::profile_directory();
    let target = profile
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(&profile).join("hostile")
}
