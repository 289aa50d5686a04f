//! Measurements of what surrounds the work: starting, resting, and the death of a worker.
use crate::engine::{WORKERS, start};
use crate::request::{Figures, Request};
use anyhow::{Context, Result, ensure};
use quiltwork::LocalCluster;
use quiltwork::prelude::*;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What this program is called with to be the one whose start is measured.
pub(crate) const FIRST_RESULT: &str = "first-result";

const PAUSE: Duration = Duration::from_millis(50);
/// In which processes come to rest.
const REST: Duration = Duration::from_secs(1);

#[quiltwork::task]
fn same(number: u64) -> u64 {
    number
}

#[quiltwork::task]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Starts this program anew: milliseconds to its first result and to its end.
pub(crate) fn start_up(request: &Request) -> Result<Figures> {
    // For the caches of the system.
    for _ in 0..request.size("warm_up")? {
        run_first_result()?;
    }
    run_first_result()
}

fn run_first_result() -> Result<Figures> {
    let began = Instant::now();
    let mut program =
        Command::new(std::env::current_exe()?).arg(FIRST_RESULT).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(program.stdout.take().context("it was piped")?).read_line(&mut line)?;
    let ready = began.elapsed();
    ensure!(program.wait()?.success() && line == "ready\n", "the program ended without a result");
    let [first_result, end] = [ready, began.elapsed()].map(|time| time.as_secs_f64() * 1e3);
    Ok([("first_result", first_result), ("end", end)].into())
}

/// The program whose start is measured.
pub(crate) async fn first_result() -> Result<()> {
    let cluster = LocalCluster::builder().workers(WORKERS).start().await?;
    cluster.client().submit(same(1)).await?;
    println!("ready");
    cluster.shutdown().await;
    Ok(())
}

/// Memory of all processes, over that of this one before.
pub(crate) async fn memory(request: &Request) -> Result<Figures> {
    let results = request.size("results")? as u64;
    let this = [std::process::id()];
    let (before, before_proportional) = (resident(&this)?, proportional(&this)?);
    let cluster = start(1).await?;
    let client = cluster.client();
    client.submit(same(7)).await?;
    std::thread::sleep(REST);
    let all: Vec<u32> = cluster.worker_pids().into_iter().chain(this).collect();
    let (idle, idle_proportional) = (resident(&all)?, proportional(&all)?);
    client.gather((0..500).map(|number| client.submit(same(number)))).await?;
    let warm = resident(&all)?;
    let handles: Vec<_> = (0..results).map(|number| client.submit(same(number))).collect();
    client.gather(handles.iter().cloned()).await?;
    let held = (resident(&all)? - warm) / results as f64;
    drop(handles);
    cluster.shutdown().await;
    Ok([
        ("idle", (idle - before) / 1e6),
        ("idle_proportional", (idle_proportional - before_proportional) / 1e6),
        ("held", held),
    ]
    .into())
}

fn resident(pids: &[u32]) -> Result<f64> {
    total(pids, "status", "VmRSS:")
}

/// With each shared page divided by those who share it.
fn proportional(pids: &[u32]) -> Result<f64> {
    total(pids, "smaps_rollup", "Pss:")
}

/// Bytes of all these processes together.
fn total(pids: &[u32], file: &str, field: &str) -> Result<f64> {
    let mut bytes = 0.0;
    for pid in pids {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)).context("a process without memory")?;
        bytes += 1024.0 * line.trim().trim_end_matches(" kB").parse::<f64>()?;
    }
    Ok(bytes)
}

/// Seconds for tasks that sleep.
pub(crate) async fn undisturbed(client: &Client, request: &Request) -> Result<Figures> {
    client.gather((0..4).map(|_| client.submit(sleep(Duration::from_millis(1))))).await?;
    let began = Instant::now();
    client.gather((0..request.size("tasks")?).map(|_| client.submit(sleep(PAUSE)))).await?;
    Ok([("time", began.elapsed().as_secs_f64())].into())
}

/// The same with a worker that is killed a fifth of the way.
pub(crate) async fn kill_recovery(cluster: &LocalCluster, request: &Request) -> Result<Figures> {
    let (client, tasks) = (cluster.client(), u32::try_from(request.size("tasks")?)?);
    client.gather((0..4).map(|_| client.submit(sleep(Duration::from_millis(1))))).await?;
    let victim = *cluster.worker_pids().first().context("no worker to kill")?;
    let until = PAUSE * tasks / u32::try_from(WORKERS)? / 5;
    let (done, watched) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let killer = scope.spawn(move || match watched.recv_timeout(until) {
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => cluster.kill_worker(victim),
            _ => Ok(()),
        });
        let began = Instant::now();
        let handles: Vec<_> = (0..tasks).map(|_| client.submit(sleep(PAUSE))).collect();
        for handle in handles {
            handle.wait()?;
        }
        let time = began.elapsed().as_secs_f64();
        drop(done);
        killer.join().expect("the killer does not panic")?;
        Ok([("time", time)].into())
    })
}
