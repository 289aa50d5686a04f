//! The smallest whole program: two worker processes and a graph of two kinds of tasks.
//!
//! Run it: `cargo run --release --example hello`. Expected output:
//!
//! ```text
//! hello, patch; hello, thread; hello, quilt
//! ```
use quiltwork::prelude::*;

#[quiltwork::task]
fn greet(name: String) -> String {
    format!("hello, {name}")
}

#[quiltwork::task]
fn join(greetings: Vec<String>) -> String {
    greetings.join("; ")
}

#[quiltwork::main]
async fn main() -> quiltwork::Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    let mut graph = Graph::new();
    let greetings = Vec::from(["patch", "thread", "quilt"].map(|name| graph.add(greet(name))));
    let all = graph.add(join(greetings));
    println!("{}", cluster.client().run(graph, all).await?);
    Ok(())
}
