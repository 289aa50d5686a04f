//! Running an async task on its slot's thread; the runtime it finds there is the thread's own and used by nobody else.
use std::cell::Cell;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Cell<Option<Runtime>> = const { Cell::new(None) };
}

/// Runs a future on this thread until it is done, with tokio's time and I/O at hand. What it spawned on the runtime and
/// did not wait for is stopped when it is done, so that no task leaves work behind in another.
///
/// # Panics
/// If this thread runs a tokio runtime already, or the system has no file descriptors left for one.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let lease = Lease(Some(RUNTIME.take().unwrap_or_else(new_runtime)));
    let runtime = lease.0.as_ref().expect("the lease ends at the end of this function");
    runtime.block_on(future)
}

fn new_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("the system gives what an event loop needs")
}

/// A runtime that goes back to its thread if nothing was left behind in it, also when the future panicked.
struct Lease(Option<Runtime>);

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        if runtime.metrics().num_alive_tasks() == 0 {
            RUNTIME.set(Some(runtime));
        } else {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_future_has_time_and_io_and_may_wait_for_what_it_spawns() {
        let port = block_on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let spawned = tokio::spawn(async { tokio::net::UdpSocket::bind("127.0.0.1:0").await });
            spawned.await.unwrap().unwrap().local_addr().unwrap().port()
        });
        assert_ne!(port, 0);
    }

    #[test]
    fn what_a_future_leaves_behind_is_stopped() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        block_on(async move {
            tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(held);
            });
            tokio::task::yield_now().await;
        });
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(block_on(async { 7 }), 7);
    }
}
