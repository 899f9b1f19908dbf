//! Time and bytes spent on drawing, for `--stats`.

use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug, Default)]
pub struct Times {
    count: u64,
    total: Duration,
    longest: Duration,
}

impl Times {
    pub fn add(&mut self, took: Duration) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        let mean = us(self.total) / (self.count.max(1) as f64);
        write!(
            f,
            "{}, {mean:.0} µs on average, {:.0} µs at most",
            self.count,
            us(self.longest)
        )
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub updates: Times,
    pub frames: Times,
    pub bytes: u64,
    /// What ratatui's own backend would have written for the same frames.
    pub bytes_of_reference: Option<u64>,
    pub ran: Duration,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ran.as_secs_f64();
        writeln!(f, "frames    {}", self.frames)?;
        writeln!(f, "updates   {}", self.updates)?;
        writeln!(
            f,
            "written   {} bytes in {seconds:.1} s, {:.0} a second",
            self.bytes,
            self.bytes as f64 / seconds.max(0.001)
        )?;
        match self.bytes_of_reference {
            Some(bytes) => writeln!(
                f,
                "ratatui   {bytes} bytes for the same frames, {:.0} a second",
                bytes as f64 / seconds.max(0.001)
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_mean_and_maximum() {
        let mut times = Times::default();
        assert_eq!(times.to_string(), "0, 0 µs on average, 0 µs at most");
        times.add(Duration::from_micros(100));
        times.add(Duration::from_micros(300));
        assert_eq!(times.to_string(), "2, 200 µs on average, 300 µs at most");
    }
}
