//! Differences between two configurations, and which of them a running hub can apply. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysmon_config::{ExportConfig, HubConfig};
use sysmon_wire::quantity;

use sysmon_alerts::notify::Route;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: &'static str,
    /// The old value as in the file, without secrets.
    pub old: String,
    pub new: String,
    pub is_live: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.key, self.old, self.new)?;
        if !self.is_live {
            f.write_str(" (after a restart)")?;
        }
        Ok(())
    }
}

struct Key {
    name: &'static str,
    is_live: bool,
    is_same: fn(&HubConfig, &HubConfig) -> bool,
    show: fn(&HubConfig) -> String,
}

macro_rules! keys {
    ($($name:ident $when:ident $show:expr;)*) => {
        &[$(Key {
            name: stringify!($name),
            is_live: stringify!($when).len() == "live".len(),
            is_same: |old, new| old.$name == new.$name,
            show: |config| $show(&config.$name),
        }),*]
    };
}

const KEYS: &[Key] = keys! {
    listen at_start ToString::to_string;
    name at_start |name: &Option<String>| optional(name.as_ref(), "the machine's name");
    stale_after live span;
    offline_after live span;
    retention live span;
    memory live bytes;
    history at_start bytes;
    retention_1m live span;
    retention_1h live span;
    // The address may contain a password.
    history_beyond at_start |engine: &Option<String>| match engine {
        Some(_) => "an engine".to_owned(),
        None => "none".to_owned(),
    };
    history_beyond_ca at_start |path: &Option<PathBuf>| file(path.as_deref(), "the public ones");
    certificate_life live span;
    alerts live |rules: &Option<Vec<String>>| match rules {
        Some(rules) => list(rules),
        None => "the default rules".to_owned(),
    };
    notify live routes;
    // Its URL is a secret.
    heartbeat at_start |url: &Option<String>| match url {
        Some(_) => "set".to_owned(),
        None => "none".to_owned(),
    };
    maintenance live list;
    edges live list;
    share live list;
    share_metrics live list;
    share_checks live list;
    share_alerts live ToString::to_string;
    metrics at_start |address: &Option<_>| optional(address.as_ref(), "not served");
    metrics_token at_start |path: &Option<PathBuf>| file(path.as_deref(), "none");
    metrics_cert at_start |path: &Option<PathBuf>| file(path.as_deref(), "the hub's own");
    metrics_key at_start |path: &Option<PathBuf>| file(path.as_deref(), "the hub's own");
    otlp at_start |address: &Option<_>| optional(address.as_ref(), "not received");
    otlp_http at_start |address: &Option<_>| optional(address.as_ref(), "not received");
    releases live |url: &Option<String>| optional(url.as_ref(), "none");
    export live |exports: &Vec<ExportConfig>| {
        // Addresses, labels and headers may have secrets in them.
        let names: Vec<_> = exports.iter().map(|export| export.name.clone()).collect();
        list(&names)
    };
};

pub fn changes(old: &HubConfig, new: &HubConfig) -> Vec<Change> {
    let changed = KEYS.iter().filter(|key| !(key.is_same)(old, new));
    let change = |key: &Key| Change {
        key: key.name,
        old: (key.show)(old),
        new: (key.show)(new),
        is_live: key.is_live,
    };
    changed.map(change).collect()
}

fn optional(value: Option<&impl ToString>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

fn file(path: Option<&Path>, otherwise: &str) -> String {
    path.map_or_else(|| otherwise.to_owned(), |path| path.display().to_string())
}

/// In the largest unit that divides the value.
fn span(span: &Duration) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    quantity::exact(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), &units)
}

fn bytes(bytes: &u64) -> String {
    let units = [
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        (" bytes", 1),
    ];
    quantity::exact(*bytes, &units)
}

fn list(values: &[impl ToString]) -> String {
    format!(
        "{:?}",
        values.iter().map(ToString::to_string).collect::<Vec<_>>()
    )
}

/// Webhook URLs are secrets: only their host is shown.
fn routes(routes: &[String]) -> String {
    let describe = |route: &String| Route::describe(route);
    list(&routes.iter().map(describe).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_hub_is_compared() {
        let of_hub = sysmon_config::keys()
            .iter()
            .filter(|key| key.section == "hub");
        let names: Vec<_> = of_hub.map(|key| key.name).collect();
        assert_eq!(KEYS.iter().map(|key| key.name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn changes_are_shown_as_in_the_file_without_secrets() {
        let old = HubConfig::default();
        assert_eq!(changes(&old, &old), Vec::new());
        let new = HubConfig {
            stale_after: Duration::from_secs(90),
            retention: Duration::from_secs(36 * 3600),
            memory: 3 << 29,
            history: 0,
            name: Some("box".to_owned()),
            alerts: Some(vec!["hot: temp.max > 90".to_owned()]),
            notify: vec!["https://hooks.example.org/secret".to_owned()],
            ..old.clone()
        };
        let told: Vec<_> = changes(&old, &new)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "name: the machine's name → box (after a restart)",
                "stale_after: 5s → 90s",
                "retention: 1d → 36h",
                "memory: 1GiB → 1536MiB",
                "history: 8GiB → 0 bytes (after a restart)",
                "alerts: the default rules → [\"hot: temp.max > 90\"]",
                "notify: [] → [\"webhook at hooks.example.org\"]",
            ]
        );
    }
}
