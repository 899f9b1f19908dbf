//! Topics, and what Home Assistant learns about a host (<https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>).
//! Pure.

use serde_json::{Map, Value, json};
use sysmon_wire::fnv1a;
use sysmon_wire::metrics::ALIASES;

/// Bytes of a name in a topic.
const NAME_BYTES_MAX: usize = 200;

/// The topics of one prefix.
#[derive(Clone, Debug)]
pub(super) struct Topics {
    prefix: String,
    /// Home Assistant's prefix; none leaves it alone.
    discovery: Option<String>,
}

/// What Home Assistant shows of a value.
struct Sensor {
    alias: &'static str,
    name: &'static str,
    unit: &'static str,
    class: &'static str,
    factor: u32,
}

macro_rules! sensors {
    ($($alias:literal = $name:literal, $unit:literal, $class:literal, $factor:literal;)*) => {
        [$(Sensor { alias: $alias, name: $name, unit: $unit, class: $class, factor: $factor }),*]
    };
}

const SENSORS: [Sensor; 9] = sensors! {
    "cpu" = "Processor", "%", "", 100;
    "mem" = "Memory", "%", "", 100;
    "load1" = "Load", "", "", 1;
    "net.rx" = "Network in", "B/s", "data_rate", 1;
    "net.tx" = "Network out", "B/s", "data_rate", 1;
    "disk.read" = "Disk read", "B/s", "data_rate", 1;
    "disk.write" = "Disk write", "B/s", "data_rate", 1;
    "fs.worst" = "Fullest filesystem", "%", "", 100;
    "temp.max" = "Temperature", "°C", "temperature", 1;
};

impl Topics {
    pub(super) fn new(prefix: String, discovery: Option<String>) -> Self {
        Self { prefix, discovery }
    }

    /// `online` while the hub is connected, else `offline`.
    pub(super) fn hub_availability(&self) -> String {
        format!("{}/hub/availability", self.prefix)
    }

    /// Which hub has the prefix.
    pub(super) fn hub_id(&self) -> String {
        format!("{}/hub/id", self.prefix)
    }

    pub(super) fn test(&self) -> String {
        format!("{}/test", self.prefix)
    }

    /// `online` or `offline`, of a host by its name in topics.
    pub(super) fn availability(&self, name: &str) -> String {
        format!("{}/hosts/{name}/availability", self.prefix)
    }

    /// The newest values as JSON.
    pub(super) fn state(&self, name: &str) -> String {
        format!("{}/hosts/{name}/state", self.prefix)
    }

    /// The name of the host whose availability this topic is.
    pub(super) fn host_of<'t>(&self, topic: &'t str) -> Option<&'t str> {
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix("/hosts/")?;
        rest.strip_suffix("/availability")
    }

    /// Where Home Assistant learns about a host.
    pub(super) fn discovery(&self, name: &str) -> Option<String> {
        let discovery = self.discovery.as_ref()?;
        Some(format!("{discovery}/device/{}/config", self.id(name)))
    }

    /// What identifies a host in Home Assistant, which allows fewer characters than topics have.
    fn id(&self, name: &str) -> String {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        cleaned(&format!("{}_{name}", self.prefix), is_allowed)
    }

    /// What Home Assistant creates: one device with a sensor for each of these values (bits by the order of the aliases).
    pub(super) fn device(&self, name: &str, host: &str, values: u32) -> Vec<u8> {
        let id = self.id(name);
        let mut sensors = Map::new();
        for Sensor {
            alias,
            name,
            unit,
            class,
            factor,
        } in &SENSORS
        {
            let place = ALIASES.iter().position(|known| known.alias == *alias);
            if place.is_none_or(|place| values >> place & 1 == 0) {
                continue;
            }
            let value = format!("value_json.metrics['{alias}']");
            let scaled = match factor {
                1 => value.clone(),
                factor => format!("({value} * {factor}) | round(1)"),
            };
            let key = alias.replace('.', "_");
            let mut sensor = json!({
                "platform": "sensor",
                "name": name,
                "unique_id": format!("{id}_{key}"),
                "state_class": "measurement",
                "value_template": format!("{{{{ {scaled} if {value} is number else none }}}}"),
            });
            if !unit.is_empty() {
                sensor["unit_of_measurement"] = (*unit).into();
            }
            if !class.is_empty() {
                sensor["device_class"] = (*class).into();
            }
            sensors.insert(key, sensor);
        }
        let message: Value = json!({
            "device": { "identifiers": [id], "name": host, "manufacturer": "sysmon" },
            "origin": { "name": "sysmon-hub", "sw_version": env!("CARGO_PKG_VERSION") },
            "components": sensors,
            "state_topic": self.state(name),
            "availability": [
                { "topic": self.hub_availability() },
                { "topic": self.availability(name) },
            ],
            "availability_mode": "all",
            "qos": 1,
        });
        message.to_string().into_bytes()
    }
}

/// The name of a host in topics. `+`, `#` and `/` have a meaning there; a name that has to change gets a hash of what it
/// was, so that no two hosts share a topic.
pub(super) fn topic_name(host: &str) -> String {
    cleaned(host, |c| {
        !matches!(c, '+' | '#' | '/' | '$') && !c.is_control() && !c.is_whitespace()
    })
}

fn cleaned(text: &str, is_allowed: impl Fn(char) -> bool) -> String {
    let mut clean: String = text
        .chars()
        .map(|c| if is_allowed(c) { c } else { '_' })
        .collect();
    if clean == text && clean.len() <= NAME_BYTES_MAX && !clean.is_empty() {
        return clean;
    }
    clean.truncate(clean.floor_char_boundary(NAME_BYTES_MAX));
    let hash = fnv1a(text.as_bytes()) as u32;
    format!("{clean}_{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use sysmon_wire::metrics::SUMMARY;

    fn topics() -> Topics {
        Topics::new("sysmon".to_owned(), Some("homeassistant".to_owned()))
    }

    #[test]
    fn names_are_clean_stable_and_of_one_host_each() {
        assert_eq!(topic_name("db-1.example.com"), "db-1.example.com");
        let names = ["a/b", "a+b", "a#b", "a_b", "$SYS", "a b", "ä/", ""];
        let clean: BTreeSet<String> = names.iter().map(|name| topic_name(name)).collect();
        assert_eq!(clean.len(), names.len());
        for name in &clean {
            assert!(
                !name.contains(['+', '#', '/', '$', ' ']) && !name.is_empty(),
                "{name}"
            );
        }
        assert_eq!(topic_name("a/b"), "a_b_0468cf61");
        let long = "x".repeat(256);
        assert_eq!(topic_name(&long).len(), NAME_BYTES_MAX + 9);
    }

    #[test]
    fn the_host_of_a_topic_is_found() {
        let topics = topics();
        let topic = topics.availability("db-1.example.com");
        assert_eq!(topics.host_of(&topic), Some("db-1.example.com"));
        assert_eq!(topics.host_of(&topics.hub_availability()), None);
        assert_eq!(topics.host_of("other/hosts/a/availability"), None);
    }

    #[test]
    fn every_value_of_the_summary_has_a_sensor() {
        for (sensor, known) in SENSORS.iter().zip(ALIASES) {
            assert_eq!(sensor.alias, known.alias);
        }
        assert_eq!(SENSORS.len(), SUMMARY);
        let topics = topics();
        let device: Value = serde_json::from_slice(&topics.device("db.1", "db.1", 0b1001)).unwrap();
        let id = topics.id("db.1");
        assert!(id.starts_with("sysmon_db_1_"), "{id}");
        assert_eq!(
            topics.discovery("db.1"),
            Some(format!("homeassistant/device/{id}/config"))
        );
        let sensors = device["components"].as_object().unwrap();
        assert_eq!(sensors.keys().collect::<Vec<_>>(), ["cpu", "net_rx"]);
        assert_eq!(sensors["net_rx"]["unit_of_measurement"], "B/s");
        assert_eq!(sensors["cpu"]["unique_id"], format!("{id}_cpu"));
        assert_eq!(
            sensors["cpu"]["value_template"],
            "{{ (value_json.metrics['cpu'] * 100) | round(1) if value_json.metrics['cpu'] is number else none }}"
        );
        assert_eq!(device["state_topic"], "sysmon/hosts/db.1/state");
    }
}
