//! Redis against real servers.

use std::collections::BTreeMap;
use std::process::Command;

use redis::{Commands, Connection, FromRedisValue};
use sysmon_wire::message::{HostState, Severity};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{ABSENT, Label, UnixMs};
use tempfile::TempDir;

use super::*;
use crate::destination::EngineKind;
use crate::engines::address::tests::options;
use crate::engines::servers::{Server, free_port};
use crate::engines::values::tests::host;
use crate::{Committed, Cursor, HostNow};

const T: i64 = 1_700_000_000_000;
const READY: &str = "Ready to accept connections";

struct Running {
    dir: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut running = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            server: None,
        };
        running.restart(arguments);
        running
    }

    fn restart(&mut self, arguments: &[&str]) {
        drop(self.server.take());
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", ""]);
        command.args(arguments).current_dir(self.dir.path());
        self.server = Some(Server::start(&mut command, READY));
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn engine(&self) -> Redis {
        Redis::new(&options(EngineKind::Redis, &self.url())).unwrap()
    }

    fn client(&self) -> Connection {
        connection(&self.url())
    }
}

fn connection(url: &str) -> Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn ask<T: FromRedisValue>(connection: &mut Connection, command: &str) -> T {
    let mut parts = command.split(' ');
    let mut asked = redis::cmd(parts.next().unwrap());
    parts.for_each(|part| {
        asked.arg(part);
    });
    asked.query(connection).unwrap()
}

fn values(cpu: i64, rx: i64) -> [i64; SUMMARY] {
    let mut values = [ABSENT; SUMMARY];
    (values[0], values[3]) = (cpu, rx);
    values
}

fn write(engine: &mut Redis, hosts: &[HostNow]) -> Result<Sent, EngineError> {
    write_as(engine, T, hosts)
}

fn write_as(engine: &mut Redis, created: i64, hosts: &[HostNow]) -> Result<Sent, EngineError> {
    engine.send_present(&Present {
        hosts,
        created: UnixMs(created),
    })
}

fn hash(client: &mut Connection, host: &str) -> BTreeMap<String, String> {
    client.hgetall(format!("sysmon:host:{host}")).unwrap()
}

fn names(client: &mut Connection) -> Vec<String> {
    let mut names: Vec<String> = client.smembers("sysmon:hosts").unwrap();
    names.sort();
    names
}

mod access;

#[test]
#[ignore = "needs redis-server"]
fn the_newest_values_of_each_host_are_a_hash_and_changes_are_published() {
    let running = Running::start(&[]);
    let (mut engine, mut client) = (running.engine(), running.client());
    let mut listener = running.client();
    let mut live = listener.as_pubsub();
    live.psubscribe("sysmon:live:*").unwrap();
    let sent = write(
        &mut engine,
        &[
            host("db-1", T, values(613, 1_000)),
            host("a b:ü", T, values(1, ABSENT)),
        ],
    )
    .unwrap();
    assert_eq!((sent.samples, sent.refused.len()), (3, 0));
    let expected = [
        ("cpu", "0.613"),
        ("last_sample_ms", "1700000000000"),
        ("net.rx", "1000"),
        ("state", "live"),
    ];
    let expected: BTreeMap<_, _> = expected
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .into();
    assert_eq!(hash(&mut client, "db-1"), expected);
    assert_eq!(names(&mut client), ["a b:ü", "db-1"]);
    let message = live.get_message().unwrap();
    assert_eq!(message.get_channel_name(), "sysmon:live:db-1");
    assert_eq!(
        message.get_payload::<String>().unwrap(),
        r#"{"name":"db-1","state":"live","last_sample_ms":1700000000000,"metrics":{"cpu":0.613,"net.rx":1000}}"#
    );
    live.get_message().unwrap();

    let mut silent = host("db-1", T, values(613, ABSENT));
    silent.state = HostState::Offline;
    write(&mut engine, &[silent.clone()]).unwrap();
    let written = hash(&mut client, "db-1");
    assert_eq!(written.get("state").map(String::as_str), Some("offline"));
    assert!(
        !written.contains_key("net.rx"),
        "a value that is gone leaves"
    );
    assert_eq!(names(&mut client), ["db-1"], "the other host was forgotten");
    assert_eq!(hash(&mut client, "a b:ü"), BTreeMap::new());
    let gone: String = live.get_message().unwrap().get_payload().unwrap();
    assert_eq!(gone, r#"{"name":"a b:ü","state":"forgotten"}"#);
    live.get_message().unwrap();
    assert_eq!(
        write(&mut engine, &[silent]).unwrap().samples,
        0,
        "nothing changed"
    );
}

#[test]
#[ignore = "needs redis-server"]
fn a_redis_that_lost_everything_gets_all_of_it_again() {
    let mut running = Running::start(&[]);
    let mut engine = running.engine();
    let hosts = [host("a", T, values(1, 2)), host("b", T, values(3, 4))];
    write(&mut engine, &hosts).unwrap();
    let () = ask(&mut running.client(), "FLUSHALL");
    write(&mut engine, &hosts).unwrap();
    assert_eq!(names(&mut running.client()), ["a", "b"]);
    assert_eq!(
        engine.event_position(),
        Some(EventPosition::Empty { room: EVENTS })
    );

    running.restart(&[]);
    let error = write(&mut engine, &hosts).unwrap_err();
    assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
    write(&mut engine, &hosts).unwrap();
    let mut client = running.client();
    assert_eq!(names(&mut client), ["a", "b"]);
    assert_eq!(hash(&mut client, "b")["cpu"], "0.003");
}

#[test]
#[ignore = "needs redis-server"]
fn a_restarted_hub_removes_what_was_forgotten_meanwhile() {
    let running = Running::start(&[]);
    let hosts = [host("a", T, values(1, 2)), host("b", T, values(3, 4))];
    write(&mut running.engine(), &hosts).unwrap();
    write(&mut running.engine(), &hosts[1..]).unwrap();
    let mut client = running.client();
    assert_eq!(names(&mut client), ["b"]);
    assert_eq!(hash(&mut client, "a"), BTreeMap::new());
    let lease: i64 = client.ttl("sysmon:hub").unwrap();
    assert!((1..=30).contains(&lease), "{lease}");
}

fn event(id: i64) -> (i64, Event) {
    let event = Event {
        time: UnixMs(T + id),
        host: "db-1".into(),
        kind: EventKind::Fired(Severity::Critical),
        text: Label::new("full"),
    };
    (id, event)
}

fn add_events(engine: &mut Redis, created: i64, ids: impl Iterator<Item = i64>) -> Sent {
    let mut cursor = Cursor::new(&Committed::default(), 0, 0, UnixMs(created));
    cursor.created = UnixMs(created);
    let events: Vec<_> = ids.map(event).collect();
    let batch = Batch {
        hosts: &[],
        minutes: &[],
        events: &events,
        gone: &[],
        cursor: &cursor,
    };
    engine.send(&batch).unwrap()
}

#[test]
#[ignore = "needs redis-server"]
fn events_stand_in_the_stream_once_by_their_ids() {
    let running = Running::start(&[]);
    let mut engine = running.engine();
    write(&mut engine, &[]).unwrap();
    assert_eq!(
        engine.event_position(),
        Some(EventPosition::Empty { room: EVENTS })
    );
    assert_eq!(
        add_events(&mut engine, T, 1..4),
        Sent {
            bytes: add_events(&mut engine, T, 1..4).bytes,
            ..Sent::default()
        }
    );
    let newest = |id| {
        Some(EventPosition::Newest {
            created: UnixMs(T),
            id,
        })
    };
    assert_eq!(engine.event_position(), newest(3));

    let mut restarted = running.engine();
    write(&mut restarted, &[]).unwrap();
    assert_eq!(restarted.event_position(), newest(3));
    add_events(&mut restarted, T, 2..6);
    let mut client = running.client();
    let entries: Vec<(String, Vec<String>)> = ask(&mut client, "XRANGE sysmon:events - +");
    let ids: Vec<_> = entries.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(
        ids,
        (1..6).map(|id| format!("{T}-{id}")).collect::<Vec<_>>()
    );
    assert_eq!(
        entries[0].1,
        [
            "time_ms",
            "1700000000001",
            "host",
            "db-1",
            "kind",
            "firing",
            "severity",
            "critical",
            "text",
            "full"
        ]
    );
}

#[test]
#[ignore = "needs redis-server"]
fn the_stream_stays_about_as_long_as_configured() {
    let running = Running::start(&[]);
    let mut configured = options(EngineKind::Redis, &running.url());
    configured
        .options
        .insert("events".to_owned(), "100".to_owned());
    let mut engine = Redis::new(&configured).unwrap();
    write(&mut engine, &[]).unwrap();
    add_events(&mut engine, T, 1..2_000);
    let length: i64 = ask(&mut running.client(), "XLEN sysmon:events");
    assert!((100..300).contains(&length), "{length}");
    configured
        .options
        .insert("events".to_owned(), "false".to_owned());
    assert!(!Redis::new(&configured).unwrap().takes_events());
}

#[test]
#[ignore = "needs redis-server"]
fn a_second_hub_under_the_same_prefix_is_refused_and_a_restarted_one_is_not() {
    let running = Running::start(&[]);
    let hosts = [host("a", T, values(1, 2))];
    let mut engine = running.engine();
    write(&mut engine, &hosts).unwrap();
    let error = write_as(&mut running.engine(), T + 5, &[]).unwrap_err();
    assert!(
        matches!(&error, EngineError::Misconfigured(text) if text.starts_with("another hub writes to sysmon:hub")),
        "{error}"
    );
    assert_eq!(names(&mut running.client()), ["a"]);
    write(&mut running.engine(), &hosts).unwrap();
    write_as(&mut engine, T + 9, &hosts).unwrap();
    let owner: String = running.client().get("sysmon:hub").unwrap();
    assert_eq!(
        owner,
        (T + 9).to_string(),
        "the same hub with another cursor"
    );
}

#[test]
#[ignore = "needs redis-server"]
fn a_host_that_redis_refuses_is_counted_and_takes_no_other_with_it() {
    let running = Running::start(&[]);
    let () = running.client().set("sysmon:host:bad", 1).unwrap();
    let mut engine = running.engine();
    let at = |time| ["good", "bad", "fine"].map(|name| host(name, time, values(1, 2)));
    let sent = write(&mut engine, &at(T)).unwrap();
    assert_eq!(sent.samples, 4);
    let [(reason, count)] = sent.refused.as_slice() else {
        panic!("{sent:?}")
    };
    assert!(reason.starts_with("WRONGTYPE") && *count == 2, "{sent:?}");
    let sent = write(&mut engine, &at(T + 1)).unwrap();
    assert_eq!(
        (sent.samples, sent.refused.len()),
        (4, 0),
        "it is not tried each second"
    );
}

#[test]
#[ignore = "needs redis-server"]
fn ten_thousand_hosts_are_written_each_round() {
    let running = Running::start(&[]);
    let mut engine = running.engine();
    let mut hosts: Vec<_> = (0..10_000)
        .map(|n| {
            host(
                &format!("host-{n}.example.com"),
                T,
                [n, 412, 105, 123_456, 65_432, 8_192, 40_960, 731, 51_250],
            )
        })
        .collect();
    write(&mut engine, &hosts).unwrap();
    let rounds = 20;
    let before = thread_time();
    for round in 1..=rounds {
        for host in &mut hosts {
            host.time = UnixMs(T + round * 1_000);
            host.values[0] = (host.values[0] + 7) % 1_000;
        }
        let sent = write(&mut engine, &hosts).unwrap();
        assert_eq!(sent.samples, 90_000);
    }
    let each = (thread_time() - before) / rounds as u32;
    println!("10,000 hosts: {each:?} of one core in this thread");
    assert_eq!(
        hash(&mut running.client(), "host-9999.example.com")["last_sample_ms"],
        (T + rounds * 1_000).to_string()
    );
    // Unoptimised code takes many times as long.
    assert!(
        cfg!(debug_assertions) || each < Duration::from_millis(60),
        "{each:?}"
    );
}

/// Processor time of the calling thread.
fn thread_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stat.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds)
}
