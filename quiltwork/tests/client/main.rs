//! What a client says to its master and what it makes of the answers, against a master that decides nothing.
mod fake_master;
mod fetching;
mod handles;
mod submitting;
mod writing;

#[quiltwork::task]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[quiltwork::task]
fn total(parts: Vec<u64>) -> u64 {
    parts.iter().sum()
}

#[quiltwork::task]
fn zeros(size: usize) -> quiltwork::Blob {
    vec![0; size].into()
}

#[quiltwork::task]
fn length(text: String) -> u64 {
    text.len() as u64
}
