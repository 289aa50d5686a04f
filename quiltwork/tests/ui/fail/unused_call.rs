#![deny(unused_must_use)]

#[quiltwork::task]
fn one() -> u8 {
    1
}

fn main() {
    one();
}
