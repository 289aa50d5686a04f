//! Records from files and into files: every record once, however files are cut; a partition appears whole or not at all.
use proptest::prelude::*;
use quiltwork::data::{DataError, FilePartition, FixedRecord, Partitioned, Single, files, from_iter};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Visit {
    host: String,
    status: u16,
    note: Option<String>,
}

#[quiltwork::pipeline]
fn lines(texts: Partitioned<FilePartition>) -> Partitioned<String> {
    texts.lines()
}

#[quiltwork::pipeline]
fn from_json(texts: Partitioned<FilePartition>) -> Partitioned<Visit> {
    texts.json_lines()
}

#[quiltwork::pipeline]
fn from_csv(texts: Partitioned<FilePartition>) -> Partitioned<Visit> {
    texts.csv()
}

#[quiltwork::pipeline]
fn first_lines(texts: Partitioned<FilePartition>, count: usize) -> Partitioned<String> {
    texts.lines().take(count)
}

#[quiltwork::pipeline]
fn written(visits: Partitioned<Visit>, folder: PathBuf) -> [Single<Vec<PathBuf>>; 3] {
    let text = visits.clone().map(|visit| format!("{}\t{}", visit.host, visit.status));
    [
        text.write_text(folder.join("text")),
        visits.clone().write_json_lines(folder.join("json")),
        visits.write_csv(folder.join("csv")),
    ]
}

#[quiltwork::pipeline]
fn fails_half_way(numbers: Partitioned<u64>, folder: PathBuf) -> Single<Vec<PathBuf>> {
    numbers.try_map(|n| if n == 1500 { Err("bad luck") } else { Ok(n) }).write_text(folder)
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let note = proptest::option::of("[a-z,\"é ]{1,8}");
    let visit = ("[a-z]{1,6}", any::<u16>(), note);
    proptest::collection::vec(visit.prop_map(|(host, status, note)| Visit { host, status, note }), 0..60)
}

fn listed(folder: &Path, partitions: usize) -> Vec<FilePartition> {
    files(folder).list().unwrap().partitions(partitions)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_again_however_it_is_cut(
        visits in visits(), partitions in 1..6_u32, cuts in 1..20_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let [text, json, csv] = written(from_iter(visits.clone(), partitions).unwrap(), folder.path().to_owned())
            .run_serially()
            .unwrap();
        for parts in [&text, &json, &csv] {
            prop_assert_eq!(parts.len(), partitions as usize);
            prop_assert!(parts.is_sorted() && parts.iter().all(|part| part.is_file()));
        }
        let expected: Vec<String> = visits.iter().map(|visit| format!("{}\t{}", visit.host, visit.status)).collect();
        prop_assert_eq!(lines(listed(&folder.path().join("text"), cuts)).run_serially().unwrap(), expected);
        prop_assert_eq!(from_json(listed(&folder.path().join("json"), cuts)).run_serially().unwrap(), visits.clone());
        prop_assert_eq!(from_csv(listed(&folder.path().join("csv"), cuts)).run_serially().unwrap(), visits);
    }
}

#[test]
fn fields_of_whole_csv_files_may_hold_line_ends() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "host,status,note\na,1,\"two\nlines\"\n\nb,2,\n").unwrap();
    fs::write(folder.path().join("b.csv"), "note,host,status\nturned,c,3\n").unwrap();
    let found = from_csv(files(folder.path()).whole().list().unwrap().partitions(2)).run_serially().unwrap();
    let visit =
        |host: &str, status, note: Option<&str>| Visit { host: host.to_owned(), status, note: note.map(str::to_owned) };
    assert_eq!(found, [visit("a", 1, Some("two\nlines")), visit("b", 2, None), visit("c", 3, Some("turned"))]);
}

#[test]
fn blank_lines_at_cuts_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..40).map(|n| format!("h{n},{n},{}", "\n".repeat(n % 5))).collect();
    fs::write(folder.path().join("a.csv"), format!("host,status,note\n{}\n", rows.join("\n"))).unwrap();
    for cuts in [1, 2, 7, 50, 200] {
        let found = from_csv(listed(folder.path(), cuts)).run_serially().unwrap();
        assert!(found.iter().map(|visit| visit.status).eq(0..40), "in {cuts} partitions: {found:?}");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bad.txt"), "{\"host\":\"a\",\"status\":1,\"note\":null}\n\n{\"host\":7}\n").unwrap();
    let errors = [
        from_json(listed(folder.path(), 1)).run_serially().unwrap_err(),
        from_csv(listed(folder.path(), 1)).run_serially().unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, DataError::Record { .. }), "{error}");
        assert!(error.to_string().contains("bad.txt"), "{error}");
    }
}

#[test]
fn no_files_are_no_records() {
    assert!(lines(Vec::new()).run_serially().unwrap().is_empty());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.txt"), "one\ntwo\nthree").unwrap();
    assert_eq!(first_lines(listed(folder.path(), 2), 2).run_serially().unwrap(), ["one", "two"]);
}

#[test]
fn a_partition_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = from_iter(0..4000, 2).unwrap();
    let error = fails_half_way(numbers, folder.path().to_owned()).run_serially().unwrap_err();
    assert!(error.to_string().contains("bad luck"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn parts_of_another_data_set_are_refused_and_torn_ones_removed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |count| fails_half_way(from_iter(0..10, count).unwrap(), folder.path().to_owned()).run_serially();
    fs::write(folder.path().join(".partial-part-x"), "half a li").unwrap();
    assert_eq!(write(3).unwrap().len(), 3);
    assert!(!folder.path().join(".partial-part-x").exists());
    assert_eq!(write(3).unwrap().len(), 3, "written again, they replace themselves");
    let error = write(2).unwrap_err();
    assert!(matches!(&error, DataError::Leftover { path } if path.ends_with("part-00002.txt")), "{error}");
}

#[quiltwork::pipeline]
fn records_of_seven(files: Partitioned<FilePartition>) -> Partitioned<FixedRecord<7>> {
    files.fixed_records()
}

#[quiltwork::pipeline]
fn sevens_written(files: Partitioned<FilePartition>, folder: PathBuf) -> Single<Vec<PathBuf>> {
    files.fixed_records::<7>().write_fixed_records(folder)
}

#[test]
fn fixed_records_are_read_once_and_whole_however_a_file_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let record = |n: u32| FixedRecord([&n.to_le_bytes()[..], b"abc"].concat().try_into().unwrap());
    // The second file is more than one chunk.
    let expected: Vec<FixedRecord<7>> = (0..20_100).map(record).collect();
    let bytes: Vec<u8> = expected.iter().flat_map(|record| record.0).collect();
    fs::write(folder.path().join("a.bin"), &bytes[..700]).unwrap();
    fs::write(folder.path().join("b.bin"), &bytes[700..]).unwrap();
    for count in [1, 2, 5, 33, 1000] {
        let files = || files(folder.path()).list().unwrap().partitions(count);
        assert!(records_of_seven(files()).run_serially().unwrap() == expected, "in {count} partitions");
        let out = tempfile::tempdir().unwrap();
        let parts = sevens_written(files(), out.path().to_owned()).run_serially().unwrap();
        let written: Vec<u8> = parts.iter().flat_map(|part| fs::read(part).unwrap()).collect();
        assert!(written == bytes, "in {count} parts");
    }
}

#[test]
fn a_file_that_is_no_row_of_records_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("torn.bin"), [1; 7 * 9 + 3]).unwrap();
    for count in [1, 4] {
        let error =
            records_of_seven(files(folder.path()).list().unwrap().partitions(count)).run_serially().unwrap_err();
        assert!(matches!(error, DataError::Record { .. }), "{error}");
        assert!(error.to_string().contains("torn.bin") && error.to_string().contains("last 3 bytes"), "{error}");
    }
}
