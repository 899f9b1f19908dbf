//! Minutes from the query API of Prometheus, VictoriaMetrics, Mimir or Thanos, made from what remote write has sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use sysmon_wire::metrics::UPTIME;
use sysmon_wire::{Kind, Label, SeriesKey, UnixMs};

use super::{ANSWER_MS_MAX, MINUTES_MAX, Question, SeriesPast};
use crate::Minute;
use crate::destination::{DestinationOptions, Secret};
use crate::engines::DestinationError;
use crate::engines::http::Http;
use crate::names::{PromSeries, prometheus};

/// Steps in which the beginning of what the engine has is looked for.
const STEPS: i64 = 500;

/// Hosts of one query.
const HOSTS_MAX: usize = 50;

/// What is asked of gauges: the parts of a [`Minute`].
const OF_GAUGES: [&str; 5] = [
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "last_over_time",
    "count_over_time",
];

pub(super) struct Reader {
    http: Http,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    result: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

impl Reader {
    pub(super) fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        let mut options = options.clone();
        let url = options.url.reveal();
        let url = url.strip_prefix("prometheus:").unwrap_or(url).to_owned();
        options.url = match login(&url) {
            Some((user, password, rest)) => {
                options.login = Some((user.to_owned(), Secret::new(password)));
                Secret::new(rest)
            }
            None => Secret::new(url),
        };
        let limit = Duration::from_millis(ANSWER_MS_MAX);
        Ok(Self {
            http: Http::with_limit(&options, options.url.reveal(), limit)?,
        })
    }

    fn ask(
        &self,
        query: &str,
        (first, last): (i64, i64),
        step_ms: i64,
    ) -> Result<Vec<Found>, String> {
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000));
        let (start, end, step) = (seconds(first), seconds(last), seconds(step_ms));
        let form = [
            ("query", query),
            ("start", start.as_str()),
            ("end", end.as_str()),
            ("step", step.as_str()),
            // VictoriaMetrics would move the steps of longer answers, so that it can store them; others ignore this.
            ("nocache", "1"),
        ];
        let answer = self.http.ask("/api/v1/query_range", &form)?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|_| "it does not answer as Prometheus does: check the address".to_owned())?;
        Ok(answer.data.result)
    }

    /// One number of each step of the series of one name, by host and series.
    fn numbers(
        &self,
        function: &str,
        selector: &str,
        question: &Question,
    ) -> Result<Vec<Found>, String> {
        let step_ms = question.step_ms;
        let range = step_ms / 1_000;
        // A step begins with its first moment, and a range ends with its last.
        let first = question.from.floor(step_ms).0 + step_ms - 1;
        let last = (question.to - 1).floor(step_ms).0 + step_ms - 1;
        let query = format!("{function}({selector}[{range}s])");
        let mut found = self.ask(&query, (first, last), step_ms)?;
        for found in &mut found {
            for (time, _) in &mut found.values {
                let last = UnixMs((*time * 1_000.0).round() as i64);
                *time = last.floor(step_ms).0 as f64;
            }
        }
        Ok(found)
    }
}

/// User and password in an address, and the address without them.
fn login(url: &str) -> Option<(&str, &str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (login, server) = rest.get(..end)?.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    let path = rest.get(end..)?;
    Some((user, password, format!("{scheme}://{server}{path}")))
}

/// Series that have one name.
type Named = (Kind, Vec<(PromSeries, Arc<SeriesKey>)>);

fn by_name(keys: &[Arc<SeriesKey>]) -> BTreeMap<String, Named> {
    let mut names: BTreeMap<String, Named> = BTreeMap::new();
    for key in keys {
        let series = prometheus(key);
        let named = names
            .entry(series.name.clone())
            .or_insert_with(|| (key.metric.kind, Vec::new()));
        named.1.push((series, Arc::clone(key)));
    }
    names
}

fn selector(name: &str, hosts: &[Label]) -> String {
    let hosts: Vec<String> = hosts.iter().map(|host| escaped(host.as_str())).collect();
    format!("{{__name__=\"{name}\",host=~\"{}\"}}", hosts.join("|"))
}

/// A text that a regular expression within a string matches as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\\\\\"),
            c if c.is_alphanumeric() || matches!(c, '-' | '_' | ' ' | ':' | '/') => escaped.push(c),
            c => {
                escaped.push_str("\\\\");
                escaped.push(c);
            }
        }
    }
    escaped
}

/// The series that an answer is of: the one that has most of its labels.
fn key_of<'a>(
    found: &Found,
    series: &'a [(PromSeries, Arc<SeriesKey>)],
) -> Option<&'a Arc<SeriesKey>> {
    let has = |(name, value): &(String, Label)| {
        found
            .metric
            .get(name)
            .is_some_and(|found| found == value.as_str())
    };
    let fitting = series
        .iter()
        .filter(|(series, _)| series.labels.iter().all(has));
    let (_, key) = fitting.max_by_key(|(series, _)| series.labels.len())?;
    Some(key)
}

/// The numbers of each step by host and series, one for each function.
type Steps<'a> = BTreeMap<(Label, &'a Arc<SeriesKey>), BTreeMap<i64, [f64; OF_GAUGES.len()]>>;

fn add<'a>(
    steps: &mut Steps<'a>,
    at: usize,
    found: &[Found],
    series: &'a [(PromSeries, Arc<SeriesKey>)],
) {
    for found in found {
        let (Some(host), Some(key)) = (found.metric.get("host"), key_of(found, series)) else {
            continue;
        };
        let steps = steps.entry((Label::new(host), key)).or_default();
        for (time, value) in &found.values {
            let value: f64 = value.parse().unwrap_or(f64::NAN);
            let numbers = steps
                .entry(*time as i64)
                .or_insert([f64::NAN; OF_GAUGES.len()]);
            if let Some(number) = numbers.get_mut(at) {
                *number = value;
            }
        }
    }
}

fn minute(time: i64, [mean, min, max, last, count]: [f64; OF_GAUGES.len()]) -> Option<Minute> {
    let minute = Minute {
        time,
        min,
        mean,
        max,
        last,
        count: count as i64,
    };
    let is_whole = [min, mean, max, last].iter().all(|value| value.is_finite());
    (is_whole && minute.count > 0).then_some(minute)
}

impl super::Reader for Reader {
    fn past(&mut self, question: &Question) -> Result<Vec<SeriesPast>, String> {
        let (mut past, mut minutes) = (Vec::new(), 0);
        for (name, (kind, series)) in &by_name(&question.keys) {
            for hosts in question.hosts.chunks(HOSTS_MAX) {
                let selector = selector(name, hosts);
                let mut steps = Steps::new();
                match kind {
                    // Only the rate of a step is known, and not what it was made of.
                    Kind::Counter => {
                        let found = self.numbers("rate", &selector, question)?;
                        (0..4).for_each(|at| add(&mut steps, at, &found, series));
                        let counts = self.numbers("count_over_time", &selector, question)?;
                        add(&mut steps, 4, &counts, series);
                    }
                    Kind::Gauge => {
                        for (at, function) in OF_GAUGES.iter().enumerate() {
                            let found = self.numbers(function, &selector, question)?;
                            add(&mut steps, at, &found, series);
                        }
                    }
                }
                for ((host, key), steps) in steps {
                    let found: Vec<Minute> = steps
                        .into_iter()
                        .filter_map(|(time, numbers)| minute(time, numbers))
                        .collect();
                    minutes += found.len();
                    past.push(SeriesPast {
                        host,
                        key: Arc::clone(key),
                        minutes: found,
                    });
                }
                if minutes > MINUTES_MAX {
                    return Ok(past);
                }
            }
        }
        Ok(past)
    }

    fn oldest(
        &mut self,
        hosts: &[Label],
        from: UnixMs,
        to: UnixMs,
    ) -> Result<Option<UnixMs>, String> {
        let name = prometheus(&UPTIME.series(&[])).name;
        let step_ms = ((to - from) / STEPS).max(60_000);
        let query = format!("count({})", selector(&name, hosts));
        let found = self.ask(&query, (from.0, to.0), step_ms)?;
        let first = found.iter().filter_map(|found| found.values.first());
        Ok(first.map(|(time, _)| UnixMs((time * 1_000.0) as i64)).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};

    #[test]
    fn names_of_hosts_are_neither_patterns_nor_ends_of_strings() {
        let hosts = ["db-1", "a.b", "x\"} or up{a=\"", "c\\d"].map(Label::new);
        let selector = selector("up", &hosts);
        assert_eq!(
            selector,
            r#"{__name__="up",host=~"db-1|a\\.b|x\"\\} or up\\{a\\=\"|c\\\\d"}"#
        );
    }

    #[test]
    fn credentials_in_an_address_are_taken_out_of_it() {
        let rest = "https://vm.example:8428/p@th".to_owned();
        assert_eq!(
            login("https://u:p@ss@vm.example:8428/p@th"),
            Some(("u", "p@ss", rest))
        );
        assert_eq!(login("https://vm.example/u:p@x"), None);
    }

    #[test]
    fn an_answer_is_of_the_series_with_its_labels() {
        let eth0 = [
            ("network.interface.name", "eth0"),
            ("network.io.direction", "receive"),
        ];
        let eth1 = [
            ("network.interface.name", "eth1"),
            ("network.io.direction", "receive"),
        ];
        let keys = [
            NET_IO.series(&eth0),
            NET_IO.series(&eth1),
            CPU_UTILIZATION.series(&[]),
        ];
        let keys = keys.map(Arc::new);
        let names = by_name(&keys);
        let (_, (kind, series)) = names
            .iter()
            .find(|(name, _)| name.contains("network"))
            .unwrap();
        let found = Found {
            metric: [
                ("host", "a"),
                ("job", "sysmon"),
                ("network_interface_name", "eth1"),
                ("network_io_direction", "receive"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            values: Vec::new(),
        };
        assert_eq!(
            (*kind, key_of(&found, series)),
            (Kind::Counter, Some(&keys[1]))
        );
        assert_eq!(names.len(), 2);
    }
}
