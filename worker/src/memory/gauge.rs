//! Judges how much memory a worker uses: what shall be spilled or told, and when there is none left. It looks at nothing
//! itself.

/// Above this share of the limit, in percent, values go to disk.
const SPILL: u64 = 60;
/// A worker that was short of memory is so until it uses less than this: it must not go to and fro.
const RELIEVED: u64 = 70;
/// From this share on it is short of memory.
const PRESSED: u64 = 80;
/// From this share on it has used up its memory: more is asked for soon, and the system might choose whom to kill.
const USED_UP: u64 = 95;

/// Bytes in use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// By the process itself.
    pub(super) own: u64,
    /// By values in the memory the node shares.
    pub(super) values: u64,
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// To how many bytes the values in memory should shrink.
    pub(super) spill_to: Option<u64>,
    /// Whether memory is short, if that has changed.
    pub(super) news: Option<bool>,
    /// Too much is in use, and the end of the process would give it back.
    pub(super) is_used_up: bool,
}

/// The limit, and whether memory was short at the last look.
#[derive(Debug)]
pub(super) struct Gauge {
    limit: u64,
    is_pressed: bool,
}

impl Gauge {
    /// For a worker that may use so many bytes.
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, is_pressed: false }
    }

    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Judges one look, while values are being spilled or not.
    pub(super) fn judge(&mut self, Usage { own, values }: Usage, is_spilling: bool) -> Verdict {
        let used = own.saturating_add(values);
        let target = self.share(SPILL).saturating_sub(own);
        let is_worth_it = used >= self.share(SPILL) && values > target && !is_spilling;
        let is_pressed = used >= self.share(if self.is_pressed { RELIEVED } else { PRESSED });
        let is_news = std::mem::replace(&mut self.is_pressed, is_pressed) != is_pressed;
        // Values survive the process: they go to disk, but no attempt is ended for what the disk does not take.
        let own_is_too_much = own >= self.share(if is_spilling { USED_UP } else { SPILL });
        Verdict {
            spill_to: is_worth_it.then_some(target),
            news: is_news.then_some(is_pressed),
            is_used_up: used >= self.share(USED_UP) && own_is_too_much,
        }
    }

    const fn share(&self, percent: u64) -> u64 {
        self.limit / 100 * percent + self.limit % 100 * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge() -> Gauge {
        Gauge::new(1000)
    }

    #[test]
    fn values_are_spilled_so_far_that_all_together_is_below_sixty_percent() {
        for (own, values, spill_to) in [
            (100, 499, None),
            (100, 500, None),
            (100, 501, Some(500)),
            (0, 700, Some(600)),
            (700, 10, Some(0)),
            (700, 0, None),
        ] {
            assert_eq!(gauge().judge(Usage { own, values }, false).spill_to, spill_to, "{own} + {values}");
            assert_eq!(gauge().judge(Usage { own, values }, true).spill_to, None, "one spill at a time");
        }
    }

    #[test]
    fn pressure_is_told_at_eighty_percent_and_withdrawn_below_seventy_each_once() {
        let mut gauge = gauge();
        let news: Vec<_> =
            [799, 800, 900, 700, 699, 799, 800].map(|own| gauge.judge(Usage { own, values: 0 }, false).news).into();
        assert_eq!(news, [None, Some(true), None, None, Some(false), None, Some(true)]);
    }

    #[test]
    fn memory_is_used_up_at_ninety_five_percent_if_the_end_of_the_process_would_help() {
        for (own, values, is_spilling, is_used_up) in [
            (949, 0, false, false),
            (950, 0, false, true),
            (600, 350, false, true),
            (600, 350, true, false),
            (950, 350, true, true),
            (599, 900, false, false),
            (u64::MAX, u64::MAX, false, true),
        ] {
            let verdict = gauge().judge(Usage { own, values }, is_spilling);
            assert_eq!(verdict.is_used_up, is_used_up, "{own} + {values}, {is_spilling}");
        }
    }

    #[test]
    fn shares_are_right_for_all_limits() {
        for limit in [0, 1, 199, 256 << 20, u64::MAX] {
            let share = Gauge::new(limit).share(95);
            assert_eq!(u128::from(share), u128::from(limit) * 95 / 100);
        }
    }
}
