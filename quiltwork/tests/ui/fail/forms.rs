struct Counter(u64);

impl Counter {
    #[quiltwork::task]
    fn count(&self, by: u64) -> u64 {
        self.0 + by
    }
}

#[quiltwork::task]
fn pattern((a, b): (u8, u8)) -> u8 {
    a + b
}

#[quiltwork::task]
fn nameless(_: u8) {}

#[quiltwork::task]
fn hidden(items: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    items
}

#[quiltwork::task]
unsafe fn dangerous() {}

#[quiltwork::task]
const fn constant() -> u8 {
    0
}

#[quiltwork::task]
extern "C" fn foreign() {}

#[quiltwork::task(retries = 3)]
fn with_options() {}

#[quiltwork::task]
struct NotAFunction;

#[quiltwork::main]
fn not_main() {}

fn main() {}
