//! How measurements are printed: a line per figure, and times by quantile.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// Lines of a label and a value, aligned.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    pub(crate) fn add(&mut self, label: &str, value: impl Display) {
        self.0 += &format!("{label:<34} {value}\n");
    }
}

impl Display for Lines {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn mib(bytes: f64) -> f64 {
    bytes / 1_048_576.0
}

/// Share of one processor, in percent.
pub(crate) fn core_percent(cpu: Duration, seconds: f64) -> f64 {
    cpu.as_secs_f64() / seconds * 100.0
}

pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// The shortest time that `share` of all, from 0 to 1, do not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share).ceil() as usize;
        self.0
            .get(at.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn quantile_ms(&self, share: f64) -> f64 {
        self.quantile(share).as_secs_f64() * 1000.0
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_of_sorted_times() {
        let times = Times::new([30, 10, 20].map(Duration::from_millis).to_vec());
        assert_eq!(times.quantile_ms(0.5), 20.0);
        assert_eq!(times.quantile_ms(1.0), 30.0);
        assert_eq!(Times::new(Vec::new()).quantile(0.5), Duration::ZERO);
    }
}
