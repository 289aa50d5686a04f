//! Large values are written into the area of the client's node, and only announced to the master.
use crate::fake_master::{FakeMaster, encoded, task};
use crate::length;
use quiltwork::Blob;
use quiltwork_protocol::ClientToMaster;
use quiltwork_protocol::client_to_master::Argument;
use quiltwork_protocol::master_to_client::End;
use quiltwork_types::{Encoding, ValueId};
use quiltwork_worker::Area;
use std::fs;
use std::path::Path;
use std::time::Duration;

const LARGE: usize = 100_000;

fn area() -> (tempfile::TempDir, Area) {
    let folder = tempfile::tempdir().unwrap();
    let area = Area::create(&folder.path().join("area"), None).unwrap();
    (folder, area)
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file());
    let files = files.map(|file| file.file_name().into_string().unwrap());
    let mut names: Vec<_> = files.collect();
    names.sort_unstable();
    names
}

#[test]
fn a_large_value_is_written_once_and_a_small_one_is_sent() {
    let (_folder, area) = area();
    let mut master = FakeMaster::on_node_of(Some(area.folder()));
    let client = master.client();
    let blob = Blob::from(vec![7; LARGE]);
    let copied = quiltwork::__private::copied_bytes();
    let large = client.put(&blob).unwrap();
    assert_eq!(quiltwork::__private::copied_bytes() - copied, LARGE as u64);
    let small = client.put(&Blob::from(vec![7; 10_000])).unwrap();
    assert!(matches!(master.hear().0, ClientToMaster::Put { size: 100_000, written: true, .. }));
    assert!(matches!(master.hear().0, ClientToMaster::Put { size: 10_000, written: false, .. }));
    assert_eq!(master.take_upload().0, task(1));
    assert_eq!(names(area.folder()), ["7-0-0.c7"]);
    drop((large, small));
}

#[test]
fn a_large_literal_is_written_too_and_released_once_its_consumer_is_named() {
    let (_folder, area) = area();
    let mut master = FakeMaster::on_node_of(Some(area.folder()));
    let client = master.client();
    let text = "x".repeat(LARGE);
    let handle = client.submit(length(&*text));
    let (encoding, bytes) = encoded(&text);
    let put = ClientToMaster::Put { task: task(0), size: bytes.len() as u64, encoding, written: true };
    assert_eq!(master.hear().0, put);
    assert_eq!(master.hear_tasks().0[0].arguments, [Argument::Value(ValueId::of(task(0)))]);
    assert_eq!(names(area.folder()), ["7-0-0.c7"]);
    master.end(0, adopted(), vec![]);
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
    drop(handle);
}

fn adopted() -> End {
    End::Stored { encoding: Encoding::Raw, size: 1, holders: Vec::new() }
}

#[test]
fn whoever_writes_faster_than_workers_adopt_has_to_wait() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let area = Area::create(&folder.path().join("area"), None).unwrap();
    let mut master = FakeMaster::on_node_of(Some(area.folder()));
    let client = master.client();
    let blob = Blob::from(vec![0; 130 << 20]);
    let first = [client.put(&blob).unwrap(), client.put(&blob).unwrap()];
    let third = std::thread::spawn(move || client.put(&blob).unwrap());
    for _ in &first {
        assert!(matches!(master.hear().0, ClientToMaster::Put { written: true, .. }));
    }
    // Long enough to write it if nothing held it up.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(names(area.folder()).len(), 2, "the third is being written");
    let [released, adopted_one] = first;
    drop(released);
    drop(third.join().unwrap());
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
    drop(adopted_one);
}

#[test]
fn where_the_area_cannot_be_written_values_are_sent() {
    let (_folder, area) = area();
    let mut master = FakeMaster::on_node_of(Some(area.folder()));
    let client = master.client();
    fs::remove_dir_all(area.folder()).unwrap();
    let handle = client.put(&Blob::from(vec![7; LARGE])).unwrap();
    assert!(matches!(master.hear().0, ClientToMaster::Put { written: false, .. }));
    assert_eq!(master.take_upload().1.len(), LARGE);
    drop(handle);
}

#[test]
fn after_the_link_is_lost_nothing_is_left_in_the_area() {
    let (_folder, area) = area();
    let mut master = FakeMaster::on_node_of(Some(area.folder()));
    let client = master.client();
    master.cut();
    master.hear_rest();
    let blob = Blob::from(vec![7; LARGE]);
    // The client may hear of it a moment later than the master.
    while client.put(&blob).is_ok() {}
    let before = names(area.folder());
    assert!(client.put(&blob).is_err());
    assert_eq!(names(area.folder()), before);
}
