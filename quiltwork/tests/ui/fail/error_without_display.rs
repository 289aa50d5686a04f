struct Silent;

#[quiltwork::task]
fn fails() -> Result<u8, Silent> {
    Err(Silent)
}

fn main() {}
