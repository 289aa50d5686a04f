//! Where a client in the master's own process leaves its end of a link: its messages then pass through memory, without
//! sockets. Whom it lets in is the listener's matter, as for everybody.
use quiltwork_protocol::{ClientToMaster, MasterToClient, Parcel};
use quiltwork_transport::{Link, LinkReceiver, LinkSender, memory_pair};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hears the master on the master's own thread, which waits until it has. It must not block, and never hands anything
/// back to the master before it returns. Dropped when the master will say nothing more.
pub trait Ear: Send {
    /// The master says something.
    fn hear(&self, parcel: Parcel<MasterToClient>);
}

/// The way into a master for clients of its own process. Clones are the same way.
#[derive(Clone, Default)]
pub struct Doorway {
    left: Arc<Mutex<HashMap<u64, Visitor>>>,
}

/// The master's end of a link through memory.
pub(crate) struct Visitor {
    pub(crate) receiver: LinkReceiver<ClientToMaster>,
    pub(crate) ear: Box<dyn Ear>,
}

/// A link that was left at the door. If it is dropped before the client was let in, the link is taken back.
pub struct Left {
    doorway: Doorway,
    number: u64,
}

impl Doorway {
    /// Leaves a link; the client's hello must name the number, which nobody else can guess.
    #[must_use]
    pub fn leave(&self, number: u64, ear: Box<dyn Ear>) -> (Left, LinkSender<ClientToMaster>) {
        let (ours, theirs): (Link<ClientToMaster, MasterToClient>, _) = memory_pair();
        self.lock().insert(number, Visitor { receiver: theirs.receiver, ear });
        (Left { doorway: self.clone(), number }, ours.sender)
    }

    /// What was left under this number.
    pub(crate) fn pick_up(&self, number: u64) -> Option<Visitor> {
        self.lock().remove(&number)
    }

    /// Poison means nothing here: no change is made in more than one step.
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Visitor>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Left {
    /// What the hello must name.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        let taken_back = self.doorway.pick_up(self.number);
        // Outside of the lock: an ear may have much to tell when it goes.
        drop(taken_back);
    }
}

impl fmt::Debug for Doorway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorway").finish_non_exhaustive()
    }
}
