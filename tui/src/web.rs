//! The web page of this machine alone: hub, agents and edge run inside this program and talk QUIC over loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use sysmon_certs::{Authority, CertError, PeerName, Role};
use sysmon_config::ShareAlerts;
use sysmon_edge::ingest::{self, Endpoint};
use sysmon_edge::web::{Access, App, Listener, Options, serve};
use sysmon_hub::server::EdgeOptions;
use sysmon_link::LinkError;
use thiserror::Error;

use crate::standalone::{CERTIFICATE_DAYS, Standalone, StandaloneError, StandaloneOptions};

pub const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

#[derive(Debug, Error)]
pub enum WebError {
    #[error(transparent)]
    Certificates(#[from] CertError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Standalone(#[from] StandaloneError),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    #[error("the built-in hub has ended: {0}; start the page again")]
    HubEnded(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    #[error(
        "other machines can reach {0}, and this page has no login; use a loopback address such as {DEFAULT_ADDRESS}, or run sysmon-edge"
    )]
    Public(std::net::IpAddr),
    #[error("expected a port or a loopback address, such as 8080, {DEFAULT_ADDRESS} or [::1]:8080")]
    Malformed,
}

pub fn loopback(text: &str) -> Result<SocketAddr, AddressError> {
    let spelled = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    match spelled.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(address) => Err(AddressError::Public(address.ip())),
        Err(_) => Err(AddressError::Malformed),
    }
}

#[derive(Debug)]
pub struct Page {
    app: Arc<App>,
    endpoint: Arc<Endpoint>,
    listener: Listener,
    pub url: String,
    standalone: Standalone,
}

impl Page {
    /// Starts hub, agents and edge. The hub shares every host with the edge, as far as edges may see hosts at all.
    pub fn start(
        address: SocketAddr,
        title: String,
        options: StandaloneOptions,
    ) -> Result<Self, WebError> {
        let listen_error = |error| WebError::Listen(address, error);
        let listener = Listener::bind(address, None).map_err(listen_error)?;
        let url = listener.url().map_err(listen_error)?;
        let clock = options.clock.clone();
        let now = clock.system_time();
        let authority = Authority::in_memory(now, &options.random)?;
        let name = PeerName::nearest("page");
        let identity = authority.issue(Role::Edge, &name, now, CERTIFICATE_DAYS)?;
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let endpoint = Endpoint::bind(any, identity, None, &clock, &options.random)?;
        let edge = endpoint.address().ok_or(StandaloneError::Stopped)?;
        let edges = EdgeOptions {
            edges: vec![edge.to_string()],
            share: "*".parse().into_iter().collect(),
            checks: "*".parse().into_iter().collect(),
            alerts: ShareAlerts::Summaries,
            ..EdgeOptions::default()
        };
        let standalone = Standalone::with_authority(options, authority, edges)?;
        let page = Options {
            title,
            proxies: Vec::new(),
            access: Access::Loopback,
        };
        Ok(Self {
            app: Arc::new(App::new(page, clock)),
            endpoint: Arc::new(endpoint),
            listener,
            url,
            standalone,
        })
    }

    /// Serves until `stop` completes; an error if the built-in hub ends before.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), WebError> {
        tokio::select! {
            () = ingest::listen(Arc::clone(&self.app), self.endpoint) => {}
            () = self.app.publish_forever() => {}
            () = serve(Arc::clone(&self.app), self.listener) => {}
            reason = self.standalone.exited() => return Err(WebError::HubEnded(reason)),
            () = stop => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_accepted() {
        for (text, wanted) in [
            ("8081", "127.0.0.1:8081"),
            ("localhost:0", "127.0.0.1:0"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(loopback(text).unwrap().to_string(), wanted);
        }
        for public in ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80"] {
            let error = loopback(public).unwrap_err().to_string();
            assert!(error.contains("sysmon-edge"), "{public}: {error}");
        }
        for malformed in ["70000", "snapshot", "::1", ""] {
            assert_eq!(loopback(malformed), Err(AddressError::Malformed));
        }
    }
}
