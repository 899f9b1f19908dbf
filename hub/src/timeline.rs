//! When a host, or any host, has rows, and what happened meanwhile. Pure.

use sysmon_wire::UnixMs;
use sysmon_wire::limits::TIMELINE_STEPS_MAX;
use sysmon_wire::message::Blob;
use sysmon_wire::timeline::Timeline;

use crate::core::Core;
use crate::fleet::HostId;

/// When a host, or any host, has rows, and what happened meanwhile.
///
/// For all hosts only the ends of chunks are read, so that a thousand hosts take no longer than one.
pub fn timeline(
    core: &Core,
    host: Option<HostId>,
    from: UnixMs,
    to: UnixMs,
    steps: u16,
) -> Timeline {
    let steps = i64::from(steps.clamp(1, TIMELINE_STEPS_MAX));
    let step_ms = ((to - from) / steps).max(1);
    let mut covered = vec![false; steps as usize];
    let mut oldest = UnixMs(i64::MAX);
    let host = host.and_then(|id| core.fleet.host(id));
    match host {
        Some(host) => {
            // A damaged chunk counts as missing.
            let _ = host.ring.mark_covered(from, step_ms, &mut covered);
            oldest = host.ring.oldest().unwrap_or(oldest);
        }
        None => {
            for (_, host) in core.fleet.machines() {
                host.ring.mark_covered_roughly(from, step_ms, &mut covered);
                oldest = oldest.min(host.ring.oldest().unwrap_or(oldest));
            }
        }
    }
    Timeline {
        from,
        step_ms,
        oldest: oldest.min(to),
        covered: Blob(covered.into_iter().map(u8::from).collect()),
        events: core.events.between(host.map(|host| &host.name), from, to),
    }
}
