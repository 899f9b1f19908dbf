//! The recording as a swarm plays it: one copy for all agents, each of which is elsewhere in it.

use anyhow::ensure;
use sysmon_wire::{Kind, SeriesKey};

use crate::recorded_names::{Named, named};
use crate::recording::Recording;

/// How much further in the recording the next agent begins. It shares no divisor with the number of
/// rows, so that all places are taken once before one is taken again.
const STEP: u64 = 397;

/// Rows that lie ready.
#[derive(Debug)]
pub struct Tape {
    keys: Vec<SeriesKey>,
    /// Row after row.
    values: Vec<i64>,
    /// How far each counter comes in one time through; 0 for gauges.
    rises: Vec<i64>,
    rows: u64,
}

impl Tape {
    /// The first so many series of a recording, or all.
    pub fn new(recording: &Recording, series: Option<usize>) -> anyhow::Result<Self> {
        let recorded = recording.series.len();
        let count = series.unwrap_or(recorded);
        ensure!(
            (1..=recorded).contains(&count),
            "the recording has {recorded} series: --series takes 1 to {recorded}"
        );
        let named = named(recording).into_iter().zip(&recording.series);
        let (mut keys, mut rises, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        for (Named { key, factor }, series) in named.take(count) {
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

    /// The series.
    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// Where the agent of this number begins: no two of them at the same place and time through.
    pub fn start(&self, number: u64) -> Place {
        Place {
            row: number * STEP % self.rows,
            round: number / self.rows,
        }
    }

    /// Puts a row into `out`, which has room for it, and goes on to the next.
    pub fn play(&self, place: &mut Place, out: &mut [i64]) {
        let width = self.keys.len();
        let start = place.row as usize * width;
        let recorded = self.values.get(start..start + width).unwrap_or_default();
        let round = place.round as i64;
        for ((value, recorded), rise) in out.iter_mut().zip(recorded).zip(&self.rises) {
            // Counters go on rising: over the recording's end they stand still for a row.
            *value = recorded + rise * round;
        }
        place.row += 1;
        if place.row == self.rows {
            *place = Place {
                row: 0,
                round: place.round + 1,
            };
        }
    }
}

/// A place in the recording.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    row: u64,
    /// How often it has been played through before.
    round: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tape(series: Option<usize>) -> Tape {
        Tape::new(&Recording::load().unwrap(), series).unwrap()
    }

    #[test]
    fn counters_rise_over_the_seam_and_gauges_come_back() {
        let tape = tape(None);
        let mut place = tape.start(3);
        let mut before = vec![0; tape.keys().len()];
        tape.play(&mut place, &mut before);
        let first = before.clone();
        let mut row = before.clone();
        let is_counter = |at: usize| tape.keys()[at].metric.kind == Kind::Counter;
        for _ in 0..tape.rows * 2 {
            tape.play(&mut place, &mut row);
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
    fn agents_are_at_different_places() {
        let tape = tape(Some(200));
        assert_eq!(tape.keys().len(), 200);
        let row = |number| {
            let mut row = vec![0; 200];
            tape.play(&mut tape.start(number), &mut row);
            row
        };
        assert_ne!(row(0), row(1));
        assert_ne!(
            row(0),
            row(tape.rows),
            "the same place, one time through later"
        );
        let starts: std::collections::HashSet<_> = (0..tape.rows)
            .map(|number| tape.start(number).row)
            .collect();
        assert_eq!(starts.len() as u64, tape.rows);
    }

    #[test]
    fn there_are_only_so_many_series() {
        let recording = Recording::load().unwrap();
        assert!(Tape::new(&recording, Some(0)).is_err());
        assert!(Tape::new(&recording, Some(369)).is_err());
    }
}
