//! The edge's page for this machine alone: hub, agent and edge inside this program, as each is on its own elsewhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use sysmon_certs::{Authority, PeerName, Role};
use sysmon_config::{AgentConfig, HubConfig};
use sysmon_edge::ingest::{self, Own};
use sysmon_edge::web::{Access, App, Listener, Options, serve};
use sysmon_hub::server::{AlertWords, EdgeOptions};
use sysmon_link::LinkError;
use thiserror::Error;

use crate::standalone::{DAYS, Standalone, StandaloneError};

/// Where the page is if nobody says otherwise.
pub const USUAL_ADDRESS: &str = "127.0.0.1:8080";

/// Why there is no page.
#[derive(Debug, Error)]
pub enum WebError {
    /// No hub inside.
    #[error(transparent)]
    Inside(#[from] StandaloneError),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

impl From<sysmon_certs::CertError> for WebError {
    fn from(error: sysmon_certs::CertError) -> Self {
        StandaloneError::from(error).into()
    }
}

impl From<LinkError> for WebError {
    fn from(error: LinkError) -> Self {
        StandaloneError::from(error).into()
    }
}

/// An address of this machine alone, as people write it: a port will do.
pub fn loopback(text: &str) -> Result<SocketAddr, String> {
    let spelled = match text.parse::<u16>() {
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    match spelled.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(address) => Err(format!(
            "{} can be reached by others, and nobody is asked who they are: this page is for its own machine, as on {USUAL_ADDRESS}; \
             for others run sysmon-edge",
            address.ip()
        )),
        Err(_) => Err(format!(
            "it should be a port or an address of this machine, such as 8080, {USUAL_ADDRESS} or [::1]:8080"
        )),
    }
}

/// A page that can be asked for.
#[derive(Debug)]
pub struct Page {
    app: Arc<App>,
    own: Arc<Own>,
    listener: Listener,
    /// Where it is.
    pub url: String,
    _inside: Standalone,
}

impl Page {
    /// Starts hub, agents and edge. All that an edge ever shows of a host is shown, of every host.
    pub async fn start(
        address: SocketAddr,
        agent: AgentConfig,
        hub: &HubConfig,
        demo_hosts: usize,
        title: String,
    ) -> Result<Self, WebError> {
        let wrong = |error| WebError::Address { address, error };
        let listener = Listener::bind(address, None).map_err(wrong)?;
        let url = listener.url().map_err(wrong)?;
        let now = SystemTime::now();
        let authority = Authority::in_memory(now)?;
        let identity = authority.issue(Role::Edge, &PeerName::nearest("page"), now, DAYS)?;
        let ears = ingest::bind((Ipv4Addr::LOCALHOST, 0).into(), &identity)?;
        let edge = ears.address().ok_or(StandaloneError::Stopped)?;
        let edges = EdgeOptions {
            edges: vec![edge.to_string()],
            share: "*".parse().into_iter().collect(),
            alerts: AlertWords::Summaries,
            ..EdgeOptions::default()
        };
        let inside = Standalone::under(authority, agent, hub, demo_hosts, edges)?;
        let app = App::new(Options {
            title,
            proxies: Vec::new(),
            access: Access::Loopback,
        });
        let own = Own {
            listener: ears,
            identity: Mutex::new(identity),
            state: None,
        };
        Ok(Self {
            app: Arc::new(app),
            own: Arc::new(own),
            listener,
            url,
            _inside: inside,
        })
    }

    /// Serves it until `stop`.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = ingest::listen(Arc::clone(&self.app), self.own) => {}
            () = self.app.tick() => {}
            () = serve(Arc::clone(&self.app), self.listener) => {}
            () = stop => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_taken() {
        let shown = |text| loopback(text).map(|address| address.to_string());
        for (text, wanted) in [
            ("8081", "127.0.0.1:8081"),
            ("localhost:0", "127.0.0.1:0"),
            ("127.0.0.2:80", "127.0.0.2:80"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(shown(text), Ok(wanted.to_owned()));
        }
        for open in ["0.0.0.0:8080", "[::]:8080", "192.168.1.5:80"] {
            assert!(shown(open).unwrap_err().contains("sysmon-edge"), "{open}");
        }
        for wrong in ["70000", "snapshot", "::1", ""] {
            assert!(
                shown(wrong).unwrap_err().contains("127.0.0.1:8080"),
                "{wrong}"
            );
        }
    }
}
