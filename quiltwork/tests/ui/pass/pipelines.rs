//! Forms a pipeline may have: data and other parameters, several outputs, parts of each other, and names that are keywords.
use quiltwork::data::{Dataset, FilePartition, Partitioned, Pipeline, Single, from_iter};
use std::collections::BTreeMap;

#[quiltwork::pipeline]
pub fn lengths(texts: Partitioned<FilePartition>, at_least: usize) -> Partitioned<usize> {
    texts.lines().map(|line| line.len()).filter(move |length| *length >= at_least)
}

#[quiltwork::pipeline]
fn r#match(words: Partitioned<String>, prefix: String, weights: BTreeMap<String, f64>) -> (Single<u64>, Single<f64>) {
    let words = words.filter(move |word| word.starts_with(&prefix));
    let weight = words.clone().map(move |word| weights.get(&word).copied().unwrap_or(1.0));
    (words.count(), weight.fold(0.0, |sum, weight| sum + weight, |a, b| a + b))
}

#[quiltwork::pipeline]
fn pairs(left: Partitioned<(u8, char)>, right: Partitioned<(u8, String)>) -> Partitioned<(u8, (char, Option<String>))> {
    left.left_join(right)
}

#[quiltwork::pipeline]
fn how_many(left: Partitioned<(u8, char)>, right: Partitioned<(u8, String)>) -> Single<u64> {
    pairs::call(left, right).count()
}

fn main() {
    let words: Dataset<String> = from_iter(["one".to_owned(), "two".to_owned()], 2).unwrap();
    let matching: Pipeline<(Single<u64>, Single<f64>)> = r#match(&words, "t", BTreeMap::new());
    assert_eq!(matching.run_serially().unwrap(), (1, 1.0));
    let _ = lengths(Vec::<FilePartition>::new(), 3).progress().retries(2);
    let (left, right) = (from_iter([(1, 'a'), (2, 'b')], 2).unwrap(), from_iter([(1, "x".to_owned())], 1).unwrap());
    assert_eq!(how_many(left, right).run_serially().unwrap(), 2);
}
