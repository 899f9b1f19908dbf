//! Spans of time, and sets of them.

use serde::{Deserialize, Serialize};
use sysmon_wire::UnixMs;

/// From one moment to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(i64, i64)", into = "(i64, i64)")]
pub struct Span {
    /// Its first millisecond.
    pub from: UnixMs,
    /// Its last millisecond.
    pub to: UnixMs,
}

impl From<(i64, i64)> for Span {
    fn from((from, to): (i64, i64)) -> Self {
        Self {
            from: UnixMs(from),
            to: UnixMs(to),
        }
    }
}

impl From<Span> for (i64, i64) {
    fn from(span: Span) -> Self {
        (span.from.0, span.to.0)
    }
}

impl Span {
    /// Whether it has no millisecond.
    pub fn is_empty(self) -> bool {
        self.to < self.from
    }

    /// Its length in milliseconds.
    pub fn ms(self) -> i64 {
        (self.to.0.saturating_sub(self.from.0))
            .saturating_add(1)
            .max(0)
    }
}

/// Spans that do not touch, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Span>", into = "Vec<Span>")]
pub struct SpanSet(Vec<Span>);

/// Spans of one set. Rows that arrive late in more pieces than that are sent with what lies between them.
const SPANS_MAX: usize = 256;

impl From<Vec<Span>> for SpanSet {
    fn from(spans: Vec<Span>) -> Self {
        let mut set = Self::default();
        for span in spans {
            set.insert(span);
        }
        set
    }
}

impl From<SpanSet> for Vec<Span> {
    fn from(set: SpanSet) -> Self {
        set.0
    }
}

impl SpanSet {
    /// Adds a span, which joins those that it touches.
    pub fn insert(&mut self, mut span: Span) {
        if span.is_empty() {
            return;
        }
        let touches = |other: &Span| {
            other.from.0 <= span.to.0.saturating_add(1)
                && span.from.0 <= other.to.0.saturating_add(1)
        };
        let first = self.0.iter().position(touches);
        let at = match first {
            Some(first) => {
                let end = self
                    .0
                    .iter()
                    .rposition(touches)
                    .map_or(first, |last| last + 1);
                for other in self.0.drain(first..end) {
                    span.from = span.from.min(other.from);
                    span.to = span.to.max(other.to);
                }
                first
            }
            None => self.0.partition_point(|other| other.to < span.from),
        };
        self.0.insert(at, span);
        if self.0.len() > SPANS_MAX {
            self.join_nearest();
        }
    }

    fn join_nearest(&mut self) {
        let gap = |pair: &[Span]| match pair {
            [a, b] => b.from.0.saturating_sub(a.to.0),
            _ => i64::MAX,
        };
        let nearest = (0..)
            .zip(self.0.windows(2))
            .min_by_key(|(_, pair)| gap(pair));
        if let Some((at, _)) = nearest {
            let next: Span = self.0.remove(at + 1);
            if let Some(span) = self.0.get_mut(at) {
                span.to = next.to;
            }
        }
    }

    /// Takes out what lies in `span`.
    pub fn remove(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let parts = self.0.iter().flat_map(|other| {
            let before = Span {
                from: other.from,
                to: other.to.min(span.from - 1),
            };
            let after = Span {
                from: other.from.max(span.to + 1),
                to: other.to,
            };
            [before, after]
        });
        let mut parts: Vec<Span> = parts.filter(|part| !part.is_empty()).collect();
        parts.dedup();
        self.0 = parts;
    }

    /// The oldest span.
    pub fn first(&self) -> Option<Span> {
        self.0.first().copied()
    }

    /// The spans, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milliseconds of all spans.
    pub fn ms(&self) -> i64 {
        self.iter()
            .fold(0, |sum: i64, span| sum.saturating_add(span.ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_holds_what_a_set_of_single_moments_holds(
            changes in prop::collection::vec((any::<bool>(), 0i64..60, 0i64..12), 0..40),
        ) {
            let (mut set, mut model) = (SpanSet::default(), BTreeSet::new());
            for (is_insert, from, length) in changes {
                let span = Span::from((from, from + length - 1));
                if is_insert {
                    set.insert(span);
                    model.extend(span.from.0..=span.to.0);
                } else {
                    set.remove(span);
                    model.retain(|moment| !(span.from.0..=span.to.0).contains(moment));
                }
                let held: Vec<i64> = set.iter().flat_map(|span| span.from.0..=span.to.0).collect();
                prop_assert_eq!(held, model.iter().copied().collect::<Vec<_>>());
                let spans: Vec<Span> = set.iter().collect();
                for pair in spans.windows(2) {
                    prop_assert!(pair[0].to.0 + 1 < pair[1].from.0, "{:?}", spans);
                }
                prop_assert_eq!(set.ms(), model.len() as i64);
            }
        }
    }

    #[test]
    fn a_set_of_too_many_spans_loses_none_of_them() {
        let mut set = SpanSet::default();
        for at in 0..SPANS_MAX as i64 * 3 {
            set.insert(Span::from((at * 10, at * 10 + 1)));
        }
        assert_eq!(set.iter().count(), SPANS_MAX);
        let holds = |moment| {
            set.iter()
                .any(|span| (span.from.0..=span.to.0).contains(&moment))
        };
        assert!((0..SPANS_MAX as i64 * 3).all(|at| holds(at * 10) && holds(at * 10 + 1)));
    }
}
