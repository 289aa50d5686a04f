//! A point in time as plain data, so that code that must not read a clock can still reason about one.
use core::ops::Add;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Nanoseconds since the master's life began. Only its owner reads a clock; everyone else is handed a `Time`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// The moment the master's life began.
    pub const ZERO: Self = Self(0);

    /// The time that has passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}
