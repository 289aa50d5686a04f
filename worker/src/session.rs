//! The session: the worker's life between joining a master and leaving it. It carries messages; the desk decides.
use crate::area::Area;
use crate::config::WorkerConfig;
use crate::deadlines;
use crate::desk::{Desk, Order};
use crate::error::WorkerError;
use crate::executor::{Executor, Workshop};
use crate::inputs::{Absent, Inputs};
use crate::memory::MemoryWatch;
use crate::peers::Peers;
use crate::reader::Way;
use crate::registry::registry_hash;
use crate::serving::Serving;
use crate::store::{MemoryStore, NodeStore, ValueStore};
use crate::wheel::Wheel;
use bytes::Bytes;
use quiltwork_protocol::master_to_worker::{Assignment, Orphan};
use quiltwork_protocol::{
    BUILD, Hello, MasterToWorker, Parcel, Purpose, Repertoire, VersionRange, Welcome, WorkerToMaster, You,
};
use quiltwork_transport::{Connection, Endpoint, Link, LinkReceiver, LinkSender, Role, join};
use quiltwork_types::{AttemptId, FunctionId, Resources, WorkerId};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

/// How long running tasks are waited for when the session ends. They cannot be stopped; the end of the process ends
/// them.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long the link may take to say why it takes no more.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// How long the last reports may take to be handed over when the master wants the worker to end.
const LAST_REPORTS: Duration = Duration::from_millis(250);
/// How long the master may take to hear why a worker ends that has used up its memory, and goes on to use more.
const LAST_HEARING: Duration = Duration::from_secs(1);

/// Joins the master and works until it says `Shutdown` or is lost.
pub(crate) async fn run(
    config: WorkerConfig,
    executor: Box<dyn Executor>,
    repertoire: Repertoire,
    wheel: Arc<Wheel>,
) -> Result<(), WorkerError> {
    let capacity = config.capacity()?;
    let area = config.store.as_ref().map(|share| Area::open(&share.folder)).transpose()?;
    let endpoint = Endpoint::bind(config.listen, &config.identity)?;
    let outcome = match join_master(&config, &endpoint, &capacity, area.as_ref(), repertoire).await {
        Ok(joined) => {
            let store = open_store(area, joined.worker, &config, &capacity);
            joined.work(&endpoint, executor, &config, &capacity, store, &wheel).await
        }
        Err(error) => Err(error),
    };
    // The master is told what this process knows; others only learn that it is gone.
    let reason = outcome.as_ref().err().map_or_else(|| "the worker ends".to_owned(), ToString::to_string);
    endpoint.close(&reason).await;
    outcome
}

/// A worker the master has let in.
struct Joined {
    worker: WorkerId,
    welcome: Welcome,
    master: Connection,
    link: Link<WorkerToMaster, MasterToWorker>,
}

/// Where this worker keeps its values.
fn open_store(
    area: Option<Area>,
    worker: WorkerId,
    config: &WorkerConfig,
    capacity: &Resources,
) -> Arc<dyn ValueStore> {
    match (area, &config.store) {
        (Some(area), Some(share)) => Arc::new(NodeStore::new(area, worker, share.limit, share.spill_limit)),
        _ => Arc::new(MemoryStore::new(capacity.memory)),
    }
}

async fn join_master(
    config: &WorkerConfig,
    endpoint: &Endpoint,
    capacity: &Resources,
    area: Option<&Area>,
    repertoire: Repertoire,
) -> Result<Joined, WorkerError> {
    let master = endpoint.connect(config.master, Role::Master).await?;
    let purpose = Purpose::Worker {
        pid: std::process::id(),
        capacity: capacity.clone(),
        address: endpoint.local_address(),
        node: area.map(Area::node),
        repertoire,
    };
    let registry = registry_hash();
    let hello = Hello { versions: VersionRange::OURS, build: BUILD.to_owned(), registry, purpose };
    let (welcome, link) = join(master.clone(), hello).await?;
    let You::Worker(worker) = welcome.you else {
        return Err(WorkerError::Protocol(format!("it welcomed a worker as {:?}", welcome.you)));
    };
    if welcome.registry != 0 && registry != 0 && welcome.registry != registry {
        tracing::warn!(%worker, "this worker has other tasks than the client; hint: rebuild and restart both");
    }
    tracing::info!(%worker, master = %config.master, "joined");
    Ok(Joined { worker, welcome, master, link })
}

impl Joined {
    async fn work(
        self,
        endpoint: &Endpoint,
        executor: Box<dyn Executor>,
        config: &WorkerConfig,
        capacity: &Resources,
        store: Arc<dyn ValueStore>,
        wheel: &Arc<Wheel>,
    ) -> Result<(), WorkerError> {
        let Self { worker, welcome, master, link: Link { sender, mut receiver } } = self;
        let workshop = Workshop { executor, store: Arc::clone(&store), value_limit: welcome.value_limit };
        let desk = Desk::open(worker, welcome.epoch, capacity.slots, workshop, Arc::clone(wheel))?;
        let peers = Peers::new(worker, master.clone(), endpoint.clone(), &store, &desk, welcome.value_limit);
        let peers = Arc::new(peers);
        let (runtime, wheel_of_way) = (Handle::current(), Arc::clone(wheel));
        let way = Way { store: Arc::clone(&store), peers: Arc::clone(&peers), runtime, wheel: wheel_of_way };
        let serving = Arc::new(Serving::new(Arc::clone(&store), Arc::clone(&peers)));
        let memory = MemoryWatch::new(capacity.memory, config.own_memory, &desk, &store);
        let mut session = Session {
            worker,
            functions: HashMap::new(),
            desk: Arc::clone(&desk),
            store,
            peers: Arc::clone(&peers),
            way: Arc::new(way),
            serving: Arc::clone(&serving),
            fetches: JoinSet::new(),
            stirred: memory.stirred(),
        };
        let mut servers = JoinSet::new();
        servers.spawn(Arc::clone(&serving).serve_endpoint(endpoint.clone()));
        servers.spawn(serving.serve_connection(master.clone()));

        let outcome = tokio::select! {
            outcome = session.obey(&mut receiver) => outcome,
            error = report(&desk, &sender) => Err(error),
            error = memory.watch() => Err(error),
            error = deadlines::watch(&desk) => Err(error),
        };
        take_leave(&outcome, &desk, &sender, &master).await;
        // Slot threads are waited for now, so none of them may be the one that drives.
        wheel.come_home().await;
        // What runs would only use more of the memory that is used up.
        let is_used_up = matches!(outcome, Err(WorkerError::OutOfMemory { .. }));
        desk.close(if is_used_up { Duration::ZERO } else { PATIENCE });
        outcome
    }
}

/// Sends reports as they come, until the link takes no more. While it has no room, more of them gather.
async fn report(desk: &Desk, sender: &LinkSender<WorkerToMaster>) -> WorkerError {
    loop {
        for parcel in desk.take_reports().await {
            if let Err(error) = sender.send(&parcel).await {
                // Who receives hears why the link ended: that is worth more than that it did.
                sleep(LAST_WORDS).await;
                return error.into();
            }
        }
    }
}

/// Says what the master must hear of a worker that ends: what has ended here, and why the worker does if it is its own
/// doing. The master closes the connection when it has heard that, so it hears of the end of the process later.
async fn take_leave(
    outcome: &Result<(), WorkerError>,
    desk: &Desk,
    sender: &LinkSender<WorkerToMaster>,
    master: &Connection,
) {
    let (last_words, patience) = match outcome {
        Ok(()) | Err(WorkerError::Stuck { .. }) => (None, LAST_REPORTS),
        Err(WorkerError::OutOfMemory { attempt, used, limit, .. }) => {
            let (attempt, used, limit) = (*attempt, *used, *limit);
            (Some(WorkerToMaster::OutOfMemory { attempt, used, limit }), LAST_HEARING)
        }
        Err(_) => return,
    };
    let leaving = async {
        send_last_reports(desk, sender).await;
        if let Some(words) = last_words
            && sender.send(&words.into()).await.is_ok()
        {
            master.closed().await;
        }
    };
    // Too late: a master that wanted the end wants nothing more, another one takes it for a crash.
    let _ = timeout(patience, leaving).await;
}

async fn send_last_reports(desk: &Desk, sender: &LinkSender<WorkerToMaster>) {
    for parcel in desk.take_reports_now() {
        if sender.send(&parcel).await.is_err() {
            return;
        }
    }
    sender.flushed().await;
}

/// What is needed to understand the master.
struct Session {
    worker: WorkerId,
    /// What the master's numbers mean on this link.
    functions: HashMap<FunctionId, Arc<str>>,
    desk: Arc<Desk>,
    store: Arc<dyn ValueStore>,
    peers: Arc<Peers>,
    /// For inputs that are read piece by piece.
    way: Arc<Way>,
    serving: Arc<Serving>,
    /// Fetches of inputs; all are aborted when the session ends.
    fetches: JoinSet<()>,
    /// Notified when attempts or values come or go.
    stirred: Arc<Notify>,
}

impl Session {
    /// Does what the master says, until it says `Shutdown`.
    async fn obey(&mut self, receiver: &mut LinkReceiver<MasterToWorker>) -> Result<(), WorkerError> {
        let mut parcels = Vec::new();
        loop {
            receiver.receive(&mut parcels).await?;
            for parcel in parcels.drain(..) {
                if self.on_message(parcel)?.is_break() {
                    return Ok(());
                }
            }
            // Fetches that are over are let go of, so that the set does not grow.
            while self.fetches.try_join_next().is_some() {}
        }
    }

    fn on_message(&mut self, parcel: Parcel<MasterToWorker>) -> Result<ControlFlow<()>, WorkerError> {
        match parcel.message {
            MasterToWorker::DefineFunction { function, name } => {
                self.functions.insert(function, name.into());
            }
            MasterToWorker::Dispatch { assignments } => self.on_dispatch(assignments, parcel.payloads)?,
            MasterToWorker::Recall { attempts } => self.desk.recall(&attempts),
            MasterToWorker::Cancel { attempts } => self.desk.cancel(&attempts),
            MasterToWorker::Superseded { attempts } => {
                for attempt in attempts {
                    self.store.remove_made_by(attempt);
                    self.desk.end_actor_made_by(attempt);
                }
            }
            MasterToWorker::Free { values } => {
                for value in values {
                    self.store.remove(value);
                    self.desk.end_actor(value.task);
                    self.serving.forget(value);
                }
                self.stirred.notify_one();
            }
            MasterToWorker::Inherit { from, heir, values } => {
                self.desk.on_not_inherited(self.store.inherit(from, heir, values));
                self.stirred.notify_one();
            }
            MasterToWorker::WorkersLost { workers } => {
                for worker in workers {
                    self.peers.lose(worker);
                    self.serving.lose(worker);
                }
            }
            MasterToWorker::Adopt { values } => {
                values.iter().for_each(|orphan| self.on_adoption(orphan));
                self.stirred.notify_one();
            }
            MasterToWorker::ClearAway { jobs } => jobs.into_iter().for_each(|job| self.store.clear_away(job)),
            MasterToWorker::Shutdown => return Ok(ControlFlow::Break(())),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Here and now, before anything else is said that clears files away. The room for it may have to be made.
    fn on_adoption(&self, orphan: &Orphan) {
        let value = orphan.value;
        let adopted = self.store.adopt(orphan);
        let (store, desk) = (Arc::clone(&self.store), Arc::clone(&self.desk));
        let settle = move || match adopted.and_then(|()| store.settle(value)) {
            Ok(()) => desk.on_copied(value),
            Err(error) => desk.on_not_adopted(value, error),
        };
        if self.store.has_room(0) {
            settle();
        } else {
            drop(spawn_blocking(settle));
        }
    }

    fn on_dispatch(&mut self, assignments: Vec<Assignment>, payloads: Vec<Bytes>) -> Result<(), WorkerError> {
        let mut payloads = payloads.into_iter();
        let orders: Result<Vec<Order>, WorkerError> =
            assignments.into_iter().map(|assignment| self.order(assignment, &mut payloads)).collect();
        for (attempt, absent) in self.desk.assign(orders?) {
            self.fetch(attempt, absent);
        }
        self.stirred.notify_one();
        Ok(())
    }

    fn order(&self, assignment: Assignment, payloads: &mut impl Iterator<Item = Bytes>) -> Result<Order, WorkerError> {
        let Assignment { attempt, function, inputs, slots, name, partition, plain, time_limit, duty } = assignment;
        let Some(function) = self.functions.get(&function).map(Arc::clone) else {
            return Err(WorkerError::Protocol(format!("{attempt} is to run {function}, which was not defined")));
        };
        let name = name.unwrap_or_else(|| Box::from(&*function));
        let inputs = Inputs::read((inputs, plain), payloads, &self.way, self.worker);
        Ok(Order { attempt, function, name, slots, partition, duty, time_limit, inputs })
    }

    fn fetch(&mut self, attempt: AttemptId, absent: Absent) {
        let (desk, peers) = (Arc::clone(&self.desk), Arc::clone(&self.peers));
        let fetch = self.fetches.spawn(async move {
            let fetched = absent.fetch(&peers).await;
            desk.on_fetch_ended(attempt, fetched);
        });
        self.desk.on_fetch_begun(attempt, fetch);
    }
}
