//! Who may be asked for a value, in which order, and who not any more; it asks nobody.
use quiltwork_protocol::Holder;
use quiltwork_transport::BulkError;
use quiltwork_types::WorkerId;
use std::collections::VecDeque;

/// A source that broke off this often without a byte between is not asked again.
const CUTS: u32 = 3;

/// The sources of one value that nobody is fetching from.
#[derive(Debug)]
pub(super) struct Sources {
    waiting: VecDeque<Source>,
}

/// Somebody who can be asked.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) holder: Holder,
    /// How often it has broken off since it last brought something.
    cuts: u32,
}

impl Sources {
    /// All holders but this worker itself, in their order.
    pub(super) fn new(holders: &[Holder], this: WorkerId) -> Self {
        let is_other = |holder: &&Holder| !matches!(holder, Holder::Worker { worker, .. } if *worker == this);
        let source = |holder: &Holder| Source { holder: holder.clone(), cuts: 0 };
        Self { waiting: holders.iter().filter(is_other).map(source).collect() }
    }

    /// How many could be asked now.
    pub(super) fn count(&self) -> usize {
        self.waiting.len()
    }

    /// The next one to ask.
    pub(super) fn take(&mut self) -> Option<Source> {
        self.waiting.pop_front()
    }

    /// This one has brought what it was asked for: it is the first to be asked for more.
    pub(super) fn give_back(&mut self, source: Source) {
        self.waiting.push_front(source);
    }

    /// This one broke off. The others are asked first, and then it again over a new connection, unless that would not help.
    pub(super) fn on_cut(&mut self, source: Source, error: &BulkError) {
        let cuts = source.cuts + 1;
        if matches!(error, BulkError::Lost(_) | BulkError::Broken(_)) && cuts < CUTS {
            self.waiting.push_back(Source { cuts, ..source });
        }
    }
}

impl Source {
    /// It brings something.
    pub(super) fn on_bytes(&mut self) {
        self.cuts = 0;
    }
}
