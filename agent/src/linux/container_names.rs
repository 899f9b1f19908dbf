//! Names of containers, requested from the socket of Docker or Podman when there is an unnamed one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use sysmon_clock::Clock;

use super::Roots;

const SOCKETS: [&str; 2] = ["/run/docker.sock", "/run/podman/podman.sock"];

const TIMEOUT: Duration = Duration::from_secs(2);
const RESPONSE_BYTES_MAX: u64 = 4 << 20;

const PERIOD: Duration = Duration::from_secs(30);

/// Digits that identifiers are shortened to, as in the names of control groups.
const ID_DIGITS: usize = 12;

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, String>,
    /// Why they cannot be requested.
    problem: Option<String>,
}

#[derive(Debug)]
pub(super) struct Names {
    clock: Clock,
    known: Arc<Mutex<Known>>,
    requested: Option<Instant>,
    sockets: Vec<PathBuf>,
}

impl Names {
    pub(super) fn new(roots: &Roots, clock: Clock) -> Self {
        Self {
            clock,
            sockets: SOCKETS.map(|socket| roots.host_file(socket)).to_vec(),
            known: Arc::default(),
            requested: None,
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.names.get(id).cloned()
    }

    pub(super) fn problem(&self) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.problem.clone()
    }

    /// Requests the names on a thread of its own, at most once per [`PERIOD`].
    pub(super) fn request(&mut self) {
        let now = self.clock.instant();
        if self.requested.is_some_and(|last| now - last < PERIOD) {
            return;
        }
        let Some(socket) = self.sockets.iter().find(|socket| socket.exists()).cloned() else {
            return;
        };
        self.requested = Some(now);
        let known = Arc::clone(&self.known);
        let request = move || match list(&socket) {
            Ok(names) => {
                let known = &mut *known.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Known {
                    names,
                    problem: None,
                };
            }
            Err(error) => {
                let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                known.problem = Some(problem(&socket, &error));
            }
        };
        // Without the thread, containers are shown by identifier.
        let _ = thread::Builder::new()
            .name("containers".to_owned())
            .spawn(request);
    }
}

/// `GET /containers/json` of the Docker Engine API, which Podman implements too.
fn list(socket: &Path) -> std::io::Result<HashMap<String, String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the response ends with the connection and is not chunked.
    stream.write_all(b"GET /containers/json HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = Vec::new();
    stream.take(RESPONSE_BYTES_MAX).read_to_end(&mut response)?;
    Ok(names(&response))
}

fn problem(socket: &Path, error: &std::io::Error) -> String {
    let shown = socket.display();
    let what = format!("containers are shown by identifier: cannot open {shown}: {error}");
    if error.kind() != std::io::ErrorKind::PermissionDenied {
        return what;
    }
    let group = std::fs::metadata(socket)
        .ok()
        .map(|metadata| metadata.gid());
    let group = group.map_or_else(String::new, |gid| {
        let name = groups(
            &std::fs::read_to_string("/etc/group").unwrap_or_default(),
            gid,
        );
        name.unwrap_or_else(|| gid.to_string())
    });
    format!(
        "{what}; add the agent to the group {group} (SupplementaryGroups={group} in its unit), which may control all containers"
    )
}

/// The name of a group (group(5)).
fn groups(text: &str, gid: u32) -> Option<String> {
    let line = text.lines().find(|line| {
        let number = line.split(':').nth(2);
        number.and_then(|number| number.parse().ok()) == Some(gid)
    })?;
    Some(line.split(':').next()?.to_owned())
}

fn names(response: &[u8]) -> HashMap<String, String> {
    let body = response.windows(4).position(|four| four == b"\r\n\r\n");
    let body = body
        .and_then(|at| response.get(at + 4..))
        .unwrap_or_default();
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
    fn names_are_found_in_the_response_of_docker() {
        let response = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n\
            [{\"Id\":\"0123456789abcdef\",\"Names\":[\"/web\"]},{\"Id\":7},{\"Id\":\"short\",\"Names\":[\"/x\"]}]";
        assert_eq!(
            names(response),
            HashMap::from([("0123456789ab".to_owned(), "web".to_owned())])
        );
        assert!(names(b"garbage").is_empty() && names(b"\r\n\r\n{").is_empty());
    }
    #[test]
    fn a_socket_that_may_not_be_opened_names_the_group_that_may() {
        assert_eq!(
            groups("root:x:0:\ndocker:x:993:a,b\n", 993),
            Some("docker".to_owned())
        );
        assert_eq!(groups("docker:x:993:\n", 7), None);
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let text = problem(Path::new("/etc/passwd"), &denied);
        assert!(text.contains("SupplementaryGroups=root"), "{text}");
        let gone = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(!problem(Path::new("/etc/passwd"), &gone).contains("group"));
    }
}
