//! Watches how much memory this worker uses: has values spilled, tells the master when it is short, and in the end says
//! that the process must end. It frees nothing itself, and looks only while there is something to do.
use crate::desk::Desk;
use crate::error::WorkerError;
use crate::store::ValueStore;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// Time between two looks. A look costs some tens of microseconds; who fills fresh memory gets about 100 MiB further until
/// the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// Above this share of the limit, in percent, values go to disk.
const SPILL: u64 = 60;
/// A worker that was short of memory is so until it uses less than this: it must not go to and fro.
const RELIEVED: u64 = 70;
/// From this share on it is short of memory.
const PRESSED: u64 = 80;
/// From this share on it has used up its memory: more is asked for soon, and the system might choose whom to kill.
const USED_UP: u64 = 95;

/// Tells how many bytes of memory this process uses for itself: anonymous memory that is resident. What it has mapped of
/// values and programs is not part of it.
///
/// # Errors
/// If the system does not tell.
pub fn own_memory() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    anonymous_memory(&status)
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "/proc/self/status has no line `RssAnon`"))
}

fn anonymous_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Bytes in use.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// By the process itself.
    own: u64,
    /// By values in the memory the node shares.
    values: u64,
}

/// What is to be done about it.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    /// To how many bytes the values in memory should shrink.
    spill_to: Option<u64>,
    /// Whether memory is short, if that has changed.
    news: Option<bool>,
    /// Too much is in use, and the end of the process would give it back.
    is_used_up: bool,
}

/// Judges what is in use; it looks at nothing itself.
#[derive(Debug)]
struct Gauge {
    limit: u64,
    is_pressed: bool,
}

impl Gauge {
    fn judge(&mut self, Usage { own, values }: Usage, is_spilling: bool) -> Verdict {
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

/// The watch over one worker's memory.
pub(crate) struct MemoryWatch {
    gauge: Gauge,
    own_memory: fn() -> io::Result<u64>,
    desk: Arc<Desk>,
    store: Arc<dyn ValueStore>,
    stirred: Arc<Notify>,
    spill: Option<JoinHandle<()>>,
    /// How many attempts had been started when too much was in use at the last look.
    suspects: Option<u64>,
}

impl MemoryWatch {
    /// A watch that lets this worker use `limit` bytes; `own_memory` tells what the process uses for itself.
    pub(crate) fn new(
        limit: u64,
        own_memory: fn() -> io::Result<u64>,
        desk: &Arc<Desk>,
        store: &Arc<dyn ValueStore>,
    ) -> Self {
        if let Err(error) = own_memory() {
            tracing::warn!(%error, "the memory of tasks is not watched, only that of values");
        }
        Self {
            gauge: Gauge { limit, is_pressed: false },
            own_memory,
            desk: Arc::clone(desk),
            store: Arc::clone(store),
            stirred: Arc::default(),
            spill: None,
            suspects: None,
        }
    }

    /// Whom to notify when attempts or values come or go: without it nothing is looked at.
    pub(crate) fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.stirred)
    }

    /// Watches until the memory is used up; says by which attempt.
    pub(crate) async fn watch(mut self) -> WorkerError {
        loop {
            self.stirred.notified().await;
            loop {
                sleep(INTERVAL).await;
                // Asked before the look: what ends in between is seen by one more.
                let is_busy = self.desk.is_busy() || self.is_spilling();
                if let Some(end) = self.look() {
                    return end;
                }
                if !is_busy {
                    break;
                }
            }
        }
    }

    fn look(&mut self) -> Option<WorkerError> {
        let usage = Usage { own: (self.own_memory)().unwrap_or_default(), values: self.store.in_memory() };
        let Verdict { spill_to, news, is_used_up } = self.gauge.judge(usage, self.is_spilling());
        if let Some(target) = spill_to {
            let store = Arc::clone(&self.store);
            self.spill = Some(spawn_blocking(move || store.spill_to(target)));
        }
        if let Some(is_pressed) = news {
            self.desk.on_pressure(is_pressed);
        }
        let suspects = self.suspects.take();
        if !is_used_up {
            return None;
        }
        // Who is named ran at the last look already. Otherwise a short attempt that came by would be named for a long one
        // that fills the memory beside it.
        let Some(newest) = suspects.and_then(|starts| self.desk.newest(starts)) else {
            self.suspects = Some(self.desk.starts());
            return None;
        };
        let used = usage.own.saturating_add(usage.values);
        Some(WorkerError::OutOfMemory { attempt: newest.id, name: newest.name.clone(), used, limit: self.gauge.limit })
    }

    fn is_spilling(&self) -> bool {
        self.spill.as_ref().is_some_and(|spill| !spill.is_finished())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Registered, Workshop};
    use crate::failure::TaskError;
    use crate::registry::Registry;
    use crate::store::Stored;
    use quiltwork_types::{AttemptId, Epoch, ValueId, WorkerId};
    use std::sync::atomic::{AtomicU64, Ordering};

    fn gauge() -> Gauge {
        Gauge { limit: 1000, is_pressed: false }
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
            let share = Gauge { limit, is_pressed: false }.share(95);
            assert_eq!(u128::from(share), u128::from(limit) * 95 / 100);
        }
    }

    #[test]
    fn the_system_tells_what_the_process_uses_for_itself() {
        assert_eq!(anonymous_memory("VmRSS:\t 9 kB\nRssAnon:\t     144 kB\nRssFile:\t 1 kB\n"), Some(144 << 10));
        assert_eq!(anonymous_memory("VmRSS:\t 9 kB\n"), None);
        let before = own_memory().expect("Linux tells");
        let filled = vec![1_u8; 64 << 20];
        let after = own_memory().expect("Linux tells");
        assert!(after >= before + (filled.len() as u64) / 2, "{before} and {after}");
    }
    /// A store of some bytes, all of which can be spilled.
    struct Spillable(AtomicU64);

    impl ValueStore for Spillable {
        fn put(&self, _: ValueId, _: Stored) -> Result<(), TaskError> {
            Ok(())
        }

        fn get(&self, _: ValueId) -> Option<Stored> {
            None
        }

        fn remove(&self, _: ValueId) {}

        fn remove_made_by(&self, _: AttemptId) {}

        fn in_memory(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn spill_to(&self, target: u64) {
            self.0.fetch_min(target, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn values_make_room_for_what_the_process_uses_for_itself() {
        let store: Arc<dyn ValueStore> = Arc::new(Spillable(AtomicU64::new(700)));
        let workshop = Workshop {
            executor: Box::new(Registered(Registry::of_program())),
            store: Arc::clone(&store),
            value_limit: 0,
        };
        let desk = Desk::open(WorkerId(1), Epoch(1), 1, workshop).expect("the system has threads");
        let watch = MemoryWatch::new(1000, || Ok(250), &desk, &store);
        watch.stirred().notify_one();
        let spilled = async {
            while store.in_memory() > 350 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            end = watch.watch() => panic!("{end}"),
            () = spilled => {}
        }
        let reports = desk.take_reports_now();
        assert_eq!(reports[0].message, quiltwork_protocol::WorkerToMaster::Pressed);
        desk.close(Duration::ZERO);
    }
}
