use quiltwork::data::{Partitioned, Single, from_iter};

#[quiltwork::pipeline]
fn total(numbers: Partitioned<u64>) -> Single<u64> {
    numbers.fold(0, |sum, n| sum + n, |a, b| a + b)
}

#[quiltwork::pipeline]
async fn waits(numbers: Partitioned<u64>) -> Single<u64> {
    numbers.count()
}

#[quiltwork::pipeline]
fn makes_nothing(numbers: Partitioned<u64>) {}

#[quiltwork::pipeline]
fn generic<T>(numbers: Partitioned<T>) -> Single<u64> {
    numbers.count()
}

#[quiltwork::pipeline]
fn makes_a_number(numbers: Partitioned<u64>) -> u64 {
    7
}

#[quiltwork::pipeline]
fn wrong_step(numbers: Partitioned<u64>) -> Partitioned<u64> {
    numbers.group_by_key()
}

fn main() {
    let texts = from_iter(["one".to_owned()], 1).unwrap();
    total(texts);
    total(vec![1_u64]);
}
