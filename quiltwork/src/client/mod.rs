//! The client: gives a cluster work and gets results back. Its methods only encode and hand over; an I/O thread of its own,
//! `quiltwork-client`, does the rest, so a client works in any async runtime and in none.
mod arrival;
pub mod blocking;
mod cell;
mod completed;
mod connection;
pub(crate) mod copies;
mod errands;
mod fetch;
mod handle;
mod outputs;
mod park;
mod session;
mod story;
mod submission;
mod tally;
mod ticket;
mod upload;

pub use completed::{AsCompleted, as_completed};
pub use handle::{Handle, HandleFuture};
pub use outputs::Outputs;
pub use story::Story;
pub use ticket::Ticket;

pub(crate) use park::block_on;
pub(crate) use session::Reference;

use crate::argument::Portable;
use crate::call::{Call, TaskCall};
use crate::error::{Error, Problem, Result};
use crate::graph::{Graph, ValueKey};
use crate::init;
use bytes::Bytes;
use cell::Cell;
use handle::Target;
use quiltwork_master::Doorway;
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::codec::CodecError;
use quiltwork_protocol::master_to_client::Answer;
use quiltwork_types::{ActorName, Encoding, WorkerInfo};
use session::Session;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use submission::Batch;

/// How many calls of [`Client::map`] travel in one message: waking the master for each would cost more than the call.
const CALLS_TOGETHER: usize = 64;

/// A link to a cluster. Clones are the same link; it ends, and the cluster drops what was not finished, when the last
/// clone and the last [`Handle`] are dropped.
///
/// Submitting encodes on the caller's thread and hands over; it waits only if the master falls far behind.
#[derive(Clone)]
pub struct Client {
    session: Arc<Session>,
}

impl Client {
    /// Connects to the cluster that made this [`Ticket`].
    ///
    /// # Errors
    /// [`Error::Connect`] if the master does not answer or has no room; [`Error::Refused`] if the ticket cannot be read
    /// or is of another cluster, or the master is of another version.
    pub async fn connect(ticket: &str) -> Result<Self> {
        init::refuse_uninitialised_child();
        let session = connection::open(&ticket.parse()?, None).await?;
        Ok(Self { session: Arc::new(session) })
    }

    /// Connects to a cluster whose master is in this process.
    pub(crate) async fn connect_inside(ticket: &Ticket, doorway: Doorway) -> Result<Self> {
        let session = connection::open(ticket, Some(doorway)).await?;
        Ok(Self { session: Arc::new(session) })
    }

    /// Like [`connect`](Self::connect), for programs without async.
    ///
    /// # Errors
    /// As for `connect`.
    pub fn connect_blocking(ticket: &str) -> Result<Self> {
        park::block_on(Self::connect(ticket))
    }

    /// Inside a task: a client of the cluster the task runs in. All tasks of a worker share one.
    ///
    /// # Errors
    /// If this process is no worker, or the master cannot be reached.
    pub fn current() -> Result<Self> {
        static CURRENT: Mutex<Option<Client>> = Mutex::new(None);
        let ticket = init::task_client_ticket().ok_or_else(|| {
            let problem = Problem::new("there is no current client: this process is not a worker of a cluster");
            Error::Invalid(problem.with_hint("outside of tasks use the client of your cluster, or `Client::connect`"))
        })?;
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(client) if !client.session.shared().is_lost() => Ok(client.clone()),
            _ => Ok(current.insert(Self::connect_blocking(ticket)?).clone()),
        }
    }

    /// Submits a graph, at once, and waits for its outputs. Only the outputs come back; all other results live as long as they are
    /// needed. A task that fails ends the run at once.
    ///
    /// # Errors
    /// If something is wrong with the graph (nothing has run then), or an output could not be made.
    pub fn run<O: Outputs>(
        &self,
        graph: Graph,
        outputs: O,
    ) -> impl Future<Output = Result<O::Results>> + Send + use<O> {
        let submitted = self.submit_targets(graph, &outputs);
        async move { outputs::results_of(outputs, submitted?).await }
    }

    /// Submits a call. It never fails by itself: what is wrong is told by the handle.
    pub fn submit<T>(&self, call: TaskCall<T>) -> Handle<T> {
        Handle::new(self.submit_one(call).unwrap_or_else(Target::failed))
    }

    /// Submits a graph and returns handles for its outputs; what is wrong is told by the handles.
    pub fn submit_graph<O: Outputs>(&self, graph: Graph, outputs: &O) -> O::Handles {
        let targets = self.submit_targets(graph, outputs).unwrap_or_else(|error| {
            let failed = Target::failed(Box::new(error));
            vec![failed; outputs::keys_of(outputs).len()]
        });
        outputs.handles(&mut targets.into_iter())
    }

    /// Submits one call for each item. If it is known how many items there are, as of a range or a list, several calls
    /// travel in one message; each is a task of its own all the same.
    pub fn map<I, T>(&self, items: impl IntoIterator<Item = I>, f: impl Fn(I) -> TaskCall<T>) -> Vec<Handle<T>> {
        let mut calls = items.into_iter().map(f);
        let together = match calls.size_hint() {
            (least, Some(most)) if least == most => CALLS_TOGETHER,
            // The next item may be long in coming, and those before it must not wait for it.
            _ => 1,
        };
        let mut handles = Vec::with_capacity(calls.size_hint().0);
        loop {
            let before = handles.len();
            handles.extend(self.submit_together(calls.by_ref().take(together)));
            if handles.len() == before {
                return handles;
            }
        }
    }

    /// Waits for all results, in the order of the handles; ends with the first failure that is heard of.
    ///
    /// # Errors
    /// If a task failed or the link was lost.
    pub fn gather<T, I>(&self, handles: I) -> impl Future<Output = Result<Vec<T>>> + Send + use<T, I>
    where
        T: Portable,
        I: IntoIterator<Item = Handle<T>>,
    {
        let targets = handles.into_iter().map(|handle| handle.target().clone()).collect();
        let here = tally::all_here(targets);
        async move { here.await?.iter().map(outputs::read).collect() }
    }

    /// Brings a value into the cluster; many tasks can take the handle as an argument.
    ///
    /// On a machine with workers a value above 64 KiB is written once, into the memory they share with this program, and
    /// read there in place; the call takes as long as that. Otherwise the value goes to the master and travels to each
    /// worker once; the call returns before it has arrived, and waits while much else is on its way. What cannot be kept
    /// is told by the handle.
    ///
    /// A value that was put cannot be computed again. It survives the end of worker processes, but not the loss of its
    /// machine, unless other nodes have copies: see [`Handle::replicate`].
    ///
    /// # Errors
    /// If the value cannot be encoded or is over the cluster's limit, or the link is lost.
    pub fn put<T: Portable>(&self, value: &T) -> Result<Handle<T>> {
        self.put_sized(value).map(|(handle, _)| handle)
    }

    /// Like [`put`](Self::put), but as plain data, which functions of every language read; see
    /// [`TaskCall::plain`](crate::TaskCall::plain).
    ///
    /// # Errors
    /// As for `put`.
    pub fn put_plain<T: Portable>(&self, value: &T) -> Result<Handle<T>> {
        self.put_encoded(value.to_plain().map(|(encoding, bytes)| (encoding, vec![bytes]))).map(|(handle, _)| handle)
    }

    /// Puts a value and says how many bytes it has.
    fn put_sized<T: Portable>(&self, value: &T) -> Result<(Handle<T>, usize)> {
        self.put_encoded(value.to_pieces())
    }

    fn put_encoded<T>(&self, encoded: Result<(Encoding, Vec<Bytes>), CodecError>) -> Result<(Handle<T>, usize)> {
        let (encoding, pieces) =
            encoded.map_err(|error| Error::Encode(Problem::new(format!("the value cannot travel: {error}"))))?;
        let size = pieces.iter().map(Bytes::len).sum();
        Ok((self.put_pieces(encoding, pieces)?, size))
    }

    /// Puts a value of which the bytes stand apart; they are joined only where they are kept.
    pub(crate) fn put_pieces<T>(&self, encoding: Encoding, pieces: Vec<Bytes>) -> Result<Handle<T>> {
        let cell = submission::put(self.session.shared(), encoding, pieces)?;
        Ok(Handle::new(self.target(cell)))
    }

    /// The workers there are.
    ///
    /// # Errors
    /// If the link is lost.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        match self.ask(Question::Workers).await? {
            Answer::Workers(workers) => Ok(workers),
            other => Err(wrong_answer(&other)),
        }
    }

    /// What happened to a task so far.
    ///
    /// # Errors
    /// If the task was never submitted, or the link is lost.
    pub async fn story<T>(&self, handle: &Handle<T>) -> Result<Story> {
        let task = handle.target().submitted()?.cell().task();
        match self.ask(Question::Story(task)).await? {
            Answer::Story(Some((state, entries))) => Ok(Story { task, state, entries }),
            Answer::Story(None) => {
                let problem = Problem::new(format!("the master knows nothing of {task}"));
                Err(Error::Graph(problem.with_hint("ask the client that submitted it")))
            }
            other => Err(wrong_answer(&other)),
        }
    }

    /// The same client for programs without async.
    #[must_use]
    pub fn blocking(&self) -> blocking::Client {
        blocking::Client::new(self.clone())
    }

    async fn ask(&self, about: Question) -> Result<Answer> {
        let shared = Arc::clone(self.session.shared());
        let answer = shared.ask(about)?;
        let mut waiting = crate::context::Waiting::default();
        let mut answer = std::pin::pin!(answer);
        let answer = std::future::poll_fn(|context| waiting.during(answer.as_mut().poll(context))).await;
        answer.map_err(|_| shared.loss())
    }

    fn submit_one<T>(&self, call: TaskCall<T>) -> Result<Target, Box<Error>> {
        let shared = self.session.shared();
        let mut batch = Batch::default();
        batch.add(call.into_call()?, shared)?;
        let mut cells = submission::submit(shared, batch, &[0])?;
        let cell = cells.pop().expect("one for each kept call");
        Ok(self.target(cell))
    }

    /// Submits calls that have nothing to do with each other: what is wrong with one concerns its handle only.
    fn submit_together<T>(&self, calls: impl Iterator<Item = TaskCall<T>>) -> Vec<Handle<T>> {
        let shared = self.session.shared();
        let mut batch = Batch::default();
        let added: Vec<_> = calls.map(|call| Ok(batch.add(call.into_call()?, shared)?)).collect();
        let kept: Vec<u32> = (0..batch.len()).collect();
        let submitted = submission::submit(shared, batch, &kept);
        let mut cells = submitted.map(Vec::into_iter);
        let targets = added.into_iter().map(|added: Result<(), Box<Error>>| {
            added?;
            match &mut cells {
                Ok(cells) => Ok(self.target(cells.next().expect("one for each call that was added"))),
                Err(error) => Err(Box::new(error.clone())),
            }
        });
        targets.map(|target| Handle::new(target.unwrap_or_else(Target::failed))).collect()
    }

    /// A reference to an actor; what is wrong is told by the handle.
    pub(crate) fn refer<T>(&self, actor: ActorName) -> Handle<T> {
        let cell = submission::refer(self.session.shared(), actor);
        cell.map_or_else(Handle::failed, |cell| Handle::new(self.target(cell)))
    }

    /// One target for each output, in their order; an output that is listed twice is one reference.
    fn submit_targets(&self, graph: Graph, outputs: &impl Outputs) -> Result<Vec<Target>> {
        let keys = outputs::keys_of(outputs);
        let calls: Vec<Call> = graph.into_calls(&keys).map_err(|fault| *fault)?;
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let (kept, places) = distinct(&keys);
        let shared = self.session.shared();
        let cells = submission::submit(shared, Batch::of_graph(calls, shared)?, &kept)?;
        let targets: Vec<_> = cells.into_iter().map(|cell| self.target(cell)).collect();
        Ok(places.into_iter().map(|place| targets[place].clone()).collect())
    }

    /// The first reference to a task that was just submitted.
    fn target(&self, cell: Arc<Cell>) -> Target {
        Target::new(Reference::new(Arc::clone(&self.session), cell))
    }
}

/// The different calls among the outputs, and for each output the place of its call among these.
fn distinct(keys: &[ValueKey]) -> (Vec<u32>, Vec<usize>) {
    let mut kept = Vec::new();
    let mut known = HashMap::new();
    let places = keys.iter().map(|key| {
        *known.entry(key.index).or_insert_with(|| {
            kept.push(key.index);
            kept.len() - 1
        })
    });
    let places = places.collect();
    (kept, places)
}

fn wrong_answer(answer: &Answer) -> Error {
    Error::ConnectionLost(Problem::new(format!("the master answered another question: {answer:?}")))
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.session.shared();
        f.debug_struct("Client").field("job", &shared.job.0).field("lost", &shared.is_lost()).finish()
    }
}
