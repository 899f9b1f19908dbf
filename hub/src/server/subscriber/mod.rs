//! A subscriber's connection: one stream for each request, pushed to while anything changes.

mod bounds;
mod changes;
mod fleet;
mod host;
mod processes;
mod query;
mod timeline;
mod top;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sysmon_alerts::silence::Scope;
use sysmon_link::{CloseCode, FrameReceiver, FrameSender, LinkError, PeerCertificate, PeerSession};
use sysmon_series::ChunkError;
use sysmon_wire::Label;
use sysmon_wire::message::{Reply, Request};
use thiserror::Error;
use tokio::sync::watch;

use super::history::Borrowed;
use super::silences::SilenceRefusal;
use super::{Hub, certificates, requests};
use crate::fleet::HostId;
use crate::query::QueryError;
use crate::view::SparkRequest;
use bounds::bounded;
pub(super) use fleet::send_fleet;
pub(super) use query::points;

const SUBSCRIBERS_MAX: u64 = 4_096;

/// Changes within this time are sent together. Agents report on whole seconds, so a fleet's rows arrive in a
/// burst; a terminal needs them within 50 ms.
const COALESCE: Duration = Duration::from_millis(20);

const PAST_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn serve(hub: &Arc<Hub>, session: PeerSession) -> LinkError {
    let connection = session.connection;
    let who = Arc::new(session.certificate);
    loop {
        let (send, recv) = match connection.accept_bi().await {
            Ok(streams) => streams,
            Err(error) => return error.into(),
        };
        let (hub, who) = (Arc::clone(hub), Arc::clone(&who));
        let (sender, receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
        tokio::spawn(async move { serve_request(&hub, &who, sender, receiver).await });
    }
}

async fn serve_request(
    hub: &Arc<Hub>,
    who: &PeerCertificate,
    mut sender: FrameSender,
    mut receiver: FrameReceiver,
) {
    let request = match requests::receive(&mut receiver).await {
        Ok(Some(request)) => request,
        Ok(None) | Err(LinkError::Lost(_)) => return,
        Err(error) => {
            hub.count_refusal();
            tracing::warn!(peer = %who.peer, %error, "request ended by the hub");
            sender.reset(CloseCode::Protocol);
            return;
        }
    };
    let Some(_counted) = hub.subscribers.count_up_to(SUBSCRIBERS_MAX) else {
        hub.count_refusal();
        let _ = refuse(&mut sender, "too many requests are open on this hub").await;
        return;
    };
    match answer(hub, who, bounded(request), &mut sender).await {
        // The subscriber left: there is nobody to report it to.
        Ok(()) | Err(RequestError::Link(_)) => {}
        Err(refused) => drop(refuse(&mut sender, &refused.to_string()).await),
    }
    sender.finish();
}

/// Why a request ends early; a refusal is answered with its reason.
#[derive(Debug, Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    Silence(#[from] SilenceRefusal),
}

fn scope(hosts: &Label, rule: Option<&Label>) -> Result<Scope, RequestError> {
    Scope::new(hosts.as_str(), rule.map_or("", Label::as_str))
        .map_err(|error| RequestError::Refused(error.to_string()))
}

async fn answer(
    hub: &Arc<Hub>,
    who: &PeerCertificate,
    request: Request,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let by = who.peer.name.as_str();
    match request {
        Request::Renew { request } => {
            let reply = certificates::answer(hub, who, &request.0);
            Ok(sender.send(&reply).await?)
        }
        Request::Alerts => Ok(sender.send(&Reply::Alerts(hub.alerts())).await?),
        Request::Acknowledge { host, rule, note } => {
            let scope = scope(&host, rule.as_ref())?;
            let alerts = hub.acknowledge(by, &scope, Some(note));
            Ok(sender.send(&Reply::Alerts(alerts)).await?)
        }
        Request::Unacknowledge { host, rule } => {
            let scope = scope(&host, rule.as_ref())?;
            let alerts = hub.acknowledge(by, &scope, None);
            Ok(sender.send(&Reply::Alerts(alerts)).await?)
        }
        Request::Silence {
            scope,
            until,
            reason,
        } => {
            let alerts = hub.silence_for(by, &scope, until, &reason)?;
            Ok(sender.send(&Reply::Alerts(alerts)).await?)
        }
        Request::Unsilence { id } => {
            let alerts = hub.end_silence_for(by, &id)?;
            Ok(sender.send(&Reply::Alerts(alerts)).await?)
        }
        Request::Status => Ok(sender.send(&Reply::Status(hub.status())).await?),
        Request::Fleet {
            at,
            once,
            spark_points,
            spark_step_ms,
            sparks,
        } => {
            let sparks = SparkRequest {
                points: spark_points,
                step_ms: spark_step_ms,
                aliases: sparks,
            };
            fleet::watch(hub, at, once, &sparks, sender).await
        }
        Request::Host { host, from, until } => host::watch(hub, &host, from, until, sender).await,
        Request::Processes { host, at } => processes::watch(hub, &host, at, sender).await,
        Request::Burst {
            host,
            interval_ms,
            for_ms,
        } => processes::burst(hub, &host, interval_ms, for_ms, sender).await,
        Request::Changes { host, at, limit } => {
            changes::answer(hub, host.as_ref(), at, limit, sender).await
        }
        Request::Query(query) => query::answer(hub, query, sender).await,
        Request::Timeline {
            host,
            from,
            to,
            steps,
        } => timeline::answer(hub, host, (from, to), steps, sender).await,
        Request::Top {
            host,
            at,
            by,
            limit,
            each,
        } => top::watch(hub, host.as_ref(), at, (by, limit, each), sender).await,
    }
}

async fn refuse(sender: &mut FrameSender, reason: &str) -> Result<(), LinkError> {
    sender
        .send(&Reply::Refused {
            reason: Label::new(reason),
        })
        .await
}

fn find(hub: &Hub, name: &Label) -> Result<HostId, RequestError> {
    let found = hub.core().fleet.find(name.as_str());
    found.ok_or_else(|| RequestError::Refused(format!("there is no host {name:?}")))
}

/// Announces that the rows that follow were made from minutes or hours, and where these are from.
async fn send_resolution(rows: &Borrowed, sender: &mut FrameSender) -> Result<(), LinkError> {
    let (step_ms, beyond) = (rows.step_ms(), rows.beyond.clone());
    if rows.tier.is_some() || beyond.is_some() {
        let resolution = Reply::Resolution { step_ms, beyond };
        sender.send(&resolution).await?;
    }
    Ok(())
}

/// Waits for the next change and for those that follow within [`COALESCE`]; an error if the subscriber left.
async fn wait_for_change(
    changes: &mut watch::Receiver<u64>,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    tokio::select! {
        changed = changes.changed() => changed.map_err(|_| LinkError::StreamEnded)?,
        () = sender.stopped() => return Err(LinkError::StreamEnded),
    }
    tokio::time::sleep(COALESCE).await;
    changes.borrow_and_update();
    Ok(())
}

/// Limits changes of the past, whose rows arrive by the hundred, to one update each [`PAST_INTERVAL`].
struct PastUpdates {
    sent: Instant,
}

impl PastUpdates {
    fn new(hub: &Hub) -> Self {
        let sent = hub.clock.instant();
        Self { sent }
    }

    fn is_due(&mut self, hub: &Hub) -> bool {
        let now = hub.clock.instant();
        let is_due = now - self.sent >= PAST_INTERVAL;
        if is_due {
            self.sent = now;
        }
        is_due
    }
}
