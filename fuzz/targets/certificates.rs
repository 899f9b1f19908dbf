//! Arbitrary bytes as a certificate, a signing request, or the response of a hub; the first byte selects which.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use sysmon_certs::{Authority, Identity, Role, is_of_same_key, peer_of, serial_of, validity_of};

/// One authority for all inputs, and an identity that it issued.
static KNOWN: LazyLock<(Authority, Identity)> = LazyLock::new(|| {
    let authority =
        Authority::in_memory(now(), &sysmon_clock::Random::system()).expect("an authority");
    let identity = authority.issue(Role::Agent, &name(), now(), 30);
    (authority, identity.expect("an identity"))
});

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn name() -> sysmon_certs::PeerName {
    "web-1".parse().expect("a name")
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else {
        return;
    };
    match kind {
        0 => certificate(bytes),
        1 => request(bytes),
        _ => answer(bytes),
    }
});

/// A certificate as the handshake passes it on.
fn certificate(bytes: &[u8]) {
    let _ = (
        serial_of(bytes),
        validity_of(bytes),
        is_of_same_key(bytes, bytes),
    );
    if let Ok(peer) = peer_of(bytes) {
        assert!(peer.name.as_str().parse::<sysmon_certs::PeerName>().is_ok());
    }
}

/// Whatever the request contains, the signed certificate has the name that the hub chose.
fn request(bytes: &[u8]) {
    let (authority, identity) = &*KNOWN;
    let own = identity.renewal_request().expect("a request");
    let _ = is_of_same_key(bytes, &own);
    if let Ok(signed) = authority.sign(bytes, Role::Agent, &name(), now(), 30) {
        assert_eq!(signed.serial.len(), 32);
    }
}

/// Two PEM texts separated by a zero byte.
fn answer(bytes: &[u8]) {
    let (_, identity) = &*KNOWN;
    let text = String::from_utf8_lossy(bytes);
    let (authority, certificate) = text.split_once('\0').unwrap_or((&text, ""));
    if let Ok(renewed) = identity.renewed(authority, certificate) {
        assert_eq!(renewed.peer(), identity.peer());
    }
}
