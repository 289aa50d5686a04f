//! Answers the bulk streams of links: values the master holds go out, uploads of clients come in; what is allowed is
//! decided here, what exists by the master.
use crate::master::Master;
use crate::values::{FailUpload, FetchValue, KeepUpload, OfferUpload, Offered};
use actix::prelude::*;
use quiltwork_protocol::BulkRequest;
use quiltwork_transport::{Connection, IncomingBulk};
use quiltwork_types::{JobId, TaskId, ValueId};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// How long an upload waits for its announcement, which travels on another stream.
const ANNOUNCEMENT_TIME: Duration = Duration::from_secs(5);

/// Serves a worker until its connection ends: it may fetch any value. Requests are answered side by side; the transport
/// limits how many there are.
pub(crate) async fn serve_worker(connection: Connection, master: Addr<Master>) {
    while let Ok(bulk) = connection.accept_bulk().await {
        match bulk.request() {
            BulkRequest::Fetch { value, .. } => actix::spawn(send_value(bulk, value, master.clone())),
            BulkRequest::Upload { .. } => actix::spawn(bulk.refuse()),
        };
    }
}

/// Serves a client until its connection ends: it may fetch and upload values of its own job. `announced` is rung after
/// each batch of messages of the same client.
pub(crate) async fn serve_client(
    connection: Connection,
    job: JobId,
    master: Addr<Master>,
    announced: Rc<Notify>,
    value_limit: u64,
) {
    while let Ok(bulk) = connection.accept_bulk().await {
        match bulk.request() {
            BulkRequest::Fetch { value, .. } if value.task.job == job => {
                actix::spawn(send_value(bulk, value, master.clone()));
            }
            BulkRequest::Upload { task, size } if task.job == job && size <= value_limit => {
                actix::spawn(take_upload(bulk, task, size, master.clone(), announced.clone()));
            }
            _ => drop(actix::spawn(bulk.refuse())),
        }
    }
}

async fn send_value(bulk: IncomingBulk, value: ValueId, master: Addr<Master>) {
    let Ok(Some((encoding, bytes))) = master.send(FetchValue(value)).await else { return bulk.missing().await };
    if let Err(error) = bulk.found(encoding, &bytes).await {
        tracing::debug!(%value, %error, "a value was not fetched to its end");
    }
}

async fn take_upload(bulk: IncomingBulk, task: TaskId, size: u64, master: Addr<Master>, announced: Rc<Notify>) {
    if !is_welcome(task, size, &master, &announced).await {
        return bulk.refuse().await;
    }
    match bulk.receive(size).await {
        Ok((bytes, done)) => {
            if let Ok(true) = master.send(KeepUpload { task, bytes }).await {
                done.stored().await;
            }
        }
        Err(error) => {
            // A master that is gone waits for no upload.
            let _ = master.send(FailUpload { task, why: error.to_string() }).await;
        }
    }
}

async fn is_welcome(task: TaskId, size: u64, master: &Addr<Master>, announced: &Notify) -> bool {
    let deadline = Instant::now() + ANNOUNCEMENT_TIME;
    loop {
        // Listening begins before asking, or the announcement could slip through between the two.
        let mut news = pin!(announced.notified());
        news.as_mut().enable();
        match master.send(OfferUpload { task, size }).await {
            Ok(Offered::Welcome) => return true,
            Ok(Offered::Unknown) if timeout_at(deadline, news).await.is_ok() => {}
            _ => return false,
        }
    }
}
