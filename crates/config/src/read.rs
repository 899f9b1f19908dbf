//! Readers: from a raw value to the type of a key, or what was expected instead.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sysmon_wire::limits::TAGS_PER_HOST_MAX;

use crate::address::{HubAddress, HubAddressError};
use crate::units;
use crate::value::Value;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn optional_address(value: &Value) -> Result<Option<HubAddress>, String> {
    let text = value.text("a text such as \"lan-box:7979\"")?;
    address(text).map(Some)
}

fn address(text: &str) -> Result<HubAddress, String> {
    text.parse().map_err(|e: HubAddressError| e.to_string())
}

pub(crate) fn directory(value: &Value) -> Result<PathBuf, String> {
    absolute(value.text("a directory such as \"/var/lib/sysmon/textfiles\"")?)
}

/// The address of an engine, or where to read it.
pub(crate) fn engine(value: &Value) -> Result<Option<String>, String> {
    const EXPECTED: &str =
        "an address such as \"postgres://reader@db/metrics\" or \"prometheus:https://vm\"";
    let text = value.text(EXPECTED)?;
    let is_engine = ["postgres:", "postgresql:", "prometheus:", "file:", "env:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    match is_engine {
        true => Ok(Some(text.to_owned())),
        false => Err(format!("{value} should be {EXPECTED}")),
    }
}

pub(crate) fn root(value: &Value) -> Result<PathBuf, String> {
    absolute(value.text("a directory such as \"/host/proc\"")?)
}

/// Where the hub reports that it lives, or where to read that.
pub(crate) fn heartbeat(value: &Value) -> Result<String, String> {
    const EXPECTED: &str =
        "a URL such as \"https://hc.example/ping/…\", \"file:/PATH\" or \"env:NAME\"";
    let text = value.text(EXPECTED)?;
    let kinds = ["https://", "http://", "file:/", "env:"];
    match kinds.iter().any(|kind| text.starts_with(kind)) {
        true => Ok(text.to_owned()),
        // Not quoted: it may be a secret.
        false => Err(format!("write {EXPECTED}")),
    }
}

/// Where releases are, without a slash at the end.
pub(crate) fn releases(value: &Value) -> Result<String, String> {
    let text = value.text("a URL such as \"https://releases.example.org/sysmon\"")?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    // It becomes part of a shell command.
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%+@".contains(c);
    match rest {
        Some(rest) if !rest.is_empty() && rest.chars().all(fits) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err(format!(
            "{text:?} is not a URL of a folder; write for example \"https://releases.example.org/sysmon\""
        )),
    }
}

pub(crate) fn path(value: &Value) -> Result<PathBuf, String> {
    absolute(value.text("a file such as \"/etc/sysmon/edge.pem\"")?)
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("{text} is not an absolute path: start it with /")),
    }
}

pub(crate) fn commands(value: &Value) -> Result<Vec<(Duration, String)>, String> {
    const EXPECTED: &str = "a list of texts such as [\"60s /usr/local/bin/backup-age\"]";
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
    list(value, EXPECTED, 16)?.iter().map(command).collect()
}

/// A secret, which the configuration only names.
pub(crate) fn reference(value: &Value) -> Result<String, String> {
    const EXPECTED: &str =
        "where the secret is, such as \"file:/run/secrets/token\" or \"env:TOKEN\"";
    let text = value.text(EXPECTED)?;
    match text.starts_with("file:/") || text.starts_with("env:") {
        true => Ok(text.to_owned()),
        // Not quoted: it may be the secret itself.
        false => Err(format!("write {EXPECTED}")),
    }
}

pub(crate) fn listen(value: &Value) -> Result<SocketAddr, String> {
    let text = value.text("a text such as \"[::]:7979\"")?;
    text.parse().map_err(|_| {
        format!("{text:?} is not an address and port; write for example \"[::]:7979\" or \"0.0.0.0:7979\"")
    })
}

pub(crate) fn metrics(value: &Value) -> Result<SocketAddr, String> {
    let text = value.text("a text such as \"127.0.0.1:9797\"")?;
    text.parse().map_err(|_| {
        format!("{text:?} is not an address and port; write for example \"127.0.0.1:9797\" or \"[::1]:9797\"")
    })
}

pub(crate) fn name(value: &Value) -> Result<String, String> {
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

pub(crate) fn addresses(value: &Value) -> Result<Vec<HubAddress>, String> {
    texts(value, 16)?.iter().map(|text| address(text)).collect()
}

pub(crate) fn texts(value: &Value, max: usize) -> Result<Vec<String>, String> {
    Ok(list(value, "a list of texts", max)?.to_vec())
}

fn list<'a>(value: &'a Value, expected: &str, max: usize) -> Result<&'a [String], String> {
    let list = value.list(expected)?;
    match list.len() {
        count if count > max => Err(format!("{count} items are over the limit of {max}")),
        _ => Ok(list),
    }
}

pub(crate) fn tags(value: &Value) -> Result<Vec<String>, String> {
    let expected = "a list of texts such as [\"home\", \"desk\"]";
    let tags = list(value, expected, TAGS_PER_HOST_MAX)?;
    let tag = |tag: &String| {
        // A tag such as rack:7 becomes a label of exports.
        for part in tag.splitn(2, ':') {
            name(&Value::Text(part.to_owned()))?;
        }
        Ok(tag.clone())
    };
    tags.iter().map(tag).collect()
}

pub(crate) fn span(value: &Value, min: Duration, max: Duration) -> Result<Duration, String> {
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

pub(crate) fn bytes(value: &Value, min: u64) -> Result<u64, String> {
    let bytes = match value {
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        other => units::size(other.text("a size such as \"64MiB\"")?),
    };
    match bytes {
        None => Err(format!(
            "{value} is not a size; write for example \"64MiB\" or \"1GB\""
        )),
        Some(bytes) if bytes < min => Err(format!("{value} is too small: at least {min} bytes")),
        Some(bytes) => Ok(bytes),
    }
}

pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(value) => Ok(*value),
        other => Err(format!("{other} is not true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_name_or_a_name_with_a_value() {
        let read = |text: &str| tags(&Value::from_env(text));
        assert_eq!(
            read("[\"prod\", \"rack:7\"]"),
            Ok(vec!["prod".to_owned(), "rack:7".to_owned()])
        );
        for wrong in ["rack:", ":7", "rack:7:8", "a b", "#prod"] {
            assert!(read(&format!("[\"{wrong}\"]")).is_err(), "{wrong}");
        }
    }
}
