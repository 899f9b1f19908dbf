//! From the configuration of a destination to what it is started with.

use sysmon_alerts::rule::{Hosts, PatternError};
use sysmon_config::{ExportConfig, is_loopback_host};
use sysmon_export::destination::{DestinationOptions, EngineKind, Secret};
use sysmon_files::ReferenceError;
use thiserror::Error;

/// A destination, and what of the fleet it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportOptions {
    pub destination: DestinationOptions,
    /// Selects hosts.
    pub hosts: Hosts,
    /// Selects metrics, by their names.
    pub metrics: Hosts,
}

/// A setting of a destination is wrong.
#[derive(Debug, Error)]
pub enum ExportSettingError {
    #[error("{name}: {key}: {source}")]
    Pattern {
        name: String,
        key: &'static str,
        source: PatternError,
    },
    #[error("{name}: there is no engine of the kind {kind:?}")]
    Kind { name: String, kind: String },
    #[error("{name}: {source}")]
    Secret {
        name: String,
        source: ReferenceError,
    },
    #[error(
        "{name}: {address} is not on this machine, and what is sent there would not be encrypted; use {secure}, or set plaintext = true for a network that only you can read"
    )]
    Plaintext {
        name: String,
        address: String,
        secure: &'static str,
    },
}

/// Ways to write an address without encryption, and the same with.
const PLAIN_SCHEMES: [(&str, &str); 3] = [
    ("http", "https://"),
    ("redis", "rediss://"),
    ("mqtt", "mqtts://"),
];

impl ExportOptions {
    /// Reads the secrets that the configuration names.
    ///
    /// # Errors
    /// A pattern is wrong, a secret cannot be read, or the address would be sent to without encryption.
    pub fn resolve(config: &ExportConfig) -> Result<Self, ExportSettingError> {
        let name = || config.name.clone();
        let patterns = |key: &'static str, list: &[String]| match list {
            [] => Ok(Hosts::all()),
            list => list
                .join(",")
                .parse()
                .map_err(|source| ExportSettingError::Pattern {
                    name: name(),
                    key,
                    source,
                }),
        };
        let secret = |text: &String| {
            Secret::resolve(text).map_err(|source| ExportSettingError::Secret {
                name: name(),
                source,
            })
        };
        let mut kinds = EngineKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.as_str() == config.kind);
        let kind = kind.ok_or_else(|| ExportSettingError::Kind {
            name: name(),
            kind: config.kind.clone(),
        })?;
        let headers = config.headers.iter();
        let headers = headers.map(|(header, value)| Ok((header.clone(), secret(value)?)));
        let login = config.user.clone().zip(config.password.as_ref());
        let destination = DestinationOptions {
            name: name(),
            kind,
            url: secret(&config.url)?,
            every: config.every,
            labels: config.labels.clone(),
            tags: config.tags.clone(),
            ca: config.ca.clone(),
            identity: config.cert.clone().zip(config.key.clone()),
            token: config.token.as_ref().map(secret).transpose()?,
            login: login
                .map(|(user, password)| Ok((user, secret(password)?)))
                .transpose()?,
            headers: headers.collect::<Result<_, _>>()?,
            options: config.options.clone(),
        };
        check_encrypted(&destination)?;
        Ok(Self {
            destination,
            hosts: patterns("hosts", &config.hosts)?,
            metrics: patterns("metrics", &config.metrics)?,
        })
    }
}

fn check_encrypted(destination: &DestinationOptions) -> Result<(), ExportSettingError> {
    let address = destination.address();
    let (scheme, servers) = address.split_once("://").unwrap_or(("", &address));
    let is_here = servers.split(',').all(is_loopback_host);
    let plain = PLAIN_SCHEMES.iter().find(|(plain, _)| *plain == scheme);
    match plain {
        Some((_, secure)) if !is_here && !destination.is_set("plaintext") => {
            Err(ExportSettingError::Plaintext {
                name: destination.name.clone(),
                address,
                secure,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> ExportConfig {
        ExportConfig {
            name: "vm".to_owned(),
            kind: "remote-write".to_owned(),
            url: url.to_owned(),
            ..ExportConfig::default()
        }
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted_unless_somebody_says_otherwise() {
        let error = |url: &str| {
            ExportOptions::resolve(&config(url))
                .unwrap_err()
                .to_string()
        };
        let told = error("http://u:geheim@vm.example:8428/write");
        assert!(
            told.starts_with("vm: http://vm.example:8428 is not on this machine"),
            "{told}"
        );
        assert!(!told.contains("geheim"));
        assert!(error("redis://10.0.0.1").contains("rediss://"));
        assert!(error("redis://127.0.0.1:7000,10.0.0.1:7000").contains("rediss://"));
        for url in [
            "http://127.0.0.1:8428/w",
            "http://[::1]:1/w",
            "https://vm.example/w",
            "http://localhost/w",
            "redis://127.0.0.1:7000,[::1]:7001/0",
        ] {
            ExportOptions::resolve(&config(url)).unwrap();
        }
        let mut plain = config("http://vm:8428/w");
        plain
            .options
            .insert("plaintext".to_owned(), "true".to_owned());
        ExportOptions::resolve(&plain).unwrap();
    }

    #[test]
    fn patterns_select_hosts_and_metrics() {
        let mut config = config("https://vm/w");
        config.hosts = vec!["db-*".to_owned(), "!db-9".to_owned()];
        let options = ExportOptions::resolve(&config).unwrap();
        assert!(options.hosts.include("db-1", &[] as &[&str]));
        assert!(!options.hosts.include("db-9", &[] as &[&str]));
        assert!(
            options
                .metrics
                .include("system.cpu.utilization", &[] as &[&str])
        );
        config.metrics = vec!["!".to_owned()];
        let error = ExportOptions::resolve(&config).unwrap_err().to_string();
        assert!(error.starts_with("vm: metrics: "), "{error}");
    }
}
