//! Every form of method an actor can have, and every way to call one.
#![deny(missing_docs, warnings)]
use quiltwork::prelude::*;
use quiltwork::{Actors, Creation};
use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// A counter that anybody may use.
pub struct Counter {
    n: u64,
}

#[quiltwork::actor]
impl Counter {
    /// Begins at a number.
    pub fn new(start: u64) -> io::Result<Self> {
        Ok(Self { n: start })
    }

    /// Adds to it.
    pub fn add(&mut self, by: u64) -> u64 {
        self.n += by;
        self.n
    }

    /// What it is.
    pub fn get(&self) -> u64 {
        self.n
    }

    /// Nothing is returned, several are taken.
    pub fn set(&mut self, to: u64, unless: Vec<u64>) {
        if !unless.contains(&to) {
            self.n = to;
        }
    }

    /// It may fail.
    pub fn halve(&mut self) -> Result<u64, String> {
        (self.n % 2 == 0).then(|| self.n / 2).ok_or_else(|| "it is odd".to_owned())
    }

    /// Not a method.
    #[must_use]
    pub fn largest() -> u64 {
        u64::MAX
    }
}

/// It lives on one thread, so it need not be `Send`.
pub struct Local(Rc<Cell<u64>>);

#[quiltwork::actor]
impl Local {
    async fn new() -> Self {
        Self(Rc::default())
    }

    async fn wait(&self, r#for: u64) -> u64 {
        self.0.set(self.0.get() + r#for);
        self.0.get()
    }

    async fn reset(&mut self) -> io::Result<()> {
        self.0.set(0);
        Ok(())
    }

    fn now(&self) -> u64 {
        self.0.get()
    }
}

impl Local {
    /// Nobody calls this from elsewhere.
    pub fn into_inner(self) -> u64 {
        self.0.get()
    }
}

/// Holds another actor.
pub struct Relay(Actor<Counter>);

#[quiltwork::actor]
impl Relay {
    fn new(to: Actor<Counter>, _others: Actors<Counter>) -> Self {
        Self(to)
    }

    fn add(&mut self, by: u64) -> quiltwork::Result<u64> {
        Client::current()?.submit(self.0.add(by)).wait()
    }
}

#[quiltwork::task]
fn takes(_counter: Actor<Counter>) {}

fn calls(client: &Client) {
    let creation: Creation<Counter> = Counter::create(5_u64).max_restarts(2).named("counter").or_existing();
    let counter: Actor<Counter> = client.actor(creation.max_pending(10).max_concurrency(8).memory("1MiB"));
    let first: Handle<u64> = client.submit(counter.add(1_u64));
    let _: Handle<u64> = client.submit(counter.add(&first).retries(2));
    let _: Handle<u64> = client.submit(counter.halve());
    let _: Handle<()> = client.submit(counter.set(3_u64, vec![first]));
    let _: Handle<()> = client.submit(takes(&counter));
    let relay = client.actor(Relay::create(counter.clone(), vec![counter.clone()]).unlimited_restarts());
    let mut graph = Graph::new();
    let value = graph.add(counter.get());
    let _ = graph.add(relay.add(value));
    let local = client.actor(Local::create());
    let _ = (client.submit(local.wait(1_u64)), client.submit(local.reset()), client.submit(local.now()));
    client.kill(&local);
    let _ = (Actor::id(&relay), Actor::ready(&relay), counter.clone());
}

fn main() {
    let _ = calls;
    let mut counter = Counter::new(1).unwrap();
    assert_eq!((counter.add(2), counter.get()), (3, 3));
    assert_eq!(Counter::largest(), u64::MAX);
    assert_eq!(Local(Rc::new(Cell::new(4))).into_inner(), 4);
}
