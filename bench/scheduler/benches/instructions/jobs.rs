//! What is counted: steps on the way of a task through the wire and the scheduler. Each job does one thing many times.
use crate::stepping::{BEGIN, END};
use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use nix::sys::signal::raise;
use quiltwork_protocol::{MasterToWorker, Message, Parcel, WorkerToMaster, decode_parcels, encode_parcel};
use quiltwork_scheduler::Event;
use quiltwork_scheduler_bench::{Graph, World, joined};
use std::hint::black_box;

/// How often a message is encoded or decoded.
const MESSAGES: u64 = 3;
/// Of how many events.
const EVENTS: u64 = 10;
/// Workers of whom most have nothing to do, and workers who all have.
const IDLE: u32 = 1_000;
const BUSY: u32 = 30;
/// Messages as they are on the wire, the same that the tests of the wire keep.
const GOLDEN: &str = include_str!("../../../../tests/wire/golden.txt");

/// Every job, and how often it does what it is called.
pub(crate) const NAMES: &[(&str, u64)] = &[
    ("encode a dispatch of two tasks", MESSAGES),
    ("decode a dispatch of two tasks", MESSAGES),
    ("encode a completion of three tasks", MESSAGES),
    ("decode a completion of three tasks", MESSAGES),
    ("scheduler: submission and dispatch to an idle worker", EVENTS),
    ("scheduler: a start", EVENTS),
    ("scheduler: a completion with nothing queued", EVENTS),
    ("scheduler: a completion and the next dispatch", EVENTS),
    ("scheduler: a completion in a tree", EVENTS),
];

/// Runs a job when a line has come: whoever counts is there then.
pub(crate) fn run(name: &str) -> Result<()> {
    std::io::stdin().read_line(&mut String::new())?;
    match name {
        "nothing" => counted(|| {}),
        "encode a dispatch of two tasks" => encode(golden::<MasterToWorker>("MasterToWorker.Dispatch")?),
        "decode a dispatch of two tasks" => decode(golden::<MasterToWorker>("MasterToWorker.Dispatch")?),
        "encode a completion of three tasks" => encode(golden::<WorkerToMaster>("WorkerToMaster.Ended")?),
        "decode a completion of three tasks" => decode(golden::<WorkerToMaster>("WorkerToMaster.Ended")?),
        "scheduler: submission and dispatch to an idle worker" => schedule(&Graph::wide(300), IDLE, is_submission),
        "scheduler: a start" => schedule(&Graph::wide(300), IDLE, is_start),
        "scheduler: a completion with nothing queued" => schedule(&Graph::wide(300), IDLE, is_completion),
        "scheduler: a completion and the next dispatch" => schedule(&Graph::wide(5_000), BUSY, is_completion),
        "scheduler: a completion in a tree" => schedule(&Graph::tree(5_000), BUSY, is_completion),
        other => bail!("there is no job {other:?}"),
    }
}

/// What is within is counted.
fn counted(work: impl FnOnce()) -> Result<()> {
    raise(BEGIN)?;
    work();
    raise(END)?;
    Ok(())
}

fn encode<M: Message>(parcel: Parcel<M>) -> Result<()> {
    let mut out = Vec::with_capacity(64 << 10);
    for _ in 0..MESSAGES {
        out.clear();
        counted(|| encode_parcel(black_box(&parcel), &mut out).expect("a golden message can be encoded"))?;
    }
    Ok(())
}

fn decode<M: Message>(parcel: Parcel<M>) -> Result<()> {
    let mut bytes = Vec::new();
    encode_parcel(&parcel, &mut bytes)?;
    let mut parcels: Vec<Parcel<M>> = Vec::with_capacity(1);
    for _ in 0..MESSAGES {
        let mut buffer = BytesMut::from(&bytes[..]);
        parcels.clear();
        counted(|| decode_parcels(black_box(&mut buffer), &mut parcels).expect("a golden message can be decoded"))?;
    }
    Ok(())
}

fn golden<M: Message>(name: &str) -> Result<Parcel<M>> {
    let mut lines = GOLDEN.lines().filter_map(|line| line.split_once(" = "));
    let (_, hex) = lines.find(|(found, _)| *found == name).with_context(|| format!("there is no golden {name}"))?;
    let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
    let mut buffer = bytes.collect::<Result<BytesMut, _>>()?;
    let mut parcels = Vec::new();
    decode_parcels(&mut buffer, &mut parcels)?;
    parcels.pop().with_context(|| format!("the golden {name} is not whole"))
}

/// Tells a scheduler a whole history. What is counted are events of one kind in the middle of it.
fn schedule(graph: &Graph, workers: u32, is_counted: impl Fn(&Event) -> bool) -> Result<()> {
    let history = World::new(workers).in_batches_of(1).run(graph);
    let (mut scheduler, mut actions) = (joined(0), Vec::with_capacity(1_000));
    let all = history.events.iter().filter(|(_, event)| is_counted(event)).count() as u64;
    let first = (all.checked_sub(EVENTS).context("the history is too short")?) / 2;
    let mut seen = 0;
    for (now, event) in history.events {
        actions.clear();
        let in_the_middle = is_counted(&event) && {
            seen += 1;
            (first + 1..=first + EVENTS).contains(&seen)
        };
        if in_the_middle {
            counted(|| scheduler.handle(now, black_box(event), &mut actions))?;
        } else {
            scheduler.handle(now, event, &mut actions);
        }
    }
    Ok(())
}

fn is_submission(event: &Event) -> bool {
    matches!(event, Event::TasksSubmitted { .. })
}

fn is_start(event: &Event) -> bool {
    matches!(event, Event::AttemptStarted { .. })
}

fn is_completion(event: &Event) -> bool {
    matches!(event, Event::AttemptFinished { .. })
}
