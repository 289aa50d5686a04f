//! Joins two folders of logs by a key: who caused the most server errors?
//!
//! Run it: `cargo run --release --example join_logs`. It first writes the logs to a temporary folder: visits of web
//! servers, and which team owns which server. The report is printed, and left in `--output` as one CSV file for each
//! partition.
//!
//! `--serial` does the same without a cluster, `--kill` kills a worker while it runs. Expected output, whatever you
//! choose:
//!
//! ```text
//! 200000 visits, 4904 of them server errors on 40 servers
//! team         errors  slowest path
//! drainage       1002  /search/12 (999 ms)
//! harvest         766  /cart/24 (999 ms)
//! lighthouse      605  /orders/144 (998 ms)
//! nobody         2531  /cart/26 (999 ms)
//! ```
use anyhow::{Context, Result};
use clap::Parser;
use quiltwork::data::{self, FilePartition, Partitioned, Single};
use quiltwork::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

/// Join visits with the owners of servers.
#[derive(Parser)]
struct Options {
    /// Worker processes, one slot each.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Leave the report in this folder.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Do it in this thread, without a cluster.
    #[arg(long)]
    serial: bool,
    /// Kill a worker on the way.
    #[arg(long)]
    kill: bool,
}

/// A line such as `web07 503 812 /cart/28`.
#[derive(Clone, Serialize, Deserialize)]
struct Visit {
    server: String,
    status: u16,
    millis: u32,
    path: String,
}

/// A row of the owners' files.
#[derive(Serialize, Deserialize)]
struct Owner {
    server: String,
    team: String,
}

/// A row of the report.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    team: String,
    errors: u64,
    millis: u32,
    path: String,
}

fn parse(line: String) -> Result<Visit> {
    let mut words = line.split(' ');
    let mut next = || words.next().with_context(|| format!("`{line}` is no visit"));
    Ok(Visit { server: next()?.into(), status: next()?.parse()?, millis: next()?.parse()?, path: next()?.into() })
}

fn worse(one: Row, other: Row) -> Row {
    let errors = one.errors + other.errors;
    // Of equally slow ones the first.
    let slowest = if other.millis > one.millis { other } else { one };
    Row { errors, ..slowest }
}

type Report = (Single<u64>, Single<(u64, u64)>, Partitioned<Row>, Single<Vec<PathBuf>>);

#[quiltwork::pipeline]
fn report(logs: Partitioned<FilePartition>, owners: Partitioned<FilePartition>, output: PathBuf) -> Report {
    let visits = logs.lines().try_map(parse).persist();
    let errors = visits.clone().filter(|visit| visit.status >= 500).map(|visit| {
        let Visit { server, millis, path, .. } = visit;
        (server, Row { team: String::new(), errors: 1, millis, path })
    });
    let by_server = errors.reduce_by_key(worse).persist();
    let teams = owners.csv::<Owner>().map(|owner| (owner.server, owner.team));
    let by_team = by_server.clone().left_join(teams).map(|(_, (row, team))| {
        let team = team.unwrap_or_else(|| "nobody".to_owned());
        (team.clone(), Row { team, ..row })
    });
    let rows = by_team.reduce_by_key(worse).map(|(_, row)| row).sort_by_key(|row| row.team.clone()).persist();
    let errors_and_servers = by_server.map(|(_, row)| (row.errors, 1)).reduce(|a, b| (a.0 + b.0, a.1 + b.1));
    let totals = errors_and_servers.map(Option::unwrap_or_default);
    (visits.count(), totals, rows.clone(), rows.write_csv(output))
}

#[quiltwork::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    write_logs(folder.path())?;
    let list = |name: &str| data::files(folder.path().join(name)).list();
    let output = options.output.clone().unwrap_or_else(|| folder.path().join("report"));
    let report = report(list("visits")?.partitions(8), list("owners")?.partitions(2), output);

    let (visits, (errors, servers), rows, _) = if options.serial {
        report.run_serially()?
    } else {
        let cluster = LocalCluster::builder().workers(options.workers).start().await?;
        let mut run = pin!(report.progress().run(cluster.client()));
        tokio::select! {
            result = &mut run => result?,
            killed = kill_one(&cluster), if options.kill => {
                killed?;
                run.await?
            }
        }
    };
    println!("{visits} visits, {errors} of them server errors on {servers} servers");
    println!("{:<12} {:>6}  slowest path", "team", "errors");
    for Row { team, errors, millis, path } in rows {
        println!("{team:<12} {errors:>6}  {path} ({millis} ms)");
    }
    Ok(())
}

/// Kills a worker as soon as one has made something.
async fn kill_one(cluster: &LocalCluster) -> Result<()> {
    while cluster.client().workers().await?.iter().all(|worker| worker.held_bytes == 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let pid = *cluster.worker_pids().first().context("no worker is left to kill")?;
    cluster.kill_worker(pid)?;
    eprintln!("killed worker process {pid}");
    Ok(())
}

/// Visits of 40 servers in five files, and two files that say who owns some of them: the same at every run.
fn write_logs(folder: &Path) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for name in ["visits", "owners"] {
        fs::create_dir_all(folder.join(name))?;
    }
    for file in 0..5 {
        let mut lines = String::new();
        for _ in 0..40_000 {
            let (server, page, millis) =
                (random.random_range(0..40), random.random_range(0..200), random.random_range(1..1000));
            let status = if random.random_range(0..40) == 0 { 503 } else { 200 };
            let place = ["cart", "search", "orders"][random.random_range(0..3)];
            writeln!(lines, "web{server:02} {status} {millis} /{place}/{page}")?;
        }
        fs::write(folder.join(format!("visits/{file}.log")), lines)?;
    }
    let teams = |team: &str, servers: std::ops::Range<u32>| {
        servers.fold("server,team\n".to_owned(), |rows, server| rows + &format!("web{server:02},{team}\n"))
    };
    fs::write(folder.join("owners/a.csv"), teams("harvest", 0..6) + &teams("lighthouse", 6..11)[12..])?;
    Ok(fs::write(folder.join("owners/b.csv"), teams("drainage", 11..19))?)
}
