//! Selects the processes that use most: the union of the first by several measures.

/// Fills `chosen` with the indices of the first `n` by each measure, in the order of the first measure that chose
/// them. Zero is never chosen.
pub(super) fn union_of_first<const MEASURES: usize>(
    count: usize,
    n: usize,
    measure: impl Fn(usize) -> [u64; MEASURES],
    scratch: &mut Vec<(u64, u32)>,
    chosen: &mut Vec<u32>,
) {
    chosen.clear();
    for which in 0..MEASURES {
        scratch.clear();
        let value = |index: usize| measure(index).get(which).copied().unwrap_or(0);
        let all = (0..count).map(|index| (value(index), index as u32));
        scratch.extend(all.filter(|(value, _)| *value > 0));
        let first = n.min(scratch.len());
        // Ties are broken by index, so that the choice is stable.
        let order = |a: &(u64, u32), b: &(u64, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
        if first < scratch.len() {
            scratch.select_nth_unstable_by(first, order);
            scratch.truncate(first);
        }
        scratch.sort_unstable_by(order);
        for &(_, index) in scratch.iter() {
            if !chosen.contains(&index) {
                chosen.push(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(measures: &[[u64; 2]], n: usize) -> Vec<u32> {
        let mut chosen = Vec::new();
        let measure = |at: usize| measures[at];
        union_of_first(measures.len(), n, measure, &mut Vec::new(), &mut chosen);
        chosen
    }

    #[test]
    fn the_first_by_each_measure_are_chosen_once() {
        let all = [[5, 0], [9, 1], [9, 7], [0, 0], [1, 8]];
        assert_eq!(chosen(&all, 2), [1, 2, 4]);
        assert_eq!(chosen(&all, 10), [1, 2, 0, 4]);
        assert_eq!(chosen(&all, 0), [0; 0]);
    }

    proptest! {
        #[test]
        fn no_unchosen_process_uses_more_than_a_chosen_one(all in proptest::collection::vec(0u64..9, 0..40), n in 0usize..10) {
            let measures: Vec<[u64; 2]> = all.iter().map(|&v| [v, 0]).collect();
            let chosen = chosen(&measures, n);
            prop_assert_eq!(chosen.len(), n.min(all.iter().filter(|v| **v > 0).count()));
            let least = chosen.iter().map(|&i| all[i as usize]).min().unwrap_or(9);
            for (at, value) in all.iter().enumerate() {
                prop_assert!(chosen.contains(&(at as u32)) || *value <= least || n == 0);
            }
        }
    }
}
