//! Remote write against a server that decodes each request and answers by what is in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use prost::Message as _;
use sysmon_wire::metrics::{CONTEXT_SWITCHES, LOAD_1M, NET_IO};
use sysmon_wire::{HostFacts, Label, SeriesKey};

use super::*;
use crate::destination::{EngineKind, Secret};
use crate::engines::presence::STALE;
use crate::{Cursor, HostRows, Span, Step};

/// The messages of <https://github.com/prometheus/prometheus/blob/main/prompb/remote.proto>, as far as they are sent.
#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<PromLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PromLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

/// A server that answers each request by what is in it.
struct Server {
    url: String,
    requests: Receiver<WriteRequest>,
}

type Answers = Box<dyn FnMut(&WriteRequest) -> &'static str + Send>;

const OK: &str = "204 No Content\r\n\r\n";

impl Server {
    fn start(mut answer: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/write", listener.local_addr().unwrap());
        let (sender, requests) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                while let Some(request) = read(&mut stream) {
                    let (status, body) = answer(&request).split_once("\r\n\r\n").unwrap();
                    let length = body.len();
                    let text =
                        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
                    if sender.send(request).is_err()
                        || stream.get_mut().write_all(text.as_bytes()).is_err()
                    {
                        break;
                    }
                }
            }
        });
        Self { url, requests }
    }

    fn engine(&self, change: impl FnOnce(&mut DestinationOptions)) -> RemoteWrite {
        let mut options = options(&self.url);
        change(&mut options);
        RemoteWrite::new(&options).unwrap()
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<WriteRequest> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let message = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    Some(WriteRequest::decode(message.as_slice()).unwrap())
}

fn options(url: &str) -> DestinationOptions {
    DestinationOptions::new("vm", EngineKind::RemoteWrite, Secret::new(url))
}

fn rows(host: &str, keys: &[Arc<SeriesKey>], times: &[i64], columns: &[&[f64]]) -> HostRows {
    HostRows {
        host: host.into(),
        facts: Arc::new(HostFacts {
            tags: vec!["env:prod".into(), "rack".into()],
            ..HostFacts::unknown()
        }),
        keys: keys.to_vec(),
        times: times.to_vec(),
        columns: columns.iter().map(|column| column.to_vec()).collect(),
        span: Span::from((0, 1)),
        step: Step::Rows,
        is_late: false,
    }
}

fn send(engine: &mut RemoteWrite, hosts: &[HostRows], gone: &[Label]) -> Result<Sent, EngineError> {
    let cursor = Cursor::default();
    engine.send(&Batch {
        hosts,
        minutes: &[],
        events: &[],
        gone,
        cursor: &cursor,
    })
}

fn keys() -> [Arc<SeriesKey>; 2] {
    let device = NET_IO.series(&[
        ("network.io.direction", "receive"),
        ("network.interface.name", "eth0"),
    ]);
    [Arc::new(LOAD_1M.series(&[])), Arc::new(device)]
}

const T: i64 = 1_700_000_000_000;

#[test]
fn series_have_sorted_labels_and_names_metadata() {
    let server = Server::start(Box::new(|_| OK));
    let mut engine = server.engine(|options| {
        options.labels = [("zone".to_owned(), "a".to_owned())].into();
        options.tags = vec!["env".to_owned()];
    });
    let sent = send(
        &mut engine,
        &[rows(
            "db-1",
            &keys(),
            &[T, T + 1_000],
            &[&[0.5, 0.25], &[7.0, f64::NAN]],
        )],
        &[],
    );
    assert_eq!(sent.unwrap().samples, 4, "a marker is a sample");
    let request = server.requests.recv().unwrap();
    let labels: Vec<String> = request.timeseries[1]
        .labels
        .iter()
        .map(|l| format!("{}={}", l.name, l.value))
        .collect();
    assert_eq!(
        labels,
        [
            "__name__=system_network_io_bytes_total",
            "env=prod",
            "host=db-1",
            "job=sysmon",
            "network_interface_name=eth0",
            "network_io_direction=receive",
            "zone=a",
        ]
    );
    let samples: Vec<_> = request.timeseries[0]
        .samples
        .iter()
        .map(|s| (s.timestamp, s.value))
        .collect();
    assert_eq!(samples, [(T, 0.5), (T + 1_000, 0.25)]);
    let last = request.timeseries[1].samples[1];
    assert_eq!(
        (last.timestamp, last.value.to_bits()),
        (T + 1_000, STALE.to_bits())
    );
    let metadata = server.requests.recv().unwrap().metadata;
    let load = metadata
        .iter()
        .find(|metadata| metadata.name == "sysmon_host_load1")
        .unwrap();
    assert_eq!((load.kind, load.help.as_str()), (2, LOAD_1M.about));
    send(
        &mut engine,
        &[rows("db-1", &keys(), &[T + 2_000], &[&[0.5], &[1.0]])],
        &[],
    )
    .unwrap();
    assert_eq!(server.requests.recv().unwrap().timeseries.len(), 2);
    assert!(server.requests.try_recv().is_err(), "metadata is sent once");
}

#[test]
fn the_end_of_a_series_and_of_a_host_is_marked_once() {
    let server = Server::start(Box::new(|_| OK));
    let mut engine = server.engine(|_| {});
    let [load, device] = keys();
    send(
        &mut engine,
        &[rows("a", &[load.clone(), device], &[T], &[&[1.0], &[2.0]])],
        &[],
    )
    .unwrap();
    send(
        &mut engine,
        &[rows(
            "a",
            std::slice::from_ref(&load),
            &[T + 1_000],
            &[&[1.0]],
        )],
        &[],
    )
    .unwrap();
    send(
        &mut engine,
        &[rows("a", &[load], &[T + 2_000], &[&[1.0]])],
        &["a".into()],
    )
    .unwrap();
    send(&mut engine, &[], &["a".into()]).unwrap();
    let requests: Vec<_> = server
        .requests
        .try_iter()
        .filter(|request| !request.timeseries.is_empty())
        .collect();
    let markers = |request: &WriteRequest| {
        let samples = request.timeseries.iter().flat_map(|series| &series.samples);
        let stale = samples.filter(|sample| sample.value.to_bits() == STALE.to_bits());
        stale.map(|sample| sample.timestamp).collect::<Vec<_>>()
    };
    let markers: Vec<_> = requests.iter().map(markers).collect();
    assert_eq!(markers, [vec![], vec![T + 1], vec![T + 2_001]]);
}

#[test]
fn one_refused_value_takes_no_other_with_it() {
    let is_bad = |request: &WriteRequest| {
        let mut samples = request.timeseries.iter().flat_map(|series| &series.samples);
        samples.any(|sample| sample.value == 13.0)
    };
    let refuse = move |request: &WriteRequest| {
        if is_bad(request) {
            "400 Bad Request\r\n\r\nout of bounds"
        } else {
            OK
        }
    };
    let server = Server::start(Box::new(refuse));
    let mut engine = server.engine(|_| {});
    let keys: Vec<_> = (0..100)
        .map(|number| Arc::new(CONTEXT_SWITCHES.series(&[("n", &number.to_string())])))
        .collect();
    let columns: Vec<Vec<f64>> = (0..100)
        .map(|n| vec![1.0, if n == 57 { 13.0 } else { 2.0 }, 3.0])
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let sent = send(
        &mut engine,
        &[rows("a", &keys, &[T, T + 1, T + 2], &columns)],
        &[],
    )
    .unwrap();
    assert_eq!(
        (sent.samples, sent.refused),
        (299, vec![("out of bounds".to_owned(), 1)])
    );
    let accepted: Vec<_> = server
        .requests
        .try_iter()
        .filter(|request| !is_bad(request))
        .collect();
    let samples = accepted
        .iter()
        .flat_map(|request| &request.timeseries)
        .map(|series| series.samples.len());
    assert_eq!(
        samples.sum::<usize>(),
        299,
        "each of the others is there once"
    );
}

#[test]
fn a_server_that_refuses_everything_is_not_asked_for_each_value() {
    let server = Server::start(Box::new(|request| {
        if request.timeseries.is_empty() {
            OK
        } else {
            "400 Bad Request\r\n\r\nno\u{1b}[2J"
        }
    }));
    let mut engine = server.engine(|_| {});
    let keys: Vec<_> = (0..2_000)
        .map(|number| Arc::new(LOAD_1M.series(&[("n", &number.to_string())])))
        .collect();
    let columns = vec![&[1.0][..]; 2_000];
    let sent = send(&mut engine, &[rows("a", &keys, &[T], &columns)], &[]).unwrap();
    assert_eq!(sent.samples, 0);
    assert_eq!(
        sent.refused.iter().map(|(_, samples)| samples).sum::<u64>(),
        2_000
    );
    assert!(
        sent.refused
            .iter()
            .all(|(reason, _)| reason == "no\u{fffd}[2J"),
        "{:?}",
        sent.refused[0]
    );
    assert!(server.requests.try_iter().count() < 2 * HALVES_MAX + 10);
}

#[test]
fn a_failing_server_is_waited_for_and_only_what_it_never_takes_is_given_up() {
    let is_old = |request: &WriteRequest| {
        request
            .timeseries
            .iter()
            .flat_map(|series| &series.samples)
            .any(|sample| sample.timestamp == T)
    };
    let answer = move |request: &WriteRequest| {
        if is_old(request) {
            "500 Internal Server Error\r\n\r\ntoo old"
        } else {
            OK
        }
    };
    let server = Server::start(Box::new(answer));
    let mut engine = server.engine(|_| {});
    let batch = [rows("a", &keys(), &[T, T + 1], &[&[1.0, 2.0], &[3.0, 4.0]])];
    for _ in 0..FAILURES_MAX {
        let error = send(&mut engine, &batch, &[]).unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
    }
    let sent = send(&mut engine, &batch, &[]).unwrap();
    assert_eq!(
        (
            sent.samples,
            sent.refused.iter().map(|(_, samples)| samples).sum::<u64>()
        ),
        (2, 2)
    );
    let always = Server::start(Box::new(
        |_| "503 Service Unavailable\r\nRetry-After: 7\r\n\r\n",
    ));
    let mut engine = always.engine(|_| {});
    for _ in 0..FAILURES_MAX * 2 {
        let error = send(&mut engine, &batch, &[]).unwrap_err();
        let EngineError::Unavailable { retry_after, .. } = error else {
            panic!("{error}")
        };
        assert!(retry_after.is_none_or(|wait| wait == Duration::from_secs(7)));
    }
}

#[test]
fn wrong_credentials_lose_nothing_and_show_nothing() {
    let server = Server::start(Box::new(|_| "401 Unauthorized\r\n\r\nno such token"));
    let mut engine = server.engine(|options| options.token = Some(Secret::new("geheim")));
    let error = send(
        &mut engine,
        &[rows("a", &keys(), &[T], &[&[1.0], &[2.0]])],
        &[],
    )
    .unwrap_err();
    assert!(matches!(error, EngineError::Misconfigured(_)));
    assert!(
        error.to_string().contains("answered 401: no such token")
            && !error.to_string().contains("geheim")
    );
    let nobody = RemoteWrite::new(&options("http://127.0.0.1:9/secret-path"))
        .unwrap()
        .test()
        .unwrap_err();
    assert!(!nobody.to_string().contains("secret-path"), "{nobody}");
}
