//! Join tokens: one line that lets a machine, or several, get a first certificate.
//!
//! A token carries the fingerprint of the hub's authority, by which the joining machine verifies the hub before it sends
//! anything, and a secret that the hub stores only as a hash.

use std::fmt;
use std::fs;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use sysmon_clock::Random;
use thiserror::Error;

use sysmon_files::{
    FileError, ReferenceError, create_private_subdir, read_private, remove_file, resolve_reference,
    write_private,
};

use crate::{CertError, Fingerprint, HostScope, PeerName, Role};

/// Every token starts with the version of the format.
const PREFIX: &str = "sysmon1.";

/// 128 bits: infeasible to guess.
const SECRET_BYTES: usize = 16;

/// Longest line that may hold a token.
const LINE_BYTES_MAX: u64 = 1024;

/// Digits of the hash that identify a token in lists.
const ID_DIGITS: usize = 8;

/// Unused tokens at one time.
const TOKENS_MAX: usize = 1_000;

/// Time for which an expired token is reported as expired; afterwards it is unknown.
const EXPIRED_KEPT: Duration = Duration::from_hours(7 * 24);

/// A token as an operator copies it to the joining machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    fingerprint: Fingerprint,
    secret: [u8; SECRET_BYTES],
}

/// The text is not a token.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "not a complete join token: copy the whole word starting with {PREFIX} that `sysmon-hub token create` printed"
)]
pub struct TokenError;

/// The token that a setting names cannot be used.
#[derive(Debug, Error)]
pub enum TokenReferenceError {
    /// The file or variable cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReferenceError),
    /// It contains something else.
    #[error("{from}: {source}")]
    Invalid {
        /// Where it was read.
        from: String,
        /// What is expected.
        source: TokenError,
    },
}

impl Token {
    /// The fingerprint of the authority to join.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Reads the token that a setting names as `file:PATH` or `env:NAME`.
    ///
    /// # Errors
    /// The file or variable cannot be read, or does not contain a token.
    pub fn from_reference(reference: &str) -> Result<Self, TokenReferenceError> {
        let text = resolve_reference(reference)?.unwrap_or_default();
        let token = text.parse();
        token.map_err(|source| TokenReferenceError::Invalid {
            from: reference.to_owned(),
            source,
        })
    }

    /// Proves to the hub that the token was issued.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }
}

/// A token on a command line: itself, or `-` for the first line of standard input, which unlike arguments other users of the
/// machine cannot see.
#[derive(Clone, Debug)]
pub enum TokenArgument {
    /// The token.
    Given(Token),
    /// It is on standard input.
    Input,
}

impl TokenArgument {
    /// The token.
    ///
    /// # Errors
    /// Standard input has none.
    pub fn read(&self) -> Result<Token, TokenReferenceError> {
        let Self::Given(token) = self else {
            let mut line = String::new();
            // What cannot be read is no token either.
            let _ = std::io::stdin()
                .lock()
                .take(LINE_BYTES_MAX)
                .read_line(&mut line);
            return line.parse().map_err(|source| TokenReferenceError::Invalid {
                from: "standard input".to_owned(),
                source,
            });
        };
        Ok(token.clone())
    }
}

impl FromStr for TokenArgument {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        match text {
            "-" => Ok(Self::Input),
            token => token.parse().map(Self::Given),
        }
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

/// What the hub stores of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredToken {
    /// The SHA-256 of the secret, in hexadecimal digits.
    hash: String,
    role: String,
    name: Option<String>,
    /// The hosts that a gateway may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// How many more machines may join.
    uses: u32,
    expires_ms: u64,
}

/// What a token is valid for.
#[derive(Clone, Copy, Debug)]
pub struct TokenTerms<'a> {
    /// The role that joining peers receive.
    pub role: Role,
    /// The name that the joining peer receives; `None` if it may choose.
    pub name: Option<&'a PeerName>,
    /// The hosts that a joining gateway may write.
    pub scope: Option<&'a HostScope>,
    /// How many machines may join.
    pub uses: u32,
    /// How long the token is valid.
    pub ttl: Duration,
}

impl StoredToken {
    /// Identifies the token in lists.
    pub fn id(&self) -> &str {
        self.hash.get(..ID_DIGITS).unwrap_or(&self.hash)
    }

    /// The role that the joining peer receives.
    pub fn role(&self) -> Option<Role> {
        self.role.parse().ok()
    }

    /// The name that the joining peer receives; `None` if it may choose.
    pub fn name(&self) -> Option<PeerName> {
        self.name.as_ref()?.parse().ok()
    }

    /// The hosts that a joining gateway may write.
    pub fn scope(&self) -> Option<HostScope> {
        self.scope.as_ref()?.parse().ok()
    }

    /// How many more machines may join.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// When the token expires.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.expires_ms)
    }
}

/// Why a token cannot be created or used.
#[derive(Debug, Error)]
pub enum TokenStoreError {
    /// No such token is stored.
    #[error("unknown token: already used, revoked, or from another hub")]
    Unknown,
    /// Its lifetime has ended.
    #[error("this token has expired: create another with `sysmon-hub token create`")]
    Expired,
    /// The limit of unused tokens is reached.
    #[error("{TOKENS_MAX} unused tokens, the limit: revoke some with `sysmon-hub token revoke`")]
    TooMany,
    /// The token's file cannot be read or written.
    #[error(transparent)]
    Files(#[from] CertError),
}

/// The unused tokens of a hub, one file each: the last use of a token removes its file, which succeeds only once.
#[derive(Clone, Debug)]
pub struct TokenStore {
    dir: PathBuf,
    random: Random,
}

impl TokenStore {
    pub(crate) fn new(dir: PathBuf, random: &Random) -> Self {
        Self {
            dir,
            random: random.clone(),
        }
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.dir.join(hash)
    }

    /// Creates a token that works once, until `ttl` after `now`; removes those that expired long ago.
    ///
    /// # Errors
    /// Too many tokens are unused, there is no randomness, or the file cannot be written.
    pub fn create(
        &self,
        fingerprint: Fingerprint,
        role: Role,
        name: Option<&PeerName>,
        ttl: Duration,
        now: SystemTime,
    ) -> Result<(Token, StoredToken), TokenStoreError> {
        let terms = TokenTerms {
            role,
            name,
            scope: None,
            uses: 1,
            ttl,
        };
        self.create_for(fingerprint, &terms, now)
    }

    /// Like [`TokenStore::create`], for any terms.
    ///
    /// # Errors
    /// As [`TokenStore::create`].
    pub fn create_for(
        &self,
        fingerprint: Fingerprint,
        terms: &TokenTerms<'_>,
        now: SystemTime,
    ) -> Result<(Token, StoredToken), TokenStoreError> {
        let (over, kept): (Vec<_>, Vec<_>) = self
            .list()?
            .into_iter()
            .partition(|stored| stored.expires() + EXPIRED_KEPT <= now);
        for stored in over {
            self.remove(&stored.hash)?;
        }
        if kept.iter().filter(|stored| stored.expires() > now).count() >= TOKENS_MAX {
            return Err(TokenStoreError::TooMany);
        }
        let mut secret = [0; SECRET_BYTES];
        let filled = self.random.fill_secret(&mut secret);
        filled.map_err(CertError::from)?;
        let expires = (now + terms.ttl)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let stored = StoredToken {
            hash: hash(&secret),
            role: terms.role.to_string(),
            name: terms.name.map(ToString::to_string),
            scope: terms.scope.map(ToString::to_string),
            uses: terms.uses,
            expires_ms: u64::try_from(expires.as_millis()).unwrap_or(u64::MAX),
        };
        create_private_subdir(&self.dir).map_err(CertError::from)?;
        self.write(&stored)?;
        Ok((
            Token {
                fingerprint,
                secret,
            },
            stored,
        ))
    }

    /// All unused tokens, soonest to expire first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<StoredToken>, CertError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(FileError::Read {
                    path: self.dir.clone(),
                    source,
                }
                .into());
            }
        };
        let mut tokens: Vec<StoredToken> = entries
            .flatten()
            .filter_map(|entry| read_stored(&entry.path()))
            .collect();
        tokens.sort_by_key(|stored| stored.expires_ms);
        Ok(tokens)
    }

    /// Revokes the tokens whose [`StoredToken::id`] starts with `id`; returns whether there was one.
    ///
    /// # Errors
    /// A file cannot be read or removed.
    pub fn revoke(&self, id: &str) -> Result<bool, CertError> {
        let mut any = false;
        for stored in self
            .list()?
            .iter()
            .filter(|stored| !id.is_empty() && stored.hash.starts_with(id))
        {
            any |= self.remove(&stored.hash)?;
        }
        Ok(any)
    }

    fn write(&self, stored: &StoredToken) -> Result<(), CertError> {
        let text = serde_json::to_string(stored).unwrap_or_default();
        Ok(write_private(&self.path(&stored.hash), &text)?)
    }

    fn remove(&self, hash: &str) -> Result<bool, CertError> {
        Ok(remove_file(&self.path(hash))?)
    }

    /// Finds the token of a secret without using it up.
    ///
    /// # Errors
    /// The token is unknown or has expired.
    pub fn find(&self, secret: &[u8], now: SystemTime) -> Result<StoredToken, TokenStoreError> {
        let hash = hash(secret);
        let stored = read_stored(&self.path(&hash)).filter(|stored| stored.hash == hash);
        let stored = stored.ok_or(TokenStoreError::Unknown)?;
        if stored.expires() <= now {
            self.remove(&hash)?;
            return Err(TokenStoreError::Expired);
        }
        Ok(stored)
    }

    /// Uses the token once; false if all its uses are spent. Only one program at a time may call this for a directory:
    /// the one that holds the lock of the hub's state.
    ///
    /// # Errors
    /// The file cannot be read, written or removed.
    pub fn consume(&self, stored: &StoredToken) -> Result<bool, CertError> {
        match read_stored(&self.path(&stored.hash)) {
            Some(present) if present.uses > 1 => {
                let uses = present.uses - 1;
                self.write(&StoredToken { uses, ..present })?;
                Ok(true)
            }
            _ => self.remove(&stored.hash),
        }
    }
}

fn hash(secret: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, secret).as_ref())
}

fn read_stored(path: &Path) -> Option<StoredToken> {
    serde_json::from_str(&read_private(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_works_once_until_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenStore::new(dir.path().join("tokens"), &Random::system());
        assert!(tokens.list().unwrap().is_empty());
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let hour = Duration::from_hours(1);
        let name: PeerName = "db-1".parse().unwrap();
        let make = || {
            tokens
                .create(Fingerprint([7; 32]), Role::Agent, Some(&name), hour, now)
                .unwrap()
        };
        let (token, stored) = make();
        let pasted: Token = token.to_string().parse().unwrap();
        assert_eq!(pasted, token);
        let found = tokens.find(pasted.secret(), now).unwrap();
        assert_eq!(
            (found.role(), found.name()),
            (Some(Role::Agent), Some(name.clone()))
        );
        assert_eq!(found, stored);
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
        let (token, stored) = make();
        let file = fs::read_to_string(tokens.path(&stored.hash)).unwrap();
        let secret = HEXLOWER.encode(token.secret());
        assert!(!file.contains(&secret), "only the hash is stored");
        assert!(tokens.revoke(stored.id()).unwrap());
        assert!(!tokens.revoke(stored.id()).unwrap() && !tokens.revoke("").unwrap());
    }

    #[test]
    fn a_token_of_several_uses_works_that_often() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenStore::new(dir.path().join("tokens"), &Random::system());
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let terms = TokenTerms {
            role: Role::Agent,
            name: None,
            scope: None,
            uses: 3,
            ttl: Duration::from_hours(1),
        };
        let (token, stored) = tokens
            .create_for(Fingerprint([7; 32]), &terms, now)
            .unwrap();
        for left in [3, 2, 1] {
            let found = tokens.find(token.secret(), now).unwrap();
            assert_eq!(found.uses(), left);
            assert!(tokens.consume(&found).unwrap());
        }
        assert!(!tokens.consume(&stored).unwrap(), "all uses are spent");
        let again = tokens.find(token.secret(), now);
        assert!(matches!(again, Err(TokenStoreError::Unknown)));
        assert!(!dir.path().join("tokens").join(&stored.hash).exists());
    }

    #[test]
    fn tokens_that_nobody_used_in_time_leave_room_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenStore::new(dir.path().to_owned(), &Random::system());
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let hour = Duration::from_hours(1);
        let make = |now| tokens.create(Fingerprint([7; 32]), Role::Agent, None, hour, now);
        let (_, stored) = make(now).unwrap();
        for number in 1..TOKENS_MAX {
            let copy = StoredToken {
                hash: format!("{number:064}"),
                ..stored.clone()
            };
            let text = serde_json::to_string(&copy).unwrap();
            write_private(&tokens.path(&copy.hash), &text).unwrap();
        }
        assert!(matches!(make(now), Err(TokenStoreError::TooMany)));
        let later = now + hour;
        let (token, _) = make(later).unwrap();
        assert_eq!(tokens.list().unwrap().len(), TOKENS_MAX + 1);
        make(later + EXPIRED_KEPT + hour).unwrap();
        assert_eq!(tokens.list().unwrap().len(), 1);
        let found = tokens.find(token.secret(), later);
        assert!(matches!(found, Err(TokenStoreError::Unknown)));
    }

    proptest! {
        #[test]
        fn an_altered_token_never_equals_the_original(at in 0usize..72, c in "[A-Za-z0-9_-]") {
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
