//! How clusters start, or say why they do not.
use crate::census;
use crate::drivers::{self, FORGETFUL, SHORT};
use crate::tasks::{double, print, read_stdin, start_cluster, start_program};
use crate::trial;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use quiltwork::prelude::*;
use quiltwork::{ErrorKind, WorkerLog};
use std::fs;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_cluster_has_the_asked_workers", asked_workers),
        trial("a_cluster_starts_without_async", blocking_start),
        trial("another_client_joins_by_ticket", by_ticket),
        trial("a_program_without_init_is_told_so", without_init),
        trial("a_program_that_cannot_run_is_told_at_once", no_such_program),
        trial("a_program_that_is_no_worker_is_told_with_its_last_words", no_worker),
        trial("a_task_cannot_start_a_cluster", nested),
        trial("a_program_started_by_a_task_is_no_worker", grandchild),
        trial("tasks_find_standard_input_empty", stdin),
        trial("what_tasks_print_goes_to_files_if_asked", files),
    ]
}

async fn asked_workers() -> Result<()> {
    let builder = LocalCluster::builder().workers(2).slots(3).memory_limit("64MiB").resource("gpu", 2);
    let cluster = builder.start().await?;
    let workers = cluster.workers();
    let mut pids: Vec<u32> = workers.iter().map(|worker| worker.pid).collect();
    let mut expected = cluster.worker_pids();
    pids.sort_unstable();
    expected.sort_unstable();
    ensure!(pids == expected && pids.len() == 2, "{pids:?} joined, {expected:?} run");
    for worker in workers {
        let capacity = worker.capacity;
        ensure!((capacity.slots, capacity.memory, capacity.amount("gpu")) == (3, 64 << 20, 2), "{capacity:?}");
    }
    ensure!(cluster.client().submit(double(21)).await? == 42);
    ensure!(cluster.workers_lost() == 0);
    cluster.shutdown().await;
    census::no_child_is_left()
}

async fn blocking_start() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start_blocking()?;
    ensure!(cluster.client().submit(double(4)).wait()? == 8);
    Ok(())
}

async fn by_ticket() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let client = Client::connect(&cluster.ticket()).await?;
    ensure!(client.submit(double(5)).await? == 10);
    Ok(())
}

async fn without_init() -> Result<()> {
    let output = drivers::command(FORGETFUL)?.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(said.starts_with("Local: ") && said.contains("never called `quiltwork::init()`"), "{said}");
    ensure!(said.contains("hint: put `quiltwork::init();` first in `main`"), "{said}");
    let children_said = String::from_utf8_lossy(&output.stderr);
    ensure!(children_said.contains("] quiltwork: this process was started as a worker"), "{children_said}");
    Ok(())
}

async fn no_such_program() -> Result<()> {
    let start = LocalCluster::builder().workers(1).worker_program("/no/such/program").start();
    let error = start.await.err().context("it started")?;
    ensure!(error.kind() == ErrorKind::Local && error.hint().is_some(), "{error}");
    ensure!(error.to_string().contains("`/no/such/program`"), "{error}");
    Ok(())
}

async fn no_worker() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("no_worker");
    fs::write(&script, "#!/bin/sh\necho I am no worker >&2\nexit 3\n")?;
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let start = LocalCluster::builder().workers(1).worker_program(script).log(WorkerLog::Null).start();
    let text = start.await.err().context("it started")?.to_string();
    ensure!(text.contains("exit status 3") && text.contains("I am no worker") && text.contains("hint: "), "{text}");
    Ok(())
}

async fn nested() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let text = cluster.client().submit(start_cluster()).await?;
    ensure!(text.contains("a task cannot start a cluster") && text.contains("Client::current()"), "{text}");
    Ok(())
}

async fn grandchild() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let said = cluster.client().submit(start_program(SHORT)).await?;
    ensure!(said == "42", "a driver started by a task said {said:?}");
    Ok(())
}

async fn stdin() -> Result<()> {
    let cluster = LocalCluster::builder().workers(1).start().await?;
    let text = cluster.client().submit(read_stdin()).await?;
    ensure!(text.is_empty(), "a task read {text:?}");
    Ok(())
}

async fn files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    let builder = LocalCluster::builder().workers(1).log(WorkerLog::Directory(logs.clone()));
    let cluster = builder.start().await?;
    cluster.client().submit(print("a line for the file")).await?;
    let pid = cluster.worker_pids()[0];
    cluster.shutdown().await;
    let text = fs::read_to_string(logs.join("worker-1.log"))?;
    ensure!(text.starts_with(&format!("--- started as process {pid}\n")), "{text}");
    ensure!(text.lines().any(|line| line == "a line for the file"), "{text}");
    Ok(())
}
