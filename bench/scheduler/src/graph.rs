//! The graphs the scheduler is measured with, and the least time each of them needs. Knows nothing of the scheduler.
use std::time::Duration;

/// Tasks in an order in which inputs stand before consumers, each with the numbers of its inputs.
pub struct Graph {
    inputs: Vec<Box<[u32]>>,
}

impl Graph {
    /// Every shape there is, by name, with about so many tasks.
    #[must_use]
    pub fn shapes(tasks: u32) -> [(&'static str, Self); 5] {
        [
            ("wide", Self::wide(tasks)),
            ("deep", Self::deep(tasks)),
            ("tree", Self::tree(tasks)),
            ("shuffle", Self::shuffle(tasks)),
            ("layered", Self::layered(tasks)),
        ]
    }

    /// Tasks that need nothing.
    #[must_use]
    pub fn wide(tasks: u32) -> Self {
        Self { inputs: (0..tasks).map(|_| Box::default()).collect() }
    }

    /// Ten chains, so that there is something to decide.
    #[must_use]
    pub fn deep(tasks: u32) -> Self {
        Self { inputs: (0..tasks).map(|task| task.checked_sub(10).into_iter().collect()).collect() }
    }

    /// A binary tree from its leaves to its root.
    #[must_use]
    pub fn tree(tasks: u32) -> Self {
        let leaves = tasks.div_ceil(2);
        let inner = (0..leaves.saturating_sub(1)).map(|task| [2 * task, 2 * task + 1].into());
        Self { inputs: (0..leaves).map(|_| Box::default()).chain(inner).collect() }
    }

    /// Rounds in which each of 30 tasks takes a part of each of the 30 before: map, split and merge.
    #[must_use]
    pub fn shuffle(tasks: u32) -> Self {
        const PARTS: u32 = 30;
        let layers = (tasks / PARTS).max(2);
        let task = |layer: u32| match layer {
            0 => Box::default(),
            _ => ((layer - 1) * PARTS..layer * PARTS).collect(),
        };
        Self { inputs: (0..layers).flat_map(|layer| (0..PARTS).map(move |_| task(layer))).collect() }
    }

    /// Layers of a hundred tasks that each take up to three of the layer before, chosen at random.
    #[must_use]
    pub fn layered(tasks: u32) -> Self {
        const WIDTH: u32 = 100;
        let chosen = |task: u32, nth: u32| task / WIDTH * WIDTH - WIDTH + noise(task, nth) % WIDTH;
        let inputs = |task: u32| {
            let mut inputs: Vec<u32> = match task / WIDTH {
                0 => Vec::new(),
                _ => (0..=noise(task, 9) % 3).map(|nth| chosen(task, nth)).collect(),
            };
            inputs.sort_unstable();
            inputs.dedup();
            inputs.into_boxed_slice()
        };
        Self { inputs: (0..tasks).map(inputs).collect() }
    }

    /// How many tasks it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.inputs.len()).expect("a graph is made of so many tasks")
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// What a task takes.
    #[must_use]
    pub fn inputs(&self, task: u32) -> &[u32] {
        &self.inputs[task as usize]
    }

    /// Tasks whose values nobody takes.
    #[must_use]
    pub fn ends(&self) -> Vec<bool> {
        let mut ends = vec![true; self.inputs.len()];
        for &input in self.inputs.iter().flatten() {
            ends[input as usize] = false;
        }
        ends
    }

    /// How long a task runs: around a millisecond, from half to one and a half.
    #[must_use]
    pub fn run_time(&self, task: u32) -> Duration {
        Duration::from_micros(500 + u64::from(noise(task, 7) % 1_000))
    }

    /// What nobody can be faster than: the longest chain, or all the work shared evenly.
    #[must_use]
    pub fn least_makespan(&self, workers: u32) -> Duration {
        let mut work = Duration::ZERO;
        let mut ended = vec![Duration::ZERO; self.inputs.len()];
        for task in 0..self.len() {
            let begun = self.inputs(task).iter().map(|&input| ended[input as usize]).max().unwrap_or_default();
            ended[task as usize] = begun + self.run_time(task);
            work += self.run_time(task);
        }
        ended.into_iter().max().unwrap_or_default().max(work / workers)
    }
}

/// A number that looks random and is always the same (`SplitMix64`).
fn noise(task: u32, salt: u32) -> u32 {
    let mixed = (u64::from(task) << 8 | u64::from(salt)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 33) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_graph_is_about_as_large_as_asked_and_in_order() {
        for (name, graph) in Graph::shapes(10_000) {
            assert!((9_900..=10_000).contains(&graph.len()), "{name} has {} tasks", graph.len());
            for task in 0..graph.len() {
                assert!(graph.inputs(task).iter().all(|&input| input < task), "{name} {task} takes a later one");
                assert!(graph.inputs(task).is_sorted_by(|one, next| one < next), "{name} {task} takes one twice");
            }
        }
    }

    #[test]
    fn the_least_makespan_is_the_longest_chain_or_the_shared_work() {
        let wide = Graph::wide(1_000);
        let work: Duration = (0..1_000).map(|task| wide.run_time(task)).sum();
        assert_eq!(wide.least_makespan(10), work / 10);
        let deep = Graph::deep(1_000);
        let longest = (0..10).map(|chain| (0..100).map(|at| deep.run_time(10 * at + chain)).sum::<Duration>()).max();
        assert_eq!(deep.least_makespan(1_000), longest.expect("there are ten chains"));
    }
}
