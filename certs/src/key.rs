//! Key pairs: the one place that generates them.

use data_encoding::BASE64;
use rcgen::KeyPair;
use sysmon_clock::Random;

use crate::CertError;

/// PKCS #8 v1 around an Ed25519 seed (RFC 8410, section 7).
const ED25519_PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A new key pair: ECDSA P-256 from the operating system's randomness, or an Ed25519 key that follows from the seed, for
/// simulations.
pub(crate) fn generate(random: &Random) -> Result<KeyPair, CertError> {
    if !random.is_seeded() {
        return Ok(KeyPair::generate()?);
    }
    let mut seed = [0; 32];
    random.fill_secret(&mut seed)?;
    ed25519(&seed)
}

/// The Ed25519 key that follows from a seed.
pub(crate) fn ed25519(seed: &[u8; 32]) -> Result<KeyPair, CertError> {
    let der = [&ED25519_PKCS8_PREFIX[..], seed].concat();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64.encode(&der)
    );
    Ok(KeyPair::from_pem(&pem)?)
}
