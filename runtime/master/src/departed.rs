//! Processes of this machine that ended before they were workers here; it only remembers, and not for long.
use quiltwork_transport::limits::HANDSHAKE_TIME;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the last words of a process may take to be heard: they are in our socket when it ends, and its handshake
/// and its hello have this much time.
const MEMORY: Duration = HANDSHAKE_TIME.saturating_mul(2);
/// Processes remembered at a time; of more, the oldest are forgotten early.
const MOST: usize = 1024;

/// The processes that ended lately, oldest first, and how.
#[derive(Default)]
pub(crate) struct Departed(VecDeque<(Instant, u32, String)>);

impl Departed {
    /// Remembers the end of a process that was no worker.
    pub(crate) fn note(&mut self, pid: u32, how: String) {
        self.forget_old();
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((Instant::now(), pid, how));
    }

    /// How the process ended, if it has. Asked once: the next one of this number is another process.
    pub(crate) fn take(&mut self, pid: u32) -> Option<String> {
        self.forget_old();
        let index = self.0.iter().position(|(_, departed, _)| *departed == pid)?;
        self.0.remove(index).map(|(.., how)| how)
    }

    fn forget_old(&mut self) {
        while self.0.front().is_some_and(|(at, ..)| at.elapsed() > MEMORY) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_to_who_asks_for_it() {
        let mut departed = Departed::default();
        departed.note(7, "signal 9".to_owned());
        departed.note(8, "signal 6".to_owned());
        assert_eq!(departed.take(9), None);
        assert_eq!(departed.take(8).as_deref(), Some("signal 6"));
        assert_eq!(departed.take(8), None);
        assert_eq!(departed.take(7).as_deref(), Some("signal 9"));
    }

    #[test]
    fn of_many_the_latest_are_remembered() {
        let mut departed = Departed::default();
        (0..=1024).for_each(|pid| departed.note(pid, String::new()));
        assert_eq!(departed.take(0), None);
        assert!(departed.take(1).is_some() && departed.take(1024).is_some());
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let mut departed = Departed::default();
        departed.note(7, String::new());
        let Some(long_ago) = departed.0[0].0.checked_sub(2 * MEMORY) else { return };
        departed.0[0].0 = long_ago;
        assert_eq!(departed.take(7), None);
    }
}
