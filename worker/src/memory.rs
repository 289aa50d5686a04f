//! Watches how much memory this worker uses: has values spilled, tells the master when it is short, and in the end says
//! that the process must end. It frees nothing itself, and looks only while there is something to do.
mod gauge;

use crate::desk::Desk;
use crate::error::WorkerError;
use crate::store::ValueStore;
use gauge::{Gauge, Usage, Verdict};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// Time between two looks. A look costs some tens of microseconds; who fills fresh memory gets about 100 MiB further until
/// the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long no values are spilled after a spill that left too many: then the disk is full, and to find that out again
/// takes as long as a spill.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

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

/// The watch over one worker's memory.
pub(crate) struct MemoryWatch {
    gauge: Gauge,
    own_memory: fn() -> io::Result<u64>,
    desk: Arc<Desk>,
    store: Arc<dyn ValueStore>,
    stirred: Arc<Notify>,
    /// Says whether it left no more values than it should.
    spill: Option<JoinHandle<bool>>,
    /// When the next spill may begin.
    next_spill: Instant,
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
            gauge: Gauge::new(limit),
            own_memory,
            desk: Arc::clone(desk),
            store: Arc::clone(store),
            stirred: Arc::default(),
            spill: None,
            next_spill: Instant::now(),
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
                self.let_go_of_a_finished_spill().await;
                // Asked before the look: what ends in between is seen by one more.
                let is_busy = self.desk.is_busy();
                if let Some(end) = self.look() {
                    return end;
                }
                if !is_busy && self.spill.is_none() {
                    break;
                }
            }
        }
    }

    fn look(&mut self) -> Option<WorkerError> {
        let usage = Usage { own: (self.own_memory)().unwrap_or_default(), values: self.store.in_memory() };
        let Verdict { spill_to, news, is_used_up } = self.gauge.judge(usage, self.spill.is_some());
        if let Some(target) = spill_to.filter(|_| Instant::now() >= self.next_spill) {
            let store = Arc::clone(&self.store);
            self.spill = Some(spawn_blocking(move || {
                store.spill_to(target);
                store.in_memory() <= target
            }));
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
        Some(WorkerError::OutOfMemory {
            attempt: newest.id,
            name: newest.name.clone(),
            used,
            limit: self.gauge.limit(),
        })
    }

    async fn let_go_of_a_finished_spill(&mut self) {
        if let Some(spill) = self.spill.take_if(|spill| spill.is_finished())
            && !spill.await.unwrap_or(false)
        {
            self.next_spill = Instant::now() + AFTER_FAILURE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Registered, Workshop};
    use crate::failure::TaskError;
    use crate::registry::Registry;
    use crate::store::{Incoming, Origin, Stored};
    use crate::wheel::Wheel;
    use quiltwork_types::{AttemptId, Encoding, Epoch, ValueId, WorkerId};
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn the_system_tells_what_the_process_uses_for_itself() {
        assert_eq!(anonymous_memory("VmRSS:\t 9 kB\nRssAnon:\t     144 kB\nRssFile:\t 1 kB\n"), Some(144 << 10));
        assert_eq!(anonymous_memory("VmRSS:\t 9 kB\n"), None);
        let before = own_memory().expect("Linux tells");
        let filled = vec![1_u8; 64 << 20];
        let after = own_memory().expect("Linux tells");
        assert!(after >= before + (filled.len() as u64) / 2, "{before} and {after}");
    }
    /// A store that holds nothing but says so many bytes.
    struct Fake {
        bytes: AtomicU64,
        is_disk_full: bool,
        spills: AtomicU64,
    }

    impl ValueStore for Fake {
        fn put(&self, _: ValueId, _: Stored) -> Result<(), TaskError> {
            Ok(())
        }

        fn begin(self: Arc<Self>, _: ValueId, _: Origin, _: Encoding, _: u64) -> Result<Box<dyn Incoming>, TaskError> {
            unreachable!("nothing comes in pieces here")
        }

        fn get(&self, _: ValueId) -> Option<Stored> {
            None
        }

        fn remove(&self, _: ValueId) {}

        fn remove_made_by(&self, _: AttemptId) {}

        fn in_memory(&self) -> u64 {
            self.bytes.load(Ordering::Relaxed)
        }

        fn spill_to(&self, target: u64) {
            self.spills.fetch_add(1, Ordering::Relaxed);
            if !self.is_disk_full {
                self.bytes.fetch_min(target, Ordering::Relaxed);
            }
        }
    }

    /// Watches a worker that may use 1000 bytes, has 700 bytes of values and does nothing, until that is so.
    async fn watch_until(
        is_disk_full: bool,
        own_memory: fn() -> io::Result<u64>,
        is_so: impl Fn(&Fake) -> bool,
    ) -> (Arc<Fake>, Arc<Desk>) {
        let fake = Arc::new(Fake { bytes: AtomicU64::new(700), is_disk_full, spills: AtomicU64::new(0) });
        let store: Arc<dyn ValueStore> = Arc::<Fake>::clone(&fake);
        let executor = Box::new(Registered(Registry::of_program()));
        let workshop = Workshop { executor, store: Arc::clone(&store), value_limit: 0 };
        let desk = Desk::open(WorkerId(1), Epoch(1), 1, workshop, Wheel::idle()).expect("the system has threads");
        let watch = MemoryWatch::new(1000, own_memory, &desk, &store);
        let stirred = watch.stirred();
        let stirring = async {
            while !is_so(&fake) {
                stirred.notify_one();
                sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            end = watch.watch() => panic!("{end}"),
            () = stirring => {}
        }
        (fake, desk)
    }

    #[tokio::test]
    async fn values_make_room_for_what_the_process_uses_for_itself() {
        let (fake, desk) = watch_until(false, || Ok(250), |fake| fake.in_memory() == 350).await;
        assert_eq!(fake.spills.load(Ordering::Relaxed), 1);
        assert_eq!(desk.take_reports_now()[0].message, quiltwork_protocol::WorkerToMaster::Pressed);
        desk.close(Duration::ZERO);
    }

    #[tokio::test]
    async fn a_full_disk_is_not_asked_at_every_look() {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        let own_memory = || {
            LOOKS.fetch_add(1, Ordering::Relaxed);
            Ok(550)
        };
        let (fake, desk) = watch_until(true, own_memory, |_| LOOKS.load(Ordering::Relaxed) > 6).await;
        let spills = fake.spills.load(Ordering::Relaxed);
        assert!((1..=3).contains(&spills), "{spills} spills");
        desk.close(Duration::ZERO);
    }
}
