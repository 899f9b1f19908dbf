//! Whether a request is meant for a server on loopback. Pure.

use std::net::IpAddr;

/// Whether the `Host` header of a request names a loopback address or `localhost`. Any other name may resolve to
/// loopback as well, if its owner wants that: a page that is open in a local browser could read the answer (DNS
/// rebinding).
pub fn is_loopback_host(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || address.unwrap_or(name).parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_localhost_are_loopback() {
        for own in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_loopback_host(own), "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "localhost@evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "[::2]",
            "[::1",
        ] {
            assert!(!is_loopback_host(foreign), "{foreign}");
        }
    }
}
