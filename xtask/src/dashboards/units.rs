//! Grafana's units of metrics: <https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts>.

use super::Lines;

/// Units of gauges.
const GAUGES: &[(&str, &str)] = &[
    ("By/s", "binBps"),
    ("s", "s"),
    ("By", "bytes"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("W", "watt"),
    ("V", "volt"),
    ("J", "joule"),
    ("rpm", "rotrpm"),
    ("bit", "short"),
    ("bit/s", "bps"),
];

/// Units of rates of counters.
const RATES: &[(&str, &str)] = &[
    // Seconds in a second are a share of the time.
    ("s", "percentunit"),
    ("By", "binBps"),
    ("J", "watt"),
    ("{operation}", "ops"),
    ("{packet}", "pps"),
    ("{segment}", "pps"),
    ("{datagram}", "pps"),
];

/// Whether values are shares between 0 and 1: load averages have the unit 1 too, but another scale.
fn is_share(lines: &Lines) -> bool {
    lines.metric.unit == "1" && lines.metric.scale == -3
}

/// The unit of lines; none if the registry has one that this table lacks.
pub(super) fn known(lines: &Lines) -> Option<&'static str> {
    let unit = lines.metric.unit;
    let (table, counted) = match lines.is_rate() {
        true => (RATES, "cps"),
        false => (GAUGES, "short"),
    };
    let found = table.iter().find(|(code, _)| *code == unit);
    match found {
        Some((_, id)) => Some(id),
        None if is_share(lines) => Some("percentunit"),
        None if unit == "1" || unit.starts_with('{') => Some(counted),
        None => None,
    }
}

/// The unit of lines.
pub(super) fn of(lines: &Lines) -> &'static str {
    known(lines).unwrap_or("short")
}

#[cfg(test)]
mod tests {
    use super::super::lines;
    use super::*;
    use sysmon_wire::metrics::{ALL, DISK_IO_TIME, LOAD_1M, NET_IO, NET_PACKETS};

    #[test]
    fn every_metric_has_a_unit() {
        for metric in ALL {
            assert!(
                known(&lines::of(*metric)).is_some() || metric.name.starts_with("process."),
                "{} has the unit {}, which this table lacks",
                metric.name,
                metric.unit
            );
        }
        let unit = |metric| of(&lines::of(metric));
        assert_eq!(unit(NET_IO), "binBps");
        assert_eq!(unit(NET_PACKETS), "pps");
        assert_eq!(unit(LOAD_1M), "short");
        assert_eq!(unit(DISK_IO_TIME), "percentunit");
    }
}
