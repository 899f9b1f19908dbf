//! One connection: who it is, what it may do, and serving it until it ends.

use std::net::SocketAddr;
use std::sync::Arc;

use sysmon_certs::Role;
use sysmon_link::{CloseCode, JoinSession, LinkError, NewSession, PeerSession};
use sysmon_wire::Label;
use sysmon_wire::message::Purpose;

use super::access::REVOKED;
use super::{Hub, agent, certificates, subscriber};
use crate::VERSION;
use crate::audit::Entry;

const EXPIRED: &str = "this certificate has expired";

const TOO_MANY: &str = "this certificate already has 64 connections open, the limit";

/// Serves a peer whose handshake is done, until it leaves or is refused.
pub(super) async fn serve(
    hub: Arc<Hub>,
    address: SocketAddr,
    session: Result<NewSession, LinkError>,
) {
    match session {
        Ok(NewSession::Peer(session)) => serve_peer(hub, address, session).await,
        Ok(NewSession::Join(session)) => join(&hub, address, session).await,
        Err(error) => hub.audit_refusal(None, Some(address), &error.to_string()),
    }
}

async fn serve_peer(hub: Arc<Hub>, address: SocketAddr, mut session: PeerSession) {
    let peer = session.certificate.peer.clone();
    let serial = session.certificate.serial.clone();
    let access = hub.access.as_ref();
    // Registered before the check, so that a revocation from here on closes the connection.
    let _registered = access.map(|access| access.register(&serial, &session.connection));
    let is_revoked = access.is_some_and(|access| access.is_revoked(&serial));
    if let Some(reason) = is_revoked.then_some(REVOKED).or_else(|| refusal(&session)) {
        hub.audit_refusal(Some(&peer), Some(address), reason);
        session.refuse(reason).await;
        return;
    }
    let Some(_slot) = hub.certificates.acquire(serial) else {
        hub.audit_refusal(Some(&peer), Some(address), TOO_MANY);
        session.refuse(TOO_MANY).await;
        return;
    };
    let name = Label::new(peer.name.as_str());
    let _live = match session.hello.purpose {
        Purpose::Push => match hub.live.admit(&name, &session.connection, address).await {
            Ok(live) => Some(live),
            Err(first) => {
                let reason = refuse_copy(&hub, &name, address, first);
                hub.audit_refusal(Some(&peer), Some(address), &reason);
                session.refuse_copy(&reason).await;
                return;
            }
        },
        _ => None,
    };
    if let Err(error) = session.accept(&hub.name, VERSION).await {
        tracing::warn!(%peer, %address, %error, "peer left during the hello");
        return;
    }
    let version = &session.hello.version;
    tracing::info!(%peer, %address, %version, "peer connected");
    let connection = session.connection.clone();
    let expires = session
        .certificate
        .expires
        .duration_since(hub.clock.system_time());
    let served = async {
        match session.hello.purpose {
            Purpose::Push => agent::serve(&hub, session).await,
            Purpose::Renew => {
                certificates::serve_renewals(&hub, &session.connection, &session.certificate).await
            }
            // `refusal` leaves only subscribers here.
            _ => subscriber::serve(&hub, session).await,
        }
    };
    let ended = tokio::select! {
        ended = served => ended,
        // A peer that has renewed its certificate reconnects at once with the new one.
        () = tokio::time::sleep(expires.unwrap_or_default()) => {
            connection.close(CloseCode::Refused.into(), EXPIRED.as_bytes());
            LinkError::Refused(EXPIRED.to_owned())
        }
    };
    // Streams that are still open would live on where no revocation reaches them.
    connection.close(CloseCode::Protocol.into(), ended.to_string().as_bytes());
    tracing::info!(%peer, %address, reason = %ended, "peer disconnected");
}

/// Notes on a host that another machine has its identity; returns the reason for the refusal.
fn refuse_copy(hub: &Hub, name: &Label, address: SocketAddr, first: SocketAddr) -> String {
    hub.update(|core| core.fleet.note_copy(name, address, hub.now()));
    format!(
        "{name} is connected from {}, so this machine has a copy of its identity; delete the agent's state directory here, then join with a new token",
        first.ip()
    )
}

/// Why a peer may not do what it asks for in its hello; its certificate states its role.
fn refusal(session: &PeerSession) -> Option<&'static str> {
    match (session.hello.purpose, session.certificate.peer.role) {
        (Purpose::Push, Role::Agent) | (Purpose::View, Role::Operator) => None,
        (Purpose::Renew, Role::Agent | Role::Gateway) => None,
        (Purpose::Renew, _) => Some("only agents and gateways connect to renew their certificate"),
        (Purpose::Push, _) => Some("only a certificate of role agent may push rows"),
        (Purpose::View, _) => Some("only a certificate of role operator may view the fleet"),
        (Purpose::Join, _) => Some("this peer has a certificate: it has joined already"),
        (Purpose::Mirror, _) => Some("edges do not connect to the hub: the hub connects to them"),
    }
}

async fn join(hub: &Hub, address: SocketAddr, session: JoinSession) {
    let refused = match &hub.access {
        _ if !session.wants_to_join() => {
            Some("no certificate was shown: without one a peer can only join")
        }
        None => Some("this hub accepts no joins"),
        Some(_) => None,
    };
    if let Some(reason) = refused {
        session.refuse(reason).await;
        return hub.audit_refusal(None, Some(address), reason);
    }
    let Some(access) = &hub.access else { return };
    let has_history = |name: &str| hub.core().fleet.has_name(name);
    match access
        .join(session, address.ip(), &hub.name, VERSION, has_history)
        .await
    {
        Ok(peer) => {
            tracing::info!(%peer, %address, "joined");
            let entry = Entry::new(hub.now(), "joined", &peer);
            access.audit.note(&entry.from(address));
        }
        Err(reason) => hub.audit_refusal(None, Some(address), &reason),
    }
}
