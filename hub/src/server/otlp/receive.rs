//! One message: decoded, mapped, applied, and answered once its rows are durable.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use sysmon_otlp::{Mapper, MapperLimits, MessageError, Rejections, decode, points};
use sysmon_wire::limits::FUTURE_MS_MAX;
use thiserror::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::apply::{self, Admission};
use super::peer::Peer;
use super::senders::Sender;
use crate::lock;
use crate::server::Hub;
use crate::server::access::REVOKED;

/// Time for a commit; senders wait ten seconds at least.
const COMMIT_MAX: Duration = Duration::from_secs(5);

/// Seconds after which a sender should try again.
pub(super) const RETRY_S: u32 = 5;

/// Why a message is not accepted.
#[derive(Debug, Error)]
pub(super) enum ReceiveError {
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("{0}")]
    Refused(&'static str),
    /// The sender may send it again later.
    #[error("{0}; retry later")]
    Busy(&'static str),
}

/// The right to send one message: one of a few at a time.
pub(super) struct Turn {
    sender: Arc<Sender>,
    _of_sender: Option<OwnedSemaphorePermit>,
    _of_all: Option<OwnedSemaphorePermit>,
}

/// Waits until it is the sender's turn.
pub(super) async fn turn(hub: &Hub, peer: &Peer) -> Result<Turn, ReceiveError> {
    if peer.is_expired(hub.clock.system_time()) {
        return Err(ReceiveError::Refused(
            "the certificate has expired; renew it with `sysmon-agent renew`",
        ));
    }
    let is_revoked = |serial| {
        hub.access
            .as_ref()
            .is_some_and(|access| access.is_revoked(serial))
    };
    if peer.serial().is_some_and(is_revoked) {
        return Err(ReceiveError::Refused(REVOKED));
    }
    let sender = hub.otlp.senders.get(peer, hub.now(), hub.clock.instant());
    // The semaphores are never closed.
    let of_sender = Arc::clone(&sender.receiving).acquire_owned().await.ok();
    let of_all = Arc::clone(&hub.otlp.receiving).acquire_owned().await.ok();
    Ok(Turn {
        sender,
        _of_sender: of_sender,
        _of_all: of_all,
    })
}

/// Receives a message. It is finished even if the sender does not wait for the answer.
pub(super) async fn receive(
    hub: &Arc<Hub>,
    peer: &Peer,
    turn: Turn,
    message: Bytes,
) -> Result<Rejections, ReceiveError> {
    let (hub, peer) = (Arc::clone(hub), peer.clone());
    let received = tokio::spawn(async move { finish(&hub, &peer, turn, message).await });
    received
        .await
        .unwrap_or(Err(ReceiveError::Busy("the hub stops")))
}

async fn finish(
    hub: &Arc<Hub>,
    peer: &Peer,
    turn: Turn,
    message: Bytes,
) -> Result<Rejections, ReceiveError> {
    let sender = Arc::clone(&turn.sender);
    let wait = {
        let mut state = lock(&sender.state);
        state
            .bytes
            .charge(message.len() as f64, hub.clock.instant())
    };
    tokio::time::sleep(wait).await;
    if hub.core().fleet.is_unsaved_full() {
        return Err(ReceiveError::Busy("the hub's disk does not keep up"));
    }
    let rejections = map(hub, peer, &sender, message).await?;
    drop(turn);
    let Some(rejections) = rejections else {
        durable(hub).await?;
        return Ok(Rejections::default());
    };
    // Points of the same moment may come in another message.
    tokio::time::sleep(Duration::from_millis(Mapper::HOLD_MS.unsigned_abs())).await;
    apply::apply(hub, peer, &sender).await;
    durable(hub).await?;
    Ok(rejections)
}

/// Decodes and maps a message on another thread, since a large one takes long; none if the same came before.
async fn map(
    hub: &Arc<Hub>,
    peer: &Peer,
    sender: &Arc<Sender>,
    message: Bytes,
) -> Result<Option<Rejections>, ReceiveError> {
    let _decoding = hub.otlp.decoding.acquire().await.ok();
    let (hub, peer, sender) = (Arc::clone(hub), peer.clone(), Arc::clone(sender));
    let mapped = tokio::task::spawn_blocking(move || {
        let request = decode(&message)?;
        let now = hub.now();
        let limits = MapperLimits {
            hosts: peer.hosts_max(),
            oldest: hub.core().fleet.horizon(now),
            newest: now + FUTURE_MS_MAX,
        };
        let mut state = lock(&sender.state);
        if !state.is_new(&message) {
            return Ok(None);
        }
        let mut admission = Admission::new(&hub, &peer);
        let points = points(&request);
        let rejections = state
            .mapper
            .add(&request, limits, now, |host| admission.check(host));
        hub.otlp.senders.count(points, rejections.total());
        state.log_rejections(peer.label(), &rejections, &hub.clock);
        Ok(Some(rejections))
    });
    mapped
        .await
        .unwrap_or(Err(ReceiveError::Busy("the hub stops")))
}

/// Waits until what is in memory is durable.
async fn durable(hub: &Hub) -> Result<(), ReceiveError> {
    let generation = hub.core().fleet.generation();
    let mut durable = hub.durable.clone();
    let committed = durable.wait_for(|durable| *durable >= generation);
    match timeout(COMMIT_MAX, committed).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(ReceiveError::Busy("the hub's disk does not keep up")),
    }
}
