//! The likely mistakes and the bad days: each has one clear answer, and the cluster stays usable.
use crate::tasks::{increment, panics, reads, small, third_time_lucky};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::FailureKind;
use quiltwork::prelude::*;
use quiltwork::{ErrorKind, Ticket};
use std::net::UdpSocket;
use std::time::Duration;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("panic_tells_message_and_location", panic_is_told),
        trial("error_tells_type_and_is_not_retried_unless_asked", errors_are_told),
        trial("retries_run_until_success", retries_run),
        trial("resources_nobody_has_are_refused_at_once", impossible_resources),
        trial("zero_workers_is_refused", zero_workers),
        trial("unknown_task_names_both_programs", unknown_task),
        trial("empty_graph_and_graph_of_100000", graphs_of_all_sizes),
        trial("garbage_and_half_open_connections_hurt_nobody", garbage_on_the_port),
        trial("result_over_the_limit_is_a_clear_failure", result_over_the_limit),
    ]
}

async fn panic_is_told() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let error = cluster.client().submit(panics(13)).await.err().context("it must fail")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::Panicked), "wrong kind: {error}");
    let text = error.to_string();
    ensure!(text.contains("number 13 is bad luck") && text.contains("tasks.rs:"), "unclear: {text}");
    ensure!(cluster.client().submit(increment(1)).await? == 2, "the worker did not survive a panic");
    ensure!(cluster.workers_lost() == 0, "a panic must not end the worker");
    Ok(())
}

async fn errors_are_told() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let handle = cluster.client().submit(reads("/no/such/file"));
    let error = (&handle).await.err().context("it must fail")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::Error), "wrong kind: {error}");
    ensure!(error.is_retryable() && error.to_string().contains("No such file"), "unclear: {error}");
    let story = cluster.client().story(&handle).await?.to_string();
    ensure!(story.matches("assigned").count() == 1, "retried without being asked:\n{story}");
    Ok(())
}

async fn retries_run() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    ensure!(cluster.client().submit(third_time_lucky().retries(2)).await? == 3, "it needs three attempts");
    let error = cluster.client().submit(third_time_lucky().retries(1)).await.err().context("two are too few")?;
    ensure!(error.to_string().contains("attempt 2 is too early"), "not the last error: {error}");
    Ok(())
}

async fn impossible_resources() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    for call in [increment(1).slots(64), increment(1).memory("900TiB"), increment(1).resource("gpu", 1)] {
        let error = cluster.client().submit(call).await.err().context("nobody has that")?;
        ensure!(error.kind() == ErrorKind::Task(FailureKind::NoSuchResources), "wrong kind: {error}");
        ensure!(error.hint().is_some(), "no hint: {error}");
    }
    let error = cluster.client().submit(increment(1).memory("a lot")).await.err().context("not a size")?;
    ensure!(error.to_string().contains("a lot"), "unclear: {error}");
    Ok(())
}

async fn zero_workers() -> Result<()> {
    let error = LocalCluster::builder().workers(0).start().await.err().context("zero workers do nothing")?;
    ensure!(error.hint().is_some(), "no hint: {error}");
    Ok(())
}

async fn unknown_task() -> Result<()> {
    let cluster =
        LocalCluster::builder().workers(1).worker_program(env!("CARGO_BIN_EXE_other-program")).start().await?;
    let error = cluster.client().submit(increment(1)).await.err().context("the worker cannot know it")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::UnknownTask), "wrong kind: {error}");
    ensure!(error.to_string().contains("increment") && error.hint().is_some(), "unclear: {error}");
    Ok(())
}

async fn graphs_of_all_sizes() -> Result<()> {
    let cluster = LocalCluster::builder().workers(2).start().await?;
    cluster.client().run(Graph::new(), Vec::<Value<u64>>::new()).await?;

    let mut graph = Graph::new();
    let mut last = graph.add(increment(0));
    for _ in 0..49_999 {
        last = graph.add(increment(last));
    }
    let leaves: Vec<Value<u64>> = (0..50_000).map(|i| graph.add(increment(i))).collect();
    let (end, all) = cluster.client().run(graph, (last, leaves)).await?;
    ensure!(end == 50_000, "a chain of 50,000 ends at {end}");
    ensure!(all.into_iter().eq(1..=50_000), "a leaf is wrong");
    Ok(())
}

async fn garbage_on_the_port() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let master = cluster.ticket().parse::<Ticket>()?.master;
    let stranger = UdpSocket::bind("127.0.0.1:0")?;
    let handles = cluster.client().map(0..200_u64, |seed| small(seed, Vec::<u64>::new(), 2));
    for (round, length) in (0..600).zip([1, 20, 100, 1200, 1400, 9000].into_iter().cycle()) {
        let noise: Vec<u8> = (0..length).map(|i| crate::tasks::mix(round * 9000 + i).to_le_bytes()[0]).collect();
        stranger.send_to(&noise, master)?;
        // The start of a QUIC Initial packet that leads nowhere: a handshake that is never finished.
        let mut initial = vec![0xc3, 0, 0, 0, 1, 8];
        initial.extend_from_slice(&noise[..noise.len().min(8)]);
        initial.resize(1200, round.to_le_bytes()[0]);
        stranger.send_to(&initial, master)?;
    }
    for handle in handles {
        tokio::time::timeout(Duration::from_secs(60), handle).await.context("the cluster hangs")??;
    }
    ensure!(cluster.workers_lost() == 0, "noise cost a worker");
    Ok(())
}

async fn result_over_the_limit() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).value_limit("16KiB").start().await?;
    let error = cluster.client().submit(crate::tasks::big(1, Vec::<u64>::new(), 0)).await.err().context("32 KiB")?;
    ensure!(error.kind() == ErrorKind::Task(FailureKind::ResultTooLarge), "wrong kind: {error}");
    ensure!(error.hint().is_some(), "no hint: {error}");
    Ok(())
}
