//! A short history of one value: means of fixed steps, the newest step incomplete.

use std::collections::VecDeque;

use sysmon_wire::{ABSENT, UnixMs};

/// Points held: enough for the widest terminal.
const POINTS_MAX: usize = 256;

/// Means over whole steps of time. It moves only when a step is full, so that a screen of sparklines
/// does not change most of the time.
#[derive(Clone, Debug)]
pub struct SparkLine {
    step_ms: i64,
    /// Means of full steps, oldest first; [`ABSENT`] for a step without a sample.
    points: VecDeque<i64>,
    filling: Option<UnixMs>,
    sum: i64,
    count: i64,
}

impl SparkLine {
    pub fn new(step_ms: i64) -> Self {
        Self {
            step_ms,
            points: VecDeque::new(),
            filling: None,
            sum: 0,
            count: 0,
        }
    }

    /// Begins with what the hub remembers; the last point may be of a step that is not full.
    pub fn load(&mut self, end: UnixMs, points: &[i64]) {
        let Some((last, full)) = points.split_last() else {
            return;
        };
        let from = full.len().saturating_sub(POINTS_MAX);
        self.points = full.iter().skip(from).copied().collect();
        self.filling = Some(end.floor(self.step_ms));
        let has = *last != ABSENT;
        (self.sum, self.count) = if has { (*last, 1) } else { (0, 0) };
    }

    pub fn push(&mut self, time: UnixMs, value: i64) {
        let step = time.floor(self.step_ms);
        match self.filling {
            // An older value has its place in a step that is drawn already.
            Some(filling) if step < filling => return,
            Some(filling) if step > filling => {
                self.close();
                let missed = (step - filling) / self.step_ms - 1;
                for _ in 0..missed.min(POINTS_MAX as i64) {
                    self.keep(ABSENT);
                }
                self.filling = Some(step);
            }
            Some(_) => {}
            None => self.filling = Some(step),
        }
        if value != ABSENT {
            self.sum = self.sum.saturating_add(value);
            self.count += 1;
        }
    }

    fn close(&mut self) {
        let mean = if self.count > 0 {
            self.sum / self.count
        } else {
            ABSENT
        };
        self.keep(mean);
        (self.sum, self.count) = (0, 0);
    }

    fn keep(&mut self, point: i64) {
        if self.points.len() >= POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    /// The line in so many cells that each stand for several points, which begin at whole multiples of their time:
    /// a cell never changes once it is full.
    pub fn cells(
        &self,
        cells: usize,
        span_ms: i64,
        now: UnixMs,
        interval_ms: u32,
    ) -> Vec<Option<i64>> {
        let points = usize::try_from(span_ms / self.step_ms).unwrap_or(0);
        let each = (points / cells.max(1)).max(1);
        let of_cell = self.step_ms * each as i64;
        let begun = ((now.floor(self.step_ms) - now.floor(of_cell)) / self.step_ms) as usize;
        let points: Vec<_> = self.held(cells * each + begun, now, interval_ms).collect();
        let whole = points.get(..cells * each).unwrap_or_default();
        let mean = |points: &[Option<i64>]| {
            let known = || points.iter().flatten();
            let count = known().count() as i64;
            (count > 0).then(|| known().sum::<i64>() / count)
        };
        whole.chunks(each).map(mean).collect()
    }

    /// The mean of the points that are there.
    pub fn mean(&self) -> Option<i64> {
        let known = || self.points.iter().filter(|point| **point != ABSENT);
        let count = known().count() as i64;
        (count > 0).then(|| known().sum::<i64>() / count)
    }

    /// The last `count` points of a host whose rows are `interval_ms` apart: each holds until the next is overdue.
    pub fn held(
        &self,
        count: usize,
        now: UnixMs,
        interval_ms: u32,
    ) -> impl Iterator<Item = Option<i64>> + '_ {
        let hold = i64::from(interval_ms) * 3 / 2 / self.step_ms;
        let (mut before, mut left) = (None, 0);
        self.last(count, now).map(move |point| {
            (before, left) = match point {
                Some(_) => (point, hold),
                None if left > 0 => (before, left - 1),
                None => (None, 0),
            };
            before
        })
    }

    /// The last `count` points as of `now`, oldest first; steps that passed without a sample since
    /// are gaps.
    fn last(&self, count: usize, now: UnixMs) -> impl Iterator<Item = Option<i64>> + '_ {
        let silent = self.filling.map_or(0, |filling| {
            ((now.floor(self.step_ms) - filling) / self.step_ms).clamp(0, count as i64) as usize
        });
        // The step that was filling when the silence began counts as a point then.
        let partial = (silent > 0).then(|| {
            if self.count > 0 {
                Some(self.sum / self.count)
            } else {
                None
            }
        });
        let gaps = silent.saturating_sub(1);
        let known = count.saturating_sub(silent).min(self.points.len());
        let lead = count.saturating_sub(silent).saturating_sub(known);
        let from = self.points.len() - known;
        let real = self
            .points
            .iter()
            .skip(from)
            .map(|&p| (p != ABSENT).then_some(p));
        std::iter::repeat_n(None, lead)
            .chain(real)
            .chain(partial)
            .chain(std::iter::repeat_n(None, gaps))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &SparkLine, now: i64) -> Vec<Option<i64>> {
        line.last(4, UnixMs(now)).collect()
    }

    #[test]
    fn it_moves_when_a_step_is_full() {
        let mut line = SparkLine::new(5000);
        line.load(UnixMs(20_000), &[1, 2, 3]);
        line.push(UnixMs(21_000), 5);
        assert_eq!(shown(&line, 21_000), [None, None, Some(1), Some(2)]);
        line.push(UnixMs(25_000), 9);
        assert_eq!(shown(&line, 25_000), [None, Some(1), Some(2), Some(4)]);
    }

    #[test]
    fn points_hold_until_the_next_row_of_a_slow_host_is_overdue() {
        let mut line = SparkLine::new(5000);
        for (time, value) in [(10_000, 1), (20_000, 2), (60_000, 3)] {
            line.push(UnixMs(time), value);
        }
        let held: Vec<_> = line.held(11, UnixMs(60_000), 10_000).collect();
        let one = |value, count| std::iter::repeat_n(value, count);
        let wanted = one(None, 1).chain(one(Some(1), 2)).chain(one(Some(2), 4));
        let wanted: Vec<_> = wanted.chain(one(None, 4)).collect();
        assert_eq!(held, wanted);
        assert_eq!(line.held(1, UnixMs(65_000), 10_000).last(), Some(Some(3)));
    }

    #[test]
    fn a_cell_is_the_mean_of_its_points_and_does_not_change_when_it_is_full() {
        let mut line = SparkLine::new(1000);
        for second in 0..70 {
            line.push(UnixMs(second * 1000), second);
        }
        // Three points a cell: those of the seconds 9 to 68 in twenty cells.
        let cells = |now: i64| line.cells(20, 60_000, UnixMs(now), 1000);
        assert_eq!(cells(69_000).first(), Some(&Some(10)));
        assert_eq!(cells(69_000).last(), Some(&Some(67)));
        assert_eq!(line.mean(), Some(34), "of the seconds that are full");
        let later = line.cells(20, 60_000, UnixMs(70_500), 1000);
        assert_eq!(later, cells(69_000));
    }

    #[test]
    fn silence_is_a_gap() {
        let mut line = SparkLine::new(5000);
        line.push(UnixMs(20_000), 8);
        assert_eq!(shown(&line, 36_000), [None, Some(8), None, None]);
        line.push(UnixMs(36_000), 6);
        line.push(UnixMs(40_000), 7);
        assert_eq!(shown(&line, 40_000), [Some(8), None, None, Some(6)]);
    }
}
