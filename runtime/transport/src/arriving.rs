//! The bytes of a value on their way here, taken as they arrive; where they are put is decided by whoever takes them.
use crate::bulk::moving;
use crate::error::BulkError;
use crate::frame::FrameError;
use crate::limits::{BULK_AHEAD, BULK_CHUNKS};
use bytes::{Bytes, BytesMut};
use quiltwork_protocol::ByteRange;
use quiltwork_types::Encoding;
use quinn::RecvStream;
use std::ops::Range;

/// A stretch of a value on its way here. Dropping it stops the transfer.
#[derive(Debug)]
pub struct Arriving {
    encoding: Encoding,
    size: u64,
    body: Body,
}

impl Arriving {
    pub(crate) fn new(encoding: Encoding, size: u64, range: ByteRange, stream: RecvStream) -> Self {
        Self { encoding, size, body: Body::new(stream, range.within(size)) }
    }

    /// How to read the value.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The size of the whole value in bytes, as the peer claims.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What has not been taken yet, as offsets in the value.
    #[must_use]
    pub fn left(&self) -> Range<u64> {
        self.body.left.clone()
    }

    /// The next bytes, in up to 64 chunks one behind the other, and the offset of the first of them in the value; none when all have
    /// come. Cancel safe.
    ///
    /// # Errors
    /// If the transfer breaks or stalls, or brings more than was asked for.
    pub async fn next(&mut self) -> Result<Option<(u64, &[Bytes])>, BulkError> {
        self.body.next().await
    }

    /// Takes all bytes that are left and joins them.
    ///
    /// # Errors
    /// If they are more than `limit`, or the transfer breaks or stalls.
    pub async fn collect(self, limit: u64) -> Result<Bytes, BulkError> {
        self.body.collect(limit).await
    }
}

/// Bytes at the end of a stream, whose number was announced.
#[derive(Debug)]
pub(crate) struct Body {
    stream: RecvStream,
    /// Offsets of what has not been taken.
    left: Range<u64>,
    /// What was handed out last.
    chunks: Box<[Bytes]>,
}

impl Body {
    /// The bytes at these offsets, and then the end of the stream.
    pub(crate) fn new(stream: RecvStream, left: Range<u64>) -> Self {
        Self { stream, left, chunks: vec![Bytes::new(); BULK_CHUNKS].into() }
    }

    async fn next(&mut self) -> Result<Option<(u64, &[Bytes])>, BulkError> {
        // Whoever is done with the last chunks shall not keep their memory while waiting for more.
        self.chunks.fill(Bytes::new());
        let left = self.left.end - self.left.start;
        let count = match moving(self.stream.read_chunks(&mut self.chunks)).await? {
            Ok(Some(count)) => count,
            Ok(None) if left == 0 => return Ok(None),
            Ok(None) => return Err(BulkError::Broken(format!("it ends {left} bytes early"))),
            Err(error) => return Err(FrameError::from(error).into()),
        };
        let chunks = &self.chunks[..count];
        let taken: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        if taken > left {
            return Err(BulkError::Broken(format!("it goes on after the announced {} bytes", self.left.end)));
        }
        let start = self.left.start;
        self.left.start += taken;
        Ok(Some((start, chunks)))
    }

    /// Takes everything. Room is made as bytes arrive, because a size is only a claim.
    pub(crate) async fn collect(mut self, limit: u64) -> Result<Bytes, BulkError> {
        let size = self.left.end - self.left.start;
        if size > limit {
            return Err(BulkError::TooLarge { size, limit });
        }
        let ahead = usize::try_from(size.min(BULK_AHEAD)).expect("small enough for any machine");
        let mut body = BytesMut::with_capacity(ahead);
        while let Some((_, chunks)) = self.next().await? {
            chunks.iter().for_each(|chunk| body.extend_from_slice(chunk));
        }
        Ok(body.freeze())
    }
}
