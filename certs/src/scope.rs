//! Which hosts a gateway may write, as its certificate says.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::CertError;
use crate::name::PEER_NAME_BYTES_MAX;

/// A certificate has its scope in a URI among the subject alternative names: `sysmon-hosts:PATTERNS;max=N`.
const SCHEME: &str = "sysmon-hosts:";

/// Patterns of one scope.
const PATTERNS_MAX: usize = 16;

/// Hosts of one gateway: as many as a hub has.
const HOSTS_MAX: u32 = 10_000;

/// Patterns of host names with `*`, and how many hosts there may be at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostScope {
    patterns: Vec<String>,
    max: u32,
}

/// The text is not a list of patterns, or the number of hosts is out of range.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// A pattern is empty, too long or has other characters.
    #[error(
        "{0:?} cannot be a host or pattern: use 1 to 63 letters, digits, dots, dashes, underscores or *"
    )]
    Pattern(String),
    /// There are none, or too many.
    #[error("a gateway has 1 to {PATTERNS_MAX} hosts or patterns, with commas between them")]
    Count,
    /// Not from 1 to [`HOSTS_MAX`].
    #[error("a gateway may have 1 to {HOSTS_MAX} hosts")]
    Max,
}

impl HostScope {
    /// Hosts of a gateway that was given no number.
    pub const USUAL: u32 = 100;

    /// The hosts in `patterns`, at most `max` at a time.
    ///
    /// # Errors
    /// A pattern is invalid, there are too many, or `max` is out of range.
    pub fn new(patterns: &str, max: u32) -> Result<Self, ScopeError> {
        let patterns: Vec<String> = patterns.split(',').map(|p| p.trim().to_owned()).collect();
        if patterns.len() > PATTERNS_MAX {
            return Err(ScopeError::Count);
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
        let is_valid = |pattern: &&String| {
            (1..=PEER_NAME_BYTES_MAX).contains(&pattern.len()) && pattern.chars().all(is_allowed)
        };
        if let Some(wrong) = patterns.iter().find(|pattern| !is_valid(pattern)) {
            return Err(ScopeError::Pattern(wrong.chars().take(80).collect()));
        }
        if !(1..=HOSTS_MAX).contains(&max) {
            return Err(ScopeError::Max);
        }
        Ok(Self { patterns, max })
    }

    /// The patterns.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Hosts at a time.
    pub fn max(&self) -> u32 {
        self.max
    }

    pub(crate) fn uri(&self) -> String {
        format!("{SCHEME}{self}")
    }

    fn from_uri(uri: &str) -> Option<Self> {
        uri.strip_prefix(SCHEME)?.parse().ok()
    }
}

impl fmt::Display for HostScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};max={}", self.patterns.join(","), self.max)
    }
}

impl FromStr for HostScope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let (patterns, max) = text.split_once(";max=").ok_or(ScopeError::Max)?;
        Self::new(patterns, max.parse().map_err(|_| ScopeError::Max)?)
    }
}

/// The scope in a certificate (DER) whose chain is verified; none if it has no valid one.
///
/// # Errors
/// The certificate does not parse.
pub fn scope_of(certificate: &[u8]) -> Result<Option<HostScope>, CertError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertError::NoPeer)?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let mut scopes = names.iter().flat_map(|names| {
        let names = names.value.general_names.iter();
        names.filter_map(|name| match name {
            GeneralName::URI(uri) => HostScope::from_uri(uri),
            _ => None,
        })
    });
    match (scopes.next(), scopes.next()) {
        (scope, None) => Ok(scope),
        _ => Err(CertError::NoPeer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Role};
    use rustls_pki_types::pem::PemObject;
    use sysmon_clock::{Clock, Random};

    #[test]
    fn a_scope_is_checked_and_survives_its_certificate_and_the_renewal() {
        let scope = HostScope::new("web-*, db-1", 50).unwrap();
        assert_eq!(scope.to_string(), "web-*,db-1;max=50");
        assert_eq!(scope.to_string().parse(), Ok(scope.clone()));
        for (patterns, max) in [
            ("", 1),
            ("a,,b", 1),
            ("a b", 1),
            ("a;max=9", 1),
            ("a", 0),
            ("a", 10_001),
        ] {
            assert!(HostScope::new(patterns, max).is_err(), "{patterns:?} {max}");
        }
        assert_eq!(
            HostScope::new(&["a"; 17].join(","), 1),
            Err(ScopeError::Count)
        );
        let now = Clock::system().system_time();
        let authority = Authority::in_memory(now, &Random::system()).unwrap();
        let name = "col-1".parse().unwrap();
        let issued = authority
            .issue_scoped(Role::Gateway, &name, Some(&scope), now, 30)
            .unwrap();
        let found = scope_of(issued.certificate()).unwrap();
        assert_eq!(found, Some(scope.clone()));
        let request = issued.renewal_request().unwrap();
        let signed = authority
            .sign_scoped(&request, Role::Gateway, &name, found.as_ref(), now, 30)
            .unwrap();
        let pem = signed.certificate_pem.as_bytes();
        let der = rustls_pki_types::CertificateDer::from_pem_slice(pem).unwrap();
        assert_eq!(scope_of(&der).unwrap(), Some(scope));
        let agent = authority.issue(Role::Agent, &name, now, 30).unwrap();
        assert_eq!(scope_of(agent.certificate()).unwrap(), None);
    }
}
