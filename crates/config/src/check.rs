//! `[agent] checks`: which services an agent tries to reach, a line each.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::suggest::suggest;
use crate::units;
use crate::value::Value;

/// Checks of one agent: with eight values each they fill a source of metrics.
const CHECKS_MAX: usize = 64;

const NAME_MAX: usize = 63;
/// Characters of a text that a body or a header must have.
const TEXT_MAX: usize = 200;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

const EVERY: Duration = Duration::from_mins(1);
const WITHIN: Duration = Duration::from_secs(10);
const EXPIRES_IN: Duration = Duration::from_hours(24 * 14);

const EXPECTED: &str =
    "a list of texts such as [\"shop: https://shop.example/health expect 200 every 30s\"]";

/// One service that an agent tries to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is called.
    pub name: String,
    /// What is tried.
    pub probe: Probe,
    /// Time between two tries.
    pub every: Duration,
    /// Time that a try may take.
    pub within: Duration,
    /// Time left to a certificate below which it has to be renewed.
    pub expires_in: Duration,
}

/// What a check tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A GET request whose answer is as expected.
    Http(Http),
    /// A TCP connection.
    Tcp(Service),
    /// A TLS handshake; the flag says whether the chain has to be trusted.
    Tls(Service, bool),
    /// An ICMP echo.
    Ping(String),
    /// Records of a name.
    Dns(Dns),
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// A name or an address, without brackets.
    pub host: String,
    /// TCP or UDP.
    pub port: u16,
}

/// A request over HTTP or HTTPS, and what the answer has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// The whole URL.
    pub url: String,
    /// Codes of the answer; none for any from 200 to 299.
    pub status: Vec<u16>,
    /// A text that the body contains.
    pub body: Option<String>,
    /// Name and value of a header; an empty value for any.
    pub header: Option<(String, String)>,
    /// Whether the certificate has to be trusted.
    pub is_verified: bool,
}

/// A question to a DNS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The name that is asked for.
    pub name: String,
    /// `A`, `MX` and so on.
    pub kind: String,
    /// The server; none for those of the system.
    pub server: Option<Service>,
    /// A text that one of the records contains.
    pub expect: Option<String>,
}

/// The types of records that a check can ask for.
pub const RECORD_TYPES: [&str; 10] = [
    "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT",
];

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

pub(crate) fn checks(value: &Value) -> Result<Vec<Check>, String> {
    let lines = value.list(EXPECTED)?;
    if lines.len() > CHECKS_MAX {
        return Err(format!(
            "{} checks are over the limit of {CHECKS_MAX}",
            lines.len()
        ));
    }
    let mut checks: Vec<Check> = Vec::new();
    for line in lines {
        let check = read_line(line).map_err(|problem| format!("{line:?}: {problem}"))?;
        if checks.iter().any(|other| other.name == check.name) {
            return Err(format!("there are two checks called {:?}", check.name));
        }
        checks.push(check);
    }
    Ok(checks)
}

pub(crate) fn networks(value: &Value) -> Result<Vec<IpNet>, String> {
    let texts = value.list("a list of networks such as [\"10.0.0.0/8\"]")?;
    let network = |text: &String| match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => Ok(network),
        (_, Ok(address)) => Ok(address.into()),
        _ => Err(format!(
            "{text:?} is not a network; write for example \"10.0.0.0/8\" or \"fd00::/8\""
        )),
    };
    texts.iter().map(network).collect()
}

/// Where reports are heard: tokens travel there as they are.
pub(crate) fn heartbeats(value: &Value) -> Result<SocketAddr, String> {
    let text = value.text("a text such as \"127.0.0.1:9798\"")?;
    let address: Option<SocketAddr> = text.parse().ok();
    let address = address.filter(|address| address.ip().is_loopback());
    address.ok_or_else(|| {
        format!(
            "{text:?} is not a loopback address and port; write for example \"127.0.0.1:9798\", and let a server with TLS forward reports of other machines"
        )
    })
}

/// Reads `NAME: KIND TARGET` and what follows.
///
/// # Errors
/// It is not a check; the text says what is wrong.
pub fn read_line(line: &str) -> Result<Check, String> {
    let (name, rest) = line
        .split_once(": ")
        .ok_or("write NAME: and what to check, such as \"db: tcp db-1:5432\"")?;
    let name = check_name(name.trim())?;
    let words = words(rest)?;
    let mut words = words.iter().map(String::as_str);
    let kind = words.next().ok_or("say what to check")?;
    let probe = match kind {
        url if is_url(url) => Probe::Http(http(url)?),
        "tcp" => Probe::Tcp(service(words.next(), None)?),
        "tls" => Probe::Tls(service(words.next(), Some(443))?, true),
        "ping" => Probe::Ping(host(words.next().ok_or("say which host to ping")?)?),
        "dns" => Probe::Dns(dns(&mut words)?),
        other => return Err(unknown_kind(other)),
    };
    let mut check = Check {
        name,
        probe,
        every: EVERY,
        within: WITHIN,
        expires_in: EXPIRES_IN,
    };
    while let Some(word) = words.next() {
        option(&mut check, word, &mut words)?;
    }
    match check.within > check.every {
        true => {
            Err("it may take longer than the time between two tries; lower `within`".to_owned())
        }
        false => Ok(check),
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn unknown_kind(kind: &str) -> String {
    let kinds = ["tcp", "tls", "ping", "dns", "https://", "http://"];
    let hint = suggest(kind, kinds);
    format!("{kind:?} is not a kind of check{hint}")
}

/// A name for people and for an attribute of metrics.
///
/// # Errors
/// It is too long, or has other characters; the text says which it may have.
pub fn check_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
    match !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "{name:?} cannot be a name: use up to {NAME_MAX} letters, digits, spaces, dots, dashes or underscores"
        )),
    }
}

/// Words, which quotes hold together.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let quote = matches!(first, '\'' | '"').then_some(first);
        let (word, after) = match quote {
            Some(quote) => {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.split_once(quote);
                end.ok_or_else(|| format!("the closing {quote} is missing"))?
            }
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if word.chars().count() > TEXT_MAX * 4 {
            return Err("a part of it is too long".to_owned());
        }
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn option<'a>(
    check: &mut Check,
    word: &str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    const OPTIONS: [&str; 8] = [
        "every",
        "within",
        "expires",
        "expect",
        "body",
        "header",
        "at",
        "untrusted",
    ];
    let mut next = |what: &str| words.next().ok_or_else(|| format!("`{word}` needs {what}"));
    match (word, &mut check.probe) {
        ("every", _) => check.every = span(next("a time")?, SECOND, DAY)?,
        ("within", _) => check.within = span(next("a time")?, SECOND / 100, SECOND * 60)?,
        ("expires", Probe::Http(_) | Probe::Tls(..)) => {
            let text = match next("a time")? {
                "in" => next("a time")?,
                text => text,
            };
            check.expires_in = span(text, SECOND, DAY * 365)?;
        }
        ("untrusted", Probe::Http(http)) => http.is_verified = false,
        ("untrusted", Probe::Tls(_, is_verified)) => *is_verified = false,
        ("expect", Probe::Http(http)) => http.status = statuses(next("a status")?)?,
        ("expect", Probe::Dns(dns)) => dns.expect = Some(text(next("a text")?)?),
        ("body", Probe::Http(http)) => http.body = Some(text(next("a text")?)?),
        ("header", Probe::Http(http)) => http.header = Some(header(next("a header")?)?),
        ("at", Probe::Dns(dns)) => dns.server = Some(service(Some(next("a server")?), Some(53))?),
        (known, _) if OPTIONS.contains(&known) => {
            return Err(format!("`{known}` is not for this kind of check"));
        }
        _ => {
            let hint = suggest(word, OPTIONS);
            return Err(format!("{word:?} is not an option{hint}"));
        }
    }
    Ok(())
}

fn span(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let span = units::duration(text).filter(|span| (min..=max).contains(span));
    span.ok_or_else(|| format!("{text:?} is not a time from {min:?} to {max:?}, such as \"30s\""))
}

fn text(text: &str) -> Result<String, String> {
    match (1..=TEXT_MAX).contains(&text.chars().count()) {
        true => Ok(text.to_owned()),
        false => Err(format!("a text has from 1 to {TEXT_MAX} characters")),
    }
}

fn statuses(list: &str) -> Result<Vec<u16>, String> {
    let status = |text: &str| {
        let status = text.parse::<u16>().ok();
        status
            .filter(|code| (100..600).contains(code))
            .ok_or_else(|| format!("{text:?} is not a status; write for example 200 or 200,204"))
    };
    list.split(',').take(20).map(status).collect()
}

fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(is_name) {
        true => Ok((name.to_ascii_lowercase(), text_or_none(value.trim())?)),
        false => Err(format!(
            "{line:?} is not a header; write for example header 'X-Cache: HIT'"
        )),
    }
}

fn text_or_none(value: &str) -> Result<String, String> {
    match value {
        "" => Ok(String::new()),
        value => text(value),
    }
}

fn http(url: &str) -> Result<Http, String> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("a URL with a password would show it: leave it out".to_owned());
    }
    let default = if url.starts_with("https") { 443 } else { 80 };
    service(Some(authority), Some(default))?;
    let is_plain = |c: char| c.is_ascii_graphic();
    if url.len() > TEXT_MAX * 4 || !url.chars().all(is_plain) {
        return Err(
            "the URL is too long, or has characters that have to be percent-encoded".to_owned(),
        );
    }
    Ok(Http {
        url: url.split('#').next().unwrap_or_default().to_owned(),
        status: Vec::new(),
        body: None,
        header: None,
        is_verified: true,
    })
}

fn dns<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Dns, String> {
    let name = host(words.next().ok_or("say which name to look up")?)?;
    let kind = words
        .next()
        .ok_or("say which records, such as A or MX")?
        .to_ascii_uppercase();
    match RECORD_TYPES.contains(&kind.as_str()) {
        true => Ok(Dns {
            name,
            kind,
            server: None,
            expect: None,
        }),
        false => Err(format!(
            "{kind:?} is not a type of record: {}",
            RECORD_TYPES.join(", ")
        )),
    }
}

/// `HOST:PORT`, or `HOST` where there is a usual port.
fn service(text: Option<&str>, usual: Option<u16>) -> Result<Service, String> {
    let text = text.ok_or("say which HOST:PORT")?;
    let wrong =
        || format!("{text:?} is not HOST:PORT; write for example \"db-1:5432\" or \"[::1]:5432\"");
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']').ok_or_else(wrong)?;
            address.parse::<Ipv6Addr>().map_err(|_| wrong())?;
            (address, after.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0),
        None => usual,
    };
    Ok(Service {
        host: host(name)?,
        port: port.ok_or_else(wrong)?,
    })
}

fn host(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_name = !text.is_empty() && text.len() <= 253 && text.chars().all(fits);
    match (is_name && !text.starts_with('-')) || text.parse::<IpAddr>().is_ok() {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} is not a name or an address of a host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Check, String> {
        let all = checks(&Value::List(vec![line.to_owned()]))?;
        Ok(all.into_iter().next().unwrap())
    }

    #[test]
    fn a_line_of_each_kind_is_read() {
        let shop = read(
            "shop: https://shop.example/health expect 200,204 body 'all ok' header 'X-Up: yes' within 2s every 30s",
        );
        let shop = shop.unwrap();
        assert_eq!((shop.every, shop.within), (SECOND * 30, SECOND * 2));
        let Probe::Http(http) = shop.probe else {
            panic!()
        };
        assert_eq!(http.status, [200, 204]);
        assert_eq!(http.body.as_deref(), Some("all ok"));
        assert_eq!(http.header, Some(("x-up".to_owned(), "yes".to_owned())));
        let at = |host: &str, port| Service {
            host: host.to_owned(),
            port,
        };
        let probe = |line: &str| read(line).unwrap().probe;
        assert_eq!(probe("db: tcp db-1:5432"), Probe::Tcp(at("db-1", 5432)));
        assert_eq!(probe("db: tcp [::1]:5432"), Probe::Tcp(at("::1", 5432)));
        assert_eq!(
            probe("c: tls a.example"),
            Probe::Tls(at("a.example", 443), true)
        );
        assert_eq!(
            probe("c: tls a.example untrusted"),
            Probe::Tls(at("a.example", 443), false)
        );
        assert_eq!(probe("gw: ping fe80::1"), Probe::Ping("fe80::1".to_owned()));
        let Probe::Dns(dns) = probe("mx: dns example.org mx at 192.0.2.1 expect mail") else {
            panic!()
        };
        assert_eq!(
            (dns.kind.as_str(), dns.server),
            ("MX", Some(at("192.0.2.1", 53)))
        );
        let cert = read("cert: tls shop.example:8443 expires in 30d").unwrap();
        assert_eq!(cert.expires_in, DAY * 30);
        assert_eq!(read("one name: ping a").unwrap().name, "one name");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, part) in [
            ("db tcp db-1:5432", "write NAME:"),
            ("db: tpc db-1:5432", "is not a kind of check"),
            ("db: tcp db-1", "not HOST:PORT"),
            ("db: tcp db-1:0", "not HOST:PORT"),
            ("db: tcp", "HOST:PORT"),
            ("db: tcp a:1 evry 10s", "is not an option"),
            ("db: tcp a:1 expect 200", "not for this kind"),
            ("db: tcp a:1 every", "needs a time"),
            ("db: tcp a:1 every 10ms", "not a time"),
            ("db: tcp a:1 every 5s", "lower `within`"),
            ("db: https://me:secret@a/", "password"),
            ("db: https://a/ expect ok", "not a status"),
            ("db: https://a/ body 'ok", "closing"),
            ("db: dns example.org", "which records"),
            ("db: dns example.org ANY", "not a type of record"),
            ("a\u{1b}b: ping a", "cannot be a name"),
            ("db: ping -f", "not a name or an address"),
        ] {
            let problem = read(line).unwrap_err();
            assert!(problem.contains(part), "{line}: {problem}");
        }
        let twice = ["a: ping b", "a: ping c"].map(str::to_owned).to_vec();
        assert!(
            checks(&Value::List(twice))
                .unwrap_err()
                .contains("two checks")
        );
        assert!(networks(&Value::List(vec!["10.0.0.0/33".to_owned()])).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_strange(line in "\\PC{0,120}") {
            let _ = read(&line);
            let _ = read(&format!("a: {line}"));
            let _ = read(&format!("a: https://{line}"));
        }
    }
}
