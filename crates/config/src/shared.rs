//! What the hub shares with edges.

use crate::value::Value;

/// Aliases of the metrics that can be shared.
const NAMES: [&str; 9] = [
    "cpu",
    "mem",
    "load1",
    "net.rx",
    "net.tx",
    "disk.read",
    "disk.write",
    "fs.worst",
    "temp.max",
];

/// All of them, in TOML.
pub(crate) const METRICS: &str = r#"["cpu", "mem", "load1", "net.rx", "net.tx", "disk.read", "disk.write", "fs.worst", "temp.max"]"#;

/// What edges may show of alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShareAlerts {
    /// Nothing.
    None,
    /// Names of the rules.
    #[default]
    Names,
    /// Names and summaries.
    Summaries,
}

impl ShareAlerts {
    const ALL: [(&str, Self); 3] = [
        ("none", Self::None),
        ("names", Self::Names),
        ("summaries", Self::Summaries),
    ];
}

impl std::fmt::Display for ShareAlerts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let found = Self::ALL.iter().find(|(_, alerts)| alerts == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

pub(crate) fn metrics() -> Vec<String> {
    NAMES.map(str::to_owned).to_vec()
}

pub(crate) fn read(value: &Value) -> Result<Vec<String>, String> {
    let names = value.list("a list of texts such as [\"cpu\", \"mem\"]")?;
    match names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        Some(name) => Err(format!(
            "{name:?} cannot be shared; there are {}",
            NAMES.join(", ")
        )),
        None => Ok(names.to_vec()),
    }
}

pub(crate) fn alerts(value: &Value) -> Result<ShareAlerts, String> {
    let text = value.text("a text")?;
    let found = ShareAlerts::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, alerts)| *alerts).ok_or_else(|| {
        format!("{text:?} is nothing to tell of alerts; there are none, names, summaries")
    })
}
