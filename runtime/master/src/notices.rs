//! What whoever started the master tells and asks it: ends of processes, the list of workers, the end of it all.
use crate::delivery::Teller;
use crate::master::Master;
use crate::worker_link::Farewell;
use actix::prelude::*;
use quiltwork_types::{LossReason, WorkerId, WorkerInfo};
use std::sync::mpsc::SyncSender;

/// A process of this machine has ended; faster than waiting for its silence.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ProcessEnded {
    pub(crate) pid: u32,
    pub(crate) how: String,
}

impl Handler<ProcessEnded> for Master {
    type Result = ();

    fn handle(&mut self, ProcessEnded { pid, how }: ProcessEnded, ctx: &mut Self::Context) {
        let here = self.config.listen.ip();
        let ended = self.workers.iter().filter(|(_, seat)| seat.pid == pid && seat.is_near(here));
        let ended: Vec<WorkerId> = ended.map(|(worker, _)| *worker).collect();
        if ended.is_empty() {
            // Its hello may still be on its way: it must not become a worker that is silent from the beginning.
            self.departed.note(pid, how);
            return;
        }
        for worker in ended {
            self.on_worker_lost(worker, LossReason::ProcessEnded(how.clone()));
        }
        self.finish(ctx);
    }
}

/// Who asks wants to hear of the workers there are.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TellWorkers(pub(crate) SyncSender<Vec<WorkerInfo>>);

impl Handler<TellWorkers> for Master {
    type Result = ();

    fn handle(&mut self, TellWorkers(asker): TellWorkers, _ctx: &mut Self::Context) {
        // An asker that has given up is no matter.
        let _ = asker.try_send(Teller::of(self).workers());
    }
}

/// Send every worker home. Answered when all have heard it, or had their time.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ShutDown;

impl Handler<ShutDown> for Master {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: ShutDown, _ctx: &mut Self::Context) -> Self::Result {
        // Without seats the ends of their links are no losses, and nothing more is dispatched.
        let partings: Vec<_> =
            std::mem::take(&mut self.workers).into_values().map(|seat| seat.link.send(Farewell)).collect();
        Box::pin(async move {
            for parting in partings {
                // A link that has ended needs no farewell.
                let _ = parting.await;
            }
        })
    }
}
