//! OTLP against a receiver that decodes with the published messages and answers as it is told.

mod connections;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::mpsc::{Receiver as Calls, channel};

use prost::Message as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, crypto};
use sysmon_wire::metrics::{CONTEXT_SWITCHES, CPU_UTILIZATION, LOAD_1M, NET_IO};
use sysmon_wire::{HostFacts, Kind, Label, MetricDef, SeriesKey, UnixMs};

use super::reply::{Any, RetryDelay, RetryInfo, RpcStatus};
use super::*;
use crate::destination::Secret;
use crate::engines::servers::Certificates;
use crate::receiver::{Answer, Call, Point, Receiver, points, texts};
use crate::{Cursor, HostRows, Span, Step};

const KINDS: [EngineKind; 2] = [EngineKind::OtlpGrpc, EngineKind::OtlpHttp];

const T: i64 = 1_700_000_000_000;

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A receiver that takes empty requests, and what else it receives.
fn receiver(mut answer: impl FnMut(&Call) -> Answer + Send + 'static) -> (Receiver, Calls<Call>) {
    let (sender, calls) = channel();
    let started = Receiver::start(loopback(0), None, move |call| {
        if call.message.resource_metrics.is_empty() {
            return Answer::Taken;
        }
        let answer = answer(&call);
        let _ = sender.send(call);
        answer
    });
    (started.unwrap(), calls)
}

fn options(kind: EngineKind, receiver: &Receiver) -> DestinationOptions {
    let url = Secret::new(format!("http://{}", receiver.address()));
    DestinationOptions::new("otel", kind, url)
}

fn rows(host: &str, keys: &[Arc<SeriesKey>], times: &[i64], columns: &[Vec<f64>]) -> HostRows {
    HostRows {
        host: host.into(),
        facts: Arc::new(HostFacts {
            id: "4c4c454400384d10805ab8c04f4b4e32".into(),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0-28-amd64".into(),
            arch: "x86_64".into(),
            boot: UnixMs(T - 5_000),
            tags: vec!["rack:7".into(), "db".into()],
            ..HostFacts::unknown()
        }),
        keys: keys.to_vec(),
        times: times.to_vec(),
        columns: columns.to_vec(),
        span: Span::from((0, 1)),
        step: Step::Rows,
        is_late: false,
    }
}

fn send(engine: &mut Otlp, hosts: &[HostRows]) -> Result<Sent, EngineError> {
    let cursor = Cursor::default();
    engine.send(&Batch {
        hosts,
        minutes: &[],
        events: &[],
        gone: &[],
        cursor: &cursor,
    })
}

/// Each moment at which a series has no value any more, with the series' number.
fn ends(call: &Call) -> Vec<(String, i64)> {
    let found = points(&call.message).into_iter();
    let ended = found.filter(|point| point.has_ended);
    let of = |point: Point| {
        let (_, number) = point.attributes[0].clone();
        (number, (point.time / 1_000_000) as i64)
    };
    ended.map(of).collect()
}

#[test]
fn the_end_of_a_series_and_of_a_host_is_told_once_and_rows_of_the_past_end_nothing() {
    for kind in KINDS {
        let (receiver, calls) = receiver(|_| Answer::Taken);
        let mut engine = Otlp::new(&options(kind, &receiver)).unwrap();
        let keys = many(3);
        let mut told = |hosts: &[HostRows], gone: &[Label]| {
            let cursor = Cursor::default();
            let batch = Batch {
                hosts,
                minutes: &[],
                events: &[],
                gone,
                cursor: &cursor,
            };
            engine.send(&batch).unwrap();
            ends(&calls.recv().unwrap())
        };
        let one = |time: i64, values: &[f64]| {
            let columns: Vec<_> = values.iter().map(|value| vec![*value]).collect();
            rows("a", &keys[..values.len()], &[time], &columns)
        };
        let nothing: Vec<(String, i64)> = Vec::new();
        assert_eq!(told(&[one(T, &[1.0, 2.0, 3.0])], &[]), nothing);
        let absent = told(&[one(T + 1_000, &[f64::NAN, 2.0, 3.0])], &[]);
        assert_eq!(absent, [("0".to_owned(), T + 1_000)]);
        // It is listed no more, and the first has none still.
        let dropped = told(&[one(T + 2_000, &[f64::NAN, 2.0])], &[]);
        assert_eq!(dropped, [("2".to_owned(), T + 1_001)]);
        let mut late = one(T - 9_000, &[f64::NAN, f64::NAN]);
        late.columns = vec![vec![1.0, f64::NAN], vec![f64::NAN, 1.0]];
        late.times = vec![T - 9_000, T - 8_000];
        late.is_late = true;
        assert_eq!(told(&[late], &[]), nothing);
        let gone = told(&[], &["a".into()]);
        assert_eq!(gone, [("1".to_owned(), T + 2_001)]);
        // Nothing of it is left to be ended.
        assert_eq!(told(&[one(T + 9_000, &[1.0])], &["a".into()]).len(), 1);
    }
}

/// Numbered series of one metric.
fn many(count: usize) -> Vec<Arc<SeriesKey>> {
    let key = |number: usize| Arc::new(LOAD_1M.series(&[("n", &number.to_string())]));
    (0..count).map(key).collect()
}

fn custom(name: &str, unit: &str) -> Arc<SeriesKey> {
    Arc::new(SeriesKey {
        metric: MetricDef {
            name: name.into(),
            unit: unit.into(),
            kind: Kind::Counter,
            scale: 0,
        },
        attributes: Vec::new(),
    })
}

fn retryable(error: EngineError) -> Option<Duration> {
    match error {
        EngineError::Unavailable { retry_after, .. } => retry_after,
        EngineError::Misconfigured(reason) => panic!("{reason}"),
    }
}

#[test]
fn every_value_arrives_with_name_unit_kind_and_attributes_bit_for_bit() {
    let device = NET_IO.series(&[
        ("network.interface.name", "eth0"),
        ("network.io.direction", "receive"),
    ]);
    let keys = [
        Arc::new(NET_IO.series(&[("network.io.direction", "receive")])),
        Arc::new(LOAD_1M.series(&[])),
        Arc::new(device),
        Arc::new(CPU_UTILIZATION.series(&[])),
        custom("jobs.done", "{job}"),
    ];
    let columns = [
        vec![9_007_199_254_740_993_f64, f64::NAN],
        vec![0.1 + 0.2, -0.0],
        vec![1.5, 2.5],
        vec![0.613, 5e-324],
        vec![3.0, f64::INFINITY],
    ];
    let receive = ("network.io.direction".to_owned(), "receive".to_owned());
    let eth0 = ("network.interface.name".to_owned(), "eth0".to_owned());
    let names = [
        ("sysmon.host.net.rx", "By", true, vec![]),
        ("system.cpu.load_average.1m", "1", false, vec![]),
        ("system.network.io", "By", true, vec![eth0, receive]),
        ("sysmon.host.cpu", "1", false, vec![]),
        ("jobs.done", "{job}", true, vec![]),
    ];
    for kind in KINDS {
        for compression in ["zstd", "gzip", "none"] {
            let (receiver, calls) = receiver(|_| Answer::Taken);
            let mut options = options(kind, &receiver);
            let chosen = ("compression".to_owned(), compression.to_owned());
            options.options.extend([chosen]);
            let mut engine = Otlp::new(&options).unwrap();
            let sent = send(
                &mut engine,
                &[rows("db-1", &keys, &[T, T + 1_000], &columns)],
            );
            assert_eq!(sent.unwrap().samples, 10, "nine values, and the end of one");
            let message = calls.recv().unwrap().message;
            let found = points(&message);
            let of = |name: &str, attributes: &[_], time: i64| {
                let is = |point: &&Point| {
                    point.metric == name
                        && point.attributes == attributes
                        && point.time == time as u64 * 1_000_000
                };
                found.iter().find(is).cloned()
            };
            for ((name, unit, is_counter, attributes), column) in names.iter().zip(&columns) {
                for (time, value) in [T, T + 1_000].iter().zip(column) {
                    let point = of(name, attributes, *time);
                    let point = point.unwrap_or_else(|| panic!("{name} at {time}"));
                    assert_eq!(point.has_ended, value.is_nan(), "{name} at {time}");
                    if point.has_ended {
                        assert_eq!(point.begin, 0);
                        continue;
                    }
                    assert_eq!(point.value.unwrap().to_bits(), value.to_bits(), "{name}");
                    assert_eq!(
                        (point.unit.as_str(), point.is_counter),
                        (*unit, *is_counter)
                    );
                    let begin = match *is_counter && *name != "jobs.done" {
                        true => (T - 5_000) as u64 * 1_000_000,
                        false => 0,
                    };
                    assert_eq!(point.begin, begin, "{name}");
                    assert_eq!(point.host, "db-1");
                }
            }
            assert_eq!(found.len(), 10);
            let [of_host] = message.resource_metrics.try_into().unwrap();
            let [scope] = of_host.scope_metrics.try_into().unwrap();
            assert_eq!(scope.scope.unwrap().name, "sysmon");
            let mut metrics = scope.metrics.iter();
            let load = metrics.find(|metric| metric.name.ends_with("1m"));
            assert_eq!(load.unwrap().description, LOAD_1M.about);
        }
    }
}

#[test]
fn a_host_is_a_resource_with_what_is_known_of_it() {
    let (receiver, calls) = receiver(|_| Answer::Taken);
    let mut options = options(EngineKind::OtlpGrpc, &receiver);
    options.tags = vec!["rack".to_owned(), "zone".to_owned()];
    options.labels = [
        ("service.name", "fleet"),
        ("host.name", "x"),
        ("env", "prod"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    options.token = Some(Secret::new("geheim"));
    options.headers = [("X-Scope-OrgID".to_owned(), Secret::new("team-a"))].into();
    let mut engine = Otlp::new(&options).unwrap();
    let all = ["a", "b"].map(|host| rows(host, &many(1), &[T], &[vec![1.0]]));
    send(&mut engine, &all).unwrap();
    let call = calls.recv().unwrap();
    assert_eq!(call.headers["authorization"], "Bearer geheim");
    assert_eq!(call.headers["x-scope-orgid"], "team-a");
    let resources = call.message.resource_metrics.iter();
    let resources: Vec<Vec<_>> = resources
        .map(|of_host| texts(&of_host.resource.as_ref().unwrap().attributes).collect())
        .collect();
    let shown: Vec<_> = resources[1]
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(
        shown,
        [
            "env=prod",
            "host.arch=amd64",
            "host.id=4c4c454400384d10805ab8c04f4b4e32",
            "host.name=b",
            "os.description=Debian GNU/Linux 12 (bookworm)",
            "os.type=linux",
            "os.version=6.1.0-28-amd64",
            "rack=7",
            "service.instance.id=b",
            "service.name=fleet",
        ]
    );
    assert_eq!(resources.len(), 2);
}

#[test]
fn rows_of_before_the_last_boot_have_no_start_and_a_corrected_clock_is_no_boot() {
    let (receiver, calls) = receiver(|_| Answer::Taken);
    let mut engine = Otlp::new(&options(EngineKind::OtlpGrpc, &receiver)).unwrap();
    let keys = [Arc::new(CONTEXT_SWITCHES.series(&[]))];
    let mut begin = |boot: i64, time: i64| {
        let mut rows = rows("a", &keys, &[time], &[vec![1.0]]);
        Arc::make_mut(&mut rows.facts).boot = UnixMs(boot);
        send(&mut engine, &[rows]).unwrap();
        points(&calls.recv().unwrap().message)[0].begin as i64 / 1_000_000
    };
    assert_eq!(begin(T, T + 1), T);
    assert_eq!(begin(T + 1_000, T + 2_000), T);
    assert_eq!(begin(T + 60_000, T + 70_000), T + 60_000);
    assert_eq!(begin(T + 60_000, T + 2_000), 0);
    assert_eq!(begin(0, T + 2_000), 0);
}

#[test]
fn a_long_batch_goes_out_in_requests_that_receivers_take() {
    for kind in KINDS {
        let (receiver, calls) = receiver(|_| Answer::Taken);
        let mut engine = Otlp::new(&options(kind, &receiver)).unwrap();
        let keys = many(1_500);
        let times: Vec<i64> = (0..120).map(|n| T + n * 1_000).collect();
        let column: Vec<f64> = (0..120).map(f64::from).collect();
        let all = rows("a", &keys, &times, &vec![column; 1_500]);
        assert_eq!(send(&mut engine, &[all]).unwrap().samples, 180_000);
        drop(engine);
        let calls: Vec<Call> = calls.try_iter().collect();
        assert!(calls.len() > 1);
        for call in &calls {
            assert!(call.bytes[1] < 4 << 20 && call.bytes[0] < call.bytes[1]);
        }
        let found: Vec<_> = calls
            .iter()
            .flat_map(|call| points(&call.message))
            .collect();
        let wrong = found.iter().find(|point| {
            let second = (point.time / 1_000_000 - T as u64) / 1_000;
            point.value != Some(second as f64)
        });
        assert_eq!(wrong, None);
        let once = found.iter().map(|point| (&point.attributes, point.time));
        assert_eq!(once.collect::<BTreeSet<_>>().len(), 180_000);
        assert_eq!(found.len(), 180_000);
    }
}

#[test]
fn a_receiver_that_takes_less_gets_smaller_requests() {
    for kind in KINDS {
        let (receiver, calls) = receiver(move |call| match (call.bytes[1] > 200_000, kind) {
            (true, EngineKind::OtlpGrpc) => {
                Answer::Grpc(8, "message larger than max".to_owned(), Vec::new())
            }
            (true, _) => Answer::Http(413, None, Vec::new()),
            _ => Answer::Taken,
        });
        let mut engine = Otlp::new(&options(kind, &receiver)).unwrap();
        let all = rows("a", &many(20_000), &[T], &vec![vec![1.0]; 20_000]);
        let sent = send(&mut engine, std::slice::from_ref(&all)).unwrap();
        assert_eq!((sent.samples, sent.refused.len()), (20_000, 0));
        calls.try_iter().for_each(drop);
        send(&mut engine, &[all]).unwrap();
        assert!(
            calls.try_iter().all(|call| call.bytes[1] <= 200_000),
            "it is known by now"
        );
    }
}

#[test]
fn what_a_receiver_rejects_is_counted_with_its_reason_and_not_sent_again() {
    let all = rows("a", &many(10), &[T, T + 1_000], &vec![vec![1.0, 2.0]; 10]);
    for kind in KINDS {
        for (rejected, reason, refused) in [
            (3, "too\u{1b}old", vec![("too\u{fffd}old".to_owned(), 3)]),
            (1_000, "", vec![("no reason given".to_owned(), 20)]),
            (-5, "nonsense", vec![]),
            (0, "deprecated", vec![]),
        ] {
            let (receiver, calls) = receiver(move |_| Answer::Partial(rejected, reason.to_owned()));
            let mut engine = Otlp::new(&options(kind, &receiver)).unwrap();
            let sent = send(&mut engine, std::slice::from_ref(&all)).unwrap();
            let lost: u64 = refused.iter().map(|(_, samples)| samples).sum();
            assert_eq!((sent.samples, sent.refused), (20 - lost, refused));
            assert_eq!(calls.try_iter().count(), 1);
        }
    }
}

#[test]
fn what_is_refused_as_a_whole_is_counted_and_what_may_succeed_later_is_not() {
    let status = |details| RpcStatus {
        code: 8,
        message: "no room".to_owned(),
        details,
    };
    let info = RetryInfo {
        retry_delay: Some(RetryDelay {
            seconds: 7,
            nanos: 500_000_000,
        }),
    };
    let wait = status(vec![Any {
        type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
        value: info.encode_to_vec(),
    }]);
    let grpc = |code, details: &RpcStatus| {
        Answer::Grpc(code, "no%20room".to_owned(), details.encode_to_vec())
    };
    let none = status(Vec::new());
    let later = Some(Duration::from_millis(7_500));
    let (grpc_kind, http_kind) = (EngineKind::OtlpGrpc, EngineKind::OtlpHttp);
    let http = |status, after: Option<&str>| {
        Answer::Http(
            status,
            after.map(str::to_owned),
            b"no room\nat all".to_vec(),
        )
    };
    let all = [rows("a", &many(2), &[T], &vec![vec![1.0]; 2])];
    for (kind, answer, wanted) in [
        (grpc_kind, grpc(8, &wait), Err(later)),
        (grpc_kind, grpc(14, &wait), Err(later)),
        (grpc_kind, grpc(14, &none), Err(None)),
        (grpc_kind, grpc(4, &none), Err(None)),
        (grpc_kind, grpc(8, &none), Ok("RESOURCE_EXHAUSTED: no room")),
        (grpc_kind, grpc(3, &none), Ok("INVALID_ARGUMENT: no room")),
        (grpc_kind, grpc(13, &none), Ok("INTERNAL: no room")),
        (grpc_kind, grpc(99, &none), Ok("UNKNOWN: no room")),
        (
            http_kind,
            http(429, Some("7")),
            Err(Some(Duration::from_secs(7))),
        ),
        (http_kind, http(503, Some("soon")), Err(None)),
        (http_kind, http(502, None), Err(None)),
        (http_kind, http(504, None), Err(None)),
        (http_kind, http(400, None), Ok("no room")),
        (http_kind, http(413, None), Ok("no room")),
        (http_kind, http(500, None), Ok("no room")),
    ] {
        let (shown, told) = (format!("{kind:?} {answer:?}"), answer.clone());
        let (receiver, calls) = receiver(move |_| told.clone());
        let mut engine = Otlp::new(&options(kind, &receiver)).unwrap();
        match (send(&mut engine, &all), wanted) {
            (Ok(sent), Ok(reason)) => {
                assert_eq!(
                    (sent.samples, sent.refused),
                    (0, vec![(reason.to_owned(), 2)])
                );
            }
            (Err(error), Err(wait)) => assert_eq!(retryable(error), wait, "{shown}"),
            (result, _) => panic!("{shown}: {result:?}"),
        }
        assert_eq!(calls.try_iter().count(), 1, "{shown}");
    }
}
