//! Hub addresses: `HOST:PORT`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The port of a hub if the address names none.
pub const DEFAULT_PORT: u16 = 7979;

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAddress {
    host: String,
    port: u16,
}

/// The text is not a hub address.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is not HOST:PORT; write for example \"lan-box:7979\", \"192.168.1.5\" or \"[::1]:7979\""
)]
pub struct HubAddressError(String);

impl HubAddress {
    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the port is [`DEFAULT_PORT`].
    pub fn is_usual_port(&self) -> bool {
        self.port == DEFAULT_PORT
    }
}

impl FromStr for HubAddress {
    type Err = HubAddressError;

    fn from_str(text: &str) -> Result<Self, HubAddressError> {
        let wrong = || HubAddressError(text.chars().take(80).collect());
        let (host, port) = host_and_port(text, DEFAULT_PORT).ok_or_else(wrong)?;
        Ok(Self { host, port })
    }
}

/// The parts of `HOST`, `HOST:PORT`, `[ADDRESS]` or `[ADDRESS]:PORT`.
pub(crate) fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match port {
                "" => (host, ""),
                _ => (host, port.strip_prefix(':')?),
            }
        }
        None if text.matches(':').count() > 1 => return None,
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || !host.chars().all(is_name) || text.ends_with(':') {
        return None;
    }
    let port = match port {
        "" => default_port,
        _ => port.parse().ok().filter(|port| *port != 0)?,
    };
    Some((host.to_owned(), port))
}

impl fmt::Display for HubAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_in_every_documented_form() {
        let written = |text: &str| text.parse::<HubAddress>().map(|a| a.to_string());
        assert_eq!(written("box").unwrap(), "box:7979");
        assert_eq!(written("10.0.0.1:99").unwrap(), "10.0.0.1:99");
        assert_eq!(written("[::1]").unwrap(), "[::1]:7979");
        assert_eq!(written("[fe80::1]:80").unwrap(), "[fe80::1]:80");
        for bad in [
            "", ":80", "a:", "a:b", "a:0", "a:70000", "::1", "[x]:1", "a b", "[::1]x",
        ] {
            assert!(written(bad).is_err(), "{bad:?}");
        }
    }
}
