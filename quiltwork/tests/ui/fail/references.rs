use std::path::Path;

#[quiltwork::task]
fn length(text: &str) -> usize {
    text.len()
}

#[quiltwork::task]
fn sum(numbers: &[f64], weights: Vec<&f64>) -> f64 {
    numbers.iter().zip(weights).map(|(n, w)| n * w).sum()
}

#[quiltwork::task]
fn open(path: &Path) -> &'static str {
    "opened"
}

fn main() {}
