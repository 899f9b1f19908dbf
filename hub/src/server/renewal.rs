//! Certificates that are made anew: the hub's own, and those of whoever is connected.

use std::sync::Arc;

use sysmon_certs::{Identity, is_of_same_key};
use sysmon_link::{
    CloseCode, Connection, FrameReceiver, FrameSender, LinkError, Listener, PeerCertificate,
};
use sysmon_wire::Label;
use sysmon_wire::message::{Reply, Request};
use tokio::sync::watch;

use super::{Hub, REVIEW_INTERVAL, subscriber};

/// Shows the hub's own identity anew whenever it is another, for as long as this is awaited.
pub(super) async fn follow(hub: &Hub, listener: &Listener, identity: &watch::Sender<Identity>) {
    let Some(trust) = &hub.trust else {
        return std::future::pending().await;
    };
    let mut timer = tokio::time::interval(REVIEW_INTERVAL);
    loop {
        timer.tick().await;
        let taken = trust.take_identity().map_err(|error| error.to_string());
        let shown = match taken {
            Ok(None) => continue,
            Ok(Some(new)) => {
                let shown = listener.set_identity(&new);
                identity.send_replace(new);
                shown.map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        match shown {
            Ok(()) => tracing::info!("the hub's own certificate is renewed"),
            Err(error) => tracing::error!("the hub's own certificate stays as it was: {error}"),
        }
    }
}

/// What is answered to a peer that asks to renew its certificate.
pub(super) fn answer(hub: &Hub, who: &PeerCertificate, request: &[u8]) -> Reply {
    let renewed = match &hub.trust {
        Some(_) if !is_of_same_key(request, &who.der) => {
            Err("a request for another key than that of the certificate that was shown".to_owned())
        }
        Some(trust) => trust.renew(who, request),
        None => Err("this hub renews no certificates".to_owned()),
    };
    renewed.unwrap_or_else(|reason| {
        let what = format!("the certificate is not renewed: {reason}");
        hub.refused(Some(&who.peer), None, &what);
        Reply::Refused {
            reason: Label::new(&reason),
        }
    })
}

/// Answers a peer that may ask for nothing else, one request after the other, until the connection ends.
pub(super) async fn serve(
    hub: &Arc<Hub>,
    connection: &Connection,
    who: &PeerCertificate,
) -> LinkError {
    loop {
        let answered = async {
            let (send, recv) = connection.accept_bi().await?;
            let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
            let heard = subscriber::request(&mut receiver).await;
            let heard = heard.inspect_err(|_| {
                hub.count_refusal();
                sender.reset(CloseCode::Protocol);
            });
            let reply = match heard? {
                Some(Request::Renew { request }) => answer(hub, who, &request.0),
                _ => Reply::Refused {
                    reason: Label::new("there is nothing else to ask for here"),
                },
            };
            sender.send(&reply).await?;
            sender.finish();
            Ok::<_, LinkError>(())
        };
        if let Err(error) = answered.await {
            match connection.close_reason() {
                Some(reason) => return reason.into(),
                None => tracing::debug!("broke off a request of {}: {error}", who.peer),
            }
        }
    }
}
