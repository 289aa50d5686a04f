//! From calls to messages.
use crate::fake_master::{FakeMaster, encoded, task};
use crate::{add, length, total};
use quiltwork::{Error, ErrorKind, Graph, NodeId, TaskCall, Value, WorkerId};
use quiltwork_protocol::client_to_master::{Argument, SubmittedTask};
use quiltwork_protocol::{ClientToMaster, INLINE_LIMIT, codec};
use quiltwork_types::{FunctionId, ValueId};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::HashSet;

fn value(index: u32) -> Argument {
    Argument::Value(ValueId::of(task(index)))
}

#[test]
fn a_function_is_named_once_before_its_first_use() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handles = [client.submit(add(1_u64, 2)), client.submit(add(3_u64, 4))];
    let function = FunctionId(0);
    let name = format!("{}::add", env!("CARGO_CRATE_NAME"));
    assert_eq!(master.hear().0, ClientToMaster::DefineFunction { function, name });
    for (index, handle) in (0..).zip(&handles) {
        assert_eq!(handle.id(), Some(task(index)));
        let (tasks, payloads) = master.hear_tasks();
        assert_eq!(tasks.len(), 1);
        assert_eq!((tasks[0].task, tasks[0].function), (task(index), function));
        assert!(tasks[0].options.kept);
        let expected: Vec<_> = [1_u64, 2].map(|n| encoded(&(n + 2 * u64::from(index))).1).into();
        assert_eq!((payloads, tasks[0].arguments.len()), (expected, 2));
    }
}

/// Of a graph too large for one message the master may have run and forgotten the first part before the rest is there.
#[test]
fn what_a_later_message_needs_is_kept_until_all_have_been_sent() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut graph = Graph::new();
    let first: Vec<Value<u64>> = (0..4000).map(|n: u64| graph.add(add(n, n))).collect();
    let second: Vec<Value<u64>> = first.iter().map(|n| graph.add(add(*n, *n))).collect();
    let sum = graph.add(total(&second[..2]));
    let handle = client.submit_graph(graph, &sum);

    let (mut messages, mut named) = (0, 0);
    let mut kept = HashSet::new();
    while named < 8001 {
        let (tasks, _) = master.hear_tasks();
        messages += 1;
        for task in &tasks {
            for argument in &task.arguments {
                let Argument::Value(ValueId { task: input, .. }) = argument else { continue };
                let is_here = tasks.iter().any(|other| other.task == *input);
                assert!(is_here || kept.contains(input), "{input} may be forgotten by now");
            }
        }
        kept.extend(tasks.iter().filter(|task| task.options.kept).map(|task| task.task));
        named += tasks.len();
    }
    assert!(messages > 1, "the graph is too small for this test");
    assert!(kept.remove(&handle.id().unwrap()));
    let (released, _) = master.hear();
    let ClientToMaster::Release { tasks } = released else { panic!("{released:?}") };
    assert_eq!(tasks.into_iter().collect::<HashSet<_>>(), kept);
}

#[test]
fn options_arrive_as_they_were_given() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let call = add(1_u64, 2).retries(3).named("sum").priority(-1).slots(2).memory("1KiB").partition(9);
    let handle = client.submit(call.resource("tpu", 4).resource("gpu", 1).resource("tpu", 5));
    let (tasks, _) = master.hear_tasks();
    let options = &tasks[0].options;
    assert_eq!((options.retries, options.priority, options.partition), (3, -1, Some(9)));
    assert_eq!(options.name.as_deref(), Some("sum"));
    assert_eq!((options.resources.slots, options.resources.memory), (2, 1024));
    let named: Vec<_> = options.resources.named.iter().map(|r| (&*r.name, r.amount)).collect();
    assert_eq!(named, [("gpu", 1), ("tpu", 5)]);
    drop(handle);
}

#[test]
fn of_several_places_a_call_is_bound_to_the_last() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let call = add(1_u64, 2).resource("gpu", 1).on_worker(WorkerId(3)).on_node(NodeId(9)).on_worker(WorkerId(4));
    let handle = client.submit(call);
    let (tasks, _) = master.hear_tasks();
    let named: Vec<_> = tasks[0].options.resources.named.iter().map(|r| (&*r.name, r.amount)).collect();
    assert_eq!(named, [("gpu", 1), ("worker:4", 1)]);
    drop(handle);
}

#[test]
fn only_the_outputs_of_a_graph_are_kept() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut graph = Graph::new();
    let parts: Vec<Value<u64>> = (0..3).map(|n: u64| graph.add(add(n, n))).collect();
    let sum = graph.add(total(&parts));
    let twice = graph.add(add(sum, sum));
    let handles = client.submit_graph(graph, &(twice, vec![parts[1], parts[1]]));
    let (tasks, _) = master.hear_tasks();
    let kept: Vec<_> = tasks.iter().filter(|task| task.options.kept).map(|task| task.task).collect();
    assert_eq!(kept, [task(1), task(4)]);
    assert_eq!(tasks[3].arguments, [Argument::Values((0..3).map(|n| ValueId::of(task(n))).collect())]);
    assert_eq!(tasks[4].arguments, [value(3), value(3)]);
    let (twice, parts) = handles;
    assert_eq!((twice.id(), parts[0].id(), parts[1].id()), (Some(task(4)), Some(task(1)), Some(task(1))));
}

#[test]
fn a_run_gives_what_was_asked_for_in_that_shape() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut graph = Graph::new();
    let values = [1_u64, 2, 3].map(|n| graph.add(add(n, n)));
    let length = graph.add(length("four"));
    let running = std::thread::spawn(move || client.blocking().run(graph, (length, values, Vec::from(values), ())));
    master.hear_tasks();
    for index in [3, 1, 0, 2] {
        master.finish(index, &u64::from(10 * index));
    }
    assert_eq!(running.join().unwrap().unwrap(), (30, [0, 10, 20], vec![0, 10, 20], ()));
}

#[test]
fn an_empty_graph_is_done_at_once() {
    let mut master = FakeMaster::start();
    let client = master.client();
    assert!(client.blocking().run(Graph::new(), Vec::<Value<u64>>::new()).unwrap().is_empty());
    client.blocking().run(Graph::new(), ()).unwrap();
    drop(client);
    assert_eq!(master.hear_rest(), []);
}

#[test]
fn a_large_graph_travels_in_parcels_of_a_handy_size() {
    const TASKS: u32 = 100_000;
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut graph = Graph::new();
    let mut last = graph.add(add(0_u64, 0));
    for n in 1..TASKS {
        last = graph.add(add(last, u64::from(n)));
    }
    let handle = client.submit_graph(graph, &last);
    assert_eq!(handle.id(), Some(task(TASKS - 1)));
    let mut heard = 0;
    while heard < TASKS {
        let (tasks, payloads) = master.hear_tasks();
        for SubmittedTask { task: number, arguments, .. } in &tasks {
            assert_eq!(*number, task(heard));
            assert!(heard == 0 || arguments[0] == value(heard - 1));
            heard += 1;
        }
        let mut bytes = Vec::new();
        codec::encode_head(&ClientToMaster::Submit { tasks }, &mut bytes).unwrap();
        let size = bytes.len() + payloads.iter().map(bytes::Bytes::len).sum::<usize>();
        assert!(size <= 64 * 1024 && (size > 8 * 1024 || heard == TASKS), "a parcel of {size} bytes");
    }
}

#[test]
fn a_large_literal_is_uploaded_and_released_once_its_consumer_is_named() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let text = "x".repeat(INLINE_LIMIT + 1);
    let handle = client.submit(length(&*text));
    let (encoding, bytes) = encoded(&text);
    let put = ClientToMaster::Put { task: task(0), size: bytes.len() as u64, encoding, written: false };
    assert_eq!(master.hear().0, put);
    let (tasks, payloads) = master.hear_tasks();
    assert_eq!((tasks[0].task, &*tasks[0].arguments), (task(1), &[value(0)][..]));
    assert!(payloads.is_empty());
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
    assert_eq!(master.take_upload(), (task(0), bytes));
    assert_eq!(handle.id(), Some(task(1)));
}

#[test]
fn a_small_value_that_was_put_is_sent_once_for_all_who_take_it() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let shared = client.put(&5_u64).unwrap();
    let handles = [client.submit(add(&shared, 1)), client.submit(add(&shared, &shared))];
    drop(shared);
    let (encoding, bytes) = encoded(&5_u64);
    assert_eq!(master.hear(), (ClientToMaster::Give { task: task(0), encoding }, vec![bytes]));
    assert_eq!(master.hear_tasks().0[0].arguments[0], value(0));
    assert_eq!(master.hear_tasks().0[0].arguments, [value(0), value(0)]);
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
    drop(handles);
}

#[test]
fn a_handle_given_away_is_released_after_its_consumer_is_named() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let first = client.submit(add(1_u64, 2));
    let second = client.submit(total([first]));
    assert_eq!(master.hear_tasks().0[0].task, task(0));
    assert_eq!(master.hear_tasks().0[0].arguments, [Argument::Values(vec![ValueId::of(task(0))])]);
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
    drop(second);
}

/// Cannot be encoded: its `Serialize` says so.
#[derive(Deserialize)]
struct Unspeakable;

impl Serialize for Unspeakable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("it has no words"))
    }
}

#[quiltwork::task]
fn hear_out(_what: Unspeakable) {}

#[test]
fn what_is_wrong_with_a_call_is_told_by_its_handle_and_nothing_is_sent() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut elsewhere = FakeMaster::start();
    let other = elsewhere.client();
    let mut graph = Graph::new();
    let in_graph = graph.add(add(1_u64, 1));
    let wrong: [(TaskCall<()>, _, &str); 2] = [
        (hear_out(Unspeakable), ErrorKind::Encode, "argument `_what` of task"),
        (hear_out(Unspeakable).memory("lots"), ErrorKind::Encode, "it has no words"),
    ];
    for (call, kind, text) in wrong {
        let handle = client.submit(call);
        assert!(handle.is_done() && handle.id().is_none());
        let error = handle.wait().unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(text), "{error}");
    }
    let wrong = [
        (add(1_u64, 2).memory("lots"), ErrorKind::Invalid, "`lots` is not an amount of memory"),
        (add(1_u64, 2).slots(0), ErrorKind::Invalid, "at least one slot"),
        (add(in_graph, 2), ErrorKind::Graph, "argument `a` of task `client::add` is a value of a graph"),
        (add(2_u64, other.submit(add(1_u64, 1))), ErrorKind::Graph, "argument `b` of task `client::add` is a handle"),
    ];
    for (call, kind, text) in wrong {
        let failed = client.submit(call);
        // Who needs it fails for the same reason.
        for error in [failed.wait().unwrap_err(), client.submit(total(vec![failed])).wait().unwrap_err()] {
            assert!(error.kind() == kind && error.to_string().contains(text), "{error}");
            assert!(error.hint().is_some() && !error.is_retryable());
        }
    }
    drop(client);
    assert_eq!(master.hear_rest(), []);
}

#[test]
fn a_graph_with_a_fault_does_not_begin() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut foreign = Graph::new();
    let value = foreign.add(add(1_u64, 1));
    let mut graph = Graph::new();
    let own = graph.add(add(1_u64, 1));
    graph.add(total(vec![own, value]));
    let error = client.blocking().run(graph, own).unwrap_err();
    assert!(
        error.to_string().contains("argument `parts` of task `client::total` is a value of another graph"),
        "{error}"
    );
    let mut graph = Graph::new();
    graph.add(add(1_u64, 1));
    assert!(matches!(client.blocking().run(graph, value), Err(Error::Graph(_))));
    drop(client);
    assert_eq!(master.hear_rest(), []);
}

#[test]
fn threads_that_submit_at_the_same_time_share_one_numbering() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.map(0..100_u64, |n| add(n, n)))
        })
        .collect();
    let handles: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let mut heard = Vec::new();
    while heard.len() < 400 {
        heard.extend(master.hear_tasks().0.iter().map(|task| task.task.index));
    }
    assert_eq!(heard, (0..400).collect::<Vec<_>>());
    assert_eq!(handles.iter().map(quiltwork::Handle::id).collect::<HashSet<_>>().len(), 400);
}
