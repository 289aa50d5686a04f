//! What a pipeline is before it runs: fused stages, nothing that nobody needs, the same in every process or refused.
use quiltwork::data::{DataError, Partitioned, Single, from_iter};
use std::sync::atomic::{AtomicBool, Ordering};

#[quiltwork::pipeline]
fn words(lines: Partitioned<String>) -> Partitioned<(String, u64)> {
    let unused = lines.clone().count();
    drop(unused);
    let words = lines.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty()).map(|word| (word, 1)).reduce_by_key(|a, b| a + b).filter(|(_, n)| *n > 1)
}

#[quiltwork::pipeline]
fn unchanged(numbers: Partitioned<u64>) -> Partitioned<u64> {
    numbers.persist().persist()
}

#[quiltwork::pipeline]
fn total(numbers: Partitioned<u64>) -> Single<u64> {
    words_of_numbers::call(numbers).count()
}

#[quiltwork::pipeline]
fn words_of_numbers(numbers: Partitioned<u64>) -> Partitioned<String> {
    numbers.map(|n| n.to_string()).distinct()
}

/// Describes something else every time.
#[quiltwork::pipeline]
fn fickle(numbers: Partitioned<u64>) -> Partitioned<u64> {
    static ODD: AtomicBool = AtomicBool::new(false);
    if ODD.fetch_xor(true, Ordering::Relaxed) { numbers.filter(|n| n % 2 == 0) } else { numbers.map(|n| n) }
}

#[test]
fn steps_are_fused_and_what_nobody_needs_is_left_out() {
    let lines = from_iter(["a b a".to_owned(), "b  c".to_owned()], 2).unwrap();
    let pipeline = words(&lines);
    assert_eq!(
        pipeline.to_string(),
        "0: given\n\
         2: read → flat_map → filter → map → reduce_by_key from 0\n\
         3: reduce_by_key → filter → keep from its parts of 2\n"
    );
    let mut counts = pipeline.run_serially().unwrap();
    counts.sort();
    assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 2)]);
}

#[test]
fn what_is_there_already_is_not_made_again() {
    let pipeline = unchanged(from_iter(0..10, 3).unwrap());
    assert_eq!(pipeline.to_string(), "0: given\n");
    assert_eq!(pipeline.run_serially().unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_pipeline_can_be_a_part_of_another() {
    assert_eq!(total(from_iter([3, 1, 3, 2, 1], 2).unwrap()).run_serially().unwrap(), 3);
}

#[test]
fn a_pipeline_that_describes_something_else_where_it_runs_is_refused() {
    let error = fickle(from_iter(0..10, 2).unwrap()).run_serially().unwrap_err();
    assert!(matches!(error, DataError::Pipeline { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("plans::fickle` describes other steps") && text.contains("hint: "), "{text}");
}

#[test]
fn a_run_can_be_awaited_on_any_thread() {
    fn is_send<F: Send>(_: F) {}
    let run = async |client: quiltwork::Client| unchanged(from_iter(0..10, 3).unwrap()).run(&client).await;
    let _ = |client| is_send(run(client));
}
