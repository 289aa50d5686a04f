struct NoConstructor;

#[quiltwork::actor]
impl NoConstructor {
    fn get(&self) -> u64 {
        0
    }
}

struct Consumed;

#[quiltwork::actor]
impl Consumed {
    fn new() -> Self {
        Self
    }

    fn take(self) -> u64 {
        0
    }

    fn boxed(self: Box<Self>) {}
}

struct Generic<T>(T);

#[quiltwork::actor]
impl<T> Generic<T> {
    fn new(value: T) -> Self {
        Self(value)
    }
}

struct Borrowing;

#[quiltwork::actor]
impl Borrowing {
    fn new(_name: &str) -> Self {
        Self
    }

    fn name(&self) -> &str {
        ""
    }

    fn each<T>(&self, _items: Vec<T>) {}
}

struct FromTrait;

#[quiltwork::actor]
impl Default for FromTrait {
    fn default() -> Self {
        Self
    }
}

struct WithSelf;

#[quiltwork::actor]
impl WithSelf {
    fn new(&self) -> Self {
        Self
    }
}

#[quiltwork::actor(restarts = 3)]
impl WithSelf {}

#[quiltwork::actor]
fn not_an_impl() {}

fn main() {}
