//! Bearer tokens: a secret that a program sends with each HTTP request.

use std::fmt;
use std::path::Path;

use ring::digest::{Digest, SHA256, digest};
use sysmon_files::read_secret;
use thiserror::Error;

use crate::CertError;

/// Shorter ones can be guessed.
const BYTES_MIN: usize = 16;

/// A token that clients have to send. Only its hash stays in memory: hashes of equal length are compared, so the time
/// says nothing about the token.
#[derive(Clone)]
pub struct BearerToken(Digest);

/// Why there is no usable token in a file.
#[derive(Debug, Error)]
pub enum BearerTokenError {
    /// It cannot be read, or others can read it.
    #[error(transparent)]
    File(#[from] CertError),
    /// It is too short.
    #[error(
        "its first line has fewer than {BYTES_MIN} characters; write a random one, for example by `openssl rand -hex 32`"
    )]
    Short,
}

impl BearerToken {
    /// Reads the first line of a file that only its owner can read.
    ///
    /// # Errors
    /// The file cannot be read, others can read it, or the token is too short.
    pub fn read(path: &Path) -> Result<Self, BearerTokenError> {
        let text = read_secret(path).map_err(CertError::from)?;
        let token = text.lines().next().unwrap_or_default().trim();
        match token.len() >= BYTES_MIN {
            true => Ok(Self(digest(&SHA256, token.as_bytes()))),
            false => Err(BearerTokenError::Short),
        }
    }

    /// Whether the value of an `Authorization` header has the token.
    pub fn is_in(&self, authorization: &str) -> bool {
        let Some((scheme, sent)) = authorization.split_once(' ') else {
            return false;
        };
        let sent = digest(&SHA256, sent.trim().as_bytes());
        scheme.eq_ignore_ascii_case("bearer") && sent.as_ref() == self.0.as_ref()
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_files::write_private;

    #[test]
    fn a_token_is_the_first_line_of_a_private_file_and_never_short() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        write_private(&path, "0123456789abcdef\nnote\n").unwrap();
        let token = BearerToken::read(&path).unwrap();
        assert!(token.is_in("Bearer 0123456789abcdef") && token.is_in("bearer 0123456789abcdef"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcdeg",
        ] {
            assert!(!token.is_in(wrong), "{wrong}");
        }
        assert!(!format!("{token:?}").contains("0123"));
        write_private(&path, "short\n").unwrap();
        assert!(matches!(
            BearerToken::read(&path),
            Err(BearerTokenError::Short)
        ));
    }
}
