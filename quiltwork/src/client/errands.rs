//! What the I/O thread is asked to do by threads that must not wait: a list with a bell, emptied all at once.
//!
//! Its length is bounded by what the callers hold: each handle is released and cancelled at most once and fetched one at
//! a time, and the bytes of uploads are counted against a limit.
use super::cell::Cell;
use bytes::Bytes;
use quiltwork_types::TaskId;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::time::{timeout, timeout_at};

/// Callers wait before they make another upload while more than this many bytes are on their way.
const UPLOADS_LIMIT: usize = 256 << 20;

/// How long a release may wait for something else that is said to the master. To wake two threads for each would cost
/// more than the task it is about.
const LINGER: Duration = Duration::from_millis(1);

/// The list.
#[derive(Default)]
pub(super) struct Errands {
    list: Mutex<List>,
    bell: Notify,
    room: Condvar,
}

/// Everything to be done since the thread last looked.
#[derive(Default)]
pub(super) struct List {
    pub(super) cancels: Vec<TaskId>,
    pub(super) releases: Vec<TaskId>,
    pub(super) uploads: Vec<Upload>,
    pub(super) fetches: Vec<Arc<Cell>>,
    pub(super) alarms: Vec<Clock>,
    /// The thread was told that there are releases, and has not looked since.
    lingering: bool,
    /// Cancels were taken, and the master may not have been told of them yet.
    cancelling: bool,
    /// Nobody holds the session any more: say good-bye when the rest is done.
    pub(super) finish: bool,
    /// Bytes of uploads that have not ended, and of values in the area that were not adopted; stays when the rest is taken.
    uploading: usize,
    /// There is no link: nothing is worth waiting for.
    lost: bool,
}

/// Somebody wants to be woken at a time; dropping it takes that back.
pub(super) struct Alarm {
    waker: Waker,
    _wanted: oneshot::Sender<()>,
}

/// The other side of an [`Alarm`].
pub(super) struct Clock {
    at: Instant,
    waker: Waker,
    is_wanted: oneshot::Receiver<()>,
}

impl Alarm {
    /// Whether it would wake the same task.
    pub(super) fn rings_for(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }
}

impl Clock {
    /// Waits for the time and wakes, unless nobody wants that any more.
    pub(super) async fn run(self) {
        if timeout_at(self.at.into(), self.is_wanted).await.is_err() {
            self.waker.wake();
        }
    }
}

/// A value on its way to the master.
pub(super) struct Upload {
    pub(super) task: TaskId,
    pub(super) bytes: Bytes,
}

impl Errands {
    pub(super) fn cancel(&self, task: TaskId) {
        self.add(|list| list.cancels.push(task));
    }

    pub(super) fn release(&self, tasks: impl IntoIterator<Item = TaskId>) {
        let mut list = self.list();
        if list.lost {
            return;
        }
        list.releases.extend(tasks);
        let was_told = std::mem::replace(&mut list.lingering, true);
        drop(list);
        if !was_told {
            self.bell.notify_one();
        }
    }

    /// Takes the releases, to be said at once. None while a cancel is not said yet: it must not come after the release,
    /// for the task would not be this client's any more.
    pub(super) fn take_releases(&self) -> Vec<TaskId> {
        let mut list = self.list();
        let is_free = list.cancels.is_empty() && !list.cancelling;
        if is_free { std::mem::take(&mut list.releases) } else { Vec::new() }
    }

    /// The master was told of the cancels that were taken.
    pub(super) fn on_cancels_said(&self) {
        self.list().cancelling = false;
    }

    pub(super) fn fetch(&self, cell: Arc<Cell>) {
        self.add(|list| list.fetches.push(cell));
    }

    /// Has the waker woken at that time, if the alarm still lives then and there still is a link.
    pub(super) fn set_alarm(&self, at: Instant, waker: &Waker) -> Alarm {
        let (wanted, is_wanted) = oneshot::channel();
        self.add(|list| list.alarms.push(Clock { at, waker: waker.clone(), is_wanted }));
        Alarm { waker: waker.clone(), _wanted: wanted }
    }

    /// Waits until there is room for another upload; one of any size is let through when nothing else is on its way.
    pub(super) fn wait_for_room(&self) {
        let full = |list: &mut List| list.uploading >= UPLOADS_LIMIT && !list.lost;
        drop(self.room.wait_while(self.list(), full).unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn upload(&self, upload: Upload) {
        self.add(|list| {
            list.uploading += upload.bytes.len();
            list.uploads.push(upload);
        });
    }

    /// A value of this many bytes in the area waits to be adopted.
    pub(super) fn on_written(&self, bytes: usize) {
        self.list().uploading += bytes;
    }

    /// An upload, or the wait for an adoption, of this many bytes has ended, well or not.
    pub(super) fn on_uploaded(&self, bytes: usize) {
        self.list().uploading -= bytes;
        self.room.notify_all();
    }

    pub(super) fn on_lost(&self) {
        self.list().lost = true;
        self.room.notify_all();
    }

    pub(super) fn finish(&self) {
        self.add(|list| list.finish = true);
    }

    /// Waits for errands and takes them all. Releases alone are left for a moment to whoever says something else.
    pub(super) async fn take(&self) -> List {
        loop {
            self.bell.notified().await;
            if self.list().may_linger() {
                // Cut short by an errand of another kind.
                let _ = timeout(LINGER, self.bell.notified()).await;
            }
            let mut list = self.list();
            let List { finish, uploading, lost, .. } = *list;
            let cancelling = !list.cancels.is_empty();
            let left = List { cancelling, finish, uploading, lost, ..List::default() };
            let taken = std::mem::replace(&mut *list, left);
            if !taken.is_empty() {
                return taken;
            }
        }
    }

    /// Without a link nobody comes to do it any more.
    fn add(&self, change: impl FnOnce(&mut List)) {
        let mut list = self.list();
        if !list.lost {
            change(&mut list);
            drop(list);
            self.bell.notify_one();
        }
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl List {
    fn is_empty(&self) -> bool {
        let Self { cancels, releases, uploads, fetches, alarms, finish, .. } = self;
        let nothing = cancels.is_empty() && releases.is_empty() && uploads.is_empty();
        nothing && fetches.is_empty() && alarms.is_empty() && !finish
    }

    /// Whether nothing but releases has come, which somebody else may have said meanwhile.
    fn may_linger(&self) -> bool {
        let Self { cancels, uploads, fetches, alarms, finish, lingering, .. } = self;
        let nothing = cancels.is_empty() && uploads.is_empty() && fetches.is_empty() && alarms.is_empty();
        nothing && *lingering && !finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::JobId;

    const fn task(index: u32) -> TaskId {
        TaskId { job: JobId(1), index }
    }

    #[test]
    fn releases_can_be_said_by_whoever_says_something_and_are_not_said_twice() {
        let errands = Errands::default();
        errands.release([task(1), task(2)]);
        assert_eq!(errands.take_releases(), [task(1), task(2)]);
        assert_eq!(errands.take_releases(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_release_waits_for_the_cancel_before_it_to_be_said() {
        let errands = Errands::default();
        errands.cancel(task(1));
        errands.release([task(1)]);
        assert_eq!(errands.take_releases(), []);
        let taken = errands.take().await;
        assert_eq!((taken.cancels, taken.releases), (vec![task(1)], vec![task(1)]));
        errands.release([task(2)]);
        assert_eq!(errands.take_releases(), [], "the cancel is on its way");
        errands.on_cancels_said();
        assert_eq!(errands.take_releases(), [task(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn releases_nobody_takes_along_are_taken_by_the_thread_in_the_end() {
        let errands = Errands::default();
        errands.release([task(1)]);
        errands.release([task(2)]);
        assert_eq!(errands.take().await.releases, [task(1), task(2)]);
    }
}
