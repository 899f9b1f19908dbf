//! Selects the processes that use most: the first by each of several measures, and how many of each were selected.

/// How many processes are selected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// In all.
    pub(super) all: usize,
    /// By each measure.
    pub(super) each: usize,
    /// The measure by which places that are left are filled.
    pub(super) spare: usize,
}

/// A selection, with the memory that making it needs.
#[derive(Debug)]
pub(super) struct Selection<const MEASURES: usize> {
    /// Indices in the order of the first measure that selected them.
    pub(super) chosen: Vec<u32>,
    /// For each measure, of how many processes that use most none is missing; none if that is all that use any.
    pub(super) depths: [Option<usize>; MEASURES],
    first: [Vec<(u64, u32)>; MEASURES],
}

impl<const MEASURES: usize> Default for Selection<MEASURES> {
    fn default() -> Self {
        Self {
            chosen: Vec::new(),
            depths: [None; MEASURES],
            first: std::array::from_fn(|_| Vec::new()),
        }
    }
}

impl<const MEASURES: usize> Selection<MEASURES> {
    /// Selects among `count` processes. One that uses nothing by a measure is not selected by it.
    pub(super) fn choose(
        &mut self,
        count: usize,
        places: Places,
        measure: impl Fn(usize) -> [u64; MEASURES],
    ) {
        self.chosen.clear();
        let mut users = [0; MEASURES];
        for (which, (first, users)) in self.first.iter_mut().zip(&mut users).enumerate() {
            let value = |index: usize| measure(index).get(which).copied().unwrap_or(0);
            *users = sort_first(first, count, places.all, value);
            for (_, index) in first.iter().take(places.each) {
                if !self.chosen.contains(index) {
                    self.chosen.push(*index);
                }
            }
        }
        for (_, index) in self.first.get(places.spare).into_iter().flatten() {
            if self.chosen.len() < places.all && !self.chosen.contains(index) {
                self.chosen.push(*index);
            }
        }
        for ((depth, first), users) in self.depths.iter_mut().zip(&self.first).zip(users) {
            let is_chosen = |(_, index): &&(u64, u32)| self.chosen.contains(index);
            let leading = first.iter().take_while(is_chosen).count();
            *depth = (leading < users).then_some(leading);
        }
    }
}

/// Fills `first` with the first `n` that use any, and returns how many do.
fn sort_first(
    first: &mut Vec<(u64, u32)>,
    count: usize,
    n: usize,
    value: impl Fn(usize) -> u64,
) -> usize {
    first.clear();
    let all = (0..count).map(|index| (value(index), index as u32));
    first.extend(all.filter(|(value, _)| *value > 0));
    let users = first.len();
    // Ties are broken by index, so that the choice is stable.
    let order = |a: &(u64, u32), b: &(u64, u32)| b.0.cmp(&a.0).then(a.1.cmp(&b.1));
    if n < users {
        first.select_nth_unstable_by(n, order);
        first.truncate(n);
    }
    first.sort_unstable_by(order);
    users
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn selected(measures: &[[u64; 2]], all: usize, each: usize) -> Selection<2> {
        let mut selection = Selection::default();
        let places = Places {
            all,
            each,
            spare: 1,
        };
        selection.choose(measures.len(), places, |at| measures[at]);
        selection
    }

    #[test]
    fn the_first_by_each_measure_are_selected_once_and_the_rest_by_one_measure() {
        let all = [[5, 0], [9, 1], [9, 7], [0, 0], [1, 8]];
        let few = selected(&all, 4, 2);
        assert_eq!(few.chosen, [1, 2, 4]);
        assert_eq!(few.depths, [Some(2), None], "all that have the second");
        assert_eq!(selected(&all, 10, 10).chosen, [1, 2, 0, 4]);
        assert_eq!(selected(&all, 0, 0).chosen, [0; 0]);
        let many: Vec<_> = (1..20).map(|n| [if n < 3 { n } else { 0 }, n]).collect();
        let found = selected(&many, 10, 3);
        assert_eq!(found.chosen.len(), 10);
        assert_eq!(found.depths, [None, Some(8)]);
    }

    proptest! {
        #[test]
        fn no_process_within_the_depth_is_missing(
            all in proptest::collection::vec((0u64..9, 0u64..9), 0..40), each in 0usize..5, spare in 0usize..6,
        ) {
            let all: Vec<[u64; 2]> = all.into_iter().map(|(a, b)| [a, b]).collect();
            let found = selected(&all, each * 2 + spare, each);
            prop_assert!(found.chosen.len() <= each * 2 + spare);
            for which in 0..2 {
                let mut order: Vec<usize> = (0..all.len()).filter(|&at| all[at][which] > 0).collect();
                order.sort_by_key(|&at| (std::cmp::Reverse(all[at][which]), at));
                let depth = found.depths[which].unwrap_or(order.len());
                prop_assert!(depth >= each.min(order.len()));
                for at in &order[..depth] {
                    prop_assert!(found.chosen.contains(&(*at as u32)));
                }
            }
        }
    }
}
