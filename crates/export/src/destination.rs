//! What a destination is configured with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use sysmon_files::{ReferenceError, resolve_reference};

/// A secret, which no log or message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the engine.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    /// The content of `file:PATH` or `env:NAME`, or the text itself.
    ///
    /// # Errors
    /// The file or variable cannot be read, or is not one line.
    pub fn resolve(text: &str) -> Result<Self, ReferenceError> {
        let referred = resolve_reference(text)?;
        Ok(Self(referred.unwrap_or_else(|| text.to_owned())))
    }
}

/// What an engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// Prometheus remote write 1.0.
    RemoteWrite,
    /// OTLP over gRPC.
    OtlpGrpc,
    /// OTLP over HTTP.
    OtlpHttp,
    /// PostgreSQL, with TimescaleDB or without.
    Postgres,
    /// Redis or Valkey.
    Redis,
    /// MQTT with Home Assistant's discovery.
    Mqtt,
}

impl EngineKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::RemoteWrite,
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::Postgres,
        Self::Redis,
        Self::Mqtt,
    ];

    /// As the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RemoteWrite => "remote-write",
            Self::OtlpGrpc => "otlp-grpc",
            Self::OtlpHttp => "otlp-http",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Mqtt => "mqtt",
        }
    }
}

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationOptions {
    /// Its name, unique among the hub's destinations.
    pub name: String,
    /// What it speaks.
    pub kind: EngineKind,
    /// Its address, which may contain credentials.
    pub url: Secret,
    /// Rows are aggregated to this; none sends every row.
    pub every: Option<Duration>,
    /// Labels of every series.
    pub labels: BTreeMap<String, String>,
    /// Prefixes of tags that become labels: `env` makes `env=prod` from the tag `env:prod`.
    pub tags: Vec<String>,
    /// Certificates of authorities that the engine's certificate is checked against; none checks against public ones.
    pub ca: Option<PathBuf>,
    /// The hub's certificate for this engine, with its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// A bearer token.
    pub token: Option<Secret>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// What only this kind has.
    pub options: BTreeMap<String, String>,
}

impl DestinationOptions {
    /// A destination with an address and nothing else.
    pub fn new(name: &str, kind: EngineKind, url: Secret) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            url,
            every: None,
            labels: BTreeMap::new(),
            tags: Vec::new(),
            ca: None,
            identity: None,
            token: None,
            login: None,
            headers: BTreeMap::new(),
            options: BTreeMap::new(),
        }
    }

    /// The address without what may be a secret: credentials, path and query.
    pub fn address(&self) -> String {
        redacted(self.url.reveal())
    }

    /// Whether an option that is `true` or `false` is set.
    pub fn is_set(&self, option: &str) -> bool {
        self.options
            .get(option)
            .is_some_and(|value| value == "true")
    }
}

fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match scheme {
        "" => host.to_owned(),
        scheme => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_secret() {
        for (url, shown) in [
            (
                "https://u:p@vm.example:8428/api/v1/write?token=x",
                "https://vm.example:8428",
            ),
            ("postgres://sysmon:geheim@db/metrics", "postgres://db"),
            ("127.0.0.1:4317", "127.0.0.1:4317"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " geheim\n").unwrap();
        let secret = Secret::resolve(&format!("file:{}", path.display())).unwrap();
        assert_eq!(secret.reveal(), "geheim");
        assert_eq!(format!("{secret:?}"), "(secret)");
        std::fs::write(&path, "\n").unwrap();
        let error = Secret::resolve(&format!("file:{}", path.display())).unwrap_err();
        assert!(
            error.to_string().ends_with("it has to be one line"),
            "{error}"
        );
        assert!(Secret::resolve("env:SYSMON_NO_SUCH_VARIABLE").is_err());
    }
}
