//! PostgreSQL, with TimescaleDB or without: arrays of values by host and time, in the same transaction as the cursor.

mod connector;
mod content;
mod copy;
mod error;
mod layouts;
mod partitions;
mod schema;
mod session;
mod tls;

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::Client;

use super::{DestinationError, HubIdentity};
use crate::destination::DestinationOptions;
use crate::{Batch, Cursor, Engine, EngineError, Sent};
pub(crate) use connector::Connector;
pub(crate) use error::told;
use error::{lost, refused, timed_out};
use layouts::Layouts;
use partitions::Partitions;
use schema::{HYPERTABLES, MIGRATIONS, VERSION, migration};
use session::{Session, Tables, Work};

/// Values in one transaction.
const CELLS: usize = 200_000;

const INTERVAL: Duration = Duration::from_secs(1);

/// Longest time for a connection or a transaction.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);

const SESSION: &str =
    "-c statement_timeout=30s -c lock_timeout=10s -c timezone=UTC -c client_min_messages=warning";

/// A client.
pub struct Postgres {
    runtime: Runtime,
    connector: Connector,
    address: String,
    destination: String,
    hub: HubIdentity,
    tables: Tables,
    session: Option<Session>,
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
        let days = |key: &str| match options.options.get(key) {
            None => Ok(None),
            Some(text) => match text.strip_suffix('d').map(str::parse::<u32>) {
                Some(Ok(days @ 1..)) => Ok(Some(days)),
                _ => Err(setting(format!(
                    "{key}: write a number of days, such as \"30d\""
                ))),
            },
        };
        let has_minutes = !options
            .options
            .get("minutes")
            .is_some_and(|text| text == "off");
        let tables = Tables {
            retention_days: days("retention")?,
            has_minutes,
            minutes_days: has_minutes.then(|| days("minutes")).transpose()?.flatten(),
            is_narrow: options.is_set("narrow"),
        };
        Ok(Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| setting(error.to_string()))?,
            connector: Connector::new(options, SESSION)?,
            address: options.address(),
            destination: options.name.clone(),
            hub: hub.clone(),
            tables,
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
            tables: &self.tables,
        };
        let connected = async {
            let mut session = match session.take() {
                Some(session) if !session.client.is_closed() => session,
                _ => connect(&self.connector, &self.hub, &place).await?,
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

async fn connect(
    connector: &Connector,
    hub: &HubIdentity,
    work: &Work<'_>,
) -> Result<Session, EngineError> {
    let connected = connector.connect().await;
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
                .batch_execute(HYPERTABLES)
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

    fn wants_minutes(&self) -> bool {
        self.tables.has_minutes
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
            let connected = self.connector.connect().await;
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

#[cfg(test)]
mod tests;
