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
/// What taking a job, keeping its result and reporting it takes beside its function.
const AROUND_A_JOB: Duration = Duration::from_micros(2);
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
        self.release_locked(self.lock());
    }

    /// The same if it is this thread that drives: it has just woken another for something short.
    pub(crate) fn pass_on(&self) {
        let state = self.lock();
        if state.driver == Some(thread::current().id()) && !self.expects_long(1) {
            self.release_locked(state);
        }
    }

    fn release_locked(&self, mut state: MutexGuard<'_, State>) {
        state.is_to_be_left = state.driver.is_some();
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
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

    /// Whether so many functions, one after the other, are expected to take long.
    pub(crate) fn expects_long(&self, functions: usize) -> bool {
        let each = Duration::from_nanos(self.pace.load(Ordering::Relaxed)) + AROUND_A_JOB;
        each.saturating_mul(u32::try_from(functions).unwrap_or(u32::MAX)) >= LONG
    }

    /// Has the steward drive if nobody does.
    pub(crate) fn call_steward(&self) {
        let mut state = self.lock();
        if state.driver.is_none() && !state.is_called {
            state.is_called = true;
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
        self.release_locked(state);
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
                None => ALONE - alone,
                Some(_) => ALONE,
            };
            quiet_looks = if std::mem::replace(&mut seen, state.changes) == state.changes { quiet_looks + 1 } else { 0 };
            state.is_watched = state.driver.is_none() || quiet_looks < QUIET_LOOKS;
            state = if state.is_watched {
                self.bell.wait_timeout(state, wait).expect(LOCK_HOLDS).0
            } else {
                self.bell.wait(state).expect(LOCK_HOLDS)
            };
        }
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

impl State {
    fn is_with_steward(&self) -> bool {
        self.driver.is_some() && self.driver == self.steward
    }
}

impl Wheel {
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
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.wheel.leave();
    }
}
