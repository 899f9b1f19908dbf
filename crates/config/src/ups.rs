//! Where the agent asks about uninterruptible power supplies: `nut:HOST[:PORT][/UPS]`, `apcupsd:HOST[:PORT]`.

use std::fmt;

use crate::address::host_and_port;
use crate::value::Value;

/// Each is asked in a thread of its own.
const SOURCES_MAX: usize = 8;

const NAME_MAX: usize = 64;

const NUT_PORT: u16 = 3493;
const APCUPSD_PORT: u16 = 3551;

/// The program that knows the UPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpsProgram {
    /// `upsd` of Network UPS Tools.
    Nut,
    /// `apcupsd`.
    Apcupsd,
}

/// An item of `[agent] ups`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpsSource {
    /// Which protocol the server speaks.
    pub program: UpsProgram,
    /// Name or address of the server.
    pub host: String,
    /// TCP port of the server.
    pub port: u16,
    /// One UPS of the server; `None` for all.
    pub name: Option<String>,
}

impl UpsSource {
    /// `HOST:PORT` of the server.
    pub fn server(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// As in the configuration.
impl fmt::Display for UpsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = match self.program {
            UpsProgram::Nut => "nut",
            UpsProgram::Apcupsd => "apcupsd",
        };
        write!(f, "{program}:{}", self.server())?;
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

/// Whether a name can be part of a request to `upsd`, whose words are separated by spaces and quoted by `"` and `\`.
pub fn is_ups_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/');
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(fits)
}

pub(crate) fn sources(value: &Value) -> Result<Vec<UpsSource>, String> {
    let list = value.list("a list of texts such as [\"nut:localhost\"]")?;
    if list.len() > SOURCES_MAX {
        return Err(format!(
            "{} items are over the limit of {SOURCES_MAX}",
            list.len()
        ));
    }
    let mut sources: Vec<UpsSource> = Vec::new();
    for text in list {
        let source = source(text).ok_or_else(|| {
            let text: String = text.chars().take(80).collect();
            format!(
                "{text:?} is not a UPS: write for example \"nut:localhost\", \"nut:nas:3493/rack\" or \"apcupsd:localhost:3551\""
            )
        })?;
        let asks_twice = |other: &UpsSource| {
            (other.program, &other.host, other.port) == (source.program, &source.host, source.port)
                && (other.name == source.name || other.name.is_none() || source.name.is_none())
        };
        if let Some(other) = sources.iter().find(|other| asks_twice(other)) {
            return Err(match *other == source {
                true => format!("\"{source}\" is there twice: remove one"),
                false => format!("\"{other}\" and \"{source}\" have the same UPS: remove one"),
            });
        }
        sources.push(source);
    }
    Ok(sources)
}

fn source(text: &str) -> Option<UpsSource> {
    let (program, rest) = text.split_once(':')?;
    let (program, default_port) = match program {
        "nut" => (UpsProgram::Nut, NUT_PORT),
        "apcupsd" => (UpsProgram::Apcupsd, APCUPSD_PORT),
        _ => return None,
    };
    let (server, name) = match rest.split_once('/') {
        Some((server, name)) => (server, Some(name)),
        None => (rest, None),
    };
    // apcupsd has one UPS.
    if name.is_some_and(|name| program == UpsProgram::Apcupsd || !is_ups_name(name)) {
        return None;
    }
    let (host, port) = host_and_port(server, default_port)?;
    Some(UpsSource {
        program,
        host,
        port,
        name: name.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let read = sources(&Value::from_env(text))?;
        Ok(read.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn servers_have_the_usual_ports_and_all_or_one_of_their_supplies() {
        let text =
            r#"["nut:localhost", "nut:nas:4000/my-ups", "nut:[::1]/a@b", "apcupsd:10.0.0.7"]"#;
        let wanted = [
            "nut:localhost:3493",
            "nut:nas:4000/my-ups",
            "nut:[::1]:3493/a@b",
            "apcupsd:10.0.0.7:3551",
        ];
        assert_eq!(read(text).unwrap(), wanted);
        assert!(read("[]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_supply_is_refused_with_examples() {
        for wrong in [
            "localhost",
            "nut:",
            "nut:/ups",
            "nut:box/",
            "nut:box/a b",
            "nut:box/a/b",
            "nut:box:0",
            "nut:::1",
            "usb:box",
            "apcupsd:box/ups",
            "nut:bo x",
        ] {
            let error = read(&format!("[\"{wrong}\"]")).unwrap_err();
            assert!(error.contains("nut:nas:3493/rack"), "{wrong}: {error}");
        }
        assert!(read("\"nut:box\"").unwrap_err().contains("a list"));
        let nine: Vec<_> = (0..9).map(|n| format!("\"nut:box{n}\"")).collect();
        let error = read(&format!("[{}]", nine.join(","))).unwrap_err();
        assert!(error.contains("limit of 8"), "{error}");
    }

    #[test]
    fn a_supply_is_asked_once() {
        let error = read(r#"["nut:box", "nut:box:3493"]"#).unwrap_err();
        assert!(error.contains("twice"), "{error}");
        let error = read(r#"["nut:box/a", "nut:box"]"#).unwrap_err();
        assert!(error.contains("the same UPS"), "{error}");
        assert!(read(r#"["nut:box/a", "nut:box/b", "apcupsd:box:3493"]"#).is_ok());
    }
}
