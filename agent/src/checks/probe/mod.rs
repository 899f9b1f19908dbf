//! One try of a check.

mod dns;
mod http;
mod ping;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use sysmon_clock::Clock;
use sysmon_config::check::{Check, Probe, Service};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::guard::Guard;
use super::outcome::{Outcome, Phases};

/// What every try needs.
#[derive(Debug)]
pub(super) struct Environment {
    guard: Guard,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    /// None where the system has no certificates at all that could be read.
    trusted: Option<Arc<rustls::client::WebPkiServerVerifier>>,
}

impl Environment {
    pub(super) fn new(guard: Guard, clock: Clock) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self {
            guard,
            clock,
            trusted: tls::trusted(&provider),
            provider,
        }
    }
}

/// A try under way: what it has found out remains when it is given up.
struct Attempt<'a> {
    environment: &'a Environment,
    within: Duration,
    phases: Phases,
    expiry_s: Option<i64>,
}

/// Tries a check once.
pub(super) async fn attempt(check: &Check, environment: &Environment) -> Outcome {
    let mut attempt = Attempt {
        environment,
        within: check.within,
        phases: Phases::default(),
        expiry_s: None,
    };
    let start = environment.clock.instant();
    let tried = timeout(check.within, attempt.probe(&check.probe)).await;
    let is_up = tried.unwrap_or_else(|_| Err(attempt.timed_out(&check.probe)));
    Outcome {
        is_up,
        took: environment.clock.instant() - start,
        phases: attempt.phases,
        expiry_s: attempt.expiry_s,
    }
}

impl Attempt<'_> {
    async fn probe(&mut self, probe: &Probe) -> Result<(), String> {
        match probe {
            Probe::Tcp(service) => self.connect(service, false).await.map(drop),
            Probe::Tls(service, is_verified) => {
                let stream = self.connect(service, false).await?;
                let stream = self.secure(stream, &service.host, *is_verified).await?;
                drop(stream);
                Ok(())
            }
            Probe::Http(http) => http::get(self, http).await,
            Probe::Ping(host) => ping::echo(self, host).await,
            Probe::Dns(dns) => dns::look_up(self, dns).await,
        }
    }

    /// Connects to the first address that answers.
    async fn connect(&mut self, service: &Service, is_redirect: bool) -> Result<TcpStream, String> {
        let addresses = self
            .addresses(&service.host, service.port, is_redirect)
            .await?;
        let clock = &self.environment.clock;
        let start = clock.instant();
        // An address that never answers leaves time for the others.
        let share = self.within / u32::try_from(addresses.len()).unwrap_or(1).max(1);
        let mut problem = String::new();
        for address in addresses {
            problem = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let took = clock.instant() - start;
                    add(&mut self.phases.connect, took);
                    return Ok(stream);
                }
                Ok(Err(error)) => format!("{address}: {}", reason(&error)),
                Err(_) => format!("{address} does not answer"),
            };
        }
        Err(problem)
    }

    /// The addresses of a host that may be reached.
    async fn addresses(
        &mut self,
        host: &str,
        port: u16,
        is_redirect: bool,
    ) -> Result<Vec<SocketAddr>, String> {
        let start = self.environment.clock.instant();
        let found = lookup_host((host, port)).await;
        let took = self.environment.clock.instant() - start;
        let found = found.map_err(|_| format!("{host} is not known by name"))?;
        if host.parse::<std::net::IpAddr>().is_err() {
            add(&mut self.phases.dns, took);
        }
        self.environment.guard.allowed(host, found, is_redirect)
    }

    /// How far a try came that took too long.
    fn timed_out(&self, probe: &Probe) -> String {
        let Phases {
            dns, connect, tls, ..
        } = self.phases;
        let step = match (probe, connect, tls, dns) {
            (Probe::Ping(_), ..) => "no echo",
            (Probe::Dns(_), ..) => "no answer",
            (_, None, _, None) => "neither its name nor it answered",
            (_, None, ..) => "no connection",
            (Probe::Tls(..), ..) => "no TLS handshake",
            (Probe::Http(http), _, None, _) if http.url.starts_with("https") => "no TLS handshake",
            (Probe::Http(_), ..) if self.phases.first_byte.is_some() => "the answer did not end",
            _ => "no answer",
        };
        format!("{step} within {:?}", self.within)
    }
}

/// Adds the time of a phase, of which a redirect makes a second.
fn add(phase: &mut Option<Duration>, took: Duration) {
    *phase = Some(phase.unwrap_or_default() + took);
}

/// Why a connection failed, in the words of the system without its number.
fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::HostUnreachable => "the host is unreachable".to_owned(),
        ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error")
                .next()
                .unwrap_or_default()
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
