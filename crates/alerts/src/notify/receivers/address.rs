//! Where a service is reached: a URL, and what else a route says, such as a token. Pure.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest address, in bytes.
const ADDRESS_MAX: usize = 2_048;

/// Characters that a segment of a path must not have; the token of a Telegram bot has a colon.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// A URL and named values. All of it but the host may be secret.
#[derive(Clone, PartialEq, Eq)]
pub(in super::super) struct Address {
    /// Without a slash at the end, unless it is all there is.
    base: String,
    values: Vec<(&'static str, String)>,
}

impl Address {
    /// A URL that is the whole address, with its query.
    pub(super) fn url_alone(text: &str) -> Option<Self> {
        is_url(text).then(|| Self {
            base: text.to_owned(),
            values: Vec::new(),
        })
    }

    /// `https://HOST/PATH?NAME=VALUE&…` with each of the `required` names once, and perhaps `optional` ones.
    pub(super) fn with_values(
        text: &str,
        required: &[&'static str],
        optional: &[&'static str],
    ) -> Option<Self> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        if !is_url(base) || base.contains('#') {
            return None;
        }
        let mut values: Vec<(&'static str, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let mut names = required.iter().chain(optional);
            let name = names.find(|known| **known == name)?;
            if values.iter().any(|(known, _)| known == name) {
                return None;
            }
            let value = percent_decode_str(value).decode_utf8().ok()?;
            values.push((name, value.into_owned()));
        }
        let has = |name: &&str| values.iter().any(|(known, _)| known == name);
        if !required.iter().all(has) {
            return None;
        }
        Self::of(base, values)
    }

    /// The address of a service that everybody reaches at the same place.
    pub(super) fn of(base: &str, values: Vec<(&'static str, String)>) -> Option<Self> {
        let are_values = values.iter().all(|(_, value)| is_value(value));
        are_values.then(|| Self {
            base: base.trim_end_matches('/').to_owned(),
            values,
        })
    }

    /// A value; empty if the route does not have it.
    pub(super) fn value(&self, name: &str) -> &str {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }

    /// The URL with `path` behind it.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(in super::super) fn host(&self) -> &str {
        host(&self.base)
    }

    /// `text` without what may be secret.
    pub(in super::super) fn hide_in(&self, text: &str) -> String {
        let text = text.replace(&self.base, "the URL");
        let values = self.values.iter().map(|(_, value)| value);
        // A shorter value, such as the number of a thread, is no secret.
        let secrets = values.filter(|value| value.len() > 6);
        secrets.fold(text, |text, secret| text.replace(secret.as_str(), "…"))
    }
}

/// Without secrets.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host())
    }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn is_url(text: &str) -> bool {
    let is_http = text.starts_with("https://") || text.starts_with("http://");
    is_http && text.len() <= ADDRESS_MAX && !host(text).is_empty()
}

/// Also fits into a header.
fn is_value(text: &str) -> bool {
    !text.is_empty() && text.len() <= ADDRESS_MAX && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Host and port of a URL.
fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    place.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_each_required_value_once_and_no_unknown_one() {
        let parse = |text: &str| Address::with_values(text, &["token"], &["tag"]);
        let full = parse("https://me:pw@x.org:8080/a/?token=a%2Bb&tag=c").unwrap();
        assert_eq!((full.value("token"), full.value("tag")), ("a+b", "c"));
        assert_eq!(full.url("/b"), "https://me:pw@x.org:8080/a/b");
        assert_eq!(
            (full.host(), format!("{full:?}")),
            ("x.org:8080", "x.org:8080".to_owned())
        );
        for bad in [
            "https://x.org",
            "https://x.org/?token=",
            "https://x.org/?token",
            "https://x.org/?tag=c",
            "https://x.org/?token=a&token=b",
            "https://x.org/?token=a&other=b",
            "https://x.org/?token=a%0d%0aX:y",
            "https://x.org/?token=%ff",
            "https:///?token=a",
            "https://x.org/#?token=a",
            "x.org/?token=a",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse(&format!("https://x.org/?token={}", "a".repeat(3_000))).is_none());
    }

    #[test]
    fn a_host_ends_before_the_query_and_a_segment_has_no_slash() {
        let alone = Address::url_alone("https://x.org?secret").unwrap();
        assert_eq!(alone.host(), "x.org");
        assert_eq!(segment("!a/../b?c#d:e"), "%21a%2F..%2Fb%3Fc%23d:e");
    }
}
