//! Letters: an address of a mail server, and sending to it over TLS.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};

use super::message::Message;

/// Receivers of one letter.
const RECEIVERS_MAX: usize = 20;

/// Where letters are handed in, and to whom they go.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mail {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<(String, String)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// A certificate of the server's authority, if it is not one that everybody knows.
    authority: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// From the first byte.
    Wrapped,
    /// After asking for it.
    Asked,
    /// None: to this machine itself only.
    Local,
}

/// Without the password.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<_> = self.to.iter().map(|to| to.email.to_string()).collect();
        write!(f, "mail to {} by {}", to.join(", "), self.host)
    }
}

const EXAMPLE: &str =
    "write mail:smtps://USER:PASSWORD@HOST/?from=hub@example.org&to=me@example.org";

impl FromStr for Mail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let is_wrapped = match scheme {
            "smtps" => true,
            "smtp" => false,
            _ => return Err(format!("a mail server is smtps:// or smtp://: {EXAMPLE}")),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let place = place.trim_end_matches('/');
        let (login, place) = match place.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, place),
        };
        let (host, port) = host_and_port(place, if is_wrapped { 465 } else { 587 })?;
        let credentials = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decode(user), decode(password))
        });
        let (mut from, mut to, mut authority) = (None, Vec::new(), None);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "from" => from = Some(mailbox(value)?),
                "to" => to = value.split(',').map(mailbox).collect::<Result<_, _>>()?,
                "ca" => authority = Some(PathBuf::from(decode(value))),
                other => return Err(format!("a mail server has no {other:?}: {EXAMPLE}")),
            }
        }
        if to.is_empty() || to.len() > RECEIVERS_MAX {
            return Err(format!(
                "mail goes to 1 to {RECEIVERS_MAX} people: {EXAMPLE}"
            ));
        }
        let is_local = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let security = match (is_wrapped, is_local && authority.is_none()) {
            (true, _) => Security::Wrapped,
            (false, true) => Security::Local,
            (false, false) => Security::Asked,
        };
        Ok(Self {
            from: from.ok_or_else(|| format!("mail needs a sender: {EXAMPLE}"))?,
            host,
            port,
            security,
            credentials,
            to,
            authority,
        })
    }
}

fn host_and_port(place: &str, usual: u16) -> Result<(String, u16), String> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port.parse().map_err(|_| format!("{port:?} is no port"))?;
            (host, port)
        }
        _ => (place, usual),
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(format!("a mail server has a name: {EXAMPLE}"));
    }
    Ok((host.to_owned(), port))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let text = decode(text);
    text.parse()
        .map_err(|_| format!("{text:?} is not an address of a person"))
}

/// Undoes `%40` and the like.
fn decode(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let code = match after {
            [high, low, ..] if *first == b'%' => digit(high).zip(digit(low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Mail {
    /// Hands in a letter; an error says why it was not taken.
    pub(super) fn send(&self, message: &Message, wait: Duration) -> Result<(), String> {
        let letter = self.letter(message)?;
        let transport = self.transport(wait)?;
        // An answer may repeat what was sent, but never the password.
        transport
            .send(&letter)
            .map(drop)
            .map_err(|error| error.to_string())
    }

    /// A letter; the same news has the same number, by which mail programs know what they have.
    fn letter(&self, message: &Message) -> Result<lettre::Message, String> {
        let id = format!("<{}@{}>", message.id(), self.from.email.domain());
        let mut letter = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.title())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        letter
            .body(message.text())
            .map_err(|error| error.to_string())
    }

    fn transport(&self, wait: Duration) -> Result<SmtpTransport, String> {
        let tls = match self.security {
            Security::Local => Tls::None,
            Security::Wrapped => Tls::Wrapper(self.tls()?),
            Security::Asked => Tls::Required(self.tls()?),
        };
        let mut builder = SmtpTransport::builder_dangerous(&self.host)
            .port(self.port)
            .tls(tls)
            .timeout(Some(wait));
        if let Some((user, password)) = &self.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(builder.build())
    }

    fn tls(&self) -> Result<TlsParameters, String> {
        let mut builder = TlsParameters::builder(self.host.clone());
        if let Some(path) = &self.authority {
            let failed = |why: String| format!("{} is no authority: {why}", path.display());
            let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
            let certificate =
                Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_news_is_the_same_letter() {
        let text = "smtps://[::1]/?from=hub@x.org&to=me@y.org";
        let mail: Mail = text.parse().unwrap();
        let head = |since: i64| {
            let message = Message::test("hub", sysmon_wire::UnixMs(since));
            let letter = mail.letter(&message).unwrap().formatted();
            let letter = String::from_utf8(letter).unwrap();
            let id = letter.lines().find(|line| line.starts_with("Message-ID: "));
            id.unwrap().to_owned()
        };
        assert_eq!(head(1), head(1));
        assert_ne!(head(1), head(2));
        assert!(head(1).ends_with("@x.org>"), "{}", head(1));
    }

    #[test]
    fn a_mail_server_is_read_with_who_writes_to_whom() {
        let text =
            "smtps://me%40x.org:p%3Aw@mx.example.org:4650/?from=hub@x.org&to=a@x.org,b@y.org";
        let mail: Mail = text.parse().unwrap();
        assert_eq!((mail.host.as_str(), mail.port), ("mx.example.org", 4650));
        assert_eq!(
            mail.credentials,
            Some(("me@x.org".to_owned(), "p:w".to_owned()))
        );
        assert_eq!(
            format!("{mail:?}"),
            "mail to a@x.org, b@y.org by mx.example.org"
        );
        let of = |text: &str| text.parse::<Mail>().map(|mail| (mail.port, mail.security));
        let people = "?from=a@b.org&to=c@d.org";
        assert_eq!(
            of(&format!("smtp://mx.org{people}")),
            Ok((587, Security::Asked))
        );
        assert_eq!(
            of(&format!("smtp://[::1]:25{people}")),
            Ok((25, Security::Local))
        );
        assert_eq!(
            of(&format!("smtps://[::1]{people}")),
            Ok((465, Security::Wrapped))
        );
        for bad in [
            "http://x",
            "smtps://?from=a@b.org&to=c@d.org",
            "smtps://x?to=c@d.org",
            "smtps://x?from=a@b.org",
            "smtps://x?from=a&to=c@d.org",
            "smtps://x:y?from=a@b.org&to=c@d.org",
            "smtps://x?from=a@b.org&to=c@d.org&cc=e@f.org",
        ] {
            assert!(bad.parse::<Mail>().is_err(), "{bad}");
        }
    }
}
