//! What a worker says of its memory, and whom it names when there is none left. How much its process uses is made up.
use crate::master::{Call, FakeMaster, Said, Worker, attempt, soon};
use crate::tasks::{open, wait_at};
use quiltwork_protocol::MasterToWorker;
use quiltwork_worker::WorkerError;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// Bytes every worker here may use.
const LIMIT: u64 = 1000;

async fn worker(slots: u32, own_memory: fn() -> io::Result<u64>) -> Worker {
    let mut master = FakeMaster::new();
    master.own_memory = own_memory;
    master.worker_with_memory(slots, LIMIT).await
}

#[tokio::test]
async fn pressure_is_told_and_withdrawn_while_something_runs_and_when_values_go() {
    static OWN: AtomicU64 = AtomicU64::new(790);
    let mut worker = worker(1, || Ok(OWN.load(Ordering::Relaxed))).await;
    worker.dispatch(1, "test::wait", Call::new().literal(&501_u32));
    worker.hear_start(1).await;
    for (own, said) in [(800, Said::Pressed), (699, Said::Relieved), (940, Said::Pressed)] {
        OWN.store(own, Ordering::Relaxed);
        assert_eq!(worker.hear().await, said);
    }
    open(501);
    assert!(worker.hear_result::<bool>(1).await);
    OWN.store(10, Ordering::Relaxed);
    worker.say(MasterToWorker::Free { values: Vec::new() });
    assert_eq!(worker.hear().await, Said::Relieved);
    worker.shut_down().await;
}

#[tokio::test]
async fn a_worker_with_nothing_to_do_does_not_look_at_its_memory() {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    let looks = || LOOKS.load(Ordering::Relaxed);
    let mut worker = worker(1, || Ok(LOOKS.fetch_add(1, Ordering::Relaxed))).await;
    let before = looks();
    worker.dispatch(1, "test::wait", Call::new().literal(&511_u32));
    soon("some looks", async {
        while looks() < before + 3 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    open(511);
    worker.hear_result::<bool>(1).await;
    soon("the last look", async {
        let mut last = None;
        while last.replace(looks()) != Some(looks()) {
            sleep(Duration::from_millis(300)).await;
        }
    })
    .await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_worker_without_memory_names_its_newest_attempt_and_ends() {
    static OWN: AtomicU64 = AtomicU64::new(0);
    let mut worker = worker(2, || Ok(OWN.load(Ordering::Relaxed))).await;
    worker.dispatch(1, "test::until_cancelled", Call::new());
    worker.hear_start(1).await;
    worker.dispatch(2, "test::until_cancelled", Call::new().named("hog", 0));
    worker.hear_start(2).await;
    OWN.store(960, Ordering::Relaxed);
    assert_eq!(worker.hear().await, Said::Pressed);
    assert_eq!(worker.hear().await, Said::OutOfMemory(attempt(2), 960, LIMIT));
    let error = worker.cut().await.unwrap_err();
    let WorkerError::OutOfMemory { attempt: named, used: 960, limit: LIMIT, .. } = &error else { panic!("{error}") };
    assert_eq!(*named, attempt(2));
    assert!(error.to_string().contains("used 960 bytes of its 1000 bytes of memory; `hog`"), "{error}");
}

/// At the first look too much is in use and attempts 1 and 2 run. Then 2 ends and 3 begins, and only then is the second
/// look taken.
#[tokio::test]
async fn who_comes_and_goes_beside_a_hog_is_not_named_for_it() {
    static LOOK: AtomicU64 = AtomicU64::new(0);
    let mut worker = worker(2, || match LOOK.load(Ordering::Relaxed) {
        0 => Ok(0),
        1 => Ok(950 + LOOK.fetch_add(1, Ordering::Relaxed)),
        _ => {
            open(521);
            assert!(wait_at(523), "attempt 3 is started when attempt 2 has ended");
            Ok(960)
        }
    })
    .await;
    worker.dispatch(1, "test::until_cancelled", Call::new());
    worker.hear_start(1).await;
    worker.dispatch(2, "test::wait", Call::new().literal(&521_u32));
    worker.hear_start(2).await;
    worker.dispatch(3, "test::lend_and_wait", Call::new().literal(&vec![522_u32]));
    worker.dispatch(4, "test::open", Call::new().literal(&522_u32));
    LOOK.store(1, Ordering::Relaxed);
    let named = loop {
        match worker.hear_more().await {
            Said::OutOfMemory(named, ..) => break named,
            said => assert!(!matches!(said, Said::Failed(..)), "{said:?}"),
        }
    };
    assert_eq!(named, attempt(1));
    worker.cut().await.unwrap_err();
}

#[tokio::test]
async fn nobody_is_named_and_nothing_ends_while_nothing_runs() {
    let mut worker = worker(1, || Ok(LIMIT)).await;
    worker.say(MasterToWorker::Free { values: Vec::new() });
    assert_eq!(worker.hear().await, Said::Pressed);
    worker.shut_down().await;
}
