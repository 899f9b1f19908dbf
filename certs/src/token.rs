//! Join tokens: one line that lets a machine get its first certificate.
//!
//! A token carries the fingerprint of the hub's authority, so that the joining machine knows the hub before it
//! sends anything, and a secret that the hub keeps only as a hash.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files::{create_private_dir, read_private, write_private};
use crate::{CertError, PeerName, Role};

/// What tokens begin with: the version of their format.
const PREFIX: &str = "sysmon1.";

/// Bytes of the secret: too many to be guessed.
const SECRET_BYTES: usize = 16;

/// Digits of the hash that name a token in lists.
const ID_DIGITS: usize = 8;

/// TokenStore that may wait to be used.
const TOKENS_MAX: usize = 1_000;

/// The SHA-256 of an authority's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }
}

/// A token as it is pasted.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    fingerprint: Fingerprint,
    secret: [u8; SECRET_BYTES],
}

/// A text that is no token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "this is not a whole join token: it begins with {PREFIX} and is one word, as `sysmon-hub token create` printed it"
)]
pub struct TokenError;

impl Token {
    /// The authority whose hub it is for.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// What proves that one has it.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.fingerprint.0[..], &self.secret].concat();
        write!(f, "{PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError)?;
        let bytes = BASE64URL_NOPAD
            .decode(encoded.as_bytes())
            .map_err(|_| TokenError)?;
        let (fingerprint, secret) = bytes.split_first_chunk::<32>().ok_or(TokenError)?;
        Ok(Self {
            fingerprint: Fingerprint(*fingerprint),
            secret: secret.try_into().map_err(|_| TokenError)?,
        })
    }
}

/// What the hub keeps of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The SHA-256 of the secret, in hexadecimal digits.
    hash: String,
    role: String,
    name: Option<String>,
    expires_ms: u64,
}

impl StoredToken {
    /// What it is called in lists.
    pub fn id(&self) -> &str {
        self.hash.get(..ID_DIGITS).unwrap_or(&self.hash)
    }

    /// The role of whoever joins with it.
    pub fn role(&self) -> Option<Role> {
        self.role.parse().ok()
    }

    /// The name of whoever joins with it, if it is bound to one.
    pub fn name(&self) -> Option<PeerName> {
        self.name.as_ref()?.parse().ok()
    }

    /// When it expires.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.expires_ms)
    }
}

/// Why a token is not taken.
#[derive(Debug, Error)]
pub enum TokenStoreError {
    /// It is not known.
    #[error("this token is not known: it was used before, revoked, or is of another hub")]
    Unknown,
    /// It is too old.
    #[error("this token has expired: make another with `sysmon-hub token create`")]
    Expired,
    /// Too many.
    #[error("{TOKENS_MAX} tokens wait to be used, the limit: revoke some")]
    TooMany,
    /// The file system.
    #[error(transparent)]
    Files(#[from] CertError),
}

/// The tokens of a hub: a file each, so that using one is removing it, which only one can do.
#[derive(Clone, Debug)]
pub struct TokenStore {
    dir: PathBuf,
}

impl TokenStore {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.dir.join(hash)
    }

    /// Makes a token that is good once, for `ttl` from `now`.
    pub fn create(
        &self,
        fingerprint: Fingerprint,
        role: Role,
        name: Option<&PeerName>,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<(Token, StoredToken), TokenStoreError> {
        if self.list()?.len() >= TOKENS_MAX {
            return Err(TokenStoreError::TooMany);
        }
        let mut secret = [0; SECRET_BYTES];
        let filled = SystemRandom::new().fill(&mut secret);
        filled.map_err(|_| CertError::Tls("the system has no random numbers".to_owned()))?;
        let expires = (now + ttl).duration_since(UNIX_EPOCH).unwrap_or_default();
        let grant = StoredToken {
            hash: hash(&secret),
            role: role.to_string(),
            name: name.map(ToString::to_string),
            expires_ms: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
        };
        create_private_dir(&self.dir)?;
        let text = serde_json::to_string(&grant).unwrap_or_default();
        write_private(&self.path(&grant.hash), &text)?;
        Ok((
            Token {
                fingerprint,
                secret,
            },
            grant,
        ))
    }

    /// All tokens that were not used, by when they expire.
    pub fn list(&self) -> Result<Vec<StoredToken>, CertError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(CertError::Read {
                    path: self.dir.clone(),
                    source,
                });
            }
        };
        let mut grants: Vec<StoredToken> = entries
            .flatten()
            .filter_map(|entry| read_grant(&entry.path()))
            .collect();
        grants.sort_by_key(|grant| grant.expires_ms);
        Ok(grants)
    }

    /// Removes a token by the beginning of its name in lists; whether there was one.
    pub fn revoke(&self, id: &str) -> Result<bool, CertError> {
        let mut any = false;
        for grant in self
            .list()?
            .iter()
            .filter(|grant| !id.is_empty() && grant.hash.starts_with(id))
        {
            any |= self.remove(&grant.hash)?;
        }
        Ok(any)
    }

    fn remove(&self, hash: &str) -> Result<bool, CertError> {
        let path = self.path(hash);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(CertError::Write { path, source }),
        }
    }

    /// Looks a secret up without using it.
    pub fn find(&self, secret: &[u8], now: SystemTime) -> Result<StoredToken, TokenStoreError> {
        let hash = hash(secret);
        let grant = read_grant(&self.path(&hash)).filter(|grant| grant.hash == hash);
        let grant = grant.ok_or(TokenStoreError::Unknown)?;
        if grant.expires() <= now {
            self.remove(&hash)?;
            return Err(TokenStoreError::Expired);
        }
        Ok(grant)
    }

    /// Uses a grant up: true for the one who did.
    pub fn consume(&self, grant: &StoredToken) -> Result<bool, CertError> {
        self.remove(&grant.hash)
    }
}

fn hash(secret: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, secret).as_ref())
}

fn read_grant(path: &Path) -> Option<StoredToken> {
    serde_json::from_str(&read_private(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_good_once_and_for_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenStore::new(dir.path().join("tokens"));
        assert!(tokens.list().unwrap().is_empty());
        let now = SystemTime::now();
        let hour = Duration::from_hours(1);
        let name: PeerName = "db-1".parse().unwrap();
        let make = || {
            tokens
                .create(Fingerprint([7; 32]), Role::Agent, Some(&name), hour, now)
                .unwrap()
        };
        let (token, grant) = make();
        let pasted: Token = token.to_string().parse().unwrap();
        assert_eq!(pasted, token);
        let found = tokens.find(pasted.secret(), now).unwrap();
        assert_eq!(
            (found.role(), found.name()),
            (Some(Role::Agent), Some(name.clone()))
        );
        assert_eq!(found, grant);
        assert!(tokens.consume(&found).unwrap());
        assert!(!tokens.consume(&found).unwrap(), "only once");
        assert!(matches!(
            tokens.find(pasted.secret(), now),
            Err(TokenStoreError::Unknown)
        ));
        let (token, _) = make();
        assert!(matches!(
            tokens.find(token.secret(), now + hour),
            Err(TokenStoreError::Expired)
        ));
        let (token, grant) = make();
        let stored = fs::read_to_string(tokens.path(&grant.hash)).unwrap();
        let secret = HEXLOWER.encode(token.secret());
        assert!(!stored.contains(&secret), "only its hash is kept");
        assert!(tokens.revoke(grant.id()).unwrap());
        assert!(!tokens.revoke(grant.id()).unwrap() && !tokens.revoke("").unwrap());
    }

    proptest! {
        #[test]
        fn altered_tokens_are_other_tokens_or_none(at in 0usize..72, c in "[A-Za-z0-9_-]") {
            let token = Token { fingerprint: Fingerprint([3; 32]), secret: [9; SECRET_BYTES] };
            let mut text = token.to_string();
            prop_assume!(text.get(at..=at) != Some(c.as_str()));
            text.replace_range(at..=at, &c);
            if let Ok(other) = text.parse::<Token>() {
                prop_assert_ne!(other, token);
            }
        }
    }
}
