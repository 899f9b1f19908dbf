//! Users of HTTP basic authentication, from a file of `NAME:PASSWORD` lines.

use std::path::Path;

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;
use ring::digest;
use sysmon_files::{FileError, read_secret};

/// Every request is compared with all logins, so their number is bounded.
const LOGINS_MAX: usize = 1_000;

/// SHA-256 digests of `NAME:PASSWORD`: of equal length, they are compared in constant time.
#[derive(Debug)]
pub struct Logins(Vec<digest::Digest>);

#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("line {0} is not NAME:PASSWORD")]
    Line(usize),
    #[error("{0} logins; expected 1 to {LOGINS_MAX}")]
    Count(usize),
}

fn digest(login: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, login)
}

impl Logins {
    pub fn read(path: &Path) -> Result<Self, LoginError> {
        Self::parse(&read_secret(path)?)
    }

    fn parse(text: &str) -> Result<Self, LoginError> {
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let login = |(at, line): (usize, &str)| match line.split_once(':') {
            Some((name, password)) if !name.is_empty() && !password.is_empty() => {
                Ok(digest(line.as_bytes()))
            }
            _ => Err(LoginError::Line(at + 1)),
        };
        let logins: Vec<_> = lines.map(login).collect::<Result<_, _>>()?;
        if logins.is_empty() || logins.len() > LOGINS_MAX {
            return Err(LoginError::Count(logins.len()));
        }
        Ok(Self(logins))
    }

    pub(super) fn allow(&self, headers: &HeaderMap) -> bool {
        let sent = headers
            .get(header::AUTHORIZATION)
            .map(axum::http::HeaderValue::as_bytes);
        let sent = sent.and_then(|sent| {
            let (scheme, rest) = sent.split_at_checked(6)?;
            let login = scheme.eq_ignore_ascii_case(b"basic ").then_some(rest)?;
            BASE64.decode(login.trim_ascii()).ok()
        });
        let Some(sent) = sent.map(|sent| digest(&sent)) else {
            return false;
        };
        let is_same = |login: &&digest::Digest| {
            let bytes = login.as_ref().iter().zip(sent.as_ref());
            bytes.fold(0, |different, (a, b)| different | (a ^ b)) == 0
        };
        // Compares with all, so that the duration reveals nothing.
        self.0.iter().filter(is_same).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logins_of_the_file_are_allowed() {
        let logins = Logins::parse("# people\njane:pass:word\n\nbob:x\n").unwrap();
        let with = |value: &str| {
            let value = value.parse().unwrap();
            logins.allow(&HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
        };
        assert!(with(&format!("Basic {}", BASE64.encode(b"jane:pass:word"))));
        assert!(with(&format!("basic {}", BASE64.encode(b"bob:x"))));
        for wrong in ["jane:pass", "jane", "", "bob:", ":x", "# people"] {
            assert!(
                !with(&format!("Basic {}", BASE64.encode(wrong.as_bytes()))),
                "{wrong}"
            );
        }
        assert!(!with("Basic") && !with("Bearer x") && !with("Basic %%%"));
        assert!(!logins.allow(&HeaderMap::new()));
    }

    #[test]
    fn malformed_files_are_refused() {
        assert!(matches!(
            Logins::parse("jane:x\nbob\n"),
            Err(LoginError::Line(2))
        ));
        assert!(matches!(
            Logins::parse("# nobody\n"),
            Err(LoginError::Count(0))
        ));
    }
}
