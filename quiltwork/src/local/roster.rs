//! Which worker processes are alive, how many were lost and whether the cluster is ending; shared by the supervisors
//! and the cluster's owner. It kills processes, but only ones that stand in it.
use crate::error::Problem;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The shared record.
///
/// A process stands in it from its start until just before it is reaped. All kills happen under its lock, so a
/// process id is never signalled after the system may have given it to somebody else.
pub(super) struct Roster {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    running: Vec<u32>,
    /// Of each company of workers.
    supervisors: Vec<usize>,
    lost: u64,
    stopping: bool,
    refusal: Option<Problem>,
}

impl Roster {
    /// A record for this many supervisors of each company, each of which must call [`Roster::supervisor_left`] once.
    pub(super) fn new(supervisors: Vec<usize>) -> Self {
        let state = State { running: Vec::new(), supervisors, lost: 0, stopping: false, refusal: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A process was started. If the cluster ends meanwhile, nobody else will end this one: it is killed at once.
    pub(super) fn process_started(&self, pid: u32) {
        let mut state = self.lock();
        state.running.push(pid);
        if state.stopping {
            send_kill(pid);
        }
        self.changed.notify_all();
    }

    /// A process has ended and will be reaped after this call. Says whether nobody had asked for its end.
    pub(super) fn process_ended(&self, pid: u32) -> bool {
        let mut state = self.lock();
        state.running.retain(|running| *running != pid);
        let unasked = !state.stopping;
        state.lost += u64::from(unasked);
        self.changed.notify_all();
        unasked
    }

    /// A supervisor starts no more workers because of `refusal`; the first one given is kept.
    pub(super) fn gave_up(&self, refusal: Problem) {
        self.lock().refusal.get_or_insert(refusal);
        self.changed.notify_all();
    }

    /// A supervisor is done. Says whether it was the last one of its company, in a cluster that nobody has asked to end.
    pub(super) fn supervisor_left(&self, company: usize) -> bool {
        let mut state = self.lock();
        state.supervisors[company] -= 1;
        self.changed.notify_all();
        state.supervisors[company] == 0 && !state.stopping
    }

    /// Why a supervisor gave up, if one did.
    pub(super) fn refusal(&self) -> Option<Problem> {
        self.lock().refusal.clone()
    }

    /// The processes that run now, in the order of their start.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.lock().running.clone()
    }

    /// How many processes ended unasked so far.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Sends SIGKILL to a process of this cluster; `false` if it is none, or has ended.
    pub(super) fn kill(&self, pid: u32) -> bool {
        let state = self.lock();
        let ours = state.running.contains(&pid);
        if ours {
            send_kill(pid);
        }
        ours
    }

    /// Sends SIGKILL to every process of this cluster; a stopped one dies as well.
    pub(super) fn kill_all(&self) {
        self.lock().running.iter().for_each(|pid| send_kill(*pid));
    }

    /// From now on every end of a process is asked for, and none is started again.
    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.changed.notify_all();
    }

    /// Waits for `pause`, or until the cluster ends; says whether it goes on.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        !self.wait(pause, |state| state.stopping)
    }

    /// Waits until something changed, at most for `limit`.
    pub(super) fn wait_for_change(&self, limit: Duration) {
        drop(self.changed.wait_timeout(self.lock(), limit).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until no process runs, at most for `limit`.
    pub(super) fn wait_until_empty(&self, limit: Duration) {
        self.wait(limit, |state| state.running.is_empty());
    }

    /// Waits until no supervisor is left, at most for `limit`; says whether that is so.
    pub(super) fn wait_until_unsupervised(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.supervisors.iter().all(|left| *left == 0))
    }

    fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure means that it is a zombie already, which is as good.
fn send_kill(pid: u32) {
    let _ = kill(as_pid(pid), Signal::SIGKILL);
}

/// The system's own type for a process id.
pub(super) fn as_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).expect("the system gave it out as a positive i32"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn only_an_unasked_end_is_a_loss() {
        let roster = Roster::new(vec![1]);
        roster.process_started(u32::MAX >> 1);
        assert_eq!(roster.pids(), [u32::MAX >> 1]);
        assert!(roster.process_ended(u32::MAX >> 1));
        assert_eq!((roster.lost(), roster.pids().len()), (1, 0));
        roster.stop();
        assert!(!roster.process_ended(u32::MAX >> 1));
        assert_eq!(roster.lost(), 1);
    }

    #[test]
    fn a_stranger_is_never_killed() {
        let mut stranger = std::process::Command::new("sleep").arg("600").spawn().expect("sleep is everywhere");
        let roster = Roster::new(vec![1]);
        assert!(!roster.kill(stranger.id()));
        roster.kill_all();
        assert_eq!(stranger.try_wait().expect("it is our child"), None);
        roster.process_started(stranger.id());
        assert!(roster.kill(stranger.id()));
        assert!(!stranger.wait().expect("it is our child").success());
    }

    #[test]
    fn a_process_started_while_the_cluster_ends_is_killed() {
        let mut late = std::process::Command::new("sleep").arg("600").spawn().expect("sleep is everywhere");
        let roster = Roster::new(vec![1]);
        roster.stop();
        roster.process_started(late.id());
        assert!(!late.wait().expect("it is our child").success());
    }

    #[test]
    fn the_last_supervisor_of_a_company_knows_it() {
        let roster = Roster::new(vec![2, 1]);
        roster.gave_up(Problem::new("first"));
        roster.gave_up(Problem::new("second"));
        assert_eq!(roster.refusal(), Some(Problem::new("first")));
        assert!(!roster.supervisor_left(0));
        assert!(roster.supervisor_left(1));
        assert!(!roster.wait_until_unsupervised(Duration::from_millis(1)));
        assert!(roster.supervisor_left(0));
        assert!(roster.wait_until_unsupervised(LONG));
    }

    #[test]
    fn a_pause_ends_when_the_cluster_does() {
        let roster = Roster::new(vec![1]);
        assert!(roster.pause(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let pausing = scope.spawn(|| roster.pause(LONG));
            roster.stop();
            assert!(!pausing.join().expect("it does not panic"));
        });
    }
}
