//! Every form of function that can be a task, and every way to call one.
#![deny(missing_docs, warnings)]
use quiltwork::prelude::*;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;

/// A result of another name, as many crates have one.
pub type Answer<T> = Result<T, io::Error>;

/// An error that is only displayed.
#[derive(Debug)]
pub struct Oops;

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("oops")
    }
}

/// No parameters, no result.
#[quiltwork::task]
pub fn nothing() {}

#[quiltwork::task]
fn plain(mut a: u64, b: Vec<f32>) -> u64 {
    a += b.len() as u64;
    a
}

#[quiltwork::task]
async fn asynchronous(text: String) -> String {
    text
}

#[quiltwork::task]
fn fails_with_io(path: String) -> io::Result<String> {
    std::fs::read_to_string(path)
}

#[quiltwork::task]
async fn fails_with_anything(number: i32) -> Result<i32, Box<dyn Error + Send + Sync>> {
    Ok(i32::try_from(i64::from(number))?)
}

#[quiltwork::task]
fn fails_with_anyhow(number: i32) -> anyhow::Result<i32> {
    anyhow::ensure!(number > 0, "too small");
    Ok(number)
}

#[quiltwork::task]
fn fails_with_text() -> Result<(), String> {
    Err("no".to_owned())
}

#[quiltwork::task]
fn fails_with_display() -> Result<(), Oops> {
    Err(Oops)
}

/// Not written as a `Result`: the whole result is the value.
#[quiltwork::task]
pub fn either(number: u32) -> Either {
    number.checked_sub(1).ok_or_else(|| "none".to_owned())
}

/// A result that travels as such.
pub type Either = std::result::Result<u32, String>;

#[quiltwork::task]
fn named_like_keywords(r#type: String, r#in: Option<Cow<'static, str>>) -> (String, bool) {
    (r#type, r#in.is_some())
}

#[quiltwork::task]
#[cfg(any())]
fn never_compiled(a: Missing) -> Missing {
    a
}

#[quiltwork::task]
#[allow(clippy::needless_pass_by_value)]
fn names_as_in_expansions(arguments: u8, output: u8, error: u8, name: u8) -> Result<u8, String> {
    arguments.checked_add(output).and_then(|sum| sum.checked_add(error)).map(|sum| sum ^ name).ok_or("full".into())
}

mod inner {
    #[quiltwork::task]
    pub(crate) fn visible(x: super::Pair) -> super::Pair {
        super::Pair(x.1, x.0)
    }
}

#[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
pub(crate) struct Pair(u8, u8);

fn calls(client: &Client) {
    let _: TaskCall<()> = nothing();
    let _: TaskCall<Either> = either(3);
    let _: TaskCall<String> = fails_with_io("path");
    let _: TaskCall<i32> = fails_with_anything(1);
    let _: TaskCall<i32> = fails_with_anyhow(2).retries(1).memory(1 << 20);
    let _: TaskCall<(String, bool)> = named_like_keywords("a", None);
    let _: TaskCall<Pair> = inner::visible(Pair(1, 2));
    let _ = (names_as_in_expansions(1, 2, 3, 4), fails_with_text(), fails_with_display());

    let mut graph = Graph::new();
    let text = graph.add(asynchronous("literal"));
    let same: Value<String> = graph.add(asynchronous(&text));
    let number: Value<u64> = graph.add(plain(1, vec![1.0, 2.0]));
    let list: Vec<Value<f32>> = Vec::new();
    let sum = graph.add(plain(number, &list));
    let _ = graph.add(plain(sum, list.as_slice()));
    let handles: Vec<Handle<i32>> = client.map(0..3, fails_with_anyhow);
    let _: Handle<i32> = client.submit(fails_with_anything(&handles[0]));
    let _ = same;
}

fn is_send_and_sync<T: Send + Sync>() {}

fn main() {
    is_send_and_sync::<(Client, Handle<Pair>, Value<std::cell::Cell<u8>>, Handle<std::cell::Cell<u8>>)>();
    let _ = calls;
    nothing::call();
    assert_eq!(plain::call(1, vec![0.5]), 2);
    assert_eq!(inner::visible::call(Pair(1, 2)), Pair(2, 1));
    assert!(fails_with_anyhow::call(-1).is_err());
    assert!(matches!(fails_with_display::call(), Err(Oops)));
    let _: Answer<String> = fails_with_io::call(String::new());
}
