//! The use of processors of all hosts over spans that are longer than what the hub has at hand with each picture.

use std::collections::HashMap;

use sysmon_wire::message::{Points, Query, Request};
use sysmon_wire::metrics::ALIASES;
use sysmon_wire::{ABSENT, Label, UnixMs};

use super::Fleet;
use super::row::HostRow;
use crate::context::Context;
use crate::model::spark::SparkLine;
use crate::model::summary::CPU;
use crate::model::window::ChartSpan;
use crate::subscriptions::{Subscription, Topic};

/// Points of history for each cell of a table's narrow charts are fewer than those of a host's.
const COARSER: i64 = 3;

/// The moment of the last point, and the points.
type Line = (UnixMs, Vec<i64>);

/// The long history of the hosts' sparklines.
#[derive(Debug, Default)]
pub(super) struct LongSparks {
    to: UnixMs,
    at: Option<UnixMs>,
    round: u32,
    lines: HashMap<Label, Line>,
}

/// Milliseconds that a point of a sparkline stands for.
pub(super) fn spark_step_ms(span: ChartSpan) -> i64 {
    let coarser = if span.is_long() { COARSER } else { 1 };
    span.step_ms() * coarser
}

impl LongSparks {
    pub(super) fn clear(&mut self) {
        *self = Self {
            round: self.round.wrapping_add(1),
            ..Self::default()
        };
    }

    fn add(&mut self, part: &Points) {
        let scale = ALIASES.get(CPU).map_or(0, |alias| alias.metric.scale);
        let factor = 10f64.powi(-i32::from(scale));
        let scaled = |value: &f64| match value.is_finite() {
            true => (value * factor).round() as i64,
            false => ABSENT,
        };
        let points: Vec<i64> = part.values.iter().map(scaled).collect();
        let last = part.start + (points.len() as i64 - 1).max(0) * part.step_ms;
        self.lines.insert(part.host.clone(), (last, points));
    }

    fn load(&self, host: &mut HostRow) {
        if let Some((end, points)) = self.lines.get(&host.line.name) {
            host.cpu.load(*end, points);
        }
    }
}

impl Fleet {
    /// Follows the span of the charts and the moment shown.
    pub(in super::super) fn follow_span(&mut self, context: &Context) {
        let span = context.chart_span;
        if self.span != span {
            self.span = span;
            self.long.clear();
            self.hosts.span = span;
            let step = self.hosts.spark_step_ms();
            for host in &mut self.hosts.rows {
                host.cpu = SparkLine::new(step);
            }
        }
        if self.long.to.0 == 0 || self.long.at != context.at {
            self.long.clear();
            (self.long.to, self.long.at) = (context.moment(), context.at);
        }
    }

    /// What a picture of the hub has of each host's history: points, and milliseconds of each.
    pub(in super::super) fn spark_points(&self) -> (u16, u32) {
        match self.span.is_long() {
            true => (0, 1_000),
            false => {
                let step = u32::try_from(self.span.step_ms()).unwrap_or(u32::MAX);
                (self.span.points(), step)
            }
        }
    }

    pub(in super::super) fn long_subscriptions(&self, wanted: &mut Vec<Subscription>) {
        if !self.span.is_long() {
            return;
        }
        let (step, to) = (spark_step_ms(self.span), self.long.to);
        let query = Query::new("cpu".into(), to - self.span.ms(), to, step);
        wanted.push(Subscription {
            round: self.long.round,
            ..Subscription::new(Topic::FleetHistory, Request::Query(query))
        });
    }

    pub(in super::super) fn add_long(&mut self, part: &Points) {
        self.long.add(part);
        let hosts = &mut self.hosts.rows;
        if let Some(host) = hosts.iter_mut().find(|host| host.line.name == part.host) {
            self.long.load(host);
        }
    }

    /// Loads what came before the picture that it belongs to was complete.
    pub(super) fn load_long(&mut self) {
        if !self.span.is_long() {
            return;
        }
        for host in &mut self.hosts.rows {
            self.long.load(host);
        }
    }

    pub(in super::super) fn forget_long(&mut self) {
        self.long.clear();
    }
}
