//! The secret by which a restarted listener tells its peers that their connections are gone.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use ring::hmac;
use sysmon_clock::Random;

use sysmon_files::{create_private_dir, read_private, write_private};

use crate::{CertError, HubState};

const FILE: &str = "reset.key";
const BYTES: usize = 32;

/// Stateless reset tokens and connection IDs follow from it (RFC 9000, section 10.3). It outlives the process and every
/// certificate: a listener that was killed answers the packets of its former connections with a reset, and its peers
/// reconnect at once instead of waiting for the idle time-out.
#[derive(Clone)]
pub struct ResetSecret([u8; BYTES]);

impl ResetSecret {
    /// A new one, for a listener without a state directory.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub fn generate(random: &Random) -> Result<Self, CertError> {
        let mut secret = [0; BYTES];
        random.fill_secret(&mut secret)?;
        Ok(Self(secret))
    }

    /// The secret in `dir`, created at the first start. A damaged one is replaced: that costs one slow reconnection.
    ///
    /// # Errors
    /// The file can be read by other users, or cannot be read or written.
    pub fn open_or_create(dir: &Path, random: &Random) -> Result<Self, CertError> {
        let path = dir.join(FILE);
        if path.exists() {
            let text = read_private(&path)?;
            let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok();
            if let Some(secret) = bytes.and_then(|bytes| bytes.try_into().ok()) {
                return Ok(Self(secret));
            }
        }
        let new = Self::generate(random)?;
        create_private_dir(dir)?;
        write_private(&path, format!("{}\n", HEXLOWER.encode(&new.0)))?;
        Ok(new)
    }

    /// A key for one purpose; keys of different purposes say nothing about each other.
    pub fn derive(&self, purpose: &str) -> [u8; BYTES] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut derived = [0; BYTES];
        derived.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        derived
    }
}

impl fmt::Debug for ResetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetSecret(…)")
    }
}

impl HubState {
    /// The hub's reset secret, created at its first start.
    ///
    /// # Errors
    /// As [`ResetSecret::open_or_create`].
    pub fn reset_secret(&self, random: &Random) -> Result<ResetSecret, CertError> {
        ResetSecret::open_or_create(self.dir(), random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_files::FileError;

    #[test]
    fn the_secret_outlives_the_process_and_a_damaged_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let open = || ResetSecret::open_or_create(dir.path(), &Random::system()).unwrap();
        let first = open();
        assert_eq!(first.0, open().0);
        assert_ne!(first.derive("a"), first.derive("b"));
        write_private(&dir.path().join(FILE), "garbage").unwrap();
        let replaced = open();
        assert_ne!(first.0, replaced.0);
        assert_eq!(replaced.0, open().0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(FILE);
            let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(), 0o600);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
            let exposed = ResetSecret::open_or_create(dir.path(), &Random::system());
            assert!(matches!(
                exposed,
                Err(CertError::File(FileError::Exposed(_)))
            ));
        }
    }
}
