use quiltwork::prelude::*;
use std::cell::Cell;

struct Counter(u64);

#[quiltwork::actor]
impl Counter {
    fn new(start: u64) -> Self {
        Self(start)
    }

    fn add(&mut self, by: u64) -> u64 {
        self.0 += by;
        self.0
    }
}

struct NotShared(Cell<u64>);

#[quiltwork::actor]
impl NotShared {
    fn new() -> Self {
        Self(Cell::new(0))
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}

struct Plain;

fn calls(client: &Client) {
    let counter = client.actor(Counter::create("five"));
    let _: Handle<u64> = client.submit(counter.add("one"));
    let _: Handle<String> = client.submit(counter.add(1_u64));
    let _: Actor<Plain>;
}

fn main() {}
