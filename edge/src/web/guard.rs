//! Middleware for every request: method, rate limit, access, and the headers of every response.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

use super::{App, response};

/// Resources of this origin only, no inline script or style, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every response that does not set its own.
const HEADERS: [(&str, &str); 9] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("strict-transport-security", "max-age=31536000"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=()",
    ),
    ("cache-control", "no-cache"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) IpAddr);

/// The client address that limits apply to; none if it is not limited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) Option<IpAddr>);

pub(super) fn is_proxy(address: IpAddr, proxies: &[IpNet]) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|network| network.contains(&address))
}

/// The peer, or the client that a trusted proxy names. Loopback is not limited: an unconfigured proxy may run there.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Client {
    let mut address = peer.to_canonical();
    if is_proxy(address, proxies) {
        let named = headers.get_all(FORWARDED_FOR).iter();
        let mut named: Vec<_> = named
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        // From the right: entries left of the first untrusted address may be forged by the client.
        while is_proxy(address, proxies) {
            let Some(next) = named.pop().and_then(|name| name.trim().parse().ok()) else {
                break;
            };
            address = IpAddr::to_canonical(&next);
        }
    }
    Client((!address.is_loopback()).then_some(address))
}

fn refusal(app: &App, client: Client, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = response::problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are allowed",
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, allowed);
        return Some(response);
    }
    if !client
        .0
        .is_none_or(|address| app.clients().allow_request(address, app.clock.instant()))
    {
        let why = "too many requests; retry after a second";
        return Some(later(why, Duration::from_secs(1)));
    }
    let is_probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    if is_probe {
        return None;
    }
    let peer = request.extensions().get::<Peer>();
    let from_proxy = peer.is_some_and(|peer| is_proxy(peer.0, &app.proxies));
    let from = client.0.or(peer.map(|peer| peer.0));
    let Some(from) = from.filter(|_| app.access.has_login(request.headers())) else {
        return app.access.refusal(request.headers(), from_proxy);
    };
    let now = app.clock.instant();
    if let Some(wait) = app.attempts().wait(from, now) {
        return Some(later(
            "too many failed log-ins from your network; wait and try again",
            wait,
        ));
    }
    let refusal = app.access.refusal(request.headers(), from_proxy);
    match refusal {
        Some(_) => app.attempts().failed(from, now),
        None => app.attempts().succeeded(from, now),
    }
    refusal
}

fn later(why: &str, wait: Duration) -> Response {
    let mut response = response::problem(StatusCode::TOO_MANY_REQUESTS, why);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = HeaderValue::from(seconds);
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
    response
}

pub(super) async fn pass(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Response {
    app.requests.fetch_add(1, Ordering::Relaxed);
    let peer = request.extensions().get::<Peer>();
    let client = peer.map_or(Client(None), |peer| {
        client(peer.0, request.headers(), &app.proxies)
    });
    request.extensions_mut().insert(client);
    let is_asset = request.uri().path().starts_with("/assets/");
    let mut response = match refusal(&app, client, &request) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    if app.access.is_private() && !is_asset {
        // Neither embedded in other sites nor stored, on the way or in a shared browser.
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-store"),
        );
        headers.remove("cross-origin-resource-policy");
    }
    for (name, value) in HEADERS {
        headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let limited = |peer: &str, forwarded: &str, proxies: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
            let proxies: Vec<IpNet> = proxies.iter().map(|p| p.parse().unwrap()).collect();
            client(peer.parse().unwrap(), &headers, &proxies)
                .0
                .map(|address| address.to_string())
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(limited("8.8.8.8", "1.2.3.4", &[]), some("8.8.8.8"));
        assert_eq!(limited("::ffff:8.8.8.8", "", &[]), some("8.8.8.8"));
        assert_eq!(limited("127.0.0.1", "1.2.3.4", &[]), None);
        let proxies = ["127.0.0.1/32", "10.0.0.0/30"];
        assert_eq!(limited("127.0.0.1", "1.2.3.4", &proxies), some("1.2.3.4"));
        // The client's own entries are on the left.
        assert_eq!(
            limited(
                "127.0.0.1",
                "127.0.0.1, 6.6.6.6, 1.2.3.4, 10.0.0.1",
                &proxies
            ),
            some("1.2.3.4")
        );
        assert_eq!(limited("10.0.0.1", "nonsense", &proxies), some("10.0.0.1"));
        assert_eq!(
            limited("::ffff:10.0.0.3", "1.2.3.4", &proxies),
            some("1.2.3.4")
        );
        assert_eq!(limited("10.0.0.4", "1.2.3.4", &proxies), some("10.0.0.4"));
    }
}
