//! Receives the shared part of the fleet from the hub, which dials in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sysmon_certs::{Identity, ResetSecret, Role};
use sysmon_clock::{Clock, Random};
use sysmon_link::{
    AdmissionLimits, CloseCode, Connection, FrameReceiver, LinkError, ListenOptions, Listener,
    LogLimiter, NewSession, PeerSession, RENEWAL_INTERVAL, renew_if_due,
};
use sysmon_wire::message::{Purpose, Reply};

use crate::VERSION;
use crate::web::App;

/// Only the hub connects, but the port is public: the limits leave it a place among attackers from many addresses.
const ADMISSION: AdmissionLimits = AdmissionLimits {
    connections: 1_024,
    handshakes_per_network: 16,
    challenge_from: 16,
};

#[derive(Debug)]
pub struct Endpoint {
    listener: Listener,
    identity: Mutex<Identity>,
    state: Option<PathBuf>,
    clock: Clock,
    refusals: Mutex<LogLimiter>,
}

impl Endpoint {
    /// Listens on `address`. A renewed identity is saved in `state`, if there is one.
    pub fn bind(
        address: SocketAddr,
        identity: Identity,
        state: Option<PathBuf>,
        clock: &Clock,
        random: &Random,
    ) -> Result<Self, LinkError> {
        let options = ListenOptions {
            clock: clock.clone(),
            reset: match &state {
                Some(state) => ResetSecret::open_or_create(state, random)?,
                None => ResetSecret::generate(random)?,
            },
            limits: ADMISSION,
            accepts_joins: false,
        };
        Ok(Self {
            listener: Listener::bind(address, &identity, options)?,
            identity: Mutex::new(identity),
            state,
            clock: clock.clone(),
            refusals: Mutex::new(LogLimiter::new(clock.instant())),
        })
    }

    /// Logs that a peer was refused or left, unless there were too many lately.
    fn log(&self, address: SocketAddr, error: &dyn std::fmt::Display) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(suppressed) = refusals.pass(self.clock.instant()) {
            tracing::warn!(%address, %error, suppressed, "connection closed");
        }
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    pub async fn close(&self) {
        self.listener.close().await;
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew(&self, connection: &Connection, clock_offset_ms: i64) -> Infallible {
        loop {
            let present = self.identity().clone();
            let now = self.clock.system_time();
            match renew_if_due(connection, now, clock_offset_ms, &present).await {
                Ok(None) => {}
                Ok(Some(new)) => {
                    let saved = self.state.as_ref().map_or(Ok(()), |state| new.save(state));
                    let saved = saved.map_err(LinkError::from);
                    match saved.and(self.listener.set_identity(&new)) {
                        Ok(()) => tracing::info!("certificate renewed"),
                        Err(error) => {
                            tracing::error!(%error, "cannot save the renewed certificate");
                        }
                    }
                    *self.identity() = new;
                }
                Err(error) => tracing::warn!(%error, "cannot renew the certificate"),
            }
            tokio::time::sleep(RENEWAL_INTERVAL).await;
        }
    }
}

pub async fn listen(app: Arc<App>, endpoint: Arc<Endpoint>) {
    while let Some(arrival) = endpoint.listener.accept().await {
        let arrival = match arrival {
            Ok(arrival) => arrival,
            Err(refusal) => {
                endpoint.log(refusal.address, &refusal.reason);
                continue;
            }
        };
        let (app, endpoint) = (Arc::clone(&app), Arc::clone(&endpoint));
        let address = arrival.address();
        tokio::spawn(async move {
            let error = match arrival.handshake().await {
                Ok(NewSession::Peer(session)) => serve(&app, session, &endpoint, address).await,
                Ok(NewSession::Join(request)) => {
                    let reason = "only a hub may connect";
                    request.refuse(reason).await;
                    LinkError::Refused(reason.to_owned())
                }
                Err(error) => error,
            };
            endpoint.log(address, &error);
        });
    }
}

async fn serve(
    app: &App,
    mut session: PeerSession,
    endpoint: &Endpoint,
    address: SocketAddr,
) -> LinkError {
    let name = endpoint.identity().peer().name.to_string();
    let peer = session.certificate.peer.clone();
    if (session.certificate.peer.role, session.hello.purpose) != (Role::Hub, Purpose::Mirror) {
        let reason = "only a certificate of role hub may connect";
        session.refuse(reason).await;
        return LinkError::Refused(format!("{peer}: {reason}"));
    }
    if let Err(error) = session.accept(&name, VERSION).await {
        return error;
    }
    tracing::info!(%peer, %address, "hub connected");
    let clock_offset_ms = -session.clock_offset_ms(app.clock().now());
    tokio::select! {
        error = receive(app, &session.connection) => error,
        never = endpoint.renew(&session.connection, clock_offset_ms) => match never {},
    }
}

/// Receives one connection's streams; each begins with the whole fleet.
async fn receive(app: &App, connection: &Connection) -> LinkError {
    loop {
        let mut frames = match connection.accept_uni().await {
            Ok(stream) => FrameReceiver::new(stream),
            Err(error) => return error.into(),
        };
        if let Err(error) = receive_stream(app, &mut frames).await {
            frames.stop(CloseCode::Protocol);
            return error;
        }
    }
}

async fn receive_stream(app: &App, frames: &mut FrameReceiver) -> Result<(), LinkError> {
    let stream = app.mirror().begin();
    while let Some(reply) = frames.next::<Reply>().await? {
        let applied = match reply {
            Reply::Fleet(update) => app.mirror().apply(stream, update, app.clock().now()),
            Reply::Alerts(alerts) => app.mirror().set_acknowledged(stream, &alerts.alerts),
            Reply::Services(services) => app.mirror().set_services(stream, services),
            Reply::Complete => app.mirror().complete(stream),
            _ => Ok(()),
        };
        applied.map_err(|superseded| LinkError::Refused(superseded.to_string()))?;
    }
    Ok(())
}
