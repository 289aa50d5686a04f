#[quiltwork::main]
fn main() {}
