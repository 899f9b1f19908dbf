//! Replies of the hub as messages for the screen.

use sysmon_wire::message::Reply;

use crate::state::Feed;

/// A reply to a request for the fleet, as the screen takes it.
pub fn of_fleet(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Fleet(update) => Some(Feed::Fleet(update)),
        Reply::Resolution { step_ms } => Some(Feed::FleetResolution { step_ms }),
        Reply::Complete => Some(Feed::FleetComplete),
        Reply::Refused { reason } => Some(Feed::Refused { reason }),
        _ => None,
    }
}

/// A reply to a request for a host, as the screen takes it.
pub fn of_host(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Host(line) => Some(Feed::HostLine(line)),
        Reply::Resolution { step_ms } => Some(Feed::HostResolution { step_ms }),
        Reply::HostSeries(table) => Some(Feed::HostSeries(table)),
        Reply::HostKeyframe(block) => Some(Feed::HostRows {
            keyframe: true,
            block: block.0,
        }),
        Reply::HostRows(block) => Some(Feed::HostRows {
            keyframe: false,
            block: block.0,
        }),
        Reply::Complete => Some(Feed::HostComplete),
        Reply::Refused { reason } => Some(Feed::Refused { reason }),
        _ => None,
    }
}

/// A reply to a request for processes, as the screen takes it.
pub fn of_processes(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Processes {
            time,
            all,
            processes,
        } => Some(Feed::Processes {
            time,
            all,
            processes,
        }),
        _ => None,
    }
}

/// A reply to a request for a burst, as the screen takes it: its samples come as the host's rows.
pub fn of_burst(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Refused { reason } => Some(Feed::BurstRefused { reason }),
        _ => None,
    }
}

/// A reply to a request for changes, as the screen takes it.
pub fn of_changes(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Changes { time, changes } => Some(Feed::Changes { time, changes }),
        Reply::Refused { reason } => Some(Feed::Refused { reason }),
        _ => None,
    }
}

/// A reply to a request for the busiest processes of all hosts, as the screen takes it.
pub fn of_top(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Top {
            time,
            hosts,
            processes,
        } => Some(Feed::Top {
            time,
            hosts,
            processes,
        }),
        Reply::Refused { reason } => Some(Feed::Refused { reason }),
        _ => None,
    }
}

/// A reply to a request for a timeline, as the screen takes it.
pub fn of_timeline(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Timeline(timeline) => Some(Feed::Timeline(timeline)),
        _ => None,
    }
}

/// A reply to a request for what fires, as the screen takes it.
pub fn of_alerts(reply: Reply) -> Option<Feed> {
    match reply {
        Reply::Alerts(alerts) => Some(Feed::Alerts(alerts)),
        Reply::Refused { reason } => Some(Feed::Refused { reason }),
        _ => None,
    }
}
