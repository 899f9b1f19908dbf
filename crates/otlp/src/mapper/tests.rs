//! Rows from messages as Collectors and SDKs send them.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, NumberDataPoint, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use sysmon_wire::metrics::{CPU_UTILIZATION, LOAD_1M, NET_IO, TEMPERATURE};
use sysmon_wire::{ABSENT, Kind};

use super::*;

const START_MS: i64 = 1_700_000_000_000;
const NOW: UnixMs = UnixMs(START_MS);

fn limits() -> MapperLimits {
    MapperLimits {
        hosts: 3,
        oldest: NOW - 86_400_000,
        newest: NOW + 3_600_000,
    }
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let attribute = |(name, value): &(&str, &str)| KeyValue {
        key: (*name).to_owned(),
        value: Some(AnyValue {
            value: Some(Any::StringValue((*value).to_owned())),
        }),
        ..KeyValue::default()
    };
    pairs.iter().map(attribute).collect()
}

fn point(at_ms: i64, pairs: &[(&str, &str)], value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(pairs),
        time_unix_nano: at_ms as u64 * 1_000_000,
        value: Some(Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    }
}

fn sum(name: &str, unit: &str, temporality: i32, data_points: Vec<NumberDataPoint>) -> Metric {
    let data = Sum {
        data_points,
        aggregation_temporality: temporality,
        is_monotonic: true,
    };
    Metric {
        data: Some(Data::Sum(data)),
        ..gauge(name, unit, Vec::new())
    }
}

/// A message of one resource, with a scope for each metric.
fn message(of: &[(&str, &str)], metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope = |metric| ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        resource: Some(Resource {
            attributes: attributes(of),
            ..Resource::default()
        }),
        scope_metrics: metrics.into_iter().map(scope).collect(),
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource],
    }
}

struct Sender {
    mapper: Mapper,
    now: UnixMs,
}

impl Sender {
    fn new() -> Self {
        Self {
            mapper: Mapper::new(Naming::Resource),
            now: NOW,
        }
    }

    fn send(&mut self, request: &ExportMetricsServiceRequest) -> Rejections {
        self.mapper.add(request, limits(), self.now, |_| Ok(()))
    }

    /// The rows of host `a` after the hold, by series.
    fn rows(&mut self) -> Vec<(i64, Vec<(SeriesKey, i64)>)> {
        self.now = self.now + HOLD_MS;
        let mut out = Vec::new();
        for feed in self.mapper.ready(self.now) {
            assert_eq!(feed.host.as_str(), "a");
            for row in feed.rows {
                let values = feed.keys.iter().map(|key| (**key).clone()).zip(row.values);
                let present = values.filter(|(_, value)| *value != ABSENT);
                out.push((row.time.0 - START_MS, present.collect()));
            }
        }
        out
    }

    fn value(&mut self, metric: Metric) -> i64 {
        assert_eq!(self.send(&message(A, vec![metric])).text(), "");
        self.rows().pop().unwrap().1.pop().unwrap().1
    }
}

const A: &[(&str, &str)] = &[("host.name", "a")];

fn load(at_ms: i64, value: f64) -> Metric {
    gauge(
        "system.cpu.load_average.1m",
        "{thread}",
        vec![point(at_ms, &[], value)],
    )
}

#[test]
fn scopes_and_messages_that_come_apart_by_milliseconds_are_one_row() {
    let mut sender = Sender::new();
    let t = START_MS + 998;
    let eth0 = [("device", "eth0"), ("direction", "receive")];
    let bytes = sum(
        "system.network.io",
        "By",
        2,
        vec![point(t + 4, &eth0, 1_000.0)],
    );
    let first = message(A, vec![load(t, 1.25), bytes]);
    let second = message(
        A,
        vec![gauge(
            "hw.temperature",
            "Cel",
            vec![point(t + 9, &[], 40.5)],
        )],
    );
    assert!(sender.send(&first).is_empty() && sender.send(&second).is_empty());
    let rows = sender.rows();
    assert_eq!(rows.len(), 1);
    let (time, values) = &rows[0];
    assert_eq!(*time, 998);
    let value = |key: SeriesKey| values.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    assert_eq!(value(LOAD_1M.series(&[])), Some(125));
    assert_eq!(value(TEMPERATURE.series(&[])), Some(40_500));
    let receive = ("network.io.direction", "receive");
    let eth0 = NET_IO.series(&[receive, ("network.interface.name", "eth0")]);
    assert_eq!(value(eth0), Some(1_000));
    assert_eq!(
        value(NET_IO.series(&[receive])),
        Some(1_000),
        "the host's total"
    );
}

#[test]
fn both_conventions_at_once_and_repeated_points_count_once() {
    let mut sender = Sender::new();
    let old = [("device", "eth0"), ("direction", "receive")];
    let new = [
        ("network.interface.name", "eth0"),
        ("network.io.direction", "receive"),
    ];
    let both = vec![
        point(START_MS, &old, 500.0),
        point(START_MS, &new, 500.0),
        point(START_MS, &old, 500.0),
    ];
    let request = message(A, vec![sum("system.network.io", "By", 2, both)]);
    assert!(sender.send(&request).is_empty());
    let rows = sender.rows();
    let values: Vec<_> = rows[0].1.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [500, 500], "the interface and the total");
}

#[test]
fn what_does_not_map_is_kept_under_its_own_name_and_told_apart_by_service() {
    let mut sender = Sender::new();
    let requests = |value| {
        sum(
            "http.requests",
            "{request}",
            2,
            vec![point(START_MS, &[("path", "/x")], value)],
        )
    };
    for (service, value) in [("shop", 7.0), ("mail", 9.0)] {
        let of = [("host.name", "a"), ("service.name", service)];
        assert!(sender.send(&message(&of, vec![requests(value)])).is_empty());
    }
    let rows = sender.rows();
    let found = rows[0].1.iter().map(|(key, value)| {
        assert_eq!(
            (key.metric.name.as_str(), key.metric.kind),
            ("http.requests", Kind::Counter)
        );
        assert_eq!(key.metric.unit, "{request}");
        let text: Vec<_> = key
            .attributes
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        (
            text.join(","),
            *value as f64 * 10f64.powi(key.metric.scale.into()),
        )
    });
    let found: Vec<_> = found.collect();
    assert_eq!(
        found,
        [
            ("path=/x,service.name=shop".to_owned(), 7.0),
            ("path=/x,service.name=mail".to_owned(), 9.0)
        ]
    );
}

#[test]
fn values_are_rounded_and_those_without_a_value_are_absent() {
    let mut sender = Sender::new();
    assert_eq!(sender.value(load(START_MS, 1.236)), 124);
    let percent = point(START_MS + 2_000, &[], 12.34);
    assert_eq!(
        sender.value(gauge("system.cpu.utilization", "%", vec![percent])),
        123
    );
    let mut stale = point(START_MS + 4_000, &[], 1.0);
    stale.flags = 1;
    let nan = point(START_MS + 4_000, &[], f64::NAN);
    let none = NumberDataPoint {
        value: None,
        ..nan.clone()
    };
    let request = message(A, vec![gauge("x", "1", vec![stale, nan, none])]);
    assert!(sender.send(&request).is_empty() && sender.rows().is_empty());
}

#[test]
fn what_cannot_be_kept_is_rejected_with_its_reason() {
    let mut sender = Sender::new();
    let at = |pairs: &[(&str, &str)]| point(START_MS, pairs, 1.0);
    let histogram = Histogram {
        data_points: vec![HistogramDataPoint::default(); 2],
        aggregation_temporality: 2,
    };
    let many: Vec<(String, String)> = (0..9).map(|n| (format!("k{n}"), "v".to_owned())).collect();
    let many: Vec<_> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut list = at(&[]);
    list.attributes.push(KeyValue {
        key: "list".to_owned(),
        value: Some(AnyValue {
            value: Some(Any::BytesValue(vec![1])),
        }),
        ..KeyValue::default()
    });
    let metrics = vec![
        sum("x", "1", 1, vec![at(&[]); 3]),
        Metric {
            data: Some(Data::Histogram(histogram)),
            ..gauge("h", "1", Vec::new())
        },
        gauge("", "1", vec![at(&[])]),
        gauge(&"n".repeat(300), "1", vec![at(&[])]),
        gauge("sysmon.hub.lag", "s", vec![at(&[])]),
        gauge("y", "1", vec![at(&[("sysmon.rank", "0")])]),
        gauge("y", "1", vec![at(&many)]),
        gauge("y", "1", vec![list]),
        gauge(
            "y",
            "1",
            vec![point(0, &[], 1.0), point(START_MS + 7_200_000, &[], 1.0)],
        ),
        gauge("y", "1", vec![point(START_MS, &[], f64::INFINITY)]),
    ];
    let rejections = sender.send(&message(A, metrics));
    let reasons: Vec<_> = rejections.iter().map(|(r, n)| (r.clone(), n)).collect();
    assert_eq!(
        reasons,
        [
            (Reason::Delta, 3),
            (Reason::Distribution, 2),
            (Reason::Name, 2),
            (Reason::Reserved, 2),
            (Reason::Attributes, 1),
            (Reason::AttributeType, 1),
            (Reason::Range, 1),
            (Reason::Time, 1),
            (Reason::Age, 1),
        ]
    );
    assert!(sender.rows().is_empty());
    let nobody = sender.send(&message(&[], vec![load(START_MS, 1.0)]));
    assert!(
        nobody
            .text()
            .contains("without the resource attribute host.name")
    );
}

#[test]
fn hosts_that_a_sender_may_not_write_or_that_are_too_many_are_rejected() {
    let mut sender = Sender::new();
    let admit = |host: &Label| match host.as_str() {
        "db" => Err("it has an agent".to_owned()),
        _ => Ok(()),
    };
    let mut add = |host: &str, now: UnixMs| {
        let request = message(&[("host.name", host)], vec![load(START_MS, 1.0)]);
        sender.mapper.add(&request, limits(), now, admit).text()
    };
    assert_eq!(add("db", NOW), "1 point of host db: it has an agent");
    for host in ["a", "b", "c"] {
        assert_eq!(add(host, NOW), "");
    }
    assert_eq!(
        add("d", NOW),
        "1 point of hosts beyond 3, the most of this sender"
    );
    assert_eq!(add("d", NOW + IDLE_MS), "", "the others are idle");
}

#[test]
fn a_million_series_leave_room_for_those_that_were_first() {
    let mut sender = Sender::new();
    assert!(
        sender
            .send(&message(A, vec![load(START_MS, 1.0)]))
            .is_empty()
    );
    let points = |from: usize| {
        let point = |n: usize| point(START_MS, &[("n", &n.to_string())], 1.0);
        gauge("x", "1", (from..from + 50_000).map(point).collect())
    };
    let mut rejected = 0;
    for from in (0..1_000_000).step_by(50_000) {
        rejected += sender.send(&message(A, vec![points(from)])).total();
    }
    assert_eq!(rejected, 1_000_000 - 4_095);
    let rows = sender.rows();
    assert_eq!((rows.len(), rows[0].1.len()), (1, 4_096));
    let more = message(A, vec![load(START_MS + 60_000, 2.0)]);
    assert!(sender.send(&more).is_empty());
}

#[test]
fn a_message_of_very_many_moments_is_bounded() {
    let mut sender = Sender::new();
    let series: Vec<_> = (0..4_000)
        .map(|n| point(START_MS, &[("n", &n.to_string())], 1.0))
        .collect();
    let moments: Vec<_> = (0..20_000)
        .map(|n| point(START_MS - n * 2_000, &[("n", "0")], 1.0))
        .collect();
    let rejections = sender.send(&message(
        A,
        vec![gauge("x", "1", series), gauge("x", "1", moments)],
    ));
    assert!(rejections.total() > 19_000, "{}", rejections.text());
    assert!(sender.rows().len() <= 601);
}

#[test]
fn rows_follow_the_interval_of_their_sender_and_late_ones_disturb_nothing() {
    let mut sender = Sender::new();
    let cpu = |at_s: i64, idle: f64, user: f64| {
        let mode = |mode, value| {
            point(
                START_MS + at_s * 1_000,
                &[("cpu", "cpu0"), ("state", mode)],
                value,
            )
        };
        sum(
            "system.cpu.time",
            "s",
            2,
            vec![mode("idle", idle), mode("user", user)],
        )
    };
    let mut send = |at_s, idle, user| {
        sender.now = UnixMs(START_MS + at_s * 1_000);
        assert!(
            sender
                .send(&message(A, vec![cpu(at_s, idle, user)]))
                .is_empty()
        );
        let key = CPU_UTILIZATION.series(&[]);
        let rows = sender.rows();
        let values = rows
            .first()
            .map(|(_, values)| values.clone())
            .unwrap_or_default();
        values
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| *value)
    };
    assert_eq!(send(0, 100.0, 0.0), None);
    for n in 1..6 {
        assert_eq!(
            send(n * 10, 100.0 + n as f64 * 7.0, n as f64 * 3.0),
            Some(300)
        );
    }
    assert_eq!(send(25, 120.0, 7.0), None, "of the past");
    assert_eq!(send(60, 142.0, 18.0), Some(300));
    let mut facts = None;
    sender.now = UnixMs(START_MS + 70_000);
    sender.send(&message(A, vec![cpu(70, 149.0, 21.0)]));
    for feed in sender.mapper.ready(sender.now + HOLD_MS) {
        facts = Some(feed.facts.clone());
    }
    let facts = facts.unwrap();
    assert_eq!((facts.interval_ms, facts.cpus), (10_000, 1));
}
