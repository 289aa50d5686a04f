//! Values that stayed in the cluster and come here when somebody wants them.
use crate::fake_master::{FakeMaster, encoded, task};
use crate::{add, zeros};
use bytes::Bytes;
use quiltwork::{Blob, ErrorKind, FailureKind, WorkerId};
use quiltwork_protocol::master_to_client::End;
use quiltwork_protocol::{BulkRequest, ClientToMaster, Holder, codec};
use quiltwork_types::{Encoding, ValueId};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Notify;

fn stored(holders: &[Holder]) -> End {
    End::Stored { encoding: codec::encoding_of::<u64>(), size: 8, holders: holders.to_vec() }
}

fn worker(number: u32, address: SocketAddr) -> Holder {
    Holder::Worker { worker: WorkerId(number), address }
}

#[test]
fn a_value_comes_from_the_master_or_from_a_worker() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let (address, keep) = master.worker();
    let handles = client.map(0..3_u64, |n| add(n, n));
    master.keep(0, &10_u64);
    keep(1, encoded(&11_u64));
    keep(2, encoded(&12_u64));
    master.end(0, stored(&[Holder::Master]), vec![]);
    for index in [1, 2] {
        master.end(index, stored(&[worker(1, address)]), vec![]);
    }
    assert_eq!(client.blocking().gather(handles).unwrap(), [10, 11, 12]);
}

#[test]
fn a_value_that_is_not_where_it_should_be_is_reported_and_comes_from_elsewhere() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let (first, _) = master.worker();
    let (second, keep) = master.worker();
    keep(0, encoded(&3_u64));
    let handle = client.submit(add(1_u64, 2));
    master.hear_tasks();
    let waiting = std::thread::spawn({
        let handle = handle.clone();
        move || handle.wait()
    });
    master.end(0, stored(&[worker(1, first)]), vec![]);
    let missing = ClientToMaster::ReportMissing { value: ValueId::of(task(0)), holder: WorkerId(1) };
    assert_eq!(master.hear().0, missing);
    master.end(0, stored(&[worker(2, second)]), vec![]);
    assert_eq!(waiting.join().unwrap().unwrap(), 3);
}

#[test]
fn the_next_holder_is_asked_when_one_does_not_have_it() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let ((first, _), (second, keep)) = (master.worker(), master.worker());
    keep(0, encoded(&3_u64));
    let handle = client.submit(add(1_u64, 2));
    master.end(0, stored(&[worker(1, first), worker(2, second)]), vec![]);
    assert_eq!(handle.wait().unwrap(), 3);
}

#[test]
fn a_value_the_master_itself_does_not_have_is_lost() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    master.end(0, stored(&[Holder::Master]), vec![]);
    let error = handle.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Task(FailureKind::ValueLost));
}

/// One worker sends the first half and breaks off, again and again; the other one waits for the test before it sends the
/// rest.
#[test]
fn what_has_arrived_is_told_and_not_asked_for_again() {
    const SIZE: usize = 4 << 20;
    let mut master = FakeMaster::start();
    let client = master.client();
    let bytes: Bytes = (0..SIZE).map(|index| index.to_le_bytes()[1]).collect();
    let (half, all) = (bytes.slice(..SIZE / 2), bytes.clone());
    let first = master.peer(move |connection| {
        let half = half.clone();
        async move {
            while let Ok(request) = connection.accept_bulk().await {
                let mut outgoing = request.begin(Encoding::Raw, SIZE as u64).await.unwrap();
                if outgoing.left().start == 0 {
                    outgoing.write(half.clone()).await.unwrap();
                }
            }
        }
    });
    let go = Arc::new(Notify::new());
    let gone = Arc::clone(&go);
    let second = master.peer(move |connection| {
        let (all, go) = (all.clone(), Arc::clone(&gone));
        async move {
            let request = connection.accept_bulk().await.unwrap();
            let BulkRequest::Fetch { range, .. } = request.request() else { panic!("{request:?}") };
            assert_eq!(range.start, SIZE as u64 / 2);
            go.notified().await;
            request.found(Encoding::Raw, &all).await.unwrap();
            connection.closed().await;
        }
    });
    let handle = client.submit(zeros(SIZE));
    let waiting = std::thread::spawn({
        let handle = handle.clone();
        move || handle.wait()
    });
    let holders = vec![worker(1, first), worker(2, second)];
    master.end(0, End::Stored { encoding: Encoding::Raw, size: SIZE as u64, holders }, vec![]);
    while handle.transferred() != Some((SIZE as u64 / 2, SIZE as u64)) {
        assert!(!waiting.is_finished(), "it came without its second half");
        std::thread::yield_now();
    }
    go.notify_one();
    assert!(waiting.join().unwrap().unwrap() == Blob::from(bytes.to_vec()));
    assert_eq!(handle.transferred(), None);
}
