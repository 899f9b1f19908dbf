//! Every key of the configuration: one table that file, environment and example share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::address::HubAddress;
use crate::edge::{self, EdgeConfig};
use crate::file::Places;
use crate::screen::{Column, Order, columns, order};
use crate::shared::{self, ShareAlerts};
use crate::units;
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
    /// Where all of it stands.
    pub(crate) places: Places,
}

/// What `sysmon-agent` is told.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentConfig {
    /// The hub to push to.
    pub hub: Option<HubAddress>,
    /// Time between samples.
    pub interval: Duration,
    /// Words the host is filed under.
    pub tags: Vec<String>,
    /// Bytes of rows kept in memory while the hub is away.
    pub spool_memory: u64,
    /// Bytes of rows kept on disk while the hub is away.
    pub spool_disk: u64,
    /// Age past which such rows are dropped.
    pub spool_age: Duration,
    /// A directory of `*.prom` files whose metrics are taken too.
    pub textfiles: Option<PathBuf>,
    /// Commands whose output is taken too, each with the time between two runs.
    pub commands: Vec<(Duration, String)>,
}

/// What `sysmon-hub` is told.
#[derive(Clone, Debug, PartialEq)]
pub struct HubConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it is called; the machine's name if not set.
    pub name: Option<String>,
    /// Silence after which a host is stale.
    pub stale_after: Duration,
    /// Silence after which it is offline.
    pub offline_after: Duration,
    /// How long every row is kept.
    pub retention: Duration,
    /// Memory for rows, of all hosts together.
    pub memory: u64,
    /// Bytes of history on disk; 0 for none.
    pub history: u64,
    /// How long minutes are kept on disk.
    pub retention_1m: Duration,
    /// How long hours are.
    pub retention_1h: Duration,
    /// How long certificates it issues are valid.
    pub certificate_life: Duration,
    /// What is watched, a rule a line; the usual things if not set.
    pub alerts: Option<Vec<String>>,
    /// Where alerts are told.
    pub notify: Vec<String>,
    /// Times of the week in which nobody is told of some alerts.
    pub maintenance: Vec<String>,
    /// Edges that the hub shows itself to.
    pub edges: Vec<HubAddress>,
    /// Hosts that edges may show.
    pub share: Vec<String>,
    /// Metrics that edges may show.
    pub share_metrics: Vec<String>,
    /// What edges may tell of alerts.
    pub share_alerts: ShareAlerts,
    /// Where programs on this machine get metrics over HTTP, an address of loopback; nowhere if not set.
    pub metrics: Option<SocketAddr>,
}

/// What `sysmon-tui` is told.
#[derive(Clone, Debug, PartialEq)]
pub struct TuiConfig {
    /// The hub to attach to; a hub inside if not set.
    pub hub: Option<HubAddress>,
    /// Colours.
    pub theme: Theme,
    /// Draw with ASCII characters only.
    pub ascii: bool,
    /// Keys other than the usual, an action a line: `open = o, enter`.
    pub keys: Vec<String>,
    /// What hosts are sorted by at the start.
    pub sort: Order,
    /// Columns of the table of hosts.
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

/// Colours of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// As much contrast as can be had.
    HighContrast,
    /// Told apart by those who do not see red and green as different.
    ColourBlind,
    /// No colour.
    Mono,
}

impl Theme {
    /// Every theme, with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("dark", Self::Dark),
        ("light", Self::Light),
        ("high-contrast", Self::HighContrast),
        ("colour-blind", Self::ColourBlind),
        ("mono", Self::Mono),
    ];
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

/// One key.
#[derive(Clone, Copy)]
pub struct Key {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its default as it stands in a file; none where leaving it out means something of its own.
    pub default: Option<&'static str>,
    /// Reads a value into the configuration, or says what was expected.
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

/// All columns, as a file has them.
const COLUMNS: &str = r#"["up", "cpu-line", "cpu", "mem-bar", "mem", "load", "net-line", "net.rx", "net.tx", "disk.read", "disk.write", "fs", "temp"]"#;

/// Every key there is.
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

fn optional_address(value: &Value) -> Result<Option<HubAddress>, String> {
    let text = value.text("a text such as \"lan-box:7979\"")?;
    text.parse()
        .map(Some)
        .map_err(|e: crate::HubAddressError| e.to_string())
}

fn directory(value: &Value) -> Result<PathBuf, String> {
    let path = PathBuf::from(value.text("a directory such as \"/var/lib/sysmon/textfiles\"")?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{} should begin at the root: /…", path.display()))
    }
}

fn path(value: &Value) -> Result<PathBuf, String> {
    let path = PathBuf::from(value.text("a file such as \"/etc/sysmon/edge.pem\"")?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{} should begin at the root: /…", path.display()))
    }
}

fn commands(value: &Value) -> Result<Vec<(Duration, String)>, String> {
    const COMMANDS_MAX: usize = 16;
    let list = value.list("a list of texts such as [\"60s /usr/local/bin/backup-age\"]")?;
    if list.len() > COMMANDS_MAX {
        return Err(format!(
            "{} commands are over the limit of {COMMANDS_MAX}",
            list.len()
        ));
    }
    let command = |text: &String| {
        let (period, command) = text
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or_default();
        let period = units::duration(period).filter(|period| *period >= SECOND);
        match period {
            Some(period) if !command.trim().is_empty() => Ok((period, command.trim().to_owned())),
            _ => Err(format!(
                "{text:?} is not a period of at least 1s and a command; write for example \"60s /usr/local/bin/backup-age\""
            )),
        }
    };
    list.iter().map(command).collect()
}

fn listen(value: &Value) -> Result<SocketAddr, String> {
    let text = value.text("a text such as \"[::]:7979\"")?;
    text.parse().map_err(|_| {
        format!("{text:?} is not an address and port; write for example \"[::]:7979\" or \"0.0.0.0:7979\"")
    })
}

fn loopback(value: &Value) -> Result<SocketAddr, String> {
    let text = value.text("a text such as \"127.0.0.1:9797\"")?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(address),
        Ok(address) => Err(format!(
            "{} is not on loopback: what is served there is neither encrypted nor asks who reads it, so only this machine may; write for example \"127.0.0.1:9797\" or \"[::1]:9797\"",
            address.ip()
        )),
        Err(_) => Err(format!(
            "{text:?} is not an address and port; write for example \"127.0.0.1:9797\" or \"[::1]:9797\""
        )),
    }
}

fn name(value: &Value) -> Result<String, String> {
    let text = value.text("a text")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if first && text.len() <= 63 && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} cannot be a name: use up to 63 letters, digits, dots, dashes or underscores"
        ))
    }
}

fn addresses(value: &Value) -> Result<Vec<HubAddress>, String> {
    let one = |text: &String| {
        text.parse()
            .map_err(|e: crate::HubAddressError| e.to_string())
    };
    texts(value, 16)?.iter().map(one).collect()
}

pub(crate) fn texts(value: &Value, max: usize) -> Result<Vec<String>, String> {
    let texts = value.list("a list of texts")?;
    if texts.len() > max {
        return Err(format!("{} are over the limit of {max}", texts.len()));
    }
    Ok(texts.to_vec())
}

fn tags(value: &Value) -> Result<Vec<String>, String> {
    /// As many as a hub keeps.
    const TAGS_MAX: usize = 16;
    let tags = value.list("a list of texts such as [\"home\", \"desk\"]")?;
    if tags.len() > TAGS_MAX {
        return Err(format!(
            "{} tags are over the limit of {TAGS_MAX}",
            tags.len()
        ));
    }
    tags.iter()
        .map(|tag| name(&Value::Text(tag.clone())))
        .collect()
}

fn span(value: &Value, min: Duration, max: Duration) -> Result<Duration, String> {
    let expected = "a duration such as \"500ms\", \"1s\" or \"10m\"";
    let text = value.text(expected)?;
    let span = units::duration(text).ok_or_else(|| {
        format!("{text:?} is not a duration; write for example \"500ms\", \"1s\" or \"10m\"")
    })?;
    if (min..=max).contains(&span) {
        Ok(span)
    } else {
        Err(format!(
            "{text:?} is out of range: from {min:?} to {} s",
            max.as_secs()
        ))
    }
}

fn bytes(value: &Value, min: u64) -> Result<u64, String> {
    let bytes = match value {
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        other => units::size(other.text("a size such as \"64MiB\"")?),
    };
    match bytes {
        None => Err(format!(
            "{value} is not a size; write for example \"64MiB\" or \"1GB\""
        )),
        Some(bytes) if bytes < min => Err(format!("{value} is too little: at least {min} bytes")),
        Some(bytes) => Ok(bytes),
    }
}

fn theme(value: &Value) -> Result<Theme, String> {
    let text = value.text("a text")?;
    let found = Theme::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, theme)| *theme).ok_or_else(|| {
        let names = Theme::ALL.map(|(name, _)| name).join(", ");
        format!("there is no theme {text:?}; there are {names}")
    })
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(*value),
        other => Err(format!("{other} is not true or false")),
    }
}
