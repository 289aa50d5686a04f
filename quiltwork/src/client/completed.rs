//! Many handles watched at once: each is looked at only when something happened to it.
use super::handle::{Handle, Target};
use crate::context::Waiting;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Hands out handles in the order in which their tasks end, well or not.
///
/// ```no_run
/// # async fn run(client: quiltwork::Client, handles: Vec<quiltwork::Handle<u64>>) -> quiltwork::Result<()> {
/// let mut completed = quiltwork::as_completed(handles);
/// while let Some((index, handle)) = completed.next().await {
///     println!("number {index} made {}", handle.await?);
/// }
/// # Ok(())
/// # }
/// ```
pub fn as_completed<T>(handles: impl IntoIterator<Item = Handle<T>>) -> AsCompleted<T> {
    let handles: Vec<_> = handles.into_iter().map(Some).collect();
    AsCompleted { watch: Watch::new(handles.len()), handles }
}

/// See [`as_completed`].
pub struct AsCompleted<T> {
    handles: Vec<Option<Handle<T>>>,
    watch: Watch,
}

impl<T> AsCompleted<T> {
    /// The next handle whose task has ended, with its place in the list; none when all have been handed out. Cancel safe.
    #[expect(clippy::should_implement_trait, reason = "it is what streams call it; it cannot be an iterator's")]
    pub fn next(&mut self) -> impl Future<Output = Option<(usize, Handle<T>)>> + Send {
        let mut waiting = Waiting::default();
        std::future::poll_fn(move |context| {
            let Self { handles, watch } = self;
            let next = watch.poll_next(context, |index| handles[index].as_ref().map(Handle::target));
            waiting.during(next.map(|found| {
                let index = found?;
                Some((index, handles[index].take().expect("each is found once")))
            }))
        })
    }

    /// How many have not been handed out.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.watch.left
    }

    /// Whether all have been handed out.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.watch.left == 0
    }
}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsCompleted").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// Knows which of many targets to look at.
struct Watch {
    left: usize,
    board: Arc<Board>,
}

/// Where the targets leave word that something happened to them.
struct Board {
    news: Mutex<News>,
}

struct News {
    /// To be looked at; in the beginning everything.
    places: VecDeque<usize>,
    watcher: Option<Waker>,
}

/// Leaves word for one target.
struct Bell {
    place: usize,
    board: Arc<Board>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let watcher = {
            let mut news = self.board.news();
            news.places.push_back(self.place);
            news.watcher.take()
        };
        if let Some(watcher) = watcher {
            watcher.wake();
        }
    }
}

impl Board {
    /// Poison means nothing here: no change is made in more than one step.
    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    fn new(count: usize) -> Self {
        let news = Mutex::new(News { places: (0..count).collect(), watcher: None });
        Self { left: count, board: Arc::new(Board { news }) }
    }

    /// The next target that has ended; none when all have. `target` says nothing of those that were found before.
    fn poll_next<'a>(
        &mut self,
        context: &Context<'_>,
        target: impl Fn(usize) -> Option<&'a Target>,
    ) -> Poll<Option<usize>> {
        while self.left > 0 {
            let place = {
                let mut news = self.board.news();
                let Some(place) = news.places.pop_front() else {
                    news.watcher = Some(context.waker().clone());
                    return Poll::Pending;
                };
                place
            };
            let bell = Waker::from(Arc::new(Bell { place, board: Arc::clone(&self.board) }));
            let Some(target) = target(place) else { continue };
            if target.poll_ended(&bell).is_ready() {
                self.left -= 1;
                return Poll::Ready(Some(place));
            }
        }
        Poll::Ready(None)
    }
}
