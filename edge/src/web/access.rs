//! Who may see the page.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::logins::Logins;
use super::response::problem;

#[derive(Debug, Default)]
pub enum Access {
    #[default]
    Anyone,
    Logins(Logins),
    Proxy(HeaderName),
    /// Requests for a loopback address: a page of another site that is open in a local browser cannot send those.
    Loopback,
}

impl Access {
    pub(super) fn is_private(&self) -> bool {
        !matches!(self, Self::Anyone)
    }

    /// Whether the request tries to log in here.
    pub(super) fn has_login(&self, headers: &HeaderMap) -> bool {
        matches!(self, Self::Logins(_)) && headers.contains_key(header::AUTHORIZATION)
    }

    /// The response to a request that may not see the page. `from_proxy`: it comes from a trusted proxy.
    pub(super) fn refusal(&self, headers: &HeaderMap, from_proxy: bool) -> Option<Response> {
        match self {
            Self::Anyone => None,
            Self::Logins(logins) => (!logins.allow(headers)).then(login_required),
            Self::Proxy(name) => (!(from_proxy && names_user(headers, name))).then(|| {
                let why = "access only through the authenticating proxy";
                problem(StatusCode::FORBIDDEN, why)
            }),
            Self::Loopback => (!is_for_loopback(headers)).then(|| {
                let why = "this page is for this machine only; open it as 127.0.0.1 or localhost";
                problem(StatusCode::MISDIRECTED_REQUEST, why)
            }),
        }
    }
}

fn login_required() -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    let scheme = HeaderValue::from_static("Basic realm=\"sysmon\", charset=\"UTF-8\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response
}

/// Whether the header names a user exactly once: a second value comes from the client, not the proxy.
fn names_user(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut values = headers.get_all(name).iter();
    let is_named = |value: &HeaderValue| !value.as_bytes().trim_ascii().is_empty();
    values.next().is_some_and(is_named) && values.next().is_none()
}

fn is_for_loopback(headers: &HeaderMap) -> bool {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    host.is_some_and(sysmon_config::is_loopback_host)
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
    fn only_a_trusted_proxy_names_the_user() {
        let access = Access::Proxy(HeaderName::from_static("x-forwarded-user"));
        let jane = ("x-forwarded-user", "jane");
        assert_eq!(status(&access, &[jane], true), 200);
        assert_eq!(status(&access, &[jane], false), 403);
        assert_eq!(status(&access, &[], true), 403);
        for empty in ["", " \t"] {
            assert_eq!(status(&access, &[("x-forwarded-user", empty)], true), 403);
        }
        assert_eq!(status(&access, &[jane, jane], true), 403);
        assert_eq!(status(&access, &[("x-remote-user", "jane")], true), 403);
    }

    #[test]
    fn a_foreign_name_does_not_reach_a_loopback_page() {
        let status_for = |host| status(&Access::Loopback, &[("host", host)], false);
        for own in [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8080",
        ] {
            assert_eq!(status_for(own), 200, "{own}");
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "a b",
            "[::2]",
        ] {
            assert_eq!(status_for(foreign), 421, "{foreign}");
        }
        assert_eq!(status(&Access::Loopback, &[], false), 421);
    }
}
