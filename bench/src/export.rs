//! The cost of exports: a client's processor time by value, beside a server that takes them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sysmon_clock::Clock;
use sysmon_export::destination::{DestinationOptions, EngineKind, Secret};
use sysmon_export::engines::{HubIdentity, engine};
use sysmon_export::receiver::{Answer, Receiver};
use sysmon_export::{Batch, Committed, Cursor, Engine, HostRows, Span, Step};
use sysmon_wire::metrics::unscale;
use sysmon_wire::{ABSENT, HostFacts, Label, SeriesKey, UnixMs};

use crate::recording::Recording;
use crate::tape::{Position, Tape};

/// Options of [`export`].
#[derive(Clone, Debug, clap::Args)]
pub struct ExportBenchOptions {
    /// Engine: remote-write, postgres, redis, …
    #[arg(long)]
    pub kind: String,
    /// Its address; without it, a receiver of OTLP inside this process
    #[arg(long)]
    pub url: Option<String>,
    /// Compression of OTLP: zstd, gzip or none
    #[arg(long, value_name = "NAME")]
    pub compression: Option<String>,
    /// Name of the server's processes, to measure their processor time too
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// Number of hosts
    #[arg(long, default_value_t = 100)]
    pub hosts: usize,
    /// Seconds of live rows
    #[arg(long, default_value_t = 60)]
    pub live: usize,
    /// Minutes of the past; 0 for none
    #[arg(long, default_value_t = 60)]
    pub minutes: usize,
    /// Seconds of the past in one batch of one host
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub slice: u32,
}

struct Recorded {
    host: Label,
    keys: Vec<Arc<SeriesKey>>,
    position: Position,
    values: Vec<i64>,
}

/// What one part of the measurement cost.
#[derive(Default)]
struct Cost {
    samples: u64,
    bytes: u64,
    client_us: u64,
    server_us: u64,
    elapsed: Duration,
}

impl Cost {
    fn line(&self, what: &str) -> String {
        let per = |us: u64| us as f64 * 1000.0 / self.samples.max(1) as f64;
        let seconds = self.elapsed.as_secs_f64().max(1e-9);
        format!(
            "{what:<10}{:>12} samples  client {:>7.1} µs, server {:>7.1} µs by 1,000  {:>6.2} B/sample  {:>6.2} million samples/s\n",
            self.samples,
            per(self.client_us),
            per(self.server_us),
            self.bytes as f64 / self.samples.max(1) as f64,
            self.samples as f64 / seconds / 1e6,
        )
    }
}

/// Sends recorded rows to an engine: live ones of all hosts, and then the past of each.
///
/// # Errors
/// The recording is missing, or the engine takes nothing.
pub fn export(options: &ExportBenchOptions) -> anyhow::Result<String> {
    let clock = &Clock::system();
    let tape = Arc::new(Tape::new(&Recording::load()?, None)?);
    let kinds = EngineKind::ALL.into_iter();
    let kind = kinds.into_iter().find(|kind| kind.as_str() == options.kind);
    let kind =
        kind.with_context(|| format!("there is no engine of the kind {:?}", options.kind))?;
    let own = match (&options.url, kind) {
        (None, EngineKind::OtlpGrpc | EngineKind::OtlpHttp) => {
            let loopback = (std::net::Ipv4Addr::LOCALHOST, 0).into();
            Some(Receiver::start(loopback, None, |_| Answer::Taken)?)
        }
        (None, _) => bail!("give --url"),
        (Some(_), _) => None,
    };
    let url = match &own {
        Some(receiver) => format!("http://{}", receiver.address()),
        None => options.url.clone().unwrap_or_default(),
    };
    let mut destination = DestinationOptions::new("bench", kind, Secret::new(url));
    if let Some(compression) = &options.compression {
        let option = ("compression".to_owned(), compression.clone());
        destination.options.extend([option]);
    }
    let server = ServerTime {
        receiver: own,
        name: options.server.clone(),
    };
    let hub = HubIdentity {
        identity: format!("bench {}", clock.now().0),
        name: "bench".to_owned(),
    };
    let mut engine = engine(&destination, &hub)?;
    let run = clock.now().0;
    // All hosts share the keys of their series, as they do in a hub.
    let keys: Vec<_> = tape.keys().iter().cloned().map(Arc::new).collect();
    let mut hosts: Vec<Recorded> = (0..options.hosts)
        .map(|number| Recorded {
            host: Label::new(&format!("bench-{run}-{number}")),
            keys: keys.clone(),
            position: tape.start(number as u64),
            values: vec![ABSENT; tape.keys().len()],
        })
        .collect();
    let mut text = String::new();
    let interval = engine.interval().as_secs().max(1) as usize;
    let begin = run - (options.minutes as i64 * 60 + options.live as i64) * 1000;
    if options.minutes > 0 {
        let past = past(options, &tape, &mut hosts, begin);
        // Gathering the rows is not what is measured.
        let mut cost = Cost::default();
        for rows in past {
            send(&mut *engine, &[rows], &server, clock, &mut cost)?;
        }
        text += &cost.line("past");
    }
    let mut cost = Cost::default();
    let mut time = begin + options.minutes as i64 * 60_000;
    for _ in 0..options.live.div_ceil(interval) {
        let all: Vec<HostRows> = hosts
            .iter_mut()
            .map(|host| rows(host, &tape, time, interval, false))
            .collect();
        time += interval as i64 * 1000;
        for part in parts(all, engine.batch_cells()) {
            send(&mut *engine, &part, &server, clock, &mut cost)?;
        }
    }
    text += &cost.line("live");
    Ok(text)
}

/// A slice of one host after the other.
fn past<'a>(
    options: &ExportBenchOptions,
    tape: &'a Tape,
    hosts: &'a mut [Recorded],
    begin: i64,
) -> impl Iterator<Item = HostRows> + use<'a> {
    let seconds = options.slice as usize;
    let slices = (options.minutes * 60).div_ceil(seconds);
    (0..hosts.len() * slices).filter_map(move |turn| {
        let host = hosts.get_mut(turn / slices)?;
        let from = begin + (turn % slices * seconds) as i64 * 1_000;
        Some(rows(host, tape, from, seconds, true))
    })
}

fn rows(host: &mut Recorded, tape: &Tape, from: i64, seconds: usize, is_late: bool) -> HostRows {
    let keys = host.keys.clone();
    let mut columns = vec![Vec::with_capacity(seconds); keys.len()];
    let mut times = Vec::with_capacity(seconds);
    for second in 0..seconds {
        tape.play(&mut host.position, &mut host.values);
        times.push(from.div_euclid(1000) * 1000 + second as i64 * 1000);
        for ((column, value), key) in columns.iter_mut().zip(&host.values).zip(&keys) {
            column.push(match *value {
                ABSENT => f64::NAN,
                value => unscale(value, key.metric.scale),
            });
        }
    }
    HostRows {
        host: host.host.clone(),
        facts: Arc::new(HostFacts::unknown()),
        keys,
        span: Span {
            from: UnixMs(times.first().copied().unwrap_or_default()),
            to: UnixMs(times.last().copied().unwrap_or_default()),
        },
        times,
        columns,
        step: Step::Rows,
        is_late,
    }
}

fn parts(all: Vec<HostRows>, cells: usize) -> Vec<Vec<HostRows>> {
    let mut parts: Vec<Vec<HostRows>> = vec![Vec::new()];
    for rows in all {
        let last = parts
            .last()
            .map_or(0, |part| part.iter().map(HostRows::cells).sum());
        if last >= cells {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(rows);
        }
    }
    parts
}

fn send(
    engine: &mut dyn Engine,
    hosts: &[HostRows],
    server: &ServerTime,
    clock: &Clock,
    cost: &mut Cost,
) -> anyhow::Result<()> {
    let newest = hosts
        .iter()
        .map(|rows| (rows.host.clone(), rows.span.to))
        .collect();
    let committed = Committed {
        newest,
        ..Committed::default()
    };
    let cursor = Cursor::new(&committed, 0, 0, UnixMs(0));
    let batch = Batch {
        hosts,
        minutes: &[],
        events: &[],
        gone: &[],
        cursor: &cursor,
    };
    let (client, before, start) = (thread_us(), server.us(), clock.instant());
    let sent = engine.send(&batch)?;
    cost.elapsed += clock.instant() - start;
    cost.client_us += thread_us() - client;
    cost.server_us += server.us() - before;
    cost.samples += sent.samples;
    cost.bytes += sent.bytes;
    match sent.refused.first() {
        Some((reason, values)) => bail!("{values} values refused: {reason}"),
        None => Ok(()),
    }
}

/// Processor time of this thread.
fn thread_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    (time.tv_sec * 1_000_000 + time.tv_nsec / 1_000).unsigned_abs()
}

/// Where the processor time of the server is read.
struct ServerTime {
    receiver: Option<Receiver>,
    name: Option<String>,
}

impl ServerTime {
    /// Microseconds; of other processes in ticks of 10 ms.
    fn us(&self) -> u64 {
        match (&self.receiver, &self.name) {
            (Some(receiver), _) => receiver.cpu_us(),
            (None, Some(name)) => processes_us(name),
            (None, None) => 0,
        }
    }
}

fn processes_us(name: &str) -> u64 {
    let of_process = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        // The kernel cuts names to 15 bytes.
        let short: String = name.chars().take(15).collect();
        head.ends_with(&format!("({short}")).then_some(())?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some((ticks(11)? + ticks(12)?) * 10_000)
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(of_process).sum()
}
