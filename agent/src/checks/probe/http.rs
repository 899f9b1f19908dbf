//! HTTP(S) requests: the answer's status, a header and a text of its body, after redirects.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use sysmon_config::check::{Http, Service};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::{Attempt, add};
use crate::VERSION;

const REDIRECTS_MAX: usize = 5;

/// Of a body, so much is searched.
const BODY_MAX: usize = 1 << 20;

/// Of the head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// A request, and whether its answer is as expected.
pub(super) async fn get(attempt: &mut Attempt<'_>, http: &Http) -> Result<(), String> {
    let mut url: Uri = http.url.parse().map_err(|_| "the URL cannot be read")?;
    let mut is_redirect = false;
    for _ in 0..=REDIRECTS_MAX {
        let mut connection = JoinSet::new();
        let answer = ask(attempt, http, &url, is_redirect, &mut connection).await?;
        let target = answer.headers().get(LOCATION);
        let is_expected = http.status.contains(&answer.status().as_u16());
        match target.filter(|_| answer.status().is_redirection() && !is_expected) {
            Some(target) => {
                let target = target.to_str().map_err(|_| "a redirect cannot be read")?;
                url = redirect(&url, target)?;
                // From this machine to itself is no way into it.
                is_redirect |= !is_own(&http.url);
            }
            None => return judge(http, answer).await,
        }
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

fn is_own(url: &str) -> bool {
    let url: Option<Uri> = url.parse().ok();
    let host = url.as_ref().and_then(Uri::host);
    host.is_some_and(sysmon_config::is_loopback_host)
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Sends the request; the connection runs in `connection` until that is dropped.
async fn ask(
    attempt: &mut Attempt<'_>,
    http: &Http,
    url: &Uri,
    is_redirect: bool,
    connection: &mut JoinSet<()>,
) -> Result<Response<Incoming>, String> {
    let host = url.host().ok_or("the URL has no host")?;
    let is_secure = url.scheme_str() == Some("https");
    let service = Service {
        host: bare(host).to_owned(),
        port: url.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
    };
    let stream = attempt.connect(&service, is_redirect).await?;
    let request = request(url, host)?;
    match is_secure {
        true => {
            let stream = attempt
                .secure(stream, &service.host, http.is_verified)
                .await?;
            exchange(attempt, stream, request, connection).await
        }
        false => exchange(attempt, stream, request, connection).await,
    }
}

fn request(url: &Uri, host: &str) -> Result<Request<Empty<Bytes>>, String> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = match url.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Request::get(path)
        .header(HOST, authority)
        .header(USER_AGENT, format!("sysmon-agent/{VERSION}"))
        .header("Accept", "*/*")
        .header("Connection", "close")
        .body(Empty::new())
        .map_err(|_| "the URL cannot be requested".to_owned())
}

async fn exchange(
    attempt: &mut Attempt<'_>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Empty<Bytes>>,
    connection: &mut JoinSet<()>,
) -> Result<Response<Incoming>, String> {
    let clock = &attempt.environment.clock;
    let start = clock.instant();
    let (mut sender, driver) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| explain(&error))?;
    connection.spawn(async move { drop(driver.await) });
    let answer = sender.send_request(request).await;
    let took = clock.instant() - start;
    let answer = answer.map_err(|error| explain(&error))?;
    add(&mut attempt.phases.first_byte, took);
    Ok(answer)
}

fn explain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() {
        "the connection ended before the answer".to_owned()
    } else if error.is_parse() {
        "the answer is not HTTP/1.1".to_owned()
    } else {
        format!("no answer: {error}")
    }
}

/// The URL that a redirect names, in full or relative to the present one.
fn redirect(from: &Uri, target: &str) -> Result<Uri, String> {
    let unreadable = || "a redirect leads to what is not a URL".to_owned();
    let scheme = from.scheme_str().unwrap_or("http");
    let authority = from.authority().map_or("", |authority| authority.as_str());
    let target = target.split('#').next().unwrap_or_default();
    let text = if target.contains("://") {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("{scheme}:{target}")
    } else if target.starts_with('/') {
        format!("{scheme}://{authority}{target}")
    } else {
        let folder = from
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{target}")
    };
    let url: Uri = text.parse().map_err(|_| unreadable())?;
    match (scheme, url.scheme_str()) {
        ("https", Some("http")) => Err("a redirect leads from HTTPS to HTTP".to_owned()),
        (_, Some("http" | "https")) if url.host().is_some() => Ok(url),
        _ => Err(unreadable()),
    }
}

async fn judge(http: &Http, answer: Response<Incoming>) -> Result<(), String> {
    let status = answer.status();
    expect_status(http, status)?;
    if let Some((name, wanted)) = &http.header {
        let mut values = answer.headers().get_all(name.as_str()).iter();
        let has = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).contains(wanted.as_str())
        };
        if !values.any(has) {
            return Err(match wanted.as_str() {
                "" => format!("the header {name} is missing"),
                wanted => format!("the header {name} is not {wanted:?}"),
            });
        }
    }
    match &http.body {
        Some(wanted) => expect_body(wanted, answer.into_body()).await,
        None => Ok(()),
    }
}

fn expect_status(http: &Http, status: StatusCode) -> Result<(), String> {
    match http.status.as_slice() {
        [] if status.is_success() => Ok(()),
        [] => Err(format!("status {}", status.as_u16())),
        wanted if wanted.contains(&status.as_u16()) => Ok(()),
        wanted => {
            let wanted: Vec<_> = wanted.iter().map(u16::to_string).collect();
            let wanted = wanted.join(" or ");
            Err(format!("status {} instead of {wanted}", status.as_u16()))
        }
    }
}

/// Reads the body as far as the text.
async fn expect_body(wanted: &str, mut body: Incoming) -> Result<(), String> {
    let wanted = wanted.as_bytes();
    let mut read: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| explain(&error))?;
        let Some(bytes) = frame.data_ref() else {
            continue;
        };
        // What may begin with the end of the earlier ones.
        let from = read.len().saturating_sub(wanted.len());
        read.extend(bytes.iter().take(BODY_MAX - read.len()));
        let new = read.get(from..).unwrap_or_default();
        if new.windows(wanted.len()).any(|part| part == wanted) {
            return Ok(());
        }
        if read.len() >= BODY_MAX {
            return Err("the text is not in the first MiB of the body".to_owned());
        }
    }
    Err("the text is not in the body".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_as_browsers_do_but_never_to_plain_http() {
        let to = |from: &str, target: &str| {
            let from: Uri = from.parse().unwrap();
            redirect(&from, target).map(|url| url.to_string())
        };
        let page = "https://a.example:8443/x/y?q=1";
        assert_eq!(to(page, "/z#part").unwrap(), "https://a.example:8443/z");
        assert_eq!(to(page, "z?a=b").unwrap(), "https://a.example:8443/x/z?a=b");
        assert_eq!(to(page, "//b.example/").unwrap(), "https://b.example/");
        assert_eq!(to("http://a/", "https://b/").unwrap(), "https://b/");
        assert!(to(page, "http://a.example/").is_err());
        for strange in [
            "ftp://a/",
            "javascript:alert(1)\n",
            "https://",
            "\\\\a\\b c",
        ] {
            assert!(to("http://a/", strange).is_err(), "{strange}");
        }
    }
}
