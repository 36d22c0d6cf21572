//! Hostile components. One component is built once; each copy makes one attack.

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

/// The marker before the attack's name in the component of `tests/hostile`.
const MARK: &[u8] = b"cprflow-attack:";

/// The maximum length of the name in bytes.
const NAME: usize = 64 - MARK.len();

/// Returns the component of `tests/hostile` with this attack. With an empty name it attacks nothing.
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

/// Loads the component with an attack that happens after loading.
pub fn connector(attack: &str) -> Connector {
    Connector::from_bytes(&component(attack)).unwrap()
}

/// Loads a component with these limits, and returns the error.
pub fn refused(bytes: &[u8], limits: Limits) -> ComponentError {
    component_error(loader().limits(limits).bytes(bytes).map(drop))
}

/// Returns a loader that compiles with the built command.
pub fn loader() -> Loader {
    Loader::new(crate::command::binary().clone())
}

/// Returns a component written by hand: a core module that has every export of the contract, all of which trap, with
/// these additional items.
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

/// Returns a component with additional items at its end.
pub fn extended(component: &[u8], items: &str) -> Vec<u8> {
    let text = wasmprinter::print_bytes(component).unwrap();
    wat::parse_str(with(&text, items)).unwrap()
}

fn with(text: &str, items: &str) -> String {
    let (text, _) = text.rsplit_once(')').unwrap();
    format!("{text}\n{items}\n)")
}

/// Runs a scan over an input.
pub fn scan(scan: Scan, input: &[u8]) -> Result<Vec<TableBatch>, Error> {
    scan.block_bytes(input.len().max(1))
        .read_all(input)?
        .collect()
}

/// Lets the component return these batches: table, number of rows, and IPC messages of each.
pub fn return_batches(batches: &[(&str, usize, Vec<u8>)]) -> Result<Vec<TableBatch>, Error> {
    static HONEST: OnceLock<Connector> = OnceLock::new();
    return_batches_with(Scan::new(HONEST.get_or_init(|| connector(""))), batches)
}

/// Lets the component of a scan return these batches.
pub fn return_batches_with(
    scan: Scan,
    batches: &[(&str, usize, Vec<u8>)],
) -> Result<Vec<TableBatch>, Error> {
    let blocks = batches.iter().map(|(table, rows, messages)| {
        let head = format!("{table} {rows}\n");
        [head.as_bytes(), messages].concat()
    });
    let blocks: VecDeque<Vec<u8>> = blocks.collect();
    let largest = blocks.iter().map(Vec::len).max().unwrap_or(1);
    // A block that is longer than a part would not arrive whole.
    scan.block_bytes(largest)
        .part_bytes(largest)
        .read_all(Blocks(blocks))?
        .collect()
}

/// Blocks of input, each of which is read whole.
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

/// Returns the component's error with which this ended.
pub fn component_error<T>(result: Result<T, Error>) -> ComponentError {
    match result {
        Err(Error::Component(error)) => error,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the attack did not end in an error"),
    }
}

/// Returns limits for an attack that ends before its deadline.
pub fn long_deadline() -> Limits {
    Limits::new().memory(64 << 20)
}

/// Returns limits that stop an endless attack after 100 ms.
pub fn short_deadline() -> Limits {
    long_deadline().call(Duration::from_millis(100))
}

/// The processor time that an attack with a deadline of 100 ms may use in its thread.
///
/// Processor time does not depend on what else the machine does. The benchmark `isolation` measures the elapsed time,
/// which must be at most 110 ms.
pub const CPU_LIMIT: Duration = Duration::from_secs(1);

/// The elapsed time after which an attack counts as not stopped at all.
///
/// It is generous, because a busy machine may give a thread no processor for seconds.
pub const ELAPSED_LIMIT: Duration = Duration::from_secs(30);

/// Runs an attack while healthy scans run in the same engine, and asserts that these scans return all their batches.
pub fn beside_healthy_scan<T: Send>(attack: impl FnOnce() -> T + Send) -> T {
    let extract = extract::small(40, 7);
    let expected = healthy(&extract);
    assert!(expected.len() > 20, "the healthy scan has batches");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let scanning = scope.spawn(|| {
            loop {
                // One more scan runs after the attack, which must have left nothing behind.
                let last = is_over.load(Ordering::SeqCst);
                assert!(
                    healthy(&extract) == expected,
                    "the batches of the healthy scan changed"
                );
                if last {
                    return;
                }
            }
        });
        let over = Over(&is_over);
        let ended = attack();
        drop(over);
        scanning
            .join()
            .expect("the healthy scans return all their batches");
        ended
    })
}

/// Marks an attack as over when it is dropped, also if the attack panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs an attack that its deadline of 100 ms must stop, while healthy scans run in the same engine.
///
/// # Panics
///
/// Panics if the attack uses more than [`CPU_LIMIT`] or takes longer than [`ELAPSED_LIMIT`].
pub fn stopped_beside_healthy_scan<T: Send>(attack: impl FnOnce() -> T + Send) -> T {
    stopped_within(CPU_LIMIT, attack)
}

/// Runs an attack like [`stopped_beside_healthy_scan`], with another limit of processor time.
pub fn stopped_within<T: Send>(cpu_limit: Duration, attack: impl FnOnce() -> T + Send) -> T {
    // The build of the command is not part of the attack.
    crate::command::binary();
    beside_healthy_scan(|| assert_stopped(cpu_limit, attack))
}

/// Runs an attack in this thread, and asserts that it is stopped within the limits of time.
pub fn assert_stopped<T>(cpu_limit: Duration, attack: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let cpu_before = thread_cpu_time();
    let result = attack();
    let cpu = thread_cpu_time() - cpu_before;
    let elapsed = began.elapsed();
    assert!(
        cpu < cpu_limit,
        "the attack used {cpu:?} of processor time, more than {cpu_limit:?}"
    );
    assert!(
        elapsed < ELAPSED_LIMIT,
        "the attack took {elapsed:?}, more than {ELAPSED_LIMIT:?}"
    );
    result
}

/// Returns the processor time that this thread has used.
fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().expect("processor time is not negative")
}

fn healthy(extract: &[u8]) -> Vec<(String, RecordBatch)> {
    let batches = Scan::new(rows::compiled_connector())
        .batch_rows(50)
        .read_all(extract);
    let batches = batches.unwrap().map(Result::unwrap);
    batches.map(|batch| (batch.table, batch.batch)).collect()
}

/// Builds `tests/hostile` in the way in which the host's build script builds the component.
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
    assert!(built.success(), "tests/hostile does not build");
    let file = target.join("wasm32-wasip2/component/cprflow_hostile.wasm");
    std::fs::read(file).unwrap()
}

/// Returns a separate target directory. Sharing the outer build's directory would wait for its lock for ever.
fn target_directory() -> PathBuf {
    let profile = crate::command::profile_directory();
    let target = profile
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(&profile).join("hostile")
}
