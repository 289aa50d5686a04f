//! What all clones of a client, its handles and its I/O thread share; it knows what is to be said, not how tasks are numbered.
use super::Client;
use super::cell::{Cell, Encoded, Next};
use super::errands::Errands;
use super::submission::Outgoing;
use super::tally::Tally;
use crate::error::{Error, FailedTask, Problem, Result};
use bytes::Bytes;
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::{Answer, End, TaskEnd};
use quiltwork_protocol::{ClientToMaster, MasterToClient, Parcel};
use quiltwork_transport::{LinkSender, PushError, WorkerPool};
use quiltwork_types::{DenseMap, JobId, TaskFailure, TaskId};
use quiltwork_worker::Area;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::thread::{JoinHandle, ThreadId};
use tokio::sync::oneshot;

/// A link to a master with the thread that serves it. Dropping the last reference says good-bye.
pub(crate) struct Session {
    shared: Arc<Shared>,
    /// Taken when it is joined.
    thread: Option<JoinHandle<()>>,
}

impl Session {
    pub(super) const fn new(shared: Arc<Shared>, thread: JoinHandle<()>) -> Self {
        Self { shared, thread: Some(thread) }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Session {
    /// Waits for the thread, which takes no longer than the transport's limit for telling a peer good-bye; on the thread
    /// itself (a waker may have held the last handle) it only asks.
    fn drop(&mut self) {
        self.shared.errands.finish();
        if let Some(thread) = self.thread.take().filter(|_| !self.shared.is_io_thread()) {
            // If it panicked, everybody who waited for it was told.
            drop(thread.join());
        }
    }
}

/// A live reference to a task: the master keeps its value until this is dropped.
pub(crate) struct Reference {
    session: Arc<Session>,
    cell: Arc<Cell>,
}

impl Reference {
    pub(super) const fn new(session: Arc<Session>, cell: Arc<Cell>) -> Self {
        Self { session, cell }
    }

    pub(crate) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Waits for the value; the first who asks makes it come here.
    pub(super) fn poll_value(&self, waker: &Waker) -> Poll<Result<Encoded>> {
        let (poll, next) = self.cell.poll_value(waker);
        self.shared().see_to(&self.cell, next);
        poll
    }

    /// Has the tally hear of the value, which comes here.
    pub(super) fn count_in(&self, tally: &Arc<Tally>) {
        let next = self.cell.count_in(tally);
        self.shared().see_to(&self.cell, next);
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        self.session.shared()
    }

    /// A client over the same link.
    pub(super) fn client(&self) -> Client {
        Client { session: Arc::clone(&self.session) }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let task = self.cell.task();
        let mut register = self.shared().register();
        register.cells.remove(task.index);
        self.shared().end_adoption(task, &mut register);
        drop(register);
        self.shared().errands.release([task]);
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.cell.name(), self.cell.task())
    }
}

/// What the callers' threads and the I/O thread share.
pub(super) struct Shared {
    pub(super) job: JobId,
    /// The largest value the cluster accepts, in bytes.
    pub(super) value_limit: u64,
    pub(super) sender: LinkSender<ClientToMaster>,
    pub(super) outgoing: Mutex<Outgoing>,
    pub(super) errands: Errands,
    /// The ways to the workers that hold values.
    pub(super) workers: WorkerPool,
    /// The values of this client's node.
    pub(super) area: Option<Area>,
    /// The I/O thread.
    thread: ThreadId,
    /// The thread of a master in this process, since it has said something.
    master_thread: OnceLock<ThreadId>,
    register: Mutex<Register>,
}

/// Who waits for news from the master.
#[derive(Default)]
pub(super) struct Register {
    cells: DenseMap<Arc<Cell>>,
    /// What was written into the area and no worker has adopted yet.
    written: HashMap<u32, Written>,
    questions: HashMap<u64, oneshot::Sender<Answer>>,
    asked: u64,
    /// Why there will be no more news.
    lost: Option<Error>,
}

/// A value that waits for a worker to adopt it.
struct Written {
    bytes: usize,
    /// Nobody here wants it any more when it is adopted.
    is_literal: bool,
}

impl Shared {
    /// To be made on the I/O thread.
    pub(super) fn new(
        job: JobId,
        value_limit: u64,
        sender: LinkSender<ClientToMaster>,
        workers: WorkerPool,
        area: Option<Area>,
    ) -> Self {
        Self {
            job,
            value_limit,
            sender,
            outgoing: Mutex::default(),
            errands: Errands::default(),
            workers,
            area,
            thread: std::thread::current().id(),
            master_thread: OnceLock::new(),
            register: Mutex::default(),
        }
    }

    /// Whether this is a thread that news come on: it must not wait for itself.
    pub(super) fn is_io_thread(&self) -> bool {
        let this = std::thread::current().id();
        self.thread == this || self.master_thread.get() == Some(&this)
    }

    /// Makes sure that news of these tasks will be heard, before the master hears of the tasks.
    pub(super) fn expect(&self, cells: &[Arc<Cell>]) -> Result<()> {
        let mut register = self.register();
        if let Some(lost) = &register.lost {
            return Err(lost.clone());
        }
        for cell in cells {
            register.cells.insert(cell.task().index, Arc::clone(cell));
        }
        Ok(())
    }

    /// Takes back what was expected.
    pub(super) fn forget(&self, cells: &[Arc<Cell>]) {
        let mut register = self.register();
        for cell in cells {
            register.cells.remove(cell.task().index);
        }
    }

    /// A value in the area is about to be announced. Until its end is heard it counts as on its way.
    pub(super) fn expect_adoption(&self, task: TaskId, bytes: usize) {
        self.errands.on_written(bytes);
        self.register().written.insert(task.index, Written { bytes, is_literal: false });
    }

    /// The tasks that take these literals have been named: the master keeps them until those have run. One that is not
    /// adopted yet is released when it is, for until then its end must be heard.
    pub(super) fn release_literals(&self, literals: impl Iterator<Item = TaskId>) {
        let mut register = self.register();
        let is_there = |task: &TaskId| match register.written.get_mut(&task.index) {
            Some(written) => {
                written.is_literal = true;
                false
            }
            None => true,
        };
        let there: Vec<_> = literals.filter(is_there).collect();
        drop(register);
        self.errands.release(there);
    }

    /// A value that was written has been adopted, or failed, or nobody wants it any more: it does not count any longer.
    fn end_adoption(&self, task: TaskId, register: &mut Register) {
        let Some(written) = register.written.remove(&task.index) else { return };
        self.errands.on_uploaded(written.bytes);
        if written.is_literal {
            self.errands.release([task]);
        }
    }

    /// Asks the master; the answer comes through what is returned.
    pub(super) fn ask(&self, about: Question) -> Result<oneshot::Receiver<Answer>> {
        let (sender, receiver) = oneshot::channel();
        let question = {
            let mut register = self.register();
            if let Some(lost) = &register.lost {
                return Err(lost.clone());
            }
            register.asked += 1;
            let question = register.asked;
            register.questions.insert(question, sender);
            question
        };
        self.say(&Parcel::bare(ClientToMaster::Ask { question, about }))?;
        Ok(receiver)
    }

    /// Says something from a caller's thread, and before it what is to be forgotten: the master wakes once for both. Waits
    /// while the master does not keep up.
    pub(super) fn say(&self, parcel: &Parcel<ClientToMaster>) -> Result<()> {
        let releases = self.errands.take_releases();
        if !releases.is_empty() {
            self.push(&Parcel::bare(ClientToMaster::Release { tasks: releases }))?;
        }
        self.push(parcel)
    }

    fn push(&self, parcel: &Parcel<ClientToMaster>) -> Result<()> {
        self.sender.push_blocking(parcel).map_err(|error| match error {
            PushError::Bad(error) => Error::Encode(Problem::new(format!("the submission cannot travel: {error}"))),
            PushError::Full | PushError::Closed => self.loss(),
        })
    }

    /// Why there is no link.
    pub(super) fn loss(&self) -> Error {
        self.register().lost.clone().unwrap_or_else(|| connection_lost("it is closed"))
    }

    /// Whether there is no link any more.
    pub(super) fn is_lost(&self) -> bool {
        self.register().lost.is_some()
    }

    /// A master in this process said something, on its own thread.
    pub(super) fn on_message_inside(&self, parcel: Parcel<MasterToClient>) {
        self.master_thread.get_or_init(|| std::thread::current().id());
        self.on_message(parcel);
    }

    /// The master said something.
    pub(super) fn on_message(&self, parcel: Parcel<MasterToClient>) {
        match parcel.message {
            MasterToClient::Ended { ends } => self.on_ended(ends, &parcel.payloads),
            MasterToClient::WorkersLost { workers } => workers.into_iter().for_each(|worker| self.workers.lose(worker)),
            MasterToClient::Progress { reports } => {
                for (task, done, total) in reports {
                    if let Some(cell) = self.cell(task) {
                        cell.on_progress(done, total);
                    }
                }
            }
            MasterToClient::Answer { question, answer } => {
                if let Some(asker) = self.register().questions.remove(&question) {
                    // Whoever asked may have stopped waiting.
                    drop(asker.send(answer));
                }
            }
        }
    }

    fn on_ended(&self, ends: Vec<TaskEnd>, payloads: &[Bytes]) {
        let mut payloads = payloads.iter();
        for TaskEnd { task, end } in ends {
            let payload = match end {
                End::Inline(_) => payloads.next(),
                _ => None,
            };
            // A literal, or a task nobody holds any more: the release and this message crossed on their way.
            let Some(cell) = self.cell_of_ended(task) else { continue };
            let next = cell.on_ended(end, payload);
            self.see_to(&cell, next);
        }
    }

    /// Has done what a change of a cell asks for.
    pub(super) fn see_to(&self, cell: &Arc<Cell>, next: Next) {
        if next == Next::Fetch {
            self.errands.fetch(Arc::clone(cell));
        }
    }

    /// There is no link any more: everybody who waits is told, and so is everybody who comes.
    pub(super) fn on_lost(&self, reason: &str) {
        let error = connection_lost(reason);
        let (cells, questions) = {
            let mut register = self.register();
            register.lost.get_or_insert_with(|| error.clone());
            register.written.clear();
            (std::mem::take(&mut register.cells), std::mem::take(&mut register.questions))
        };
        self.sender.close();
        self.errands.on_lost();
        cells.into_values().for_each(|cell| cell.fail(error.clone()));
        drop(questions);
    }

    /// A task cannot have a value here, as was found out on this side.
    pub(super) fn fail(&self, task: TaskId, failure: TaskFailure) {
        if let Some(cell) = self.cell(task) {
            let failed = FailedTask::new(task, cell.name(), failure);
            cell.fail(Error::Task(Box::new(failed)));
        }
    }

    fn cell(&self, task: TaskId) -> Option<Arc<Cell>> {
        if task.job != self.job {
            return None;
        }
        self.register().cells.get(task.index).cloned()
    }

    /// The same, of a task whose end is heard.
    fn cell_of_ended(&self, task: TaskId) -> Option<Arc<Cell>> {
        if task.job != self.job {
            return None;
        }
        let mut register = self.register();
        self.end_adoption(task, &mut register);
        register.cells.get(task.index).cloned()
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connection_lost(reason: &str) -> Error {
    Error::ConnectionLost(
        Problem::new(format!("the link to the master is lost: {reason}")).with_hint(
            "connect again and submit again what has not arrived; the cluster has dropped this client's tasks",
        ),
    )
}
