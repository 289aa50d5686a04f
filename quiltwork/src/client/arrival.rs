//! A value on its way to this client: what has arrived stays when one holder breaks off, and the next one is asked for the
//! rest. Whom to ask is decided elsewhere.
use super::cell::Cell;
use bytes::{Bytes, BytesMut};
use quiltwork_protocol::{Asker, ByteRange};
use quiltwork_transport::{BulkError, Connection, Fetched};
use quiltwork_types::{Encoding, ValueId};

/// Bytes set aside before any has arrived: a size is only a claim.
const AHEAD: u64 = 64 << 20;

/// What has arrived of one value.
pub(super) struct Arrival {
    value: ValueId,
    /// The largest value accepted, in bytes.
    limit: u64,
    /// As the first holder has said.
    head: Option<(Encoding, u64)>,
    bytes: BytesMut,
}

impl Arrival {
    pub(super) fn new(value: ValueId, limit: u64) -> Self {
        Self { value, limit, head: None, bytes: BytesMut::new() }
    }

    /// Fetches what has not arrived yet, and tells the cell how far it is; none if the peer does not have the value.
    ///
    /// # Errors
    /// If the value is too large, the peer refuses, or the transfer breaks or stalls.
    pub(super) async fn fetch(
        &mut self,
        connection: &Connection,
        cell: &Cell,
    ) -> Result<Option<(Encoding, Bytes)>, BulkError> {
        let rest = ByteRange { start: self.bytes.len() as u64, length: u64::MAX };
        let mut arriving = match connection.fetch_range(self.value, rest, Asker::Reader).await? {
            Fetched::Found(arriving) => arriving,
            Fetched::Missing => return Ok(None),
            Fetched::Elsewhere { .. } => {
                return Err(BulkError::Broken("a reader was told to ask elsewhere".to_owned()));
            }
        };
        let (encoding, size) = self.check(arriving.encoding(), arriving.size())?;
        while let Some((_, chunks)) = arriving.next().await? {
            chunks.iter().for_each(|chunk| self.bytes.extend_from_slice(chunk));
            cell.on_bytes(self.bytes.len() as u64, size);
        }
        Ok(Some((encoding, std::mem::take(&mut self.bytes).freeze())))
    }

    /// All holders must say the same.
    fn check(&mut self, encoding: Encoding, size: u64) -> Result<(Encoding, u64), BulkError> {
        if size > self.limit {
            return Err(BulkError::TooLarge { size, limit: self.limit });
        }
        if self.head.is_none() {
            self.bytes.reserve(usize::try_from(size.min(AHEAD)).expect("small enough for any machine"));
        }
        let head = *self.head.get_or_insert((encoding, size));
        if head == (encoding, size) { Ok(head) } else { Err(BulkError::Broken("it is another value".to_owned())) }
    }
}
