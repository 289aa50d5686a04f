//! How the results of many partitions become one, in an order that never depends on timing. It submits nothing itself.

/// Joins many results into one by a tree: groups of `fan_in` neighbours (at least 2) are joined, then groups of what came
/// out, until one is left. `None` if there were none; a single one is returned as it is.
///
/// What is joined is up to the caller: values of a graph (`|parts| graph.add(merge(parts))`), handles of a client
/// (`|parts| client.submit(merge(parts))`), or the results themselves. The tree depends on their number only.
///
/// ```
/// use quiltwork::data::tree_reduce;
///
/// let letters = ["a", "b", "c", "d", "e"].map(str::to_owned);
/// let joined = tree_reduce(letters, 2, |group| format!("({})", group.join(" ")));
/// assert_eq!(joined.as_deref(), Some("(((a b) (c d)) e)"));
/// ```
pub fn tree_reduce<V>(
    results: impl IntoIterator<Item = V>,
    fan_in: usize,
    mut join: impl FnMut(Vec<V>) -> V,
) -> Option<V> {
    let mut level: Vec<V> = results.into_iter().collect();
    while level.len() > 1 {
        level = join_neighbours(level, fan_in.max(2), &mut join);
    }
    level.pop()
}

fn join_neighbours<V>(level: Vec<V>, fan_in: usize, join: &mut impl FnMut(Vec<V>) -> V) -> Vec<V> {
    let mut joined = Vec::with_capacity(level.len().div_ceil(fan_in));
    let mut rest = level.into_iter();
    while rest.len() > 1 {
        joined.push(join(rest.by_ref().take(fan_in).collect()));
    }
    joined.extend(rest);
    joined
}

/// Merges lists of keys with values into one list, sorted by key, in which every key stands once.
///
/// Values of equal keys are joined in the order of the lists, so that the outcome is always the same even if `join`
/// is not commutative (or adds floating-point numbers). Lists that are sorted already are merged without sorting.
///
/// ```
/// use quiltwork::data::merge_by_key;
///
/// let merged = merge_by_key([vec![("a", 1), ("c", 2)], vec![("a", 3), ("b", 4)]], |sum, value| *sum += value);
/// assert_eq!(merged, [("a", 4), ("b", 4), ("c", 2)]);
/// ```
pub fn merge_by_key<K: Ord, V>(
    parts: impl IntoIterator<Item = Vec<(K, V)>>,
    mut join: impl FnMut(&mut V, V),
) -> Vec<(K, V)> {
    let mut entries: Vec<(K, V)> = parts.into_iter().flatten().collect();
    // Stable, which keeps equal keys in the order of their lists; it finds runs that are sorted and merges them.
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    let mut merged: Vec<(K, V)> = Vec::new();
    for (key, value) in entries {
        match merged.last_mut() {
            Some((last, sum)) if *last == key => join(sum, value),
            _ => merged.push((key, value)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(count: usize, fan_in: usize) -> Option<String> {
        tree_reduce((0..count).map(|n| n.to_string()), fan_in, |group| format!("({})", group.join(" ")))
    }

    #[test]
    fn a_tree_keeps_the_order_and_joins_every_result_once() {
        assert_eq!(tree(0, 4), None);
        assert_eq!(tree(1, 4).unwrap(), "0");
        assert_eq!(tree(4, 4).unwrap(), "(0 1 2 3)");
        assert_eq!(tree(9, 4).unwrap(), "((0 1 2 3) (4 5 6 7) 8)");
        assert_eq!(tree(5, 2).unwrap(), "(((0 1) (2 3)) 4)");
    }

    #[test]
    fn a_fan_in_that_cannot_end_is_raised_to_two() {
        assert_eq!(tree(3, 0), tree(3, 2));
        assert_eq!(tree(3, 1), tree(3, 2));
    }

    #[test]
    fn values_of_equal_keys_are_joined_in_the_order_of_the_lists() {
        let parts = [vec![("b", "1".to_owned()), ("a", "2".to_owned())], vec![("b", "3".to_owned())], vec![]];
        let merged = merge_by_key(parts, |all, one| all.push_str(&one));
        assert_eq!(merged, [("a", "2".to_owned()), ("b", "13".to_owned())]);
    }

    #[test]
    fn a_key_that_stands_twice_in_one_list_stands_once_in_the_result() {
        assert_eq!(merge_by_key([vec![(1, 1), (1, 1), (0, 5)]], |a, b| *a += b), [(0, 5), (1, 2)]);
        assert!(merge_by_key::<u8, u8>([], |_, _| ()).is_empty());
    }
}
