//! Values that stayed in the cluster and come here when somebody wants them.
use crate::add;
use crate::fake_master::{FakeMaster, encoded, task};
use quiltwork::{ErrorKind, FailureKind, WorkerId};
use quiltwork_protocol::master_to_client::End;
use quiltwork_protocol::{ClientToMaster, Holder, codec};
use quiltwork_types::ValueId;
use std::net::SocketAddr;

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
