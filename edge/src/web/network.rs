//! The networks around a client's address. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A customer's network, or a wider one: providers assign a /64, a /56 or a /48 to one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    /// An address with the bits after the prefix cleared.
    V4(u32, u8),
    /// The first half of an address with the bits after the prefix cleared.
    V6(u64, u8),
    /// Stands for all that have no entry of their own.
    Shared,
}

impl Network {
    /// The IPv4 address, or the IPv6 /64, /56 and /48, narrowest first.
    pub(super) fn around(address: IpAddr) -> impl Iterator<Item = Self> {
        let (v4, v6) = match address.to_canonical() {
            IpAddr::V4(address) => (Some(Self::V4(address.to_bits(), 32)), None),
            IpAddr::V6(address) => (None, Some((address.to_bits() >> 64) as u64)),
        };
        let wide = v6.map(|half| {
            [64, 56, 48].map(|prefix| Self::V6(half >> (64 - prefix) << (64 - prefix), prefix))
        });
        v4.into_iter().chain(wide.into_iter().flatten())
    }

    /// The same, with the /24 of an IPv4 address: somebody who guesses passwords often has many neighbours.
    pub(super) fn around_guesser(address: IpAddr) -> impl Iterator<Item = Self> {
        let wide = match address.to_canonical() {
            IpAddr::V4(address) => Some(Self::V4(address.to_bits() & !0xff, 24)),
            IpAddr::V6(_) => None,
        };
        Self::around(address).chain(wide)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(bits, prefix) => write!(f, "{}/{prefix}", Ipv4Addr::from_bits(*bits)),
            Self::V6(half, prefix) => write!(
                f,
                "{}/{prefix}",
                Ipv6Addr::from_bits(u128::from(*half) << 64)
            ),
            Self::Shared => f.write_str("others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_a_customers_and_in_wider_networks() {
        let around = |address: &str| {
            let networks = Network::around_guesser(address.parse().unwrap());
            networks
                .map(|network| network.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(around("1.2.3.4"), ["1.2.3.4/32", "1.2.3.0/24"]);
        assert_eq!(around("::ffff:1.2.3.4"), around("1.2.3.4"));
        assert_eq!(
            around("2001:db8:12:3456::1"),
            [
                "2001:db8:12:3456::/64",
                "2001:db8:12:3400::/56",
                "2001:db8:12::/48"
            ]
        );
    }
}
