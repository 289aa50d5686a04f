//! Decides whether and when a worker is started again, from how its lives went; it starts and waits for nothing.
use crate::error::Problem;
use std::time::Duration;

/// A life this long counts as a good one, whatever its end.
const GOOD_LIFE: Duration = Duration::from_secs(2);
/// Pauses after the first, second, … short life of a worker that had joined. Short themselves: such a worker is
/// needed, and what killed it is most often a task, which the master stops after a few deaths.
const AFTER_SHORT_LIFE: [Duration; 4] = millis([0, 50, 100, 200]);
/// Pauses after the first, second, … process in a row that ended before it had joined. Longer: it may be the machine
/// that is short of something. After one more there is no hope.
const AFTER_NO_JOIN: [Duration; 4] = millis([50, 200, 800, 3200]);

const fn millis(pauses: [u64; 4]) -> [Duration; 4] {
    let [a, b, c, d] = pauses;
    [Duration::from_millis(a), Duration::from_millis(b), Duration::from_millis(c), Duration::from_millis(d)]
}

/// How one process of a worker went, from its start to its end.
#[derive(Debug)]
pub(super) enum Life {
    /// It had joined the master.
    Served {
        /// How long it ran.
        lasted: Duration,
        /// How it ended.
        how: String,
    },
    /// It ended, or could not even start, before it had joined.
    NeverJoined {
        /// How it ended.
        how: String,
    },
    /// It can never be a worker; a further try would go the same way.
    Unfit(Problem),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Start the worker again after this pause.
    Again(Duration),
    /// Start it no more.
    GiveUp(Problem),
}

/// The memory behind the verdicts on one worker.
pub(super) struct RestartPolicy {
    restart: bool,
    short_lives: usize,
    failures_to_join: usize,
}

impl RestartPolicy {
    /// For a worker that is started again after it was lost, or not.
    pub(super) fn new(restart: bool) -> Self {
        Self { restart, short_lives: 0, failures_to_join: 0 }
    }

    /// The verdict after one more life.
    pub(super) fn after(&mut self, life: Life) -> Verdict {
        match life {
            Life::Unfit(refusal) => Verdict::GiveUp(refusal),
            Life::Served { how, .. } if !self.restart => Verdict::GiveUp(not_to_be_restarted(&how)),
            Life::Served { lasted, .. } => Verdict::Again(self.pause_after_service(lasted)),
            Life::NeverJoined { how } => {
                let pause = AFTER_NO_JOIN.get(self.failures_to_join).copied();
                self.failures_to_join += 1;
                pause.map_or_else(|| Verdict::GiveUp(never_joined(self.failures_to_join, &how)), Verdict::Again)
            }
        }
    }

    fn pause_after_service(&mut self, lasted: Duration) -> Duration {
        self.failures_to_join = 0;
        if lasted > GOOD_LIFE {
            self.short_lives = 0;
            return Duration::ZERO;
        }
        let pause = AFTER_SHORT_LIFE[self.short_lives.min(AFTER_SHORT_LIFE.len() - 1)];
        self.short_lives += 1;
        pause
    }
}

fn not_to_be_restarted(how: &str) -> Problem {
    Problem::new(format!("a worker process ended and is not to be started again: {how}"))
        .with_hint("leave out `.restart_workers(false)` to have lost workers replaced")
}

fn never_joined(times: usize, how: &str) -> Problem {
    let message = format!("{times} worker processes in a row ended before they had joined, the last one: {how}");
    let hint = "its last lines say why, and more of them with QUILTWORK_LOG=debug; a program in Rust must call \
        `quiltwork::init()` before anything else in `main`";
    Problem::new(message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(millis: u64) -> Life {
        Life::Served { lasted: Duration::from_millis(millis), how: "signal 9 (SIGKILL)".into() }
    }

    fn never_joined() -> Life {
        Life::NeverJoined { how: "exit status 1".into() }
    }

    fn pauses(policy: &mut RestartPolicy, lives: impl IntoIterator<Item = Life>) -> Vec<u128> {
        let verdicts = lives.into_iter().map(|life| policy.after(life));
        verdicts
            .map(|verdict| match verdict {
                Verdict::Again(pause) => pause.as_millis(),
                Verdict::GiveUp(refusal) => panic!("{refusal:?}"),
            })
            .collect()
    }

    #[test]
    fn short_lives_are_paused_between_and_a_good_one_is_not() {
        let mut policy = RestartPolicy::new(true);
        let lives = [1, 1, 1, 1, 1, 5000, 5000, 1, 1].map(served);
        assert_eq!(pauses(&mut policy, lives), [0, 50, 100, 200, 200, 0, 0, 0, 50]);
    }

    #[test]
    fn the_fifth_failure_to_join_in_a_row_is_the_last() {
        let mut policy = RestartPolicy::new(true);
        assert_eq!(pauses(&mut policy, [never_joined(), never_joined(), served(1)]), [50, 200, 0]);
        assert_eq!(pauses(&mut policy, (0..4).map(|_| never_joined())), [50, 200, 800, 3200]);
        let Verdict::GiveUp(refusal) = policy.after(never_joined()) else { panic!("it goes on") };
        assert!(refusal.message.contains("exit status 1"), "{refusal:?}");
        assert!(refusal.to_string().contains("call `quiltwork::init()`"), "{refusal}");
    }

    #[test]
    fn a_worker_that_shall_not_be_restarted_is_still_helped_to_join() {
        let mut policy = RestartPolicy::new(false);
        assert_eq!(pauses(&mut policy, [never_joined()]), [50]);
        assert!(matches!(policy.after(served(5000)), Verdict::GiveUp(_)));
    }

    #[test]
    fn an_unfit_program_is_not_tried_twice() {
        let refusal = Problem::new("no such program");
        let verdict = RestartPolicy::new(true).after(Life::Unfit(refusal.clone()));
        assert_eq!(verdict, Verdict::GiveUp(refusal));
    }
}
