//! Values in engines are those that queries show, bit for bit.

use std::collections::BTreeMap;

use serde_json::Value;
use sysmon_export::names::{is_exported, prometheus};
use sysmon_wire::metrics::{ALL, Metric, unscale};
use sysmon_wire::{Kind, SeriesKey};

use crate::engines::{Postgres, Server, victoria_metrics};
use crate::exports::destination;
use crate::place::{Place, until};

/// Seconds that are compared.
const SECONDS: i64 = 20;

/// Values by second; of counters in queries the rate.
type Points = BTreeMap<i64, f64>;

/// Series of a host as an engine calls them.
type Found = BTreeMap<String, Points>;

/// The series that a hub has of a host and exports, by queries of every metric.
fn queried(place: &Place, host: &str) -> Vec<(Metric, SeriesKey, Points)> {
    let mut found = Vec::new();
    for metric in ALL {
        let args = [
            "query",
            metric.name,
            "--host",
            host,
            "--since",
            "90s",
            "--step",
            "1s",
            "--aggregate",
            "last",
            "--format",
            "json",
        ];
        let answer: Value = serde_json::from_str(&place.tui("me", &args)).unwrap();
        for series in answer["series"].as_array().unwrap() {
            let attributes = series["attributes"].as_object().unwrap().iter();
            let attributes: Vec<_> = attributes
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
                .collect();
            let points = series["points"].as_array().unwrap().iter();
            let points: Points = points
                .filter_map(|point| Some((point[0].as_i64()?, point[1].as_f64()?)))
                .collect();
            let key = metric.series(&attributes);
            if is_exported(&key) && !points.is_empty() {
                found.push((*metric, key, points));
            }
        }
    }
    found
}

fn in_victoria(key: &SeriesKey) -> String {
    let series = prometheus(key);
    format!("{} {:?}", series.name, labels(&series.labels))
}

fn labels(labels: &[(String, sysmon_wire::Label)]) -> BTreeMap<&str, &str> {
    let labels = labels.iter();
    labels.map(|(n, v)| (n.as_str(), v.as_str())).collect()
}

fn victoria(server: &Server, host: &str) -> Found {
    let path = format!("/api/v1/query?query=%7Bhost%3D%22{host}%22%7D%5B120s%5D");
    let answer: Value = serde_json::from_str(&server.get(&path)).unwrap();
    let mut found = Found::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        let mut labels: BTreeMap<&str, &str> = series["metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let name = labels.remove("__name__").unwrap();
        labels.retain(|name, _| !["host", "job"].contains(name));
        let points = series["values"].as_array().unwrap().iter().map(|point| {
            let ms = (point[0].as_f64().unwrap() * 1000.0).round() as i64;
            (ms, point[1].as_str().unwrap().parse().unwrap())
        });
        found.insert(format!("{name} {labels:?}"), points.collect());
    }
    found
}

fn in_postgres(key: &SeriesKey) -> String {
    let attributes = key.attributes.iter();
    let attributes: BTreeMap<_, _> = attributes.map(|(n, v)| (n.as_str(), v.as_str())).collect();
    format!("{} {attributes:?}", key.metric.name)
}

fn postgres(server: &Postgres, host: &str) -> Found {
    let sql = format!(
        "SELECT json_build_array(metric, attributes, (extract(epoch FROM time) * 1000)::bigint, value) \
         FROM sysmon.samples WHERE host = '{host}' AND time > now() - interval '2 minutes'"
    );
    let mut found = Found::new();
    for line in server.query(&sql).lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let attributes: BTreeMap<String, String> = serde_json::from_value(row[1].clone()).unwrap();
        let name = format!("{} {attributes:?}", row[0].as_str().unwrap());
        let points = found.entry(name).or_default();
        points.insert(row[2].as_i64().unwrap(), row[3].as_f64().unwrap());
    }
    found
}

/// What a query shows of a value in an engine: of a counter the increase in the second before.
fn shown(metric: &Metric, points: &Points, time: i64) -> Option<f64> {
    let now = *points.get(&time)?;
    if metric.kind == Kind::Gauge {
        return Some(now);
    }
    let integer = |value: f64| (value / 10f64.powi(i32::from(metric.scale))).round() as i64;
    let before = *points.get(&(time - 1000))?;
    Some(unscale(integer(now) - integer(before), metric.scale))
}

fn class(metric: &Metric, key: &SeriesKey) -> (&'static str, bool) {
    let class = match metric.kind {
        Kind::Counter => "counters",
        Kind::Gauge if metric.unit == "1" && metric.scale == -3 => "ratios",
        Kind::Gauge => "gauges",
    };
    (class, !key.attributes.is_empty())
}

/// Compares every series that the hub has of a host at each of some seconds; returns how many there are of each kind.
fn compare(
    name: &str,
    wanted: &[(Metric, SeriesKey, Points)],
    seconds: &[i64],
    found: &Found,
    key_of: fn(&SeriesKey) -> String,
) -> BTreeMap<(&'static str, bool), usize> {
    let mut compared = BTreeMap::new();
    for (metric, key, points) in wanted {
        let of_engine = found.get(&key_of(key));
        let of_engine = of_engine.unwrap_or_else(|| panic!("{name} lacks {}", key_of(key)));
        let mut has_any = false;
        for time in seconds {
            let Some(value) = points.get(time) else {
                continue;
            };
            let found = shown(metric, of_engine, *time);
            assert_eq!(
                found.map(f64::to_bits),
                Some(value.to_bits()),
                "{name}: {} at {time} is {found:?} and not {value}",
                key_of(key)
            );
            has_any = true;
        }
        *compared.entry(class(metric, key)).or_default() += usize::from(has_any);
    }
    compared
}

#[test]
#[ignore = "needs root and postgresql and victoria-metrics"]
fn every_series_has_the_values_of_queries_in_each_engine() {
    let place = Place::new();
    let vm = victoria_metrics(&place.dir("vm"));
    let pg = Postgres::new(&place.dir("postgres"));
    let url = format!("http://127.0.0.1:{}/api/v1/write", vm.port);
    let exports = format!(
        "[{}, {}]",
        destination("vm", "remote-write", &url),
        destination("pg", "postgres", &pg.url())
    );
    let _hub = place.hub_with(&[("SYSMON_HUB__EXPORT", &exports)]);
    let _agent = place.agent("a");
    place.issue("operator", "me");
    let load = prometheus(&sysmon_wire::metrics::LOAD_1M.series(&[])).name + " {}";
    // The first rows are not on whole seconds.
    let seconds = || -> Vec<i64> {
        let found = [victoria(&vm, "a"), postgres(&pg, "a")];
        let times = |found: &Found, name: &str| {
            let times = found.get(name).into_iter().flat_map(Points::keys);
            times.copied().filter(|ms| ms % 1000 == 0).collect()
        };
        let in_victoria: Vec<i64> = times(&found[0], &load);
        let in_postgres: Vec<i64> = times(&found[1], "system.cpu.load_average.1m {}");
        let both = in_victoria
            .into_iter()
            .filter(|ms| in_postgres.contains(ms));
        // A rate needs the second before.
        both.skip(2).collect()
    };
    let enough = |seconds: &Vec<i64>| seconds.len() as i64 >= SECONDS;
    let seconds = until("both engines have enough", seconds, enough);
    let wanted = queried(&place, "a");
    let in_vm = compare(
        "VictoriaMetrics",
        &wanted,
        &seconds,
        &victoria(&vm, "a"),
        in_victoria,
    );
    let in_pg = compare(
        "PostgreSQL",
        &wanted,
        &seconds,
        &postgres(&pg, "a"),
        in_postgres,
    );
    assert_eq!(in_vm, in_pg);
    // Series without attributes are those of the host as a whole: there are few.
    let at_least = |class, has_attributes, count| {
        let found = in_vm.get(&(class, has_attributes));
        assert!(found >= Some(&count), "{class}: {in_vm:?}");
    };
    for class in ["counters", "gauges", "ratios"] {
        at_least(class, true, 20);
        at_least(class, false, 1);
    }
}
