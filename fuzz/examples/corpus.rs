//! Generates the seed inputs in `corpus/` with sysmon's own encoders.
//!
//! Run `cargo run --example corpus` in this folder after changing a format.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use sysmon_certs::{Authority, JoinKey, Role, Token};
use sysmon_series::Chunk;
use sysmon_wire::message::{
    Aggregate, Blob, FleetUpdate, FromAgent, Group, Hello, HostHealth, HostLine, HostProcess,
    HostState, HostTick, JoinReply, JoinRequest, Lane, Points, Purpose, Push, Query, Reply,
    Request, RunId, Spark, ToAgent, TopBy, Welcome,
};
use sysmon_wire::metrics::UPTIME;
use sysmon_wire::{
    ABSENT, HostFacts, Process, ProcessArguments, ProcessIdentity, RowEncoder, SeriesTable, UnixMs, codec,
};

type Written = Result<(), Box<dyn Error>>;

/// Time of the first row.
const START_MS: i64 = 1_700_000_000_000;

/// Number of series of the rows.
const SERIES: u8 = 4;

fn main() -> Written {
    handshakes()?;
    certificates()?;
    pushes()?;
    requests()?;
    replies()?;
    write("rows", "host", &[vec![SERIES], rows(1, 40)].concat())?;
    write("chunk", "host", &chunk()?)?;
    write("spool", "host", &spool_file()?)?;
    write("series_table", "host", &encoded(&table())?)
}

fn write(target: &str, name: &str, bytes: &[u8]) -> Written {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(name), bytes)?)
}

fn encoded<M: Serialize>(message: &M) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::new();
    codec::encode(message, &mut out)?;
    Ok(out)
}

/// Writes a message after the number of its kind in `targets/messages.rs`.
fn message<M: Serialize>(kind: u8, name: &str, message: &M) -> Written {
    write("messages", name, &[vec![kind], encoded(message)?].concat())
}

fn handshakes() -> Written {
    let hello = Hello {
        minor: 1,
        version: "0.1.0".into(),
        purpose: Purpose::Push,
        now: UnixMs(START_MS),
    };
    message(0, "hello", &hello)?;
    let accepted = Welcome::Accepted {
        minor: 1,
        version: "0.1.0".into(),
        name: "hub".into(),
        now: UnixMs(START_MS),
    };
    message(1, "welcome", &accepted)?;
    let copy = Welcome::Copy {
        reason: "a copy".into(),
    };
    message(1, "welcome_copy", &copy)?;
    let refused = Welcome::Refused {
        reason: "revoked".into(),
    };
    message(1, "welcome_refused", &refused)?;
    let request = JoinRequest {
        secret: Blob(vec![7; 16]),
        name: "web-1".into(),
        request: Blob(vec![0x30; 40]),
    };
    message(2, "join_request", &request)?;
    let granted = JoinReply::Granted {
        authority: Blob(b"-----BEGIN CERTIFICATE-----".to_vec()),
        certificate: Blob(b"-----BEGIN CERTIFICATE-----".to_vec()),
    };
    message(3, "join_reply", &granted)
}

fn certificates() -> Written {
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let authority = Authority::in_memory(now, &sysmon_clock::Random::system())?;
    let name = "web-1".parse()?;
    let key = JoinKey::generate(&sysmon_clock::Random::system())?;
    let request = key.request()?;
    let signed = authority.sign(&request, Role::Agent, &name, now, 30)?;
    let print = authority.fingerprint()?;
    let identity = key.identity(&signed.authority_pem, &signed.certificate_pem, print)?;
    let der = identity.authorities().first().ok_or("no authority")?;
    write(
        "certificates",
        "authority",
        &[vec![0], der.to_vec()].concat(),
    )?;
    let own = CertificateDer::from_pem_slice(signed.certificate_pem.as_bytes())?;
    write("certificates", "agent", &[vec![0], own.to_vec()].concat())?;
    write("certificates", "request", &[vec![1], request].concat())?;
    let answer = format!("\u{2}{}\0{}", signed.authority_pem, signed.certificate_pem);
    write("certificates", "answer", answer.as_bytes())?;
    let token = format!("sysmon1.{}", "A".repeat(64));
    token.parse::<Token>()?;
    write("token", "token", token.as_bytes())?;
    write("token", "name", b"web-1.lan")
}

fn pushes() -> Written {
    for (name, frame) in ["begin", "series", "keyframe", "rows", "processes"]
        .iter()
        .zip(frames())
    {
        message(4, &format!("push_{name}"), &frame)?;
    }
    message(5, "from_agent_facts", &FromAgent::Facts(facts()))?;
    let processes = FromAgent::Processes {
        time: UnixMs(START_MS),
        processes: vec![process()],
    };
    message(5, "from_agent_processes", &processes)?;
    message(
        5,
        "from_agent_notes",
        &FromAgent::Notes(vec!["no sensors".into()]),
    )?;
    let limit = sysmon_wire::LimitGauge::new("series", 4096).state();
    message(5, "from_agent_limits", &FromAgent::Limits(vec![limit]))?;
    let arguments = FromAgent::Arguments(vec![ProcessArguments {
        id: 7,
        arguments: "--port 8080".into(),
    }]);
    message(5, "from_agent_arguments", &arguments)?;
    let spooled = FromAgent::Spooled(vec![RunId(8), RunId(9)]);
    message(5, "from_agent_spooled", &spooled)?;
    message(6, "to_agent_backfill", &ToAgent::Backfill)?;
    let ack = ToAgent::Ack {
        run: RunId(9),
        ranges: vec![(1, 300), (302, 400)],
    };
    message(6, "to_agent_ack", &ack)?;
    let burst = ToAgent::Burst {
        interval_ms: 100,
        for_ms: 60_000,
    };
    message(6, "to_agent_burst", &burst)
}

fn requests() -> Written {
    message(7, "request_status", &Request::Status)?;
    let fleet = Request::Fleet {
        at: Some(UnixMs(START_MS)),
        once: false,
        spark_points: 60,
        spark_step_ms: 1000,
        sparks: vec![0, 1],
    };
    message(7, "request_fleet", &fleet)?;
    let query = Request::Query(Query {
        metric: "cpu".into(),
        host: Some("web-1".into()),
        from: UnixMs(START_MS),
        to: UnixMs(START_MS + 60_000),
        step_ms: 1000,
        aggregate: Aggregate::Mean,
        group: None,
        top: 0,
    });
    message(7, "request_query", &query)?;
    let grouped = Request::Query(Query {
        metric: "net.rx".into(),
        host: None,
        from: UnixMs(START_MS),
        to: UnixMs(START_MS + 60_000),
        step_ms: 1000,
        aggregate: Aggregate::Quantile(950),
        group: Some(Group {
            by: vec!["host".into()],
            across: Aggregate::Sum,
        }),
        top: 10,
    });
    message(7, "request_query_grouped", &grouped)?;
    let timeline = Request::Timeline {
        host: None,
        from: UnixMs(START_MS),
        to: UnixMs(START_MS + 60_000),
        steps: 80,
    };
    message(7, "request_timeline", &timeline)?;
    let renew = Request::Renew {
        request: Blob(vec![0x30; 40]),
    };
    message(7, "request_renew", &renew)?;
    let top = Request::Top {
        host: None,
        at: Some(UnixMs(START_MS)),
        by: TopBy::Memory,
        limit: 50,
        each: 1,
    };
    message(7, "request_top", &top)?;
    let host = Request::Host {
        host: "web-1".into(),
        from: UnixMs(START_MS),
        until: None,
    };
    message(7, "request_host", &host)
}

fn replies() -> Written {
    let line = HostLine {
        index: 0,
        name: "web-1".into(),
        facts: facts(),
        health: HostHealth::default(),
        notes: vec!["no sensors".into()],
        alerts: Vec::new(),
    };
    let fleet = FleetUpdate {
        gone: Vec::new(),
        now: UnixMs(START_MS),
        lines: vec![line.clone()],
        ticks: vec![HostTick {
            index: 0,
            state: HostState::Live,
            time: UnixMs(START_MS),
            values: vec![120, ABSENT, 7],
        }],
        sparks: vec![Spark {
            index: 0,
            alias: 0,
            end: UnixMs(START_MS),
            points: vec![100, 110, 120],
        }],
    };
    message(8, "reply_fleet", &Reply::Fleet(fleet))?;
    let renewed = Reply::Renewed {
        authority: Blob(b"-----BEGIN CERTIFICATE-----".to_vec()),
        certificate: Blob(b"-----BEGIN CERTIFICATE-----".to_vec()),
    };
    message(8, "reply_renewed", &renewed)?;
    let top = Reply::Top {
        time: UnixMs(START_MS),
        hosts: 1,
        processes: vec![HostProcess {
            host: "web-1".into(),
            process: process(),
        }],
        complete_to: Some(1),
    };
    message(8, "reply_top", &top)?;
    message(8, "reply_host", &Reply::Host(Box::new(line)))?;
    message(8, "reply_series", &Reply::HostSeries(table()))?;
    message(8, "reply_keyframe", &Reply::HostKeyframe(Blob(rows(1, 3))))?;
    let points = Points {
        host: "web-1".into(),
        metric: "system.cpu.utilization".into(),
        unit: "1".into(),
        attributes: vec![("cpu.mode".into(), "user".into())],
        start: UnixMs(START_MS),
        step_ms: 1000,
        values: vec![0.5, f64::NAN],
    };
    message(8, "reply_points", &Reply::Points(points))?;
    let processes = Reply::Processes {
        time: UnixMs(START_MS),
        all: true,
        processes: vec![process()],
    };
    message(8, "reply_processes", &processes)
}

fn facts() -> HostFacts {
    HostFacts {
        os: "Debian GNU/Linux 12".into(),
        cpus: 8,
        memory_bytes: 16 << 30,
        tags: vec!["web".into()],
        ..HostFacts::unknown()
    }
}

fn identity() -> ProcessIdentity {
    ProcessIdentity {
        pid: 812,
        start: UnixMs(START_MS - 5000),
        user: "postgres".into(),
        command: "postgres: writer".into(),
        cgroup: "system.slice".into(),
    }
}

fn process() -> Process {
    Process {
        identity: identity(),
        parent: 1,
        state: b'S',
        threads: 3,
        cpu_permille: 40,
        memory_bytes: 80 << 20,
        read_bytes_per_s: 0,
        write_bytes_per_s: 4096,
        arguments: sysmon_wire::Label::default(),
    }
}

fn table() -> SeriesTable {
    let series = |device: &str| UPTIME.series(&[("system.device", device)]);
    SeriesTable::new(&[
        series("sda"),
        series("sdb"),
        series("eth0"),
        UPTIME.series(&[]),
    ])
}

/// A counter, a gauge, a constant, and a series that is sometimes absent.
fn values(seq: i64) -> [i64; SERIES as usize] {
    let comes_and_goes = if seq % 5 == 0 { ABSENT } else { seq % 3 };
    [seq * seq * 100, 500 + seq * 37 % 11, 7, comes_and_goes]
}

fn rows(first: u64, count: u64) -> Vec<u8> {
    let (mut encoder, mut out) = (RowEncoder::new(), Vec::new());
    for seq in first..first + count {
        let time = UnixMs(START_MS + seq as i64 * 1000);
        encoder.encode(seq, time, &values(seq as i64), &mut out);
    }
    out
}

/// A chunk without its checksum, as expected by `targets/chunk.rs`.
fn chunk() -> Result<Vec<u8>, Box<dyn Error>> {
    let seqs = 1..=100i64;
    let times: Vec<i64> = seqs.clone().map(|seq| START_MS + seq * 1000).collect();
    let columns: Vec<Vec<i64>> = (0..usize::from(SERIES))
        .map(|series| seqs.clone().map(|seq| values(seq)[series]).collect())
        .collect();
    let mut bytes = Chunk::seal(&times, columns.iter().map(Vec::as_slice))?.encode();
    bytes.truncate(bytes.len() - 4);
    Ok(bytes)
}

fn frames() -> Vec<Push> {
    let begin = Push::Begin {
        run: RunId(9),
        lane: Lane::Backfill,
    };
    vec![
        begin,
        Push::Series(table()),
        Push::Keyframe(Blob(rows(1, 3))),
        Push::Rows(Blob(rows(4, 2))),
        Push::Processes(vec![identity()]),
    ]
}

/// Records in the format of the agent's spool.
fn spool_file() -> Result<Vec<u8>, Box<dyn Error>> {
    let mut out = Vec::new();
    for frame in frames() {
        let payload = encoded(&frame)?;
        out.extend((payload.len() as u32).to_le_bytes());
        out.extend(crc32fast::hash(&payload).to_le_bytes());
        out.extend(payload);
    }
    Ok(out)
}
