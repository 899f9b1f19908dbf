//! Receivers of OTLP that the hub exports to, with what they have.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use sysmon_export::receiver::{Answer, Call, Point, Receiver, points};
use sysmon_wire::metrics::alias;

use crate::place::Place;

/// Values by second, each with its own millisecond.
type Column = BTreeMap<i64, (i64, f64)>;

/// A series of one host: its metric, attributes and kind.
type Series = (String, BTreeMap<String, String>, &'static str);

/// What was received.
#[derive(Default)]
struct Values {
    loads: BTreeMap<(String, i64), f64>,
    of_a: BTreeMap<Series, Column>,
}

impl Values {
    /// Adds a value; the same one may come twice, but no other of the same moment.
    fn add(&mut self, point: Point) {
        // An agent's first row is not on a whole second; queries show the second.
        let time = (point.time / 1_000_000_000) as i64 * 1_000;
        if point.has_ended {
            return;
        }
        let value = point.value.unwrap();
        let known = match point.metric.as_str() {
            "system.cpu.load_average.1m" => {
                let key = (point.host.clone(), time);
                *self.loads.entry(key).or_insert(value)
            }
            _ => value,
        };
        assert_eq!(known.to_bits(), value.to_bits(), "{point:?}");
        if point.host == "a" {
            let kind = match (point.is_counter, point.unit.as_str()) {
                (true, _) => "counter",
                (false, "1") => "ratio",
                _ => "gauge",
            };
            let series = (point.metric, point.attributes.into_iter().collect(), kind);
            let column = self.of_a.entry(series).or_default();
            let ms = (point.time / 1_000_000) as i64;
            let (_, known) = *column.entry(time).or_insert((ms, value));
            assert_eq!(known.to_bits(), value.to_bits());
        }
    }
}

/// A receiver that can be stopped, and keeps what it has.
pub(crate) struct Otlp {
    pub(crate) kind: &'static str,
    address: SocketAddr,
    receiver: Option<Receiver>,
    values: Arc<Mutex<Values>>,
}

impl Otlp {
    pub(crate) fn new(kind: &'static str) -> Self {
        let mut otlp = Self {
            kind,
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            receiver: None,
            values: Arc::default(),
        };
        otlp.start();
        otlp
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn stop(&mut self) {
        self.receiver = None;
    }

    pub(crate) fn start(&mut self) {
        let values = Arc::clone(&self.values);
        let receive = move |call: Call| {
            let mut values = values.lock().unwrap();
            for point in points(&call.message) {
                values.add(point);
            }
            Answer::Taken
        };
        let receiver = Receiver::start(self.address, None, receive).unwrap();
        self.address = receiver.address();
        self.receiver = Some(receiver);
    }

    /// The load of every host and second.
    pub(crate) fn loads(&self) -> BTreeMap<(String, i64), f64> {
        self.values.lock().unwrap().loads.clone()
    }

    /// Compares every series of the host `a` with what queries show of the last two minutes.
    pub(crate) fn same_values(&self, place: &Place) {
        let values = self.values.lock().unwrap();
        let mut shown: BTreeMap<String, Value> = BTreeMap::new();
        let mut compared = BTreeMap::new();
        for ((metric, attributes, kind), column) in &values.of_a {
            let (asked, attributes) = match metric.strip_prefix("sysmon.host.") {
                Some(total) => match alias(total) {
                    Some(alias) => {
                        let pairs = alias.attributes.iter();
                        let pairs = pairs.map(|(name, value)| ((*name).into(), (*value).into()));
                        (total, pairs.collect())
                    }
                    None => continue,
                },
                None if metric.starts_with("sysmon.") => continue,
                None => (metric.as_str(), attributes.clone()),
            };
            let answer = shown
                .entry(asked.to_owned())
                .or_insert_with(|| query(place, asked));
            let series = answer["series"].as_array().unwrap().iter();
            let of = |series: &Value| -> BTreeMap<String, String> {
                serde_json::from_value(series["attributes"].clone()).unwrap()
            };
            let found = series.clone().find(|series| of(series) == attributes);
            let found = found.unwrap_or_else(|| panic!("{asked} {attributes:?} is not shown"));
            let points = found["points"].as_array().unwrap().iter();
            let points = points
                .filter_map(|point| Some((point[0].as_i64()?, point[1].as_f64()?)))
                // What is newer may be under way.
                .rev()
                .skip(20);
            let mut same = 0;
            for (time, value) in points {
                let (at, now) = column[&time];
                if *kind != "counter" {
                    assert_eq!(now.to_bits(), value.to_bits(), "{metric} at {time}");
                } else if let Some((before_at, before)) = column.get(&(time - 1_000)) {
                    // Queries show counters as rates.
                    let seconds = (at - before_at) as f64 / 1_000.0;
                    let error = (now - before - value * seconds).abs();
                    assert!(
                        error <= now.abs() * 1e-12,
                        "{metric} at {time}: {before}, {now}, rate {value}"
                    );
                }
                same += 1;
            }
            if same >= 20 {
                *compared.entry((*kind, attributes.is_empty())).or_insert(0) += 1;
            }
        }
        for kind in ["gauge", "counter", "ratio"] {
            // How many there are depends on the machine.
            assert!(compared.get(&(kind, false)) >= Some(&10), "{compared:?}");
        }
    }
}

fn query(place: &Place, metric: &str) -> Value {
    let args = [
        "query",
        metric,
        "--host",
        "a",
        "--since",
        "2m",
        "--step",
        "1s",
        "--aggregate",
        "last",
        "--format",
        "json",
    ];
    serde_json::from_str(&place.tui("me", &args)).unwrap()
}
