//! Firing alerts, their acknowledgements, and the state of notification routes.

use serde::{Deserialize, Serialize};

use super::Severity;
use crate::{Label, UnixMs};

/// Firing alerts and notification routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// Alerts whose acknowledgement the request set or removed, or silences that it added or ended.
    pub changed: u32,
    /// Firing alerts, the most severe first, at most [`crate::limits::ALERTS_MAX`].
    pub alerts: Vec<AlertState>,
    /// Firing alerts left out of `alerts`.
    pub more: u32,
    pub routes: Vec<RouteState>,
    /// The silences that have not ended, the next to end first.
    pub silences: Vec<SilenceState>,
}

/// A silence, which suppresses notifications for a limited time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceState {
    /// By which [`Request::Unsilence`](super::Request::Unsilence) ends it.
    pub id: Label,
    /// `HOSTS` or `HOSTS:RULE`.
    pub scope: Label,
    pub from: UnixMs,
    pub until: UnixMs,
    /// Who added it; empty where that is not known.
    pub by: Label,
    /// May be empty.
    pub reason: Label,
}

/// A firing alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    pub host: Label,
    pub rule: Label,
    /// Attribute values of the series, such as a mount point; empty for an alert of the whole host.
    pub device: Label,
    pub severity: Severity,
    /// When it started firing.
    pub since: UnixMs,
    pub summary: Label,
    /// Set while somebody has acknowledged it.
    pub acknowledged: Option<Acknowledgement>,
    /// The reason of the silence or maintenance window that suppresses its notifications.
    pub silenced: Option<Label>,
}

/// Who took responsibility for an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: Label,
    pub at: UnixMs,
    /// The operator's remark; may be empty.
    pub note: Label,
}

/// State of a notification route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteState {
    /// The receiver, without secrets.
    pub route: Label,
    pub queued: u32,
    /// Alerts whose notification was dropped, because the queue was full or the receiver refused it.
    pub dropped: u64,
    /// The last successful delivery since the hub started.
    pub last_sent: Option<UnixMs>,
    /// Since when every attempt has failed; `None` while delivery works.
    pub failing_since: Option<UnixMs>,
    pub error: Label,
}
