//! PostgreSQL, with TimescaleDB or without: arrays of values by host and time, in the same transaction as the cursor.

mod copy;
mod error;
mod layouts;
mod partitions;
mod schema;
mod tls;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Transaction};

use super::{DestinationError, HubIdentity};
use crate::destination::DestinationOptions;
use crate::{Batch, Cursor, Engine, EngineError, HostRows, Sent};
use copy::Copy;
use error::{lost, refused, timed_out, unavailable};
use layouts::Layouts;
use partitions::Partitions;
use schema::{HYPERTABLE, MIGRATIONS, VERSION, migration};

/// Values in one transaction.
const CELLS: usize = 200_000;

const INTERVAL: Duration = Duration::from_secs(1);

/// Longest time for a connection or a transaction.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);

/// A client.
pub struct Postgres {
    runtime: Runtime,
    config: tokio_postgres::Config,
    tls: tokio_postgres_rustls::MakeRustlsConnect,
    address: String,
    destination: String,
    hub: HubIdentity,
    retention_days: Option<u32>,
    session: Option<Session>,
}

/// A connection, and what is known of the database.
struct Session {
    client: Client,
    connection: JoinHandle<()>,
    hub: i32,
    layouts: Layouts,
    partitions: Partitions,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// A client for a destination.
    ///
    /// # Errors
    /// The address is none of PostgreSQL's, or a file of the destination cannot be read.
    pub fn new(options: &DestinationOptions, hub: &HubIdentity) -> Result<Self, DestinationError> {
        let setting = |problem: String| DestinationError::Setting(problem);
        let mut config: tokio_postgres::Config = options
            .url
            .reveal()
            .parse()
            .map_err(|_| setting("url: write postgres://USER@HOST/DATABASE".to_owned()))?;
        if let Some((user, password)) = &options.login {
            config.user(user).password(password.reveal());
        }
        config
            .application_name("sysmon-hub")
            .connect_timeout(ATTEMPT_MAX / 3)
            .options("-c statement_timeout=30s -c lock_timeout=10s -c timezone=UTC -c client_min_messages=warning");
        if !tls::is_local(&config) && !options.is_set("plaintext") {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
        }
        let retention = options.options.get("retention");
        let days = retention.map(|text| text.trim_end_matches('d').parse::<u32>());
        let retention_days = days.transpose().map_err(|_| {
            setting("retention: write a number of days, such as \"30d\"".to_owned())
        })?;
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| setting(error.to_string()))?,
            tls: tls::connector(options)?,
            config,
            address: options.address(),
            destination: options.name.clone(),
            hub: hub.clone(),
            retention_days,
            session: None,
        })
    }

    /// Does something with a session; a failure ends it.
    fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Session, &Work<'_>) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut session = self.session.take();
        let place = Work {
            destination: &self.destination,
            address: &self.address,
            retention_days: self.retention_days,
        };
        let connected = async {
            let mut session = match session.take() {
                Some(session) if !session.client.is_closed() => session,
                _ => connect(&self.config, &self.tls, &self.hub, &place).await?,
            };
            let done = work(&mut session, &place).await?;
            Ok((session, done))
        };
        let outcome = self
            .runtime
            .block_on(async { tokio::time::timeout(ATTEMPT_MAX, connected).await });
        match outcome {
            Ok(Ok((session, done))) => {
                self.session = Some(session);
                Ok(done)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(timed_out(&self.address)),
        }
    }
}

/// What a session works for.
struct Work<'a> {
    destination: &'a str,
    address: &'a str,
    retention_days: Option<u32>,
}

async fn connect(
    config: &tokio_postgres::Config,
    tls: &tokio_postgres_rustls::MakeRustlsConnect,
    hub: &HubIdentity,
    work: &Work<'_>,
) -> Result<Session, EngineError> {
    let connected = config.connect(tls.clone()).await;
    let (mut client, connection) = connected.map_err(|error| lost(work.address, &error))?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let has_timescale = prepare(&mut client, work).await?;
    let row = client
        .query_one(
            "INSERT INTO sysmon.hubs (identity, name) VALUES ($1, $2) \
             ON CONFLICT (identity) DO UPDATE SET name = excluded.name RETURNING id",
            &[&hub.identity, &hub.name],
        )
        .await
        .map_err(|error| refused(work.address, &error))?;
    Ok(Session {
        hub: row.get(0),
        client,
        connection,
        layouts: Layouts::default(),
        partitions: Partitions::new(has_timescale),
    })
}

/// Creates the schema or brings it up to date; returns whether the server has TimescaleDB.
async fn prepare(client: &mut Client, work: &Work<'_>) -> Result<bool, EngineError> {
    let failed = |error: tokio_postgres::Error| refused(work.address, &error);
    let transaction = client.transaction().await.map_err(failed)?;
    let extension = "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb')";
    let has_timescale: bool = transaction
        .query_one(extension, &[])
        .await
        .map_err(failed)?
        .get(0);
    let exists = "SELECT to_regclass('sysmon.version') IS NOT NULL";
    let exists: bool = transaction
        .query_one(exists, &[])
        .await
        .map_err(failed)?
        .get(0);
    if !exists {
        // Two hubs may begin at once.
        let begin = "SELECT pg_advisory_xact_lock(7979001); CREATE SCHEMA IF NOT EXISTS sysmon; \
             CREATE TABLE IF NOT EXISTS sysmon.version (number integer NOT NULL); \
             INSERT INTO sysmon.version SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM sysmon.version);";
        transaction.batch_execute(begin).await.map_err(failed)?;
    }
    let version = "SELECT number FROM sysmon.version FOR UPDATE";
    let version: i32 = match exists {
        true => {
            transaction
                .query_one("SELECT number FROM sysmon.version", &[])
                .await
        }
        false => transaction.query_one(version, &[]).await,
    }
    .map_err(failed)?
    .get(0);
    if version > VERSION {
        return Err(EngineError::Misconfigured(format!(
            "the schema sysmon at {} has version {version}, and this hub writes {VERSION}: upgrade the hub",
            work.address
        )));
    }
    for (at, text) in MIGRATIONS
        .iter()
        .enumerate()
        .skip(version.unsigned_abs() as usize)
    {
        transaction
            .batch_execute(&migration(text, has_timescale))
            .await
            .map_err(failed)?;
        if at == 0 && has_timescale {
            transaction
                .batch_execute(HYPERTABLE)
                .await
                .map_err(failed)?;
        }
    }
    if version < VERSION {
        let update = "UPDATE sysmon.version SET number = $1";
        transaction
            .execute(update, &[&VERSION])
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(has_timescale)
}

impl Session {
    async fn send(&mut self, batch: &Batch<'_>, work: &Work<'_>) -> Result<Sent, EngineError> {
        let failed = |error: tokio_postgres::Error| refused(work.address, &error);
        let times = batch.hosts.iter().flat_map(|rows| &rows.times).copied();
        self.partitions
            .ensure(&self.client, times, work.retention_days)
            .await
            .map_err(failed)?;
        let transaction = self.client.transaction().await.map_err(failed)?;
        let mut layouts = self.layouts.begin(self.hub);
        let (mut copy, mut samples) = (Copy::new(), 0u64);
        for rows in batch.hosts {
            let (host, layout) = layouts.of(&transaction, rows).await.map_err(failed)?;
            if rows.is_late {
                replace(&transaction, host, rows).await.map_err(failed)?;
            }
            samples += put(&mut copy, host, layout, rows);
        }
        let mut bytes = 0;
        if batch.hosts.iter().any(|rows| !rows.times.is_empty()) {
            let content = copy.finish();
            bytes = content.len() as u64;
            let statement =
                "COPY sysmon.rows (time, host, layout, values) FROM STDIN (FORMAT BINARY)";
            copy_in(&transaction, statement, content)
                .await
                .map_err(failed)?;
        }
        for (id, event) in batch.events {
            let insert = "INSERT INTO sysmon.events (hub, id, time, host, kind, message) \
                 VALUES ($1, $2, to_timestamp($3::float8 / 1000), $4, $5, $6) ON CONFLICT DO NOTHING";
            let (ms, host) = (event.time.0 as f64, event.host.as_str());
            let (kind, message) = (event.kind.as_str(), event.text.as_str());
            transaction
                .execute(insert, &[&self.hub, id, &ms, &host, &kind, &message])
                .await
                .map_err(failed)?;
        }
        let state = serde_json::to_string(batch.cursor)
            .map_err(|error| unavailable(work.address, &error.to_string()))?;
        let store = "INSERT INTO sysmon.cursors (hub, destination, state) VALUES ($1, $2, $3) \
             ON CONFLICT (hub, destination) DO UPDATE SET state = excluded.state, updated = now()";
        transaction
            .execute(store, &[&self.hub, &work.destination, &state])
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        let learnt = layouts.finish();
        self.layouts.apply(learnt);
        Ok(Sent {
            samples,
            bytes,
            refused: Vec::new(),
        })
    }
}

/// Removes what a span has, before its rows are written again.
async fn replace(
    transaction: &Transaction<'_>,
    host: i32,
    rows: &HostRows,
) -> Result<(), tokio_postgres::Error> {
    let (from, to) = (rows.span.from.0 as f64, rows.span.to.0 as f64);
    let delete = "DELETE FROM sysmon.rows WHERE host = $1 \
         AND time BETWEEN to_timestamp($2::float8 / 1000) AND to_timestamp($3::float8 / 1000)";
    transaction
        .execute(delete, &[&host, &from, &to])
        .await
        .map(drop)
}

fn put(copy: &mut Copy, host: i32, layout: i32, rows: &HostRows) -> u64 {
    for (at, time) in rows.times.iter().enumerate() {
        copy.begin_row(4);
        copy.time(*time);
        copy.integer(host);
        copy.integer(layout);
        copy.floats(
            rows.columns
                .iter()
                .map(|column| column.get(at).copied().unwrap_or(f64::NAN)),
        );
    }
    rows.samples() as u64
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

impl Engine for Postgres {
    fn batch_cells(&self) -> usize {
        CELLS
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn stores_cursor(&self) -> bool {
        true
    }

    fn takes_events(&self) -> bool {
        true
    }

    fn stored_cursor(&mut self) -> Result<Option<Cursor>, EngineError> {
        self.with(async |session: &mut Session, work: &Work<'_>| {
            let query = "SELECT state FROM sysmon.cursors WHERE hub = $1 AND destination = $2";
            let row = session.client.query_opt(query, &[&session.hub, &work.destination]).await;
            let row = row.map_err(|error| refused(work.address, &error))?;
            let state: Option<String> = row.map(|row| row.get(0));
            let parse = |state: String| {
                serde_json::from_str(&state).map_err(|error| {
                    EngineError::Misconfigured(format!(
                        "the cursor of {} in sysmon.cursors at {} cannot be read: {error}; delete its row to start anew",
                        work.destination, work.address
                    ))
                })
            };
            state.map(parse).transpose()
        })
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        self.with(async |session: &mut Session, work: &Work<'_>| session.send(batch, work).await)
    }

    fn test(&mut self) -> Result<String, EngineError> {
        let check = async {
            let connected = self.config.connect(self.tls.clone()).await;
            let (client, connection) = connected.map_err(|error| lost(&self.address, &error))?;
            let connection = tokio::spawn(async move { drop(connection.await) });
            let found = check(&client, &self.address).await;
            connection.abort();
            found
        };
        let checked = async { tokio::time::timeout(ATTEMPT_MAX, check).await };
        self.runtime
            .block_on(checked)
            .unwrap_or_else(|_| Err(timed_out(&self.address)))
    }
}

/// What the server is, if this user could write there.
async fn check(client: &Client, address: &str) -> Result<String, EngineError> {
    let query = "SELECT current_setting('server_version'), \
         EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'), \
         COALESCE((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'sysmon'), \
             has_database_privilege(current_database(), 'CREATE'))";
    let row = client
        .query_one(query, &[])
        .await
        .map_err(|error| refused(address, &error))?;
    let (version, has_timescale, may_write): (String, bool, bool) =
        (row.get(0), row.get(1), row.get(2));
    let timescale = if has_timescale {
        " with TimescaleDB"
    } else {
        ""
    };
    match may_write {
        true => Ok(format!(
            "is PostgreSQL {version}{timescale}, and takes rows"
        )),
        false => Err(EngineError::Misconfigured(format!(
            "{address} is PostgreSQL {version}{timescale}; the user needs the privilege CREATE on the database, or has to own the schema sysmon"
        ))),
    }
}

/// Days in which there are rows.
fn days(times: impl Iterator<Item = i64>) -> BTreeSet<i64> {
    times.map(|time| time.div_euclid(86_400_000)).collect()
}

#[cfg(test)]
mod tests;
