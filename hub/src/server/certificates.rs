//! Renewing certificates: the hub's own, and those of connected peers.

use std::sync::Arc;

use sysmon_certs::{Identity, is_of_same_key};
use sysmon_link::{
    CloseCode, Connection, FrameReceiver, FrameSender, LinkError, Listener, PeerCertificate,
};
use sysmon_wire::Label;
use sysmon_wire::message::{Reply, Request};
use tokio::sync::watch;

use super::access::REVIEW_INTERVAL;
use super::{Hub, requests};

/// Renews the hub's own certificate when it is due or the certificate authority was rotated.
pub(super) async fn renew_own(hub: &Hub, listener: &Listener, identity: &watch::Sender<Identity>) {
    let Some(access) = &hub.access else {
        return std::future::pending().await;
    };
    let mut timer = tokio::time::interval(REVIEW_INTERVAL);
    loop {
        timer.tick().await;
        let renewed = match access.renew_own() {
            Ok(None) => continue,
            Ok(Some(new)) => {
                let applied = listener.set_identity(&new);
                identity.send_replace(new);
                applied.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match renewed {
            Ok(()) => tracing::info!("the hub's own certificate was renewed"),
            Err(error) => tracing::error!(%error, "cannot renew the hub's own certificate"),
        }
    }
}

pub(super) fn answer(hub: &Hub, who: &PeerCertificate, request: &[u8]) -> Reply {
    let renewed = match &hub.access {
        Some(_) if !is_of_same_key(request, &who.der) => {
            Err("the request is for another key than that of the peer's certificate".to_owned())
        }
        Some(access) => access.renew(who, request),
        None => Err("this hub renews no certificates".to_owned()),
    };
    renewed.unwrap_or_else(|reason| {
        let what = format!("certificate not renewed: {reason}");
        hub.audit_refusal(Some(&who.peer), None, &what);
        Reply::Refused {
            reason: Label::new(&reason),
        }
    })
}

/// Answers renewals, the only requests that such a peer may make, until the connection ends.
pub(super) async fn serve_renewals(
    hub: &Arc<Hub>,
    connection: &Connection,
    who: &PeerCertificate,
) -> LinkError {
    loop {
        let answered = async {
            let (send, recv) = connection.accept_bi().await?;
            let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
            let received = requests::receive(&mut receiver).await;
            let received = received.inspect_err(|_| {
                hub.count_refusal();
                sender.reset(CloseCode::Protocol);
            });
            let reply = match received? {
                Some(Request::Renew { request }) => answer(hub, who, &request.0),
                _ => Reply::Refused {
                    reason: Label::new("only certificate renewals are answered here"),
                },
            };
            sender.send(&reply).await?;
            sender.finish();
            Ok::<_, LinkError>(())
        };
        if let Err(error) = answered.await {
            match connection.close_reason() {
                Some(reason) => return reason.into(),
                None => tracing::debug!(peer = %who.peer, %error, "request ended by the hub"),
            }
        }
    }
}
