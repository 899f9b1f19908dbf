//! Fleets and policies for tests of the relay.

use super::policy::EdgeOptions;
use crate::core::Core;
use crate::core::tests::{core, host_with_cpu, row};
use crate::view::fleet_picture;
use sysmon_wire::message::{FleetUpdate, RunId};
use sysmon_wire::{HostFacts, Process, ProcessArguments, ProcessIdentity, UnixMs};

pub(super) fn options(share: &[&str]) -> EdgeOptions {
    EdgeOptions {
        share: share.iter().map(|share| share.parse().unwrap()).collect(),
        ..EdgeOptions::default()
    }
}

pub(super) fn hosts(names: &[&str]) -> Core {
    let mut core = core();
    for name in names {
        let id = host_with_cpu(&mut core, name);
        let facts = HostFacts {
            os: "secret-os".into(),
            tags: vec!["secret-tag".into()],
            ..HostFacts::unknown()
        };
        core.fleet.set_facts(id, facts);
        core.fleet.set_notes(id, vec!["secret /path".into()]);
        let identity = ProcessIdentity {
            pid: 7,
            start: UnixMs(1),
            user: "secret-user".into(),
            command: "secret-command".into(),
            cgroup: "".into(),
        };
        let arguments = ProcessArguments {
            id: identity.id(),
            arguments: "--secret-argument".into(),
        };
        core.fleet.set_arguments(id, vec![arguments.clone()]);
        let process = Process {
            identity,
            parent: 1,
            state: b'S',
            threads: 1,
            cpu_permille: 900,
            memory_bytes: 1,
            read_bytes_per_s: 0,
            write_bytes_per_s: 0,
            arguments: arguments.arguments,
        };
        core.fleet.set_processes(id, UnixMs(9000), vec![process]);
        core.apply(id, RunId(1), &row(1, 9000, 5), UnixMs(9000))
            .unwrap();
    }
    core
}

pub(super) fn picture(core: &Core) -> FleetUpdate {
    fleet_picture(
        &core.fleet.view(),
        None,
        UnixMs(9000),
        &super::schedule::sparks(),
    )
    .remove(0)
}
