//! The tasks these tests run, registered as a macro would do it, and the gates some of them wait at.
use quiltwork_worker::{Argument, Arguments, Product, TaskContext, TaskEntry, TaskError, block_on, lend};
use std::collections::HashSet;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

static OPEN: Mutex<Option<HashSet<u32>>> = Mutex::new(None);
static OPENED: Condvar = Condvar::new();

/// Lets everybody through who waits, or will wait, at this gate.
pub(crate) fn open(gate: u32) {
    OPEN.lock().unwrap().get_or_insert_default().insert(gate);
    OPENED.notify_all();
}

/// Waits at a gate; an answer of `false` means that nobody opened it.
pub(crate) fn wait_at(gate: u32) -> bool {
    let closed = |open: &mut Option<HashSet<u32>>| !open.get_or_insert_default().contains(&gate);
    let guard = OPEN.lock().unwrap();
    let (_guard, waited) = OPENED.wait_timeout_while(guard, Duration::from_secs(30), closed).unwrap();
    !waited.timed_out()
}

inventory::submit! { TaskEntry { name: "test::nothing", signature: "()", run: |_| Product::of(&()) } }

inventory::submit! { TaskEntry { name: "test::add", signature: "(a: u32, b: u32) -> u32", run: |arguments| {
    Product::of(&(arguments.next::<u32>("a")? + arguments.next::<u32>("b")?))
} } }

inventory::submit! { TaskEntry { name: "test::join", signature: "(words: Vec<String>) -> String", run: |arguments| {
    Product::of(&arguments.next::<Vec<String>>("words")?.join(" "))
} } }

inventory::submit! { TaskEntry { name: "test::parse", signature: "(text: String) -> Result<u32, _>", run: |arguments| {
    let text: String = arguments.next("text")?;
    Product::of(&text.parse::<u32>().map_err(|error| TaskError::user(&error))?)
} } }

inventory::submit! { TaskEntry { name: "test::panic", signature: "(text: String)", run: |arguments| {
    let text: String = arguments.next("text")?;
    panic!("no luck with {text}")
} } }

/// Where `test::panic` panics.
pub(crate) const PANIC_AT: &str = concat!(file!(), ":");

inventory::submit! { TaskEntry { name: "test::zeros", signature: "(n: u64) -> Vec<u8>", run: |arguments| {
    Product::of(&vec![0_u8; usize::try_from(arguments.next::<u64>("n")?).expect("small")])
} } }

inventory::submit! { TaskEntry { name: "test::length", signature: "(bytes: Vec<u8>) -> u64", run: |arguments| {
    Product::of(&(arguments.next::<Vec<u8>>("bytes")?.len() as u64))
} } }

inventory::submit! { TaskEntry { name: "test::part", signature: "(bytes: &[u8], start: u64, end: u64) -> usize", run: |arguments| {
    let reader = arguments.next_with("bytes", |argument| match argument {
        Argument::Reader(reader) => Ok(reader),
        other => panic!("{other:?} cannot be read piece by piece"),
    })?;
    let (start, end) = (arguments.next("start")?, arguments.next("end")?);
    assert!(end <= reader.size(), "it has a size before it is read");
    // A function that takes no notice of what it could not read.
    Product::of(&reader.read(start..end).map_or(0, |bytes| bytes.len()))
} } }

inventory::submit! { TaskEntry { name: "test::checksum", signature: "(bytes) -> u64", run: |arguments| {
    arguments.next_with("bytes", |argument| match argument {
        Argument::One((_, bytes)) => Ok(Product::of(&checksum(&bytes))),
        other => panic!("it takes one value, not {other:?}"),
    })?
} } }

/// Tells apart what differs in one byte or in their order.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(7, |sum, byte| sum.rotate_left(5).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(*byte))
}

inventory::submit! { TaskEntry { name: "test::wait", signature: "(gate: u32) -> bool", run: |arguments| {
    Product::of(&wait_at(arguments.next("gate")?))
} } }

inventory::submit! { TaskEntry { name: "test::open", signature: "(gate: u32)", run: |arguments| {
    open(arguments.next("gate")?);
    Product::of(&())
} } }

inventory::submit! { TaskEntry { name: "test::lend_and_wait", signature: "(gates: Vec<u32>) -> bool", run: lend_and_wait } }

/// Lends once for each gate, all at the same time, and waits at all; then opens the gate one above the last.
fn lend_and_wait(arguments: &mut Arguments) -> Result<Product, TaskError> {
    let gates: Vec<u32> = arguments.next("gates")?;
    let lent: Vec<_> = gates.iter().map(|_| lend()).collect();
    let waited = gates.iter().all(|gate| wait_at(*gate));
    assert!(lent.iter().all(Option::is_some), "a task can lend");
    drop(lent);
    open(gates.last().expect("some gate") + 1);
    Product::of(&waited)
}

inventory::submit! { TaskEntry { name: "test::until_cancelled", signature: "()", run: |_| {
    let context = TaskContext::current().expect("a task has a context");
    while !context.is_cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Product::of(&())
} } }

inventory::submit! { TaskEntry { name: "test::who_am_i", signature: "() -> (String, u32, Option<u32>, u32)", run: |_| {
    let made = block_on(async {
        // A spawned future of the task runs in the same context.
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let context = TaskContext::current().expect("a task has a context");
            let name = context.name().to_owned();
            (name, context.attempt_number(), context.partition(), context.worker().0)
        }).await.expect("it does not panic")
    });
    Product::of(&made)
} } }

inventory::submit! { TaskEntry { name: "test::count", signature: "(steps: u64, gate: u32)", run: |arguments| {
    let (steps, gate) = (arguments.next("steps")?, arguments.next("gate")?);
    let context = TaskContext::current().expect("a task has a context");
    (1..=steps).for_each(|done| context.progress(done, steps));
    wait_at(gate);
    Product::of(&())
} } }
