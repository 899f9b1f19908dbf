//! What the peer's certificate says, and whether one's own is due for renewal.

use std::time::{Duration, SystemTime};

use quinn::Connection;
use rustls::pki_types::CertificateDer;
use sysmon_certs::{Identity, Peer, peer_of, serial_of, validity_of};

use crate::LinkError;

/// The certificate that a peer presented.
#[derive(Clone, Debug)]
pub struct PeerCertificate {
    /// Role and name.
    pub peer: Peer,
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// The whole certificate.
    pub der: CertificateDer<'static>,
    /// When it expires.
    pub expires: SystemTime,
}

/// The certificates that the peer presented, its own first; empty if none.
fn chain(connection: &Connection) -> Vec<CertificateDer<'static>> {
    connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok())
        .map_or_else(Vec::new, |chain| *chain)
}

/// The peer's certificate; `None` if it presented none.
///
/// # Errors
/// The certificate names no sysmon peer.
pub fn peer_certificate(connection: &Connection) -> Result<Option<PeerCertificate>, LinkError> {
    let chain = chain(connection);
    let Some(end) = chain.first() else {
        return Ok(None);
    };
    Ok(Some(PeerCertificate {
        peer: peer_of(end)?,
        serial: serial_of(end)?,
        der: end.clone(),
        expires: validity_of(end)?.1,
    }))
}

/// Whether two thirds of the certificate's life have passed on the hub's clock, or the hub presents an authority
/// that the identity does not know. `now` is this machine's clock, `clock_offset_ms` how far it is ahead of the hub's.
pub(crate) fn is_renewal_due(
    connection: &Connection,
    now: SystemTime,
    clock_offset_ms: i64,
    identity: &Identity,
) -> bool {
    let offset = Duration::from_millis(clock_offset_ms.unsigned_abs());
    let hub_now = if clock_offset_ms < 0 {
        now + offset
    } else {
        now - offset
    };
    let mut authorities = chain(connection).into_iter().skip(1);
    let is_new = authorities.any(|authority| !identity.authorities().contains(&authority));
    is_new || identity.is_renewal_due(hub_now)
}
