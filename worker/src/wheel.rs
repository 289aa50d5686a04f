//! The wheel: which thread drives the runtime the session lives on. It knows nothing of jobs and calls.
//!
//! A thread that waits for work drives meanwhile: it takes a message in itself, runs what that brings and sends the report
//! off, and no other thread has to be woken for it. Whoever goes off to run a function leaves the wheel alone, since to
//! wake another thread for a microsecond of work would cost what this saves. The steward, the thread the worker began
//! with, takes a wheel over that is alone for longer than [`ALONE`], or at once where that is to be expected; it watches
//! only while the wheel changes hands.
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::{JoinError, yield_now};

/// How long the wheel may be alone.
const ALONE: Duration = Duration::from_millis(1);
/// If functions are expected to run this long, the steward drives meanwhile from the beginning.
const LONG: Duration = Duration::from_micros(200);
/// The same if so many are waiting: then messages are large, and two threads get more done than one in turns.
const MANY: usize = 8;
/// After so many looks during which the wheel did not change hands the steward sleeps until it is called.
const QUIET_LOOKS: u32 = 4;

/// A runtime that is let go of without waiting for what it still does, wherever the last who drives it lets go.
pub(crate) struct Engine(Option<Runtime>);

impl Engine {
    pub(crate) fn new(runtime: Runtime) -> Arc<Self> {
        Arc::new(Self(Some(runtime)))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("only dropping it takes it")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Who drives, and who should.
pub(crate) struct Wheel {
    engine: Weak<Engine>,
    state: Mutex<State>,
    /// Wakes the steward.
    bell: Condvar,
    /// How long functions ran of late, in nanoseconds.
    pace: AtomicU64,
}

struct State {
    driver: Option<ThreadId>,
    steward: Option<ThreadId>,
    /// Wakes whoever drives: all are woken the same way.
    waker: Option<Waker>,
    /// The driver shall stop driving.
    is_to_be_left: bool,
    /// When it was left last.
    left: Instant,
    /// How often it was left.
    changes: u64,
    /// The steward shall take it as soon as nobody drives.
    is_called: bool,
    /// The steward looks by itself before long.
    is_watched: bool,
    /// Nobody but the steward drives any more.
    is_home: bool,
}

impl Wheel {
    /// The wheel of a runtime nobody drives yet.
    pub(crate) fn new(engine: &Arc<Engine>) -> Arc<Self> {
        Arc::new(Self::of(Arc::downgrade(engine)))
    }

    /// A wheel that drives nothing, for who is driven otherwise.
    #[cfg(test)]
    pub(crate) fn idle() -> Arc<Self> {
        Arc::new(Self::of(Weak::new()))
    }

    fn of(engine: Weak<Engine>) -> Self {
        let state = State {
            driver: None,
            steward: None,
            waker: None,
            is_to_be_left: false,
            left: Instant::now(),
            changes: 0,
            is_called: true,
            is_watched: false,
            is_home: false,
        };
        Self { engine, state: Mutex::new(state), bell: Condvar::new(), pace: AtomicU64::new(0) }
    }

    /// Takes the wheel for this thread, unless another has it.
    pub(crate) fn take(&self) -> Option<Driving<'_>> {
        let mut state = self.lock();
        if state.driver.is_some() || state.is_home {
            return None;
        }
        let engine = self.engine.upgrade()?;
        Some(self.hand_to_this_thread(&mut state, engine))
    }

    fn hand_to_this_thread(&self, state: &mut State, engine: Arc<Engine>) -> Driving<'_> {
        state.driver = Some(thread::current().id());
        state.is_called = false;
        Driving { wheel: self, engine }
    }

    /// Whoever drives stops: another thread has work now, and drives when it has done it.
    pub(crate) fn release(&self) {
        have_it_left(self.lock());
    }

    /// The same if it is this thread that drives and has just woken another, for no more than a few short functions.
    pub(crate) fn pass_on(&self, functions: usize) {
        if !self.expects_long(functions) {
            let state = self.lock();
            if state.driver == Some(thread::current().id()) {
                have_it_left(state);
            }
        }
    }

    /// Whether the driver is going to stop in a moment.
    pub(crate) fn is_to_be_left(&self) -> bool {
        self.lock().is_to_be_left
    }

    /// Notes how long a function ran.
    pub(crate) fn note(&self, ran: Duration) {
        let ran = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        // Two threads at once may lose one of the two: it is an estimate.
        let pace = self.pace.load(Ordering::Relaxed);
        self.pace.store((pace / 4 * 3).saturating_add(ran / 4), Ordering::Relaxed);
    }

    /// Whether so many functions, one after the other, are expected to keep their thread.
    fn expects_long(&self, functions: usize) -> bool {
        functions >= MANY || Duration::from_nanos(self.pace.load(Ordering::Relaxed)) >= LONG
    }

    /// This thread is about to run the first of so many functions.
    pub(crate) fn on_work(&self, functions: usize) {
        if self.expects_long(functions) {
            self.call_steward();
        }
    }

    /// Has the steward drive if nobody else does than this thread, which stops now or has other things to do.
    pub(crate) fn call_steward(&self) {
        let mut state = self.lock();
        if state.is_called || state.driver.is_some_and(|driver| driver != thread::current().id()) {
            return;
        }
        state.is_called = true;
        if state.driver.is_none() {
            self.bell.notify_one();
        }
    }

    /// Waits until the steward drives, as it does from then on alone.
    pub(crate) async fn come_home(&self) {
        self.go_home();
        // Once at least: what others were woken for, such as sending what was handed to them, comes first.
        yield_now().await;
        while !self.lock().is_with_steward() {
            yield_now().await;
        }
    }

    fn go_home(&self) {
        let mut state = self.lock();
        state.is_home = true;
        state.is_called = true;
        self.bell.notify_one();
        have_it_left(state);
    }

    /// Lives as the steward on this thread until the session has ended.
    ///
    /// # Errors
    /// If the session panicked.
    pub(crate) fn stand_by<F>(self: &Arc<Self>, engine: &Arc<Engine>, session: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.lock().steward = Some(thread::current().id());
        let homeward = Homeward(Arc::clone(self));
        let mut session = engine.runtime().spawn(async move {
            let _homeward = homeward;
            session.await
        });
        loop {
            let driving = self.wait_for_turn(engine);
            if let Some(outcome) = driving.drive(|context| Pin::new(&mut session).poll(context)) {
                return outcome;
            }
        }
    }

    /// Waits until the steward is called, or the wheel has been alone for too long.
    fn wait_for_turn(&self, engine: &Arc<Engine>) -> Driving<'_> {
        let mut state = self.lock();
        let (mut seen, mut quiet_looks) = (state.changes, 0);
        loop {
            let alone = state.left.elapsed();
            let wait = match state.driver {
                None if state.is_called || alone >= ALONE => {
                    state.is_watched = false;
                    return self.hand_to_this_thread(&mut state, Arc::clone(engine));
                }
                None => ALONE.saturating_sub(alone),
                Some(_) => ALONE,
            };
            quiet_looks =
                if std::mem::replace(&mut seen, state.changes) == state.changes { quiet_looks + 1 } else { 0 };
            state.is_watched = state.driver.is_none() || quiet_looks < QUIET_LOOKS;
            state = if state.is_watched {
                self.bell.wait_timeout(state, wait).expect(LOCK_HOLDS).0
            } else {
                self.bell.wait(state).expect(LOCK_HOLDS)
            };
        }
    }

    fn poll_left(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.is_to_be_left {
            return Poll::Ready(());
        }
        if state.waker.is_none() {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    fn leave(&self) {
        let mut state = self.lock();
        state.driver = None;
        state.is_to_be_left = false;
        state.left = Instant::now();
        state.changes += 1;
        if state.is_called || !state.is_watched {
            self.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(LOCK_HOLDS)
    }
}

const LOCK_HOLDS: &str = "nothing panics under the wheel's lock";

/// Brings the wheel home to the steward however the session ends.
struct Homeward(Arc<Wheel>);

impl Drop for Homeward {
    fn drop(&mut self) {
        self.0.go_home();
    }
}

/// The right of one thread to drive. It leaves the wheel when it is dropped.
pub(crate) struct Driving<'a> {
    wheel: &'a Wheel,
    engine: Arc<Engine>,
}

impl Driving<'_> {
    /// Drives until `poll` has what this thread waits for; nothing if it shall stop before.
    pub(crate) fn drive<T>(self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        self.engine.runtime().block_on(poll_fn(|context| match poll(context) {
            Poll::Ready(found) => Poll::Ready(Some(found)),
            Poll::Pending => self.wheel.poll_left(context).map(|()| None),
        }))
    }
}

/// Wakes the driver outside of the lock.
fn have_it_left(mut state: MutexGuard<'_, State>) {
    state.is_to_be_left = state.driver.is_some();
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl State {
    fn is_with_steward(&self) -> bool {
        self.driver.is_some() && self.driver == self.steward
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.wheel.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::mpsc;
    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    /// A steward with a session that ends with what it is told.
    fn stand_by() -> (Arc<Wheel>, oneshot::Sender<u32>, thread::JoinHandle<u32>, PathBuf) {
        let engine = Engine::new(Builder::new_current_thread().enable_all().build().expect("a runtime"));
        let wheel = Wheel::new(&engine);
        let (end, ended) = oneshot::channel();
        let (say, said) = mpsc::channel();
        let standing = Arc::clone(&wheel);
        let steward = thread::spawn(move || {
            say.send(this_thread()).expect("the test listens");
            standing.stand_by(&engine, async { ended.await.expect("somebody ends it") }).expect("it does not panic")
        });
        (wheel, end, steward, said.recv().expect("the steward begins"))
    }

    fn this_thread() -> PathBuf {
        PathBuf::from("/proc").join(fs::read_link("/proc/thread-self").expect("this is Linux"))
    }

    /// How often a thread has gone to sleep.
    fn sleeps(thread: &Path) -> u64 {
        let status = fs::read_to_string(thread.join("status")).expect("the thread lives");
        let line =
            status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("it is counted");
        line.trim().parse().expect("a number")
    }

    /// Takes the wheel from a steward that keeps it.
    fn take(wheel: &Wheel) -> Driving<'_> {
        loop {
            if let Some(driving) = wheel.take() {
                return driving;
            }
            wheel.release();
            thread::yield_now();
        }
    }

    #[test]
    fn the_steward_takes_a_wheel_over_that_was_left_alone() {
        let (wheel, end, steward, _) = stand_by();
        for number in 0..20 {
            let driven = take(&wheel).drive(|_| Poll::Ready(number));
            assert_eq!(driven, Some(number));
        }
        end.send(7).expect("the session waits for it");
        assert_eq!(steward.join().expect("it does not panic"), 7);
        assert!(wheel.take().is_none(), "after the session nobody drives");
    }

    #[test]
    fn nobody_wakes_up_while_somebody_drives_and_nothing_happens() {
        let (wheel, end, steward, its_thread) = stand_by();
        let (say, said) = mpsc::channel();
        let other = Arc::clone(&wheel);
        let driver = thread::spawn(move || {
            say.send(this_thread()).expect("the test listens");
            take(&other).drive(|_| Poll::<()>::Pending)
        });
        let threads = [its_thread, said.recv().expect("it begins")];
        // Until the last look that is due after a change of hands.
        thread::sleep(ALONE * QUIET_LOOKS * 20);
        let before = threads.each_ref().map(|thread| sleeps(thread));
        thread::sleep(ALONE * 200);
        let after = threads.each_ref().map(|thread| sleeps(thread));
        let woken: u64 = after.iter().zip(before).map(|(after, before)| after - before).sum();
        assert!(woken < 10, "{woken} times");
        end.send(7).expect("the session waits for it");
        assert_eq!(driver.join().expect("it does not panic"), None, "the steward wants it back");
        assert_eq!(steward.join().expect("it does not panic"), 7);
    }

    #[test]
    fn long_functions_and_many_are_expected_to_keep_their_thread() {
        let wheel = Wheel::idle();
        assert!(!wheel.expects_long(1) && wheel.expects_long(MANY));
        (0..20).for_each(|_| wheel.note(LONG * 2));
        assert!(wheel.expects_long(1));
        (0..20).for_each(|_| wheel.note(Duration::from_micros(1)));
        assert!(!wheel.expects_long(1));
    }
}
