//! What an engine has to do.

use std::time::Duration;

use sysmon_wire::Label;
use sysmon_wire::timeline::Event;
use thiserror::Error;

use crate::{Cursor, EventPosition, HostMinutes, HostRows, Present};

/// Rows and events for one request, and what the destination has once they are in.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Rows of hosts.
    pub hosts: &'a [HostRows],
    /// Minutes that these rows complete or change, for an engine that wants them.
    pub minutes: &'a [HostMinutes],
    /// Events with their ids in the history.
    pub events: &'a [(i64, Event)],
    /// Hosts that no longer report, since the last batch.
    pub gone: &'a [Label],
    /// The cursor once all of it is in. An engine that stores it does so in the same transaction.
    pub cursor: &'a Cursor,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Values that are in the engine.
    pub samples: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// Values that the engine refuses for good, by reason.
    pub refused: Vec<(String, u64)>,
}

/// Why a batch is not in the engine. No message contains a secret.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Try again later.
    #[error("{reason}")]
    Unavailable {
        /// What happened, and what to do.
        reason: String,
        /// How long the engine asks to wait.
        retry_after: Option<Duration>,
    },
    /// Trying again changes nothing until somebody acts: wrong credentials, another hub's data, a foreign schema.
    #[error("{0}")]
    Misconfigured(String),
}

impl EngineError {
    /// An engine that cannot be reached now.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable {
            reason: reason.into(),
            retry_after: None,
        }
    }
}

/// A client of an engine.
pub trait Engine: Send {
    /// About how many values, absent ones included, one batch has.
    fn batch_cells(&self) -> usize;

    /// Time between two batches of live rows.
    fn interval(&self) -> Duration;

    /// The cursor that the engine itself stores, so that rows and cursor are one transaction; none at first.
    ///
    /// # Errors
    /// The engine cannot be reached, or has data of another hub.
    fn stored_cursor(&mut self) -> Result<Option<Cursor>, EngineError> {
        Ok(None)
    }

    /// Whether the engine stores the cursor.
    fn stores_cursor(&self) -> bool {
        false
    }

    /// Whether minutes are sent too.
    fn wants_minutes(&self) -> bool {
        false
    }

    /// Whether events are sent too.
    fn takes_events(&self) -> bool {
        false
    }

    /// Sends a batch; afterwards all of it is in the engine but what it refused for good.
    ///
    /// # Errors
    /// Nothing, or a part that sending again does not double, is in the engine.
    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError>;

    /// Whether rows are sent. An engine that wants no past gets the present by [`Engine::send_present`] instead, each
    /// interval, and by [`Engine::send`] no more than events.
    fn wants_past(&self) -> bool {
        true
    }

    /// Makes what the engine has of all hosts equal to the present.
    ///
    /// # Errors
    /// Some of it is not.
    fn send_present(&mut self, _present: &Present<'_>) -> Result<Sent, EngineError> {
        Ok(Sent::default())
    }

    /// The newest event in an engine that wants no past, as of the last [`Engine::send_present`].
    fn event_position(&self) -> Option<EventPosition> {
        None
    }

    /// Connects and checks that the engine would take rows, without leaving any; returns what it is.
    ///
    /// # Errors
    /// It would not.
    fn test(&mut self) -> Result<String, EngineError>;
}
