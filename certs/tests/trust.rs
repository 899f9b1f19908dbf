//! Who can talk to whom: real handshakes, in memory.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, too"
)]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};
use sysmon_certs::{
    Authority, CertError, Identity, PeerName, Role, join_config, peer_of, server_name,
};
use sysmon_clock::{Clock, Random};
use sysmon_files::FileError;

const ALPN: &[&[u8]] = &[b"test/1"];

fn authority() -> Authority {
    Authority::in_memory(Clock::system().system_time(), &Random::system()).unwrap()
}

fn issue(authority: &Authority, role: Role) -> Identity {
    let name: PeerName = "someone".parse().unwrap();
    authority
        .issue(role, &name, Clock::system().system_time(), 30)
        .unwrap()
}

/// Shakes hands; the server's view of the client's certificate, or what went wrong.
fn handshake(server: &Identity, client: ClientConfig) -> Result<Vec<u8>, rustls::Error> {
    let config = Arc::new(server.server_config(ALPN, true).unwrap());
    let mut server = ServerConnection::new(config).unwrap();
    let name = ServerName::try_from(server_name(Role::Hub)).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
    }
    let shown = server.peer_certificates().unwrap_or_default();
    Ok(shown
        .first()
        .map_or_else(Vec::new, |certificate| certificate.to_vec()))
}

#[derive(Debug)]
struct NoCertificate;

impl rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _issuers: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

fn client(identity: &Identity) -> ClientConfig {
    identity.client_config(ALPN).unwrap()
}

#[test]
fn the_server_learns_who_the_client_is() {
    let authority = authority();
    let hub = issue(&authority, Role::Hub);
    for role in Role::ALL {
        let peer = issue(&authority, role);
        let certificate = handshake(&hub, client(&peer)).unwrap();
        assert_eq!(&peer_of(&certificate).unwrap(), peer.peer());
    }
}

#[test]
fn another_authoritys_peers_are_refused_both_ways() {
    let (ours, theirs) = (authority(), authority());
    let error = handshake(
        &issue(&ours, Role::Hub),
        client(&issue(&theirs, Role::Agent)),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
}

#[test]
fn a_connection_without_a_certificate_has_no_peer() {
    let authority = authority();
    let hub = issue(&authority, Role::Hub);
    let mut nobody = client(&issue(&authority, Role::Agent));
    nobody.client_auth_cert_resolver = Arc::new(NoCertificate);
    // The handshake is there for joining; whoever has no certificate is nobody to all else.
    assert!(handshake(&hub, nobody).unwrap().is_empty());
}

#[test]
fn a_joining_machine_verifies_the_hub_by_its_fingerprint() {
    let (ours, theirs) = (authority(), authority());
    let hub = issue(&ours, Role::Hub);
    let by = |authority: &Authority| join_config(authority.fingerprint().unwrap(), ALPN).unwrap();
    assert!(handshake(&hub, by(&ours)).unwrap().is_empty());
    let error = handshake(&hub, by(&theirs)).unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // A peer of the same authority that is no hub cannot pose as one.
    assert!(handshake(&issue(&ours, Role::Agent), by(&ours)).is_err());
}

#[test]
fn an_agent_certificate_cannot_act_as_the_hub() {
    let authority = authority();
    for role in [Role::Agent, Role::Operator, Role::Edge] {
        let impostor = issue(&authority, role);
        assert!(
            handshake(&impostor, client(&issue(&authority, Role::Agent))).is_err(),
            "{role}"
        );
    }
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = authority();
    let hub = issue(&authority, Role::Hub);
    let long_ago = Clock::system().system_time() - Duration::from_hours(48);
    let name: PeerName = "old".parse().unwrap();
    let old = authority.issue(Role::Agent, &name, long_ago, 1).unwrap();
    let error = handshake(&hub, client(&old)).unwrap_err().to_string();
    assert!(error.contains("expired"), "{error}");
}

#[test]
fn authority_and_identity_survive_on_disk_unreadable_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let now = Clock::system().system_time();
    let (ca, own) = (dir.path().join("ca"), dir.path().join("own"));
    let first = Authority::open_or_create(&ca, now, &Random::system()).unwrap();
    let hub = issue(&first, Role::Hub);
    let second = Authority::open_or_create(&ca, now, &Random::system()).unwrap();
    issue(&second, Role::Agent).save(&own).unwrap();
    let agent = Identity::load(&own).unwrap();
    assert!(handshake(&hub, client(&agent)).is_ok());
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&ca), mode(&own)), (0o700, 0o700));
    assert_eq!(
        (mode(&ca.join("ca-key.pem")), mode(&own.join("key.pem"))),
        (0o600, 0o600)
    );

    std::fs::set_permissions(own.join("key.pem"), PermissionsExt::from_mode(0o640)).unwrap();
    let error = Identity::load(&own).unwrap_err();
    assert!(
        matches!(error, CertError::File(FileError::Exposed(_)))
            && error.to_string().contains("chmod 600")
    );
}

#[test]
fn a_lost_authority_certificate_is_recreated_from_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let now = Clock::system().system_time();
    let before = issue(
        &Authority::open_or_create(dir.path(), now, &Random::system()).unwrap(),
        Role::Agent,
    );
    std::fs::remove_file(dir.path().join("ca.pem")).unwrap();
    let again = Authority::open_or_create(dir.path(), now, &Random::system()).unwrap();
    handshake(&issue(&again, Role::Hub), client(&before)).unwrap();

    let other = tempfile::tempdir().unwrap();
    Authority::open_or_create(other.path(), now, &Random::system()).unwrap();
    std::fs::copy(other.path().join("ca.pem"), dir.path().join("ca.pem")).unwrap();
    let error = Authority::open(dir.path(), &Random::system())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("ca-key.pem") && error.contains("does not belong"),
        "{error}"
    );
}

#[test]
fn a_validity_over_the_limit_is_shortened() {
    let name: PeerName = "x".parse().unwrap();
    let long = authority()
        .issue(Role::Agent, &name, Clock::system().system_time(), u32::MAX)
        .unwrap();
    let limit = Duration::from_hours(24) * (sysmon_certs::CERTIFICATE_DAYS_MAX + 1);
    assert!(long.not_after() < Clock::system().system_time() + limit);
}

#[test]
fn errors_name_the_missing_or_damaged_file() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Identity::load(dir.path()).unwrap_err().to_string();
    assert!(missing.contains("sysmon-hub token create"), "{missing}");
    issue(&authority(), Role::Agent).save(dir.path()).unwrap();
    std::fs::write(dir.path().join("cert.pem"), "not a certificate").unwrap();
    let damaged = Identity::load(dir.path()).unwrap_err().to_string();
    assert!(damaged.contains("cert.pem is damaged"), "{damaged}");
}

proptest! {
    #[test]
    fn a_tampered_certificate_never_makes_reading_it_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8)
    ) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let good = GOOD.get_or_init(|| {
            let authority = authority();
            let hub = issue(&authority, Role::Hub);
            handshake(&hub, client(&hub)).unwrap()
        });
        let mut bytes = good.clone();
        for (place, byte) in &changes {
            *place.get_mut(&mut bytes) = *byte;
        }
        let _ = peer_of(&bytes);
    }
}

#[test]
fn one_seed_gives_one_authority_and_the_same_keys() {
    let now = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let name: PeerName = "a".parse().unwrap();
    let make = |seed| {
        let authority = Authority::in_memory(now, &Random::seeded(seed)).unwrap();
        let agent = authority.issue(Role::Agent, &name, now, 30).unwrap();
        (authority.fingerprint().unwrap(), agent.serial().to_owned())
    };
    assert_eq!(make(7), make(7));
    assert_ne!(make(7).0, make(8).0);
    // TLS accepts the seeded keys on both sides.
    let authority = Authority::in_memory(now, &Random::seeded(7)).unwrap();
    let hub = authority.issue(Role::Hub, &name, now, 30).unwrap();
    assert!(hub.server_config(&[], true).is_ok() && hub.client_config(&[]).is_ok());
}
