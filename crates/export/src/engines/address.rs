//! Addresses of servers: `scheme://user:password@host:port,host:port/path`. Pure.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::DestinationError;
use crate::destination::{DestinationOptions, Secret};

/// Servers of one address.
const SERVERS_MAX: usize = 16;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A scheme with its default port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheme {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// What a destination's `url` says.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) is_tls: bool,
    pub(super) servers: Vec<Server>,
    /// The user may be empty.
    pub(super) login: Option<(String, Secret)>,
    pub(super) path: String,
}

impl Address {
    /// Parses the address of a destination. No error has any of it, since it may contain a password.
    pub(super) fn of(
        options: &DestinationOptions,
        schemes: &[Scheme],
    ) -> Result<Self, DestinationError> {
        let expected: Vec<_> = schemes
            .iter()
            .map(|scheme| format!("{}://HOST:{}", scheme.name, scheme.port))
            .collect();
        let wrong = |problem: &str| {
            let expected = expected.join(" or ");
            DestinationError::Setting(format!("url: {problem}; write {expected}"))
        };
        let (name, rest) = options
            .url
            .reveal()
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme"))?;
        let scheme = schemes.iter().find(|scheme| scheme.name == name);
        let scheme = scheme.ok_or_else(|| wrong("its scheme is unknown"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (login, servers) = match authority.rsplit_once('@') {
            Some((login, servers)) => (Some(login), servers),
            None => (None, authority),
        };
        let server = |text| server(text, scheme.port).ok_or_else(|| wrong("an address is wrong"));
        let servers = servers
            .split(',')
            .map(server)
            .collect::<Result<Vec<_>, _>>()?;
        if servers.len() > SERVERS_MAX {
            return Err(wrong("it has too many addresses"));
        }
        let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(wrong("user or password is not UTF-8")),
        };
        let login = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            Ok::<_, DestinationError>((decode(user)?, Secret::new(decode(password)?)))
        });
        Ok(Self {
            is_tls: scheme.is_tls,
            servers,
            login: login.transpose()?,
            path: path.trim_start_matches('/').to_owned(),
        })
    }
}

/// `host`, `host:port`, `[address]` or `[address]:port`.
pub(super) fn server(text: &str, default_port: u16) -> Option<Server> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" => default_port,
        port => port.parse().ok().filter(|port| *port > 0)?,
    };
    (!host.is_empty()).then(|| Server {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::destination::EngineKind;

    const SCHEMES: &[Scheme] = &[
        Scheme {
            name: "redis",
            port: 6379,
            is_tls: false,
        },
        Scheme {
            name: "rediss",
            port: 6379,
            is_tls: true,
        },
    ];

    pub(in crate::engines) fn options(kind: EngineKind, url: &str) -> DestinationOptions {
        DestinationOptions::new("hot", kind, Secret::new(url))
    }

    fn parse(url: &str) -> Result<Address, DestinationError> {
        Address::of(&options(EngineKind::Redis, url), SCHEMES)
    }

    #[test]
    fn an_address_has_one_server_or_several() {
        let shown = |url: &str| {
            let servers = parse(url).unwrap().servers;
            let shown: Vec<_> = servers.iter().map(Server::to_string).collect();
            shown.join(" ")
        };
        for (url, servers) in [
            ("redis://db", "db:6379"),
            ("redis://db:1/2", "db:1"),
            ("rediss://u:p@a:1,b,[::1]:3/", "a:1 b:6379 [::1]:3"),
            ("redis://[::1]", "[::1]:6379"),
        ] {
            assert_eq!(shown(url), servers);
        }
    }

    #[test]
    fn user_and_password_are_decoded() {
        let address = parse("rediss://s%40m:a%3Ab%2F@db/3").unwrap();
        let (user, password) = address.login.unwrap();
        assert_eq!((user.as_str(), password.reveal()), ("s@m", "a:b/"));
        assert!(address.is_tls);
        assert_eq!(address.path, "3");
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        for url in [
            "geheim@db",
            "http://:geheim@db",
            "redis://:geheim@db:x",
            "redis://:geheim@",
            "redis://:geheim%ff@db",
            "redis://:geheim@a,,b",
            "redis://:geheim@[::1",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(error.starts_with("url: ") && error.contains("rediss://HOST:6379"));
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
