//! The result of a swarm, as text and JSON.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde_json::{Value, json};
use sysmon_agent::run::Summary;

use crate::report::Lines;

#[derive(Clone, Debug)]
pub struct SwarmReport {
    pub agents: usize,
    pub connected: usize,
    pub series: usize,
    /// Time until all were connected.
    pub connecting: Duration,
    pub steady: Duration,
    pub total: Summary,
    /// Rows sampled clearly after their interval, because the swarm was overloaded.
    pub late: u64,
    /// Values of acknowledged rows.
    pub values_per_second: f64,
    /// None if no row was acknowledged.
    pub lag: Option<Lag>,
    pub failed: u64,
    pub lost: u64,
    pub last_error: String,
    /// CPU of the swarm itself, of one core; none where the system does not report it.
    pub cpu_percent: Option<f64>,
}

/// Milliseconds from a row's time to its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    pub median: u64,
    pub p99: u64,
    pub worst: u64,
}

impl SwarmReport {
    fn acknowledged(&self) -> u64 {
        let open = self.total.waiting + self.total.dropped;
        self.total.rows.saturating_sub(open)
    }

    pub fn to_json(&self) -> Value {
        json!({
            "agents": self.agents,
            "connected": self.connected,
            "series": self.series,
            "connecting_seconds": self.connecting.as_secs_f64(),
            "steady_seconds": self.steady.as_secs_f64(),
            "rows": {
                "made": self.total.rows,
                "acknowledged": self.acknowledged(),
                "not_acknowledged": self.total.waiting,
                "dropped": self.total.dropped,
                "late": self.late,
            },
            "values_per_second": self.values_per_second,
            "lag_ms": self.lag.map(|lag| json!({
                "median": lag.median,
                "p99": lag.p99,
                "worst": lag.worst,
            })),
            "connections": {
                "failed": self.failed,
                "lost": self.lost,
                "last_error": (!self.last_error.is_empty()).then_some(&self.last_error),
            },
            "cpu_percent": self.cpu_percent,
        })
    }
}

impl Display for SwarmReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut lines = Lines::default();
        lines.add("agents", self.agents);
        lines.add("connected", self.connected);
        lines.add("series per agent", self.series);
        let connecting = self.connecting.as_secs_f64();
        lines.add("s to connect", format!("{connecting:.1}"));
        lines.add("failed connection attempts", self.failed);
        lines.add("connections lost", self.lost);
        if !self.last_error.is_empty() {
            lines.add("  last error", &self.last_error);
        }
        lines.add("rows sampled", self.total.rows);
        lines.add("rows acknowledged", self.acknowledged());
        lines.add("rows not acknowledged", self.total.waiting);
        lines.add("rows dropped", self.total.dropped);
        let steady = self.steady.as_secs_f64();
        lines.add("s measured, all connected", format!("{steady:.1}"));
        lines.add("  late rows of the swarm", self.late);
        let rate = self.values_per_second;
        lines.add("  values acknowledged per second", format!("{rate:.0}"));
        if let Some(Lag { median, p99, worst }) = self.lag {
            lines.add("  ms to acknowledgement, median", median);
            lines.add("  ms to acknowledgement, 99 %", p99);
            lines.add("  ms to acknowledgement, maximum", worst);
        }
        if let Some(percent) = self.cpu_percent {
            lines.add("  CPU of the swarm, % of a core", format!("{percent:.1}"));
        }
        lines.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_have_the_same_figures() {
        let report = SwarmReport {
            agents: 3,
            connected: 2,
            series: 200,
            connecting: Duration::from_millis(1500),
            steady: Duration::from_secs(60),
            total: Summary {
                rows: 180,
                dropped: 1,
                waiting: 9,
            },
            late: 4,
            values_per_second: 566.7,
            lag: Some(Lag {
                median: 210,
                p99: 260,
                worst: 612,
            }),
            failed: 5,
            lost: 0,
            last_error: "no answer".to_owned(),
            cpu_percent: None,
        };
        let text = report.to_string();
        let value = |label: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(label));
            line.and_then(|line| line.split_whitespace().last())
        };
        assert_eq!(value("rows acknowledged"), Some("170"), "{text}");
        assert_eq!(
            value("ms to acknowledgement, maximum"),
            Some("612"),
            "{text}"
        );
        assert_eq!(value("CPU of the swarm"), None, "{text}");
        let json = report.to_json();
        assert_eq!(json["rows"]["acknowledged"], 170);
        assert_eq!(json["lag_ms"]["p99"], 260);
        assert!(json["cpu_percent"].is_null());
    }
}
