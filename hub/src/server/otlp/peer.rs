//! Who sends: what its certificate says, or a program on this machine without one.

use std::sync::Arc;
use std::time::SystemTime;

use sysmon_alerts::rule::Pattern;
use sysmon_certs::{CertError, HostScope, Role, peer_of, scope_of, serial_of, validity_of};
use sysmon_otlp::Naming;
use sysmon_wire::Label;
use thiserror::Error;

/// Hosts that programs on this machine may send without a certificate.
const LOCAL_HOSTS_MAX: usize = 100;

/// The sender of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    label: Label,
    naming: Naming,
    /// The hosts that it may write; none for any.
    patterns: Option<Vec<Pattern>>,
    hosts_max: usize,
    /// Serial number and expiry.
    certificate: Option<(String, SystemTime)>,
}

#[derive(Debug, Error)]
pub(super) enum PeerError {
    #[error(transparent)]
    Certificate(#[from] CertError),
    #[error("only certificates of role agent or gateway may send OTLP, not {0}")]
    Role(sysmon_certs::Peer),
}

impl Peer {
    /// A program on this machine.
    pub(super) fn local() -> Self {
        Self(Arc::new(Inner {
            label: Label::new("otlp local"),
            naming: Naming::Resource,
            patterns: None,
            hosts_max: LOCAL_HOSTS_MAX,
            certificate: None,
        }))
    }

    /// The peer of a certificate (DER) whose chain is verified.
    pub(super) fn of_certificate(certificate: &[u8]) -> Result<Self, PeerError> {
        let peer = peer_of(certificate)?;
        let (naming, patterns, hosts_max) = match peer.role {
            Role::Agent => (Naming::Certificate(Label::new(peer.name.as_str())), None, 1),
            Role::Gateway => {
                let scope = scope_of(certificate)?;
                let patterns = scope.iter().flat_map(HostScope::patterns);
                // They were checked when the certificate was issued.
                let patterns = patterns.filter_map(|pattern| pattern.parse().ok());
                let max = scope.as_ref().map_or(0, |scope| scope.max() as usize);
                (Naming::Resource, Some(patterns.collect()), max)
            }
            Role::Hub | Role::Operator | Role::Edge => return Err(PeerError::Role(peer)),
        };
        let expires = validity_of(certificate)?.1;
        Ok(Self(Arc::new(Inner {
            label: Label::new(&format!("otlp {peer}")),
            naming,
            patterns,
            hosts_max,
            certificate: Some((serial_of(certificate)?, expires)),
        })))
    }

    /// As hosts name their source.
    pub(super) fn label(&self) -> &Label {
        &self.0.label
    }

    pub(super) fn naming(&self) -> &Naming {
        &self.0.naming
    }

    pub(super) fn hosts_max(&self) -> usize {
        self.0.hosts_max
    }

    /// Whether it needs no certificate.
    pub(super) fn is_local(&self) -> bool {
        self.0.certificate.is_none()
    }

    pub(super) fn serial(&self) -> Option<&str> {
        self.0
            .certificate
            .as_ref()
            .map(|(serial, _)| serial.as_str())
    }

    pub(super) fn is_expired(&self, now: SystemTime) -> bool {
        self.0
            .certificate
            .as_ref()
            .is_some_and(|(_, expires)| *expires <= now)
    }

    /// Whether its certificate lists a host.
    pub(super) fn may_write(&self, host: &str) -> bool {
        let patterns = self.0.patterns.as_ref();
        patterns.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.matches(host)))
    }

    /// Whether only the host of its certificate is meant.
    pub(super) fn is_agent(&self) -> bool {
        matches!(self.0.naming, Naming::Certificate(_))
    }
}
