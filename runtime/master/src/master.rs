//! The actor that owns the scheduler and the clock: it hands events in and carries actions out, batch by batch; it
//! decides nothing itself and waits for nobody.
use crate::abilities::Abilities;
use crate::assignment::{Way, assignment};
use crate::client_link::{ClientLink, Deliver};
use crate::config::MasterConfig;
use crate::delivery::Teller;
use crate::departed::Departed;
use crate::functions::{Functions, Told, Translation};
use crate::orders::Orders;
use crate::outbox::Outbox;
use crate::payloads::{Payloads, StoredValue};
use crate::reports::{Finished, Report};
use crate::worker_link::{Obey, WorkerLink};
use actix::dev::SendError;
use actix::prelude::*;
use quiltwork_protocol::Repertoire;
use quiltwork_protocol::master_to_worker::Orphan;
use quiltwork_scheduler::{Action, Event, Outcome, Scheduler, Supply};
use quiltwork_transport::Connection;
use quiltwork_types::{AttemptId, Encoding, JobId, LossReason, NodeId, Resources, TaskId, Time, ValueId, WorkerId};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Messages that may wait for the master beside one from each link: the notices of whoever holds the handle.
const NOTICES: usize = 256;

/// The master.
pub(crate) struct Master {
    pub(crate) config: MasterConfig,
    pub(crate) scheduler: Scheduler,
    pub(crate) payloads: Payloads,
    pub(crate) functions: Functions,
    /// In a mixed cluster.
    pub(crate) abilities: Option<Abilities>,
    pub(crate) workers: BTreeMap<WorkerId, Seat>,
    pub(crate) clients: BTreeMap<JobId, Client>,
    pub(crate) departed: Departed,
    born: Instant,
    /// Reused from event to event; empty between them.
    actions: Vec<Action>,
    /// The result whose `AttemptFinished` is being handled.
    made: Option<Finished>,
    /// Who has something to be told when the batch is done; each once.
    workers_to_tell: Vec<WorkerId>,
    clients_to_tell: Vec<JobId>,
    alarm: Option<(Time, SpawnHandle)>,
}

/// A worker that has joined and is not lost.
pub(crate) struct Seat {
    pub(crate) link: Addr<WorkerLink>,
    pub(crate) connection: Connection,
    pub(crate) pid: u32,
    /// Whether it runs functions in Python.
    pub(crate) any_python: bool,
    pub(crate) node: Option<NodeId>,
    /// Where it serves values.
    pub(crate) address: SocketAddr,
    pub(crate) told: Told,
    pub(crate) orders: Orders,
}

impl Seat {
    /// Whether the worker is a process of the machine that has the address `here`.
    pub(crate) fn is_near(&self, here: IpAddr) -> bool {
        let peer = self.connection.remote_address().ip();
        peer.is_loopback() || peer == here
    }

    /// How somebody on `node` reaches what it holds.
    pub(crate) fn way_from(&self, node: Option<NodeId>) -> Way {
        Way { address: self.address, is_near: node.is_some() && self.node == node }
    }
}

/// A client whose link is open.
pub(crate) struct Client {
    pub(crate) link: Addr<ClientLink>,
    pub(crate) connection: Connection,
    pub(crate) functions: Translation,
    pub(crate) outbox: Outbox,
    /// The node into whose area it writes values.
    pub(crate) node: Option<NodeId>,
    /// Whether it is among those to be told when the batch is done.
    pub(crate) to_tell: bool,
}

impl Actor for Master {
    type Context = Context<Self>;

    /// Each link has at most one message waiting here, because it waits for its answer; so this never fills up.
    fn started(&mut self, ctx: &mut Self::Context) {
        let Self { config, .. } = self;
        ctx.set_mailbox_capacity(config.max_workers + config.max_clients + NOTICES);
    }
}

impl Master {
    /// A master with nobody there yet.
    pub(crate) fn new(config: MasterConfig) -> Self {
        Self {
            scheduler: Scheduler::new(config.scheduler.clone()),
            payloads: Payloads::new(config.put_limit),
            abilities: config.mixed.then(Abilities::default),
            config,
            functions: Functions::default(),
            workers: BTreeMap::new(),
            clients: BTreeMap::new(),
            departed: Departed::default(),
            born: Instant::now(),
            actions: Vec::new(),
            made: None,
            workers_to_tell: Vec::new(),
            clients_to_tell: Vec::new(),
            alarm: None,
        }
    }

    fn now(&self) -> Time {
        Time::ZERO + self.born.elapsed()
    }

    /// Hands one event to the scheduler and carries out what it asks for, in its order. What is to be sent gathers
    /// until [`Self::finish`].
    pub(crate) fn apply(&mut self, event: Event) {
        let mut actions = std::mem::take(&mut self.actions);
        self.scheduler.handle(self.now(), event, &mut actions);
        self.note_stored_value(&actions);
        for action in actions.drain(..) {
            self.carry_out(action);
        }
        self.actions = actions;
    }

    /// Ends every batch: tells each link what concerns it and sets the alarm. Losing a link on the way leads to more.
    pub(crate) fn finish(&mut self, ctx: &mut Context<Self>) {
        loop {
            if let Some(worker) = self.workers_to_tell.pop() {
                self.tell_worker(worker);
            } else if let Some(job) = self.clients_to_tell.pop() {
                self.tell_client(job);
            } else {
                break;
            }
        }
        self.set_alarm(ctx);
    }

    /// A worker is gone, once: whoever notices it second finds no seat.
    pub(crate) fn on_worker_lost(&mut self, worker: WorkerId, reason: LossReason) {
        let Some(seat) = self.workers.remove(&worker) else { return };
        tracing::info!(%worker, pid = seat.pid, %reason, "worker lost");
        seat.connection.close(&format!("the master gave this worker up: {reason}"));
        self.spread_loss(worker);
        self.apply(Event::WorkerLost { worker, reason });
    }

    /// Tells everybody who may be fetching from a lost worker. A killed process closes no connection: without this they
    /// would wait until its silence is long enough. First of all, so that nobody is told before to fetch from it.
    fn spread_loss(&mut self, lost: WorkerId) {
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for worker in workers {
            self.order(worker, |orders| orders.lose_worker(lost));
        }
        let jobs: Vec<JobId> = self.clients.keys().copied().collect();
        for job in jobs {
            self.clients.get_mut(&job).expect("listed a moment ago").outbox.lose_worker(lost);
            self.tell_soon(job);
        }
    }

    /// A client is gone, once, and with it all that was its.
    pub(crate) fn on_client_lost(&mut self, job: JobId, reason: &str) {
        let Some(client) = self.clients.remove(&job) else { return };
        tracing::debug!(%job, reason, "client gone");
        client.connection.close(reason);
        self.apply(Event::JobClosed { job, node: client.node });
        self.payloads.close_job(job);
    }

    fn on_report(&mut self, worker: WorkerId, report: Report) {
        match report {
            Report::Event(event) => self.apply(event),
            Report::Finished(finished) => {
                let event = Event::AttemptFinished {
                    worker,
                    attempt: finished.attempt,
                    epoch: finished.epoch,
                    size: finished.size,
                    inline: finished.bytes.is_some(),
                    ran: finished.ran,
                };
                self.made = Some(finished);
                self.apply(event);
                self.made = None;
            }
            Report::Progress { task, done, total } => {
                if self.payloads.record(task).is_some()
                    && let Some(client) = self.clients.get_mut(&task.job)
                {
                    client.outbox.progress(task, done, total);
                    self.tell_soon(task.job);
                }
            }
            Report::OutOfMemory { attempt, used, limit } => {
                self.on_worker_lost(worker, LossReason::OutOfMemory { attempt, used, limit });
            }
        }
    }

    /// A result that stays at its worker is published without an action of its own: it counts unless it is superseded.
    /// Before anything is carried out, because a consumer may be dispatched in the same breath.
    fn note_stored_value(&mut self, actions: &[Action]) {
        let Some(made) = self.made.as_ref().filter(|made| made.bytes.is_none()) else { return };
        let superseded =
            |action: &Action| matches!(action, Action::Supersede { attempt, .. } if *attempt == made.attempt);
        if !actions.iter().any(superseded) {
            let task = made.attempt.task;
            let value = match made.encoding {
                // What others need of an actor is its name.
                Encoding::Actor => StoredValue::actor(task),
                encoding => StoredValue::AtWorkers(encoding),
            };
            self.payloads.set_value(task, value);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Dispatch { worker, attempt, actor, inputs } => self.dispatch(worker, attempt, actor, &inputs),
            Action::Recall { worker, attempt } => self.order(worker, |orders| orders.recall(attempt)),
            Action::Cancel { worker, attempt } => self.order(worker, |orders| orders.cancel(attempt)),
            Action::Supersede { worker, attempt } => self.order(worker, |orders| orders.supersede(attempt)),
            Action::Free { worker, value } => self.order(worker, |orders| orders.free(value)),
            Action::Inherit { workers, from, heir, values } => {
                for worker in workers {
                    self.order(worker, |orders| orders.inherit(from, heir, values.clone()));
                }
            }
            Action::Adopt { worker, value, size, formerly } => {
                self.order(worker, |orders| orders.adopt(Orphan { value, size, formerly }));
            }
            Action::ClearAway { worker, job } => self.order(worker, |orders| orders.clear_away(job)),
            Action::Publish { value } => self.publish(value),
            Action::Resolve { task, actor } => self.payloads.set_value(task, StoredValue::actor(actor)),
            Action::FreeAtMaster { value } => self.payloads.free(value),
            Action::Forget { task } => self.payloads.forget(task),
            Action::End { task, outcome } => self.end(task, outcome),
        }
    }

    fn dispatch(&mut self, worker: WorkerId, attempt: AttemptId, actor: Option<TaskId>, inputs: &[Supply]) {
        let record = self.payloads.record(attempt.task).expect("a task has its record until it is forgotten");
        let node = self.workers.get(&worker).and_then(|seat| seat.node);
        let way = |holder: WorkerId| self.workers.get(&holder).map(|seat| seat.way_from(node));
        let (assignment, payloads) = assignment(attempt, actor, record, inputs, &self.payloads, way);
        let function = assignment.function;
        let unheard = self.workers.get_mut(&worker).is_some_and(|seat| seat.told.tell(function));
        let name = unheard.then(|| self.functions.name(function).to_owned());
        self.order(worker, |orders| {
            if let Some(name) = name {
                orders.define(function, name);
            }
            orders.dispatch(assignment, payloads);
        });
    }

    /// Adds to what a worker is to be told; nothing if it is gone.
    fn order(&mut self, worker: WorkerId, add: impl FnOnce(&mut Orders)) {
        let Some(seat) = self.workers.get_mut(&worker) else { return };
        if seat.orders.is_empty() {
            self.workers_to_tell.push(worker);
        }
        add(&mut seat.orders);
    }

    fn publish(&mut self, value: ValueId) {
        let made = self.made.take().expect("published while its completion is handled");
        let bytes = made.bytes.expect("only a value that came along is published");
        self.payloads.publish(value.task, made.encoding, bytes);
    }

    fn end(&mut self, task: TaskId, mut outcome: Outcome) {
        if let Outcome::Failed(failure) = &mut outcome {
            Teller::of(self).complete(failure);
        }
        self.tell_end(task, outcome);
    }

    /// Queues the end of a task for its client, however the end came about.
    pub(crate) fn tell_end(&mut self, task: TaskId, outcome: Outcome) {
        let Some(client) = self.clients.get_mut(&task.job) else { return };
        client.outbox.end(task, outcome);
        self.tell_soon(task.job);
    }

    /// Notes that a client has something to be told when the batch is done.
    pub(crate) fn tell_soon(&mut self, job: JobId) {
        let Some(client) = self.clients.get_mut(&job) else { return };
        if !client.to_tell {
            client.to_tell = true;
            self.clients_to_tell.push(job);
        }
    }

    fn tell_worker(&mut self, worker: WorkerId) {
        let Some(seat) = self.workers.get_mut(&worker) else { return };
        match seat.link.try_send(Obey(seat.orders.take())) {
            // An actor that has stopped says why in a moment.
            Ok(()) | Err(SendError::Closed(_)) => {}
            Err(SendError::Full(_)) => {
                self.on_worker_lost(worker, LossReason::ConnectionClosed("its link does not keep up".to_owned()));
            }
        }
    }

    fn tell_client(&mut self, job: JobId) {
        let Some(client) = self.clients.get_mut(&job) else { return };
        client.to_tell = false;
        let mut outbox = std::mem::take(&mut client.outbox);
        let delivery = outbox.next_delivery(&Teller::of(self));
        let client = self.clients.get_mut(&job).expect("it was there a moment ago");
        client.outbox = outbox;
        let Some(parcels) = delivery else { return };
        if let Err(SendError::Full(_)) = client.link.try_send(Deliver(parcels)) {
            self.on_client_lost(job, "its link does not keep up");
        }
    }

    /// One timer for the earliest moment at which time alone changes something; no ticks.
    fn set_alarm(&mut self, ctx: &mut Context<Self>) {
        let due = self.scheduler.next_wakeup();
        if due == self.alarm.map(|(set_for, _)| set_for) {
            return;
        }
        if let Some((_, timer)) = self.alarm.take() {
            ctx.cancel_future(timer);
        }
        self.alarm = due.map(|due| {
            let timer = ctx.run_later(due.since(self.now()), |master, ctx| {
                master.alarm = None;
                master.apply(Event::TimePassed);
                master.finish(ctx);
            });
            (due, timer)
        });
    }
}

/// A worker was welcomed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerArrived {
    pub(crate) worker: WorkerId,
    pub(crate) capacity: Resources,
    pub(crate) repertoire: Repertoire,
    pub(crate) seat: Seat,
}

impl Handler<WorkerArrived> for Master {
    type Result = ();

    /// Besides what it says it has, a worker has what binds tasks to it.
    fn handle(&mut self, arrival: WorkerArrived, ctx: &mut Self::Context) {
        let WorkerArrived { worker, capacity, repertoire, seat } = arrival;
        let (node, mut capacity) = (seat.node, capacity.bound_to(worker, seat.node));
        if seat.is_near(self.config.listen.ip())
            && let Some(how) = self.departed.take(seat.pid)
        {
            tracing::info!(%worker, pid = seat.pid, how, "a worker's process has ended before the worker was known");
            return seat.connection.close(&format!("the process of this worker has ended: {how}"));
        }
        tracing::info!(%worker, pid = seat.pid, peer = %seat.connection.remote_address(), "worker joined");
        self.workers.insert(worker, seat);
        if let Some(abilities) = &mut self.abilities {
            abilities.learn(&repertoire, &self.functions);
            let functions = repertoire.functions.iter().map(String::as_str);
            capacity = capacity.able_to_run(functions, repertoire.any_python);
        }
        self.apply(Event::WorkerJoined { worker, capacity, node });
        self.finish(ctx);
    }
}

/// A batch of what a worker said; its link reads on when this was handled.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerReported {
    pub(crate) worker: WorkerId,
    pub(crate) reports: Vec<Report>,
}

impl Handler<WorkerReported> for Master {
    type Result = ();

    fn handle(&mut self, WorkerReported { worker, reports }: WorkerReported, ctx: &mut Self::Context) {
        // The word of a worker that was given up does not count: its attempts are somebody else's now.
        if self.workers.contains_key(&worker) {
            reports.into_iter().for_each(|report| self.on_report(worker, report));
        }
        self.finish(ctx);
    }
}

/// A worker's link has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct WorkerGone {
    pub(crate) worker: WorkerId,
    pub(crate) reason: LossReason,
}

impl Handler<WorkerGone> for Master {
    type Result = ();

    fn handle(&mut self, WorkerGone { worker, reason }: WorkerGone, ctx: &mut Self::Context) {
        self.on_worker_lost(worker, reason);
        self.finish(ctx);
    }
}
