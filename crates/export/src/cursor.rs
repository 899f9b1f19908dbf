//! What a destination has: up to which row of each host, and which spans before that are still pending. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use sysmon_wire::{Label, UnixMs};

use crate::{Committed, LateRows, Span, SpanSet};

/// Rows that are this much newer than what the destination has are live; a longer gap is pending, and sent after live rows.
pub const LIVE_MS_MAX: i64 = 60_000;

const MINUTE_MS: i64 = 60_000;

/// What a destination has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// Of hosts that come later, rows before this moment are exported only when asked for.
    pub created: UnixMs,
    /// Rows in order up to here were sent, by host.
    until: BTreeMap<Label, UnixMs>,
    /// Spans up to there that are still to be sent, by host.
    pending: BTreeMap<Label, SpanSet>,
    /// Hosts whose history went back, as a restored backup does: up to where their rows since then are pending.
    #[serde(default)]
    rewound: BTreeMap<Label, UnixMs>,
    /// The newest late rows that are among the pending ones.
    pub late: i64,
    /// The newest event that was sent.
    pub event: i64,
    /// Host-milliseconds that were pending and are no longer in the history.
    #[serde(default)]
    pub lost_ms: i64,
    /// Whether nothing is sent until somebody resumes it.
    #[serde(default)]
    pub is_paused: bool,
}

/// Rows of a host to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The host.
    pub host: Label,
    /// The rows.
    pub span: Span,
    /// Whether they are pending ones rather than live.
    pub is_late: bool,
}

impl Cursor {
    /// The cursor of a new destination, which gets what is committed from now on.
    pub fn new(committed: &Committed, late: i64, event: i64, now: UnixMs) -> Self {
        Self {
            created: now - LIVE_MS_MAX,
            until: committed.newest.clone(),
            late,
            event,
            ..Self::default()
        }
    }

    /// Takes note of late rows: those that would not come with live ones are pending.
    pub fn add_late(&mut self, rows: &[LateRows]) {
        for LateRows { id, host, span } in rows {
            self.late = self.late.max(*id);
            if let Some(until) = self.until.get(host) {
                let to = span.to.min(*until);
                self.insert(host.clone(), Span { to, ..*span });
            }
        }
    }

    /// Compares with what is committed: long gaps become pending; returns the hosts that are gone. `oldest` knows the
    /// first row of hosts that are new.
    pub fn catch_up(
        &mut self,
        committed: &Committed,
        mut oldest: impl FnMut(&Label) -> Option<UnixMs>,
    ) -> Vec<Label> {
        for (host, newest) in &committed.newest {
            match self.until.get(host).copied() {
                None => {
                    let from = oldest(host).unwrap_or(*newest).max(self.created);
                    self.until.insert(host.clone(), *newest);
                    self.insert(host.clone(), Span { from, to: *newest });
                }
                Some(until) if *newest < until => self.rewind(host, *newest),
                Some(until) => {
                    if let Some(seen) = self.rewound.remove(host) {
                        self.insert(
                            host.clone(),
                            Span {
                                from: seen + 1,
                                to: until,
                            },
                        );
                    }
                    if *newest - until > LIVE_MS_MAX {
                        self.until.insert(host.clone(), *newest);
                        let from = until + 1;
                        self.insert(host.clone(), Span { from, to: *newest });
                    }
                }
            }
        }
        let is_gone = |host: &&Label| !committed.newest.contains_key(*host);
        let gone: Vec<Label> = self.until.keys().filter(is_gone).cloned().collect();
        for host in &gone {
            self.until.remove(host);
            self.pending.remove(host);
            self.rewound.remove(host);
        }
        gone
    }

    /// Goes on from the cursor that the engine stores, whose rows it has and no others; returns the host-milliseconds that
    /// it lacks and this cursor took for sent. `oldest` is as for [`Cursor::catch_up`].
    pub fn go_on_from(
        &mut self,
        stored: &Self,
        mut oldest: impl FnMut(&Label) -> Option<UnixMs>,
    ) -> i64 {
        let before = self.pending_ms().0;
        for (host, until) in self.until.clone() {
            match stored.until.get(host.as_str()) {
                Some(has) if *has > until => drop(self.until.insert(host, *has)),
                Some(has) => {
                    let from = *has + 1;
                    self.insert(host, Span { from, to: until });
                }
                None => {
                    let from = oldest(&host).unwrap_or(until).max(self.created);
                    self.insert(host, Span { from, to: until });
                }
            }
        }
        for (host, spans) in &stored.pending {
            if self.until.contains_key(host.as_str()) {
                spans
                    .iter()
                    .for_each(|span| self.insert(host.clone(), span));
            }
        }
        (self.late, self.event) = (stored.late, stored.event);
        self.pending_ms().0 - before
    }

    fn rewind(&mut self, host: &Label, newest: UnixMs) {
        match self.rewound.get_mut(host) {
            Some(seen) if *seen < newest => {
                let from = *seen + 1;
                *seen = newest;
                self.insert(host.clone(), Span { from, to: newest });
            }
            Some(_) => {}
            None => drop(self.rewound.insert(host.clone(), newest)),
        }
    }

    fn insert(&mut self, host: Label, span: Span) {
        if !span.is_empty() {
            self.pending.entry(host).or_default().insert(span);
        }
    }

    /// Makes the past from `from` on pending, for hosts of which `oldest` knows how far back there is anything.
    pub fn backfill(&mut self, from: UnixMs, oldest: impl Fn(&Label) -> Option<UnixMs>) {
        for (host, until) in self.until.clone() {
            if let Some(oldest) = oldest(&host) {
                let from = from.max(oldest);
                self.insert(host, Span { from, to: until });
            }
        }
    }

    /// The live rows of each host that has some, in whole steps of `every_ms`.
    pub fn live(&self, committed: &Committed, every_ms: i64) -> Vec<Task> {
        let newer = committed.newest.iter().filter_map(|(host, newest)| {
            let until = *self.until.get(host)?;
            let to = (*newest + 1).floor(every_ms) - 1;
            let span = Span {
                from: until + 1,
                to,
            };
            let is_live = !span.is_empty();
            is_live.then(|| Task {
                host: host.clone(),
                span,
                is_late: false,
            })
        });
        newer.collect()
    }

    /// The oldest pending rows of the first host after `after`, at most `ms_max` of them, in whole steps of `every_ms`.
    pub fn next_pending(&self, after: Option<&Label>, ms_max: i64, every_ms: i64) -> Option<Task> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.pending.range::<Label, _>((from, Bound::Unbounded));
        let (host, set) = rest.chain(&self.pending).next()?;
        let first = set.first()?;
        let from = first.from.floor(every_ms);
        let ms_max = ms_max.max(every_ms);
        // Up to a whole multiple, so that a minute is not sent in two parts.
        let end = first.to.min(from.floor(ms_max) + (ms_max - 1));
        let to = (end + 1 + (every_ms - 1)).floor(every_ms) - 1;
        Some(Task {
            host: host.clone(),
            span: Span { from, to },
            is_late: true,
        })
    }

    /// The minutes that are complete with the rows of a task, or that these rows change.
    pub fn whole_minutes(&self, task: &Task) -> Option<Span> {
        let Span { from, to } = task.span;
        let end = match (task.is_late, self.until.get(&task.host)) {
            (true, Some(until)) => (to + MINUTE_MS).min(*until + 1),
            _ => to + 1,
        };
        let span = Span {
            from: from.floor(MINUTE_MS),
            to: end.floor(MINUTE_MS) - 1,
        };
        (!span.is_empty()).then_some(span)
    }

    /// Takes note that rows are in the engine, or that there are none.
    pub fn complete(&mut self, task: &Task) {
        if !task.is_late {
            self.until.insert(task.host.clone(), task.span.to);
            return;
        }
        if let Some(set) = self.pending.get_mut(&task.host) {
            set.remove(task.span);
            if set.is_empty() {
                self.pending.remove(&task.host);
            }
        }
    }

    /// Gives up what is pending of a host from before `oldest`, because the history no longer has it.
    pub fn give_up(&mut self, host: &Label, oldest: Option<UnixMs>) {
        let Some(set) = self.pending.get_mut(host) else {
            return;
        };
        let before = set.ms();
        set.remove(Span {
            from: UnixMs(i64::MIN / 2),
            to: oldest.map_or(UnixMs(i64::MAX / 2), |oldest| oldest - 1),
        });
        self.lost_ms = self.lost_ms.saturating_add(before - set.ms());
        if set.is_empty() {
            self.pending.remove(host);
        }
    }

    /// The oldest pending moment of a host.
    pub fn pending_from(&self, host: &Label) -> Option<UnixMs> {
        Some(self.pending.get(host)?.first()?.from)
    }

    /// Host-milliseconds that are pending, and of how many hosts.
    pub fn pending_ms(&self) -> (i64, usize) {
        let all = self.pending.values();
        let ms = all.fold(0, |sum: i64, set| sum.saturating_add(set.ms()));
        (ms, self.pending.len())
    }

    /// How far the destination is behind the history: the oldest row that it lacks, live or pending.
    pub fn lag_ms(&self, committed: &Committed) -> i64 {
        let live = committed.newest.iter().filter_map(|(host, newest)| {
            let until = self.until.get(host)?;
            (newest > until).then(|| *newest - *until)
        });
        let newest = committed.newest.values().max().copied().unwrap_or_default();
        let pending = self.pending.values().filter_map(SpanSet::first);
        let pending = pending.map(|span| newest - span.from);
        live.chain(pending).max().unwrap_or(0).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn committed(newest: i64) -> Committed {
        Committed {
            newest: [("a".into(), UnixMs(newest))].into(),
            ..Committed::default()
        }
    }

    fn of(newest: BTreeMap<Label, UnixMs>) -> Committed {
        Committed {
            newest,
            ..Committed::default()
        }
    }

    fn catch_up(cursor: &mut Cursor, committed: &Committed) -> Vec<Label> {
        cursor.catch_up(committed, |_| Some(UnixMs(0)))
    }

    fn spans(tasks: &[Task]) -> Vec<(i64, i64)> {
        tasks.iter().map(|task| task.span.into()).collect()
    }

    #[test]
    fn a_short_gap_is_live_and_a_long_one_is_pending() {
        let mut cursor = Cursor::new(&committed(100_000), 0, 0, UnixMs(100_000));
        catch_up(&mut cursor, &committed(103_000));
        assert_eq!(
            spans(&cursor.live(&committed(103_000), 1)),
            [(100_001, 103_000)]
        );
        assert_eq!(cursor.next_pending(None, 60_000, 1), None);
        catch_up(&mut cursor, &committed(400_000));
        assert_eq!(cursor.live(&committed(400_000), 1), []);
        let task = cursor.next_pending(None, 60_000, 1).unwrap();
        assert_eq!(task.span, Span::from((100_001, 119_999)), "a whole minute");
        cursor.complete(&task);
        assert_eq!(cursor.pending_ms(), (280_001, 1));
        assert_eq!(cursor.lag_ms(&committed(400_000)), 280_000);
    }

    #[test]
    fn what_the_engine_says_that_it_has_counts() {
        let mut cursor = Cursor::new(&committed(100_000), 7, 9, UnixMs(100_000));
        let mut newer = cursor.clone();
        newer.until.insert("a".into(), UnixMs(105_000));
        newer.event = 10;
        assert_eq!(
            cursor.go_on_from(&newer, |_| None),
            0,
            "its answer was lost"
        );
        assert_eq!(cursor, newer);
        let older = Cursor::new(&committed(40_000), 3, 4, UnixMs(40_000));
        assert_eq!(cursor.go_on_from(&older, |_| None), 65_000);
        let task = cursor.next_pending(None, 600_000, 1).unwrap();
        assert_eq!(
            (task.span, task.is_late),
            (Span::from((40_001, 105_000)), true)
        );
        assert_eq!((cursor.late, cursor.event), (3, 4));
        assert_eq!(
            cursor.go_on_from(&older, |_| None),
            0,
            "it is pending already"
        );
        let without_host = Cursor::new(&Committed::default(), 0, 0, UnixMs(0));
        cursor.go_on_from(&without_host, |_| Some(UnixMs(39_000)));
        assert_eq!(cursor.pending_from(&"a".into()), Some(UnixMs(40_000)));
    }

    #[test]
    fn a_new_host_is_sent_from_its_first_row() {
        let mut cursor = Cursor::new(&Committed::default(), 0, 0, UnixMs(50 + LIVE_MS_MAX));
        catch_up(&mut cursor, &committed(100));
        let task = cursor.next_pending(None, 60_000, 1).unwrap();
        assert_eq!((task.span, task.is_late), (Span::from((50, 100)), true));
    }

    #[test]
    fn aggregates_are_made_of_whole_steps() {
        let mut cursor = Cursor::new(&committed(19_999), 0, 0, UnixMs(0));
        assert_eq!(cursor.live(&committed(29_000), 10_000), []);
        assert_eq!(
            spans(&cursor.live(&committed(30_000), 10_000)),
            [(20_000, 29_999)]
        );
        let late = LateRows {
            id: 7,
            host: "a".into(),
            span: Span::from((12_000, 13_000)),
        };
        cursor.add_late(&[late]);
        let task = cursor.next_pending(None, 1_000, 10_000).unwrap();
        assert_eq!(task.span, Span::from((10_000, 19_999)));
        cursor.complete(&task);
        assert_eq!((cursor.pending_ms(), cursor.late), ((0, 0), 7));
    }

    #[test]
    fn rows_after_a_restored_backup_are_sent_again_in_place_of_the_old_ones() {
        let mut cursor = Cursor::new(&committed(100_000), 0, 0, UnixMs(0));
        catch_up(&mut cursor, &committed(90_000));
        assert_eq!(cursor.next_pending(None, 60_000, 1), None);
        catch_up(&mut cursor, &committed(95_000));
        assert_eq!(cursor.live(&committed(95_000), 1), []);
        catch_up(&mut cursor, &committed(101_000));
        let task = cursor.next_pending(None, 60_000, 1).unwrap();
        assert_eq!(task.span, Span::from((90_001, 100_000)));
        assert_eq!(
            spans(&cursor.live(&committed(101_000), 1)),
            [(100_001, 101_000)]
        );
    }

    #[test]
    fn what_the_history_no_longer_has_is_counted() {
        let mut cursor = Cursor::new(&committed(100_000), 0, 0, UnixMs(0));
        catch_up(&mut cursor, &committed(300_000));
        cursor.give_up(&"a".into(), Some(UnixMs(150_001)));
        assert_eq!((cursor.lost_ms, cursor.pending_ms().0), (50_000, 150_000));
        cursor.give_up(&"a".into(), None);
        assert_eq!((cursor.lost_ms, cursor.pending_ms()), (200_000, (0, 0)));
    }

    #[test]
    fn a_host_that_is_gone_is_forgotten() {
        let mut cursor = Cursor::new(&committed(1), 0, 0, UnixMs(0));
        assert_eq!(
            catch_up(&mut cursor, &Committed::default()),
            [Label::new("a")]
        );
        assert_eq!(cursor.lag_ms(&Committed::default()), 0);
    }

    #[test]
    fn pending_rows_of_hosts_take_turns() {
        let newest = [("a".into(), UnixMs(0)), ("b".into(), UnixMs(0))].into();
        let mut cursor = Cursor::new(&of(newest), 0, 0, UnixMs(0));
        let newest = [("a".into(), UnixMs(900_000)), ("b".into(), UnixMs(900_000))].into();
        catch_up(&mut cursor, &of(newest));
        let first = cursor.next_pending(None, 60_000, 1).unwrap();
        let second = cursor.next_pending(Some(&first.host), 60_000, 1).unwrap();
        let third = cursor.next_pending(Some(&second.host), 60_000, 1).unwrap();
        let hosts = [first, second, third].map(|task| task.host.to_string());
        assert_eq!(hosts, ["a", "b", "a"]);
    }

    proptest! {
        /// Rows are committed in order or late, batches fail or succeed, and the sender restarts with its last cursor.
        #[test]
        fn every_committed_row_is_sent(
            events in prop::collection::vec((0u8..6, 0i64..40, any::<bool>()), 1..60),
            every in prop::sample::select(vec![1i64, 10]),
        ) {
            let mut stored = Cursor::new(&committed(999), 0, 0, UnixMs(999));
            let (mut rows, mut sent) = (BTreeSet::new(), BTreeSet::new());
            let (mut newest, mut late) = (999i64, Vec::new());
            let mut turn = |stored: &mut Cursor, newest: i64, late: &[LateRows], rows: &BTreeSet<i64>, fails: bool| {
                let mut cursor = stored.clone();
                let new: Vec<_> = late.iter().filter(|rows| rows.id > cursor.late).cloned().collect();
                cursor.add_late(&new);
                catch_up(&mut cursor, &committed(newest));
                let mut tasks = cursor.live(&committed(newest), every);
                tasks.extend(cursor.next_pending(None, 25, every));
                for task in tasks {
                    let mut next = cursor.clone();
                    next.complete(&task);
                    if fails {
                        return false;
                    }
                    sent.extend(rows.range(task.span.from.0..=task.span.to.0));
                    cursor = next;
                }
                let is_done = cursor == *stored;
                *stored = cursor;
                is_done
            };
            for (kind, by, fails) in events {
                match kind {
                    0..=2 => {
                        newest += by * if kind == 0 { 4_000 } else { 1 };
                        rows.insert(newest);
                    }
                    3 => {
                        let at = (newest - by).max(1_000);
                        rows.insert(at);
                        let id = late.len() as i64 + 1;
                        late.push(LateRows { id, host: "a".into(), span: Span::from((at, at)) });
                    }
                    _ => drop(turn(&mut stored, newest, &late, &rows, fails)),
                }
            }
            newest += every;
            for _ in 0..100_000 {
                if turn(&mut stored, newest, &late, &rows, false) {
                    break;
                }
            }
            rows.retain(|row| *row > 999 && *row < (newest + 1) / every * every);
            prop_assert!(rows.is_subset(&sent), "{:?} are missing", rows.difference(&sent).collect::<Vec<_>>());
        }
    }
}
