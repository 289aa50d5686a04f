//! Copies of values on several nodes: where they are missing, and the tasks that fetch them there; who holds what is known
//! by the master alone.
use super::Client;
use super::handle::{Handle, Target};
use crate::argument::{Argument, Form, Portable};
use crate::call::TaskCall;
use crate::context::Waiting;
use crate::error::{Error, ErrorKind, FailedTask, Problem, Result};
use quiltwork_protocol::INLINE_LIMIT;
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::Answer;
use quiltwork_types::{FailureKind, NodeId, TaskFailure, TaskId, WorkerId, WorkerInfo};
use quiltwork_worker::{Arguments, Product, TaskEntry, TaskError};
use std::collections::{BTreeMap, BTreeSet};

/// How often copies are tried that were not kept, or whose worker was lost meanwhile.
const ROUNDS: usize = 3;

/// The name of the task that fetches a value, whatever it is, and so leaves a copy where it runs.
const FETCH_HERE: &str = concat!(module_path!(), "::fetch_here");

inventory::submit! {
    TaskEntry { name: FETCH_HERE, signature: "(value: any)", run: fetch_here }
}

fn fetch_here(arguments: &mut Arguments) -> Result<Product, TaskError> {
    arguments.next_with("value", |_| Ok(()))?;
    Product::of(&())
}

/// What keeps values together: a node, or a worker that shares none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Site {
    Node(NodeId),
    Worker(WorkerId),
}

/// The sites of a cluster, each with its workers; the one that holds least is first.
struct Sites(BTreeMap<Site, Vec<WorkerInfo>>);

/// Who holds a value.
struct Holders {
    master: bool,
    workers: BTreeSet<WorkerId>,
}

impl Client {
    /// Brings values into the cluster and spreads them over its nodes, one after the other in turn, so that tasks on all
    /// of them find some near. A value that is to be elsewhere is on this program's node as well. The values are put
    /// before this returns; the future ends when they are where they are to be, as far as there is room for them.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn scatter<T, I>(&self, values: I) -> impl Future<Output = Result<Vec<Handle<T>>>> + Send + use<T, I>
    where
        T: Portable,
        I: IntoIterator<Item = T>,
    {
        let handles = values.into_iter().map(|value| self.put(&value)).collect::<Result<Vec<_>>>();
        let client = self.clone();
        async move {
            let handles = handles?;
            let sites = client.sites().await?;
            let mut copies = Vec::new();
            for (handle, site) in handles.iter().zip(sites.0.keys().cycle()) {
                if Some(*site) != client.own_site() {
                    copies.push(client.fetch_to(handle.target(), sites.emptiest_of(*site)));
                }
            }
            for copy in copies {
                copy.ready().await;
            }
            Ok(handles)
        }
    }

    /// Brings a value into the cluster and a copy of it onto every node, so that the tasks that take it find it near. The
    /// value is put before this returns; the future ends when the copies are there.
    ///
    /// # Errors
    /// As for [`put`](Self::put), and if a node has no room for a copy.
    pub fn broadcast<T: Portable>(&self, value: &T) -> impl Future<Output = Result<Handle<T>>> + Send + use<T> {
        let (put, client) = (self.put_sized(value), self.clone());
        async move {
            let (handle, size) = put?;
            // A small one travels with every task that takes it.
            if size > INLINE_LIMIT {
                client.spread(handle.target(), None).await?;
            }
            Ok(handle)
        }
    }

    /// The workers that hold the value of a task. Nobody does before the task has ended; a small value, and one that was
    /// put by a program outside of the cluster's machines, is held by the master.
    ///
    /// # Errors
    /// If the task was never submitted, or the link is lost.
    pub async fn who_has<T>(&self, handle: &Handle<T>) -> Result<Vec<WorkerInfo>> {
        let task = handle.target().submitted()?.cell().task();
        let (holders, mut workers) = (self.holders(task).await?, self.workers().await?);
        workers.retain(|worker| holders.workers.contains(&worker.worker));
        Ok(workers)
    }

    /// Waits for the value and sees to it that so many sites hold it, or all of them.
    async fn spread(&self, target: &Target, wanted: Option<usize>) -> Result<()> {
        let (task, name) = {
            let cell = target.submitted()?.cell();
            (cell.task(), cell.name())
        };
        let mut kept = (0, 0);
        for _ in 0..=ROUNDS {
            ended(target).await?;
            let (holders, sites) = (self.holders(task).await?, self.sites().await?);
            // While the master lives, what it holds is not lost.
            if holders.master && wanted.is_some() {
                return Ok(());
            }
            let wanted = wanted.unwrap_or(sites.0.len());
            sites.check(wanted)?;
            let lacking: Vec<Site> = sites.without(&holders).collect();
            kept = (sites.0.len() - lacking.len(), wanted);
            let Some(missing) = wanted.checked_sub(kept.0).filter(|missing| *missing > 0) else { return Ok(()) };
            let workers = lacking.into_iter().take(missing).map(|site| sites.emptiest_of(site));
            let copies: Vec<Handle<()>> = workers.map(|worker| self.fetch_to(target, worker)).collect();
            for copy in copies {
                copy.await.or_else(forgive_lost_worker)?;
            }
        }
        let message = format!("{} of {} copies could be kept", kept.0, kept.1);
        let failure = TaskFailure::new(FailureKind::StoreFull, task, message)
            .with_hint("drop handles that are not needed any more, or give the workers more memory");
        Err(Error::Task(Box::new(FailedTask::new(task, name, failure))))
    }

    /// Has a worker fetch a value; it keeps a copy if it has room.
    fn fetch_to(&self, target: &Target, worker: WorkerId) -> Handle<()> {
        let argument = ("value", Argument(Form::Value(target.source())));
        self.submit(TaskCall::new(FETCH_HERE, [argument]).on_worker(worker))
    }

    async fn holders(&self, task: TaskId) -> Result<Holders> {
        match self.ask(Question::Holders(task)).await? {
            Answer::Holders { master, workers } => Ok(Holders { master, workers: workers.into_iter().collect() }),
            other => Err(super::wrong_answer(&other)),
        }
    }

    async fn sites(&self) -> Result<Sites> {
        let mut sites: BTreeMap<Site, Vec<WorkerInfo>> = BTreeMap::new();
        for worker in self.workers().await? {
            sites.entry(site_of(&worker)).or_default().push(worker);
        }
        sites.values_mut().for_each(|workers| workers.sort_by_key(|worker| worker.held_bytes));
        Ok(Sites(sites))
    }

    /// Where this client writes what it puts.
    fn own_site(&self) -> Option<Site> {
        self.session.shared().area.as_ref().map(|area| Site::Node(area.node()))
    }
}

impl<T: Portable> Handle<T> {
    /// Waits for the result and keeps it on workers of at least so many different nodes, so that it survives the loss of
    /// all but one of them. The future ends when the copies are there. What the master holds, as it does small results, is as
    /// safe as it can be already.
    ///
    /// The copies are as good as the original: they go when the last handle is dropped, and one that is lost with its
    /// node is not made again.
    ///
    /// # Errors
    /// If the task failed, the cluster has fewer nodes, or a node has no room for a copy.
    pub fn replicate(&self, copies: usize) -> impl Future<Output = Result<()>> + Send + use<T> {
        let target = self.target().clone();
        async move {
            let client = target.submitted()?.client();
            client.spread(&target, Some(copies)).await
        }
    }
}

impl Sites {
    /// Refuses to keep a value in more sites than there are.
    fn check(&self, wanted: usize) -> Result<()> {
        if wanted <= self.0.len() {
            return Ok(());
        }
        let message = format!("{wanted} copies on different nodes are more than the {} nodes there are", self.0.len());
        Err(Error::Invalid(Problem::new(message).with_hint("ask for fewer copies, or start workers on more nodes")))
    }

    fn without(&self, holders: &Holders) -> impl Iterator<Item = Site> {
        let is_lacking = |workers: &[WorkerInfo]| !workers.iter().any(|w| holders.workers.contains(&w.worker));
        self.0.iter().filter(move |(_, workers)| is_lacking(workers)).map(|(site, _)| *site)
    }

    fn emptiest_of(&self, site: Site) -> WorkerId {
        self.0[&site].first().expect("a site is known by its workers").worker
    }
}

fn site_of(worker: &WorkerInfo) -> Site {
    worker.node.map_or(Site::Worker(worker.worker), Site::Node)
}

/// Waits for the end of a task, and for its failure if that is known then.
async fn ended(target: &Target) -> Result<()> {
    let mut waiting = Waiting::default();
    std::future::poll_fn(|context| waiting.during(target.poll_ended(context.waker()))).await;
    target.submitted()?.cell().failure().map_or(Ok(()), Err)
}

/// A worker that is lost meanwhile is made up for by another one.
fn forgive_lost_worker(error: Error) -> Result<()> {
    match error.kind() {
        ErrorKind::Task(FailureKind::NoSuchResources) => Ok(()),
        _ => Err(error),
    }
}
