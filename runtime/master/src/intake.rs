//! What clients ask of the master: submissions, uploads announced, cancellations, questions; every limit of a job is
//! kept here.
use crate::functions::{FUNCTIONS_PER_LINK, NAME_LIMIT};
use crate::master::{Client, Master};
use crate::payloads::TaskRecord;
use crate::submission::{admit, reference, refusal, without_function};
use actix::prelude::*;
use bytes::Bytes;
use quiltwork_protocol::client_to_master::SubmittedTask;
use quiltwork_protocol::{ClientToMaster, INLINE_LIMIT, Parcel};
use quiltwork_scheduler::{Event, Outcome};
use quiltwork_types::{ActorName, Encoding, FunctionId, JobId, TaskFailure, TaskId, TaskSpec};

/// Why a client is cut off, in words for the client.
type Misbehaviour = String;

/// Tasks on their way to the scheduler.
#[derive(Default)]
struct Batch {
    specs: Vec<TaskSpec>,
    /// Those of them that only stand for a refusal, and why.
    refused: Vec<(TaskId, Box<TaskFailure>)>,
}

impl Master {
    fn on_client_message(&mut self, job: JobId, parcel: Parcel<ClientToMaster>) -> Result<(), Misbehaviour> {
        match parcel.message {
            ClientToMaster::DefineFunction { function, name } => return self.define(job, function, &name),
            ClientToMaster::Submit { tasks } => return self.on_submitted(job, tasks, parcel.payloads),
            ClientToMaster::Put { task, size, encoding, written } => {
                return self.on_put_announced(task, size, encoding, written);
            }
            ClientToMaster::Give { task, encoding } => return self.on_given(task, encoding, parcel.payloads),
            ClientToMaster::Refer { task, actor } => return self.on_referred(task, actor),
            ClientToMaster::UploadFailed { task, why } => self.fail_upload(task, &why),
            ClientToMaster::Cancel { tasks } => self.apply(Event::CancelRequested { tasks }),
            ClientToMaster::Release { tasks } => self.apply(Event::ReferencesDropped { tasks }),
            ClientToMaster::ReportMissing { value, holder } => self.apply(Event::ValueMissing { value, holder }),
            ClientToMaster::Ask { question, about } => {
                let Some(client) = self.clients.get_mut(&job) else { return Ok(()) };
                client.outbox.ask(question, about).map_err(|()| "it asks without reading the answers".to_owned())?;
                self.tell_soon(job);
            }
        }
        Ok(())
    }

    fn define(&mut self, job: JobId, theirs: FunctionId, name: &str) -> Result<(), Misbehaviour> {
        if theirs.0 >= FUNCTIONS_PER_LINK {
            return Err(format!("function number {} is over the limit of {FUNCTIONS_PER_LINK} a client", theirs.0));
        }
        if name.len() > NAME_LIMIT {
            return Err(format!("the name of a function has {} bytes, over the limit of {NAME_LIMIT}", name.len()));
        }
        let ours = self.functions.number_of(name);
        if let Some(abilities) = &mut self.abilities {
            abilities.keep_up(&self.functions);
        }
        if let Some(client) = self.clients.get_mut(&job) {
            client.functions.define(theirs, ours);
        }
        Ok(())
    }

    fn on_submitted(
        &mut self,
        job: JobId,
        tasks: Vec<SubmittedTask>,
        payloads: Vec<Bytes>,
    ) -> Result<(), Misbehaviour> {
        let mut payloads = payloads.into_iter();
        let mut batch = Batch::default();
        for task in tasks {
            let (id, kept) = (task.task, task.options.kept);
            self.check_number(id)?;
            let Some(client) = self.clients.get(&job) else { return Ok(()) };
            // In any case: it takes the task's payloads off the list.
            let admitted = admit(task, &mut payloads, &client.functions);
            if !self.has_room(job) {
                self.turn_away(id, kept)?;
                continue;
            }
            let bound = admitted.and_then(|(mut spec, record)| {
                self.abilities.as_ref().map_or(Ok(()), |abilities| abilities.bind(&mut spec, &self.functions))?;
                Ok((spec, record))
            });
            match bound {
                Ok((spec, record)) => self.keep(spec, record, &mut batch),
                Err(failure) => self.keep_refused(id, kept, failure, &mut batch),
            }
        }
        self.submit(batch);
        Ok(())
    }

    fn on_put_announced(
        &mut self,
        task: TaskId,
        size: u64,
        encoding: Encoding,
        written: bool,
    ) -> Result<(), Misbehaviour> {
        self.check_number(task)?;
        let node = self.clients.get(&task.job).and_then(|client| client.node).filter(|_| written);
        if written && node.is_none() {
            return Err(format!("it has written {task} into the area of a node, but is on none"));
        }
        if !self.has_room(task.job) {
            return self.turn_away(task, true);
        }
        let mut batch = Batch::default();
        let limit = self.config.value_limit;
        if size > limit {
            let message = format!("an upload of {size} bytes is over the limit of {limit}");
            let failure = refusal(task, message, "split the value, or raise the cluster's `value_limit`");
            self.keep_refused(task, true, failure, &mut batch);
        } else {
            let record = if written { TaskRecord::written(encoding) } else { TaskRecord::announced(encoding, size) };
            self.keep(without_function(task, true), record, &mut batch);
        }
        self.submit(batch);
        if let Some(node) = node {
            self.apply(Event::ValueWritten { task, size, node });
        }
        Ok(())
    }

    /// What is put is here already.
    fn on_given(&mut self, task: TaskId, encoding: Encoding, payloads: Vec<Bytes>) -> Result<(), Misbehaviour> {
        let bytes = payloads.into_iter().next().expect("a parcel has the payloads of its message");
        let size = bytes.len() as u64;
        if bytes.len() > INLINE_LIMIT {
            return Err(format!("it sends {task}, of {size} bytes, beside a message"));
        }
        self.on_put_announced(task, size, encoding, false)?;
        self.keep_upload(task, bytes);
        Ok(())
    }

    fn on_referred(&mut self, task: TaskId, actor: ActorName) -> Result<(), Misbehaviour> {
        self.check_number(task)?;
        if !self.has_room(task.job) {
            return self.turn_away(task, true);
        }
        let mut batch = Batch::default();
        match reference(task, actor) {
            Ok(spec) => self.keep(spec, TaskRecord::reference(), &mut batch),
            Err(failure) => self.keep_refused(task, true, failure, &mut batch),
        }
        self.submit(batch);
        Ok(())
    }

    fn check_number(&self, task: TaskId) -> Result<(), Misbehaviour> {
        match self.payloads.record(task) {
            None => Ok(()),
            Some(_) => Err(format!("{task} was submitted twice")),
        }
    }

    fn has_room(&self, job: JobId) -> bool {
        self.payloads.task_count(job) < self.config.max_tasks_per_job as usize
    }

    /// Keeps a task's bytes; refuses it if they are over the limit.
    fn keep(&mut self, spec: TaskSpec, record: TaskRecord, batch: &mut Batch) {
        let (id, kept) = (spec.id, spec.kept);
        match self.payloads.insert(id, record) {
            Ok(()) => batch.specs.push(spec),
            Err(free) => {
                let limit = self.config.put_limit;
                let message = format!("the master has room for {free} more bytes of uploads and arguments, of {limit}");
                let hint =
                    "drop handles of uploads that are done with, make large values in tasks, or raise `put_limit`";
                self.keep_refused(id, kept, refusal(id, message, hint), batch);
            }
        }
    }

    /// Refuses a task. The scheduler hears of one without a function that fails, and everything that needs it fails too.
    fn keep_refused(&mut self, id: TaskId, kept: bool, failure: Box<TaskFailure>, batch: &mut Batch) {
        self.payloads.insert(id, TaskRecord::refused()).expect("a record without bytes always fits");
        batch.specs.push(without_function(id, kept));
        batch.refused.push((id, failure));
    }

    /// Refuses a task of a job that has too many: nothing is kept of it. A client that goes on without reading is cut
    /// off, because even a refusal takes room.
    fn turn_away(&mut self, task: TaskId, kept: bool) -> Result<(), Misbehaviour> {
        let limit = self.config.max_tasks_per_job;
        if !kept {
            return Ok(());
        }
        if self.clients.get(&task.job).is_some_and(|client| client.outbox.waiting_ends() > 2 * limit as usize) {
            return Err(format!("it submits over the limit of {limit} tasks a job without reading the refusals"));
        }
        let message = format!("the job has {limit} tasks already");
        let failure = refusal(task, message, "drop handles whose results were read, or raise `max_tasks_per_job`");
        self.tell_end(task, Outcome::Failed(failure));
        Ok(())
    }

    fn submit(&mut self, Batch { specs, refused }: Batch) {
        if !specs.is_empty() {
            self.apply(Event::TasksSubmitted { tasks: specs });
        }
        for (task, failure) in refused {
            self.apply(Event::UploadFailed { task, failure });
        }
    }
}

/// A client was welcomed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ClientArrived {
    pub(crate) job: JobId,
    pub(crate) client: Client,
}

impl Handler<ClientArrived> for Master {
    type Result = ();

    fn handle(&mut self, ClientArrived { job, client }: ClientArrived, _ctx: &mut Self::Context) {
        self.payloads.open_job(job);
        self.clients.insert(job, client);
    }
}

/// A batch of what a client said; its link reads on when this was handled.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ClientSpoke {
    pub(crate) job: JobId,
    pub(crate) parcels: Vec<Parcel<ClientToMaster>>,
}

impl Handler<ClientSpoke> for Master {
    type Result = ();

    fn handle(&mut self, ClientSpoke { job, parcels }: ClientSpoke, ctx: &mut Self::Context) {
        for parcel in parcels {
            if !self.clients.contains_key(&job) {
                break;
            }
            if let Err(misbehaviour) = self.on_client_message(job, parcel) {
                self.on_client_lost(job, &format!("the master cut this client off: {misbehaviour}"));
            }
        }
        if let Some(client) = self.clients.get_mut(&job) {
            client.outbox.prune_ends(|task| self.payloads.record(task).is_some());
        }
        self.finish(ctx);
    }
}

/// A client's link has taken its last delivery.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Delivered {
    pub(crate) job: JobId,
}

impl Handler<Delivered> for Master {
    type Result = ();

    fn handle(&mut self, Delivered { job }: Delivered, ctx: &mut Self::Context) {
        if let Some(client) = self.clients.get_mut(&job) {
            client.outbox.delivered();
            self.tell_soon(job);
        }
        self.finish(ctx);
    }
}

/// A client's link has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ClientGone {
    pub(crate) job: JobId,
    pub(crate) reason: String,
}

impl Handler<ClientGone> for Master {
    type Result = ();

    fn handle(&mut self, ClientGone { job, reason }: ClientGone, ctx: &mut Self::Context) {
        self.on_client_lost(job, &reason);
        self.finish(ctx);
    }
}
