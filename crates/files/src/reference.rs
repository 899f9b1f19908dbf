//! Secrets that a setting names instead of containing them: `file:PATH` or `env:NAME`.

use std::fs::File;
use std::io::Read;

use thiserror::Error;

/// Largest file that is read for `file:PATH`.
const SECRET_BYTES_MAX: u64 = 16 << 10;

/// A secret that a setting names cannot be read. The message does not contain it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("cannot read {from}: {reason}")]
pub struct ReferenceError {
    /// `file:PATH` or `env:NAME`.
    pub from: String,
    /// The error, or what is expected.
    pub reason: String,
}

/// The one line of `file:PATH` or `env:NAME`, without white space around it; none for other texts.
///
/// # Errors
/// The file or variable cannot be read, is empty, or has several lines.
pub fn resolve_reference(text: &str) -> Result<Option<String>, ReferenceError> {
    let failed = |reason: String| ReferenceError {
        from: text.to_owned(),
        reason,
    };
    let found = if let Some(path) = text.strip_prefix("file:") {
        let mut content = String::new();
        let read = File::open(path)
            .and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut content));
        read.map_err(|error| failed(error.to_string()))?;
        content
    } else if let Some(name) = text.strip_prefix("env:") {
        std::env::var(name).map_err(|error| failed(error.to_string()))?
    } else {
        return Ok(None);
    };
    let found = found.trim();
    if found.is_empty() || found.contains('\n') {
        return Err(failed("it has to be one line".to_owned()));
    }
    Ok(Some(found.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_from_where_a_setting_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let text = format!("file:{}", path.display());
        std::fs::write(&path, " geheim\n").unwrap();
        assert_eq!(resolve_reference(&text), Ok(Some("geheim".to_owned())));
        assert_eq!(resolve_reference("https://x"), Ok(None));
        for wrong in ["\n", "two\nlines\n"] {
            std::fs::write(&path, wrong).unwrap();
            let error = resolve_reference(&text).unwrap_err().to_string();
            assert!(error.ends_with("it has to be one line"), "{error}");
        }
        assert!(resolve_reference("env:SYSMON_NO_SUCH_VARIABLE").is_err());
    }
}
