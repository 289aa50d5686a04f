//! Values the master itself holds, as the bulk streams of the links see them: fetched, offered, kept.
use crate::master::Master;
use crate::payloads::StoredValue;
use crate::submission::refusal;
use actix::prelude::*;
use bytes::Bytes;
use quiltwork_protocol::Kept;
use quiltwork_scheduler::Event;
use quiltwork_types::{Encoding, TaskId, ValueId};

/// Gives the bytes of a value the master holds.
#[derive(Message)]
#[rtype(result = "Option<(Encoding, Bytes)>")]
pub(crate) struct FetchValue(pub(crate) ValueId);

impl Handler<FetchValue> for Master {
    type Result = Option<(Encoding, Bytes)>;

    fn handle(&mut self, FetchValue(value): FetchValue, _ctx: &mut Self::Context) -> Self::Result {
        self.payloads.held(value).map(|(encoding, bytes)| (encoding, bytes.to_bytes()))
    }
}

/// A client would send the bytes of an upload.
#[derive(Message)]
#[rtype(result = "Offered")]
pub(crate) struct OfferUpload {
    pub(crate) task: TaskId,
    pub(crate) size: u64,
}

/// What becomes of an offer.
#[derive(MessageResponse)]
pub(crate) enum Offered {
    /// It may send them.
    Welcome,
    /// The upload was not announced, or not yet: the announcement travels on another stream.
    Unknown,
    /// It may not.
    Refused,
}

impl Handler<OfferUpload> for Master {
    type Result = Offered;

    fn handle(&mut self, OfferUpload { task, size }: OfferUpload, ctx: &mut Self::Context) -> Offered {
        match self.payloads.record(task).map(|record| &record.value) {
            // Given up before its bytes came: nobody needs to wait for its announcement.
            None if self.payloads.was_announced(task) => Offered::Refused,
            None => Offered::Unknown,
            Some(StoredValue::Announced(_, announced)) if *announced == size => Offered::Welcome,
            Some(StoredValue::Announced(_, announced)) => {
                let why = format!("{announced} bytes were announced and {size} offered");
                self.fail_upload(task, &why);
                self.finish(ctx);
                Offered::Refused
            }
            Some(_) => Offered::Refused,
        }
    }
}

/// The bytes of an upload have arrived; the answer says whether they are kept.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct KeepUpload {
    pub(crate) task: TaskId,
    pub(crate) bytes: Bytes,
}

impl Handler<KeepUpload> for Master {
    type Result = bool;

    fn handle(&mut self, KeepUpload { task, bytes }: KeepUpload, ctx: &mut Self::Context) -> bool {
        let is_kept = self.keep_upload(task, bytes);
        if is_kept {
            self.finish(ctx);
        }
        is_kept
    }
}

/// An upload broke off.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct FailUpload {
    pub(crate) task: TaskId,
    pub(crate) why: String,
}

impl Handler<FailUpload> for Master {
    type Result = ();

    fn handle(&mut self, FailUpload { task, why }: FailUpload, ctx: &mut Self::Context) {
        self.fail_upload(task, &why);
        self.finish(ctx);
    }
}

impl Master {
    /// The bytes of a value that was announced are here; says whether they are as announced, and kept.
    pub(crate) fn keep_upload(&mut self, task: TaskId, bytes: Bytes) -> bool {
        let size = bytes.len() as u64;
        let Some(StoredValue::Announced(encoding, announced)) = self.payloads.record(task).map(|record| &record.value)
        else {
            return false;
        };
        if *announced != size {
            return false;
        }
        self.payloads.set_value(task, StoredValue::Here(*encoding, Kept::new(bytes)));
        self.apply(Event::ValueUploaded { task, size });
        true
    }

    /// An upload that will not come must not be waited for: it fails, and with it all that needs it.
    pub(crate) fn fail_upload(&mut self, task: TaskId, why: &str) {
        let awaited = self.payloads.record(task).map(|record| &record.value);
        if !matches!(awaited, Some(StoredValue::Announced(..))) {
            return;
        }
        let failure = refusal(task, format!("its upload failed: {why}"), "upload the value once more");
        self.payloads.set_value(task, StoredValue::Awaited);
        self.apply(Event::UploadFailed { task, failure });
    }
}
