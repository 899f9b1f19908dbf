//! Numbers with units that fit a metric.

use sysmon_wire::Kind;
use sysmon_wire::metrics::Metric;
use sysmon_wire::quantity::{BYTE_UNITS, SI_PREFIXES};

const SECONDS: [(&str, f64); 7] = [
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3_600.0),
    ("d", 86_400.0),
];

const PER: [(&str, f64); 4] = [("/s", 1.0), ("/m", 60.0), ("/h", 3_600.0), ("/d", 86_400.0)];

#[derive(Clone, Copy, Debug)]
pub(super) struct Quantity<'a> {
    /// The metric's definition; none of a custom metric.
    pub(super) metric: Option<&'a Metric>,
    pub(super) is_rate: bool,
}

impl Quantity<'_> {
    /// Parses a number with or without a unit into the metric's unit.
    pub(super) fn read(&self, text: &str) -> Result<f64, String> {
        let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')));
        let (digits, suffix) = text.split_at(end.unwrap_or(text.len()));
        let number = digits.parse::<f64>().ok().filter(|n| n.is_finite());
        let number = number.ok_or_else(|| format!("has {text:?}, which is not a number"))?;
        let factor = self.factor(suffix).ok_or_else(|| self.misfit(text))?;
        // Dividing by a whole number rounds once; multiplying by 0.01 would round twice.
        Ok(match factor {
            part if part < 1.0 => number / (1.0 / part),
            many => number * many,
        })
    }

    fn factor(&self, suffix: &str) -> Option<f64> {
        let unit = self.metric.map_or("", |metric| metric.unit);
        let (unit, is_per_second) = match unit.strip_suffix("/s") {
            Some(unit) => (unit, true),
            None => (unit, self.is_per_second()),
        };
        let per = PER.iter().find_map(|(per, seconds)| {
            let rest = suffix.strip_suffix(per)?;
            Some((rest, 1.0 / seconds))
        });
        let is_open = self.metric.is_none();
        let (suffix, per) = match per {
            Some((rest, per)) if is_per_second || is_open => (rest, per),
            Some(_) => return None,
            None => (suffix, 1.0),
        };
        let of = |table: &[(&str, u64)]| {
            let found = table.iter().find(|(name, _)| *name == suffix);
            found.map(|(_, factor)| *factor as f64)
        };
        let seconds = || {
            let found = SECONDS.iter().find(|(name, _)| *name == suffix);
            found.map(|(_, factor)| *factor)
        };
        let prefixed = |unit: &str| {
            let found = SI_PREFIXES
                .iter()
                .find(|(prefix, _)| suffix.strip_prefix(prefix) == Some(unit));
            found.map(|(_, factor)| *factor as f64)
        };
        let percent = (suffix == "%").then_some(0.01);
        let fits = match unit {
            "1" => percent,
            "By" => of(&BYTE_UNITS),
            // Seconds per second are a share of time.
            "s" if is_per_second => percent.or_else(seconds),
            "s" => seconds(),
            "Cel" => matches!(suffix, "C" | "°C").then_some(1.0),
            "" if is_open => percent.or_else(|| of(&BYTE_UNITS)).or_else(seconds),
            unit if unit.starts_with('{') => None,
            unit => prefixed(unit),
        };
        fits.or_else(|| of(&SI_PREFIXES)).map(|factor| factor * per)
    }

    fn is_per_second(&self) -> bool {
        self.is_rate
            || self
                .metric
                .is_some_and(|metric| metric.kind == Kind::Counter)
    }

    fn misfit(&self, text: &str) -> String {
        let Some(metric) = self.metric else {
            return format!("has {text:?}, which is not a number with a unit");
        };
        let per = if self.is_per_second() { "/s" } else { "" };
        let (what, example) = match metric.unit {
            "1" => ("a number or a share", "80%"),
            "By" | "By/s" => ("bytes", "500MB"),
            "s" if self.is_per_second() => ("a share of time", "20%"),
            "s" => ("seconds", "500ms"),
            "Cel" => ("degrees", "90°C"),
            "Hz" => ("hertz", "2GHz"),
            "bit/s" => ("bits per second", "100Mbit"),
            unit if unit.starts_with('{') => ("a count", "1k"),
            unit => (unit, "100"),
        };
        let per = if example.ends_with('%') { "" } else { per };
        format!(
            "has {text:?}, but {} is {what}: write for example {example}{per}",
            metric.name
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{
        CPU_FREQUENCY, CPU_UTILIZATION, FS_USAGE, NET_IO, NET_SPEED, OOM_KILLS, PRESSURE_TIME,
        TEMPERATURE, UPTIME,
    };

    fn read(metric: &Metric, text: &str) -> Result<f64, String> {
        let quantity = Quantity {
            metric: Some(metric),
            is_rate: false,
        };
        quantity.read(text)
    }

    #[test]
    fn fitting_units_are_converted() {
        assert_eq!(read(&CPU_UTILIZATION, "95%"), Ok(0.95));
        assert_eq!(read(&FS_USAGE, "2GiB"), Ok(2_147_483_648.0));
        assert_eq!(read(&FS_USAGE, "5G"), Ok(5e9));
        assert_eq!(read(&NET_IO, "10MB/s"), Ok(1e7));
        assert!((read(&NET_IO, "60MB/m").unwrap() - 1e6).abs() < 1e-6);
        assert_eq!(read(&PRESSURE_TIME, "20%"), Ok(0.2));
        assert_eq!(read(&UPTIME, "5m"), Ok(300.0));
        assert_eq!(read(&TEMPERATURE, "90°C"), Ok(90.0));
        assert_eq!(read(&TEMPERATURE, "-5"), Ok(-5.0));
        assert_eq!(read(&CPU_FREQUENCY, "2.5GHz"), Ok(2.5e9));
        assert_eq!(read(&NET_SPEED, "100Mbit/s"), Ok(1e8));
        assert_eq!(read(&OOM_KILLS, "2k/h"), Ok(2_000.0 / 3_600.0));
        let own = Quantity {
            metric: None,
            is_rate: false,
        };
        assert_eq!(own.read("90000"), Ok(90_000.0));
        assert_eq!(own.read("2h"), Ok(7_200.0));
    }

    #[test]
    fn unfitting_units_are_rejected_with_an_example() {
        let wrong = |metric, text| read(metric, text).unwrap_err();
        assert!(wrong(&FS_USAGE, "95%").contains("is bytes: write for example 500MB"));
        assert!(wrong(&NET_IO, "5%").contains("500MB/s"));
        assert!(wrong(&CPU_UTILIZATION, "5GB").contains("80%"));
        assert!(wrong(&TEMPERATURE, "90%").contains("90°C"));
        assert!(wrong(&FS_USAGE, "5MB/s").contains("bytes"));
        assert!(wrong(&UPTIME, "five").contains("not a number"));
        assert!(wrong(&OOM_KILLS, "1s").contains("a count"));
    }
}
