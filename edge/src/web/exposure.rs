//! Whether log-ins without TLS can be read on their way. Pure.

use std::net::{IpAddr, SocketAddr};

/// Who can read what browsers send to an address without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody: it does not leave the machine.
    Local,
    /// Others on the same network, and if the machine has a public address everybody on the way.
    Network,
    /// Everybody on the way.
    Public,
}

impl Exposure {
    pub fn of(address: SocketAddr) -> Self {
        let is_private = match address.ip().to_canonical() {
            address if address.is_loopback() => return Self::Local,
            IpAddr::V4(address) => {
                let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
                address.is_private() || address.is_link_local() || is_shared
            }
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        };
        match is_private || address.ip().is_unspecified() {
            true => Self::Network,
            false => Self::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_safe_and_other_than_private_addresses_are_public() {
        let of = |address: &str| Exposure::of(SocketAddr::new(address.parse().unwrap(), 80));
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(local), Exposure::Local, "{local}");
        }
        for network in [
            "10.1.2.3",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "fd00::1",
            "fe80::1",
            "0.0.0.0",
            "::",
        ] {
            assert_eq!(of(network), Exposure::Network, "{network}");
        }
        for public in ["8.8.8.8", "100.128.0.1", "2001:db8::1", "172.32.0.1"] {
            assert_eq!(of(public), Exposure::Public, "{public}");
        }
    }
}
