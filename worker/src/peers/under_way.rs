//! Reading a value that is still on its way here, for those who are to have it from here; it holds up nothing.
use super::landing::Landing;
use bytes::Bytes;
use quiltwork_types::Encoding;
use std::ops::Range;
use std::sync::Weak;
use tokio::sync::watch;

/// Bytes read at a time: few enough to stay in the processor's cache until they are sent.
const READ_SIZE: u64 = 256 << 10;

/// A value that is being fetched, or soon will be. It does not keep the fetch alive.
pub(crate) struct UnderWay {
    landing: watch::Receiver<Weak<Landing>>,
}

/// A value whose first bytes are here.
pub(crate) struct Begun {
    pub(crate) encoding: Encoding,
    /// Of the whole value, in bytes.
    pub(crate) size: u64,
    landing: Weak<Landing>,
    news: watch::Receiver<()>,
}

impl UnderWay {
    pub(super) const fn new(landing: watch::Receiver<Weak<Landing>>) -> Self {
        Self { landing }
    }

    /// Waits until a holder has said what the value is; none if the fetch ends before.
    pub(crate) async fn begun(mut self) -> Option<Begun> {
        let landing = self.landing.wait_for(|landing| landing.strong_count() > 0).await.ok()?.clone();
        let (encoding, size, news) = landing.upgrade()?.head();
        Some(Begun { encoding, size, landing, news })
    }
}

impl Begun {
    /// The next bytes of this stretch, as soon as they are here; none if it is empty or the fetch has ended.
    pub(crate) async fn next(&mut self, Range { start, end }: Range<u64>) -> Option<Bytes> {
        let range = start..end.min(start.saturating_add(READ_SIZE));
        while !range.is_empty() {
            self.news.mark_unchanged();
            let bytes = self.landing.upgrade()?.read(range.clone())?;
            if !bytes.is_empty() {
                return Some(bytes);
            }
            self.news.changed().await.ok()?;
        }
        None
    }
}
