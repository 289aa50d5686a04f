//! How many lines of a worker go on in a second, and how many do not; it neither reads nor writes them.
use std::time::{Duration, Instant};

/// A window in which lines are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Lines that go on in one window.
const LINES: u32 = 1000;

/// The count of one worker's lines.
#[derive(Debug)]
pub(super) struct Meter {
    window: Instant,
    passed: u32,
    dropped: u64,
}

impl Meter {
    pub(super) const fn new(now: Instant) -> Self {
        Self { window: now, passed: 0, dropped: 0 }
    }

    /// Whether one more line may go on. Ask what was dropped before.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if now >= self.window + WINDOW {
            (self.window, self.passed) = (now, 0);
        }
        let is_admitted = self.passed < LINES;
        if is_admitted {
            self.passed += 1;
        } else {
            self.dropped += 1;
        }
        is_admitted
    }

    /// A line that was admitted was not taken.
    pub(super) const fn drop_one(&mut self) {
        self.dropped += 1;
    }

    /// When what was dropped is to be told.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.dropped > 0).then(|| self.window + WINDOW)
    }

    /// How many lines were dropped and not told yet.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// They are told.
    pub(super) const fn forget(&mut self) {
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_for_a_second_is_counted_and_told_after_it() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        let passed = (0..2500).filter(|_| meter.admit(begun)).count();
        assert_eq!((passed, meter.dropped(), meter.due()), (1000, 1500, Some(begun + WINDOW)));
        meter.forget();
        assert_eq!(meter.due(), None);
        assert!(meter.admit(begun + WINDOW));
        meter.drop_one();
        assert_eq!((meter.dropped(), meter.due()), (1, Some(begun + 2 * WINDOW)));
    }
}
