//! One value is brought here: the first holder that has it says how large it is, then up to four send pieces of it at the
//! same time, and what one of them does not bring another one is asked for. Where it is kept is up to the store.
use super::landing::Landing;
use super::sources::{Refusal, Source, Sources};
use super::{Flight, Peers, Stream};
use crate::arguments::Output;
use crate::failure::TaskError;
use crate::store::{Incoming, Origin, ValueStore};
use quiltwork_protocol::{ByteRange, Holder};
use quiltwork_transport::{Arriving, BulkError};
use quiltwork_types::{Encoding, ValueId};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// From this size on several holders send a value at the same time, in bytes: below, one is done before the others have
/// been asked.
const SHARED: u64 = 32 << 20;
/// Bytes that one of several holders is asked for at a time: few enough that all end at about the same time, and so many
/// that the pause between two requests does not count.
const PIECE: u64 = 16 << 20;
/// Room for up to so many bytes is made on the session's own thread: it takes less than a tenth of a millisecond.
const BEGUN_AT_ONCE: u64 = 128 << 10;

/// Brings a value from those of `holders` that have it into the store; none if nobody has it. What has arrived can be read
/// through the flight meanwhile.
///
/// # Errors
/// If it cannot be kept.
pub(super) async fn bring(
    peers: &Peers,
    flight: &Flight,
    value: ValueId,
    holders: &[Holder],
) -> Result<Option<Output>, TaskError> {
    let mut sources = Sources::new(holders, peers.worker);
    let Some((source, stream)) = ask_first(peers, value, &mut sources).await else { return Ok(None) };
    let Stream { arriving, .. } = &stream;
    let incoming = make_room(&peers.store, value, arriving.encoding(), arriving.size()).await?;
    let landing = Arc::new(Landing::new(arriving, incoming));
    flight.show(&landing);
    let (size, began) = (arriving.size(), Instant::now());
    let transfer = Transfer { peers, value, landing, sources: Mutex::new(sources) };
    let first = transfer.fetch_pieces(Some((source, stream)));
    if size >= SHARED {
        let more = || transfer.fetch_pieces(None);
        tokio::try_join!(first, more(), more(), more())?;
    } else {
        first.await?;
    }
    let landed = transfer.landing.finish()?;
    tracing::debug!(%value, size, took = ?began.elapsed(), is_whole = landed.is_some(), "a fetch has ended");
    Ok(landed)
}

/// Makes room where the value will be kept: on another thread if that may take long, because memory must be found for it.
async fn make_room(
    store: &Arc<dyn ValueStore>,
    value: ValueId,
    encoding: Encoding,
    size: u64,
) -> Result<Box<dyn Incoming>, TaskError> {
    let store = Arc::clone(store);
    let is_quick = size <= BEGUN_AT_ONCE && store.has_room(size);
    let begin = move || store.begin(value, Origin::Copied, encoding, size);
    if is_quick {
        return begin();
    }
    let begun = tokio::task::spawn_blocking(begin).await;
    begun.unwrap_or_else(|error| Err(TaskError::StoreBroken(io::Error::other(error))))
}

/// Asks one source after the other until one has the value. It is asked for all of it, if there is no other.
async fn ask_first<'a>(peers: &'a Peers, value: ValueId, sources: &mut Sources) -> Option<(Source, Stream<'a>)> {
    let range = if sources.count() > 1 { ByteRange { start: 0, length: PIECE } } else { ByteRange::WHOLE };
    while let Some(source) = sources.take() {
        match peers.ask(&source.holder, value, range, peers.keeper(source.insists)).await {
            Ok(Stream { arriving, .. }) if arriving.size() > peers.value_limit => {
                let (size, limit) = (arriving.size(), peers.value_limit);
                sources.on_refusal(source, BulkError::TooLarge { size, limit }.into());
            }
            Ok(stream) => return Some((source, stream)),
            Err(refusal) => sources.on_refusal(source, refusal),
        }
    }
    None
}

/// A value of known size on its way.
struct Transfer<'a> {
    peers: &'a Peers,
    value: ValueId,
    landing: Arc<Landing>,
    sources: Mutex<Sources>,
}

impl<'a> Transfer<'a> {
    /// Fetches one piece after the other until nothing is left to ask for, or nobody to be asked.
    async fn fetch_pieces(&self, mut begun: Option<(Source, Stream<'a>)>) -> Result<(), TaskError> {
        loop {
            let next = match begun.take() {
                Some(begun) => Some(begun),
                None => self.ask_next().await,
            };
            let Some((mut source, stream)) = next else { return Ok(()) };
            match self.land(&mut source, stream.arriving).await? {
                Ok(()) => self.sources().give_back(source),
                Err(cut) => self.sources().on_refusal(source, cut.into()),
            }
        }
    }

    /// Asks one source after the other for the next piece.
    async fn ask_next(&self) -> Option<(Source, Stream<'a>)> {
        loop {
            let source = self.sources().take()?;
            let Some(piece) = self.landing.take(PIECE) else {
                // Whoever has to ask for more, because another source is cut, will find it.
                self.sources().give_back(source);
                return None;
            };
            let asker = self.peers.keeper(source.insists);
            let refusal = match self.peers.ask(&source.holder, self.value, piece.clone().into(), asker).await {
                Ok(stream) if self.landing.fits(&stream.arriving, &piece) => return Some((source, stream)),
                Ok(_) => Refusal::Missing,
                Err(refusal) => refusal,
            };
            self.landing.give_back(piece);
            self.sources().on_refusal(source, refusal);
        }
    }

    /// Writes what arrives; the rest of it, if it is cut, is to be asked for again.
    async fn land(&self, source: &mut Source, mut arriving: Arriving) -> Result<Result<(), BulkError>, TaskError> {
        loop {
            match arriving.next().await {
                Ok(Some((offset, chunks))) => {
                    self.landing.write(offset, chunks)?;
                    source.on_bytes();
                }
                Ok(None) => return Ok(Ok(())),
                Err(error) => {
                    self.landing.give_back(arriving.left());
                    return Ok(Err(error));
                }
            }
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
