//! Which addresses a check may reach: not those that answer with secrets of the machine, or that only the host itself has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// Where clouds answer with credentials, besides link-local addresses: Azure's, Alibaba's and AWS's.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Addresses that are tried of one name.
const ADDRESSES_MAX: usize = 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Guard {
    /// None for all.
    networks: Vec<IpNet>,
}

impl Guard {
    pub(super) fn new(networks: Vec<IpNet>) -> Self {
        Self { networks }
    }

    /// The addresses of `name` that may be reached, the first few. With `is_redirect` not those of this machine, to which an
    /// answer from elsewhere must not lead.
    pub(super) fn allowed(
        &self,
        name: &str,
        addresses: impl Iterator<Item = SocketAddr>,
        is_redirect: bool,
    ) -> Result<Vec<SocketAddr>, String> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for mut address in addresses {
            address.set_ip(plain(address.ip()));
            match self.refuses(address.ip(), is_redirect) {
                Some(reason) => refused = Some((address.ip(), reason)),
                None => allowed.push(address),
            }
        }
        allowed.truncate(ADDRESSES_MAX);
        match (allowed.is_empty(), refused) {
            (false, _) => Ok(allowed),
            (true, Some((address, reason))) => Err(format!(
                "{name} is {address}, which checks may not reach: {reason}"
            )),
            (true, None) => Err(format!("{name} has no address")),
        }
    }

    fn refuses(&self, address: IpAddr, is_redirect: bool) -> Option<&'static str> {
        if is_redirect && address.is_loopback() {
            return Some("a redirect leads to this machine");
        }
        match self.networks.as_slice() {
            [] => unusual(address),
            networks if networks.iter().any(|network| network.contains(&address)) => None,
            _ => Some("it is in none of check_networks"),
        }
    }
}

fn unusual(address: IpAddr) -> Option<&'static str> {
    let is_link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if is_link_local {
        Some("it is link-local; add it to check_networks if this is meant")
    } else if METADATA.contains(&address) {
        Some("clouds answer there with secrets; add it to check_networks if this is meant")
    } else if address.is_unspecified() || address.is_multicast() || is_broadcast {
        Some("it is not the address of a host")
    } else {
        None
    }
}

/// An IPv4 address that is written as IPv6, mapped (RFC 4291) or for translation (RFC 6052), as what it stands for.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let bits = (u32::from(high) << 16) | u32::from(low);
            IpAddr::V4(Ipv4Addr::from_bits(bits))
        }
        _ => address.to_canonical(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(networks: &[&str], address: &str, is_redirect: bool) -> bool {
        let networks = networks.iter().map(|text| text.parse().unwrap());
        let address = SocketAddr::new(address.parse().unwrap(), 80);
        let guard = Guard::new(networks.collect());
        guard
            .allowed("x", std::iter::once(address), is_redirect)
            .is_ok()
    }

    #[test]
    fn secrets_of_the_machine_are_out_of_reach_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "ff02::1",
        ] {
            assert!(!allowed(&[], address, false), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "192.0.2.1", "2001:db8::1"] {
            assert!(allowed(&[], address, false), "{address}");
        }
        assert!(allowed(&["169.254.0.0/16"], "169.254.169.254", false));
    }

    #[test]
    fn networks_limit_what_can_be_reached_and_a_redirect_does_not_lead_home() {
        assert!(allowed(&["10.0.0.0/8"], "10.1.2.3", false));
        assert!(!allowed(&["10.0.0.0/8"], "192.0.2.1", false));
        assert!(allowed(&[], "127.0.0.1", false) && !allowed(&[], "127.0.0.1", true));
        assert!(!allowed(&[], "::ffff:127.0.0.1", true));
    }
}
