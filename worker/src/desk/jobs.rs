//! The desk as slot threads see it: how they get jobs, and who of them is woken for one.
use super::{Desk, LOCK_HOLDS, State};
use crate::executor::{Job, RunEnd};
use crate::slots::Command;
use quiltwork_types::AttemptId;
use std::sync::MutexGuard;
use std::task::Poll;
use std::thread;
use std::time::Instant;

impl Desk {
    /// For a new slot thread: its first job, or `None` if it shall end.
    pub(crate) fn first_job(&self) -> Option<Job> {
        self.pick_job(self.lock())
    }

    /// For a slot thread: hands in how its job ended and picks the next; `None` if the thread shall end.
    pub(crate) fn next_job(&self, ended: AttemptId, end: RunEnd) -> Option<Job> {
        let mut state = self.lock();
        state.idle += 1;
        if let Some(work) = state.works.get_mut(&ended) {
            work.end = Some(end);
        } else {
            state.abandoned -= 1;
            self.workshop.forget(ended);
        }
        state.apply(Command::RunEnded(ended));
        self.pick_job(state)
    }

    /// Runs a job on this thread.
    pub(crate) fn run(&self, job: Job) -> RunEnd {
        let began = Instant::now();
        let end = self.workshop.run(job);
        self.wheel.note(began.elapsed());
        end
    }

    /// Calls what a slot thread does the way the language of the functions wants it.
    pub(crate) fn host(&self, work: &mut (dyn FnMut() + Send)) {
        self.workshop.executor.host(work);
    }

    /// Waits for a job; drives meanwhile, if nobody else does.
    fn pick_job<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Option<Job> {
        let mut may_drive = true;
        loop {
            if let Poll::Ready(next) = self.look_for_job(&mut state) {
                return next;
            }
            if may_drive && let Some(driving) = self.wheel.take() {
                drop(state);
                match driving.drive(|_| self.poll_job()) {
                    Some(next) => return next,
                    None => may_drive = false,
                }
                state = self.lock();
                // Another may drive by now.
                state.driving.take_if(|driver| *driver == thread::current().id());
            } else {
                self.settle(&mut state);
                state = self.job_handed_in.wait(state).expect(LOCK_HOLDS);
                may_drive = true;
            }
        }
    }

    /// The same for the thread that drives.
    fn poll_job(&self) -> Poll<Option<Job>> {
        let mut state = self.lock();
        let found = self.look_for_job(&mut state);
        state.driving = None;
        if found.is_pending() {
            self.settle(&mut state);
            state.driving = Some(thread::current().id());
        }
        found
    }

    /// The next job for this thread, or that it shall end, if there is one of the two.
    fn look_for_job(&self, state: &mut State) -> Poll<Option<Job>> {
        if let Some(job) = state.jobs.pop_front().filter(|_| !state.closed) {
            state.idle -= 1;
            // This thread is awake anyway: one fewer has to be woken.
            state.unannounced = state.unannounced.saturating_sub(1);
            self.wheel.on_work(state.works.len());
            self.settle(state);
            return Poll::Ready(Some(job));
        }
        if !state.closed && state.idle <= self.slots {
            return Poll::Pending;
        }
        state.idle -= 1;
        state.threads -= 1;
        self.settle(state);
        self.thread_ended.notify_all();
        Poll::Ready(None)
    }

    /// Wakes as many threads as there are jobs nobody has been woken for: first the one that drives.
    pub(super) fn announce(&self, state: &mut State) {
        let mut sleepers = std::mem::take(&mut state.unannounced);
        if sleepers > 0 && state.driving.take().is_some() {
            self.wheel.release();
            sleepers -= 1;
        } else if sleepers > 0 {
            self.wheel.pass_on(state.works.len());
        }
        for _ in 0..sleepers {
            self.job_handed_in.notify_one();
        }
    }
}
