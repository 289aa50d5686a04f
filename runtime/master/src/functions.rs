//! Names of functions and their numbers: the cluster's, a client's own, and which of them a worker was told already.
use quiltwork_types::FunctionId;
use std::collections::HashMap;
use std::sync::Arc;

/// Functions one client may name: far above any program, far below what could hurt.
pub(crate) const FUNCTIONS_PER_LINK: u32 = 16 * 1024;
/// Functions the cluster remembers; names are kept for the life of the master.
pub(crate) const FUNCTIONS_IN_CLUSTER: usize = 64 * 1024;
/// The longest name of a function, in bytes.
pub(crate) const NAME_LIMIT: usize = 1024;

/// The cluster's numbers for functions, dense from 0.
#[derive(Default)]
pub(crate) struct Functions {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, FunctionId>,
}

impl Functions {
    /// The number of `name`, a new one if it was never heard; `None` if the cluster knows too many functions already.
    pub(crate) fn number_of(&mut self, name: &str) -> Option<FunctionId> {
        if let Some(number) = self.numbers.get(name) {
            return Some(*number);
        }
        if self.names.len() >= FUNCTIONS_IN_CLUSTER {
            return None;
        }
        let number = FunctionId(u32::try_from(self.names.len()).expect("limited by FUNCTIONS_IN_CLUSTER"));
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        Some(number)
    }

    /// All names, in the order of their numbers.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// The name behind a number given out by [`Self::number_of`].
    pub(crate) fn name(&self, function: FunctionId) -> &str {
        &self.names[function.0 as usize]
    }
}

/// One client's numbers for functions.
#[derive(Default)]
pub(crate) struct Translation {
    numbers: Vec<Option<FunctionId>>,
}

impl Translation {
    /// From now on the client's `theirs` means `ours`. The caller has checked [`FUNCTIONS_PER_LINK`].
    pub(crate) fn define(&mut self, theirs: FunctionId, ours: Option<FunctionId>) {
        let index = theirs.0 as usize;
        if index >= self.numbers.len() {
            self.numbers.resize(index + 1, None);
        }
        self.numbers[index] = ours;
    }

    /// What the client means by `theirs`.
    pub(crate) fn resolve(&self, theirs: FunctionId) -> Option<FunctionId> {
        self.numbers.get(theirs.0 as usize).copied().flatten()
    }
}

/// The functions one worker has been told the names of, a bit each.
#[derive(Default)]
pub(crate) struct Told {
    bits: Vec<u64>,
}

impl Told {
    /// Notes that the worker is told now; whether it had to be.
    pub(crate) fn tell(&mut self, function: FunctionId) -> bool {
        let (word, bit) = (function.0 as usize / 64, 1_u64 << (function.0 % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        let first = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clients_numbers_for_one_name_meet_in_one_function() {
        let mut functions = Functions::default();
        let (mut first, mut second) = (Translation::default(), Translation::default());
        first.define(FunctionId(7), functions.number_of("count"));
        second.define(FunctionId(0), functions.number_of("merge"));
        second.define(FunctionId(1), functions.number_of("count"));

        let count = first.resolve(FunctionId(7)).unwrap();
        assert_eq!(second.resolve(FunctionId(1)), Some(count));
        assert_ne!(second.resolve(FunctionId(0)), Some(count));
        assert_eq!(functions.name(count), "count");
        assert_eq!(first.resolve(FunctionId(6)), None);
        assert_eq!(first.resolve(FunctionId(8)), None);
    }

    #[test]
    fn a_cluster_with_too_many_functions_still_knows_the_old_ones() {
        let mut functions = Functions::default();
        let numbers: Vec<_> = (0..FUNCTIONS_IN_CLUSTER).map(|n| functions.number_of(&n.to_string())).collect();
        assert_eq!(functions.number_of("one more"), None);
        assert_eq!(functions.number_of("77"), numbers[77]);
    }

    #[test]
    fn a_worker_is_told_a_name_once() {
        let mut told = Told::default();
        for function in [0, 63, 64, 200] {
            assert!(told.tell(FunctionId(function)));
            assert!(!told.tell(FunctionId(function)));
        }
        assert!(told.tell(FunctionId(199)));
    }
}
