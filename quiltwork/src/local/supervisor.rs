//! The thread that keeps one worker alive: it starts the process, waits for its end, tells the master, and starts it again.
//!
//! The system kills a worker when the *thread* that started it ends, so this thread lives at least as long as its process.
use super::master::SharedMaster;
use super::process::{Ended, Recipe, WorkerProcess};
use super::python;
use super::restart::{Life, RestartPolicy, Verdict};
use super::roster::Roster;
use crate::error::Problem;
use crate::init::{STATUS_UNINITIALISED, UNINITIALISED_HINT};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Who ran this long has joined, even if the master does not know it any more.
const SURELY_JOINED: Duration = Duration::from_secs(2);

/// One supervisor. Its end, however it comes, is noted in the roster.
pub(super) struct Supervisor {
    /// Which worker it keeps alive, from 1.
    pub(super) number: usize,
    /// Of which company it is.
    pub(super) company: usize,
    /// How to start it.
    pub(super) recipe: Arc<Recipe>,
    /// Where its processes are recorded.
    pub(super) roster: Arc<Roster>,
    /// Whom to tell.
    pub(super) master: Arc<SharedMaster>,
    /// Whether a worker that was lost is started again.
    pub(super) restart: bool,
}

impl Supervisor {
    /// Puts it on its thread.
    pub(super) fn spawn(self) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(format!("quiltwork-supervisor-{}", self.number)).spawn(move || self.run())
    }

    fn run(&self) {
        let mut policy = RestartPolicy::new(self.restart);
        let mut pause = Duration::ZERO;
        while self.roster.pause(pause) {
            match policy.after(self.one_life()) {
                Verdict::Again(next) => pause = next,
                Verdict::GiveUp(refusal) => return self.give_up(refusal),
            }
        }
    }

    fn one_life(&self) -> Life {
        let process = match WorkerProcess::start(&self.recipe, self.number) {
            Ok(process) => process,
            Err(error) => return self.not_started(&error),
        };
        let pid = process.pid();
        self.roster.process_started(pid);
        process.wait_for_end();
        let unasked = self.roster.process_ended(pid);
        let known = self.master.knows(pid);
        match process.reap() {
            Ok(ended) => self.ended(pid, &ended, known, unasked),
            // Somebody else has reaped it: this process waits for any child, or ignores SIGCHLD.
            Err(error) => {
                self.master.process_ended(pid, format!("its end was not seen: {error}"));
                Life::NeverJoined { how: format!("an end that was not seen: {error}") }
            }
        }
    }

    fn not_started(&self, error: &io::Error) -> Life {
        let program = self.recipe.program();
        let how = format!("cannot start `{}`: {error}", program.display());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                let hint = "workers need a program this user may execute, and a log folder to write to";
                Life::Unfit(Problem::new(how).with_hint(hint))
            }
            _ => Life::NeverJoined { how },
        }
    }

    fn ended(&self, pid: u32, ended: &Ended, known: bool, unasked: bool) -> Life {
        let how = ended.describe();
        if unasked {
            tracing::warn!(worker = self.number, pid, "worker process ended: {how}");
        }
        self.master.process_ended(pid, how.clone());
        if known || ended.lasted > SURELY_JOINED {
            return Life::Served { lasted: ended.lasted, how };
        }
        if ended.status.code() == Some(STATUS_UNINITIALISED) {
            return Life::Unfit(never_initialised(&self.recipe.program()));
        }
        if ended.status.code() == Some(python::STATUS_NO_PACKAGE) {
            return Life::Unfit(python::no_package(&self.recipe.program()));
        }
        Life::NeverJoined { how }
    }

    fn give_up(&self, refusal: Problem) {
        tracing::error!(worker = self.number, "giving up on a worker: {}", refusal.message);
        self.roster.gave_up(refusal);
    }
}

impl Drop for Supervisor {
    /// With the last worker of a program gone for good, nobody will ever do the work that waits for it: its clients are
    /// told by the end of the master.
    fn drop(&mut self) {
        if self.roster.supervisor_left(self.company) {
            let program = self.recipe.program();
            let program = program.display();
            tracing::error!("no worker of `{program}` is left and none will be started: the cluster ends");
            self.master.stop();
        }
    }
}

fn never_initialised(program: &Path) -> Problem {
    let program = program.display();
    Problem::new(format!("`{program}` cannot be started as a worker: it never called `quiltwork::init()`"))
        .with_hint(UNINITIALISED_HINT)
}
