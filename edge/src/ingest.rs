//! The hub's connection to the edge: it dials in, and says what may be shown.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sysmon_certs::{Identity, Role};
use sysmon_link::{
    CloseCode, Connection, FrameReceiver, LinkError, Listener, NewSession, PeerSession,
    RENEWAL_INTERVAL, renew_if_due,
};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Purpose, Reply};

use crate::VERSION;
use crate::web::App;

/// The edge's identity, and where it is kept.
#[derive(Debug)]
pub struct Own {
    /// Which socket shows it.
    pub listener: Listener,
    /// It.
    pub identity: Mutex<Identity>,
    /// Where it is kept, if it is.
    pub state: Option<PathBuf>,
}

impl Own {
    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the certificate whenever it is time.
    async fn renew(&self, connection: &Connection, clock_offset_ms: i64) -> Infallible {
        loop {
            let present = self.identity().clone();
            match renew_if_due(connection, clock_offset_ms, &present).await {
                Ok(None) => {}
                Ok(Some(new)) => {
                    let save = |state: &PathBuf| new.save(state).map_err(|error| error.to_string());
                    let saved = self.state.as_ref().map_or(Ok(()), save);
                    let shown = self.listener.set_identity(&new);
                    match saved.and(shown.map_err(|error| error.to_string())) {
                        Ok(()) => tracing::info!("the certificate is renewed"),
                        Err(error) => {
                            tracing::error!("the renewed certificate is not kept: {error}");
                        }
                    }
                    *self.identity() = new;
                }
                Err(error) => tracing::warn!("the certificate is not renewed: {error}"),
            }
            tokio::time::sleep(RENEWAL_INTERVAL).await;
        }
    }
}

/// Takes what a hub says, until the program ends.
pub async fn listen(app: Arc<App>, own: Arc<Own>) {
    while let Some(arrival) = own.listener.accept().await {
        let (app, own) = (Arc::clone(&app), Arc::clone(&own));
        let address = arrival.address();
        tokio::spawn(async move {
            let error = match arrival.handshake().await {
                Ok(NewSession::Peer(session)) => serve(&app, session, &own, address).await,
                Ok(NewSession::Join(stranger)) => {
                    let reason = "only a hub may show itself here";
                    stranger.refuse(reason).await;
                    LinkError::Refused(reason.to_owned())
                }
                Err(error) => error,
            };
            tracing::warn!("{address}: {error}");
        });
    }
}

/// Binds the socket that the hub connects to.
pub fn bind(address: SocketAddr, identity: &Identity) -> Result<Listener, LinkError> {
    Listener::bind(address, identity)
}

async fn serve(app: &App, mut session: PeerSession, own: &Own, address: SocketAddr) -> LinkError {
    let name = own.identity().peer().name.to_string();
    let peer = session.certificate.peer.clone();
    if (session.certificate.peer.role, session.hello.purpose) != (Role::Hub, Purpose::Mirror) {
        let reason = "only a certificate of role hub may show itself here";
        session.refuse(reason).await;
        return LinkError::Refused(format!("{peer}: {reason}"));
    }
    if let Err(error) = session.accept(&name, VERSION).await {
        return error;
    }
    tracing::info!("{peer} shows itself from {address}");
    let now = UnixMs::from_system(SystemTime::now());
    let clock_offset_ms = -session.clock_offset_ms(now);
    tokio::select! {
        error = take(app, &session.connection) => error,
        never = own.renew(&session.connection, clock_offset_ms) => match never {},
    }
}

/// Takes what the hub says on one connection: everything anew on each stream.
async fn take(app: &App, connection: &Connection) -> LinkError {
    loop {
        let mut frames = match connection.accept_uni().await {
            Ok(stream) => FrameReceiver::new(stream),
            Err(error) => return error.into(),
        };
        if let Err(error) = take_stream(app, &mut frames).await {
            frames.stop(CloseCode::Protocol);
            return error;
        }
    }
}

async fn take_stream(app: &App, frames: &mut FrameReceiver) -> Result<(), LinkError> {
    let stream = app.mirror().begin();
    while let Some(reply) = frames.next::<Reply>().await? {
        let now = UnixMs::from_system(SystemTime::now());
        let taken = match reply {
            Reply::Fleet(update) => app.mirror().apply(stream, update, now),
            Reply::Alerts(alerts) => app.mirror().care(stream, &alerts.alerts),
            Reply::Complete => app.mirror().complete(stream),
            _ => Ok(()),
        };
        taken.map_err(|superseded| LinkError::Refused(superseded.to_string()))?;
    }
    Ok(())
}
