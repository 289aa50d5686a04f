//! A program for the tests of mixed clusters: workers for Python programs, and a driver of workers for Python.
use quiltwork::data::{self, Partitioned};
use quiltwork::prelude::*;
use quiltwork::{Array, Blob, python};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A type with what plain data can be made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    name: String,
    weight: f64,
    tags: Vec<String>,
    place: Option<(i64, i64)>,
    kind: Kind,
    counts: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
enum Kind {
    Plain,
    Special { rank: u8 },
}

#[quiltwork::task]
fn count_words(text: String) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

#[quiltwork::task]
fn merge(parts: Vec<BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (word, count) in parts.into_iter().flatten() {
        *all.entry(word).or_default() += count;
    }
    all
}

#[quiltwork::task]
fn promote(record: Record) -> Record {
    Record { kind: Kind::Special { rank: 1 }, weight: record.weight * 2.0, ..record }
}

#[quiltwork::task]
fn scale(numbers: Array<f64>, factor: f64) -> Array<f64> {
    Array::build(numbers.shape(), |out| out.iter_mut().zip(&*numbers).for_each(|(out, number)| *out = number * factor))
}

#[quiltwork::task]
fn reverse(bytes: Blob) -> Blob {
    bytes.iter().rev().copied().collect::<Vec<u8>>().into()
}

#[quiltwork::task]
fn fail(message: String) -> Result<u64, String> {
    Err(message)
}

#[quiltwork::task]
fn divide(dividend: u64, divisor: u64) -> (u64, u64) {
    (dividend / divisor, dividend % divisor)
}

#[quiltwork::task]
fn read_text(path: String) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// Goes on until it is told to end.
#[quiltwork::task]
fn wait_for_end() {
    let task = TaskContext::current().expect("it runs as a task");
    while !task.is_cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Adds up counts, wherever they come from.
struct Tally(BTreeMap<String, u64>);

#[quiltwork::actor]
impl Tally {
    fn new(counts: BTreeMap<String, u64>) -> Self {
        Self(counts)
    }

    fn add(&mut self, counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        for (word, count) in counts {
            *self.0.entry(word).or_default() += count;
        }
        self.0.clone()
    }

    async fn total(&self) -> u64 {
        tokio::task::yield_now().await;
        self.0.values().sum()
    }
}

/// Known to this program alone: no worker for Python may be given a part of it.
#[quiltwork::pipeline]
fn squares(numbers: Partitioned<u64>) -> Partitioned<u64> {
    numbers.map(|number| number * number).sort_by_key(|square| *square)
}

#[quiltwork::task]
fn process() -> u32 {
    std::process::id()
}

/// The tasks a Python program would submit in Rust, and the functions in Python a Rust program would: what became of
/// them, as JSON.
#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let folder = std::env::args().nth(1).expect("the folder of the Python module");
    let cluster = LocalCluster::builder().workers(1).python_workers(1).python_path(folder).start().await?;
    let told = serde_json::json!({
        "plain": plain(cluster.client()).await?,
        "graph": graph(cluster.client()).await?,
        "pipeline": pipeline(cluster.client()).await?,
        "arrays": arrays(cluster.client()).await?,
        "actor": actor(cluster.client()).await?,
        "refusals": refusals(cluster.client()).await?,
    });
    println!("{told}");
    cluster.shutdown().await;
    Ok(())
}

async fn plain(client: &Client) -> quiltwork::Result<serde_json::Value> {
    let record = Record {
        name: "ü".to_owned(),
        weight: 1.5,
        tags: vec!["a".to_owned()],
        place: Some((-1, 1 << 40)),
        kind: Kind::Plain,
        counts: BTreeMap::from([("x".to_owned(), u64::MAX)]),
    };
    let same: Record = client.submit(python("partner:same").call((&record,))).await?;
    let put = client.put_plain(&record)?;
    let promoted = client.submit(promote(&put).plain());
    let renamed: Record = client.submit(python("partner:renamed").call((&promoted, "new"))).await?;
    let put_renamed: Record = client.submit(python("partner:renamed").call((put, "put"))).await?;
    Ok(serde_json::json!([same == record, renamed.name, renamed.kind, renamed.weight, put_renamed.name]))
}

/// Words counted in Rust, filtered in Python, merged in Rust.
async fn graph(client: &Client) -> quiltwork::Result<BTreeMap<String, u64>> {
    let mut graph = Graph::new();
    let frequent = python::<BTreeMap<String, u64>>("partner:frequent");
    let parts = ["a b a", "b a b", "c"].map(|text| {
        let counts = graph.add(count_words(text));
        graph.add(frequent.call((counts, 2)))
    });
    let total = graph.add(merge(parts));
    client.run(graph, total).await
}

/// An actor in Rust that is made of, and called with, results of functions in Python, which take its own.
async fn actor(client: &Client) -> quiltwork::Result<serde_json::Value> {
    let frequent = python::<BTreeMap<String, u64>>("partner:frequent");
    let counts = client.submit(frequent.call((BTreeMap::from([("a", 2), ("b", 1)]), 2)));
    let tally = client.actor(Tally::create(&counts));
    client.submit(tally.add(&counts)).await?;
    let plain = client.submit(tally.add(BTreeMap::from([("b".to_owned(), 1)])).plain());
    let seen: BTreeMap<String, u64> = client.submit(frequent.call((&plain, 0))).await?;
    let mut graph = Graph::new();
    let added = graph.add(tally.add(&counts));
    let seen_in_graph = graph.add(frequent.call((added, 2)));
    let nested = python::<u64>("partner:counted_in_rust").call(("a b c",));
    let told = serde_json::json!([
        seen,
        client.run(graph, seen_in_graph).await?,
        client.submit(tally.total().plain()).await?,
        client.submit(nested).await?,
    ]);
    Ok(told)
}

async fn pipeline(client: &Client) -> quiltwork::Result<u64> {
    let numbers = data::from_iter(0..100, 8).expect("numbers can travel");
    Ok(squares(numbers).run(client).await?.iter().sum())
}

async fn arrays(client: &Client) -> quiltwork::Result<serde_json::Value> {
    let matrix = Array::build([300, 200], |numbers: &mut [f64]| {
        numbers.iter_mut().enumerate().for_each(|(place, number)| *number = place as f64);
    });
    let scaled = client.submit(scale(matrix.clone(), 2.0));
    let transposed: Array<f64> = client.submit(python("partner:transposed").call((&scaled,))).await?;
    let bytes = client.submit(reverse(Blob::from(vec![1, 2, 3])));
    let doubled: Blob = client.submit(python("partner:twice").call((bytes,))).await?;
    let sums: Vec<f64> = client.submit(python("partner:sums").call((vec![scaled.clone(), scaled],))).await?;
    let read_only: bool = client.submit(python("partner:is_read_only").call((matrix,))).await?;
    Ok(serde_json::json!([transposed.shape(), transposed[1], *doubled, sums, read_only]))
}

/// The texts of what is refused.
async fn refusals(client: &Client) -> quiltwork::Result<Vec<String>> {
    let for_rust = client.submit(count_words("a"));
    let texts = [
        client.submit(python::<u64>("partner:same").call((&for_rust,))).await.map(drop),
        client.submit(python::<u64>("no_function").call(())).await.map(drop),
        client.submit(python::<u64>("partner:missing").call(())).await.map(drop),
        client.submit(python::<u64>("partner:unplain").call(())).await.map(drop),
        client.submit(python::<u64>("partner:same").call(("text",))).await.map(drop),
        client.submit(python::<u64>("partner:fails").call(("on purpose",))).await.map(drop),
        client.submit(python::<u64>("partner:slow").call(()).time_limit(Duration::from_millis(20))).await.map(drop),
    ];
    Ok(texts.into_iter().map(|refused| refused.expect_err("it makes no sense").to_string()).collect())
}
