//! Messages that the Python SDK with its system metrics sent, two seconds apart.

use sysmon_otlp::{Mapper, MapperLimits, Naming, Reason, decode, points};
use sysmon_wire::metrics::{
    CPU_COUNT, CPU_UTILIZATION, DISK_IO, MEMORY_LIMIT, MEMORY_UTILIZATION, NET_IO, NET_PACKETS,
};
use sysmon_wire::{ABSENT, Kind, SeriesKey, UnixMs};

const MESSAGES: [&[u8]; 2] = [
    include_bytes!("data/python-sdk-1.bin"),
    include_bytes!("data/python-sdk-2.bin"),
];

#[test]
fn a_host_of_the_python_sdk_has_processors_memory_disks_and_its_own_metrics() {
    let mut mapper = Mapper::new(Naming::Resource);
    let mut rows = Vec::new();
    for bytes in MESSAGES {
        let request = decode(bytes).unwrap();
        assert!(points(&request) > 100);
        let now = UnixMs(i64::MAX / 4);
        let limits = MapperLimits {
            hosts: 1,
            oldest: UnixMs(0),
            newest: now,
        };
        let rejections = mapper.add(&request, limits, now, |_| Ok(()));
        let reasons: Vec<_> = rejections
            .iter()
            .map(|(reason, count)| (reason.clone(), count))
            .collect();
        assert_eq!(reasons, [(Reason::Distribution, 1)]);
        for feed in mapper.ready(now + Mapper::HOLD_MS) {
            assert_eq!(feed.host.as_str(), "rec-1");
            assert_eq!((feed.facts.os.as_str(), feed.facts.cpus), ("linux", 2));
            assert_eq!(feed.rows.len(), 1);
            let values = feed
                .keys
                .iter()
                .map(|key| (**key).clone())
                .zip(feed.rows[0].values.clone());
            rows.push(
                values
                    .filter(|(_, value)| *value != ABSENT)
                    .collect::<Vec<_>>(),
            );
        }
    }
    let value = |row: usize, key: SeriesKey| {
        let found = rows[row].iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| *value)
    };
    assert_eq!(value(0, CPU_UTILIZATION.series(&[])), None);
    let cpu = value(1, CPU_UTILIZATION.series(&[])).unwrap();
    assert!((1..=1_000).contains(&cpu), "{cpu}");
    assert_eq!(value(1, CPU_COUNT.series(&[])), Some(2));
    assert_eq!(value(0, MEMORY_UTILIZATION.series(&[])), Some(54));
    let memory = value(0, MEMORY_LIMIT.series(&[])).unwrap();
    assert!(
        (25_000_000_000..25_600_000_000).contains(&memory),
        "{memory}"
    );
    let read = ("disk.io.direction", "read");
    let disk = |device| value(0, DISK_IO.series(&[read, ("system.device", device)]));
    let (total, vda) = (
        value(0, DISK_IO.series(&[read])).unwrap(),
        disk("vda").unwrap(),
    );
    assert!(total >= vda && disk("loop0").is_some(), "{total} {vda}");
    let receive = ("network.io.direction", "receive");
    let total = value(0, NET_IO.series(&[receive]));
    let lo = ("network.interface.name", "lo");
    assert!(
        total < value(0, NET_IO.series(&[receive, lo])),
        "loopback is not in the total"
    );
    assert!(value(0, NET_PACKETS.series(&[receive, lo])).is_some());
    let (jobs, done) = rows[1]
        .iter()
        .find(|(key, _)| key.metric.name == "jobs.done")
        .unwrap();
    assert_eq!(
        (jobs.metric.kind, jobs.metric.unit.as_str()),
        (Kind::Counter, "{job}")
    );
    assert_eq!((jobs.metric.scale, *done), (0, 12));
    let names: Vec<_> = jobs
        .attributes
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["queue", "service.instance.id", "service.name"]);
}
