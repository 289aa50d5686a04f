//! The threads functions run on: slot threads, each of which runs one attempt after the other until the desk has no more
//! use for it, and the thread of each actor, which makes it, runs its calls and drops it.
use crate::desk::Desk;
use crate::executor::Job;
use crate::instance::{Calls, Instance};
use crate::panics;
use std::io;
use std::sync::Arc;
use std::thread::Builder;

/// Bytes of stack a task has: as much as a main thread usually has, so that what worked there works here.
const STACK: usize = 8 << 20;

/// Starts one more slot thread for a desk, which has counted it already.
///
/// # Errors
/// If the system gives no more threads.
pub(crate) fn start(desk: Arc<Desk>) -> io::Result<()> {
    Builder::new()
        .name("quiltwork-slot".into())
        .stack_size(STACK)
        .spawn(move || desk.host(&mut || run(&desk)))
        .map(drop)
}

fn run(desk: &Desk) {
    let mut next = desk.first_job();
    while let Some(job) = next {
        let attempt = job.attempt.id;
        let end = desk.run(job);
        next = desk.next_job(attempt, end);
    }
}

/// Starts the thread of an actor, which a desk has counted already. The job makes the actor.
///
/// # Errors
/// If the system gives no more threads.
pub(crate) fn start_actor(desk: Arc<Desk>, job: Job, max_concurrency: u32) -> io::Result<()> {
    let mut job = Some(job);
    let live = move || {
        desk.host(&mut || {
            if let Some(job) = job.take() {
                live(&desk, job, max_concurrency);
            }
        });
        desk.on_actor_thread_ended();
    };
    Builder::new().name("quiltwork-actor".into()).stack_size(STACK).spawn(live).map(drop)
}

/// The life of an actor. All that the user has written for it runs on this thread, also when it is dropped.
fn live(desk: &Desk, job: Job, max_concurrency: u32) {
    let Some((mut instance, mut calls)) = desk.make_actor(job, max_concurrency) else { return };
    let served = panics::catch(|| {
        instance.serve(&mut calls);
        Ok(())
    });
    if let Err(panicked) = served {
        tracing::error!(actor = ?calls, %panicked, "an actor panicked outside of its calls, and ends");
    }
    desk.on_actor_ended(&calls);
    bury(instance, &mut calls);
}

/// Drops an actor when the last of its calls has let go of it.
fn bury(instance: Box<dyn Instance>, calls: &mut Calls) {
    let dropped = panics::catch(|| {
        drop(instance);
        Ok(())
    });
    if let Err(panicked) = dropped {
        tracing::error!(actor = ?calls, %panicked, "an actor panicked when it was dropped");
    }
}
