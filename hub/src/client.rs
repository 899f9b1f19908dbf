//! Asking a running hub for one picture: what `status` and `snapshot` do.

use sysmon_link::{Connector, HubSession, LinkError};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Purpose, Reply, Request};

use crate::own::{self, Seen};
use crate::report::Picture;

/// How far back the hub's own rows are asked for: two make a rate, and one or another may be late.
const OWN_REACH_MS: i64 = 5_000;

/// The fleet and the hub, now or at a past moment.
pub async fn picture(
    connector: &Connector,
    hub: &str,
    at: Option<UnixMs>,
) -> Result<Picture, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    ask(&session, at).await
}

/// The same now, with the hub's own figures.
pub async fn status(connector: &Connector, hub: &str) -> Result<Picture, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let mut picture = ask(&session, None).await?;
    if let Some(status) = &picture.hub {
        picture.own = Some(own_figures(&session, status.name.as_str(), status.now).await?);
    }
    Ok(picture)
}

async fn ask(session: &HubSession, at: Option<UnixMs>) -> Result<Picture, LinkError> {
    let mut picture = Picture::default();
    let fleet = Request::Fleet {
        at,
        once: true,
        spark_points: 0,
        spark_step_ms: 1000,
        sparks: Vec::new(),
    };
    for request in [Request::Status, fleet] {
        let mut replies = session.request(&request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Status(status) => picture.hub = Some(status),
                Reply::Fleet(update) => picture.add(update),
                Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
                _ => {}
            }
        }
    }
    Ok(picture)
}

/// What a hub has recorded of itself; nothing of one that is older than this or has just started.
async fn own_figures(session: &HubSession, hub: &str, now: UnixMs) -> Result<Seen, LinkError> {
    let request = Request::Host {
        host: own::host_name(hub),
        from: now - OWN_REACH_MS,
        until: Some(now),
    };
    let mut seen = Seen::default();
    let mut replies = session.request(&request).await?;
    while let Some(reply) = replies.next().await? {
        match reply {
            // What makes no sense is left out: the rest of the status does.
            Reply::HostSeries(table) => seen.define(table.keys().unwrap_or_default()),
            Reply::HostKeyframe(block) | Reply::HostRows(block) => {
                let _ = seen.take(&block.0);
            }
            _ => {}
        }
    }
    Ok(seen)
}
