#[quiltwork::task]
fn identity<T>(value: T) -> T
where
    T: Clone,
{
    value
}

fn main() {}
