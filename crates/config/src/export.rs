//! `[[hub.export]]`: what is sent to engines that other people run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::read;
use crate::suggest::suggest;
use crate::value::{Table, Value};

const SECOND: Duration = Duration::from_secs(1);

/// Destinations of one hub.
const DESTINATIONS_MAX: usize = 16;

/// Patterns, labels, tags or headers of one destination.
const ITEMS_MAX: usize = 64;

/// One destination as it is configured; `config.example.toml` describes the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportConfig {
    /// `name`
    pub name: String,
    /// `kind`
    pub kind: String,
    /// `url`, or where to read it
    pub url: String,
    /// `hosts`
    pub hosts: Vec<String>,
    /// `metrics`
    pub metrics: Vec<String>,
    /// `every`
    pub every: Option<Duration>,
    /// `labels`
    pub labels: BTreeMap<String, String>,
    /// `tags`
    pub tags: Vec<String>,
    /// `ca`
    pub ca: Option<PathBuf>,
    /// `cert`
    pub cert: Option<PathBuf>,
    /// `key`
    pub key: Option<PathBuf>,
    /// `token`, or where to read it
    pub token: Option<String>,
    /// `user`
    pub user: Option<String>,
    /// `password`, or where to read it
    pub password: Option<String>,
    /// `headers`, or where to read each
    pub headers: BTreeMap<String, String>,
    /// What only some kinds have.
    pub options: BTreeMap<String, String>,
}

/// Keys that every kind has, for suggestions.
const COMMON: [&str; 15] = [
    "name", "kind", "url", "hosts", "metrics", "every", "labels", "tags", "ca", "cert", "key",
    "token", "user", "password", "headers",
];

/// The kinds with the keys that only they have.
const KINDS: [(&str, &[&str]); 6] = [
    ("remote-write", &["plaintext"]),
    ("otlp-grpc", &["plaintext", "compression"]),
    ("otlp-http", &["plaintext", "compression"]),
    ("postgres", &["plaintext", "retention", "minutes", "narrow"]),
    (
        "redis",
        &["plaintext", "prefix", "cluster", "sentinel", "events"],
    ),
    ("mqtt", &["plaintext", "prefix", "discovery"]),
];

/// The names of the kinds.
pub fn export_kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(kind, _)| *kind)
}

pub(crate) fn exports(value: &Value) -> Result<Vec<ExportConfig>, String> {
    let tables = match value {
        Value::Tables(tables) => tables.as_slice(),
        Value::List(list) if list.is_empty() => &[],
        other => {
            return Err(format!(
                "{other} should be tables: write [[hub.export]] above the keys of each destination"
            ));
        }
    };
    if tables.len() > DESTINATIONS_MAX {
        return Err(format!("a hub has at most {DESTINATIONS_MAX} destinations"));
    }
    let mut found: Vec<ExportConfig> = Vec::new();
    for table in tables {
        let export = export(table)?;
        if found.iter().any(|other| other.name == export.name) {
            return Err(format!(
                "there are two destinations called {:?}",
                export.name
            ));
        }
        found.push(export);
    }
    Ok(found)
}

fn export(table: &Table) -> Result<ExportConfig, String> {
    let mut export = ExportConfig::default();
    for (key, value) in table {
        set(&mut export, key, value).map_err(|problem| format!("{key}: {problem}"))?;
    }
    let ExportConfig { name, kind, .. } = &export;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) || name.starts_with('.') {
        return Err("name: give each destination a name of letters, digits, - and _".to_owned());
    }
    let Some((_, own)) = KINDS.iter().find(|(known, _)| known == kind) else {
        let hint = suggest(kind, export_kinds());
        let kinds: Vec<_> = export_kinds().collect();
        return Err(format!(
            "{name}: unknown kind {kind:?}{hint}; there are {}",
            kinds.join(", ")
        ));
    };
    if let Some(wrong) = export
        .options
        .keys()
        .find(|key| !own.contains(&key.as_str()))
    {
        let hint = suggest(wrong, own.iter().copied().chain(COMMON));
        return Err(format!(
            "{name}: unknown key {wrong:?} of a destination of the kind {kind}{hint}"
        ));
    }
    if export.url.is_empty() {
        return Err(format!("{name}: url: give the address of the engine"));
    }
    if export.cert.is_some() != export.key.is_some() {
        return Err(format!("{name}: cert and key go together"));
    }
    if export.user.is_some() != export.password.is_some() {
        return Err(format!("{name}: user and password go together"));
    }
    Ok(export)
}

fn set(export: &mut ExportConfig, key: &str, value: &Value) -> Result<(), String> {
    let text = || value.text("a text").map(str::to_owned);
    match key {
        "name" => export.name = text()?,
        "kind" => export.kind = text()?,
        "url" => export.url = text()?,
        "hosts" => export.hosts = read::texts(value, ITEMS_MAX)?,
        "metrics" => export.metrics = read::texts(value, ITEMS_MAX)?,
        "every" => export.every = Some(read::span(value, SECOND, SECOND * 3_600)?),
        "labels" => export.labels = texts(value)?,
        "tags" => export.tags = read::texts(value, ITEMS_MAX)?,
        "ca" => export.ca = Some(read::path(value)?),
        "cert" => export.cert = Some(read::path(value)?),
        "key" => export.key = Some(read::path(value)?),
        "token" => export.token = Some(text()?),
        "user" => export.user = Some(text()?),
        "password" => export.password = Some(text()?),
        "headers" => export.headers = texts(value)?,
        own => {
            let value = match value {
                Value::Text(text) => text.clone(),
                Value::Boolean(value) => value.to_string(),
                Value::Integer(value) => value.to_string(),
                other => return Err(format!("{other} should be a text, a number, true or false")),
            };
            export.options.insert(own.to_owned(), value);
        }
    }
    Ok(())
}

/// Names with texts.
fn texts(value: &Value) -> Result<BTreeMap<String, String>, String> {
    const EXPECTED: &str = "a table of texts such as { env = \"prod\" }";
    let Value::Table(table) = value else {
        return Err(format!("{value} should be {EXPECTED}"));
    };
    if table.len() > ITEMS_MAX {
        return Err(format!("at most {ITEMS_MAX} are possible"));
    }
    let texts = table
        .iter()
        .map(|(name, value)| Ok((name.clone(), value.text(EXPECTED)?.to_owned())));
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<ExportConfig>, String> {
        exports(&Value::from_env(text))
    }

    #[test]
    fn an_inline_array_is_read_as_tables_are() {
        let found = read(
            r#"[{ name = "vm", kind = "remote-write", url = "http://127.0.0.1:8428/api/v1/write", every = "10s",
                 hosts = ["db-*"], labels = { env = "prod" }, plaintext = true }]"#,
        );
        let [vm] = found.unwrap().try_into().unwrap();
        assert_eq!((vm.name.as_str(), vm.every), ("vm", Some(SECOND * 10)));
        assert_eq!(vm.labels, [("env".to_owned(), "prod".to_owned())].into());
        assert_eq!(
            vm.options,
            [("plaintext".to_owned(), "true".to_owned())].into()
        );
        assert_eq!(read("[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_destination_and_the_key() {
        let error = |keys: &str| read(&format!("[{{ name = \"vm\", {keys} }}]")).unwrap_err();
        for (keys, part) in [
            (
                "kind = \"remote-wite\", url = \"x\"",
                "did you mean \"remote-write\"?",
            ),
            (
                "kind = \"redis\", url = \"x\", prefxi = \"a\"",
                "vm: unknown key \"prefxi\"",
            ),
            (
                "kind = \"redis\", url = \"x\", narrow = true",
                "unknown key \"narrow\" of a destination of the kind redis",
            ),
            ("kind = \"redis\"", "vm: url: give"),
            (
                "kind = \"redis\", url = \"x\", cert = \"/c\"",
                "cert and key go together",
            ),
            (
                "kind = \"redis\", url = \"x\", user = \"u\"",
                "user and password go together",
            ),
            (
                "kind = \"redis\", url = \"x\", labels = [\"a\"]",
                "labels: ",
            ),
            ("kind = \"redis\", url = \"x\", every = \"2h\"", "every: "),
        ] {
            assert!(error(keys).contains(part), "{keys}: {}", error(keys));
        }
        assert!(read("\"x\"").unwrap_err().contains("[[hub.export]]"));
        let two = r#"[{ name = "a", kind = "redis", url = "x" }, { name = "a", kind = "redis", url = "x" }]"#;
        assert!(
            read(two)
                .unwrap_err()
                .contains("two destinations called \"a\"")
        );
        assert!(read(r#"[{ name = "../x", kind = "redis", url = "x" }]"#).is_err());
    }
}
