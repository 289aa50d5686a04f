//! Actors of another language: how their calls reach them, how they are answered, and how they end.
use crate::master::{Call, FakeMaster, Said, Worker, attempt, value};
use bytes::Bytes;
use quiltwork_protocol::MasterToWorker;
use quiltwork_protocol::worker_to_master::Made;
use quiltwork_types::{Encoding, FailureKind};
use quiltwork_worker::{
    Argument, Arguments, Call as ActorCall, Executor, Instance, Output, Product, Reply, TaskContext, TaskError,
};
use std::sync::Mutex;
use std::thread::{self, ThreadId};

/// The first words of this process's actors that were dropped.
static DROPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Makes recorders.
struct Studio;

impl Executor for Studio {
    fn execute(&self, function: &str, _: &mut Arguments) -> Result<Product, TaskError> {
        unreachable!("no test runs the task {function}")
    }

    fn construct(&self, function: &str, arguments: &mut Arguments) -> Result<Box<dyn Instance>, TaskError> {
        assert_eq!(TaskContext::current().map(|task| task.name().to_owned()).as_deref(), Some(function));
        if function == "broken" {
            return Err(TaskError::displayed("no"));
        }
        let first = arguments.rest().map(text_of).collect();
        Ok(Box::new(Recorder { thread: thread::current().id(), heard: first, held: Vec::new() }))
    }
}

/// Remembers what it hears; answers at once, later, from elsewhere, or never.
struct Recorder {
    thread: ThreadId,
    heard: Vec<String>,
    held: Vec<Reply>,
}

impl Instance for Recorder {
    fn call(&mut self, call: ActorCall) {
        assert_eq!(thread::current().id(), self.thread, "it lives on one thread");
        let (method, mut arguments, reply) = call.into_parts();
        match &*method {
            "hear" => {
                self.heard.extend(arguments.rest().map(text_of));
                reply.send(Ok(text(&self.heard.join(" "))));
            }
            "hold" => self.held.push(reply),
            "let_go" => {
                self.held.clear();
                reply.send(Ok(text("gone")));
            }
            "elsewhere" => drop(thread::spawn(move || {
                let _entered = reply.enter();
                let name = TaskContext::current().expect("it was entered").name().to_owned();
                reply.send(Ok(text(&name)));
            })),
            other => panic!("{other} is not for me"),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.thread, "it is dropped where it has lived");
        DROPPED.lock().unwrap().push(self.heard[0].clone());
    }
}

fn text(text: &str) -> Product {
    Product::Whole(Output { encoding: Encoding::Raw, bytes: Bytes::copy_from_slice(text.as_bytes()) })
}

fn text_of(argument: Argument) -> String {
    match argument {
        Argument::One((encoding, bytes)) => quiltwork_protocol::codec::decode_value(encoding, &bytes).unwrap(),
        other => panic!("these tests give literals only, not {other:?}"),
    }
}

/// A worker in which actor 1 lives and has heard this word.
async fn with_actor(master: &mut FakeMaster, max_concurrency: u32, word: &str) -> Worker {
    let mut worker = master.worker_with(1, |config| quiltwork_worker::run_with(config, Box::new(Studio))).await;
    worker.dispatch(1, "recorder", Call::new().literal(&word.to_owned()).making_actor(max_concurrency));
    assert_eq!(worker.hear_more().await, Said::Finished(attempt(1), Encoding::Actor, Made::Stored, None));
    worker
}

async fn hear_text(worker: &mut Worker, index: u32) -> String {
    match worker.hear_more().await {
        Said::Finished(ended, _, Made::Inline, Some(bytes)) if ended == attempt(index) => {
            String::from_utf8(bytes.to_vec()).unwrap()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn calls_reach_their_actor_in_the_order_of_their_dispatch() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 1, "one").await;
    let call = |word: &str| Call::new().literal(&word.to_owned()).of_actor(1);
    worker.dispatch_all(vec![(2, "hear", call("two")), (3, "hear", call("three"))]);
    worker.dispatch(4, "hear", call("four"));
    let mut heard = Vec::new();
    for index in 2..5 {
        heard.push(hear_text(&mut worker, index).await);
    }
    assert_eq!(heard, ["one two", "one two three", "one two three four"]);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_call_may_be_answered_later_from_elsewhere_or_by_letting_go() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 3, "later").await;
    worker.dispatch(2, "hold", Call::new().of_actor(1));
    worker.dispatch(3, "elsewhere", Call::new().of_actor(1).named("its name", 0));
    assert_eq!(hear_text(&mut worker, 3).await, "its name");
    worker.dispatch(4, "let_go", Call::new().of_actor(1));
    let failure = worker.hear_failure(2).await;
    assert!(failure.message.contains("without an answer") && failure.hint.is_some(), "{failure}");
    assert_eq!(hear_text(&mut worker, 4).await, "gone");
    worker.shut_down().await;
}

#[tokio::test]
async fn no_more_calls_run_than_may_and_one_that_waits_can_be_cancelled() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 1, "busy").await;
    worker.dispatch(2, "hold", Call::new().of_actor(1));
    worker.hear_start(2).await;
    worker.dispatch(3, "hear", Call::new().of_actor(1));
    worker.say(MasterToWorker::Cancel { attempts: vec![attempt(3)] });
    assert_eq!(worker.hear_failure(3).await.kind, FailureKind::Cancelled);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_call_of_an_actor_that_is_not_here_is_given_back() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 1, "absent").await;
    worker.dispatch(2, "hear", Call::new().of_actor(77));
    assert_eq!(worker.hear_more().await, Said::Missing(attempt(2), vec![(value(77), worker.id)]));
    worker.dispatch(3, "broken", Call::new().making_actor(1));
    assert_eq!(worker.hear_failure(3).await.message, "no");
    worker.shut_down().await;
}

#[tokio::test]
async fn an_actor_ends_on_its_own_thread_when_its_value_is_freed() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 1, "freed").await;
    worker.say(MasterToWorker::Free { values: vec![value(1)] });
    worker.dispatch(2, "hear", Call::new().of_actor(1));
    assert_eq!(worker.hear_more().await, Said::Missing(attempt(2), vec![(value(1), worker.id)]));
    worker.shut_down().await;
    assert!(DROPPED.lock().unwrap().contains(&"freed".to_owned()));
}

#[tokio::test]
async fn an_actor_that_panics_outside_of_its_calls_fails_what_it_has() {
    let mut master = FakeMaster::new();
    let mut worker = with_actor(&mut master, 2, "panicking").await;
    worker.dispatch(2, "nonsense", Call::new().of_actor(1));
    assert_eq!(worker.hear_failure(2).await.kind, FailureKind::Error);
    worker.shut_down().await;
}
