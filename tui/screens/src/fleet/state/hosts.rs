//! Hosts as the hub sends them.

use sysmon_wire::Label;
use sysmon_wire::limits::HOSTS_MAX;
use sysmon_wire::message::FleetUpdate;

use super::long::spark_step_ms;
use super::row::HostRow;
use super::sort::natural;
use crate::model::ROW_MS;
use crate::model::summary::CPU;
use crate::model::window::ChartSpan;

#[derive(Clone, Debug)]
pub(super) struct Hosts {
    pub(super) rows: Vec<HostRow>,
    /// Milliseconds between rows.
    pub(super) resolution_ms: i64,
    /// The engine that the rows come from, or why it cannot be asked.
    pub(super) beyond: Option<Label>,
    pub(super) span: ChartSpan,
}

impl Default for Hosts {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            resolution_ms: ROW_MS,
            beyond: None,
            span: ChartSpan::default(),
        }
    }
}

/// Changes of an update that can affect the order of hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// The set of hosts or their facts.
    pub(super) lines: bool,
    /// The severity of a host.
    pub(super) standing: bool,
}

impl Hosts {
    pub(super) fn spark_step_ms(&self) -> i64 {
        self.resolution_ms.max(spark_step_ms(self.span))
    }

    fn find(&mut self, index: u32) -> Option<&mut HostRow> {
        self.rows.iter_mut().find(|host| host.line.index == index)
    }

    pub(super) fn apply(&mut self, update: FleetUpdate) -> Changed {
        let moment = update.now;
        let mut changed = Changed {
            lines: !update.lines.is_empty() || !update.gone.is_empty(),
            standing: false,
        };
        self.rows
            .retain(|host| !update.gone.contains(&host.line.index));
        let known = self.rows.len();
        for line in update.lines {
            if let Some(host) = self.find(line.index) {
                host.line = line;
                changed.standing |= host.stand(moment);
            } else if self.rows.len() < HOSTS_MAX {
                let step = self.spark_step_ms();
                self.rows.push(HostRow::new(line, step));
            }
        }
        if self.rows.len() > known {
            self.place_names();
        }
        // Ticks are in the order of the hosts, so each is searched after the one before.
        let mut at = 0;
        for tick in update.ticks {
            let of_it = |host: &HostRow| host.line.index == tick.index;
            let after = self.rows.get(at..).unwrap_or_default();
            let found = after.iter().position(of_it).map(|n| at + n);
            let Some(place) = found.or_else(|| self.rows.iter().position(of_it)) else {
                continue;
            };
            at = place + 1;
            if let Some(host) = self.rows.get_mut(place) {
                host.take(tick);
                changed.standing |= host.stand(moment);
            }
        }
        for spark in update.sparks {
            let Some(host) = self.find(spark.index) else {
                continue;
            };
            if usize::from(spark.alias) == CPU {
                host.cpu.load(spark.end, &spark.points);
            }
        }
        changed
    }

    fn place_names(&mut self) {
        let mut order: Vec<&mut HostRow> = self.rows.iter_mut().collect();
        order.sort_by(|a, b| natural(a.line.name.as_str(), b.line.name.as_str()));
        for (place, host) in order.into_iter().enumerate() {
            host.name_place = place;
        }
    }
}
