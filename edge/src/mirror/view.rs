//! What the mirror shows, as `openapi.json` describes it. Fields are declared in the order of the JSON: alphabetically.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use sysmon_wire::message::{HostState, Severity};
use sysmon_wire::metrics::unscale;
use sysmon_wire::{Label, UnixMs};

pub(super) const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
pub struct FleetView<'a> {
    /// The hub's clock when it last sent something; 0 if it never did.
    pub as_of_ms: UnixMs,
    pub hosts: Vec<HostView<'a>>,
    pub live: bool,
    pub metrics: Vec<&'static str>,
    pub now_ms: UnixMs,
    pub(super) schema: u32,
    pub title: &'a str,
}

#[derive(Debug, Serialize)]
pub struct HostView<'a> {
    pub alerts: Vec<AlertView<'a>>,
    pub last_sample_ms: Option<UnixMs>,
    /// Present values, by the metric's short name; none where unknown or the host is not live.
    pub metrics: BTreeMap<&'static str, Option<Value>>,
    pub name: &'a Label,
    #[serde(serialize_with = "state")]
    pub state: HostState,
}

#[derive(Debug, Serialize)]
pub struct AlertView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<UnixMs>,
    /// Its host, unless the alert stands within one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<&'a Label>,
    pub rule: &'a Label,
    #[serde(serialize_with = "severity")]
    pub severity: Severity,
    pub since_ms: UnixMs,
    /// What the rule says about it, where the hub shares that.
    #[serde(skip_serializing_if = "is_empty")]
    pub summary: &'a Label,
}

#[derive(Debug, Serialize)]
pub struct AlertsView<'a> {
    pub alerts: Vec<AlertView<'a>>,
    pub as_of_ms: UnixMs,
    pub(super) schema: u32,
}

#[derive(Debug, Serialize)]
pub struct SeriesView<'a> {
    pub host: &'a Label,
    pub metric: &'static str,
    pub points: Vec<(UnixMs, Option<Value>)>,
    pub(super) schema: u32,
    pub step_ms: i64,
}

#[derive(Debug, Serialize)]
pub struct SparksView<'a> {
    pub end_ms: UnixMs,
    pub hosts: BTreeMap<&'a Label, Vec<Option<Value>>>,
    pub metric: &'static str,
    pub(super) schema: u32,
    pub step_ms: i64,
}

/// A value in its metric's unit, rounded to one digit more than the metric's scale has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value(pub f64);

impl Value {
    pub(super) fn rounded(scaled: f64, scale: i8) -> Self {
        Self(match scale {
            0.. => scaled.round() * unscale(1, scale),
            _ => (scaled * 10.0).round() / 10.0 / 10f64.powi(-i32::from(scale)),
        })
    }
}

/// Whole numbers stand without a fraction.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 9e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

fn state<S: Serializer>(state: &HostState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}

fn severity<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity.as_str())
}

fn is_empty(label: &Label) -> bool {
    label.as_str().is_empty()
}
