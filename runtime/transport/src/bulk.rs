//! Values on streams of their own: a request, an answer, and the raw bytes; whose values they are is known elsewhere.
//!
//! ```text
//! fetch    request ->          <- found + bytes of a range | missing | elsewhere | refused
//! upload   request + bytes ->  <- stored | refused
//! ```
//! A peer may have [63 such streams](crate::limits) open; further requests wait in its own process.
use crate::arriving::{Arriving, Body};
use crate::connection::Connection;
use crate::error::BulkError;
use crate::frame::{FrameError, FrameReader, encode_frame};
use crate::limits::{BULK_WRITE_SIZE, HANDSHAKE_TIME, STALL_TIME};
use bytes::Bytes;
use quiltwork_protocol::{Asker, BulkReply, BulkRequest, ByteRange};
use quiltwork_types::{Encoding, TaskId, ValueId, WorkerId};
use quinn::{RecvStream, SendStream, WriteError};
use serde::Serialize;
use std::net::SocketAddr;
use std::ops::Range;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

impl Connection {
    /// Fetches a whole value of at most `limit` bytes; none if the peer does not have it. Dropping the future stops the
    /// transfer.
    ///
    /// # Errors
    /// If the value is too large, the peer refuses, or the transfer breaks or stalls.
    pub async fn fetch(&self, value: ValueId, limit: u64) -> Result<Option<(Encoding, Bytes)>, BulkError> {
        match self.fetch_range(value, ByteRange::WHOLE, Asker::Reader).await? {
            Fetched::Found(arriving) => Ok(Some((arriving.encoding(), arriving.collect(limit).await?))),
            Fetched::Missing => Ok(None),
            Fetched::Elsewhere { .. } => Err(BulkError::Broken("a reader was told to ask elsewhere".to_owned())),
        }
    }

    /// Asks the peer for a stretch of a value, whose bytes are then taken as they arrive.
    ///
    /// # Errors
    /// If the peer refuses, or the transfer breaks or stalls.
    pub async fn fetch_range(&self, value: ValueId, range: ByteRange, asker: Asker) -> Result<Fetched, BulkError> {
        let (mut send, mut receive) = self.request(BulkRequest::Fetch { value, range, asker }).await?;
        finish(&mut send);
        match read_reply(&mut receive).await? {
            BulkReply::Found { encoding, size } => Ok(Fetched::Found(Arriving::new(encoding, size, range, receive))),
            BulkReply::Missing => Ok(Fetched::Missing),
            BulkReply::Elsewhere { worker, address } => Ok(Fetched::Elsewhere { worker, address }),
            BulkReply::Refused => Err(BulkError::Refused),
            BulkReply::Stored => Err(BulkError::Broken("a fetch was answered as if it were an upload".to_owned())),
        }
    }

    /// Brings the peer the bytes that stand for a task's result. Ends when the peer has kept them.
    ///
    /// # Errors
    /// If the peer refuses, or the transfer breaks or stalls.
    pub async fn upload(&self, task: TaskId, bytes: &[u8]) -> Result<(), BulkError> {
        let size = bytes.len() as u64;
        let (mut send, mut receive) = self.request(BulkRequest::Upload { task, size }).await?;
        for piece in bytes.chunks(BULK_WRITE_SIZE) {
            match moving(send.write_all(piece)).await? {
                Ok(()) => {}
                // The peer has said why before it stopped listening.
                Err(WriteError::Stopped(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        finish(&mut send);
        match read_reply(&mut receive).await? {
            BulkReply::Stored => Ok(()),
            BulkReply::Refused => Err(BulkError::Refused),
            other => Err(BulkError::Broken(format!("an upload was answered with {other:?}"))),
        }
    }

    /// The peer's next request. Cancel safe. Must not be called before the link was made, if there shall be one: the link
    /// is the first stream.
    ///
    /// Serve requests side by side: all streams of a connection share its window, and one that nobody reads can keep the
    /// others, the link too, waiting.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn accept_bulk(&self) -> Result<IncomingBulk, BulkError> {
        let mut slot = self.opening().lock().await;
        loop {
            if slot.is_none() {
                let (send, receive) = self.quic().accept_bi().await?;
                *slot = Some(Opening::new(send, receive));
            }
            let opening = slot.as_mut().expect("filled above");
            let request = opening.read_request().await;
            let Opening { send, receive, .. } = slot.take().expect("filled above");
            match request {
                Ok(request) => return Ok(IncomingBulk { request, send, receive }),
                Err(BulkError::Lost(reason)) => return Err(BulkError::Lost(reason)),
                Err(error) => debug!(peer = %self.remote_address(), %error, "dropped a bulk stream without a request"),
            }
        }
    }

    /// Opens a stream with this request at its head.
    async fn request(&self, request: BulkRequest) -> Result<(SendStream, RecvStream), BulkError> {
        let (mut send, receive) = self.quic().open_bi().await?;
        write_frame(&mut send, &request).await?;
        Ok((send, receive))
    }
}

/// What came of asking for a value.
#[derive(Debug)]
pub enum Fetched {
    /// It is on its way.
    Found(Arriving),
    /// The peer does not have it.
    Missing,
    /// The peer has sent it to enough others and names one of them, which may still be getting it.
    Elsewhere {
        /// Who.
        worker: WorkerId,
        /// Where it serves values.
        address: SocketAddr,
    },
}

/// A stream whose request has not been read yet.
pub(crate) struct Opening {
    send: SendStream,
    receive: RecvStream,
    request: FrameReader,
    deadline: Instant,
}

impl Opening {
    fn new(send: SendStream, receive: RecvStream) -> Self {
        Self { send, receive, request: FrameReader::default(), deadline: Instant::now() + HANDSHAKE_TIME }
    }

    async fn read_request(&mut self) -> Result<BulkRequest, BulkError> {
        timeout_at(self.deadline, self.request.read(&mut self.receive))
            .await
            .map_err(|_| BulkError::Stalled)?
            .map_err(Into::into)
    }
}

/// A request of the peer that waits for its answer. Dropping it breaks the stream, which the peer takes for a failure.
#[derive(Debug)]
pub struct IncomingBulk {
    request: BulkRequest,
    send: SendStream,
    receive: RecvStream,
}

impl IncomingBulk {
    /// What the peer wants.
    #[must_use]
    pub const fn request(&self) -> BulkRequest {
        self.request
    }

    /// Answers a fetch with what it asks for of a value that consists of these bytes. Ends when all of that was handed to
    /// QUIC, which delivers it while the connection lives. The bytes are not copied; they are held until the peer has
    /// acknowledged them.
    ///
    /// # Errors
    /// If the peer stops listening, or the transfer breaks or stalls. [`BulkError::Refused`] if the request is no fetch.
    pub async fn found(self, encoding: Encoding, bytes: &Bytes) -> Result<(), BulkError> {
        let mut outgoing = self.begin(encoding, bytes.len() as u64).await?;
        outgoing.write(ByteRange::from(outgoing.left()).of(bytes)).await?;
        outgoing.finish();
        Ok(())
    }

    /// Answers a fetch: a value of this size is here, or will be; the bytes are handed over as they become known.
    ///
    /// # Errors
    /// As for [`found`](Self::found).
    pub async fn begin(mut self, encoding: Encoding, size: u64) -> Result<Outgoing, BulkError> {
        let BulkRequest::Fetch { range, .. } = self.request else {
            self.refuse().await;
            return Err(BulkError::Refused);
        };
        write_frame(&mut self.send, &BulkReply::Found { encoding, size }).await?;
        Ok(Outgoing { send: self.send, left: range.within(size) })
    }

    /// Answers a fetch: the value is not here.
    pub async fn missing(mut self) {
        self.answer(BulkReply::Missing).await;
    }

    /// Answers a fetch: this worker was sent the value from here, or is being sent it; ask there.
    pub async fn elsewhere(mut self, worker: WorkerId, address: SocketAddr) {
        self.answer(BulkReply::Elsewhere { worker, address }).await;
    }

    /// Answers anything: this is not allowed, or there is no room for it.
    pub async fn refuse(mut self) {
        self.answer(BulkReply::Refused).await;
    }

    /// Reads the bytes of an upload of at most `limit` bytes. The peer waits until it hears that they are
    /// [`stored`](UploadDone::stored).
    ///
    /// # Errors
    /// If the upload is too large (the peer is told), or the transfer breaks or stalls. [`BulkError::Refused`] if the
    /// request is no upload.
    pub async fn receive(self, limit: u64) -> Result<(Bytes, UploadDone), BulkError> {
        let BulkRequest::Upload { size, .. } = self.request else {
            self.refuse().await;
            return Err(BulkError::Refused);
        };
        if size > limit {
            self.refuse().await;
            return Err(BulkError::TooLarge { size, limit });
        }
        let bytes = Body::new(self.receive, 0..size).collect(limit).await?;
        Ok((bytes, UploadDone { send: self.send }))
    }

    /// Says one word and lets the stream go. A peer that is gone does not need it any more.
    async fn answer(&mut self, reply: BulkReply) {
        if let Err(error) = write_frame(&mut self.send, &reply).await {
            debug!(%error, "a bulk stream ended before its answer");
        }
        finish(&mut self.send);
    }
}

/// What a peer asked for of a value, on its way to it. Dropping it before the end breaks the stream, which the peer takes
/// for a failure.
#[derive(Debug)]
pub struct Outgoing {
    send: SendStream,
    left: Range<u64>,
}

impl Outgoing {
    /// What has not been handed over yet, as offsets in the value.
    #[must_use]
    pub fn left(&self) -> Range<u64> {
        self.left.clone()
    }

    /// Hands over the next bytes, which must not be more than are [`left`](Self::left). They are not copied.
    ///
    /// # Errors
    /// If the peer stops listening, or the transfer breaks or stalls.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), BulkError> {
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(BULK_WRITE_SIZE));
            let length = piece.len() as u64;
            moving(self.send.write_chunk(piece)).await??;
            self.left.start += length;
        }
        debug_assert!(self.left.start <= self.left.end, "the peer takes bytes it was not promised for an error");
        Ok(())
    }

    /// All was handed over. QUIC delivers it while the connection lives.
    pub fn finish(mut self) {
        finish(&mut self.send);
    }
}

/// An upload that has arrived whole. Dropping it tells the peer that it failed.
#[must_use = "the peer waits for the answer"]
#[derive(Debug)]
pub struct UploadDone {
    send: SendStream,
}

impl UploadDone {
    /// Tells the peer that its bytes are kept.
    pub async fn stored(mut self) {
        if let Err(error) = write_frame(&mut self.send, &BulkReply::Stored).await {
            debug!(%error, "a bulk stream ended before its answer");
        }
        finish(&mut self.send);
    }
}

async fn write_frame<T: Serialize>(stream: &mut SendStream, head: &T) -> Result<(), BulkError> {
    let mut frame = Vec::new();
    encode_frame(head, &mut frame)?;
    Ok(moving(stream.write_all(&frame)).await??)
}

async fn read_reply(stream: &mut RecvStream) -> Result<BulkReply, BulkError> {
    Ok(moving(FrameReader::default().read(stream)).await??)
}

/// Lets a step take [`STALL_TIME`] at most.
pub(crate) async fn moving<F: Future>(step: F) -> Result<F::Output, BulkError> {
    timeout(STALL_TIME, step).await.map_err(|_| BulkError::Stalled)
}

/// No more bytes come. The stream may have ended by itself, which is as good.
fn finish(stream: &mut SendStream) {
    let _ = stream.finish();
}

impl From<FrameError> for BulkError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Lost(error) => error.into(),
            FrameError::Broken(reason) => Self::Broken(reason),
        }
    }
}

impl From<WriteError> for BulkError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(error) => error.into(),
            WriteError::Stopped(_) => Self::Broken("the peer does not want it any more".to_owned()),
            other => Self::Broken(other.to_string()),
        }
    }
}
