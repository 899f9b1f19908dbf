//! What a swarm found, for people and for programs.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde_json::{Value, json};
use sysmon_agent::run::Summary;

/// What a swarm found.
#[derive(Clone, Debug)]
pub struct SwarmReport {
    /// How many agents there were.
    pub agents: usize,
    /// How many were connected when measuring began.
    pub connected: usize,
    /// Series of each.
    pub series: usize,
    /// Time it took until all were connected.
    pub connecting: Duration,
    /// Time after that: what follows is of it unless it says otherwise.
    pub steady: Duration,
    /// Rows of all agents, from their start on.
    pub total: Summary,
    /// Rows that came more than a little after the whole interval, because the swarm was behind.
    pub late: u64,
    /// Values in acknowledged rows.
    pub values_per_second: f64,
    /// From a row's time to its acknowledgement; none if none was acknowledged.
    pub lag: Option<Lag>,
    /// Attempts to connect that failed, from the start on.
    pub failed: u64,
    /// Connections that ended, from the start on.
    pub lost: u64,
    /// Why the last of either.
    pub last_error: String,
    /// Processor time of the swarm itself, of one core; none where that cannot be told.
    pub cpu_percent: Option<f64>,
}

/// Milliseconds from a row's time to its acknowledgement.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    /// Half of them are no longer.
    pub median: u64,
    /// 99 of 100 are no longer.
    pub p99: u64,
    /// The longest.
    pub worst: u64,
}

impl SwarmReport {
    fn acknowledged(&self) -> u64 {
        let open = self.total.waiting + self.total.dropped;
        self.total.rows.saturating_sub(open)
    }

    /// As JSON.
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
        let mut line = |what: &str, value: &dyn Display| writeln!(f, "{what:<34} {value}");
        line("agents", &self.agents)?;
        line("connected", &self.connected)?;
        line("series of each", &self.series)?;
        line(
            "s to connect",
            &format!("{:.1}", self.connecting.as_secs_f64()),
        )?;
        line("failed attempts to connect", &self.failed)?;
        line("connections lost", &self.lost)?;
        if !self.last_error.is_empty() {
            line("  the last because", &self.last_error)?;
        }
        line("rows made", &self.total.rows)?;
        line("rows acknowledged", &self.acknowledged())?;
        line("rows not acknowledged", &self.total.waiting)?;
        line("rows dropped", &self.total.dropped)?;
        line(
            "s measured, all connected",
            &format!("{:.1}", self.steady.as_secs_f64()),
        )?;
        line("  rows the swarm was late with", &self.late)?;
        line(
            "  values acknowledged a second",
            &format!("{:.0}", self.values_per_second),
        )?;
        if let Some(Lag { median, p99, worst }) = self.lag {
            line("  ms to acknowledgement, median", &median)?;
            line("  ms to acknowledgement, 99 %", &p99)?;
            line("  ms to acknowledgement, worst", &worst)?;
        }
        if let Some(percent) = self.cpu_percent {
            line("  swarm's own CPU, % of a core", &format!("{percent:.1}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_tell_the_same() {
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
        let told = |what: &str| {
            let line = text.lines().find(|line| line.trim().starts_with(what));
            line.and_then(|line| line.split_whitespace().last())
        };
        assert_eq!(told("rows acknowledged"), Some("170"), "{text}");
        assert_eq!(told("ms to acknowledgement, worst"), Some("612"), "{text}");
        assert_eq!(told("swarm's own CPU"), None, "{text}");
        let json = report.to_json();
        assert_eq!(json["rows"]["acknowledged"], 170);
        assert_eq!(json["lag_ms"]["p99"], 260);
        assert!(json["cpu_percent"].is_null());
    }
}
