//! The series of one real machine, recorded once per second for 1,480 seconds, and replayed in a loop.

use std::io::Read;

use anyhow::{Context, ensure};

/// Gzipped lines: the name of a series, a tab, and its values separated by spaces.
const RECORDED: &[u8] = include_bytes!("../data/host-1hz.tsv.gz");

/// Decimals stored of fractions: seconds to the microsecond, as in the metrics of the agent.
const DECIMALS_MAX: u32 = 6;

pub(crate) struct Series {
    /// As recorded: a name, and labels in braces if there are any.
    pub(crate) name: String,
    pub(crate) values: Vec<i64>,
    pub(crate) decimals: u32,
    /// Whether it never falls, so that its increases are replayed.
    pub(crate) is_counter: bool,
}

pub struct Recording {
    pub(crate) series: Vec<Series>,
    pub(crate) rows: usize,
}

impl Recording {
    /// Decompresses the recording.
    ///
    /// # Errors
    /// The embedded data is damaged.
    pub fn load() -> anyhow::Result<Self> {
        let mut text = String::new();
        flate2::read::GzDecoder::new(RECORDED).read_to_string(&mut text)?;
        let series = text
            .lines()
            .map(parse)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let rows = series.first().context("no series")?.values.len();
        ensure!(series.iter().all(|s| s.values.len() == rows && rows > 0));
        Ok(Self { series, rows })
    }

    pub fn play(&self) -> Player<'_> {
        Player {
            recording: self,
            played: 0,
            row: vec![0; self.series.len()],
        }
    }
}

fn parse(line: &str) -> anyhow::Result<Series> {
    let (name, values) = line.split_once('\t').context("line without a tab")?;
    let reals = values
        .split(' ')
        .map(str::parse)
        .collect::<Result<Vec<f64>, _>>()?;
    let scale_of = |decimals: u32| 10f64.powi(decimals as i32);
    // The fewest decimals that lose nothing.
    let decimals = (0..DECIMALS_MAX)
        .find(|decimals| {
            let scale = scale_of(*decimals);
            reals
                .iter()
                .all(|v| ((v * scale).round() / scale - v).abs() < 1e-9)
        })
        .unwrap_or(DECIMALS_MAX);
    let scale = scale_of(decimals);
    let values: Vec<i64> = reals.iter().map(|v| (v * scale).round() as i64).collect();
    Ok(Series {
        name: name.to_owned(),
        decimals,
        is_counter: values.is_sorted() && values.first() != values.last(),
        values,
    })
}

/// An endless sequence of rows.
pub struct Player<'a> {
    recording: &'a Recording,
    played: usize,
    row: Vec<i64>,
}

impl Player<'_> {
    /// The next row. Every loop starts at another position of the recording, so that no chunk repeats another.
    pub fn next_row(&mut self) -> &[i64] {
        let rows = self.recording.rows;
        let phase = self.played / rows * 397;
        let at = (self.played + phase) % rows;
        let before = at.checked_sub(1).unwrap_or(rows - 1);
        for (value, series) in self.row.iter_mut().zip(&self.recording.series) {
            let recorded = series.values.get(at).copied().unwrap_or_default();
            if series.is_counter && self.played > 0 {
                // Counters continue to rise; at the end of the recording they pause for one second.
                let before = series.values.get(before).copied().unwrap_or_default();
                *value += (recorded - before).max(0);
            } else {
                *value = recorded;
            }
        }
        self.played += 1;
        &self.row
    }
}
