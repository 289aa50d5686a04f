//! Typed links: parcels go into an outbox at one end and come out in batches at the other, in order, each once.
use crate::connection::Connection;
use crate::error::{LinkError, PushError, describe};
use crate::limits::{BUFFER_KEPT, WRITE_SIZE};
use crate::outbox::Outbox;
use bytes::BytesMut;
use quiltwork_protocol::{Message, Parcel, decode_parcels};
use quinn::{ConnectionError, ReadError, RecvStream, SendStream, VarInt};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::Arc;
use tokio::io::AsyncReadExt;

/// The reason given when the other end finished the link in good order.
const ENDED: &str = "the peer ended the link";

/// Both ends of this side of a link: it sends `Out` and receives `In`.
#[derive(Debug)]
pub struct Link<Out, In> {
    /// For whoever has something to say.
    pub sender: LinkSender<Out>,
    /// For the one who listens.
    pub receiver: LinkReceiver<In>,
}

impl<Out: Message, In: Message> Link<Out, In> {
    /// A link over the two halves of a stream.
    pub(crate) fn over_stream(connection: &Connection, send: SendStream, receive: RecvStream) -> Self {
        let outbox = Arc::new(Outbox::new());
        tokio::spawn(write(Writer(outbox.clone()), send, connection.clone()));
        Self::new(outbox, Source::Stream(receive))
    }

    pub(crate) fn new(outbox: Arc<Outbox>, source: Source) -> Self {
        let receiver = LinkReceiver { source, outbox: outbox.clone(), read: BytesMut::new(), messages: PhantomData };
        Self { sender: LinkSender { shared: Arc::new(Shared { outbox }), messages: PhantomData }, receiver }
    }
}

/// The sending end of a link, for any thread. When the last clone is dropped, the link closes in good order.
pub struct LinkSender<M> {
    shared: Arc<Shared>,
    messages: PhantomData<fn(&M)>,
}

/// Knows when the last clone is gone.
struct Shared {
    outbox: Arc<Outbox>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.outbox.close();
    }
}

impl<M: Message> LinkSender<M> {
    /// Puts a parcel into the outbox and returns at once; it travels as soon as the writer is free.
    ///
    /// # Errors
    /// [`PushError::Full`] if [`OUTBOX_LIMIT`](crate::limits::OUTBOX_LIMIT) bytes or more wait for the peer (a parcel
    /// that begins below the limit is taken whole), [`PushError::Closed`] if the link is closed.
    ///
    /// # Panics
    /// If the payloads are not as many as the message says: a mistake in the caller.
    pub fn push(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        self.shared.outbox.push(parcel)
    }

    /// Like [`push`](Self::push), but waits for room. Cancel safe: a dropped `send` has sent nothing.
    ///
    /// # Errors
    /// As for `push`, but never [`PushError::Full`].
    pub async fn send(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        self.shared.outbox.send(parcel).await
    }

    /// Like [`send`](Self::send), for a thread outside the runtime. On the thread that runs the link it would wait for
    /// itself.
    ///
    /// # Errors
    /// As for `send`.
    pub fn push_blocking(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        self.shared.outbox.push_blocking(parcel)
    }

    /// Waits until everything pushed so far was handed to QUIC, or the link is lost. QUIC delivers it while the
    /// connection lives: whoever closes the connection right after this may still take it back.
    pub async fn flushed(&self) {
        self.shared.outbox.flushed().await;
    }

    /// Ends the link in good order: nothing more is taken, what was pushed still arrives, then the peer's receiver
    /// returns [`LinkError::Closed`] and so does ours.
    pub fn close(&self) {
        self.shared.outbox.close();
    }

    /// Whether a push would be answered with [`PushError::Closed`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.outbox.is_closed()
    }
}

impl<M> Clone for LinkSender<M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), messages: PhantomData }
    }
}

impl<M> fmt::Debug for LinkSender<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSender").field("closed", &self.shared.outbox.is_closed()).finish_non_exhaustive()
    }
}

/// The receiving end of a link. Dropping it tells the peer that nobody listens.
pub struct LinkReceiver<M> {
    source: Source,
    /// The outbox of the same link: it closes when nothing comes any more.
    outbox: Arc<Outbox>,
    /// What was read and is not a whole parcel yet.
    read: BytesMut,
    messages: PhantomData<fn() -> M>,
}

/// Where the bytes come from.
pub(crate) enum Source {
    Stream(RecvStream),
    Memory(Tap),
}

/// The outbox of a peer in the same process, which this end drains itself.
pub(crate) struct Tap {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) taken: Vec<u8>,
    /// How much of it was read.
    pub(crate) read: usize,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.outbox.on_lost();
    }
}

impl<M: Message> LinkReceiver<M> {
    /// Waits for at least one parcel, then appends all whole ones that were read with it (up to
    /// [`WRITE_SIZE`] bytes, or one larger parcel, at a time). Cancel safe.
    ///
    /// A payload is a slice of the buffer that was read: as long as it lives, so do the up to 64 KiB around it. Copy small
    /// payloads that are kept for long.
    ///
    /// # Errors
    /// When the link has ended; what came before the end is in `into`. It stays ended.
    pub async fn receive(&mut self, into: &mut Vec<Parcel<M>>) -> Result<(), LinkError> {
        let before = into.len();
        while into.len() == before {
            let step = match self.source.read(&mut self.read).await {
                Ok(()) => decode_parcels(&mut self.read, into).map_err(LinkError::Garbage),
                Err(error) => Err(error),
            };
            if let Err(error) = step {
                self.source.stop();
                self.outbox.close();
                return Err(error);
            }
        }
        if self.read.is_empty() && self.read.capacity() > BUFFER_KEPT {
            self.read = BytesMut::new();
        }
        Ok(())
    }
}

impl<M> fmt::Debug for LinkReceiver<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver").field("buffered", &self.read.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// Waits for bytes and appends what is there.
    async fn read(&mut self, into: &mut BytesMut) -> Result<(), LinkError> {
        match self {
            Self::Stream(stream) => {
                into.reserve(WRITE_SIZE);
                match stream.read_buf(into).await {
                    Ok(0) => Err(LinkError::Closed(ENDED.to_owned())),
                    Ok(_) => Ok(()),
                    Err(error) => Err(read_error(error)),
                }
            }
            Self::Memory(tap) => {
                if tap.read == tap.taken.len() {
                    // Both before the wait, which may be given up.
                    tap.taken.clear();
                    tap.read = 0;
                    if !tap.outbox.take(&mut tap.taken).await {
                        return Err(LinkError::Closed(ENDED.to_owned()));
                    }
                }
                let piece = &tap.taken[tap.read..tap.taken.len().min(tap.read + WRITE_SIZE)];
                into.extend_from_slice(piece);
                tap.read += piece.len();
                tap.outbox.on_written(piece.len());
                Ok(())
            }
        }
    }

    /// Nobody will read any more.
    fn stop(&mut self) {
        match self {
            // It may have ended by itself, which is as good.
            Self::Stream(stream) => drop(stream.stop(VarInt::from_u32(0))),
            Self::Memory(tap) => tap.outbox.on_lost(),
        }
    }
}

fn read_error(error: io::Error) -> LinkError {
    match error.downcast::<ReadError>() {
        Ok(ReadError::ConnectionLost(ConnectionError::TimedOut)) => LinkError::TimedOut,
        Ok(ReadError::ConnectionLost(error)) => LinkError::Closed(describe(&error)),
        // Reset by the peer, or stopped here before.
        Ok(other) => LinkError::Closed(other.to_string()),
        Err(other) => LinkError::Closed(other.to_string()),
    }
}

/// Tells everybody who waits for the outbox that nothing will be written any more, however the writer ends: with its
/// link, or dropped with its runtime.
struct Writer(Arc<Outbox>);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.on_lost();
    }
}

/// Drains the outbox into the stream until the link ends.
async fn write(writer: Writer, mut stream: SendStream, connection: Connection) {
    let outbox = &writer.0;
    let unheard = stream.stopped();
    let mut lost = pin!(async {
        tokio::select! {
            _ = unheard => {}
            _ = connection.closed() => {}
        }
    });
    let mut buffer = Vec::new();
    loop {
        let taken = tokio::select! {
            taken = outbox.take(&mut buffer) => taken,
            () = &mut lost => false,
        };
        if !taken || write_all(outbox, &mut stream, &buffer).await.is_err() {
            break;
        }
    }
    // The stream may have ended by itself, which is as good.
    let _ = stream.finish();
}

async fn write_all(outbox: &Outbox, stream: &mut SendStream, buffer: &[u8]) -> Result<(), quinn::WriteError> {
    for piece in buffer.chunks(WRITE_SIZE) {
        stream.write_all(piece).await?;
        outbox.on_written(piece.len());
    }
    Ok(())
}
