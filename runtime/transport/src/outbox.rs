//! What waits to be written on a link: one byte buffer that any thread may append to and one writer drains.
//!
//! Batching happens by itself: while the writer is busy with the last buffer, pushes gather in this one. Nobody waits
//! for a timer, and only the push that finds the outbox empty wakes the writer.
use crate::error::PushError;
use crate::limits::{BUFFER_KEPT, OUTBOX_LIMIT};
use quiltwork_protocol::{Message, Parcel, encode_parcel};
use std::mem;
use std::pin::pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Tells the writer that there is something, or that nothing more comes.
    filled: Notify,
    /// Tells tasks that something was written, or that nothing will be any more.
    drained: Notify,
    /// The same for threads.
    drained_thread: Condvar,
}

struct State {
    waiting: Vec<u8>,
    /// Bytes pushed and bytes written since the beginning; between them lies what this side must keep.
    pushed: u64,
    written: u64,
    /// Threads that wait for room; while there are none, nobody pays for waking them.
    blocked_threads: usize,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Takes and writes.
    Open,
    /// Takes nothing more, writes what it has.
    Closing,
    /// The way to the peer is gone.
    Dead,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Vec::new(),
                pushed: 0,
                written: 0,
                blocked_threads: 0,
                phase: Phase::Open,
            }),
            filled: Notify::new(),
            drained: Notify::new(),
            drained_thread: Condvar::new(),
        }
    }

    pub(crate) fn push<M: Message>(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        self.push_locked(&mut self.lock(), parcel)
    }

    pub(crate) async fn send<M: Message>(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        loop {
            // Listening begins before looking, or a wake-up between the two would be lost.
            let mut drained = pin!(self.drained.notified());
            drained.as_mut().enable();
            match self.push(parcel) {
                Err(PushError::Full) => drained.await,
                done => return done,
            }
        }
    }

    pub(crate) fn push_blocking<M: Message>(&self, parcel: &Parcel<M>) -> Result<(), PushError> {
        let mut state = self.lock();
        loop {
            match self.push_locked(&mut state, parcel) {
                Err(PushError::Full) => {}
                done => return done,
            }
            state.blocked_threads += 1;
            state = self.drained_thread.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.blocked_threads -= 1;
        }
    }

    fn push_locked<M: Message>(&self, state: &mut State, parcel: &Parcel<M>) -> Result<(), PushError> {
        if state.phase != Phase::Open {
            return Err(PushError::Closed);
        }
        if state.pushed - state.written >= OUTBOX_LIMIT as u64 {
            return Err(PushError::Full);
        }
        let before = state.waiting.len();
        encode_parcel(parcel, &mut state.waiting)?;
        state.pushed += (state.waiting.len() - before) as u64;
        if before == 0 {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits until everything pushed so far was written, or can never be.
    pub(crate) async fn flushed(&self) {
        let goal = self.lock().pushed;
        loop {
            let mut drained = pin!(self.drained.notified());
            drained.as_mut().enable();
            {
                let state = self.lock();
                if state.written >= goal || state.phase == Phase::Dead {
                    return;
                }
            }
            drained.await;
        }
    }

    /// Waits for something to write and swaps it for `spent`, the buffer that was written last; false if nothing comes
    /// any more. For one writer only. Cancel safe.
    pub(crate) async fn take(&self, spent: &mut Vec<u8>) -> bool {
        spent.clear();
        loop {
            {
                let mut state = self.lock();
                if !state.waiting.is_empty() {
                    mem::swap(&mut state.waiting, spent);
                    return true;
                }
                if state.phase != Phase::Open {
                    return false;
                }
                // The burst is over, if there was one.
                spent.shrink_to(BUFFER_KEPT);
                state.waiting.shrink_to(BUFFER_KEPT);
            }
            self.filled.notified().await;
        }
    }

    /// The writer got rid of this many bytes of what it took.
    pub(crate) fn on_written(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += bytes as u64;
        self.wake_all(&state);
    }

    /// Takes nothing more; what is there will still be written.
    pub(crate) fn close(&self) {
        self.end(Phase::Closing);
    }

    /// The way to the peer is gone, and with it everything that waits.
    pub(crate) fn on_lost(&self) {
        self.end(Phase::Dead);
    }

    fn end(&self, phase: Phase) {
        let mut state = self.lock();
        if phase == Phase::Dead {
            state.waiting = Vec::new();
        } else if state.phase != Phase::Open {
            return;
        }
        state.phase = phase;
        self.filled.notify_one();
        self.wake_all(&state);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().phase != Phase::Open
    }

    fn wake_all(&self, state: &State) {
        self.drained.notify_waiters();
        if state.blocked_threads > 0 {
            self.drained_thread.notify_all();
        }
    }

    /// A push that panics (its payloads are not those of its message) has changed nothing, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
