//! Attempts that came ahead of their inputs: each starts here when the attempts it follows have made theirs, without a word
//! from the master; if one of those makes none, what follows it goes back.
use super::State;
use crate::arguments::{Arguments, Output};
use crate::executor::Ending;
use crate::inputs::Gathering;
use crate::slots::Command;
use crate::store::{Origin, ValueStore};
use quiltwork_protocol::worker_to_master::AttemptOutcome;
use quiltwork_types::{AttemptId, ValueId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Small results that are remembered for what is under way to follow them. The master learns of an end within a round
/// trip, in which a slot ends some ten attempts at most.
const MOST_REMEMBERED: usize = 64;

/// Who follows whom.
pub(super) struct Following {
    /// By the attempt that is followed.
    followers: HashMap<AttemptId, Vec<AttemptId>>,
    /// The latest small results.
    latest: VecDeque<(AttemptId, Output)>,
    /// Where the larger ones are.
    store: Arc<dyn ValueStore>,
}

/// Either all inputs of an attempt, or those that are still on their way.
type Inputs = (Option<Arguments>, Option<Box<Gathering>>);

impl Following {
    pub(super) fn new(store: Arc<dyn ValueStore>) -> Self {
        Self { followers: HashMap::new(), latest: VecDeque::with_capacity(MOST_REMEMBERED), store }
    }

    /// What an attempt made that has ended, if it is still at hand.
    fn find(&self, maker: AttemptId) -> Option<Output> {
        let latest = self.latest.iter().rev().find(|(attempt, _)| *attempt == maker);
        latest.map(|(_, output)| output.clone()).or_else(|| self.stored(maker))
    }

    fn stored(&self, maker: AttemptId) -> Option<Output> {
        let stored = self.store.get(ValueId::of(maker.task))?;
        (stored.origin == Origin::Made(maker)).then_some(stored.output)
    }

    fn remember(&mut self, maker: AttemptId, output: Output) {
        if self.latest.len() == MOST_REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back((maker, output));
    }
}

impl State {
    /// Lets a new attempt follow those that make its inputs; nothing if it has come too late for one of them.
    pub(super) fn follow(&mut self, id: AttemptId, mut gathering: Box<Gathering>) -> Option<Inputs> {
        let (here, over): (Vec<_>, Vec<_>) =
            gathering.leaders().iter().copied().partition(|leader| self.works.contains_key(leader));
        for leader in over {
            let output = self.following.find(leader)?;
            gathering.arrive([(ValueId::of(leader.task), output)]);
        }
        for leader in here {
            self.following.followers.entry(leader).or_default().push(id);
        }
        if gathering.is_complete() {
            return Some((Some(gathering.into_arguments()), None));
        }
        Some((None, Some(gathering)))
    }

    /// Values that an attempt waits for are here.
    pub(super) fn arrive(&mut self, id: AttemptId, values: impl IntoIterator<Item = (ValueId, Output)>) {
        let Some(work) = self.works.get_mut(&id) else { return };
        let Some(gathering) = &mut work.gathering else { return };
        gathering.arrive(values);
        if let Some(complete) = work.gathering.take_if(|gathering| gathering.is_complete()) {
            work.arguments = Some(complete.into_arguments());
            self.commands.push_back(Command::InputsReady(id));
        }
    }

    /// An attempt has ended: what follows it has its result, or goes back if there is none.
    pub(super) fn lead(&mut self, ended: AttemptId, ending: &Ending) {
        let AttemptOutcome::Finished { encoding, .. } = ending.outcome else { return self.send_back_followers(ended) };
        let inline = ending.inline.clone().map(|bytes| Output { encoding, bytes });
        if let Some(followers) = self.following.followers.remove(&ended) {
            let Some(output) = inline.clone().or_else(|| self.following.stored(ended)) else {
                return self.send_back(followers);
            };
            for follower in followers {
                self.arrive(follower, [(ValueId::of(ended.task), output.clone())]);
            }
        }
        if let Some(output) = inline {
            self.following.remember(ended, output);
        }
    }

    /// An attempt has ended without a result.
    pub(super) fn send_back_followers(&mut self, ended: AttemptId) {
        if let Some(followers) = self.following.followers.remove(&ended) {
            self.send_back(followers);
        }
    }

    fn send_back(&mut self, followers: Vec<AttemptId>) {
        self.commands.extend(followers.into_iter().map(Command::Recall));
    }
}
