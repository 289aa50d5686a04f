//! Joining and leaving: refusals, shutdown, a master that is gone or talks nonsense.
use crate::master::{Call, FakeMaster, attempt, soon};
use quiltwork_protocol::master_to_worker::{Assignment, Duty};
use quiltwork_protocol::{MasterToWorker, RefusalKind};
use quiltwork_transport::{Endpoint, Role};
use quiltwork_types::FunctionId;
use quiltwork_worker::{TaskContext, WorkerError, lend, run};

#[tokio::test]
async fn shutdown_ends_a_worker_well_also_while_a_task_runs() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::until_cancelled", Call::new());
    worker.hear_start(1).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_master_that_goes_ends_the_worker_with_an_error() {
    let mut worker = FakeMaster::new().worker(1).await;
    worker.dispatch(1, "test::nothing", Call::new());
    worker.hear_result::<()>(1).await;
    let error = worker.cut().await.unwrap_err();
    assert!(matches!(error, WorkerError::MasterLost(_)), "{error}");
    assert!(error.to_string().contains("the test cuts the link"), "{error}");
}

#[tokio::test]
async fn a_refused_worker_says_why() {
    let master = FakeMaster::new();
    let config = master.config(1, 1);
    let worker = tokio::task::spawn_blocking(move || run(config));
    master.guest().await.refuse(RefusalKind::Full, "no room for worker 1025".into()).await;
    let error = soon("its end", worker).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the worker could not join: the master refused: no room for worker 1025");
}

#[tokio::test]
async fn a_worker_without_slots_or_with_the_address_of_another_worker_never_joins() {
    let master = FakeMaster::new();
    let error = run_aside(master.config(0, 1)).await;
    assert!(matches!(error, WorkerError::NoSlots), "{error}");
    let other = Endpoint::bind(([127, 0, 0, 1], 0).into(), &master.identity(Role::Worker)).unwrap();
    let mut config = master.config(1, 1);
    config.master = other.local_address();
    let error = run_aside(config).await;
    assert!(matches!(error, WorkerError::Connect(_)), "{error}");
}

async fn run_aside(config: quiltwork_worker::WorkerConfig) -> WorkerError {
    soon("its end", tokio::task::spawn_blocking(move || run(config))).await.unwrap().unwrap_err()
}

#[tokio::test]
async fn an_attempt_of_an_undefined_function_breaks_the_protocol() {
    let worker = FakeMaster::new().worker(1).await;
    let (inputs, slots, name, partition) = (Vec::new(), 1, None, None);
    let duty = Duty::Task;
    let assignment = Assignment { attempt: attempt(1), function: FunctionId(5), inputs, slots, name, partition, duty };
    worker.say(MasterToWorker::Dispatch { assignments: vec![assignment] });
    let error = worker.ended().await.unwrap_err();
    assert!(error.to_string().contains("f5, which was not defined"), "{error}");
}

#[test]
fn outside_of_tasks_there_is_no_context_and_nothing_to_lend() {
    assert!(TaskContext::current().is_none());
    assert!(lend().is_none());
}
