//! Who may be asked for a value, in which order, and who not any more; it asks nobody.
use quiltwork_protocol::Holder;
use quiltwork_transport::BulkError;
use quiltwork_types::WorkerId;
use std::collections::{HashSet, VecDeque};

/// A source that broke off this often without a byte between is not asked again.
const CUTS: u32 = 3;
/// With so many workers in line no more are added: the way from one to the next leads nowhere.
const KNOWN: usize = 64;

/// The sources of one value.
#[derive(Debug)]
pub(super) struct Sources {
    waiting: VecDeque<Source>,
    /// Those who have named another one to be asked instead. They are not bothered while anybody else can be asked.
    reluctant: VecDeque<Source>,
    /// How many have been taken and not come back.
    busy: usize,
    /// Everybody who stands or stood in line.
    known: HashSet<WorkerId>,
}

/// Somebody who can be asked.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) holder: Holder,
    /// Whether it must not name another one again.
    pub(super) insists: bool,
    /// How often it has broken off since it last brought something.
    cuts: u32,
}

/// Why a source does not bring what it was asked for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It does not have the value, or cannot be reached.
    Missing,
    /// It has sent the value to enough others and names one of them.
    Elsewhere(Holder),
    /// It said something else, or nothing any more.
    Cut(BulkError),
}

impl From<BulkError> for Refusal {
    fn from(error: BulkError) -> Self {
        Self::Cut(error)
    }
}

impl Sources {
    /// All holders but this worker itself, in their order.
    pub(super) fn new(holders: &[Holder], this: WorkerId) -> Self {
        let mut sources =
            Self { waiting: VecDeque::new(), reluctant: VecDeque::new(), busy: 0, known: HashSet::from([this]) };
        for holder in holders {
            if sources.is_new(holder) {
                sources.waiting.push_back(Source::new(holder.clone()));
            }
        }
        sources
    }

    /// Whether this one was never in line; from now on it is.
    fn is_new(&mut self, holder: &Holder) -> bool {
        match holder {
            Holder::Worker { worker, .. } => self.known.insert(*worker),
            Holder::Master => true,
        }
    }

    /// How many could be asked now.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// The next one to ask.
    pub(super) fn take(&mut self) -> Option<Source> {
        let source = match self.waiting.pop_front() {
            None if self.busy == 0 => self.reluctant.pop_front(),
            source => source,
        }?;
        self.busy += 1;
        Some(source)
    }

    /// This one has brought what it was asked for: it is the first to be asked for more.
    pub(super) fn give_back(&mut self, source: Source) {
        self.busy -= 1;
        self.waiting.push_front(source);
    }

    /// This one has not brought what it was asked for, or not all of it. The others are asked first; then it is asked
    /// again, over a new connection if there is need, unless that would not help.
    pub(super) fn on_refusal(&mut self, source: Source, refusal: Refusal) {
        self.busy -= 1;
        tracing::debug!(holder = ?source.holder, ?refusal, "a fetch was refused or cut");
        let cuts = source.cuts + 1;
        match refusal {
            Refusal::Cut(BulkError::Lost(_) | BulkError::Broken(_)) if cuts < CUTS => {
                self.waiting.push_back(Source { cuts, ..source });
            }
            Refusal::Elsewhere(other) => {
                if self.known.len() < KNOWN && self.is_new(&other) {
                    self.waiting.push_front(Source::new(other));
                }
                self.reluctant.push_back(Source { insists: true, cuts, ..source });
            }
            Refusal::Missing | Refusal::Cut(_) => {}
        }
    }
}

impl Source {
    const fn new(holder: Holder) -> Self {
        Self { holder, insists: false, cuts: 0 }
    }

    /// It brings something.
    pub(super) fn on_bytes(&mut self) {
        self.cuts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(number: u16) -> Holder {
        Holder::Worker { worker: WorkerId(number.into()), address: ([127, 0, 0, 1], number).into() }
    }

    /// The holders of these numbers, seen from a worker of number 1.
    fn sources(numbers: &[u16]) -> Sources {
        let holders: Vec<_> = numbers.iter().map(|number| holder(*number)).collect();
        Sources::new(&holders, WorkerId(1))
    }

    fn take(sources: &mut Sources, number: u16) -> Source {
        let source = sources.take().expect("somebody can be asked");
        assert_eq!(source.holder, holder(number));
        source
    }

    fn lost() -> Refusal {
        BulkError::Lost("cut".to_owned()).into()
    }

    #[test]
    fn a_worker_does_not_ask_itself_and_nobody_twice() {
        let mut sources = sources(&[2, 1, 3, 2]);
        for number in [2, 3] {
            let source = take(&mut sources, number);
            sources.on_refusal(source, Refusal::Missing);
        }
        assert!(sources.take().is_none());
    }

    #[test]
    fn who_is_cut_comes_last_and_not_for_ever() {
        let mut sources = sources(&[2, 3]);
        for number in [2, 3, 2, 3, 2, 3] {
            let source = take(&mut sources, number);
            sources.on_refusal(source, lost());
        }
        assert!(sources.take().is_none());
    }

    #[test]
    fn who_brings_something_between_cuts_is_asked_on() {
        let mut sources = sources(&[2]);
        for _ in 0..20 {
            let mut source = take(&mut sources, 2);
            source.on_bytes();
            sources.on_refusal(source, lost());
        }
        assert_eq!(sources.count(), 1);
    }

    #[test]
    fn who_names_another_one_is_asked_again_only_when_nobody_else_is_left() {
        let mut sources = sources(&[2]);
        let source = take(&mut sources, 2);
        sources.on_refusal(source, Refusal::Elsewhere(holder(3)));
        let other = take(&mut sources, 3);
        assert!(!other.insists && sources.take().is_none(), "the other one still brings something");
        sources.on_refusal(other, Refusal::Elsewhere(holder(2)));
        assert!(take(&mut sources, 2).insists, "the first one must give in, and nobody goes round in circles");
    }
}
