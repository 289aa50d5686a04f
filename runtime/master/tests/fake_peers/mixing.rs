//! Workers of different programs in one cluster: each is given only what it can run.
use crate::harness::{Cluster, FUNCTION};
use quiltwork_protocol::ClientToMaster;
use quiltwork_protocol::client_to_master::{Question, SubmittedTask};
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_types::{FailureKind, FunctionId};

fn mixed() -> Cluster {
    Cluster::configured(|config| config.mixed = true)
}

#[tokio::test]
async fn every_task_goes_to_a_worker_that_has_its_function() {
    let cluster = mixed();
    let mut rust = cluster.worker_that_runs(&["count", "merge"], false).await;
    let mut python = cluster.worker_that_runs(&["merge"], true).await;
    let mut client = cluster.client().await;
    let load = FunctionId(FUNCTION.0 + 1);
    client.say(ClientToMaster::DefineFunction { function: load, name: "words:load".to_owned() }, Vec::new());
    for index in 0..10 {
        let function = if index < 5 { FUNCTION } else { load };
        let task = SubmittedTask { function, ..client.described(index, Vec::new()) };
        client.say(ClientToMaster::Submit { tasks: vec![task] }, Vec::new());
    }
    for (worker, first) in [(&mut rust, 0), (&mut python, 5)] {
        for index in first..first + 5 {
            let attempt = worker.attempt().await;
            assert_eq!(attempt.task, client.task(index));
            worker.finish_inline(attempt, b"done");
            assert_eq!(client.end().await.2.unwrap(), "done");
        }
    }
}

#[tokio::test]
async fn what_no_worker_has_fails_at_once_with_what_looks_like_it() {
    let cluster = mixed();
    let _worker = cluster.worker_that_runs(&["counts"], false).await;
    let mut client = cluster.client().await;
    client.submit(0, Vec::new(), Vec::new());
    let (task, End::Failed(failure), None) = client.end().await else { panic!("not failed") };
    assert_eq!((task, failure.kind), (client.task(0), FailureKind::UnknownTask));
    assert_eq!((&*failure.name, &*failure.message), ("count", "no worker of this cluster has the function `count`"));
    assert!(failure.hint.unwrap().starts_with("did you mean `counts`? "));
}

#[tokio::test]
async fn what_its_lost_worker_had_waits_for_the_next_one() {
    let cluster = mixed();
    let rust = cluster.worker_that_runs(&["count"], false).await;
    let python = cluster.worker_that_runs(&[], true).await;
    let mut client = cluster.client().await;
    rust.peer.connection.close("pulled the plug");
    while !matches!(client.ask(Question::Workers).await, Answer::Workers(workers) if workers.len() == 1) {}
    client.submit(0, Vec::new(), Vec::new());
    let mut next = cluster.worker_that_runs(&["count"], false).await;
    let attempt = next.attempt().await;
    next.finish_inline(attempt, b"done");
    assert_eq!(client.end().await.2.unwrap(), "done");
    drop(python);
}
