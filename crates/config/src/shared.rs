//! What the hub shares with edges, and agents with operators.

use sysmon_wire::metrics::SUMMARY;

use crate::screen::{find, named, toml_array};
use crate::value::Value;

macro_rules! shareable {
    ($($name:literal,)*) => {
        /// Aliases of the metrics that can be shared: those that the hub sends of every host.
        const NAMES: [&str; SUMMARY] = [$($name),*];

        /// All of them, in TOML.
        pub(crate) const METRICS: &str = toml_array!($($name),*);
    };
}

shareable! {
    "cpu",
    "mem",
    "load1",
    "net.rx",
    "net.tx",
    "disk.read",
    "disk.write",
    "fs.worst",
    "temp.max",
}

named! {
    /// What edges may show of alerts.
    #[derive(Default)]
    ShareAlerts {
        None = "none",
        #[default]
        Names = "names",
        Summaries = "summaries",
    }
}

named! {
    /// Which arguments of processes an agent shows to operators.
    #[derive(Default)]
    Arguments {
        None = "none",
        /// Without secrets.
        #[default]
        Redacted = "redacted",
        Full = "full",
    }
}

pub(crate) fn arguments(value: &Value) -> Result<Arguments, String> {
    find(Arguments::ALL, value.text("a text")?, "kind of arguments")
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
    find(ShareAlerts::ALL, value.text("a text")?, "level of detail")
}
