//! The actor that owns one worker's connection: bytes become reports for the master, orders become bytes; it knows no
//! tasks.
use crate::bulk::serve_worker;
use crate::functions::Told;
use crate::listener::Host;
use crate::master::{Master, Seat, WorkerArrived, WorkerGone, WorkerReported};
use crate::orders::Orders;
use crate::reports::translate;
use actix::fut::wrap_future;
use actix::prelude::*;
use quiltwork_protocol::{MasterToWorker, Parcel, Repertoire, WorkerToMaster};
use quiltwork_transport::{Connection, Link, LinkError, LinkReceiver, LinkSender, PushError};
use quiltwork_types::{LossReason, NodeId, Resources, WorkerId};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

/// A worker that takes nothing for this long although bytes wait for it is given up.
const STUCK_TIME: Duration = Duration::from_secs(30);
/// How long a worker may take to go when it is told to.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// What a worker said of itself.
pub(crate) struct WorkerProfile {
    pub(crate) worker: WorkerId,
    pub(crate) pid: u32,
    pub(crate) capacity: Resources,
    /// Where it serves values.
    pub(crate) address: SocketAddr,
    /// The node whose store it shares.
    pub(crate) node: Option<NodeId>,
    /// What it can run.
    pub(crate) repertoire: Repertoire,
}

/// One worker's connection.
pub(crate) struct WorkerLink {
    worker: WorkerId,
    master: Addr<Master>,
    connection: Connection,
    sender: LinkSender<MasterToWorker>,
    /// Orders that found the link's outbox full. Bounded by what the scheduler gives one worker; large payloads are
    /// shared with the records they come from.
    backlog: VecDeque<Parcel<MasterToWorker>>,
    waiting_for_room: bool,
    /// Why the link was given up from this side.
    verdict: Option<LossReason>,
    _place: OwnedSemaphorePermit,
}

impl WorkerLink {
    /// Starts the actor: the master hears of the worker first and then of what it says. `place` is given back when the
    /// link has ended.
    pub(crate) fn start_on(
        Link { sender, receiver }: Link<MasterToWorker, WorkerToMaster>,
        connection: Connection,
        profile: WorkerProfile,
        host: &Host,
        place: OwnedSemaphorePermit,
    ) {
        let WorkerProfile { worker, pid, capacity, address, node, repertoire } = profile;
        let master = host.master.clone();
        Self::create(|ctx| {
            ctx.set_mailbox_capacity(host.links);
            let (told, orders) = (Told::default(), Orders::default());
            let (link, peer, any_python) = (ctx.address(), connection.clone(), repertoire.any_python);
            let seat = Seat { link, connection: peer, pid, any_python, node, address, told, orders };
            let arrival = WorkerArrived { worker, capacity, repertoire, seat };
            let listening = wrap_future::<_, Self>(listen(master.clone(), arrival, receiver, host.value_limit));
            ctx.spawn(listening.map(|reason, link, ctx| link.end(reason, ctx)));
            ctx.spawn(wrap_future(serve_worker(connection.clone(), master.clone())));
            Self {
                worker,
                master,
                connection,
                sender,
                backlog: VecDeque::new(),
                waiting_for_room: false,
                verdict: None,
                _place: place,
            }
        });
    }

    /// Pushes what waits until the outbox is full; goes on when there is room.
    fn push_backlog(&mut self, ctx: &mut Context<Self>) {
        while !self.waiting_for_room
            && let Some(parcel) = self.backlog.pop_front()
        {
            match self.sender.push(&parcel) {
                Ok(()) => {}
                Err(PushError::Full) => self.push_when_there_is_room(parcel, ctx),
                // Its receiver says why in a moment.
                Err(PushError::Closed) => self.backlog.clear(),
                Err(PushError::Bad(error)) => self.give_up(&format!("an order cannot be sent: {error}")),
            }
        }
    }

    fn push_when_there_is_room(&mut self, parcel: Parcel<MasterToWorker>, ctx: &mut Context<Self>) {
        self.waiting_for_room = true;
        let sender = self.sender.clone();
        let sending = async move { timeout(STUCK_TIME, sender.send(&parcel)).await };
        ctx.spawn(wrap_future::<_, Self>(sending).map(|sent, link, ctx| {
            link.waiting_for_room = false;
            match sent {
                Ok(Ok(())) => link.push_backlog(ctx),
                Ok(Err(_)) => link.backlog.clear(),
                Err(_) => link.give_up("it takes nothing although much waits for it"),
            }
        }));
    }

    /// Closes the connection from this side; the listening future notices and ends the actor.
    fn give_up(&mut self, why: &str) {
        self.backlog.clear();
        self.connection.close(why);
        self.verdict.get_or_insert_with(|| LossReason::ConnectionClosed(why.to_owned()));
    }

    fn end(&mut self, reason: LossReason, ctx: &mut Context<Self>) {
        let reason = self.verdict.take().unwrap_or(reason);
        let telling = self.master.send(WorkerGone { worker: self.worker, reason });
        // A master that is gone has no worker to lose.
        ctx.spawn(wrap_future::<_, Self>(telling).map(|_, _, ctx| ctx.stop()));
    }
}

impl Actor for WorkerLink {
    type Context = Context<Self>;
}

/// What the worker is to be told after one batch.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Obey(pub(crate) Vec<Parcel<MasterToWorker>>);

impl Handler<Obey> for WorkerLink {
    type Result = ();

    fn handle(&mut self, Obey(parcels): Obey, ctx: &mut Self::Context) {
        self.backlog.extend(parcels);
        self.push_backlog(ctx);
    }
}

/// Tells the worker to end its process. Answered when it has gone, or had its time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Farewell;

impl Handler<Farewell> for WorkerLink {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Farewell, _ctx: &mut Self::Context) -> Self::Result {
        // A link that is full or closed has no ear for it; the end of the connection says the same.
        let heard = self.sender.push(&Parcel::bare(MasterToWorker::Shutdown)).is_ok();
        let connection = self.connection.clone();
        Box::pin(async move {
            if heard && timeout(FAREWELL_TIME, connection.closed()).await.is_err() {
                tracing::debug!(peer = %connection.remote_address(), "a worker did not go when it was told to");
            }
        })
    }
}

/// Hands what the worker says to the master, batch by batch, and says why there is no more. The next batch is read when
/// the master has handled the last one: a worker that floods waits for itself.
async fn listen(
    master: Addr<Master>,
    arrival: WorkerArrived,
    mut receiver: LinkReceiver<WorkerToMaster>,
    value_limit: u64,
) -> LossReason {
    let worker = arrival.worker;
    let mut heard = master.send(arrival).await;
    let mut parcels = Vec::new();
    while heard.is_ok() {
        if let Err(error) = receiver.receive(&mut parcels).await {
            return loss_reason(error);
        }
        match translate(worker, value_limit, parcels.drain(..)) {
            Ok(reports) => heard = master.send(WorkerReported { worker, reports }).await,
            Err(misbehaviour) => return LossReason::Misbehaved(misbehaviour),
        }
    }
    LossReason::ConnectionClosed("the master is gone".to_owned())
}

fn loss_reason(error: LinkError) -> LossReason {
    match error {
        LinkError::Closed(how) => LossReason::ConnectionClosed(how),
        LinkError::TimedOut => LossReason::Silent,
        LinkError::Garbage(error) => LossReason::Misbehaved(error.to_string()),
    }
}
