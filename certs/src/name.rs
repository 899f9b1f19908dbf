//! Peer names, as certificates carry them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// As long as a DNS label, so that a name fits into a certificate and a column.
pub const PEER_NAME_BYTES_MAX: usize = 63;

/// The name of a host, operator, edge or hub, as its certificate carries it.
///
/// 1 to [`PEER_NAME_BYTES_MAX`] of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerName(Box<str>);

/// The text is not a valid [`PeerName`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} cannot be a name: use 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit"
)]
pub struct NameError(String);

impl PeerName {
    /// The valid name nearest to `text`: other characters become dashes.
    pub fn nearest(text: &str) -> Self {
        let mut name: String = text
            .chars()
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .map(|c| if is_allowed(c) { c } else { '-' })
            .take(PEER_NAME_BYTES_MAX)
            .collect();
        if name.is_empty() {
            name.push_str("host");
        }
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl FromStr for PeerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first_ok = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if first_ok && text.len() <= PEER_NAME_BYTES_MAX && text.chars().all(is_allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(
            "db-1.lan_x".parse::<PeerName>().unwrap().as_str(),
            "db-1.lan_x"
        );
        for bad in ["", "-x", "a b", "a/b", "ä", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<PeerName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn any_host_name_has_a_nearest_name() {
        assert_eq!(PeerName::nearest("Jane's Mac").as_str(), "Jane-s-Mac");
        assert_eq!(PeerName::nearest("").as_str(), "host");
        assert_eq!(PeerName::nearest("../../etc").as_str(), "etc");
    }
}
