//! What is counted at the end of each week, and whether it is flat. Pure, but for reading `/proc`.

use std::fmt::Write as _;
use std::fs;

use crate::process;

/// Days after the longest retention until nothing is older than it: buckets go a day later, and hosts that visited for a
/// day go when nothing is left of them.
pub(super) const AFTER_DAYS: u64 = 10;

/// Growth of the greatest value from the first half of the weeks after that to the second which still counts as flat.
/// What is never removed grows in proportion to time: by 20 % from day 70 to day 84, the least that can be judged with
/// the longest retention of 60 days, and by 70 % in a year. What the simulation adds and removes is the same each week,
/// but 400 hosts are not a multiple of 52 weeks, and allocators and SQLite round up.
const TOLERANCE: f64 = 0.10;

/// Weeks after that which can be judged.
const WEEKS_MIN: usize = 3;

/// One figure, its unit, and how much it may vary besides [`TOLERANCE`]: small numbers by whole steps, memory by what
/// the allocator holds back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) value: u64,
    pub(super) slack: u64,
    /// Kept for a year by design, so that it cannot be judged by a year.
    pub(super) is_judged: bool,
}

impl Figure {
    pub(super) fn new(name: &str, value: u64, slack: u64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            slack,
            is_judged: true,
        }
    }
}

/// All figures at the end of one week, in the same order each time.
#[derive(Clone, Debug)]
pub(super) struct Week {
    pub(super) days: u64,
    pub(super) figures: Vec<Figure>,
}

pub(super) fn of_process() -> [Figure; 3] {
    let usage = process::usage(std::process::id()).unwrap_or_default();
    let count = |what: &str| {
        let entries = fs::read_dir(format!("/proc/self/{what}"));
        entries.map_or(0, |entries| entries.flatten().count()) as u64
    };
    [
        Figure::new("memory KiB", usage.memory_bytes >> 10, 16 << 10),
        Figure::new("descriptors", count("fd"), 2),
        Figure::new("threads", count("task"), 1),
    ]
}

pub(super) fn heading(week: &Week) -> String {
    let mut line = "month".to_owned();
    for figure in &week.figures {
        let _ = write!(line, "  {}", figure.name);
    }
    line + "\n"
}

pub(super) fn line(month: u64, week: &Week) -> String {
    let mut line = format!("{month:>5}");
    for figure in &week.figures {
        let _ = write!(line, "  {:>1$}", figure.value, figure.name.len());
    }
    line + "\n"
}

#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// There are too few weeks after the longest retention.
    Unknown,
    Flat,
    /// A line for each figure that grows.
    Growing(Vec<String>),
}

/// Judges the weeks that end on the day `full` or later.
pub(super) fn judge(weeks: &[Week], full: u64) -> Verdict {
    let full: Vec<&Week> = weeks.iter().filter(|week| week.days >= full).collect();
    if full.len() < WEEKS_MIN {
        return Verdict::Unknown;
    }
    let (first, second) = full.split_at(full.len() / 2);
    let Some(start) = full.first() else {
        return Verdict::Unknown;
    };
    let greatest = |weeks: &[&Week], at: usize| {
        let values = weeks.iter().filter_map(|week| week.figures.get(at));
        values.map(|figure| figure.value).max().unwrap_or(0)
    };
    let mut growing = Vec::new();
    for (at, figure) in start.figures.iter().enumerate().filter(|f| f.1.is_judged) {
        let (before, after) = (greatest(first, at), greatest(second, at));
        let most = before as f64 * (1.0 + TOLERANCE) + figure.slack as f64;
        if after as f64 > most {
            growing.push(format!("{} from {before} to {after}", figure.name));
        }
    }
    match growing.is_empty() {
        true => Verdict::Flat,
        false => Verdict::Growing(growing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: u64 = 70;

    fn weeks(count: u64, value: impl Fn(u64) -> u64) -> Vec<Week> {
        let week = |number: u64| Week {
            days: number * 7,
            figures: vec![Figure::new("rows", value(number * 7), 20)],
        };
        (1..=count).map(week).collect()
    }

    #[test]
    fn what_grows_with_time_is_found_in_three_months_and_in_a_year() {
        for count in [12, 52] {
            let Verdict::Growing(lines) = judge(&weeks(count, |day| day * 1_000), FULL) else {
                panic!("{count} weeks");
            };
            assert!(lines[0].starts_with("rows from"), "{lines:?}");
        }
    }

    #[test]
    fn what_fills_until_the_longest_retention_is_flat() {
        let filling = |day: u64| day.min(FULL) * 1_000 + day * 7_919 % 1_000;
        assert_eq!(judge(&weeks(12, filling), FULL), Verdict::Flat);
        assert_eq!(judge(&weeks(52, filling), FULL), Verdict::Flat);
    }

    #[test]
    fn a_short_run_says_nothing() {
        assert_eq!(judge(&weeks(11, |day| day * 1_000), FULL), Verdict::Unknown);
    }
}
