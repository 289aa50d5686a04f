//! The client for programs without async: the same names, and every wait blocks the calling thread.
use super::handle::Handle;
use super::outputs::Outputs;
use super::park::block_on;
use super::story::Story;
use crate::argument::Portable;
use crate::call::TaskCall;
use crate::error::Result;
use crate::graph::Graph;
use quiltwork_types::WorkerInfo;

/// The blocking twin of [`Client`](crate::Client). Its handles are the same: wait for them with [`Handle::wait`].
#[derive(Clone, Debug)]
pub struct Client {
    client: super::Client,
}

impl Client {
    pub(super) const fn new(client: super::Client) -> Self {
        Self { client }
    }

    /// See [`Client::connect`](crate::Client::connect).
    ///
    /// # Errors
    /// As there.
    pub fn connect(ticket: &str) -> Result<Self> {
        super::Client::connect_blocking(ticket).map(Self::new)
    }

    /// See [`Client::current`](crate::Client::current).
    ///
    /// # Errors
    /// As there.
    pub fn current() -> Result<Self> {
        super::Client::current().map(Self::new)
    }

    /// See [`Client::run`](crate::Client::run).
    ///
    /// # Errors
    /// As there.
    pub fn run<O: Outputs>(&self, graph: Graph, outputs: O) -> Result<O::Results> {
        block_on(self.client.run(graph, outputs))
    }

    /// See [`Client::submit`](crate::Client::submit).
    pub fn submit<T>(&self, call: TaskCall<T>) -> Handle<T> {
        self.client.submit(call)
    }

    /// See [`Client::submit_graph`](crate::Client::submit_graph).
    pub fn submit_graph<O: Outputs>(&self, graph: Graph, outputs: &O) -> O::Handles {
        self.client.submit_graph(graph, outputs)
    }

    /// See [`Client::map`](crate::Client::map).
    pub fn map<I, T>(&self, items: impl IntoIterator<Item = I>, f: impl Fn(I) -> TaskCall<T>) -> Vec<Handle<T>> {
        self.client.map(items, f)
    }

    /// See [`Client::gather`](crate::Client::gather).
    ///
    /// # Errors
    /// As there.
    pub fn gather<T: Portable>(&self, handles: impl IntoIterator<Item = Handle<T>>) -> Result<Vec<T>> {
        block_on(self.client.gather(handles))
    }

    /// See [`Client::put`](crate::Client::put).
    ///
    /// # Errors
    /// As there.
    pub fn put<T: Portable>(&self, value: &T) -> Result<Handle<T>> {
        self.client.put(value)
    }

    /// See [`Client::scatter`](crate::Client::scatter).
    ///
    /// # Errors
    /// As there.
    pub fn scatter<T: Portable>(&self, values: impl IntoIterator<Item = T>) -> Result<Vec<Handle<T>>> {
        block_on(self.client.scatter(values))
    }

    /// See [`Client::broadcast`](crate::Client::broadcast).
    ///
    /// # Errors
    /// As there.
    pub fn broadcast<T: Portable>(&self, value: &T) -> Result<Handle<T>> {
        block_on(self.client.broadcast(value))
    }

    /// See [`Handle::replicate`].
    ///
    /// # Errors
    /// As there.
    pub fn replicate<T: Portable>(&self, handle: &Handle<T>, copies: usize) -> Result<()> {
        block_on(handle.replicate(copies))
    }

    /// See [`Client::who_has`](crate::Client::who_has).
    ///
    /// # Errors
    /// As there.
    pub fn who_has<T>(&self, handle: &Handle<T>) -> Result<Vec<WorkerInfo>> {
        block_on(self.client.who_has(handle))
    }

    /// See [`Client::workers`](crate::Client::workers).
    ///
    /// # Errors
    /// As there.
    pub fn workers(&self) -> Result<Vec<WorkerInfo>> {
        block_on(self.client.workers())
    }

    /// See [`Client::story`](crate::Client::story).
    ///
    /// # Errors
    /// As there.
    pub fn story<T>(&self, handle: &Handle<T>) -> Result<Story> {
        block_on(self.client.story(handle))
    }
}

/// Hands out handles in the order in which their tasks end; see [`as_completed`](crate::as_completed()).
pub fn as_completed<T>(handles: impl IntoIterator<Item = Handle<T>>) -> impl Iterator<Item = (usize, Handle<T>)> {
    let mut completed = super::as_completed(handles);
    std::iter::from_fn(move || block_on(completed.next()))
}
