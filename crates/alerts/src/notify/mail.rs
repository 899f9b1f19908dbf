//! Mail routes: the address of a mail server, and sending to it over TLS.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Code, Severity};
use lettre::{SmtpTransport, Transport};
use percent_encoding::percent_decode_str;

use super::error::SendError;
use super::notification::Notification;

const RECIPIENTS_MAX: usize = 20;

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mail {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<(String, String)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    /// Certificate of the server's authority, unless that is a public one.
    authority: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte.
    Wrapped,
    /// STARTTLS is required.
    StartTls,
    /// No TLS: only on this machine.
    None,
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
        write!(f, "mail to {} via {}", to.join(", "), self.host)
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
            _ => {
                return Err(format!(
                    "a mail route begins with smtps:// or smtp://: {EXAMPLE}"
                ));
            }
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
                other => {
                    return Err(format!(
                        "a mail route has no parameter {other:?}: {EXAMPLE}"
                    ));
                }
            }
        }
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(format!(
                "a mail route needs 1 to {RECIPIENTS_MAX} recipients: {EXAMPLE}"
            ));
        }
        let is_local = host == "localhost"
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let security = match (is_wrapped, is_local && authority.is_none()) {
            (true, _) => Security::Wrapped,
            (false, true) => Security::None,
            (false, false) => Security::StartTls,
        };
        Ok(Self {
            from: from.ok_or_else(|| format!("a mail route needs a sender: {EXAMPLE}"))?,
            host,
            port,
            security,
            credentials,
            to,
            authority,
        })
    }
}

/// Whether a server will never accept the mail: 5xx, except 53x, which is about the login and can be corrected.
fn is_refusal(code: Code) -> bool {
    code.severity == Severity::PermanentNegativeCompletion
        && code.category != Category::Unspecified3
}

fn host_and_port(place: &str, default: u16) -> Result<(String, u16), String> {
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port
                .parse()
                .map_err(|_| format!("{port:?} is not a port"))?;
            (host, port)
        }
        _ => (place, default),
    };
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() {
        return Err(format!("a mail route needs the server's name: {EXAMPLE}"));
    }
    Ok((host.to_owned(), port))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let text = decode(text);
    text.parse()
        .map_err(|_| format!("{text:?} is not a mail address"))
}

/// Decodes `%40` and the like.
fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Mail {
    pub(super) fn send(
        &self,
        notification: &Notification,
        wait: Duration,
    ) -> Result<(), SendError> {
        let failed = |reason| SendError::Mail {
            reason,
            is_refusal: false,
        };
        let mail = self.mail(notification).map_err(failed)?;
        // The server's reply may repeat the mail, but never the password.
        let reply = self.transport(wait).map_err(failed)?.send(&mail);
        reply.map(drop).map_err(|error| SendError::Mail {
            reason: error.to_string(),
            is_refusal: error.status().is_some_and(is_refusal),
        })
    }

    /// The mail. Its `Message-ID` is the notification's, by which mail programs recognise duplicates.
    fn mail(&self, notification: &Notification) -> Result<lettre::Message, String> {
        let id = format!("<{}@{}>", notification.id(), self.from.email.domain());
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(notification.title())
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail.body(notification.text().to_owned())
            .map_err(|error| error.to_string())
    }

    fn transport(&self, wait: Duration) -> Result<SmtpTransport, String> {
        let tls = match self.security {
            Security::None => Tls::None,
            Security::Wrapped => Tls::Wrapper(self.tls()?),
            Security::StartTls => Tls::Required(self.tls()?),
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
            let failed = |why: String| {
                format!(
                    "cannot use {} as certificate authority: {why}",
                    path.display()
                )
            };
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
    fn the_same_notification_has_the_same_message_id() {
        let text = "smtps://[::1]/?from=hub@x.org&to=me@y.org";
        let mail: Mail = text.parse().unwrap();
        let head = |since: i64| {
            let notification = Notification::test("hub", sysmon_wire::UnixMs(since));
            let text = mail.mail(&notification).unwrap().formatted();
            let text = String::from_utf8(text).unwrap();
            let id = text.lines().find(|line| line.starts_with("Message-ID: "));
            id.unwrap().to_owned()
        };
        assert_eq!(head(1), head(1));
        assert_ne!(head(1), head(2));
        assert!(head(1).ends_with("@x.org>"), "{}", head(1));
    }

    #[test]
    fn mail_routes_are_parsed_with_login_sender_and_recipients() {
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
            "mail to a@x.org, b@y.org via mx.example.org"
        );
        let of = |text: &str| text.parse::<Mail>().map(|mail| (mail.port, mail.security));
        let addresses = "?from=a@b.org&to=c@d.org";
        assert_eq!(
            of(&format!("smtp://mx.org{addresses}")),
            Ok((587, Security::StartTls))
        );
        assert_eq!(
            of(&format!("smtp://[::1]:25{addresses}")),
            Ok((25, Security::None))
        );
        assert_eq!(
            of(&format!("smtps://[::1]{addresses}")),
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
