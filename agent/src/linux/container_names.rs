//! What Docker or Podman call their containers, asked over their socket when there is a new one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where they listen.
const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

/// How long an answer may take, and be.
const TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Time between two questions, however many containers come and go.
const PERIOD: Duration = Duration::from_secs(30);

/// Digits of an identifier that tell containers apart, as control groups are cut to.
const ID_DIGITS: usize = 12;

/// Names by the first digits of the identifier.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Arc<Mutex<HashMap<String, String>>>,
    asked: Option<Instant>,
}

impl Names {
    /// The name of a container, if it is known yet.
    pub(super) fn of(&self, id: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }

    /// Asks, if there is a container without a name and somebody who may know it.
    pub(super) fn ask(&mut self, is_unnamed: bool) {
        let is_recent = self.asked.is_some_and(|asked| asked.elapsed() < PERIOD);
        if !is_unnamed || is_recent {
            return;
        }
        let Some(socket) = SOCKETS
            .into_iter()
            .find(|socket| Path::new(socket).exists())
        else {
            return;
        };
        self.asked = Some(Instant::now());
        let known = Arc::clone(&self.known);
        let ask = move || match list(socket) {
            Ok(names) => *known.lock().unwrap_or_else(PoisonError::into_inner) = names,
            Err(error) => tracing::debug!("no container names from {socket}: {error}"),
        };
        // Without a thread containers go by their identifiers.
        let _ = thread::Builder::new()
            .name("containers".to_owned())
            .spawn(ask);
    }
}

/// `GET /containers/json` (Docker Engine API, which Podman speaks too).
fn list(socket: &str) -> std::io::Result<HashMap<String, String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // Version 1.0: the answer ends with the connection and is not chunked.
    stream.write_all(b"GET /containers/json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(names(&answer))
}

fn names(answer: &[u8]) -> HashMap<String, String> {
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let body = body.and_then(|at| answer.get(at + 4..)).unwrap_or_default();
    let list: Value = serde_json::from_slice(body).unwrap_or_default();
    let entry = |container: &Value| {
        let id = container.get("Id")?.as_str()?.get(..ID_DIGITS)?;
        let name = container.get("Names")?.get(0)?.as_str()?;
        Some((id.to_owned(), name.trim_start_matches('/').to_owned()))
    };
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(entry)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_what_docker_answers() {
        let answer = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
            [{\"Id\":\"0123456789abcdef\",\"Names\":[\"/web\"]},{\"Id\":7},{\"Id\":\"short\",\"Names\":[\"/x\"]}]";
        assert_eq!(
            names(answer),
            HashMap::from([("0123456789ab".to_owned(), "web".to_owned())])
        );
        assert!(names(b"garbage").is_empty() && names(b"\r\n\r\n{").is_empty());
    }
}
