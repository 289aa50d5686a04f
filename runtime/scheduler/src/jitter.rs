//! The scheduler's only randomness: a seeded generator for the pauses between retries.
use core::time::Duration;

/// SplitMix64: eight bytes of state, and good enough to keep retries from marching in step.
#[derive(Debug)]
pub(crate) struct Jitter {
    state: u64,
}

impl Jitter {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A pause between nothing and `longest` ("full jitter").
    pub(crate) fn up_to(&mut self, longest: Duration) -> Duration {
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        let share = (u128::from(self.next()) * u128::from(nanos)) >> 64;
        Duration::from_nanos(u64::try_from(share).expect("a share of a u64 fits in one"))
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
