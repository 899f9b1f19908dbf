//! Alerts as their readers see them: what fires, who takes care, and how those are reached who are told.

use serde::{Deserialize, Serialize};

use crate::message::Severity;
use crate::{Label, UnixMs};

/// What fires, and how it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// Alerts that were acknowledged by the request, or are no longer.
    pub changed: u32,
    /// What fires, by host, at most [`crate::limits::ALERTS_MAX`].
    pub alerts: Vec<AlertState>,
    /// How many more do.
    pub more: u32,
    /// Where they are told.
    pub routes: Vec<RouteState>,
}

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// The host.
    pub host: Label,
    /// The rule's name.
    pub rule: Label,
    /// Which of the host's devices, if one of several.
    pub device: Label,
    /// How bad it is.
    pub severity: Severity,
    /// When it became bad.
    pub since: UnixMs,
    /// What it says, for people.
    pub summary: Label,
    /// Who takes care of it, if anybody said so.
    pub acknowledged: Option<Acknowledgement>,
    /// Why nobody is told of it, if that is so.
    pub silenced: Option<Label>,
}

/// That somebody takes care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: Label,
    /// Since when.
    pub at: UnixMs,
    /// What they say about it.
    pub note: Label,
}

/// How somewhere that alerts are told does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteState {
    /// Where, without secrets.
    pub route: Label,
    /// Alerts that wait.
    pub queued: u32,
    /// Alerts that were dropped because too many waited.
    pub dropped: u64,
    /// When something was told there last, since the hub started.
    pub last_sent: Option<UnixMs>,
    /// Since when every attempt has failed.
    pub failing_since: Option<UnixMs>,
    /// Why the last one did.
    pub error: Label,
}
