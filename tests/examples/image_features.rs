//! `image_features` prints what its head promises, leaves one CSV file, and is not stopped by files that are no pictures.
use crate::programs::{promised, run};
use std::fs;

#[test]
fn pictures_are_measured_and_what_is_none_is_told() {
    let folder = tempfile::tempdir().expect("a folder for the rows");
    for workers in ["1", "3"] {
        let path = folder.path().join(workers);
        let run = run("image_features", &["--workers", workers, "--output", path.to_str().expect("UTF-8")]);
        assert!(run.success, "{}", run.stderr);
        assert_eq!(run.stdout, promised(include_str!("../../examples/image_features.rs")), "{workers} workers");
        let files: Vec<_> = fs::read_dir(&path).expect("a folder").map(|file| file.expect("a file").path()).collect();
        let rows = fs::read_to_string(&files[0]).expect("rows");
        assert_eq!((files.len(), rows.lines().count()), (1, 25), "{rows}");
        assert!(rows.starts_with("file,width,height,red_mean,"), "{rows}");
        let (disc, checks) = (rows.find("disc-02.png,160,120,"), rows.find("checks-00.png,160,120,127.5,127.5,"));
        assert!(checks < disc && checks.is_some(), "{rows}");
    }
}

#[test]
fn a_folder_without_pictures_is_refused_and_one_with_broken_ones_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    fs::write(folder.path().join("notes.txt"), "no picture").expect("a file");
    let empty = run("image_features", &[path]);
    assert!(!empty.success && empty.stderr.contains(path) && empty.stderr.contains("hint: "), "{}", empty.stderr);
    fs::write(folder.path().join("notes.png"), "no picture").expect("a file");
    let broken = run("image_features", &[path]);
    assert!(broken.success, "{}", broken.stderr);
    assert!(broken.stdout.starts_with("0 pictures with 0.00 megapixels, 1 file that is none\nnot read: notes.png: "));
}
