//! The attribute macros of Quiltwork: they only rewrite syntax, everything they call is in `quiltwork::__private`.

mod actor;
mod body;
mod entry;
mod pipeline;
mod plain;
mod signature;
mod task;

use proc_macro::TokenStream;
use proc_macro2::Span;
use quote::quote;

/// Makes a function a task: something a worker can run.
///
/// The function's name then does three things:
///
/// - `name(a, b)` makes a `TaskCall`, to be given to `Graph::add` or `Client::submit`. Each argument may be a value of
///   the parameter's type, or the result of another task (`Value`, `Handle`, and lists of them for a `Vec`).
/// - `name::call(a, b)` is the function as it was written.
/// - Workers find it under its path, such as `my_program::count::name`.
///
/// A function that returns a path ending in `Result` fails its task with the `Err`; its output is the type of the `Ok`.
/// The error must be `Display`; where it is a `std::error::Error`, or dereferences to one, its sources travel along.
/// An `async fn` runs on a current-thread tokio runtime on its slot's thread.
///
/// Parameters and outputs travel between processes: they must own what they hold and be serializable. Types of your own
/// need `#[derive(serde::Serialize, serde::Deserialize)]`, so your crate needs `serde` with its feature `derive`.
///
/// A task is a free function in a module, perhaps of a library that the program uses; it cannot stand in an `impl` block.
/// The macros name this crate `quiltwork`: where the dependency has another name, write
/// `extern crate that_name as quiltwork;` in the root of your crate.
///
/// ```ignore
/// #[quiltwork::task]
/// fn count_words(path: String) -> std::io::Result<usize> {
///     Ok(std::fs::read_to_string(path)?.split_whitespace().count())
/// }
/// ```
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let no_options = "#[quiltwork::task] takes no arguments\n\
        hint: options belong to the call, such as `name(a, b).retries(3)`";
    expand(arguments, no_options, "a function", item, task::expand, |item| item)
}

/// Makes a type an actor: an object that lives in a worker and is called from anywhere.
///
/// The attribute stands above an `impl` block with a function `new`, which may return a `Result` and may be `async`. The
/// block stays as it is, and the type usable like any other. Added are:
///
/// - `Counter::create(a, b)`, which makes the call of `new`, to be given to `Client::actor`: that returns an
///   `Actor<Counter>`. Its options say whether it is made again when its worker is lost, how it is found by name, and how much
///   may wait for it or run in it at a time.
/// - On an `Actor<Counter>` each method with a receiver makes a call: `counter.add(1)` is a `TaskCall` of what `add` returns.
///   Functions without a receiver, and methods in other `impl` blocks, are not called from elsewhere.
///
/// What can be a parameter or a result of a task can be one of a method. A method that returns a path ending in `Result`
/// fails its call with the `Err`; so does a panic, and the actor goes on with what it is then.
///
/// | method | runs |
/// |---|---|
/// | `fn (&mut self, …)` | alone |
/// | `fn (&self, …)` | beside other `&self` calls, up to `max_concurrency`, on threads of their own: the type must be `Send + Sync`. In a type with async methods: on the actor's thread, between them |
/// | `async fn (&self, …)` | beside others, up to `max_concurrency`: on the actor's thread, wherever the others wait. A call that is cancelled is given up where it waits |
/// | `async fn (&mut self, …)` | alone |
///
/// The object is made, called (but for what the table says) and dropped on one thread, its own, so it need not be `Send`.
///
/// ```ignore
/// struct Counter(u64);
///
/// #[quiltwork::actor]
/// impl Counter {
///     fn new(start: u64) -> Self {
///         Self(start)
///     }
///
///     fn add(&mut self, by: u64) -> u64 {
///         self.0 += by;
///         self.0
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn actor(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let no_options = "#[quiltwork::actor] takes no arguments\n\
        hint: options belong to the creation, such as `Counter::create(5).max_restarts(2)`";
    expand(arguments, no_options, "an `impl` block", item, actor::expand, |item| item)
}

/// Makes a function a pipeline: it describes steps over partitioned data, which run on a cluster.
///
/// The function takes `Partitioned` data sets and whatever can travel, calls their methods, and returns `Partitioned`,
/// `Single` or a tuple of these. Its name then does three things:
///
/// - `name(data, limit)` makes a `Pipeline`, to be run; a `Dataset` stands for a `Partitioned`.
/// - `name::call(data, limit)` is the function as it was written, to be used within another pipeline.
/// - Workers find it under its path.
///
/// **The function runs in every process.** It describes the same steps again where a task runs: so its closures, which
/// cannot travel, are there already. Therefore what it describes may depend on nothing but its parameters: no files, no
/// clock, no random numbers outside of the closures. It should be quick; a step that describes otherwise is refused.
///
/// ```ignore
/// #[quiltwork::pipeline]
/// fn long_words(lines: Partitioned<String>, least: usize) -> Partitioned<(String, u64)> {
///     lines
///         .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
///         .filter(move |word| word.len() >= least)
///         .map(|word| (word, 1))
///         .reduce_by_key(|a, b| a + b)
/// }
/// ```
#[proc_macro_attribute]
pub fn pipeline(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let no_options = "#[quiltwork::pipeline] takes no arguments\n\
        hint: options belong to the run, such as `name(data).progress().run(&client)`";
    expand(arguments, no_options, "a function", item, pipeline::expand, |item| item)
}

/// Makes `main` the entry of a program that can be its own workers.
///
/// Calls `quiltwork::init()` before anything else, and runs an `async fn main` on a current-thread tokio runtime with
/// time and I/O. For another runtime put its attribute below this one: `#[quiltwork::main] #[tokio::main] async fn
/// main()`. An `Err` from `main` is printed on standard error with its hint, and the process exits with status 1.
///
/// ```ignore
/// #[quiltwork::main]
/// async fn main() -> quiltwork::Result<()> {
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let no_options = "#[quiltwork::main] takes no arguments\n\
        hint: for another runtime put its attribute below, such as `#[tokio::main]`";
    expand(arguments, no_options, "a function", item, entry::expand, entry::beside_mistake)
}

/// Runs one macro; a mistake becomes a compile error beside the item, so that nothing else seems wrong.
fn expand<T: syn::parse::Parse>(
    arguments: TokenStream,
    no_options: &str,
    belongs_on: &str,
    item: TokenStream,
    rewrite: fn(T) -> syn::Result<proc_macro2::TokenStream>,
    beside_mistake: fn(proc_macro2::TokenStream) -> proc_macro2::TokenStream,
) -> TokenStream {
    let untouched = proc_macro2::TokenStream::from(item.clone());
    let rewritten = if arguments.is_empty() {
        syn::parse::<T>(item)
            .map_err(|error| syn::Error::new(error.span(), format!("this attribute belongs on {belongs_on}: {error}")))
            .and_then(rewrite)
    } else {
        Err(syn::Error::new(Span::call_site(), no_options))
    };
    rewritten
        .unwrap_or_else(|error| {
            let errors = error.into_compile_error();
            let beside = beside_mistake(untouched);
            quote! { #errors #beside }
        })
        .into()
}
