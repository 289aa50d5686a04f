//! Single length-prefixed heads: how hellos and bulk requests lie on a stream (`u32` little endian, then the head).
use crate::limits::FRAME_LIMIT;
use quiltwork_protocol::{CodecError, codec};
use quinn::{ReadError, RecvStream};
use serde::Serialize;
use serde::de::DeserializeOwned;

const PREFIX: usize = 4;

/// Why no frame could be read.
pub(crate) enum FrameError {
    /// The connection is gone.
    Lost(quinn::ConnectionError),
    /// The stream ended or holds something else.
    Broken(String),
}

/// Appends the frame of `head`, which is one of ours and small.
pub(crate) fn encode_frame<T: Serialize>(head: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    let len = codec::encode_head(head, out)?;
    let prefix = u32::try_from(len).expect("limited by HEAD_LIMIT").to_le_bytes();
    out[start..start + PREFIX].copy_from_slice(&prefix);
    Ok(())
}

/// Reads from the front of a stream. What was read survives a dropped `read`, so that it can be waited for in turns.
#[derive(Default)]
pub(crate) struct FrameReader {
    read: Vec<u8>,
}

impl FrameReader {
    /// Reads one frame; the bytes behind it stay in the stream.
    pub(crate) async fn read<T: DeserializeOwned>(&mut self, stream: &mut RecvStream) -> Result<T, FrameError> {
        let prefix = self.fill(stream, PREFIX).await?;
        let len = u32::from_le_bytes(prefix.try_into().expect("filled to four bytes")) as usize;
        if len > FRAME_LIMIT {
            return Err(FrameError::Broken(format!("{len} bytes are announced, the limit is {FRAME_LIMIT}")));
        }
        let head = codec::decode_head(&self.fill(stream, PREFIX + len).await?[PREFIX..]);
        self.read.clear();
        head.map_err(|error| FrameError::Broken(error.to_string()))
    }

    /// Reads until this many bytes are there.
    async fn fill(&mut self, stream: &mut RecvStream, wanted: usize) -> Result<&[u8], FrameError> {
        while self.read.len() < wanted {
            match stream.read_chunk(wanted - self.read.len(), true).await {
                Ok(Some(chunk)) => self.read.extend_from_slice(&chunk.bytes),
                Ok(None) => return Err(FrameError::Broken("it ends early".to_owned())),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(&self.read[..wanted])
    }
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::ConnectionLost(error) => Self::Lost(error),
            other => Self::Broken(other.to_string()),
        }
    }
}
