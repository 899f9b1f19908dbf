//! From a TOML text and the environment to a [`Config`], or to an error that says where and what.

use std::path::Path;

use thiserror::Error;
use toml::Spanned;
use toml::de::DeTable;

use crate::conflicts;
use crate::keys::{Config, Key, keys};
use crate::location::Locations;
use crate::places::config_file;
use crate::suggest::suggest;
use crate::value::Value;

/// Prefix of environment variables that set keys.
const PREFIX: &str = "SYSMON_";

/// Between section and key in an environment variable: `SYSMON_HUB__LISTEN`.
const SEPARATOR: &str = "__";

/// Bytes of a configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// An error in the configuration, with file and line or environment variable.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl Config {
    /// Reads the file at `path`, or the one in the default place if it exists, and then the environment, which takes
    /// precedence over the file.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value is invalid.
    pub fn load(
        path: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut places = Locations::default();
        let usual = config_file();
        let (path, is_named) = (path.or(usual.as_deref()), path.is_some());
        if let Some(path) = path {
            match read(path) {
                Ok(text) => config.read_toml(&text, &path.display().to_string(), &mut places)?,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && !is_named => {}
                Err(error) => {
                    return Err(ConfigError {
                        place: path.display().to_string(),
                        problem: format!("cannot be read: {error}"),
                    });
                }
            }
        }
        config.read_env(env, &mut places)?;
        config.check(&places)?;
        config.places = places;
        Ok(config)
    }

    /// File and line of an item of a list, with the key's name, for errors that only the user of the value can find.
    pub fn place(&self, section: &str, name: &str, item: usize) -> String {
        match self.places.of_item(section, name, item) {
            Some(place) => format!("{place}: [{section}] {name}"),
            None => format!("[{section}] {name}"),
        }
    }

    fn read_toml(
        &mut self,
        text: &str,
        file: &str,
        places: &mut Locations,
    ) -> Result<(), ConfigError> {
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(text);
            format!("{file}:{}", before.matches('\n').count() + 1)
        };
        let at = |offset: usize, problem: String| ConfigError {
            place: place(offset),
            problem,
        };
        let table = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, format!("not TOML: {}", error.message().trim()))
        })?;
        for (section, value) in table.get_ref() {
            let name = section.get_ref();
            if !keys().iter().any(|key| key.section == name) && name != "edge" {
                let sections = ["agent", "hub", "tui", "edge"];
                let problem = format!("unknown section [{name}]{}", suggest(name, sections));
                return Err(at(section.span().start, problem));
            }
            let Some(entries) = value.get_ref().as_table() else {
                let problem =
                    format!("{name} should be a section: write [{name}] on a line of its own");
                return Err(at(section.span().start, problem));
            };
            let note = |key: &Key, offset: usize, items: &[usize]| {
                let items = items.iter().map(|item| place(*item)).collect();
                places.record((key.section, key.name), place(offset), items);
            };
            self.read_section(name, entries, note)
                .map_err(|(offset, problem)| at(offset, problem))?;
        }
        Ok(())
    }

    fn read_section(
        &mut self,
        section: &str,
        entries: &DeTable<'_>,
        mut note: impl FnMut(&Key, usize, &[usize]),
    ) -> Result<(), (usize, String)> {
        for (name, value) in entries {
            let key = find(section, name.get_ref()).map_err(|e| (name.span().start, e))?;
            let raw = Value::from_toml(Spanned::get_ref(value));
            let set = (key.set)(self, &raw);
            set.map_err(|e| (value.span().start, format!("[{section}] {}: {e}", key.name)))?;
            let items = value.get_ref().as_array().into_iter().flatten();
            let items: Vec<_> = items.map(|item| item.span().start).collect();
            note(key, name.span().start, &items);
        }
        Ok(())
    }

    fn read_env(
        &mut self,
        env: impl IntoIterator<Item = (String, String)>,
        places: &mut Locations,
    ) -> Result<(), ConfigError> {
        for (variable, text) in env {
            let Some((section, name)) = variable
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split_once(SEPARATOR))
            else {
                continue;
            };
            let place = format!("environment variable {variable}");
            let wrong = |problem| ConfigError {
                place: place.clone(),
                problem,
            };
            let (section, name) = (section.to_lowercase(), name.to_lowercase());
            let key = find(&section, &name).map_err(wrong)?;
            let set = (key.set)(self, &Value::from_env(&text));
            // A text that looks like another kind: a hub may well be called 42.
            set.or_else(|e| (key.set)(self, &Value::Text(text)).map_err(|_| e))
                .map_err(wrong)?;
            places.record((key.section, key.name), place, Vec::new());
        }
        Ok(())
    }

    /// Checks keys against each other.
    fn check(&self, places: &Locations) -> Result<(), ConfigError> {
        if self.hub.offline_after <= self.hub.stale_after {
            return Err(ConfigError {
                place: places.first_of("hub", &["offline_after", "stale_after"]),
                problem: format!(
                    "[hub] offline_after: {:?} must be longer than stale_after, {:?}",
                    self.hub.offline_after, self.hub.stale_after
                ),
            });
        }
        conflicts::edge(&self.edge).map_err(|(keys, why)| ConfigError {
            place: places.first_of("edge", keys),
            problem: format!("[edge] {}: {why}", keys.join(", ")),
        })
    }
}

/// Variables that look like a key with one underscore after the section, and their right names.
pub(crate) fn misspelt_variables<'a>(
    names: impl Iterator<Item = &'a str>,
) -> Vec<(String, String)> {
    let right = |name: &str| {
        let rest = name.strip_prefix(PREFIX)?;
        let is_it = |key: &&Key| format!("{}_{}", key.section, key.name) == rest.to_lowercase();
        let key = keys().iter().find(is_it)?;
        let (section, name) = (key.section.to_uppercase(), key.name.to_uppercase());
        Some(format!("{PREFIX}{section}{SEPARATOR}{name}"))
    };
    names
        .filter_map(|name| Some((name.to_owned(), right(name)?)))
        .collect()
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let problem = format!("it is larger than {FILE_BYTES_MAX} bytes");
        return Err(std::io::Error::other(problem));
    }
    Ok(text)
}

fn find(section: &str, name: &str) -> Result<&'static Key, String> {
    let here = || keys().iter().filter(|key| key.section == section);
    if let Some(key) = here().find(|key| key.name == name) {
        return Ok(key);
    }
    let here = here().map(|key| key.name);
    Err(match keys().iter().find(|key| key.name == name) {
        Some(key) => format!(
            "unknown key {name:?} in [{section}]; it belongs in [{}]",
            key.section
        ),
        None => format!("unknown key {name:?} in [{section}]{}", suggest(name, here)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn refusal(text: &str) -> String {
        let (mut config, mut places) = (Config::default(), Locations::default());
        let read = config
            .read_toml(text, "config.toml", &mut places)
            .and_then(|()| config.check(&places));
        read.unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_line_and_the_closest_valid_key() {
        assert_eq!(
            refusal("\n[hub]\nlissten = \"[::]:1\"\n"),
            "config.toml:3: unknown key \"lissten\" in [hub]; did you mean \"listen\"?"
        );
        assert_eq!(
            refusal("[agent]\ninterval = \"1 parsec\""),
            "config.toml:2: [agent] interval: \"1 parsec\" is not a duration; write for example \"500ms\", \"1s\" or \"10m\""
        );
        assert_eq!(
            refusal("[agent]\ninterval = 1"),
            "config.toml:2: [agent] interval: 1 should be a duration such as \"500ms\", \"1s\" or \"10m\""
        );
        assert!(
            refusal("[hubb]")
                .contains("config.toml:1: unknown section [hubb]; did you mean \"hub\"?")
        );
        assert!(refusal("[hub]\nspool_age = \"1d\"").contains("it belongs in [agent]"));
        assert!(refusal("[agent]\ninterval = \"1ms\"").contains("out of range"));
        assert!(refusal("[tui]\ntheme = \"pink\"").contains("dark, light"));
        assert_eq!(
            refusal("[tui]\ncolumns = [\"cpu\", \"mem-br\"]"),
            "config.toml:2: [tui] columns: there is no column \"mem-br\"; did you mean \"mem-bar\"?"
        );
        assert!(refusal("[tui]\ncolumns = [\"cpu\", \"cpu\"]").contains("cpu is listed twice"));
        assert!(refusal("[tui]\nsort = \"names\"").contains("did you mean \"name\"?"));
        assert!(refusal("[tui]\n\nascii = \"yes\"").starts_with("config.toml:3: [tui] ascii"));
        assert!(refusal("[hub]\nlisten = ").starts_with("config.toml:2: not TOML"));
        assert!(refusal("[hub]\nmetrics = \"9797\"").contains("is not an address and port"));
        assert!(refusal("hub = 1").contains("should be a section"));
        assert_eq!(
            refusal("[hub]\nstale_after = \"40s\""),
            "config.toml:2: [hub] offline_after: 30s must be longer than stale_after, 40s"
        );
        let both = "[hub]\nstale_after = \"40s\"\noffline_after = \"20s\"";
        assert!(refusal(both).starts_with("config.toml:3: [hub] offline_after"));
    }

    #[test]
    fn conflicting_edge_keys_are_rejected() {
        let edge = |keys: &str| refusal(&format!("[edge]\n{keys}"));
        assert_eq!(
            edge("title = \"x\"\nproxy_user_header = \"X-Forwarded-User\""),
            "config.toml:3: [edge] proxy_user_header: any client could send this header: list the trusted proxy in proxies, for example proxies = [\"127.0.0.1\"]"
        );
        let both = "proxies = [\"::1\"]\nproxy_user_header = \"X-User\"\nlogins = \"/l\"";
        assert!(edge(both).starts_with("config.toml:"), "{}", edge(both));
        assert!(edge(both).contains("leave out proxy_user_header or logins"));
        assert!(edge("key = \"/k\"").starts_with("config.toml:2: [edge] certificate, key: "));
        let files = "acme = [\"a.example\"]\ncertificate = \"/c\"\nkey = \"/k\"";
        assert!(edge(files).contains("leave out certificate and key, or acme"));
        let alone = edge("acme_contact = \"a@b.example\"");
        assert!(alone.starts_with("config.toml:2: ") && alone.contains("acme = ["));
        let slip = edge("acme_contakt = \"a@b.example\"");
        assert_eq!(
            slip,
            "config.toml:2: unknown key \"acme_contakt\" in [edge]; did you mean \"acme_contact\"?"
        );
    }

    #[test]
    fn items_of_a_list_have_places() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[hub]\nalerts = [\n  \"a\",\n\n  \"b\",\n]\n").unwrap();
        let config = Config::load(Some(&path), []).unwrap();
        let at = |line: u32| format!("{}:{line}: [hub] alerts", path.display());
        assert_eq!(config.place("hub", "alerts", 0), at(3));
        assert_eq!(config.place("hub", "alerts", 1), at(5));
        assert_eq!(config.place("hub", "alerts", 2), at(2));
        assert_eq!(config.place("hub", "notify", 0), "[hub] notify");
        let env = [("SYSMON_HUB__ALERTS".to_owned(), "[\"c\"]".to_owned())];
        let config = Config::load(Some(&path), env).unwrap();
        let place = "environment variable SYSMON_HUB__ALERTS: [hub] alerts";
        assert_eq!(config.place("hub", "alerts", 0), place);
    }

    #[test]
    fn the_environment_takes_precedence_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "[hub]\nname = \"file\"\nstale_after = \"7s\"").unwrap();
        let env = [
            ("SYSMON_HUB__NAME", "env"),
            ("SYSMON_TUI__ASCII", "true"),
            ("SYSMON_X", "y"),
        ];
        let env = env.map(|(k, v)| (k.to_owned(), v.to_owned()));
        let config = Config::load(Some(&path), env).unwrap();
        assert_eq!(config.hub.name.as_deref(), Some("env"));
        assert_eq!(
            (config.hub.stale_after, config.tui.ascii),
            (Duration::from_secs(7), true)
        );
        let number = [("SYSMON_HUB__NAME".to_owned(), "42".to_owned())];
        let config = Config::load(Some(&path), number).unwrap();
        assert_eq!(config.hub.name.as_deref(), Some("42"));
        let late = [("SYSMON_HUB__STALE_AFTER".to_owned(), "1h".to_owned())];
        let error = Config::load(Some(&path), late).unwrap_err().to_string();
        assert!(
            error.starts_with("environment variable SYSMON_HUB__STALE_AFTER: "),
            "{error}"
        );
        let wrong = [("SYSMON_HUB__LISTN".to_owned(), "x".to_owned())];
        let error = Config::load(Some(&path), wrong).unwrap_err().to_string();
        assert!(error.contains("SYSMON_HUB__LISTN") && error.contains("did you mean \"listen\"?"));
    }

    #[test]
    fn a_file_over_the_limit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        let error = Config::load(Some(&path), []).unwrap_err().to_string();
        assert!(error.contains("larger than 1048576 bytes"), "{error}");
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = Config::load(Some(Path::new("/nowhere/config.toml")), []).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("/nowhere/config.toml: cannot be read")
        );
    }

    /// The example names every key with its default, so that it cannot fall behind.
    #[test]
    fn the_example_file_lists_the_defaults() {
        let example = include_str!("../../../config.example.toml");
        let mut config = Config::default();
        let read = |config: &mut Config, text: &str| {
            config.read_toml(text, "example", &mut Locations::default())
        };
        read(&mut config, example).unwrap();
        assert_eq!(config, Config::default());
        for key in keys() {
            let line = format!("# {} = {}", key.name, key.default.unwrap_or(""));
            assert!(
                example.contains(line.trim_end()),
                "{key:?} is not in the example as {line:?}"
            );
        }
        let is_setting = |line: &&str| line.starts_with("# ") && line.contains(" = ");
        let set: String = example
            .lines()
            .map(|line| if is_setting(&line) { &line[2..] } else { line })
            .collect::<Vec<_>>()
            .join("\n");
        let mut config = Config::default();
        read(&mut config, &set).unwrap();
        // These have no default but an example; all others are what they are anyway.
        assert!(config.agent.hub.take().is_some() && config.tui.hub.take().is_some());
        assert!(config.agent.join_token.take().is_some());
        assert!(config.agent.heartbeats.take().is_some());
        assert!(config.hub.releases.take().is_some());
        assert!(config.hub.heartbeat.take().is_some());
        assert!(config.hub.history_beyond.take().is_some());
        assert!(config.hub.history_beyond_ca.take().is_some());
        assert!(config.hub.alerts.take().is_some() && config.hub.metrics.take().is_some());
        let hub = &mut config.hub;
        assert!(hub.metrics_token.take().is_some() && hub.metrics_cert.take().is_some());
        assert!(hub.metrics_key.take().is_some());
        assert!(hub.otlp.take().is_some() && hub.otlp_http.take().is_some());
        assert!(config.hub.name.take().is_some() && config.agent.textfiles.take().is_some());
        let edge = &mut config.edge;
        assert!(edge.hub.take().is_some() && edge.join_token.take().is_some());
        assert!(edge.certificate.take().is_some() && edge.key.take().is_some());
        assert!(edge.logins.take().is_some() && edge.proxy_user_header.take().is_some());
        assert!(edge.acme_contact.take().is_some() && edge.acme_roots.take().is_some());
        assert_eq!(config, Config::default());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}") {
            let _ = Config::default().read_toml(&text, "x", &mut Locations::default());
            let _ = Value::from_env(&text);
        }
    }

    #[test]
    fn a_variable_with_one_underscore_is_noticed_with_its_right_name() {
        let names = [
            "SYSMON_HUB_LISTEN",
            "SYSMON_HUB__LISTEN",
            "SYSMON_X",
            "HUB_LISTEN",
        ];
        let noticed = misspelt_variables(names.into_iter());
        let wanted = (
            "SYSMON_HUB_LISTEN".to_owned(),
            "SYSMON_HUB__LISTEN".to_owned(),
        );
        assert_eq!(noticed, [wanted]);
    }
}
