//! What a store in an area keeps, shares, spills and inherits.
use super::*;
use bytes::Bytes;
use quiltwork_types::{JobId, TaskId};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const ONE: WorkerId = WorkerId(1);
const TWO: WorkerId = WorkerId(2);

fn value(index: u32) -> ValueId {
    ValueId::of(TaskId { job: JobId(1), index })
}

fn made(index: u32, number: u32) -> Origin {
    Origin::Made(AttemptId { task: value(index).task, number })
}

/// Two workers of one node, each with room for 100 bytes.
fn node() -> (tempfile::TempDir, NodeStore, NodeStore) {
    let folder = tempfile::tempdir().unwrap();
    let area = Area::create(&folder.path().join("area"), None).unwrap();
    let store = |worker| NodeStore::new(area.clone(), worker, 100, 0);
    (folder, store(ONE), store(TWO))
}

/// Two workers of one node, each with room for 100 bytes in memory and 300 on disk.
fn node_with_disk() -> (tempfile::TempDir, NodeStore, NodeStore) {
    let folder = tempfile::tempdir().unwrap();
    let area = Area::create(&folder.path().join("area"), Some(&folder.path().join("disk"))).unwrap();
    let store = |worker| NodeStore::new(area.clone(), worker, 100, 300);
    (folder, store(ONE), store(TWO))
}

/// Bytes counted in memory and on disk.
fn counted(store: &NodeStore) -> (u64, u64) {
    (store.memory.held(), store.disk.as_ref().map_or(0, Room::held))
}

/// Where the values with these numbers are.
fn places(store: &NodeStore, indices: std::ops::Range<u32>) -> Vec<Option<Place>> {
    indices.map(|index| Some(store.area.size(value(index), store.worker)?.0)).collect()
}

const MEMORY: Option<Place> = Some(Place::Memory);
const DISK: Option<Place> = Some(Place::Disk);

fn put(store: &NodeStore, index: u32, origin: Origin, payload: &'static [u8]) -> Result<(), TaskError> {
    let output = Output { encoding: Encoding::Raw, bytes: Bytes::from_static(payload) };
    store.put(value(index), Stored { origin, output })
}

fn read(store: &NodeStore, index: u32) -> Option<Bytes> {
    store.get(value(index)).map(|stored| stored.output.bytes)
}

/// The files of values in memory.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder.join("area")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
}

#[test]
fn what_one_worker_holds_another_shares_without_a_copy() {
    let (folder, one, two) = node();
    put(&one, 1, made(1, 1), &[7; 60]).unwrap();
    assert_eq!(two.share(value(1), ONE).unwrap().bytes, &[7; 60][..]);
    assert!(two.share(value(2), ONE).is_none());
    assert_eq!((one.memory.held(), two.memory.held()), (60, 0), "shared bytes are counted once");
    one.remove(value(1));
    assert_eq!(read(&two, 1).unwrap().len(), 60);
    two.remove(value(1));
    assert_eq!((one.memory.held(), two.memory.held(), files(folder.path())), (0, 0, 0));
}

#[test]
fn a_full_store_refuses_and_leaves_nothing_behind() {
    let (folder, one, _) = node();
    put(&one, 1, made(1, 1), &[1; 60]).unwrap();
    let error = put(&one, 2, made(2, 1), &[1; 41]).unwrap_err();
    assert!(error.to_string().contains("has 41 bytes") && error.to_string().contains("60 of at most 100"), "{error}");
    assert_eq!((read(&one, 2), files(folder.path())), (None, 1));
    one.remove(value(1));
    put(&one, 2, made(2, 1), &[1; 41]).unwrap();
}

#[test]
fn the_first_result_stays_and_a_published_one_takes_its_place() {
    let (folder, one, two) = node();
    put(&one, 1, made(1, 1), b"first").unwrap();
    put(&one, 1, made(1, 2), b"second").unwrap();
    assert_eq!(read(&one, 1).unwrap(), "first");
    one.remove_made_by(AttemptId { task: value(1).task, number: 2 });
    put(&two, 1, made(1, 3), b"published").unwrap();
    assert_eq!(one.share(value(1), TWO).unwrap().bytes, "published");
    one.remove_made_by(AttemptId { task: value(1).task, number: 1 });
    assert_eq!(read(&one, 1).unwrap(), "published");
    assert_eq!((one.memory.held(), two.memory.held(), files(folder.path())), (0, 9, 2));
}

#[test]
fn an_heir_takes_what_it_was_told_to_and_clears_the_rest_away() {
    let (folder, one, two) = node();
    put(&one, 1, made(1, 1), &[1; 30]).unwrap();
    put(&one, 2, made(2, 1), b"never published").unwrap();
    put(&two, 3, made(3, 1), b"own").unwrap();
    assert_eq!(two.inherit(ONE, TWO, vec![value(1), value(9)]), [value(9)]);
    assert_eq!(read(&two, 1).unwrap().len(), 30);
    assert_eq!((two.memory.held(), files(folder.path())), (33, 2));
}

#[test]
fn whoever_hears_first_of_an_inheritance_moves_it() {
    let (folder, one, two) = node();
    let three = NodeStore::new(two.area.clone(), WorkerId(3), 100, 0);
    put(&one, 1, made(1, 1), b"x").unwrap();
    assert!(three.inherit(ONE, TWO, vec![value(1)]).is_empty());
    assert_eq!(three.share(value(1), TWO).unwrap().bytes, "x", "although the heir has not heard of it");
    assert!(two.inherit(ONE, TWO, vec![value(1)]).is_empty());
    assert_eq!(read(&two, 1).unwrap(), "x");
    assert_eq!(files(folder.path()), 2);
}

#[test]
fn what_was_borrowed_from_a_worker_that_is_gone_is_counted() {
    let (_folder, one, two) = node();
    put(&one, 1, made(1, 1), &[1; 30]).unwrap();
    two.share(value(1), ONE).unwrap();
    assert!(two.inherit(ONE, TWO, Vec::new()).is_empty());
    assert_eq!(two.memory.held(), 30);
}

#[test]
fn a_value_comes_in_pieces_and_one_that_does_not_end_leaves_nothing() {
    let (folder, one, _) = node();
    let one = Arc::new(one);
    let begin = || Arc::clone(&one).begin(value(1), Origin::Copied, Encoding::Raw, 6).unwrap();
    let incoming = begin();
    incoming.write_at(3, &mut [IoSlice::new(b"d"), IoSlice::new(b"ef")]).unwrap();
    assert!(incoming.write_at(4, &mut [IoSlice::new(b"xyz")]).is_err(), "it is not so long");
    assert_eq!((read(&one, 1), one.memory.held()), (None, 6), "nobody sees it, but its room is taken");
    drop(incoming);
    assert_eq!((one.memory.held(), files(folder.path())), (0, 0));
    let incoming = begin();
    incoming.write_at(3, &mut [IoSlice::new(b"def"), IoSlice::new(b"")]).unwrap();
    incoming.write_at(0, &mut [IoSlice::new(b"abc")]).unwrap();
    assert_eq!(incoming.finish().unwrap().bytes, "abcdef");
    assert_eq!((read(&one, 1).unwrap(), one.memory.held(), files(folder.path())), ("abcdef".into(), 6, 1));
}

#[test]
fn what_was_used_least_lately_is_spilled_and_read_from_disk() {
    let (folder, one, _) = node_with_disk();
    for index in 1..4 {
        put(&one, index, made(index, 1), &[7; 30]).unwrap();
    }
    read(&one, 1).unwrap();
    put(&one, 4, made(4, 1), &[7; 30]).unwrap();
    assert_eq!(places(&one, 1..5), [MEMORY, DISK, DISK, MEMORY], "a little more than needed makes room");
    assert_eq!((counted(&one), one.in_memory()), ((60, 60), 60));
    for index in 1..5 {
        assert_eq!(read(&one, index).unwrap(), &[7; 30][..]);
        one.remove(value(index));
    }
    assert_eq!((counted(&one), std::fs::read_dir(folder.path().join("disk")).unwrap().count()), ((0, 0), 0));
}

#[test]
fn a_value_larger_than_the_memory_goes_to_disk_and_disturbs_nobody() {
    let (_folder, one, _) = node_with_disk();
    put(&one, 1, made(1, 1), &[1; 60]).unwrap();
    put(&one, 2, Origin::Copied, &[2; 101]).unwrap();
    let one = Arc::new(one);
    let incoming = Arc::clone(&one).begin(value(3), Origin::Copied, Encoding::Raw, 150).unwrap();
    incoming.write_at(0, &mut [IoSlice::new(&[3; 150])]).unwrap();
    assert_eq!(incoming.finish().unwrap().bytes, &[3; 150][..]);
    assert_eq!((places(&one, 1..4), counted(&one)), (vec![MEMORY, DISK, DISK], (60, 251)));
}

#[test]
fn only_when_the_disk_is_full_as_well_is_the_writer_refused() {
    let (_folder, one, _) = node_with_disk();
    for index in 1..8 {
        put(&one, index, made(index, 1), &[7; 50]).unwrap();
    }
    let error = put(&one, 8, made(8, 1), &[7; 60]).unwrap_err();
    let [memory, disk] = [one.area.folder(), one.area.disk().unwrap()].map(|folder| folder.display().to_string());
    for said in ["has 60 bytes", "of at most 100 bytes in", "300 of at most 300 bytes in", &memory, &disk] {
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
    one.remove(value(1));
    put(&one, 8, made(8, 1), &[7; 60]).unwrap();
    (2..9).for_each(|index| assert_eq!(read(&one, index).unwrap()[0], 7));
}

#[test]
fn a_spill_takes_what_mates_hold_along() {
    let (_folder, one, two) = node_with_disk();
    put(&one, 1, made(1, 1), &[7; 60]).unwrap();
    let before = two.share(value(1), ONE).unwrap();
    one.spill_to(0);
    assert_eq!((places(&one, 1..2), places(&two, 1..2)), (vec![DISK], vec![DISK]));
    assert_eq!((counted(&one), counted(&two), before.bytes[0]), ((0, 60), (0, 0), 7));
    assert_eq!(two.share(value(1), ONE).unwrap().bytes, &[7; 60][..], "it is shared on disk as well");
    two.inherit(ONE, TWO, Vec::new());
    assert_eq!((counted(&two), read(&two, 1).unwrap().len()), ((0, 60), 60));
}

#[test]
fn what_a_mate_has_moved_is_counted_where_it_is() {
    let (_folder, one, two) = node_with_disk();
    let three = NodeStore::new(two.area.clone(), WorkerId(3), 100, 300);
    put(&one, 1, made(1, 1), &[7; 60]).unwrap();
    for mate in [&two, &three] {
        mate.share(value(1), ONE).unwrap();
        mate.inherit(ONE, WorkerId(9), Vec::new());
    }
    two.spill_to(0);
    assert_eq!((counted(&two), counted(&three)), ((0, 60), (60, 0)), "nobody has looked yet");
    three.spill_to(0);
    assert_eq!((counted(&three), read(&three, 1).unwrap().len()), ((0, 60), 60));
}

#[test]
fn an_heir_takes_what_is_on_disk_and_clears_it_away() {
    let (folder, one, two) = node_with_disk();
    put(&one, 1, made(1, 1), &[1; 30]).unwrap();
    put(&one, 2, made(2, 1), b"never published").unwrap();
    one.spill_to(0);
    assert_eq!(two.inherit(ONE, TWO, vec![value(1), value(9)]), [value(9)]);
    assert_eq!((read(&two, 1).unwrap().len(), counted(&two)), (30, (0, 30)));
    two.remove(value(1));
    assert_eq!(std::fs::read_dir(folder.path().join("disk")).unwrap().count(), 0);
}

#[test]
fn mappings_of_what_others_hold_stay_only_up_to_a_limit() {
    let (_folder, one, two) = node_with_disk();
    for index in 1..6 {
        put(&one, index, made(index, 1), &[7; 20]).unwrap();
        two.share(value(index), ONE).unwrap();
        assert!(two.borrowed.held() <= 25, "{} bytes are kept from being freed", two.borrowed.held());
    }
    assert_eq!(read(&two, 1).unwrap().len(), 20);
}

#[test]
fn writers_that_make_room_at_the_same_time_lose_nothing() {
    let (_folder, one, _) = node_with_disk();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let one = &one;
            scope.spawn(move || {
                for round in 0..25 {
                    let index = thread * 100 + round;
                    put(one, index, made(index, 1), &[9; 40]).unwrap();
                    assert_eq!(read(one, index).unwrap(), &[9; 40][..]);
                    one.remove(value(index));
                }
            });
        }
    });
    assert_eq!(counted(&one), (0, 0));
}

/// Sizes of values whose files are kept as spares: one that is written by the system, one that is written through a
/// mapping.
const LARGE: [usize; 2] = [100_000, 2_000_000];

/// Two workers of one node, each with room for ten such values in memory, a quarter of it for spares.
fn large_node(large: usize) -> (tempfile::TempDir, NodeStore, NodeStore) {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let area = Area::create(&folder.path().join("area"), None).unwrap();
    let store = |worker| NodeStore::new(area.clone(), worker, 10 * large as u64, 0);
    (folder, store(ONE), store(TWO))
}

/// Puts a value of so many times its own number and says which file holds it.
fn put_large(store: &NodeStore, index: u8, size: usize) -> u64 {
    let output = Output { encoding: Encoding::Raw, bytes: vec![index; size].into() };
    store.put(value(index.into()), Stored { origin: made(index.into(), 1), output }).unwrap();
    let name = format!("1-{index}-0.w{}", store.worker.0);
    std::fs::metadata(store.area.folder().join(name)).unwrap().ino()
}

fn spares(store: &NodeStore) -> usize {
    std::fs::read_dir(store.area.folder().join("spare")).unwrap().count()
}

#[test]
fn the_memory_of_a_freed_value_is_written_again() {
    for large in LARGE {
        let (_folder, one, two) = large_node(large);
        let first = put_large(&one, 1, large);
        drop(read(&one, 1).unwrap());
        one.remove(value(1));
        assert_eq!((spares(&one), one.memory.held()), (1, large as u64), "it counts as long as it is kept");
        assert_eq!(put_large(&one, 2, large + 1000), first);
        assert!(read(&one, 2).unwrap().len() == large + 1000 && read(&one, 2).unwrap().iter().all(|byte| *byte == 2));
        one.remove(value(2));
        assert_eq!(put_large(&two, 3, large - 1000), first, "a mate may take it as well");
        assert!(read(&two, 3).unwrap().len() == large - 1000 && read(&two, 3).unwrap().iter().all(|byte| *byte == 3));
        assert_ne!(put_large(&one, 4, large), first);
        assert_eq!((one.memory.held(), two.memory.held(), spares(&one)), (large as u64, large as u64 - 1000, 0));
    }
}

#[test]
fn a_file_is_written_again_through_the_mapping_it_has() {
    let large = LARGE[1];
    let (_folder, one, _) = large_node(large);
    put_large(&one, 1, large);
    one.remove(value(1));
    // New pages are not written through one.
    put_large(&one, 2, large);
    let mapped_at = read(&one, 2).unwrap().as_ptr().addr();
    one.remove(value(2));
    put_large(&one, 3, large - 1000);
    let bytes = read(&one, 3).unwrap();
    assert_eq!(bytes.as_ptr().addr(), mapped_at);
    assert!(bytes.len() == large - 1000 && bytes.iter().all(|byte| *byte == 3));
}

#[test]
fn what_somebody_still_maps_is_never_written_again() {
    for large in LARGE {
        let (_folder, one, two) = large_node(large);
        let first = put_large(&one, 1, large);
        let mapped = read(&one, 1).unwrap();
        one.remove(value(1));
        assert_ne!(put_large(&one, 2, large), first);
        assert!(mapped.iter().all(|byte| *byte == 1));

        let arriving = Arc::new(one);
        let incoming = Arc::clone(&arriving).begin(value(3), Origin::Copied, Encoding::Raw, large as u64).unwrap();
        incoming.write_at(0, &mut [IoSlice::new(&vec![3; large])]).unwrap();
        let written = incoming.finish().unwrap().bytes;
        arriving.remove(value(3));
        put_large(&arriving, 4, large);
        assert!(written.iter().all(|byte| *byte == 3), "its writer maps it as well");

        put_large(&arriving, 5, large);
        let shared = two.share(value(5), ONE).unwrap().bytes;
        arriving.remove(value(5));
        assert_eq!(spares(&arriving), 0, "it is the mate's");
        put_large(&arriving, 6, large);
        assert!(shared.iter().all(|byte| *byte == 5));
    }
}

#[test]
fn spares_are_few_and_go_when_room_is_needed_or_their_worker_is_gone() {
    for large in LARGE {
        let (folder, one, two) = large_node(large);
        for index in 1..=5 {
            put_large(&one, index, large);
        }
        (1..=5).for_each(|index| one.remove(value(index)));
        assert_eq!((spares(&one), one.memory.held()), (2, 2 * large as u64));
        put_large(&one, 6, 9 * large);
        assert_eq!((spares(&one), one.memory.held()), (0, 9 * large as u64));
        one.remove(value(6));
        assert_eq!((spares(&one), one.memory.held()), (0, 0), "it is more than spares may be");
        put_large(&one, 7, large);
        one.remove(value(7));
        two.inherit(ONE, TWO, Vec::new());
        assert_eq!((spares(&two), files(folder.path())), (0, 0));
    }
}

#[test]
fn no_reader_sees_bytes_of_another_value() {
    for (large, rounds) in LARGE.into_iter().zip([600, 100]) {
        write_while_others_read(large, rounds);
    }
}

fn write_while_others_read(large: usize, rounds: usize) {
    let (_folder, one, two) = large_node(large);
    let newest = AtomicU64::new(0);
    let reused = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read_newest(&two.area, &newest))).collect();
        let mut inodes = std::collections::BTreeSet::new();
        for round in 0..rounds {
            let index = u8::try_from(round % 200 + 1).unwrap();
            inodes.insert(put_large(&one, index, large));
            newest.store(index.into(), Ordering::Release);
            std::thread::yield_now();
            one.remove(value(index.into()));
        }
        newest.store(u64::MAX, Ordering::Release);
        let seen: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(seen > 0, "the readers saw nothing");
        rounds - inodes.len()
    });
    assert!(reused > 0, "no file was written again");
}

/// Reads what is written until there is no more; says how often it was there.
fn read_newest(area: &Area, newest: &AtomicU64) -> usize {
    let mut seen = 0;
    loop {
        let index = newest.load(Ordering::Acquire);
        if index == u64::MAX {
            return seen;
        }
        let index = u32::try_from(index).unwrap();
        if let Some((_, bytes)) = area.map(value(index), ONE).unwrap() {
            assert!(bytes.iter().all(|byte| u32::from(*byte) == index), "these are bytes of another value");
            seen += 1;
        }
    }
}

/// How fast values of 100 MiB are written into new files and into spares, and copied within memory that is there.
#[test]
#[ignore = "it measures"]
fn fresh_against_reused() {
    const SIZE: usize = 100 << 20;
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    // An area each: a spare is for all workers of a node.
    let [fresh, warm] = [ONE, TWO].map(|worker| {
        let area = Area::create(&folder.path().join(worker.to_string()), None).unwrap();
        NodeStore::new(area, worker, 1 << 30, 0)
    });
    let output = Output { encoding: Encoding::Raw, bytes: vec![7; SIZE].into() };
    let mut memory = vec![0; SIZE];
    let mut figures = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..7 {
        let write =
            |store: &NodeStore| store.put(value(round), Stored { origin: made(round, 1), output: output.clone() });
        figures[0].push(speed(SIZE, || write(&fresh).unwrap()));
        fresh.remove(value(round));
        fresh.spares.clear();
        figures[1].push(speed(SIZE, || write(&warm).unwrap()));
        warm.remove(value(round));
        figures[2].push(speed(SIZE, || memory.copy_from_slice(&output.bytes)));
    }
    for (what, mut figures) in ["new", "reused", "copied"].into_iter().zip(figures) {
        figures.sort_by(f64::total_cmp);
        println!("{what}: {:.1} GB/s at least, {:.1} median, {:.1} at most", figures[0], figures[3], figures[6]);
    }
}

/// Gigabytes for each second this thread had a processor: others may be busy as well.
fn speed(bytes: usize, work: impl FnOnce()) -> f64 {
    let begun = nanoseconds_on_processor();
    work();
    bytes as f64 / (nanoseconds_on_processor() - begun) as f64
}

fn nanoseconds_on_processor() -> u64 {
    let state = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    state.split(' ').next().unwrap().parse().unwrap()
}

/// Writes value 1 as its client does; what a worker is asked then.
fn written(store: &NodeStore, payload: &'static [u8]) -> Orphan {
    let upload = store.area.write_upload(JobId(1), Encoding::Raw, &[Bytes::copy_from_slice(payload)]).unwrap();
    upload.seal(value(1)).unwrap().leave_to_workers();
    Orphan { value: value(1), size: payload.len() as u64, formerly: Vec::new() }
}

#[test]
fn an_adopted_value_is_held_like_any_other() {
    let (folder, one, two) = node();
    let orphan = written(&one, &[7; 60]);
    one.adopt(&orphan).unwrap();
    one.adopt(&orphan).unwrap();
    one.settle(value(1)).unwrap();
    assert_eq!((counted(&one), read(&one, 1).unwrap()), ((60, 0), Bytes::from_static(&[7; 60])));
    assert_eq!(two.share(value(1), ONE).unwrap().bytes.len(), 60);
    let error = two.adopt(&Orphan { value: value(2), ..orphan }).unwrap_err();
    assert!(matches!(error, TaskError::NotWritten), "{error}");
    one.remove(value(1));
    two.remove(value(1));
    assert_eq!((counted(&one), counted(&two), files(folder.path())), ((0, 0), (0, 0), 0));
}

#[test]
fn an_adopted_value_without_room_is_removed() {
    let (folder, one, _) = node();
    put(&one, 2, made(2, 1), &[1; 60]).unwrap();
    one.adopt(&written(&one, &[7; 60])).unwrap();
    let error = one.settle(value(1)).unwrap_err();
    assert!(matches!(error, TaskError::StoreFull { size: 60, .. }), "{error}");
    assert_eq!((counted(&one), files(folder.path())), ((60, 0), 1));
    written(&one, b"x");
    one.clear_away(JobId(1));
    assert_eq!(files(folder.path()), 1);
}

#[test]
fn room_for_an_adopted_value_is_made_on_disk() {
    let (_folder, one, _) = node_with_disk();
    put(&one, 2, made(2, 1), &[1; 60]).unwrap();
    one.adopt(&written(&one, &[7; 60])).unwrap();
    one.settle(value(1)).unwrap();
    assert_eq!((places(&one, 1..3), counted(&one)), (vec![MEMORY, DISK], (60, 60)));
    one.remove(value(1));
    one.adopt(&written(&one, &[7; 200])).unwrap();
    one.settle(value(1)).unwrap();
    assert_eq!((places(&one, 1..3), counted(&one)), (vec![DISK, DISK], (0, 260)));
    assert_eq!(read(&one, 1).unwrap().len(), 200);
}
