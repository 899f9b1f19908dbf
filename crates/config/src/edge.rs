//! `[edge]`: readers of its keys.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::read::texts;
use crate::value::Value;

/// The ACME directory of Let's Encrypt, as a file has it.
pub(crate) const DIRECTORY: &str = "\"https://acme-v02.api.letsencrypt.org/directory\"";

/// Names in one certificate.
const DOMAINS_MAX: usize = 16;

pub(crate) fn proxies(value: &Value) -> Result<Vec<IpNet>, String> {
    texts(value, 16)?.iter().map(|text| proxy(text)).collect()
}

/// An address or a network. One of everybody would let everybody name the client.
fn proxy(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(|one| one.to_canonical().into());
    let Ok(network) = text.parse::<IpNet>().or_else(|_| address()) else {
        return Err(format!(
            "{text:?} is neither an address nor a network; write for example \"127.0.0.1\" or \"10.244.0.0/16\""
        ));
    };
    if network.prefix_len() < 8 {
        return Err(format!(
            "{text:?} is nearly everybody, who could then pose as any client; write the network of your proxies, such as \"10.244.0.0/16\""
        ));
    }
    if network != network.trunc() {
        return Err(format!("{text:?}: write \"{}\"", network.trunc()));
    }
    Ok(network)
}

pub(crate) fn header(value: &Value) -> Result<String, String> {
    let name = value.text("a header such as \"X-Forwarded-User\"")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err(format!(
            "{name:?} is not the name of a header; write for example \"X-Forwarded-User\""
        ));
    }
    let reserved = ["authorization", "cookie", "host", "x-forwarded-for"];
    if reserved.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!(
            "clients send {name:?} themselves; use a header that only the proxy sets, such as \"X-Forwarded-User\""
        ));
    }
    Ok(name.to_owned())
}

pub(crate) fn domains(value: &Value) -> Result<Vec<String>, String> {
    let names = texts(value, DOMAINS_MAX)?;
    names.iter().map(|name| domain(name)).collect()
}

fn domain(name: &str) -> Result<String, String> {
    if let Some(rest) = name.strip_prefix("*.") {
        return Err(format!(
            "{name:?}: wildcard certificates are not supported; write for example \"status.{rest}\""
        ));
    }
    let bare = name.split_once("://").map_or(name, |(_, rest)| rest);
    let bare = bare.split(['/', ':']).next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_label = |label: &str| {
        let inner = !label.starts_with('-') && !label.ends_with('-');
        (1..=63).contains(&label.len()) && inner && label.chars().all(fits)
    };
    let is_name = bare.contains('.') && bare.len() <= 253 && bare.split('.').all(is_label);
    let is_number = bare.parse::<Ipv4Addr>().is_ok();
    match (is_name && !is_number, bare == name) {
        (true, true) => Ok(name.to_ascii_lowercase()),
        (true, false) => Err(format!(
            "{name:?} has more than a domain name; write {bare:?}"
        )),
        (false, _) => Err(format!(
            "{name:?} is not a domain name; write for example \"status.example.org\""
        )),
    }
}

pub(crate) fn contact(value: &Value) -> Result<String, String> {
    let text = value.text("a mail address such as \"admin@example.org\"")?;
    let bare = text.strip_prefix("mailto:").unwrap_or(text);
    let is_address = bare.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !bare.contains(char::is_whitespace)
    });
    match (is_address, bare == text) {
        (true, true) => Ok(text.to_owned()),
        (true, false) => Err(format!("{text:?}: write {bare:?}")),
        (false, _) => Err(format!(
            "{text:?} is not a mail address; write for example \"admin@example.org\""
        )),
    }
}

pub(crate) fn directory(value: &Value) -> Result<String, String> {
    let text = value.text("an address such as \"https://acme.example.org/directory\"")?;
    if text.len() > "https://".len() && text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} should begin with https://; write for example \"https://acme-staging-v02.api.letsencrypt.org/directory\" to try it out"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_domains_are_rejected_with_a_suggestion() {
        let names = |list: &[&str]| {
            let list = list.iter().map(|&name| name.to_owned()).collect();
            domains(&Value::List(list))
        };
        let good = ["status.example.org", "x--y.a1.EXAMPLE"];
        assert_eq!(
            names(&good).unwrap(),
            ["status.example.org", "x--y.a1.example"]
        );
        let refused = |name: &str| names(&["a.example", name]).unwrap_err();
        assert!(refused("https://status.example/").ends_with("write \"status.example\""));
        assert!(refused("status.example:443").ends_with("write \"status.example\""));
        assert!(refused("*.example.org").ends_with("write for example \"status.example.org\""));
        for wrong in [
            "localhost",
            "10.0.0.1",
            "a b.example",
            "-a.example",
            "a..example",
            "",
            "*",
        ] {
            assert!(refused(wrong).contains("is not a domain name"), "{wrong}");
        }
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let proxy = |text: &str| proxies(&Value::List(vec![text.to_owned()]));
        let shown = |text: &str| proxy(text).unwrap()[0].to_string();
        assert_eq!(shown("127.0.0.1"), "127.0.0.1/32");
        assert_eq!(shown("::ffff:10.0.0.1"), "10.0.0.1/32");
        assert_eq!(shown("10.244.0.0/16"), "10.244.0.0/16");
        assert_eq!(shown("fd00::/8"), "fd00::/8");
        let refused = |text: &str| proxy(text).unwrap_err();
        assert!(refused("10.244.1.0/16").ends_with("write \"10.244.0.0/16\""));
        assert!(refused("0.0.0.0/0").contains("nearly everybody"));
        assert!(refused("::/0").contains("nearly everybody"));
        for wrong in ["proxy", "10.0.0.0/33", "10.0.0.0/", ""] {
            assert!(
                refused(wrong).contains("neither an address nor a network"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn addresses_and_headers_are_refused_with_an_example() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert!(
            contact(&text("mailto:a@b.example"))
                .unwrap_err()
                .ends_with("write \"a@b.example\"")
        );
        for wrong in ["admin", "@b.example", "a@b", "a b@c.example"] {
            assert!(
                contact(&text(wrong))
                    .unwrap_err()
                    .contains("admin@example.org")
            );
        }
        assert!(
            directory(&text("http://x"))
                .unwrap_err()
                .contains("https://")
        );
        assert!(
            header(&text("X-Forwarded-User:"))
                .unwrap_err()
                .contains("X-Forwarded-User")
        );
        assert!(header(&text("Cookie")).is_err() && header(&text("Remote_User")).is_ok());
    }
}
