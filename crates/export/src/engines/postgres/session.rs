//! A connection, and what a batch does in it.

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Transaction};

use super::content::{Content, series_of};
use super::error::{refused, unavailable};
use super::layouts::Layouts;
use super::partitions::{Dated, Partitions};
use crate::{Batch, EngineError, HostRows, Sent};

/// A connection, and what is known of the database.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) connection: JoinHandle<()>,
    pub(super) hub: i32,
    pub(super) layouts: Layouts,
    pub(super) partitions: Partitions,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Which tables are written, and for how long their days are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub(super) retention_days: Option<u32>,
    pub(super) has_minutes: bool,
    pub(super) minutes_days: Option<u32>,
    pub(super) is_narrow: bool,
}

/// What a session works for.
pub(super) struct Work<'a> {
    pub(super) destination: &'a str,
    pub(super) address: &'a str,
    pub(super) tables: &'a Tables,
}

impl Session {
    /// Adds a batch, and says so in the cursor, in one transaction.
    pub(super) async fn send(
        &mut self,
        batch: &Batch<'_>,
        work: &Work<'_>,
    ) -> Result<Sent, EngineError> {
        let failed = |error: tokio_postgres::Error| refused(work.address, &error);
        self.make_partitions(batch, work).await.map_err(failed)?;
        let transaction = self.client.transaction().await.map_err(failed)?;
        let mut layouts = self.layouts.begin(self.hub);
        let mut contents = [(); 3].map(|()| Content::new());
        let [rows_of, values_of, minutes_of] = &mut contents;
        let mut samples = 0;
        for rows in batch.hosts {
            samples += rows.samples() as u64;
            if work.tables.is_narrow {
                let host = layouts.host(&transaction, &rows.host, &rows.facts).await;
                let series = layouts.series(&transaction, &rows.keys).await;
                let (host, series) = (host.map_err(failed)?, series.map_err(failed)?);
                if rows.is_late {
                    let removed = remove(&transaction, "values", host, &series, &rows.times).await;
                    removed.map_err(failed)?;
                }
                values_of.add_values(host, &series, rows);
                continue;
            }
            let (host, layout) = layouts.of(&transaction, rows).await.map_err(failed)?;
            if rows.is_late {
                replace(&transaction, host, rows).await.map_err(failed)?;
            }
            rows_of.add_rows(host, layout, rows);
        }
        for minutes in batch.minutes {
            let host = layouts
                .host(&transaction, &minutes.host, &minutes.facts)
                .await;
            let series = layouts.series(&transaction, &minutes.keys).await;
            let (host, series) = (host.map_err(failed)?, series.map_err(failed)?);
            if minutes.is_late {
                let present = series_of(&series, minutes);
                let table = "minute_values";
                let mut times: Vec<i64> = minutes.minutes.iter().map(|(_, m)| m.time).collect();
                times.sort_unstable();
                times.dedup();
                let removed = remove(&transaction, table, host, &present, &times).await;
                removed.map_err(failed)?;
            }
            minutes_of.add_minutes(host, &series, minutes);
        }
        let mut bytes = 0;
        for (content, columns) in contents.into_iter().zip([
            "rows (time, host, layout, values)",
            "values (time, host, series, value)",
            "minute_values (time, host, series, count, min, mean, max, last)",
        ]) {
            if let Some(content) = content.finish() {
                bytes += content.len() as u64;
                let statement = format!("COPY sysmon.{columns} FROM STDIN (FORMAT BINARY)");
                let copied = copy_in(&transaction, &statement, content).await;
                copied.map_err(failed)?;
            }
        }
        finish(transaction, self.hub, batch, work).await?;
        let learnt = layouts.finish();
        self.layouts.apply(learnt);
        Ok(Sent {
            samples,
            bytes,
            refused: Vec::new(),
        })
    }

    async fn make_partitions(
        &mut self,
        batch: &Batch<'_>,
        work: &Work<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        let Tables {
            retention_days,
            minutes_days,
            is_narrow,
            ..
        } = *work.tables;
        let table = match is_narrow {
            true => Dated::Values,
            false => Dated::Rows,
        };
        let times = batch.hosts.iter().flat_map(|rows| &rows.times).copied();
        let (client, partitions) = (&self.client, &mut self.partitions);
        partitions
            .ensure(client, table, times, retention_days)
            .await?;
        let minutes = batch.minutes.iter().flat_map(|host| &host.minutes);
        let times = minutes.map(|(_, minute)| minute.time);
        partitions
            .ensure(client, Dated::Minutes, times, minutes_days)
            .await
    }
}

/// Adds events and the cursor, and commits.
async fn finish(
    transaction: Transaction<'_>,
    hub: i32,
    batch: &Batch<'_>,
    work: &Work<'_>,
) -> Result<(), EngineError> {
    let failed = |error: tokio_postgres::Error| refused(work.address, &error);
    for (id, event) in batch.events {
        let insert = "INSERT INTO sysmon.events (hub, id, time, host, kind, message) \
             VALUES ($1, $2, to_timestamp($3::float8 / 1000), $4, $5, $6) ON CONFLICT DO NOTHING";
        let (ms, host) = (event.time.0 as f64, event.host.as_str());
        let (kind, message) = (event.kind.as_str(), event.text.as_str());
        transaction
            .execute(insert, &[&hub, id, &ms, &host, &kind, &message])
            .await
            .map_err(failed)?;
    }
    let state = serde_json::to_string(batch.cursor)
        .map_err(|error| unavailable(work.address, &error.to_string()))?;
    let store = "INSERT INTO sysmon.cursors (hub, destination, state) VALUES ($1, $2, $3) \
         ON CONFLICT (hub, destination) DO UPDATE SET state = excluded.state, updated = now()";
    transaction
        .execute(store, &[&hub, &work.destination, &state])
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// Moments, from Unix milliseconds.
const MOMENTS: &str = "ARRAY(SELECT timestamptz 'epoch' + ms * interval '1 millisecond' FROM unnest($2::bigint[]) AS ms)";

/// Removes rows that are written again, and no others.
async fn replace(
    transaction: &Transaction<'_>,
    host: i32,
    rows: &HostRows,
) -> Result<(), tokio_postgres::Error> {
    let delete = format!("DELETE FROM sysmon.rows WHERE host = $1 AND time = ANY({MOMENTS})");
    transaction
        .execute(&delete, &[&host, &rows.times])
        .await
        .map(drop)
}

/// The same in a table with a row for each series and moment.
async fn remove(
    transaction: &Transaction<'_>,
    table: &str,
    host: i32,
    series: &[i32],
    times: &[i64],
) -> Result<(), tokio_postgres::Error> {
    let delete = format!(
        "DELETE FROM sysmon.{table} WHERE series = ANY($3) AND host = $1 AND time = ANY({MOMENTS})"
    );
    transaction
        .execute(&delete, &[&host, &times, &series])
        .await
        .map(drop)
}

async fn copy_in(
    transaction: &Transaction<'_>,
    statement: &str,
    content: Vec<u8>,
) -> Result<(), tokio_postgres::Error> {
    use futures_util::SinkExt as _;
    let sink = transaction.copy_in::<str, bytes::Bytes>(statement).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(content.into()).await?;
    sink.finish().await.map(drop)
}
