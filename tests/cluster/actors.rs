//! Actors on real processes: what they promise about order, company, names and ends, also when their workers are killed.
use crate::trial;
use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{Actors, ErrorKind, FailureKind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("calls_of_one_caller_run_in_their_order", order),
        trial("an_actor_goes_where_its_handle_goes", hand_over),
        trial("an_actor_is_made_again_as_often_as_it_may", restarts),
        trial("calls_that_may_run_again_do_so_first_and_in_order", repeated_calls),
        trial("a_dead_actor_raises_and_never_hangs", killed_actor),
        trial("an_actor_ends_with_its_last_handle", last_handle),
        trial("an_actor_is_found_by_its_name", names),
        trial("a_full_actor_refuses_at_once", full),
        trial("async_calls_wait_beside_each_other", company),
        trial("shared_calls_run_side_by_side", side_by_side),
        trial("a_call_that_fails_fails_alone", failures),
        trial("an_actor_goes_on_with_what_large_arguments_say", large_arguments),
        trial("actors_survive_a_storm_of_kills", storm),
    ]
}

/// A number with a history.
struct Counter {
    n: u64,
    seen: Vec<u64>,
}

#[quiltwork::actor]
impl Counter {
    fn new(start: u64) -> Self {
        Self { n: start, seen: Vec::new() }
    }

    fn add(&mut self, by: u64) -> u64 {
        self.n += by;
        self.seen.push(by);
        self.n
    }

    fn sum_of(&mut self, all: Vec<u64>) -> u64 {
        self.add(all.iter().sum())
    }

    fn seen(&self) -> Vec<u64> {
        self.seen.clone()
    }

    #[expect(clippy::unused_self, reason = "it is where the actor is")]
    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn nap(&mut self, millis: u64, then: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(millis));
        self.add(then)
    }

    fn fail(&mut self, how: u64) -> std::result::Result<u64, String> {
        self.n += 1;
        assert!(how != 1, "on purpose");
        Err(format!("it is {}", self.n))
    }
}

/// Leaves a mark when it is dropped, and can refuse to be made.
struct Marked(String);

impl Drop for Marked {
    fn drop(&mut self) {
        std::fs::write(&self.0, "dropped").expect("the folder is there");
    }
}

#[quiltwork::actor]
impl Marked {
    fn new(path: String) -> std::result::Result<Self, String> {
        if path.is_empty() { Err("no path".to_owned()) } else { Ok(Self(path)) }
    }

    fn path(&self) -> String {
        self.0.clone()
    }
}

/// Lets those who come wait for each other.
#[derive(Default)]
struct Gate {
    waiting: AtomicUsize,
    opened: Notify,
}

#[quiltwork::actor]
impl Gate {
    fn new() -> Self {
        Self::default()
    }

    async fn wait(&self) -> usize {
        let opened = self.opened.notified();
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        opened.await;
        before
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn open(&self) {
        self.opened.notify_waiters();
    }
}

/// Several of its calls can only end together.
struct Meeting(std::sync::Barrier);

#[quiltwork::actor]
impl Meeting {
    fn new(of: usize) -> Self {
        Self(std::sync::Barrier::new(of))
    }

    fn meet(&self) -> bool {
        self.0.wait().is_leader()
    }
}

/// Passes calls on.
struct Relay(Actor<Counter>);

#[quiltwork::actor]
impl Relay {
    fn new(to: Actor<Counter>) -> Self {
        Self(to)
    }

    fn add(&self, by: u64) -> quiltwork::Result<u64> {
        Client::current()?.submit(self.0.add(by)).wait()
    }
}

#[quiltwork::task]
fn add_from_a_task(counter: Actor<Counter>, times: u64) -> quiltwork::Result<u64> {
    let client = Client::current()?;
    let calls: Vec<_> = (0..times).map(|_| client.submit(counter.add(1))).collect();
    calls.iter().try_fold(0, |_, call| call.wait())
}

#[quiltwork::task]
fn add_to_each(counters: Actors<Counter>, by: u64) -> quiltwork::Result<Vec<u64>> {
    let client = Client::current()?;
    let calls: Vec<_> = counters.iter().map(|counter| client.submit(counter.add(by))).collect();
    calls.iter().map(Handle::wait).collect()
}

#[quiltwork::task]
async fn add_by_name(name: String) -> quiltwork::Result<u64> {
    let client = Client::current()?;
    let counter = client.actor_named::<Counter>(&name).await?;
    client.submit(counter.add(1)).await
}

#[quiltwork::task]
fn twice(n: u64) -> u64 {
    2 * n
}

fn kind_of<T: std::fmt::Debug>(result: quiltwork::Result<T>) -> Result<FailureKind> {
    match result.err().context("it did not fail")?.kind() {
        ErrorKind::Task(kind) => Ok(kind),
        other => bail!("no failure of a task: {other:?}"),
    }
}

async fn order() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0));
    let calls: Vec<_> = (0..3000).map(|n| client.submit(counter.add(n))).collect();
    let mut sum = 0;
    for (n, call) in (0..).zip(&calls) {
        sum += n;
        ensure!(call.await? == sum, "call {n}");
    }
    ensure!(client.submit(counter.seen()).await? == (0..3000).collect::<Vec<u64>>(), "the order is another one");
    // Arguments that are not there yet hold up what comes after them, and nothing else.
    let other = client.actor(Counter::create(0));
    let late = client.submit(other.nap(50, 7));
    let first = client.submit(counter.add(&late));
    let second = client.submit(counter.add(1));
    ensure!((first.await?, second.await?) == (sum + 7, sum + 8), "a later call has overtaken");
    Ok(())
}

async fn hand_over() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0));
    let tasks: Vec<_> = (0..10).map(|_| client.submit(add_from_a_task(&counter, 20))).collect();
    for task in tasks {
        task.await?;
    }
    ensure!(client.submit(counter.add(0)).await? == 200, "every task has added twenty");
    let relay = client.actor(Relay::create(&counter));
    ensure!(client.submit(relay.add(5)).await? == 205, "by way of another actor");
    let other = client.actor(Counter::create(100));
    let both = client.submit(add_to_each(vec![counter.clone(), other.clone()], 1));
    ensure!(both.await? == [206, 101], "a list of actors");
    // Whoever was given the actor holds it.
    drop(counter);
    ensure!(client.submit(relay.add(1)).await? == 207, "the relay holds it");
    let mut graph = Graph::new();
    let doubled = graph.add(twice(4));
    let called = graph.add(other.add(doubled));
    let sum = graph.add(twice(called));
    ensure!(client.run(graph, sum).await? == 2 * 109, "within a graph");
    Ok(())
}

async fn restarts() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let start = client.submit(twice(5));
    let counter = client.actor(Counter::create(&start).max_restarts(1));
    client.submit(counter.add(1)).await?;
    for (round, expected) in [(0, FailureKind::ActorLost), (1, FailureKind::ActorDied)] {
        let pid = client.submit(counter.pid()).await?;
        let under_way = client.submit(counter.nap(60_000, 1));
        let behind = client.submit(counter.add(1));
        tokio::time::sleep(Duration::from_millis(50)).await;
        cluster.kill_worker(pid)?;
        for call in [under_way, behind] {
            let error = call.await.err().context("it was lost")?;
            ensure!(error.kind() == ErrorKind::Task(expected), "round {round}: {error}");
            ensure!(error.is_retryable() == (expected == FailureKind::ActorLost), "{error}");
        }
        if round == 0 {
            ensure!(client.submit(counter.add(1)).await? == 11, "it begins anew");
        }
    }
    let error = client.submit(counter.add(1)).await.err().context("it is dead")?;
    ensure!(error.failure().is_some_and(|failure| failure.details.len() == 2), "both deaths are told: {error}");
    ensure!(
        kind_of(Actor::ready(&counter.clone()).await.and_then(|()| client.submit(counter.add(1)).wait()))?
            == FailureKind::ActorDied
    );
    Ok(())
}

async fn repeated_calls() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0).unlimited_restarts());
    let pid = client.submit(counter.pid()).await?;
    let mut calls = vec![client.submit(counter.nap(300, 0).retries(3))];
    calls.extend((1..50).map(|n| client.submit(counter.add(n).retries(3))));
    tokio::time::sleep(Duration::from_millis(50)).await;
    cluster.kill_worker(pid)?;
    for call in calls {
        call.await?;
    }
    ensure!(client.submit(counter.seen()).await? == (0..50).collect::<Vec<u64>>(), "in their order, each once");
    Ok(())
}

async fn killed_actor() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0).unlimited_restarts());
    let napping = client.submit(counter.nap(200, 1));
    let waiting = client.submit(counter.add(1));
    let needing = client.submit(twice(&waiting));
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.kill(&counter);
    for call in [napping, waiting, needing, client.submit(counter.add(1))] {
        ensure!(kind_of(call.await)? == FailureKind::ActorDied, "it was ended");
    }
    ensure!(client.submit(twice(2)).await? == 4, "the worker is fine");
    Ok(())
}

async fn appears(path: &Path) -> Result<()> {
    for _ in 0..6000 {
        if path.exists() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("{} never appeared", path.display())
}

async fn last_handle() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let marked = client.actor(Marked::create(path("one")));
    let call = client.submit(marked.path());
    drop(marked);
    ensure!(call.await? == path("one"), "a call that was made is answered");
    appears(&folder.path().join("one")).await?;
    let refused = client.actor(Marked::create(String::new()));
    let error = client.submit(refused.path()).await.err().context("it could not be made")?;
    ensure!(error.to_string().contains("no path"), "{error}");
    ensure!(Actor::ready(&refused).await.is_err(), "it says so");
    Ok(())
}

async fn names() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    ensure!(client.actor_named::<Counter>("counter").await.is_err(), "nobody has that name yet");
    let counter = client.actor(Counter::create(1).named("counter"));
    ensure!(client.submit(counter.add(1)).await? == 2, "it is there");
    let again = client.actor(Counter::create(70).named("counter"));
    ensure!(kind_of(client.submit(again.add(1)).await)? == FailureKind::Refused, "the name is taken");
    let same = client.actor(Counter::create(70).named("counter").or_existing());
    ensure!(client.submit(same.add(1)).await? == 3, "the same one");
    ensure!(client.submit(add_by_name("counter".to_owned())).await? == 4, "found from a task");
    let second = Client::connect(&cluster.ticket()).await?;
    let found = second.actor_named::<Counter>("counter").await?;
    ensure!(second.submit(found.add(1)).await? == 5, "found by another client");
    let wrong = second.actor_named::<Marked>("counter").await?;
    ensure!(kind_of(second.submit(wrong.path()).await)? == FailureKind::UnknownTask, "it is of another type");
    drop((counter, same, again));
    ensure!(second.submit(found.add(1)).await? == 6, "the other client holds it");
    drop((found, wrong));
    for _ in 0..2000 {
        if client.actor_named::<Counter>("counter").await.is_err() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("it never ended")
}

async fn full() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0).max_pending(3));
    Actor::ready(&counter).await?;
    let napping = client.submit(counter.nap(200, 1));
    let behind = [client.submit(counter.add(1)), client.submit(counter.add(1))];
    let error = client.submit(counter.add(1)).await.err().context("it is full")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::ActorFull) && error.hint().is_some(), "{error}");
    napping.await?;
    for call in behind {
        call.await?;
    }
    ensure!(client.submit(counter.add(1)).await? == 4, "there is room again");
    Ok(())
}

async fn company() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let gate = client.actor(Gate::create());
    let calls: Vec<_> = (0..500).map(|_| client.submit(gate.wait())).collect();
    while client.submit(gate.waiting()).await? < 500 {}
    // One that is cancelled is given up where it waits.
    calls[7].cancel();
    client.submit(gate.open()).await?;
    for (n, call) in calls.into_iter().enumerate() {
        match call.await {
            Ok(place) => ensure!(place == n, "they came in their order"),
            Err(error) => ensure!(n == 7 && error.kind() == ErrorKind::Task(FailureKind::Cancelled), "{error}"),
        }
    }
    Ok(())
}

async fn side_by_side() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let meeting = client.actor(Meeting::create(4_usize).max_concurrency(4));
    let calls: Vec<_> = (0..8).map(|_| client.submit(meeting.meet())).collect();
    let mut leaders = 0;
    for call in calls {
        leaders += u32::from(call.await?);
    }
    ensure!(leaders == 2, "two meetings of four");
    Ok(())
}

async fn failures() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0));
    let error = client.submit(counter.fail(0)).await.err().context("it fails")?;
    ensure!(error.to_string().contains("it is 1"), "{error}");
    ensure!(kind_of(client.submit(counter.fail(1)).await)? == FailureKind::Panicked, "it panics");
    ensure!(client.submit(counter.add(1)).await? == 3, "it goes on with what it is");
    Ok(())
}

async fn large_arguments() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let client = cluster.client();
    let counter = client.actor(Counter::create(0));
    let large = client.put(&vec![1_u64; 200_000])?;
    let mut calls = Vec::new();
    for n in 0..20_u64 {
        let call = if n % 3 == 0 { counter.sum_of(&large) } else { counter.add(n) };
        calls.push(client.submit(call));
    }
    for call in calls {
        call.await?;
    }
    let expected: Vec<u64> = (0..20).map(|n| if n % 3 == 0 { 200_000 } else { n }).collect();
    ensure!(client.submit(counter.seen()).await? == expected, "in the order in which they were made");
    Ok(())
}

async fn storm() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).max_worker_deaths(1000).start().await?;
    let client = cluster.client();
    let counters: Vec<_> = (0..4).map(|n| client.actor(Counter::create(n).unlimited_restarts())).collect();
    for _ in 0..4 {
        let mut calls = Vec::new();
        for n in 0..200_u64 {
            calls.extend(counters.iter().map(|counter| client.submit(counter.add(n % 2).retries(100))));
        }
        cluster.kill_worker(cluster.worker_pids()[0])?;
        for call in calls {
            call.await?;
        }
    }
    for counter in &counters {
        client.submit(counter.seen()).await?;
    }
    Ok(())
}
