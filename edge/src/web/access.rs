//! Who may look at the page.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::problem;
use super::logins::Logins;

/// Who may look at the page.
#[derive(Debug, Default)]
pub enum Access {
    /// Anybody.
    #[default]
    Anyone,
    /// Who brings a name and a password.
    Logins(Logins),
    /// Whom a trusted proxy names in this header.
    Proxy(HeaderName),
    /// Who asks for this machine by an address of its own: pages of others, which browsers here may have open, do not.
    Loopback,
}

impl Access {
    /// Whether only some may look.
    pub(super) fn is_private(&self) -> bool {
        !matches!(self, Self::Anyone)
    }

    /// What one who may not look is told; the other end of the connection may be a trusted proxy.
    pub(super) fn refusal(&self, headers: &HeaderMap, from_proxy: bool) -> Option<Response> {
        match self {
            Self::Anyone => None,
            Self::Logins(logins) => (!logins.allow(headers)).then(ask_for_login),
            Self::Proxy(name) => (!(from_proxy && names_one(headers, name))).then(|| {
                let why = "only who is let in by the proxy in front of this page may look";
                problem(StatusCode::FORBIDDEN, why)
            }),
            Self::Loopback => (!is_for_loopback(headers)).then(|| {
                let why = "this page is for its own machine: ask for 127.0.0.1 or localhost";
                problem(StatusCode::MISDIRECTED_REQUEST, why)
            }),
        }
    }
}

fn ask_for_login() -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    let ask = HeaderValue::from_static("Basic realm=\"sysmon\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
    response
}

/// Whether a header names somebody: exactly once, or the proxy let through what the client wrote.
fn names_one(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let is_named = |value: &HeaderValue| !value.as_bytes().trim_ascii().is_empty();
    values.next().is_some_and(is_named) && values.next().is_none()
}

/// Whether a request is for an address of this machine alone. A foreign name may lead here too, if who owns it wants.
fn is_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<axum::http::uri::Authority>().ok())
    else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(access: &Access, headers: &[(&'static str, &'static str)], proxy: bool) -> u16 {
        let pair = |&(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers.iter().map(pair) {
            map.append(name, value);
        }
        let refusal = access.refusal(&map, proxy);
        refusal.map_or(200, |response| response.status().as_u16())
    }

    #[test]
    fn only_a_trusted_proxy_names_who_may_look() {
        let access = Access::Proxy(HeaderName::from_static("x-forwarded-user"));
        let jane = ("x-forwarded-user", "jane");
        assert_eq!(status(&access, &[jane], true), 200);
        assert_eq!(status(&access, &[jane], false), 403);
        assert_eq!(status(&access, &[], true), 403);
        for nobody in ["", " \t"] {
            assert_eq!(status(&access, &[("x-forwarded-user", nobody)], true), 403);
        }
        assert_eq!(status(&access, &[jane, jane], true), 403);
        assert_eq!(status(&access, &[("x-remote-user", "jane")], true), 403);
    }

    #[test]
    fn a_foreign_name_does_not_lead_to_a_page_on_loopback() {
        let of = |host| status(&Access::Loopback, &[("host", host)], false);
        for own in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            assert_eq!(of(own), 200, "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "[::2]",
        ] {
            assert_eq!(of(foreign), 421, "{foreign}");
        }
        assert_eq!(status(&Access::Loopback, &[], false), 421);
    }
}
