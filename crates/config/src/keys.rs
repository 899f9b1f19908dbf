//! Every key of the configuration, in one table for file, environment and example.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::HubAddress;
use crate::edge::{self, EdgeConfig};
use crate::location::Locations;
use crate::read::{
    addresses, boolean, bytes, commands, directory, listen, loopback, name, optional_address, path,
    span, tags, texts,
};
use crate::screen::{Column, Order, Theme, columns, order, theme};
use crate::shared::{self, ShareAlerts};
use crate::value::Value;

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

/// `[agent]`.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The hub to push to.
    pub hub: Option<HubAddress>,
    /// Time between samples.
    pub interval: Duration,
    /// Tags for grouping the host.
    pub tags: Vec<String>,
    /// Bytes of unacknowledged rows in memory.
    pub spool_memory: u64,
    /// Bytes of unacknowledged rows on disk.
    pub spool_disk: u64,
    /// Age at which unacknowledged rows are dropped.
    pub spool_age: Duration,
    /// A directory of `*.prom` files to collect metrics from.
    pub textfiles: Option<PathBuf>,
    /// Commands whose output is collected, each with its period.
    pub commands: Vec<(Duration, String)>,
}

/// `[hub]`.
#[derive(Clone, Debug, PartialEq)]
pub struct HubConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The hub's name; by default the machine's.
    pub name: Option<String>,
    /// A host is stale after this time without rows.
    pub stale_after: Duration,
    /// A host is offline after this time without rows.
    pub offline_after: Duration,
    /// Retention of full-resolution rows.
    pub retention: Duration,
    /// Memory budget for the rows of all hosts, in bytes.
    pub memory: u64,
    /// Bytes of history on disk; 0 for none.
    pub history: u64,
    /// Retention of rows downsampled to minutes.
    pub retention_1m: Duration,
    /// Retention of rows downsampled to hours.
    pub retention_1h: Duration,
    /// Validity of issued certificates.
    pub certificate_life: Duration,
    /// Alert rules, one a line; the default rules if not set.
    pub alerts: Option<Vec<String>>,
    /// Receivers of notifications.
    pub notify: Vec<String>,
    /// Maintenance windows.
    pub maintenance: Vec<String>,
    /// Edges that the hub connects to.
    pub edges: Vec<HubAddress>,
    /// Hosts shared with edges.
    pub share: Vec<String>,
    /// Metrics shared with edges.
    pub share_metrics: Vec<String>,
    /// What edges may show of alerts.
    pub share_alerts: ShareAlerts,
    /// Loopback address that serves metrics over HTTP; none if not set.
    pub metrics: Option<SocketAddr>,
}

/// `[tui]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TuiConfig {
    /// The hub to connect to; if not set, one inside this program.
    pub hub: Option<HubAddress>,
    /// Colour theme.
    pub theme: Theme,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// Key bindings that replace defaults, one action a line: `open = o, enter`.
    pub keys: Vec<String>,
    /// Initial order of the hosts.
    pub sort: Order,
    /// Columns of the fleet table.
    pub columns: Vec<Column>,
}

impl Default for TuiConfig {
    fn default() -> Self {
        Self {
            hub: None,
            theme: Theme::default(),
            ascii: false,
            keys: Vec::new(),
            sort: Order::default(),
            columns: Column::all(),
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            hub: None,
            interval: Duration::from_secs(1),
            tags: Vec::new(),
            spool_memory: 4 << 20,
            spool_disk: 64 << 20,
            spool_age: Duration::from_hours(24 * 7),
            textfiles: None,
            commands: Vec::new(),
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, crate::DEFAULT_PORT)),
            name: None,
            stale_after: Duration::from_secs(5),
            offline_after: Duration::from_secs(30),
            retention: Duration::from_hours(24),
            memory: 1 << 30,
            history: 8 << 30,
            retention_1m: Duration::from_hours(24 * 30),
            retention_1h: Duration::from_hours(24 * 730),
            certificate_life: Duration::from_hours(24 * 30),
            alerts: None,
            notify: Vec::new(),
            maintenance: Vec::new(),
            edges: Vec::new(),
            share: Vec::new(),
            share_metrics: shared::metrics(),
            share_alerts: ShareAlerts::default(),
            metrics: None,
        }
    }
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

macro_rules! key {
    ($section:ident.$name:ident, $default:expr, $read:expr) => {
        Key {
            section: stringify!($section),
            name: stringify!($name),
            default: $default,
            set: |config, value| {
                config.$section.$name = $read(value)?;
                Ok(())
            },
        }
    };
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

/// All columns, in TOML.
const COLUMNS: &str = r#"["up", "cpu-line", "cpu", "mem-bar", "mem", "load", "net-line", "net.rx", "net.tx", "disk.read", "disk.write", "fs", "temp"]"#;

/// Every key.
pub fn keys() -> &'static [Key] {
    &[
        key!(agent.hub, None, optional_address),
        key!(agent.interval, Some("\"1s\""), |v| span(
            v,
            SECOND / 10,
            DAY / 24
        )),
        key!(agent.tags, Some("[]"), tags),
        key!(agent.spool_memory, Some("\"4MiB\""), |v| bytes(v, 64 << 10)),
        key!(agent.spool_disk, Some("\"64MiB\""), |v| bytes(v, 0)),
        key!(agent.spool_age, Some("\"7d\""), |v| span(
            v,
            SECOND * 60,
            DAY * 365
        )),
        key!(agent.textfiles, None, |v| directory(v).map(Some)),
        key!(agent.commands, Some("[]"), commands),
        key!(hub.listen, Some("\"[::]:7979\""), listen),
        key!(hub.name, None, |v| name(v).map(Some)),
        key!(hub.stale_after, Some("\"5s\""), |v| span(v, SECOND, DAY)),
        key!(hub.offline_after, Some("\"30s\""), |v| span(v, SECOND, DAY)),
        key!(hub.retention, Some("\"1d\""), |v| span(
            v,
            SECOND * 60,
            DAY * 365
        )),
        key!(hub.memory, Some("\"1GiB\""), |v| bytes(v, 1 << 20)),
        key!(hub.history, Some("\"8GiB\""), |v| bytes(v, 0)),
        key!(hub.retention_1m, Some("\"30d\""), |v| span(
            v,
            DAY,
            DAY * 3650
        )),
        key!(hub.retention_1h, Some("\"730d\""), |v| span(
            v,
            DAY,
            DAY * 36_500
        )),
        key!(hub.certificate_life, Some("\"30d\""), |v| span(
            v,
            DAY,
            DAY * 3650
        )),
        key!(hub.alerts, None, |v| texts(v, 200).map(Some)),
        key!(hub.notify, Some("[]"), |v| texts(v, 16)),
        key!(hub.maintenance, Some("[]"), |v| texts(v, 100)),
        key!(hub.edges, Some("[]"), addresses),
        key!(hub.share, Some("[]"), |v| texts(v, 1000)),
        key!(hub.share_metrics, Some(shared::METRICS), shared::read),
        key!(hub.share_alerts, Some("\"names\""), shared::alerts),
        key!(hub.metrics, None, |v| loopback(v).map(Some)),
        key!(tui.hub, None, optional_address),
        key!(tui.theme, Some("\"dark\""), theme),
        key!(tui.ascii, Some("false"), boolean),
        key!(tui.keys, Some("[]"), |v| texts(v, 100)),
        key!(tui.sort, Some("\"worst\""), order),
        key!(tui.columns, Some(COLUMNS), columns),
        key!(edge.listen, Some("\"[::]:7979\""), listen),
        key!(edge.web, Some("\"127.0.0.1:8080\""), listen),
        key!(edge.title, Some("\"Status\""), |v: &Value| v
            .text("a text")
            .map(str::to_owned)),
        key!(edge.certificate, None, |v| path(v).map(Some)),
        key!(edge.key, None, |v| path(v).map(Some)),
        key!(edge.acme, Some("[]"), edge::domains),
        key!(edge.acme_contact, None, |v| edge::contact(v).map(Some)),
        key!(edge.acme_directory, Some(edge::DIRECTORY), edge::directory),
        key!(edge.acme_roots, None, |v| path(v).map(Some)),
        key!(edge.proxies, Some("[]"), edge::proxies),
        key!(edge.proxy_user_header, None, |v| edge::header(v).map(Some)),
        key!(edge.logins, None, |v| path(v).map(Some)),
    ]
}
