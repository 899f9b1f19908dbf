//! HTTP for engines: TLS by the destination's files, credentials, and what an answer means.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use sysmon_wire::Label;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::DestinationError;
use crate::EngineError;
use crate::destination::DestinationOptions;

const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read: enough for a reason.
const ANSWER_BYTES_MAX: u64 = 16_384;

/// Bytes of an answer to a query.
const QUERY_BYTES_MAX: u64 = 64 << 20;

/// Characters of a reason.
const REASON_MAX: usize = 160;

pub(crate) struct Http {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
    /// The address without secrets.
    address: String,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// What it says, cleaned and cut.
    pub(super) reason: String,
    /// The answer itself if it is protobuf.
    #[cfg(feature = "otlp")]
    pub(super) protobuf: Vec<u8>,
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the request as such is wrong, whatever is in it.
    pub(super) fn is_misconfigured(&self) -> bool {
        matches!(self.status, 300..=399 | 401 | 403 | 404 | 405 | 407 | 415)
    }

    /// Whether the same request may succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..)
    }
}

impl Http {
    pub(crate) fn new(options: &DestinationOptions, url: &str) -> Result<Self, DestinationError> {
        Self::with_limit(options, url, REQUEST_MAX)
    }

    /// A client whose requests take no longer than this.
    pub(crate) fn with_limit(
        options: &DestinationOptions,
        url: &str,
        limit: Duration,
    ) -> Result<Self, DestinationError> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(limit))
            // A redirect's target is not the engine that was configured.
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("sysmon-hub/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls(options)?)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.to_owned(),
            headers: headers(options)?,
            address: options.address(),
        })
    }

    /// Posts a form to a path below the address; returns what is answered.
    pub(crate) fn ask(&self, path: &str, form: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let mut request = self
            .agent
            .post(format!("{}{path}", self.url.trim_end_matches('/')));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let told = |error: ureq::Error| error.to_string().replace(&self.url, "the URL");
        let mut answer = request.send_form(form.iter().copied()).map_err(told)?;
        let is_success = answer.status().is_success();
        let limit = match is_success {
            true => QUERY_BYTES_MAX,
            false => ANSWER_BYTES_MAX,
        };
        let body = answer.body_mut().with_config().limit(limit);
        let body = body.read_to_vec().map_err(told)?;
        match is_success {
            true => Ok(body),
            false => Err(format!(
                "HTTP {}: {}",
                answer.status().as_u16(),
                reason(&body)
            )),
        }
    }

    /// Sends a request; `headers` are those of this kind of engine.
    pub(super) fn post(
        &self,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, EngineError> {
        let mut request = self.agent.post(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send(body).map_err(|error| self.failed(&error))?;
        let retry_after = answer.headers().get("Retry-After");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let kind = answer.headers().get("Content-Type");
        let is_protobuf = kind.is_some_and(|kind| kind.as_bytes() == b"application/x-protobuf");
        let mut body = Vec::new();
        let mut read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX);
        // What was read before an error is all there is to tell.
        let _ = read.read_to_end(&mut body);
        Ok(Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            reason: match is_protobuf || answer.status().is_success() {
                true => String::new(),
                false => reason(&body),
            },
            #[cfg(feature = "otlp")]
            protobuf: if is_protobuf { body } else { Vec::new() },
        })
    }

    /// An answer that says to come back later, or to mend the configuration.
    pub(super) fn error(&self, answer: &Answer) -> EngineError {
        let Answer { status, reason, .. } = answer;
        let said = match reason.as_str() {
            "" => String::new(),
            reason => format!(": {reason}"),
        };
        let told = format!("{} answered {status}{said}", self.address);
        match answer.is_misconfigured() {
            true => EngineError::Misconfigured(format!("{told}; check url and credentials")),
            false => EngineError::Unavailable {
                reason: told,
                retry_after: answer.retry_after,
            },
        }
    }

    fn failed(&self, error: &ureq::Error) -> EngineError {
        // The text may have the URL in it, and so a secret.
        let text = error.to_string().replace(&self.url, "the URL");
        EngineError::unavailable(format!("cannot reach {}: {text}", self.address))
    }
}

/// The headers that a destination is configured with, credentials among them.
pub(super) fn headers(
    options: &DestinationOptions,
) -> Result<Vec<(String, String)>, DestinationError> {
    let mut headers: Vec<_> = options
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.reveal().to_owned()))
        .collect();
    if let Some(token) = &options.token {
        headers.push((
            "Authorization".to_owned(),
            format!("Bearer {}", token.reveal()),
        ));
    } else if let Some((user, password)) = &options.login {
        let login = format!("{user}:{}", password.reveal());
        let login = data_encoding::BASE64.encode(login.as_bytes());
        headers.push(("Authorization".to_owned(), format!("Basic {login}")));
    }
    for (name, value) in &headers {
        let is_header = ureq::http::HeaderName::try_from(name).is_ok()
            && ureq::http::HeaderValue::try_from(value).is_ok();
        if !is_header {
            return Err(DestinationError::Setting(format!(
                "{name} cannot be sent as a header: it has characters that headers cannot have"
            )));
        }
    }
    Ok(headers)
}

/// The first line of what a server says, cleaned and cut.
pub(super) fn reason(text: &[u8]) -> String {
    let text = Label::from_bytes(text.split(|byte| *byte == b'\n').next().unwrap_or_default());
    text.as_str().trim().chars().take(REASON_MAX).collect()
}

fn tls(options: &DestinationOptions) -> Result<TlsConfig, DestinationError> {
    let mut config = TlsConfig::builder();
    if let Some(path) = &options.ca {
        let mut roots: Vec<Certificate<'static>> = Vec::new();
        for item in items(path)? {
            if let PemItem::Certificate(certificate) = item {
                roots.push(certificate);
            }
        }
        if roots.is_empty() {
            return Err(DestinationError::Setting(format!(
                "{} has no certificate in PEM",
                path.display()
            )));
        }
        config = config.root_certs(RootCerts::new_with_certs(&roots));
    }
    if let Some((certificate, key)) = &options.identity {
        let chain = items(certificate)?.into_iter();
        let chain = chain.filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        });
        let chain: Vec<Certificate<'static>> = chain.collect();
        let mut keys = items(key)?.into_iter().filter_map(|item| match item {
            PemItem::PrivateKey(key) => Some(key),
            _ => None,
        });
        let key_file = key;
        let key: Option<PrivateKey<'static>> = keys.next_back();
        let key = key.ok_or_else(|| {
            DestinationError::Setting(format!("{} has no private key in PEM", key_file.display()))
        })?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(config.build())
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, DestinationError> {
    let wrong = |problem: String| {
        DestinationError::Setting(format!("cannot read {}: {problem}", path.display()))
    };
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>();
    items.map_err(|error| wrong(error.to_string()))
}
