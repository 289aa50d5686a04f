//! The actor that owns one client's connection: it checks whose tasks the client speaks of and passes everything on; it
//! keeps nothing of the job.
use crate::bulk::serve_client;
use crate::doorway::Ear;
use crate::functions::Translation;
use crate::intake::{ClientArrived, ClientGone, ClientSpoke, Delivered};
use crate::listener::Host;
use crate::master::{Client, Master};
use crate::outbox::Outbox;
use actix::fut::wrap_future;
use actix::prelude::*;
use quiltwork_protocol::client_to_master::{Argument, Question};
use quiltwork_protocol::{ClientToMaster, MasterToClient, Parcel};
use quiltwork_transport::{Connection, LinkReceiver, LinkSender, PushError};
use quiltwork_types::{JobId, NodeId, TaskId, TaskRole};
use std::rc::Rc;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// One client's connection.
pub(crate) struct ClientLink {
    job: JobId,
    master: Addr<Master>,
    connection: Connection,
    voice: Voice,
    _place: OwnedSemaphorePermit,
}

/// How the client is told something.
pub(crate) enum Voice {
    /// Over its link.
    Link(LinkSender<MasterToClient>),
    /// It is in this process.
    Ear(Box<dyn Ear>),
}

impl ClientLink {
    /// Starts the actor: the master hears of the client first and then of what it says. `place` is given back when the
    /// link has ended.
    pub(crate) fn start_on(
        (receiver, voice): (LinkReceiver<ClientToMaster>, Voice),
        connection: Connection,
        (job, node): (JobId, Option<NodeId>),
        host: &Host,
        place: OwnedSemaphorePermit,
    ) {
        let master = host.master.clone();
        Self::create(|ctx| {
            let client = Client {
                link: ctx.address(),
                connection: connection.clone(),
                functions: Translation::default(),
                outbox: Outbox::default(),
                node,
                to_tell: false,
            };
            let announced = Rc::new(Notify::new());
            let bulk = serve_client(connection.clone(), job, master.clone(), announced.clone(), host.value_limit);
            ctx.spawn(wrap_future(bulk));
            let listening = listen(master.clone(), ClientArrived { job, client }, receiver, announced);
            ctx.spawn(wrap_future::<_, Self>(listening).map(|reason, link, ctx| link.end(reason, ctx)));
            Self { job, master, connection, voice, _place: place }
        });
    }

    fn end(&mut self, reason: String, ctx: &mut Context<Self>) {
        self.connection.close(&reason);
        let telling = self.master.send(ClientGone { job: self.job, reason });
        // A master that is gone has no client to lose.
        ctx.spawn(wrap_future::<_, Self>(telling).map(|_, _, ctx| ctx.stop()));
    }
}

impl Actor for ClientLink {
    type Context = Context<Self>;
}

/// What the client is to be told next. The master makes one such message at a time and waits for [`Delivered`].
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver(pub(crate) Vec<Parcel<MasterToClient>>);

impl Handler<Deliver> for ClientLink {
    type Result = ();

    fn handle(&mut self, Deliver(parcels): Deliver, ctx: &mut Self::Context) {
        let (master, job) = (self.master.clone(), self.job);
        match &self.voice {
            Voice::Link(sender) => {
                ctx.spawn(wrap_future(deliver(sender.clone(), parcels, self.connection.clone(), master, job)));
            }
            Voice::Ear(ear) => {
                parcels.into_iter().for_each(|parcel| ear.hear(parcel));
                ctx.spawn(wrap_future(tell_delivered(master, job)));
            }
        }
    }
}

async fn deliver(
    sender: LinkSender<MasterToClient>,
    parcels: Vec<Parcel<MasterToClient>>,
    connection: Connection,
    master: Addr<Master>,
    job: JobId,
) {
    for parcel in &parcels {
        match sender.send(parcel).await {
            Ok(()) => {}
            Err(PushError::Bad(error)) => return connection.close(&format!("an answer cannot be sent: {error}")),
            // Its receiver says why.
            Err(PushError::Closed | PushError::Full) => return,
        }
    }
    sender.flushed().await;
    tell_delivered(master, job).await;
}

async fn tell_delivered(master: Addr<Master>, job: JobId) {
    // A master that is gone has nothing more to deliver.
    let _ = master.send(Delivered { job }).await;
}

/// Hands what the client says to the master, batch by batch, and says why there is no more. The next batch is read when
/// the master has handled the last one: a client that floods waits for itself.
async fn listen(
    master: Addr<Master>,
    arrival: ClientArrived,
    mut receiver: LinkReceiver<ClientToMaster>,
    announced: Rc<Notify>,
) -> String {
    let job = arrival.job;
    let mut heard = master.send(arrival).await;
    while heard.is_ok() {
        let mut parcels = Vec::new();
        if let Err(error) = receiver.receive(&mut parcels).await {
            return error.to_string();
        }
        if let Some(task) = parcels.iter().find_map(|parcel| foreign_task(job, &parcel.message)) {
            return format!("the master cut this client off: it named {task}, but its own is {job}");
        }
        heard = master.send(ClientSpoke { job, parcels }).await;
        announced.notify_waiters();
    }
    "the master is gone".to_owned()
}

/// A task the message names that is not of this job. A client may not even ask about those of others; only an actor may be
/// one of them, and only where a task of its own is to stand for it.
fn foreign_task(job: JobId, message: &ClientToMaster) -> Option<TaskId> {
    let foreign = |task: &TaskId| (task.job != job).then_some(*task);
    match message {
        ClientToMaster::Submit { tasks } => tasks.iter().find_map(|task| {
            let of_role = || match &task.options.role {
                TaskRole::Call { actor, .. } => foreign(actor),
                TaskRole::Plain | TaskRole::Actor(_) | TaskRole::Reference(_) => None,
            };
            let of_argument = |argument: &Argument| match argument {
                Argument::Literal(_) => None,
                Argument::Value(value) | Argument::Reference(value) => foreign(&value.task),
                Argument::Values(values) | Argument::References(values) => {
                    values.iter().find_map(|value| foreign(&value.task))
                }
            };
            foreign(&task.task).or_else(of_role).or_else(|| task.arguments.iter().find_map(of_argument))
        }),
        ClientToMaster::Cancel { tasks } | ClientToMaster::Release { tasks } => tasks.iter().find_map(foreign),
        ClientToMaster::ReportMissing { value, .. } => foreign(&value.task),
        ClientToMaster::Put { task, .. }
        | ClientToMaster::Give { task, .. }
        | ClientToMaster::Refer { task, .. }
        | ClientToMaster::UploadFailed { task, .. }
        | ClientToMaster::Ask { about: Question::Story(task) | Question::Holders(task), .. } => foreign(task),
        ClientToMaster::Ask { about: Question::Workers, .. } | ClientToMaster::DefineFunction { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_protocol::client_to_master::{SubmittedTask, TaskOptions};
    use quiltwork_types::{Encoding, FunctionId, ValueId, WorkerId};

    const OWN: TaskId = TaskId { job: JobId(3), index: 0 };
    const OTHER: TaskId = TaskId { job: JobId(4), index: 0 };

    fn submit(task: TaskId, argument: Argument) -> ClientToMaster {
        let arguments = vec![argument];
        let options = TaskOptions::default();
        ClientToMaster::Submit { tasks: vec![SubmittedTask { task, function: FunctionId(0), arguments, options }] }
    }

    fn messages(task: TaskId) -> Vec<ClientToMaster> {
        let value = ValueId::of(task);
        vec![
            submit(task, Argument::Literal(Encoding::Raw)),
            submit(OWN, Argument::Value(value)),
            submit(OWN, Argument::Values(vec![ValueId::of(OWN), value])),
            ClientToMaster::Put { task, size: 1, encoding: Encoding::Raw, written: true },
            ClientToMaster::Give { task, encoding: Encoding::Raw },
            ClientToMaster::UploadFailed { task, why: "it broke off".to_owned() },
            ClientToMaster::Cancel { tasks: vec![OWN, task] },
            ClientToMaster::Release { tasks: vec![OWN, task] },
            ClientToMaster::ReportMissing { value, holder: WorkerId(1) },
            ClientToMaster::Ask { question: 1, about: Question::Story(task) },
            ClientToMaster::Ask { question: 2, about: Question::Holders(task) },
        ]
    }

    #[test]
    fn a_foreign_task_is_found_wherever_it_stands() {
        for message in messages(OTHER) {
            assert_eq!(foreign_task(OWN.job, &message), Some(OTHER), "{message:?}");
        }
        for message in messages(OWN) {
            assert_eq!(foreign_task(OWN.job, &message), None, "{message:?}");
        }
    }
}
