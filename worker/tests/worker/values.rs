//! Values that stay where they were made: fetched by others, freed, superseded, missing.
use crate::master::{Call, FakeMaster, Said, Worker, attempt, soon, value};
use bytes::Bytes;
use quiltwork_protocol::codec::{encode_value, encoding_of};
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_protocol::{BulkRequest, ByteRange, Holder, MasterToWorker};
use quiltwork_transport::{Connection, Endpoint, Role};
use quiltwork_types::{Encoding, FailureKind, WorkerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Larger than what travels with a report.
const LARGE: u64 = 100_000;

async fn make(worker: &mut Worker, index: u32) {
    worker.dispatch(index, "test::zeros", Call::new().literal(&LARGE));
    worker.hear_stored(index).await;
}

/// What a client gets that asks this worker for a value.
async fn ask(master: &FakeMaster, worker: &Worker, index: u32) -> Option<usize> {
    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into(), &master.identity(Role::Client)).unwrap();
    let connection = endpoint.connect(worker.address, Role::Worker).await.unwrap();
    let fetched = soon("an answer", connection.fetch(value(index), u64::MAX)).await.unwrap();
    fetched.map(|(encoding, bytes)| {
        assert_eq!(encoding, encoding_of::<Vec<u8>>());
        bytes.len()
    })
}

/// Serves every value over the link's connection, as a master with puts does, and counts how often it was asked.
fn serve_all(connection: Connection, bytes: Vec<u8>) -> Arc<AtomicU32> {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let bytes = Bytes::from(encode_value(&bytes).unwrap());
    tokio::spawn(async move {
        while let Ok(request) = connection.accept_bulk().await {
            assert!(matches!(request.request(), BulkRequest::Fetch { .. }));
            counter.fetch_add(1, Ordering::Relaxed);
            // Time for others to want the same.
            tokio::time::sleep(Duration::from_millis(50)).await;
            request.found(encoding_of::<Vec<u8>>(), &bytes).await.unwrap();
        }
    });
    asked
}

#[tokio::test]
async fn a_value_is_fetched_from_another_worker_and_a_copy_is_kept() {
    let mut master = FakeMaster::new();
    let (mut maker, mut user) = (master.worker(1).await, master.worker(1).await);
    make(&mut maker, 1).await;
    user.dispatch(2, "test::length", Call::new().stored::<Vec<u8>>(1, vec![maker.holder()]));
    assert_eq!(user.hear_more().await, Said::Copied(value(1)));
    assert_eq!(user.hear_result::<u64>(2).await, LARGE);
    // The maker may go: the copy serves this worker and others.
    maker.shut_down().await;
    user.dispatch(3, "test::length", Call::new().stored::<Vec<u8>>(1, vec![user.holder()]));
    assert_eq!(user.hear_result::<u64>(3).await, LARGE);
    assert!(ask(&master, &user, 1).await.is_some());
    user.shut_down().await;
}

#[tokio::test]
async fn the_next_holder_is_tried_when_one_is_gone_or_does_not_have_it() {
    let mut master = FakeMaster::new();
    let (mut maker, mut user, poor) = (master.worker(1).await, master.worker(1).await, master.worker(1).await);
    make(&mut maker, 1).await;
    let holders = vec![poor.holder(), user.holder(), maker.holder()];
    user.dispatch(2, "test::length", Call::new().stored::<Vec<u8>>(1, holders));
    assert_eq!(user.hear_more().await, Said::Copied(value(1)));
    assert_eq!(user.hear_result::<u64>(2).await, LARGE);
    for worker in [maker, user, poor] {
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn an_attempt_whose_inputs_nobody_has_comes_back_with_all_who_were_tried() {
    let mut master = FakeMaster::new();
    let (mut user, poor) = (master.worker(1).await, master.worker(1).await);
    let nobody = Holder::Worker { worker: WorkerId(99), address: unused_address() };
    user.dispatch(2, "test::length", Call::new().stored::<Vec<u8>>(1, vec![poor.holder(), nobody, user.holder()]));
    let tried = [poor.id, WorkerId(99), user.id].map(|worker| (value(1), worker));
    assert_eq!(user.hear().await, Said::Missing(attempt(2), tried.to_vec()));
    for worker in [user, poor] {
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn of_a_value_that_is_read_in_pieces_only_these_travel_and_no_copy_is_kept() {
    let mut master = FakeMaster::new();
    let (mut maker, mut user) = (master.worker(1).await, master.worker(1).await);
    make(&mut maker, 1).await;
    let call = |holder| Call::new().reference(1, LARGE, vec![holder]).literal(&7_000_u64).literal(&7_100_u64);
    user.dispatch(2, "test::part", call(maker.holder()));
    assert_eq!(user.hear_result::<usize>(2).await, 100, "and nothing was said of a copy");
    maker.dispatch(3, "test::part", call(maker.holder()));
    assert_eq!(maker.hear_result::<usize>(3).await, 100);

    let connection = user.connection.clone();
    let asked = tokio::spawn(async move {
        let request = connection.accept_bulk().await.unwrap();
        let asked = request.request();
        request.found(Encoding::Raw, &Bytes::from(vec![7; 8_000])).await.unwrap();
        asked
    });
    user.dispatch(4, "test::part", call(Holder::Master));
    assert_eq!(user.hear_result::<usize>(4).await, 100);
    let asked = asked.await.unwrap();
    let expected = ByteRange { start: 7_000, length: 100 };
    assert!(matches!(asked, BulkRequest::Fetch { range, .. } if range == expected), "{asked:?}");
    for worker in [maker, user] {
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn an_attempt_that_reads_what_is_gone_comes_back_whatever_its_function_makes_of_that() {
    let mut master = FakeMaster::new();
    let (mut user, poor) = (master.worker(1).await, master.worker(1).await);
    let nobody = Holder::Worker { worker: WorkerId(99), address: unused_address() };
    let holders = vec![poor.holder(), nobody];
    user.dispatch(2, "test::part", Call::new().reference(1, LARGE, holders).literal(&0_u64).literal(&9_u64));
    let tried = [poor.id, WorkerId(99)].map(|worker| (value(1), worker));
    assert_eq!(user.hear_more().await, Said::Missing(attempt(2), tried.to_vec()));
    for worker in [user, poor] {
        worker.shut_down().await;
    }
}

fn unused_address() -> std::net::SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_value_several_attempts_want_is_fetched_once() {
    let mut worker = FakeMaster::new().worker(2).await;
    let asked = serve_all(worker.connection.clone(), vec![7; 20_000]);
    let call = |index| (index, "test::length", Call::new().stored::<Vec<u8>>(1, vec![Holder::Master]));
    worker.dispatch_all((2..6).map(call).collect());
    let mut lengths = 0;
    while lengths < 4 {
        match worker.hear_more().await {
            Said::Finished(..) => lengths += 1,
            Said::Copied(copied) => assert_eq!(copied, value(1)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    worker.shut_down().await;
}

#[tokio::test]
async fn an_attempt_recalled_during_its_fetch_comes_back_and_does_not_hold_up_others() {
    let mut worker = FakeMaster::new().worker(1).await;
    let asked = serve_all(worker.connection.clone(), vec![7; 20_000]);
    let call = |index| (index, "test::length", Call::new().stored::<Vec<u8>>(1, vec![Holder::Master]));
    worker.dispatch_all(vec![call(2), call(3)]);
    worker.say(MasterToWorker::Recall { attempts: vec![attempt(2)] });
    assert_eq!(worker.hear().await, Said::Returned(attempt(2)));
    assert_eq!(worker.hear_more().await, Said::Copied(value(1)));
    assert_eq!(worker.hear_result::<u64>(3).await, 20_000);
    assert!(asked.load(Ordering::Relaxed) >= 1);
    worker.shut_down().await;
}

#[tokio::test]
async fn freed_and_superseded_values_are_gone_and_others_stay() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker(1).await;
    for index in 1..=3 {
        make(&mut worker, index).await;
    }
    worker.say(MasterToWorker::Free { values: vec![value(1), value(77)] });
    worker.say(MasterToWorker::Superseded { attempts: vec![attempt(2)] });
    // What comes after it on the link has been done when this is answered.
    worker.dispatch(9, "test::nothing", Call::new());
    worker.hear_result::<()>(9).await;
    assert_eq!(ask(&master, &worker, 1).await, None);
    assert_eq!(ask(&master, &worker, 2).await, None);
    assert!(ask(&master, &worker, 3).await.is_some());
    worker.shut_down().await;
}

#[tokio::test]
async fn a_result_that_was_not_published_is_no_input() {
    let mut master = FakeMaster::new();
    let (mut publisher, mut worker) = (master.worker(1).await, master.worker(1).await);
    make(&mut publisher, 1).await;
    make(&mut worker, 1).await;
    worker.dispatch(2, "test::length", Call::new().stored::<Vec<u8>>(1, vec![publisher.holder()]));
    assert_eq!(worker.hear_more().await, Said::Copied(value(1)), "it must be fetched from who published it");
    assert_eq!(worker.hear_result::<u64>(2).await, LARGE);
    // The copy is not what the attempt made: it stays.
    worker.say(MasterToWorker::Superseded { attempts: vec![attempt(1)] });
    worker.dispatch(3, "test::length", Call::new().stored::<Vec<u8>>(1, vec![worker.holder()]));
    assert_eq!(worker.hear_result::<u64>(3).await, LARGE);
    for worker in [publisher, worker] {
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn a_full_store_fails_the_attempt_until_something_is_freed() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker_with_memory(1, LARGE + LARGE / 2).await;
    make(&mut worker, 1).await;
    worker.dispatch(2, "test::zeros", Call::new().literal(&LARGE));
    let failure = worker.hear_failure(2).await;
    assert_eq!(failure.kind, FailureKind::StoreFull);
    assert!(failure.message.contains("of at most 150000 bytes") && failure.hint.is_some(), "{failure}");
    worker.say(MasterToWorker::Free { values: vec![value(1)] });
    make(&mut worker, 3).await;
    worker.shut_down().await;
}

#[tokio::test]
async fn a_worker_that_cannot_adopt_a_value_says_why() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker(1).await;
    let orphan = Orphan { value: value(1), size: LARGE, formerly: Vec::new() };
    worker.say(MasterToWorker::Adopt { values: vec![orphan] });
    let Said::NotAdopted(missing, failure) = worker.hear().await else { panic!("it has no area to find it in") };
    assert_eq!((missing, failure.kind, failure.origin), (value(1), FailureKind::ValueLost, value(1).task));
    assert!(failure.hint.is_some(), "{failure}");
    worker.shut_down().await;
}
