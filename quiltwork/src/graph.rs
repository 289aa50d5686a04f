//! A graph of calls, built before anything runs; numbers for the cluster are given by the client that submits it.
use crate::argument::Source;
use crate::call::{Call, TaskCall};
use crate::error::{Error, Problem};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls that use each other's results, submitted as a whole with [`Client::run`](crate::Client::run).
///
/// An edge of the wrong type does not compile, and a call can only use results of calls added before it, so a graph
/// has no cycles.
///
/// ```
/// use quiltwork::Graph;
///
/// #[quiltwork::task]
/// fn square(x: f64) -> f64 {
///     x * x
/// }
/// #[quiltwork::task]
/// fn sum(xs: Vec<f64>) -> f64 {
///     xs.iter().sum()
/// }
///
/// let mut graph = Graph::new();
/// let squares: Vec<_> = (1..=3).map(|x| graph.add(square(f64::from(x)))).collect();
/// let total = graph.add(sum(squares).named("total"));
/// assert_eq!(graph.len(), 4);
/// # let _ = total;
/// ```
pub struct Graph {
    id: u64,
    calls: Vec<Call>,
    /// The first thing that is wrong with it; told when it is submitted.
    fault: Option<Box<Error>>,
}

/// The result of a call in a graph, by name only: it is there when the graph has run.
pub struct Value<T> {
    key: ValueKey,
    makes: PhantomData<fn() -> T>,
}

/// Which call of which graph.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueKey {
    graph: u64,
    pub(crate) index: u32,
}

impl Graph {
    /// A graph without calls.
    #[must_use]
    pub fn new() -> Self {
        static GRAPHS: AtomicU64 = AtomicU64::new(0);
        Self { id: GRAPHS.fetch_add(1, Ordering::Relaxed), calls: Vec::new(), fault: None }
    }

    /// Adds a call; what it returns is its result's name, to be used as an argument of other calls or as an output.
    ///
    /// # Panics
    /// If the graph has 2³² calls already.
    pub fn add<T>(&mut self, call: TaskCall<T>) -> Value<T> {
        let index = u32::try_from(self.calls.len()).expect("a graph of 2³² calls does not fit into memory");
        match call.into_call() {
            Ok(call) => {
                if let Some(fault) = self.foreign_argument(&call) {
                    self.fault.get_or_insert(fault);
                }
                self.calls.push(call);
            }
            Err(fault) => {
                self.fault.get_or_insert(fault);
            }
        }
        Value { key: ValueKey { graph: self.id, index }, makes: PhantomData }
    }

    /// How many calls there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there are no calls.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The calls in the order in which they were added, unless something is wrong with the graph or its outputs.
    pub(crate) fn into_calls(self, outputs: &[ValueKey]) -> Result<Vec<Call>, Box<Error>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if outputs.iter().any(|output| output.graph != self.id) {
            return Err(foreign("an output of this run"));
        }
        Ok(self.calls)
    }

    fn foreign_argument(&self, call: &Call) -> Option<Box<Error>> {
        let is_foreign = |source: &Source| matches!(source, Source::Value(key) if key.graph != self.id);
        if call.actor.as_ref().is_some_and(is_foreign) {
            return Some(foreign(&format!("the actor of call `{}`", call.name())));
        }
        let argument = call.arguments.iter().find(|argument| argument.form.sources().iter().any(is_foreign))?;
        Some(foreign(&format!("argument `{}` of task `{}`", argument.parameter, call.name())))
    }
}

fn foreign(what: &str) -> Box<Error> {
    let hint = "add both calls to one graph, or run the other graph first and use its handle";
    Box::new(Error::Graph(Problem::new(format!("{what} is a value of another graph")).with_hint(hint)))
}

impl<T> Value<T> {
    pub(crate) const fn key(self) -> ValueKey {
        self.key
    }

    pub(crate) const fn source(&self) -> Source {
        Source::Value(self.key)
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("calls", &self.calls.len()).finish_non_exhaustive()
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Value<T> {}

impl<T> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} of graph {})", self.key.index, self.key.graph)
    }
}
