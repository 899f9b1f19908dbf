//! The rules of a hub whose configuration has none.

/// The default rules.
///
/// Each of them requires somebody to act. A busy processor, a full page cache or an unsynchronised clock that is
/// nevertheless right do not.
pub const DEFAULTS: [&str; 32] = [
    "silent: silent for 60s critical",
    "disk-full: system.filesystem.utilization > 95% clear 93% for 5m critical",
    "disk-filling: system.filesystem.utilization full within 4h and system.filesystem.utilization > 60% for 20m",
    "disk-unreachable: system.filesystem.unreachable > 0 for 1m critical",
    "read-only: system.filesystem.read_only turns > 0 for 30s critical",
    "disk-errors: rate(system.linux.disk.errors) > 1/m over 10m for 10m",
    "filesystem-errors: rate(system.linux.filesystem.errors) > 0 over 10m critical",
    "raid-degraded: system.linux.raid.missing > 0 for 1m critical",
    "memory-stalls: psi.mem > 20% clear 10% for 2m",
    "oom-kill: rate(system.linux.oom_kills) > 0 over 5m",
    "cpu-saturated: psi.cpu > 60% clear 40% and load5 > 2*system.cpu.logical.count for 15m",
    "disk-stalls: psi.io > 80% clear 60% for 15m",
    "hot: temp.max > 95°C clear 90°C for 2m critical",
    "near-critical: hw.temperature > 0.95*hw.temperature.limit clear 0.9*hw.temperature.limit for 2m critical",
    "ups-on-battery: hw.ups.on_battery > 0 for 30s say the UPS {what} runs on its battery",
    "ups-low: hw.ups.low_battery > 0 critical say the battery of the UPS {what} is nearly empty",
    "ups-replace-battery: hw.ups.replace_battery > 0 for 5m say the UPS {what} needs a new battery",
    "ups-unreachable: hw.ups.reachable < 1 for 2m say the state of the UPS {what} is unknown: see the notes of {host}",
    "container-unhealthy: container.unhealthy > 0 for 3m say the health check of {what} fails",
    "container-restarting: rate(container.restarts) > 0.2/m clear 0.1/m over 15m for 10m say {what} is started again and again",
    "clock-off: clock off 2s for 1m",
    "check-down: sysmon.check.up < 1 for 90s critical say {what} is down, seen from {host}",
    "certificate-expiring: sysmon.check.certificate.expiry < 1*sysmon.check.certificate.expiry.min for 5m say the certificate of {what} expires in {value}",
    "rows-dropped: rate(sysmon.agent.rows.dropped) > 0 over 5m",
    "spool-errors: rate(sysmon.agent.spool.errors) > 0 over 5m",
    "history-damaged: sysmon.hub.history.damaged > 0 on hub:* critical say the history was damaged and what could be read recovered: see Backup and restore",
    "limit-reached: rate(sysmon.limit.reached) > 0 over 5m on hub:* say the hub's limit of {what} leaves something out: see sysmon-hub status",
    "datagrams-dropped: rate(sysmon.hub.datagram.dropped) > 1 over 5m for 5m on hub:* say the hub's receive buffer overflows: raise net.core.rmem_max, see Sizing",
    "agents-outdated: sysmon.hub.agent.outdated > 0 for 10m on hub:* say the next release does not support some agents: see sysmon-hub status",
    "export-behind: sysmon.export.lag > 15m clear 1m for 5m on hub:* say an export is {value} behind: see sysmon-hub export list",
    "export-refused: rate(sysmon.export.refused) > 0 over 10m on hub:* say an export's engine refuses values: see sysmon-hub export list",
    "export-lost: rate(sysmon.export.lost) > 0 over 10m on hub:* critical say the history no longer has what an export lacks: see sysmon-hub export list",
];
