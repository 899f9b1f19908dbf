//! Minutes from `sysmon.minutes` in PostgreSQL.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sysmon_wire::metrics::metric;
use sysmon_wire::{Kind, Label, MetricDef, SeriesKey, UnixMs};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Row};

use super::{ANSWER_MS_MAX, MINUTES_MAX, Question, SeriesPast};
use crate::Minute;
use crate::destination::DestinationOptions;
use crate::engines::postgres::{Connector, told};
use crate::engines::{DestinationError, HubIdentity};

/// Decimals of a metric that the hub does not know.
const SCALE: i8 = -3;

/// A metric that every host has: when there is any of it, there is something of the host.
const EVERY_HOST_HAS: &str = "system.uptime";

/// Hosts of this hub: by its identity, or by its name, which a hub that was set up anew has still.
const HOSTS: &str = "SELECT hosts.id, hosts.name FROM sysmon.hosts JOIN sysmon.hubs ON hubs.id = hosts.hub \
     WHERE (hubs.identity = $1 OR hubs.name = $2) AND hosts.name = ANY($3)";

const SERIES: &str =
    "SELECT id, metric, unit, kind, attributes::text FROM sysmon.series WHERE metric = ANY($1)";

const MINUTES: &str = "SELECT host, series, (floor(extract(epoch FROM time) * 1000 / $5::bigint) * $5::bigint)::bigint AS step, \
         min(min), sum(mean * count) / sum(count), max(max), (array_agg(last ORDER BY time DESC))[1], sum(count)::bigint \
     FROM sysmon.minute_values WHERE series = ANY($1) AND host = ANY($2) \
         AND time >= to_timestamp($3::float8 / 1000) AND time < to_timestamp($4::float8 / 1000) \
     GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT $6";

const OLDEST: &str = "SELECT floor(extract(epoch FROM min(first.time)) * 1000)::bigint \
     FROM unnest($1::int[]) AS of_host (host), unnest($2::int[]) AS of_series (series), LATERAL \
         (SELECT time FROM sysmon.minute_values AS minute WHERE minute.series = of_series.series \
             AND minute.host = of_host.host AND time >= to_timestamp($3::float8 / 1000) \
             AND time < to_timestamp($4::float8 / 1000) ORDER BY time LIMIT 1) AS first";

pub(super) struct Reader {
    runtime: Runtime,
    connector: Connector,
    hub: HubIdentity,
    client: Option<Client>,
}

impl Reader {
    pub(super) fn new(
        options: &DestinationOptions,
        hub: &HubIdentity,
    ) -> Result<Self, DestinationError> {
        let session = format!(
            "-c statement_timeout={ANSWER_MS_MAX} -c default_transaction_read_only=on -c timezone=UTC"
        );
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| DestinationError::Setting(error.to_string()))?,
            connector: Connector::new(options, &session)?,
            hub: hub.clone(),
            client: None,
        })
    }

    fn with<T>(
        &mut self,
        ask: impl AsyncFnOnce(&Client, &HubIdentity) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, String> {
        let known = self.client.take().filter(|client| !client.is_closed());
        let (connector, hub) = (&self.connector, &self.hub);
        let answer = async {
            let client = match known {
                Some(client) => client,
                None => {
                    let (client, connection) = connector.connect().await?;
                    tokio::spawn(async move { drop(connection.await) });
                    client
                }
            };
            let answer = ask(&client, hub).await?;
            Ok((client, answer))
        };
        let limit = Duration::from_millis(ANSWER_MS_MAX);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, answer).await });
        let (client, answer) = answer
            .map_err(|_| format!("no answer within {} s", limit.as_secs()))?
            .map_err(|error: tokio_postgres::Error| told(&error))?;
        self.client = Some(client);
        Ok(answer)
    }
}

/// A host by its number, or a series by its.
type Numbered<T> = BTreeMap<i32, T>;

async fn hosts(
    client: &Client,
    hub: &HubIdentity,
    names: &[Label],
) -> Result<Numbered<Label>, tokio_postgres::Error> {
    let names: Vec<&str> = names.iter().map(Label::as_str).collect();
    let rows = client
        .query(HOSTS, &[&hub.identity, &hub.name, &names])
        .await?;
    let host = |row: &Row| (row.get(0), Label::new(row.get::<_, &str>(1)));
    Ok(rows.iter().map(host).collect())
}

async fn series(
    client: &Client,
    question: &Question,
) -> Result<Numbered<Arc<SeriesKey>>, tokio_postgres::Error> {
    let keys = question.keys.iter().map(|key| key.metric.name.as_str());
    let mut metrics: Vec<&str> = keys
        .chain(question.metric.as_ref().map(Label::as_str))
        .collect();
    metrics.sort_unstable();
    metrics.dedup();
    let rows = client.query(SERIES, &[&metrics]).await?;
    let mut found = Numbered::new();
    for row in &rows {
        let Some(key) = key(row) else { continue };
        let known = question.keys.iter().find(|known| is_same(known, &key));
        let is_asked = question.metric.as_ref() == Some(&key.metric.name);
        if let Some(key) = known
            .map(Arc::clone)
            .or_else(|| is_asked.then(|| Arc::new(key)))
        {
            found.insert(row.get(0), key);
        }
    }
    Ok(found)
}

fn is_same(one: &SeriesKey, other: &SeriesKey) -> bool {
    let mut attributes = one.attributes.iter();
    one.metric.name == other.metric.name
        && one.metric.kind == other.metric.kind
        && one.attributes.len() == other.attributes.len()
        && attributes.all(|attribute| other.attributes.contains(attribute))
}

/// A series as the database describes it; whatever is written there becomes clean labels.
fn key(row: &Row) -> Option<SeriesKey> {
    let (name, unit, kind, attributes): (&str, &str, &str, &str) =
        (row.get(1), row.get(2), row.get(3), row.get(4));
    let attributes: Map<String, Value> = serde_json::from_str(attributes).ok()?;
    let mut attributes: Vec<(Label, Label)> = attributes
        .iter()
        .filter_map(|(name, value)| Some((Label::new(name), Label::new(value.as_str()?))))
        .collect();
    attributes.sort();
    let metric = MetricDef {
        name: Label::new(name),
        unit: Label::new(unit),
        kind: match kind {
            "counter" => Kind::Counter,
            _ => Kind::Gauge,
        },
        scale: metric(name).map_or(SCALE, |metric| metric.scale),
    };
    Some(SeriesKey { metric, attributes })
}

impl super::Reader for Reader {
    fn past(&mut self, question: &Question) -> Result<Vec<SeriesPast>, String> {
        self.with(async |client: &Client, hub: &HubIdentity| {
            let hosts = hosts(client, hub, &question.hosts).await?;
            let series = series(client, question).await?;
            let (numbers, of): (Vec<i32>, Vec<i32>) = (
                series.keys().copied().collect(),
                hosts.keys().copied().collect(),
            );
            let (from, to) = (question.from.0 as f64, question.to.0 as f64);
            let (step, most) = (question.step_ms, MINUTES_MAX as i64);
            let rows = client
                .query(MINUTES, &[&numbers, &of, &from, &to, &step, &most])
                .await?;
            Ok(collect(&rows, &hosts, &series))
        })
    }

    fn oldest(&mut self, of: &[Label], from: UnixMs, to: UnixMs) -> Result<Option<UnixMs>, String> {
        let question = Question {
            hosts: of.to_vec(),
            keys: Vec::new(),
            metric: Some(Label::new(EVERY_HOST_HAS)),
            from,
            to,
            step_ms: 60_000,
        };
        self.with(async |client: &Client, hub: &HubIdentity| {
            let hosts = hosts(client, hub, &question.hosts).await?;
            let series = series(client, &question).await?;
            let (of, numbers): (Vec<i32>, Vec<i32>) =
                (hosts.into_keys().collect(), series.into_keys().collect());
            let (from, to) = (question.from.0 as f64, question.to.0 as f64);
            let row = client
                .query_one(OLDEST, &[&of, &numbers, &from, &to])
                .await?;
            Ok(row.get::<_, Option<i64>>(0).map(UnixMs))
        })
    }
}

/// Hubs of one name, or one that was set up anew, can have a host of the same name: later numbers replace earlier ones.
fn collect(
    rows: &[Row],
    hosts: &Numbered<Label>,
    series: &Numbered<Arc<SeriesKey>>,
) -> Vec<SeriesPast> {
    let mut found: BTreeMap<(&Label, i32), BTreeMap<i64, Minute>> = BTreeMap::new();
    for row in rows {
        let Some(host) = hosts.get(&row.get::<_, i32>(0)) else {
            continue;
        };
        let minute = Minute {
            time: row.get(2),
            min: row.get(3),
            mean: row.get(4),
            max: row.get(5),
            last: row.get(6),
            count: row.get(7),
        };
        let minutes = match found.entry((host, row.get(1))) {
            Entry::Vacant(entry) => entry.insert(BTreeMap::new()),
            Entry::Occupied(entry) => entry.into_mut(),
        };
        minutes.insert(minute.time, minute);
    }
    let past = |((host, number), minutes): ((&Label, i32), BTreeMap<i64, Minute>)| {
        Some(SeriesPast {
            host: host.clone(),
            key: Arc::clone(series.get(&number)?),
            minutes: minutes.into_values().collect(),
        })
    };
    found.into_iter().filter_map(past).collect()
}
