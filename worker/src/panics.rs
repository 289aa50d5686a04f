//! Panics of tasks: caught with message and place, and kept off the worker's standard error; all others are left alone.
use crate::context;
use crate::failure::TaskError;
use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static LOCATION: Cell<Option<String>> = const { Cell::new(None) };
}

/// Makes panics on threads that run a task note their place instead of printing; done once per process.
pub(crate) fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if context::is_entered() {
                LOCATION.set(info.location().map(ToString::to_string));
            } else {
                others(info);
            }
        }));
    });
}

/// Runs `task`; a panic becomes an error.
pub(crate) fn catch<R>(task: impl FnOnce() -> Result<R, TaskError>) -> Result<R, TaskError> {
    LOCATION.set(None);
    // What the task has touched is not used after a panic, except for statics of the user's own.
    panic::catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|payload| {
        let error = TaskError::Panicked { message: message_of(&*payload), location: LOCATION.take() };
        // A payload may panic again when it is dropped; that must not end the thread.
        drop(panic::catch_unwind(AssertUnwindSafe(|| drop(payload))));
        Err(error)
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "with a payload that is not text".to_owned()
    }
}
