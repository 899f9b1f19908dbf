//! Numbers of hosts, series and layouts in the database, learnt once in each session.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use sysmon_wire::{HostFacts, Kind, Label, SeriesKey};
use tokio_postgres::{Error, Transaction};

use crate::HostRows;

/// Series whose numbers are remembered; beyond that all are asked for anew.
const SERIES_MAX: usize = 50_000;

/// What a session has learnt.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    hosts: HashMap<Label, (i32, Arc<HostFacts>)>,
    /// By the address of the key, which is held with it.
    series: HashMap<usize, (Arc<SeriesKey>, i32)>,
    layouts: HashMap<Vec<i32>, i32>,
    /// The layout of each host, for keys at these addresses.
    of_hosts: HashMap<Label, (Vec<usize>, i32)>,
}

/// What is learnt in one transaction, and true only once that is committed.
pub(super) struct Learning<'a> {
    hub: i32,
    known: &'a Layouts,
    new: Layouts,
}

impl Layouts {
    pub(super) fn begin(&self, hub: i32) -> Learning<'_> {
        Learning {
            hub,
            known: self,
            new: Self::default(),
        }
    }

    pub(super) fn apply(&mut self, new: Self) {
        if self.series.len() + new.series.len() > SERIES_MAX {
            *self = Self::default();
            return;
        }
        self.hosts.extend(new.hosts);
        self.series.extend(new.series);
        self.layouts.extend(new.layouts);
        self.of_hosts.extend(new.of_hosts);
    }
}

fn address(key: &Arc<SeriesKey>) -> usize {
    Arc::as_ptr(key).addr()
}

impl Learning<'_> {
    pub(super) fn finish(self) -> Layouts {
        self.new
    }

    /// The numbers of a host and of the layout of its rows.
    pub(super) async fn of(
        &mut self,
        transaction: &Transaction<'_>,
        rows: &HostRows,
    ) -> Result<(i32, i32), Error> {
        let host = self.host(transaction, &rows.host, &rows.facts).await?;
        let addresses: Vec<usize> = rows.keys.iter().map(address).collect();
        let known = self
            .new
            .of_hosts
            .get(&rows.host)
            .or_else(|| self.known.of_hosts.get(&rows.host));
        if let Some((of_host, layout)) = known.filter(|(known, _)| *known == addresses) {
            let _ = of_host;
            return Ok((host, *layout));
        }
        let series = self.series(transaction, &rows.keys).await?;
        let layout = self.layout(transaction, series).await?;
        self.new
            .of_hosts
            .insert(rows.host.clone(), (addresses, layout));
        Ok((host, layout))
    }

    /// The number of a host.
    pub(super) async fn host(
        &mut self,
        transaction: &Transaction<'_>,
        name: &Label,
        facts: &Arc<HostFacts>,
    ) -> Result<i32, Error> {
        let known = self
            .new
            .hosts
            .get(name)
            .or_else(|| self.known.hosts.get(name));
        if let Some((id, known)) = known
            && **known == **facts
        {
            return Ok(*id);
        }
        let upsert = "INSERT INTO sysmon.hosts (hub, name, os, kernel, arch, tags) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (hub, name) DO UPDATE SET os = excluded.os, kernel = excluded.kernel, arch = excluded.arch, \
             tags = excluded.tags RETURNING id";
        let tags: Vec<&str> = facts.tags.iter().map(Label::as_str).collect();
        let (host, os) = (name.as_str(), facts.os.as_str());
        let (kernel, arch) = (facts.kernel.as_str(), facts.arch.as_str());
        let row = transaction
            .query_one(upsert, &[&self.hub, &host, &os, &kernel, &arch, &tags])
            .await?;
        let id = row.get(0);
        self.new.hosts.insert(name.clone(), (id, Arc::clone(facts)));
        Ok(id)
    }

    /// The number of each series.
    pub(super) async fn series(
        &mut self,
        transaction: &Transaction<'_>,
        keys: &[Arc<SeriesKey>],
    ) -> Result<Vec<i32>, Error> {
        let is_new = |key: &&Arc<SeriesKey>| {
            !self.known.series.contains_key(&address(key))
                && !self.new.series.contains_key(&address(key))
        };
        let new: Vec<&Arc<SeriesKey>> = keys.iter().filter(is_new).collect();
        if !new.is_empty() {
            let ids = insert(transaction, &new).await?;
            for (key, id) in new.into_iter().zip(ids) {
                self.new.series.insert(address(key), (Arc::clone(key), id));
            }
        }
        let id = |key: &Arc<SeriesKey>| {
            let known = self
                .new
                .series
                .get(&address(key))
                .or_else(|| self.known.series.get(&address(key)));
            known.map_or(0, |(_, id)| *id)
        };
        Ok(keys.iter().map(id).collect())
    }

    async fn layout(
        &mut self,
        transaction: &Transaction<'_>,
        series: Vec<i32>,
    ) -> Result<i32, Error> {
        if let Some(id) = self
            .new
            .layouts
            .get(&series)
            .or_else(|| self.known.layouts.get(&series))
        {
            return Ok(*id);
        }
        let find = "SELECT id FROM sysmon.layouts WHERE series = $1 ORDER BY id LIMIT 1";
        let id = match transaction.query_opt(find, &[&series]).await? {
            Some(row) => row.get(0),
            None => {
                let insert = "INSERT INTO sysmon.layouts (series) VALUES ($1) RETURNING id";
                transaction.query_one(insert, &[&series]).await?.get(0)
            }
        };
        self.new.layouts.insert(series, id);
        Ok(id)
    }
}

/// The numbers of series, which are added where they are new.
async fn insert(
    transaction: &Transaction<'_>,
    keys: &[&Arc<SeriesKey>],
) -> Result<Vec<i32>, Error> {
    let metrics: Vec<&str> = keys.iter().map(|key| key.metric.name.as_str()).collect();
    let units: Vec<&str> = keys.iter().map(|key| key.metric.unit.as_str()).collect();
    let kinds: Vec<&str> = keys.iter().map(|key| kind(key.metric.kind)).collect();
    let attributes: Vec<String> = keys.iter().map(|key| attributes(key)).collect();
    const INPUT: &str = "unnest($1::text[], $2::text[], $3::text[], $4::text[])";
    let add = format!(
        "INSERT INTO sysmon.series (metric, unit, kind, attributes) \
         SELECT DISTINCT metric, unit, kind, attributes::jsonb FROM {INPUT} AS input (metric, unit, kind, attributes) \
         ORDER BY 1, 2, 3, 4 ON CONFLICT DO NOTHING"
    );
    transaction
        .execute(&add, &[&metrics, &units, &kinds, &attributes])
        .await?;
    let find = format!(
        "SELECT series.id FROM {INPUT} WITH ORDINALITY AS input (metric, unit, kind, attributes, number) \
         JOIN sysmon.series ON series.metric = input.metric AND series.unit = input.unit AND series.kind = input.kind \
         AND series.attributes = input.attributes::jsonb ORDER BY input.number"
    );
    let found = transaction
        .query(&find, &[&metrics, &units, &kinds, &attributes])
        .await?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    }
}

fn attributes(key: &SeriesKey) -> String {
    let attributes = key.attributes.iter();
    let map: Map<String, Value> = attributes
        .map(|(name, value)| (name.to_string(), Value::from(value.as_str())))
        .collect();
    Value::Object(map).to_string()
}
