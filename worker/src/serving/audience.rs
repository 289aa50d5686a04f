//! Whom a large value was sent to from here, so that those who ask later can be sent to them: a broadcast becomes a tree.
//! It sends nothing.
use quiltwork_types::{ValueId, WorkerId};
use std::collections::HashMap;
use std::net::SocketAddr;

/// How many workers one holder sends a value to. With two of them the source of a broadcast is done after two sends, and
/// the number of holders doubles with every step.
const BRANCHES: usize = 2;

/// A worker and where it serves values.
pub(super) type Place = (WorkerId, SocketAddr);

/// The workers that have large values from here, or are getting them.
#[derive(Debug, Default)]
pub(super) struct Audience {
    values: HashMap<ValueId, Branches>,
}

/// Who has one value from here.
#[derive(Debug, Default)]
struct Branches {
    workers: Vec<Place>,
    /// How many were sent elsewhere.
    referred: usize,
}

impl Audience {
    /// Somebody asks for a value: none if it is to be served, otherwise whom it is to ask. One who insists takes the place of
    /// who was served first, for that is most likely gone.
    pub(super) fn admit(&mut self, value: ValueId, asker: Place, insists: bool) -> Option<Place> {
        let Branches { workers, referred } = self.values.entry(value).or_default();
        if workers.contains(&asker) {
            return None;
        }
        if workers.len() == BRANCHES && !insists {
            *referred += 1;
            return Some(workers[*referred % BRANCHES]);
        }
        if workers.len() == BRANCHES {
            workers.remove(0);
        }
        workers.push(asker);
        None
    }

    /// The value is not here any more.
    pub(super) fn forget(&mut self, value: ValueId) {
        self.values.remove(&value);
    }

    /// Nobody is sent to this worker any more.
    pub(super) fn lose(&mut self, lost: WorkerId) {
        for branches in self.values.values_mut() {
            branches.workers.retain(|(worker, _)| *worker != lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_types::{JobId, TaskId};

    const VALUE: ValueId = ValueId::of(TaskId { job: JobId(1), index: 2 });

    fn place(number: u16) -> Place {
        (WorkerId(number.into()), ([127, 0, 0, 1], number).into())
    }

    #[test]
    fn two_are_served_and_all_others_are_sent_to_them_in_turns() {
        let mut audience = Audience::default();
        assert_eq!([1, 2].map(|number| audience.admit(VALUE, place(number), false)), [None, None]);
        let mut sent_to = [3, 4, 5, 6].map(|number| audience.admit(VALUE, place(number), false).expect("enough"));
        sent_to.sort_unstable();
        assert_eq!(sent_to, [1, 1, 2, 2].map(place));
        assert_eq!(audience.admit(VALUE, place(1), false), None, "it may ask for more of the same value");
    }

    #[test]
    fn who_insists_is_served_and_stands_for_who_was_first() {
        let mut audience = Audience::default();
        assert_eq!([1, 2].map(|number| audience.admit(VALUE, place(number), false)), [None, None]);
        assert_eq!(audience.admit(VALUE, place(3), true), None);
        let sent_to = [4, 5].map(|number| audience.admit(VALUE, place(number), false).expect("enough"));
        assert!(!sent_to.contains(&place(1)) && sent_to.contains(&place(3)), "{sent_to:?}");
    }

    #[test]
    fn the_lost_and_what_is_gone_are_forgotten() {
        let mut audience = Audience::default();
        assert_eq!([1, 2].map(|number| audience.admit(VALUE, place(number), false)), [None, None]);
        audience.lose(WorkerId(1));
        assert_eq!(audience.admit(VALUE, place(3), false), None);
        audience.forget(VALUE);
        assert_eq!([4, 5].map(|number| audience.admit(VALUE, place(number), false)), [None, None]);
        audience.forget(VALUE);
        assert!(audience.values.is_empty());
    }
}
