//! The hub's connection to the edge: it dials in, and says what may be shown.

use std::net::SocketAddr;
use std::sync::Arc;

use sysmon_certs::{Identity, Role};
use sysmon_link::{CloseCode, FrameReceiver, Greeted, LinkError, Listener, PeerSession};
use sysmon_wire::message::{Purpose, Reply};

use crate::VERSION;
use crate::web::App;

/// Takes what a hub says, until the program ends.
pub async fn listen(app: Arc<App>, listener: Listener, name: String) {
    while let Some(arrival) = listener.accept().await {
        let (app, name) = (Arc::clone(&app), name.clone());
        let address = arrival.address();
        tokio::spawn(async move {
            let error = match arrival.greet().await {
                Ok(Greeted::Peer(session)) => serve(&app, session, &name, address).await,
                Ok(Greeted::Stranger(stranger)) => {
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

async fn serve(app: &App, mut session: PeerSession, name: &str, address: SocketAddr) -> LinkError {
    let peer = session.peer.clone();
    if (session.peer.role, session.hello.purpose) != (Role::Hub, Purpose::Mirror) {
        let reason = "only a certificate of role hub may show itself here";
        session.refuse(reason).await;
        return LinkError::Refused(format!("{peer}: {reason}"));
    }
    if let Err(error) = session.accept(name, VERSION).await {
        return error;
    }
    tracing::info!("{peer} shows itself from {address}");
    let stream = match session.connection.accept_uni().await {
        Ok(stream) => stream,
        Err(error) => return error.into(),
    };
    let mut frames = FrameReceiver::new(stream);
    app.mirror().begin();
    loop {
        match frames.next::<Reply>().await {
            Ok(Some(Reply::Fleet(update))) => app.mirror().apply(update),
            Ok(Some(Reply::Complete)) => app.mirror().complete(),
            Ok(Some(_)) => {}
            Ok(None) => return LinkError::StreamEnded,
            Err(error) => {
                frames.stop(CloseCode::Protocol);
                return error;
            }
        }
    }
}
