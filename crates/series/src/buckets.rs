//! Downsampling: count, minimum, maximum, sum and last value of each series and step.

use std::collections::BTreeMap;

use sysmon_wire::{ABSENT, Kind, UnixMs};

use crate::rate::{RATE_SCALE, rate};
use crate::{Chunk, ChunkError};

/// One series over one step: of a gauge its values, of a counter its rates in thousandths of a unit per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Number of values.
    pub count: i64,
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// Sum of the values, so that means of means are exact.
    pub sum: i64,
    /// Newest value.
    pub last: i64,
}

impl Bucket {
    /// Columns of a bucket in a chunk, in this order: count, min, max, sum, last.
    pub const COLUMNS: usize = 5;

    pub(crate) const COUNT: usize = 0;
    pub(crate) const MIN: usize = 1;
    pub(crate) const MAX: usize = 2;
    pub(crate) const SUM: usize = 3;
    pub(crate) const LAST: usize = 4;

    fn of(value: i64) -> Self {
        Self {
            count: 1,
            min: value,
            max: value,
            sum: value,
            last: value,
        }
    }

    fn merge(&mut self, later: &Self) {
        self.count = self.count.saturating_add(later.count);
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        // A saturated sum must not become ABSENT.
        self.sum = self.sum.saturating_add(later.sum).max(ABSENT + 1);
        self.last = later.last;
    }

    fn numbers(&self) -> [i64; Self::COLUMNS] {
        [self.count, self.min, self.max, self.sum, self.last]
    }

    /// The bucket in one row of its columns; `None` if the series had no value.
    pub fn from_row(columns: &[Vec<i64>; Self::COLUMNS], row: usize) -> Option<Self> {
        let [count, min, max, sum, last] = columns;
        let number = |column: &Vec<i64>| column.get(row).copied().filter(|n| *n != ABSENT);
        Some(Self {
            count: number(count).filter(|count| *count > 0)?,
            min: number(min)?,
            max: number(max)?,
            sum: number(sum)?,
            last: number(last)?,
        })
    }
}

/// The buckets of one series while they fill, at never falling times.
struct Filling<'a> {
    starts: &'a [i64],
    buckets: Vec<Option<Bucket>>,
    at: usize,
}

impl<'a> Filling<'a> {
    fn new(starts: &'a [i64]) -> Self {
        Self {
            starts,
            buckets: vec![None; starts.len()],
            at: 0,
        }
    }

    /// Merges `later` into the bucket that begins at `start`.
    fn add(&mut self, start: i64, later: &Bucket) {
        while self.starts.get(self.at).is_some_and(|at| *at < start) {
            self.at += 1;
        }
        match self.buckets.get_mut(self.at) {
            Some(Some(bucket)) => bucket.merge(later),
            Some(empty) => *empty = Some(*later),
            None => {}
        }
    }

    fn into_columns(self) -> [Vec<i64>; Bucket::COLUMNS] {
        if self.buckets.iter().all(Option::is_none) {
            return Default::default();
        }
        let mut columns: [Vec<i64>; Bucket::COLUMNS] =
            std::array::from_fn(|_| Vec::with_capacity(self.buckets.len()));
        for bucket in self.buckets {
            let numbers = bucket.map_or([ABSENT; Bucket::COLUMNS], |bucket| bucket.numbers());
            for (column, number) in columns.iter_mut().zip(numbers) {
                column.push(number);
            }
        }
        columns
    }
}

/// The buckets of one series, whose rows have never falling times.
fn fill(
    starts: &[i64],
    kind: Kind,
    rows: impl Iterator<Item = (i64, i64)>,
    (from, to): (UnixMs, UnixMs),
    step_ms: i64,
) -> [Vec<i64>; Bucket::COLUMNS] {
    let mut filling = Filling::new(starts);
    let mut before = (0, ABSENT);
    for (time, value) in rows {
        let real = match kind {
            Kind::Gauge => (value != ABSENT).then_some(value),
            Kind::Counter => {
                rate(before, (time, value)).map(|rate| (rate * RATE_SCALE).round() as i64)
            }
        };
        before = (time, value);
        if let Some(real) = real.filter(|_| (from.0..to.0).contains(&time)) {
            filling.add(UnixMs(time).floor(step_ms).0, &Bucket::of(real));
        }
    }
    filling.into_columns()
}

/// Buckets of all series of a host. In a [`Chunk`] the five columns of each series are neighbours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Where each step begins, in rising Unix milliseconds; steps without rows are left out.
    times: Vec<i64>,
    /// The columns of a series without a value are empty.
    series: Vec<[Vec<i64>; Bucket::COLUMNS]>,
}

impl Buckets {
    /// Downsamples the rows of `chunks` from `from` until before `to` to steps of `step_ms`. `kinds` has an entry for
    /// each series, and none for numbers without a series. Rows before `from` serve only as the start of the first rates.
    ///
    /// # Errors
    /// A chunk does not decode.
    pub fn roll_up(
        chunks: &[Chunk],
        kinds: &[Option<Kind>],
        from: UnixMs,
        to: UnixMs,
        step_ms: i64,
    ) -> Result<Self, ChunkError> {
        let (mut times, mut column) = (Vec::new(), Vec::new());
        for chunk in chunks {
            chunk.times(&mut column)?;
            times.extend_from_slice(&column);
        }
        // Chunks of late rows overlap others.
        let mut order: Vec<usize> = (0..times.len()).collect();
        if !times.is_sorted() {
            order.sort_by_key(|&at| times.get(at).copied());
        }
        let time_of = |&at: &usize| times.get(at).copied().unwrap_or_default();
        let step_of = |time: i64| UnixMs(time).floor(step_ms).0;
        let is_wanted = |time: &i64| (from.0..to.0).contains(time);
        let wanted = order.iter().map(time_of).filter(is_wanted);
        let mut starts: Vec<i64> = wanted.map(step_of).collect();
        starts.dedup();
        let mut series = Vec::with_capacity(kinds.len());
        let mut values = Vec::with_capacity(times.len());
        for (index, kind) in (0..).zip(kinds) {
            let has_values = chunks.iter().any(|chunk| chunk.has_values(index));
            let Some(kind) = kind.filter(|_| has_values) else {
                series.push(Default::default());
                continue;
            };
            values.clear();
            for chunk in chunks {
                if chunk.values(index, &mut column)? {
                    values.extend_from_slice(&column);
                } else {
                    values.resize(values.len() + chunk.rows(), ABSENT);
                }
            }
            let rows = order
                .iter()
                .map(|row| (time_of(row), values.get(*row).copied().unwrap_or(ABSENT)));
            series.push(fill(&starts, kind, rows, (from, to), step_ms));
        }
        Ok(Self {
            times: starts,
            series,
        })
    }

    /// The same for rows that are at hand: `columns` has the values of each series, or is empty for one without any.
    pub fn of_rows(
        times: &[i64],
        columns: &[Vec<i64>],
        kinds: &[Kind],
        (from, to): (UnixMs, UnixMs),
        step_ms: i64,
    ) -> Self {
        let wanted = times.iter().filter(|time| (from.0..to.0).contains(time));
        let mut starts: Vec<i64> = wanted.map(|time| UnixMs(*time).floor(step_ms).0).collect();
        starts.dedup();
        let of_series = |(column, kind): (&Vec<i64>, &Kind)| {
            let rows = times.iter().copied().zip(column.iter().copied());
            fill(&starts, *kind, rows, (from, to), step_ms)
        };
        let series = columns.iter().zip(kinds).map(of_series).collect();
        Self {
            times: starts,
            series,
        }
    }

    /// Buckets of series at rising times: each has one for each time, or none where it had no value.
    pub fn of_series(times: Vec<i64>, series: &[Vec<Option<Bucket>>]) -> Self {
        let columns = |buckets: &Vec<Option<Bucket>>| {
            let mut filling = Filling::new(&times);
            filling.buckets.clone_from(buckets);
            filling.buckets.resize(times.len(), None);
            filling.into_columns()
        };
        let series = series.iter().map(columns).collect();
        Self { times, series }
    }

    /// Where the steps begin.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The buckets of a series with the beginnings of their steps.
    pub fn of(&self, series: usize) -> impl Iterator<Item = (i64, Bucket)> {
        let columns = self.series.get(series);
        let rows = self.times.iter().enumerate();
        rows.filter_map(move |(row, time)| Some((*time, Bucket::from_row(columns?, row)?)))
    }

    /// Whether no step has rows.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Downsamples further, to a multiple of the present step.
    #[must_use]
    pub fn coarser(&self, step_ms: i64) -> Self {
        let step_of = |time: &i64| UnixMs(*time).floor(step_ms).0;
        let mut times: Vec<i64> = self.times.iter().map(step_of).collect();
        times.dedup();
        let merged = |series: &[Vec<i64>; Bucket::COLUMNS]| {
            let mut filling = Filling::new(&times);
            for (row, time) in self.times.iter().enumerate() {
                if let Some(bucket) = Bucket::from_row(series, row) {
                    filling.add(step_of(time), &bucket);
                }
            }
            filling.into_columns()
        };
        let series = self.series.iter().map(merged).collect();
        Self { times, series }
    }

    /// Appends `later`, which replaces everything from its first step on.
    pub fn extend(&mut self, later: &Self) {
        let first = later.times.first().copied().unwrap_or(i64::MAX);
        let remaining = self.times.partition_point(|time| *time < first);
        self.times.truncate(remaining);
        self.times.extend_from_slice(&later.times);
        let series = self.series.len().max(later.series.len());
        self.series.resize_with(series, Default::default);
        let none = Default::default();
        for (at, columns) in self.series.iter_mut().enumerate() {
            let more = later.series.get(at).unwrap_or(&none);
            for (column, more) in columns.iter_mut().zip(more) {
                if column.is_empty() && more.is_empty() {
                    continue;
                }
                column.resize(remaining, ABSENT);
                column.extend_from_slice(more);
                column.resize(self.times.len(), ABSENT);
            }
        }
    }

    /// Compresses the buckets; `None` if there are none.
    ///
    /// # Errors
    /// Compression fails.
    pub fn seal(&self) -> Result<Option<Chunk>, ChunkError> {
        if self.times.is_empty() {
            return Ok(None);
        }
        let columns = self.series.iter().flatten().map(Vec::as_slice);
        Chunk::seal(&self.times, columns).map(Some)
    }

    /// Whether a series has a value in any step.
    pub fn has_values(&self, series: usize) -> bool {
        let columns = self.series.get(series);
        let counts = columns.and_then(|columns| columns.get(Bucket::COUNT));
        counts.is_some_and(|counts| counts.iter().any(|count| *count != ABSENT && *count > 0))
    }

    /// Splits the buckets into parts of `size` series each, so that reading one series reads one part: `numbers` has the
    /// number of each series among all parts. A part without any of them is left out, except for the first.
    pub fn parts(&self, size: usize, numbers: &[Option<usize>]) -> BTreeMap<usize, Self> {
        let empty = || Self {
            times: self.times.clone(),
            series: Vec::new(),
        };
        let mut parts = BTreeMap::from([(0, empty())]);
        for (columns, number) in self.series.iter().zip(numbers) {
            let Some(number) = number else { continue };
            let part = parts.entry(number / size.max(1)).or_insert_with(empty);
            let place = number % size.max(1);
            if part.series.len() <= place {
                part.series.resize_with(place + 1, Default::default);
            }
            if let Some(slot) = part.series.get_mut(place) {
                slot.clone_from(columns);
            }
        }
        parts
    }

    /// Reads buckets from a chunk that [`Buckets::seal`] made.
    ///
    /// # Errors
    /// The chunk does not decode.
    pub fn from_chunk(chunk: &Chunk) -> Result<Self, ChunkError> {
        let mut out = Self::default();
        chunk.times(&mut out.times)?;
        for index in 0..chunk.series() / Bucket::COLUMNS {
            let mut columns: [Vec<i64>; Bucket::COLUMNS] = Default::default();
            for (which, column) in columns.iter_mut().enumerate() {
                column_of(chunk, index, which, column)?;
            }
            out.series.push(columns);
        }
        Ok(out)
    }
}

/// Where counters made by [`rows_from_buckets`] start: so high that the real counter after them looks like a reset, so
/// that no rate is computed between the two.
const COUNTS_FROM: i64 = 1 << 60;

/// Turns buckets back into rows, one at the beginning of each step: means of gauges, and counters that rise at their
/// mean rate. `parts` are chunks of buckets, each with the number of its first series; `place` says where the rows have
/// the series of a number, and a series without a kind in `kinds` has no values. `None` if no bucket begins between `from` and `to`.
///
/// # Errors
/// A chunk does not decode.
pub fn rows_from_buckets(
    parts: &[(usize, Chunk)],
    place: impl Fn(usize) -> Option<usize>,
    kinds: &[Option<Kind>],
    (from, to): (UnixMs, UnixMs),
) -> Result<Option<Chunk>, ChunkError> {
    let mut times: Vec<i64> = Vec::new();
    let mut column = Vec::new();
    for (_, chunk) in parts {
        chunk.times(&mut column)?;
        times.extend(column.iter().filter(|time| (from.0..=to.0).contains(time)));
    }
    times.sort_unstable();
    times.dedup();
    if times.is_empty() {
        return Ok(None);
    }
    let mut columns = vec![Vec::new(); kinds.len()];
    let (mut starts, mut sums, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (first, chunk) in parts {
        chunk.times(&mut starts)?;
        for series in 0..chunk.series() / Bucket::COLUMNS {
            let Some(index) = place(first + series) else {
                continue;
            };
            let is_wanted = kinds.get(index).is_some_and(Option::is_some);
            let Some(means) = columns.get_mut(index).filter(|_| is_wanted) else {
                continue;
            };
            if !column_of(chunk, series, Bucket::SUM, &mut sums)? {
                continue;
            }
            means.resize(times.len(), ABSENT);
            column_of(chunk, series, Bucket::COUNT, &mut counts)?;
            for ((start, sum), count) in starts.iter().zip(&sums).zip(&counts) {
                let place = times.binary_search(start).ok();
                let place = place.and_then(|at| means.get_mut(at));
                if let (Some(place), true) = (place, *sum != ABSENT && *count > 0) {
                    *place = (*sum as f64 / *count as f64).round() as i64;
                }
            }
        }
    }
    for (means, kind) in columns.iter_mut().zip(kinds) {
        if *kind == Some(Kind::Counter) {
            counts_of_rates(&times, means);
        }
    }
    Chunk::seal(&times, columns.iter().map(Vec::as_slice)).map(Some)
}

/// Integrates rates (thousandths per second) into counts.
fn counts_of_rates(times: &[i64], column: &mut [i64]) {
    let (mut millionths, mut before) = (0i128, None);
    for (time, value) in times.iter().zip(column) {
        if *value == ABSENT {
            before = Some(*time);
            continue;
        }
        let since = before.replace(*time).map_or(0, |before| time - before);
        millionths += i128::from(*value) * i128::from(since);
        let risen = i64::try_from(millionths / 1_000_000).unwrap_or(i64::MAX);
        *value = COUNTS_FROM.saturating_add(risen);
    }
}

/// Reads one of the five columns of a series; false if the series has no value.
pub(crate) fn column_of(
    chunk: &Chunk,
    series: usize,
    which: usize,
    out: &mut Vec<i64>,
) -> Result<bool, ChunkError> {
    let at = series.saturating_mul(Bucket::COLUMNS) + which;
    chunk.values(u32::try_from(at).unwrap_or(u32::MAX), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Resample, Ring, Steps};
    use proptest::prelude::*;
    use sysmon_wire::message::Aggregate;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    const AGGREGATES: [Aggregate; 5] = [
        Aggregate::Mean,
        Aggregate::Min,
        Aggregate::Max,
        Aggregate::Last,
        Aggregate::Sum,
    ];

    fn near(a: &[f64], b: &[f64]) -> bool {
        let is_near = |a: f64, b: f64| {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= 0.001 * (1.0 + a.abs() * 60.0)
        };
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_near(*a, *b))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn whole_minutes_resample_the_same_from_rows_and_from_buckets(
            runs in proptest::collection::vec((0i64..40, 1usize..300, 1i64..3000), 1..8),
            cut in 0i64..40,
        ) {
            let mut ring = Ring::recording();
            let mut used = std::collections::BTreeSet::new();
            for (start, rows, step) in runs {
                for n in 0..rows as i64 {
                    let time = start * 60_000 + n * step;
                    if used.insert(time) {
                        let values = [(n * 37) % 1000, time / 10 % 90_000, if n % 3 == 0 { ABSENT } else { n }];
                        ring.append(UnixMs(time), &values).unwrap();
                    }
                }
            }
            ring.seal_heads(true).unwrap();
            let chunks = ring.take_changes().chunks;
            let kinds = [Kind::Gauge, Kind::Counter, Kind::Gauge].map(Some);
            let end = UnixMs(used.last().unwrap() + 1).floor(60_000) + 60_000;
            let cut = UnixMs(cut * 60_000).min(end);
            let roll_up = |from, to| Buckets::roll_up(&chunks, &kinds, from, to, 60_000).unwrap();
            // In two parts with a seal between them, as the store does it.
            let mut all = roll_up(UnixMs(0), cut);
            if let Some(chunk) = all.seal().unwrap() {
                prop_assert_eq!(&Buckets::from_chunk(&chunk).unwrap(), &all);
            }
            all.extend(&roll_up(cut, end));
            prop_assert_eq!(&all, &roll_up(UnixMs(0), end));
            for (minutes, buckets) in [(1, all.clone()), (2, all.clone()), (6, all.coarser(120_000))] {
                let chunk = buckets.seal().unwrap().unwrap();
                for aggregate in AGGREGATES {
                    let resample = Resample::aligned(UnixMs(0), end - 1, minutes * 60_000, aggregate);
                    for (index, metric) in [(0, CPU_UTILIZATION), (1, NET_IO), (2, CPU_UTILIZATION)] {
                        let table = ring.read(&[index], UnixMs(0), end).unwrap();
                        let rows = resample.apply(&metric.def(), &table.times, &table.columns[0]);
                        let mut steps = Steps::new(resample);
                        steps.add_buckets(&metric.def(), &chunk, index as usize, end).unwrap();
                        let buckets = steps.points(&metric.def());
                        prop_assert!(near(&rows, &buckets), "{aggregate:?} {rows:?} {buckets:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_from_buckets_have_the_means_and_the_mean_rates() {
        let mut ring = Ring::recording();
        for second in 0..180i64 {
            // Ten a second in the first minute, thirty in the third; in the second nothing was recorded.
            let count = second * 10 + (second - 59).max(0) * 20;
            if !(60..120).contains(&second) {
                ring.append(UnixMs(second * 1000), &[second, count, 7])
                    .unwrap();
            }
        }
        ring.seal_heads(true).unwrap();
        let chunks = ring.take_changes().chunks;
        let kinds = [Kind::Gauge, Kind::Counter, Kind::Gauge].map(Some);
        let all = Buckets::roll_up(&chunks, &kinds, UnixMs(0), UnixMs(180_000), 60_000).unwrap();
        let parts = |size: usize| -> Vec<(usize, Chunk)> {
            let parts = all.parts(size, &[Some(0), Some(1), Some(2)]).into_iter();
            let sealed = parts.map(|(part, all)| (part * size, all.seal().unwrap().unwrap()));
            sealed.collect()
        };
        let kinds = [Some(Kind::Gauge), Some(Kind::Counter), None];
        let mut rows = Ring::new();
        let made =
            rows_from_buckets(&parts(2), Some, &kinds, (UnixMs(0), UnixMs(180_000))).unwrap();
        rows.restore_chunk(made.unwrap());
        let table = rows.read(&[0, 1, 2], UnixMs(0), UnixMs(180_000)).unwrap();
        assert_eq!(table.times, [0, 120_000]);
        assert_eq!(table.columns[0], [30, 150]);
        assert!(table.columns[2].is_empty(), "not asked for");
        let row = |at: usize| (table.times[at], table.columns[1][at]);
        assert_eq!(rate(row(0), row(1)), Some(30.0));
        assert_eq!(
            rate(row(1), (121_000, 5_000_000)),
            None,
            "real counts follow"
        );
        let none =
            rows_from_buckets(&parts(2), Some, &kinds, (UnixMs(1), UnixMs(119_999))).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn a_later_series_has_no_earlier_buckets() {
        let chunk = |times: &[i64], columns: &[&[i64]]| {
            Chunk::seal(times, columns.iter().copied()).unwrap()
        };
        let first = chunk(&[0, 1000], &[&[1, 2]]);
        let second = chunk(&[60_000, 61_000], &[&[3, 5], &[7, 7]]);
        let roll_up = |chunk: Chunk, series: usize| {
            Buckets::roll_up(
                &[chunk],
                &vec![Some(Kind::Gauge); series],
                UnixMs(0),
                UnixMs(120_000),
                60_000,
            )
            .unwrap()
        };
        let mut all = roll_up(first, 1);
        all.extend(&roll_up(second, 2));
        assert_eq!(all.times, [0, 60_000]);
        assert_eq!(Bucket::from_row(&all.series[1], 0), None);
        let bucket = Bucket::from_row(&all.series[0], 1).unwrap();
        assert_eq!((bucket.count, bucket.sum, bucket.last), (2, 8, 5));
    }
}
