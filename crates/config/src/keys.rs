//! Every key of the configuration, in one table for structs, defaults, file, environment and example.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::address::{DEFAULT_PORT, HubAddress};
use crate::check::{self, Check};
use crate::edge;
use crate::export::{self, ExportConfig};
use crate::location::Locations;
use crate::read::{
    addresses, boolean, bytes, commands, directory, engine, heartbeat, listen, metrics, name,
    optional_address, path, reference, releases, root, span, tags, texts,
};
use crate::screen::{Colour, Column, Order, Theme, columns, order, own_colours, theme};
use crate::shared::{self, Arguments, ShareAlerts};
use crate::ups::{self, UpsSource};
use crate::value::Value;
use crate::watch;

/// The configuration of all programs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[agent]`.
    pub agent: AgentConfig,
    /// `[hub]`.
    pub hub: HubConfig,
    /// `[tui]`.
    pub tui: TuiConfig,
    /// `[edge]`.
    pub edge: EdgeConfig,
    /// Where each key was set.
    pub(crate) places: Locations,
}

/// One key of the configuration.
#[derive(Clone, Copy)]
pub struct Key {
    /// Without brackets: `hub`.
    pub section: &'static str,
    /// As written in the file.
    pub name: &'static str,
    /// The default in TOML; `None` where a missing key has a meaning of its own.
    pub default: Option<&'static str>,
    /// Sets the value in a configuration; the error says what was expected.
    pub(crate) set: fn(&mut Config, &Value) -> Result<(), String>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {}", self.section, self.name)
    }
}

/// Sections of keys, a row each: field, type and default; the default in TOML, and the reader. `config.example.toml`
/// describes them.
macro_rules! sections {
    ($($section:ident: $config:ident { $($name:ident: $type:ty = $default:expr, $toml:expr, $read:expr;)* })*) => {
        $(
            #[doc = concat!("`[", stringify!($section), "]`; the keys are described in `config.example.toml`.")]
            #[derive(Clone, Debug, PartialEq)]
            pub struct $config {
                $(#[doc = concat!("`", stringify!($name), "`")] pub $name: $type,)*
            }

            impl Default for $config {
                fn default() -> Self {
                    Self { $($name: $default,)* }
                }
            }
        )*

        /// Every key.
        pub fn keys() -> &'static [Key] {
            &[$($(Key {
                section: stringify!($section),
                name: stringify!($name),
                default: $toml,
                set: |config, value| {
                    config.$section.$name = $read(value)?;
                    Ok(())
                },
            },)*)*]
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);
const YEAR: Duration = Duration::from_hours(24 * 365);

/// All columns, in TOML.
/// Where hub and edge listen for QUIC: every address of the machine.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), DEFAULT_PORT);

sections! {
    agent: AgentConfig {
        hub: Option<HubAddress> = None, None, optional_address;
        join_token: Option<String> = None, None, |v| reference(v).map(Some);
        interval: Duration = SECOND, Some("\"1s\""), |v| span(v, SECOND / 10, DAY / 24);
        tags: Vec<String> = Vec::new(), Some("[]"), tags;
        spool_memory: u64 = 4 << 20, Some("\"4MiB\""), |v| bytes(v, 64 << 10);
        spool_disk: u64 = 64 << 20, Some("\"64MiB\""), |v| bytes(v, 0);
        spool_age: Duration = DAY * 7, Some("\"7d\""), |v| span(v, SECOND * 60, YEAR);
        textfiles: Option<PathBuf> = None, None, |v| directory(v).map(Some);
        commands: Vec<(Duration, String)> = Vec::new(), Some("[]"), commands;
        ups: Vec<UpsSource> = Vec::new(), Some("[]"), ups::sources;
        updates: bool = true, Some("true"), boolean;
        proc: PathBuf = PathBuf::from("/proc"), Some("\"/proc\""), root;
        sys: PathBuf = PathBuf::from("/sys"), Some("\"/sys\""), root;
        rootfs: PathBuf = PathBuf::from("/"), Some("\"/\""), root;
        filesystems: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 32);
        arguments: Arguments = Arguments::default(), Some("\"redacted\""), shared::arguments;
        processes: Vec<String> = Vec::new(), Some("[]"), watch::processes;
        units: Vec<String> = Vec::new(), Some("[]"), watch::units;
        checks: Vec<Check> = Vec::new(), Some("[]"), check::checks;
        check_networks: Vec<IpNet> = Vec::new(), Some("[]"), check::networks;
        heartbeats: Option<SocketAddr> = None, None, |v| check::heartbeats(v).map(Some);
    }
    hub: HubConfig {
        listen: SocketAddr = LISTEN, Some("\"[::]:7979\""), listen;
        name: Option<String> = None, None, |v| name(v).map(Some);
        stale_after: Duration = SECOND * 5, Some("\"5s\""), |v| span(v, SECOND, DAY);
        offline_after: Duration = SECOND * 30, Some("\"30s\""), |v| span(v, SECOND, DAY);
        retention: Duration = DAY, Some("\"1d\""), |v| span(v, SECOND * 60, YEAR);
        memory: u64 = 1 << 30, Some("\"1GiB\""), |v| bytes(v, 1 << 20);
        history: u64 = 8 << 30, Some("\"8GiB\""), |v| bytes(v, 0);
        retention_1m: Duration = DAY * 30, Some("\"30d\""), |v| span(v, DAY, YEAR * 10);
        retention_1h: Duration = DAY * 730, Some("\"730d\""), |v| span(v, DAY, DAY * 36_500);
        history_beyond: Option<String> = None, None, engine;
        history_beyond_ca: Option<PathBuf> = None, None, |v| path(v).map(Some);
        certificate_life: Duration = DAY * 30, Some("\"30d\""), |v| span(v, DAY, YEAR * 10);
        alerts: Option<Vec<String>> = None, None, |v| texts(v, 200).map(Some);
        notify: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 16);
        heartbeat: Option<String> = None, None, |v| heartbeat(v).map(Some);
        maintenance: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 100);
        edges: Vec<HubAddress> = Vec::new(), Some("[]"), addresses;
        share: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 1000);
        share_metrics: Vec<String> = shared::metrics(), Some(shared::METRICS), shared::read;
        share_checks: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 64);
        share_alerts: ShareAlerts = ShareAlerts::default(), Some("\"names\""), shared::alerts;
        metrics: Option<SocketAddr> = None, None, |v| metrics(v).map(Some);
        metrics_token: Option<PathBuf> = None, None, |v| path(v).map(Some);
        metrics_cert: Option<PathBuf> = None, None, |v| path(v).map(Some);
        metrics_key: Option<PathBuf> = None, None, |v| path(v).map(Some);
        otlp: Option<SocketAddr> = None, None, |v| listen(v).map(Some);
        otlp_http: Option<SocketAddr> = None, None, |v| listen(v).map(Some);
        releases: Option<String> = None, None, |v| releases(v).map(Some);
        export: Vec<ExportConfig> = Vec::new(), Some("[]"), export::exports;
    }
    tui: TuiConfig {
        hub: Option<HubAddress> = None, None, optional_address;
        theme: Theme = Theme::default(), Some("\"auto\""), theme;
        ascii: bool = false, Some("false"), boolean;
        keys: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 100);
        sort: Order = Order::default(), Some("\"worst\""), order;
        columns: Vec<Column> = Column::all(), Some(Column::TOML), columns;
        filters: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 100);
        pinned: Vec<String> = Vec::new(), Some("[]"), |v| texts(v, 100);
        bell: bool = false, Some("false"), boolean;
        colors: Vec<(Colour, u32)> = Vec::new(), Some("{}"), own_colours;
    }
    edge: EdgeConfig {
        listen: SocketAddr = LISTEN, Some("\"[::]:7979\""), listen;
        web: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), Some("\"127.0.0.1:8080\""), listen;
        hub: Option<HubAddress> = None, None, optional_address;
        join_token: Option<String> = None, None, |v| reference(v).map(Some);
        title: String = "Status".to_owned(), Some("\"Status\""), |v: &Value| v.text("a text").map(str::to_owned);
        certificate: Option<PathBuf> = None, None, |v| path(v).map(Some);
        key: Option<PathBuf> = None, None, |v| path(v).map(Some);
        acme: Vec<String> = Vec::new(), Some("[]"), edge::domains;
        acme_contact: Option<String> = None, None, |v| edge::contact(v).map(Some);
        acme_directory: String = edge::DIRECTORY.trim_matches('"').to_owned(), Some(edge::DIRECTORY), edge::directory;
        acme_roots: Option<PathBuf> = None, None, |v| path(v).map(Some);
        proxies: Vec<IpNet> = Vec::new(), Some("[]"), edge::proxies;
        proxy_user_header: Option<String> = None, None, |v| edge::header(v).map(Some);
        logins: Option<PathBuf> = None, None, |v| path(v).map(Some);
    }
}
