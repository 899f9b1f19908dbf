//! What an operator asks the hub to change: acknowledgements and silences.

use sysmon_wire::message::Request;
use sysmon_wire::{Label, UnixMs};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Takes responsibility for an alert, or withdraws that.
    Acknowledge {
        host: Label,
        /// All alerts of the host if not set.
        rule: Option<Label>,
        note: Label,
        is_acknowledged: bool,
    },
    Silence {
        scope: Label,
        until: UnixMs,
        reason: Label,
    },
    /// Ends a silence before its time.
    Unsilence { id: Label, scope: Label },
}

impl Operation {
    pub fn request(&self) -> Request {
        match self.clone() {
            Self::Acknowledge {
                host,
                rule,
                note,
                is_acknowledged: true,
            } => Request::Acknowledge { host, rule, note },
            Self::Acknowledge { host, rule, .. } => Request::Unacknowledge { host, rule },
            Self::Silence {
                scope,
                until,
                reason,
            } => Request::Silence {
                scope,
                until,
                reason,
            },
            Self::Unsilence { id, .. } => Request::Unsilence { id },
        }
    }

    /// What cannot be done without a hub.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Acknowledge { .. } => "acknowledge",
            Self::Silence { .. } => "silence",
            Self::Unsilence { .. } => "end a silence",
        }
    }
}
