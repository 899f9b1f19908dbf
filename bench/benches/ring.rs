//! Size of a day of one host in the ring, and time to write and read it, compared with Gorilla and zstd.
//!
//! `cargo bench -p sysmon-bench --bench ring`: all figures are from one run over the same recorded
//! values, so that their ratios hold on any machine.
#![expect(clippy::print_stdout, reason = "prints its report")]
#![allow(clippy::disallowed_methods, reason = "measures real time")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::ensure;
use sysmon_bench::recording::Recording;
use sysmon_series::{ROWS_PER_CHUNK, Ring};
use sysmon_wire::UnixMs;

use counting::Counting;

mod counting;
mod gorilla;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// A day, at one row per second.
const ROWS: usize = 86_400;

const HOUR: usize = 3_600;

/// Rows of a Gorilla block: two hours, as in the paper.
const GORILLA_ROWS: usize = 7_200;

const ZSTD_LEVEL: i32 = 3;

/// Attempts per measurement; the shortest counts, because the others were disturbed.
const TRIES: usize = 5;

/// Time of row 0; any whole second works.
const START_MS: i64 = 1_700_000_000_000;

/// Targets: bytes per value in all and sealed, and milliseconds to read an hour.
const ALL_IN_MAX: f64 = 0.25;
const SEALED_MAX: f64 = 0.20;
const HOUR_MS_MAX: f64 = 1.0;

fn main() -> anyhow::Result<()> {
    let day = Day::write(&Recording::load()?)?;
    println!(
        "{} series of a real host, {ROWS} rows a second apart: {} values\n",
        day.series,
        day.series * ROWS
    );
    day.report_sizes();
    day.report_writing();
    day.report_reading()
}

/// The same day written in four ways.
struct Day {
    series: usize,
    ring: Ring,
    ring_live: usize,
    sealed_bytes: usize,
    sealed_values: usize,
    gorilla: Vec<Vec<gorilla::Block>>,
    zstd_bytes: usize,
    ring_time: Duration,
    gorilla_time: Duration,
    zstd_time: Duration,
    copy_time: Duration,
}

impl Day {
    fn write(recording: &Recording) -> anyhow::Result<Self> {
        let series = recording.play().next_row().len();
        let mut day = Self {
            series,
            ring: Ring::recording(),
            ring_live: 0,
            sealed_bytes: 0,
            sealed_values: 0,
            gorilla: (0..series).map(|_| Vec::new()).collect(),
            zstd_bytes: 0,
            ring_time: Duration::ZERO,
            gorilla_time: Duration::ZERO,
            zstd_time: Duration::ZERO,
            copy_time: Duration::ZERO,
        };
        let mut player = recording.play();
        let mut encoders = new_encoders(series);
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        let mut written = 0;
        while written < ROWS {
            let count = ROWS_PER_CHUNK.min(ROWS - written);
            let mut rows = Vec::with_capacity(count * series);
            for _ in 0..count {
                rows.extend_from_slice(player.next_row());
            }
            day.append_to_ring(written, &rows)?;
            day.append_to_gorilla(written, &rows, &mut encoders);
            day.compress(written, &rows, &mut compressor)?;
            day.copy(&rows);
            written += count;
        }
        Ok(day)
    }

    fn append_to_ring(&mut self, first: usize, rows: &[i64]) -> anyhow::Result<()> {
        let live = ALLOCATOR.live();
        let start = Instant::now();
        for (row, values) in (first..).zip(rows.chunks_exact(self.series)) {
            self.ring.append(time_of(row), values)?;
        }
        self.ring_time += start.elapsed();
        for chunk in self.ring.take_changes().chunks {
            self.sealed_bytes += chunk.bytes();
            self.sealed_values += chunk.rows() * chunk.series();
        }
        self.ring_live = self.ring_live + ALLOCATOR.live() - live;
        Ok(())
    }

    fn append_to_gorilla(&mut self, first: usize, rows: &[i64], encoders: &mut [gorilla::Encoder]) {
        let start = Instant::now();
        for (row, values) in (first..).zip(rows.chunks_exact(self.series)) {
            let seconds = time_of(row).0 / 1000;
            for (encoder, &value) in encoders.iter_mut().zip(values) {
                encoder.push(seconds, value as f64);
            }
            if (row + 1) % GORILLA_ROWS == 0 {
                for (encoder, blocks) in encoders.iter_mut().zip(&mut self.gorilla) {
                    blocks.push(std::mem::take(encoder).finish());
                }
            }
        }
        self.gorilla_time += start.elapsed();
    }

    fn compress(
        &mut self,
        first: usize,
        rows: &[i64],
        compressor: &mut zstd::bulk::Compressor<'_>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let count = rows.len() / self.series;
        let times = (first..first + count).flat_map(|row| time_of(row).0.to_le_bytes());
        let mut bytes: Vec<u8> = times.collect();
        self.zstd_bytes += compressor.compress(&bytes)?.len();
        for series in 0..self.series {
            bytes.clear();
            let column = rows.iter().skip(series).step_by(self.series);
            bytes.extend(column.flat_map(|value| value.to_le_bytes()));
            self.zstd_bytes += compressor.compress(&bytes)?.len();
        }
        self.zstd_time += start.elapsed();
        Ok(())
    }

    fn copy(&mut self, rows: &[i64]) {
        let mut copy = vec![0; rows.len()];
        let start = Instant::now();
        copy.copy_from_slice(black_box(rows));
        self.copy_time += start.elapsed();
        black_box(&copy);
    }

    fn report_sizes(&self) {
        let values = (self.series * ROWS) as f64;
        let gorilla_bytes: usize = self
            .gorilla
            .iter()
            .flatten()
            .map(gorilla::Block::bytes)
            .sum();
        let gorilla = gorilla_bytes as f64 / values;
        let zstd = self.zstd_bytes as f64 / values;
        let line = |what: &str, per_value: f64, aim: &str| {
            println!(
                "{what:<44} {per_value:>8.4}   {:>5.2} of Gorilla, {:>5.2} of zstd{aim}",
                per_value / gorilla,
                per_value / zstd
            );
        };
        println!("bytes per value");
        let all_in = self.ring_live as f64 / values;
        let sealed = self.sealed_bytes as f64 / self.sealed_values as f64;
        line(
            "ring in all, by the allocator",
            all_in,
            &aim(all_in, ALL_IN_MAX),
        );
        line(
            "ring in all, by its own count",
            self.ring.bytes() as f64 / values,
            "",
        );
        line("ring, sealed", sealed, &aim(sealed, SEALED_MAX));
        line("Gorilla, blocks of two hours", gorilla, "");
        line(
            &format!("zstd {ZSTD_LEVEL}, columns of {ROWS_PER_CHUNK}"),
            zstd,
            "",
        );
        println!();
    }

    fn report_writing(&self) {
        println!("microseconds to append a row, sealing included");
        let line = |what: &str, time: Duration| {
            println!(
                "{what:<44} {:>8.2}   {:>5.2} of Gorilla, {:>7.1} of copying",
                time.as_secs_f64() * 1e6 / ROWS as f64,
                time.as_secs_f64() / self.gorilla_time.as_secs_f64(),
                time.as_secs_f64() / self.copy_time.as_secs_f64()
            );
        };
        line("ring", self.ring_time);
        line("Gorilla", self.gorilla_time);
        line("zstd", self.zstd_time);
        line("copying the values", self.copy_time);
        println!();
    }

    fn report_reading(&self) -> anyhow::Result<()> {
        let newest = self.read_each(ROWS - HOUR, HOUR)?;
        let past = self.read_each(ROWS / 2, HOUR)?;
        let day = self.read_each(0, ROWS)?;
        let gorilla_hour = self.gorilla_each(HOUR)?;
        let gorilla_day = self.gorilla_each(ROWS)?;
        println!(
            "milliseconds to read one series at full resolution: median and maximum of all series"
        );
        let line = |what: &str, times: &[Duration], floor: &[Duration], rows: usize, goal: bool| {
            let (median, worst) = (middle_ms(times), worst_ms(times));
            let goal = if goal {
                aim(worst, HOUR_MS_MAX)
            } else {
                String::new()
            };
            println!(
                "{what:<44} {median:>8.3} {worst:>8.3}   {:>5.2} of Gorilla, {:>6.0} of copying{goal}",
                median / middle_ms(floor),
                median / copy_ms(rows),
            );
        };
        line("ring, the newest hour", &newest, &gorilla_hour, HOUR, true);
        line("ring, an older hour", &past, &gorilla_hour, HOUR, true);
        line(
            "Gorilla, an hour",
            &gorilla_hour,
            &gorilla_hour,
            HOUR,
            false,
        );
        line("ring, the day", &day, &gorilla_day, ROWS, false);
        line("Gorilla, the day", &gorilla_day, &gorilla_day, ROWS, false);
        Ok(())
    }

    /// Reads each series separately.
    fn read_each(&self, first: usize, rows: usize) -> anyhow::Result<Vec<Duration>> {
        let (from, to) = (time_of(first), time_of(first + rows - 1));
        let mut times = Vec::new();
        for series in 0..self.series as u32 {
            let (took, table) = shortest(|| self.ring.read(&[series], from, to));
            times.push(took);
            ensure!(table?.times.len() == rows);
        }
        Ok(times)
    }

    fn gorilla_each(&self, rows: usize) -> anyhow::Result<Vec<Duration>> {
        let whole = self.ring.read(&[], time_of(0), time_of(rows - 1))?.times;
        let mut took = Vec::new();
        for (series, blocks) in (0u32..).zip(&self.gorilla) {
            let (time, (times, values)) = shortest(|| {
                let (mut times, mut values) = (Vec::new(), Vec::new());
                for block in blocks {
                    block.read(rows - times.len(), &mut times, &mut values);
                }
                (times, values)
            });
            took.push(time);
            // Both must contain the same values, or the comparison is meaningless.
            let table = self.ring.read(&[series], time_of(0), time_of(rows - 1))?;
            let column = table.columns.first().into_iter().flatten();
            ensure!(column.map(|&value| value as f64).eq(values));
            ensure!(whole.iter().map(|ms| ms / 1000).eq(times));
        }
        Ok(took)
    }
}

fn new_encoders(series: usize) -> Vec<gorilla::Encoder> {
    (0..series).map(|_| gorilla::Encoder::default()).collect()
}

fn time_of(row: usize) -> UnixMs {
    UnixMs(START_MS + row as i64 * 1000)
}

fn aim(value: f64, max: f64) -> String {
    let verdict = if value <= max { "met" } else { "MISSED" };
    format!("   aim {max}: {verdict}")
}

fn middle_ms(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
        * 1000.0
}

fn worst_ms(times: &[Duration]) -> f64 {
    times.iter().max().map_or(0.0, Duration::as_secs_f64) * 1000.0
}

fn copy_ms(rows: usize) -> f64 {
    let from = vec![1i64; rows * 2];
    shortest(|| black_box(&from).clone()).0.as_secs_f64() * 1000.0
}

/// The shortest time of all attempts, and the last result.
fn shortest<T>(mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut once = || {
        let start = Instant::now();
        let result = black_box(run());
        (start.elapsed(), result)
    };
    let (mut time, mut result) = once();
    for _ in 1..TRIES {
        let again = once();
        time = time.min(again.0);
        result = again.1;
    }
    (time, result)
}
