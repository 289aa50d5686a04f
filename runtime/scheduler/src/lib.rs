//! The pure state machine that decides which task runs where: events in, actions out; no clock, no bytes, no sockets.
//!
//! `handle(now, event, &mut actions)` is all there is to it. Any event is ordinary input, however late, doubled or
//! made up; what it means is in the file of its topic. The same events at the same times give the same actions.
//!
//! # What always holds
//! After every event, and [`Scheduler::check`] verifies it:
//! 1. A task has at most one attempt whose completion counts, and that attempt has a seat at the worker it was sent
//!    to. Publishing is a compare-and-set on that seat: (task, attempt, epoch). The first valid completion wins.
//! 2. A value is *needed* while the client keeps a reference to it or an unfinished task consumes it. Workers hold
//!    only needed values, and what a client has uploaded. Such a value, and at the master one whose own lineage was let
//!    go, stays as long as its record, because what was made from it may have to be made again.
//! 3. A record stays while its task is unfinished, its value is kept, or something that might be recomputed consumes
//!    it. A task whose value the master holds, and one that failed, needs its inputs no more.
//! 4. A waiting task waits for something that is on its way: each of its missing inputs is unfinished. So nothing
//!    waits for ever, and what cannot come fails what needs it at once.
//! 5. A ready task is in the queue, and no worker with free slots has room for it, unless that worker is kept free
//!    for a larger or suspect task that ranks before it.
//! 6. A seat stays taken until its worker says that the attempt is over, or is lost: also when the task is cancelled.
//! 7. A worker that is short of memory is given an attempt only while it has none but those that have lent their
//!    slots: so no worker is pushed further, and nothing starves if all of them are short.
//! 8. A task that was held by a worker that died goes only into a free slot, and after a second death only onto a
//!    worker of its own. The exception: attempts that have lent their slots do not count as company, because they may
//!    be waiting for that very task.
//!
//! 9. The instance of an actor lives at one worker. Its calls wait in lanes, each in the order of submission, and the first
//!    of a lane goes when its inputs are there and the actor's window has room; what its worker has of a lane went there
//!    in that order. No call is given to two workers unless it may run again.
//! 10. An attempt goes ahead, before all its inputs are published, only to a worker where an attempt that was given to it
//!     before makes each missing one. It takes no slot until they are published or it says that it has started.
//!
//! # Cost
//! An event costs what it touches: O(log n) per task, edge and copy of a value; one look per class of ready tasks
//! (same function, same resources); O(log workers) to find the earliest start. Consequences are drawn with lists,
//! never by recursion, so a chain of any length is no danger to the stack.
#![no_std]
extern crate alloc;

mod action;
mod actors;
mod adopt;
mod ahead;
mod calls;
mod cancel;
mod check;
mod check_actors;
mod completion;
mod config;
mod ending;
mod estimates;
mod event;
mod ids;
mod jitter;
mod line;
mod loss;
mod nodes;
mod patience;
mod place;
mod placement;
mod pressure;
mod queue;
mod recall;
mod records;
mod role;
mod scheduler;
mod seats;
mod shapes;
mod story;
mod submit;
mod table;
mod task;
mod values;
mod workers;

pub use action::{Action, InputSource, Outcome, Supply};
pub use config::Config;
pub use event::Event;
pub use placement::{Candidate, LeastMovement, Placement};
pub use queue::{ConsumersFirst, QueueOrder, Rank, ReadyTask};
pub use scheduler::{Scheduler, WorkerOverview};
