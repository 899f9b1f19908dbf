//! The recording as a swarm replays it: shared by all agents, each at another position.

use anyhow::ensure;
use sysmon_wire::{Kind, SeriesKey};

use crate::recorded_series::{Mapped, map_all};
use crate::recording::Recording;

/// Distance between the positions of consecutive agents. Coprime to the number of rows, so that every position is
/// used once before one is used again.
const STEP: u64 = 397;

#[derive(Debug)]
pub struct Tape {
    keys: Vec<SeriesKey>,
    values: Vec<i64>,
    /// Increase of each counter per loop; 0 for gauges.
    rises: Vec<i64>,
    rows: u64,
}

impl Tape {
    /// The first `series` of a recording; all if none.
    ///
    /// # Errors
    /// The recording has fewer series.
    pub fn new(recording: &Recording, series: Option<usize>) -> anyhow::Result<Self> {
        let recorded = recording.series.len();
        let count = series.unwrap_or(recorded);
        ensure!(
            (1..=recorded).contains(&count),
            "cannot replay {count} series: the recording has {recorded}; choose --series from 1 to {recorded}"
        );
        let mapped = map_all(recording).into_iter().zip(&recording.series);
        let (mut keys, mut rises, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (Mapped { key, factor }, series) in mapped.take(count) {
            let (first, last) = (series.values.first(), series.values.last());
            let rise = last.zip(first).map_or(0, |(last, first)| last - first);
            let is_counter = key.metric.kind == Kind::Counter;
            rises.push(if is_counter { rise * factor } else { 0 });
            columns.push((&series.values, factor));
            keys.push(key);
        }
        let row = |at: usize| {
            let value = move |(column, factor): &(&Vec<i64>, i64)| {
                column.get(at).copied().unwrap_or_default() * factor
            };
            columns.iter().map(value)
        };
        Ok(Self {
            values: (0..recording.rows).flat_map(row).collect(),
            keys,
            rises,
            rows: recording.rows as u64,
        })
    }

    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// The start of the agent of this number: distinct for every agent.
    pub fn start(&self, number: u64) -> Position {
        Position {
            row: number * STEP % self.rows,
            round: number / self.rows,
        }
    }

    /// Writes the current row to `out`, which has one element per series, and advances.
    pub fn play(&self, position: &mut Position, out: &mut [i64]) {
        let width = self.keys.len();
        let start = position.row as usize * width;
        let recorded = self.values.get(start..start + width).unwrap_or_default();
        let round = position.round as i64;
        for ((value, recorded), rise) in out.iter_mut().zip(recorded).zip(&self.rises) {
            // Counters continue to rise; at the end of the recording they pause for one row.
            *value = recorded + rise * round;
        }
        position.row += 1;
        if position.row == self.rows {
            *position = Position {
                row: 0,
                round: position.round + 1,
            };
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Position {
    row: u64,
    round: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(series: Option<usize>) -> Tape {
        Tape::new(&Recording::load().unwrap(), series).unwrap()
    }

    #[test]
    fn counters_rise_across_loops_and_gauges_repeat() {
        let tape = tape(None);
        let mut position = tape.start(3);
        let mut before = vec![0; tape.keys().len()];
        tape.play(&mut position, &mut before);
        let first = before.clone();
        let mut row = before.clone();
        let is_counter = |at: usize| tape.keys()[at].metric.kind == Kind::Counter;
        for _ in 0..tape.rows * 2 {
            tape.play(&mut position, &mut row);
            for (at, (now, before)) in row.iter().zip(&before).enumerate() {
                assert!(now >= before || !is_counter(at), "{:?}", tape.keys()[at]);
            }
            before.clone_from(&row);
        }
        let same = |at: &usize| row[*at] == first[*at] + 2 * tape.rises[*at];
        assert!((0..row.len()).all(|at| same(&at)));
        assert!(tape.rises.iter().filter(|rise| **rise > 0).count() > 40);
    }

    #[test]
    fn agents_start_at_different_positions() {
        let tape = tape(Some(200));
        assert_eq!(tape.keys().len(), 200);
        let row = |number| {
            let mut row = vec![0; 200];
            tape.play(&mut tape.start(number), &mut row);
            row
        };
        assert_ne!(row(0), row(1));
        assert_ne!(row(0), row(tape.rows), "the same position, one loop later");
        let starts: std::collections::HashSet<_> = (0..tape.rows)
            .map(|number| tape.start(number).row)
            .collect();
        assert_eq!(starts.len() as u64, tape.rows);
    }

    #[test]
    fn the_number_of_series_is_checked() {
        let recording = Recording::load().unwrap();
        assert!(Tape::new(&recording, Some(0)).is_err());
        assert!(Tape::new(&recording, Some(369)).is_err());
    }
}
