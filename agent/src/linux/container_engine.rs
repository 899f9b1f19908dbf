//! What Docker or Podman says of its containers: names, health, restarts and how they ended.

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

/// Containers that are shown at a time.
pub(super) const CONTAINERS_MAX: usize = 128;

/// Containers of which the engine is asked for more at a time: those that started lately.
const INSPECTED_MAX: usize = 8;

/// A container as the engine lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    id: String,
    pub(super) name: String,
    pub(super) is_running: bool,
    /// None if nothing checks its health.
    pub(super) is_unhealthy: Option<bool>,
    /// How it ended.
    pub(super) exit_code: Option<i64>,
    /// How often the engine has started it again.
    pub(super) restarts: Option<i64>,
    /// Whether it started within the last minute, or is about to.
    is_new: bool,
}

#[derive(Debug, Default)]
struct Known {
    /// Those that run first, and then by name.
    listed: Vec<Listed>,
    /// Counts lists, so that a reader gets only new ones.
    generation: u64,
    /// Why they cannot be requested.
    problem: Option<String>,
}

#[derive(Debug)]
pub(super) struct Engine {
    clock: Clock,
    known: Arc<Mutex<Known>>,
    requested: Option<Instant>,
    sockets: Vec<PathBuf>,
}

impl Engine {
    pub(super) fn new(roots: &Roots, clock: Clock) -> Self {
        Self {
            clock,
            sockets: SOCKETS.map(|socket| roots.host_file(socket)).to_vec(),
            known: Arc::default(),
            requested: None,
        }
    }

    /// The name of a container, by the first digits of its identifier.
    pub(super) fn name(&self, id: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let listed = known.listed.iter().find(|listed| listed.id == id);
        listed.map(|listed| listed.name.clone())
    }

    /// The newest list, unless it is the one of this generation.
    pub(super) fn listed(&self, generation: &mut u64) -> Option<Vec<Listed>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = std::mem::replace(generation, known.generation) != known.generation;
        is_new.then(|| known.listed.clone())
    }

    pub(super) fn problem(&self) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.problem.clone()
    }

    /// Asks on a thread of its own, at most once per [`PERIOD`]; without an engine never.
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
        let request = move || {
            let earlier = known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .listed
                .clone();
            let answer = ask(&socket, &earlier);
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.generation += 1;
            match answer {
                Ok(listed) => (known.listed, known.problem) = (listed, None),
                Err(error) => {
                    // What was known of them may not be true any more.
                    for listed in &mut known.listed {
                        *listed = Listed {
                            id: std::mem::take(&mut listed.id),
                            name: std::mem::take(&mut listed.name),
                            is_running: true,
                            ..Listed::default()
                        };
                    }
                    known.problem = Some(problem(&socket, &error));
                }
            }
        };
        // Without the thread, containers are shown by identifier.
        let _ = thread::Builder::new()
            .name("containers".to_owned())
            .spawn(request);
    }
}

/// Lists all containers, and asks for more of those that started lately.
fn ask(socket: &Path, earlier: &[Listed]) -> std::io::Result<Vec<Listed>> {
    let mut listed = list(&get(socket, "/containers/json?all=true")?)?;
    let before = |id: &str| earlier.iter().find(|other| other.id == id);
    for one in &mut listed {
        one.restarts = before(&one.id).and_then(|other| other.restarts);
    }
    let is_wanted = |one: &&mut Listed| one.is_new;
    for one in listed.iter_mut().filter(is_wanted).take(INSPECTED_MAX) {
        if let Ok(answer) = get(socket, &format!("/containers/{}/json", one.id)) {
            one.restarts = restarts(&answer).or(one.restarts);
        }
    }
    Ok(listed)
}

/// The body of an answer of the Docker Engine API, which Podman implements too.
fn get(socket: &Path, path: &str) -> std::io::Result<Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the response ends with the connection and is not chunked.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream
        .take(RESPONSE_BYTES_MAX + 1)
        .read_to_end(&mut response)?;
    if response.len() as u64 > RESPONSE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "an answer of more than {RESPONSE_BYTES_MAX} bytes is ignored"
        )));
    }
    let body = response.windows(4).position(|four| four == b"\r\n\r\n");
    let body = body.and_then(|at| response.get(at + 4..));
    let body = serde_json::from_slice(body.unwrap_or_default());
    body.map_err(|_| std::io::Error::other("the answer is not JSON"))
}

fn problem(socket: &Path, error: &std::io::Error) -> String {
    let shown = socket.display();
    let what = format!("containers are shown by identifier: {shown}: {error}");
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

/// Containers by name, those that run first, at most [`CONTAINERS_MAX`].
fn list(answer: &Value) -> std::io::Result<Vec<Listed>> {
    let all = answer.as_array();
    let all = all.ok_or_else(|| std::io::Error::other("the answer is not a list"))?;
    let mut listed: Vec<Listed> = all.iter().filter_map(container).collect();
    listed.sort_by(|a, b| (!a.is_running, &a.name).cmp(&(!b.is_running, &b.name)));
    listed.truncate(CONTAINERS_MAX);
    Ok(listed)
}

fn container(value: &Value) -> Option<Listed> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let label = |key: &str| value.get("Labels")?.get(key)?.as_str();
    let id = value.get("Id")?.as_str()?.get(..ID_DIGITS)?;
    let name = value
        .get("Names")?
        .get(0)?
        .as_str()?
        .trim_start_matches('/');
    let pod = label("io.kubernetes.pod.name").zip(label("io.kubernetes.container.name"));
    let (state, status) = (text("State"), text("Status"));
    Some(Listed {
        id: id.to_owned(),
        name: pod.map_or_else(|| name.to_owned(), |(pod, name)| format!("{pod}/{name}")),
        is_running: matches!(state, "running" | "paused" | "restarting"),
        is_unhealthy: match status {
            _ if status.contains("(unhealthy)") => Some(true),
            _ if status.contains("(healthy)") => Some(false),
            _ => None,
        },
        exit_code: status.strip_prefix("Exited (").and_then(|rest| {
            let code = rest.split(')').next()?;
            code.parse::<i32>().ok().map(i64::from)
        }),
        restarts: None,
        is_new: state == "restarting" || (status.starts_with("Up") && status.contains("second")),
    })
}

fn restarts(answer: &Value) -> Option<i64> {
    answer
        .get("RestartCount")?
        .as_i64()
        .filter(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_and_ends_are_read_from_the_list_of_docker() {
        let id = |n: u32| format!("{n:012}abcdef");
        let answer = serde_json::json!([
            {"Id": id(1), "Names": ["/web"], "State": "running", "Status": "Up 3 hours (healthy)"},
            {"Id": id(2), "Names": ["/api"], "State": "running", "Status": "Up 12 seconds (unhealthy)"},
            {"Id": id(3), "Names": ["/job"], "State": "exited", "Status": "Exited (137) 2 hours ago"},
            {"Id": id(4), "Names": ["/k8s_x"], "State": "running", "Status": "Up 2 days",
             "Labels": {"io.kubernetes.pod.name": "shop-7", "io.kubernetes.container.name": "app"}},
            {"Id": 7}, {"Id": "short", "Names": ["/x"]}, {"Id": id(5), "Names": []}, 5
        ]);
        let listed = list(&answer).unwrap();
        let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["api", "shop-7/app", "web", "job"]);
        assert_eq!(
            (listed[0].is_unhealthy, listed[0].is_new),
            (Some(true), true)
        );
        assert_eq!((listed[1].is_unhealthy, listed[1].is_new), (None, false));
        assert_eq!(listed[2].is_unhealthy, Some(false));
        assert_eq!(
            (listed[3].exit_code, listed[3].is_running),
            (Some(137), false)
        );
        assert!(list(&serde_json::json!({"message": "no"})).is_err());
        let many: Vec<_> = (0..1000)
            .map(|n| serde_json::json!({"Id": id(n), "Names": [format!("/c{n}")], "State": "exited", "Status": ""}))
            .collect();
        assert_eq!(list(&many.into()).unwrap().len(), CONTAINERS_MAX);
        assert_eq!(restarts(&serde_json::json!({"RestartCount": 4})), Some(4));
        assert_eq!(restarts(&serde_json::json!({"RestartCount": -4})), None);
    }

    /// Answers requests on a socket with recorded bodies, by the beginning of their path.
    fn engine(socket: &Path, answers: &'static [(&str, &str)]) {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = [0; 512];
                let length = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let answer = answers.iter().find(|(path, _)| request.contains(path));
                let body = answer.map_or("{}", |(_, body)| body);
                let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}");
            }
        });
    }

    #[test]
    fn a_container_that_is_started_again_and_again_is_asked_about() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("docker.sock");
        engine(
            &socket,
            &[
                (
                    "/containers/json?all=true",
                    r#"[{"Id":"0123456789abcdef","Names":["/web"],"State":"restarting","Status":"Restarting (1) 5 seconds ago"},
                        {"Id":"1123456789abcdef","Names":["/db"],"State":"running","Status":"Up 3 days"}]"#,
                ),
                ("/containers/0123456789ab/json", r#"{"RestartCount":41}"#),
                ("/containers/1123456789ab/json", r#"{"RestartCount":99}"#),
            ],
        );
        let listed = ask(&socket, &[]).unwrap();
        let found = |name: &str| listed.iter().find(|one| one.name == name).unwrap().restarts;
        assert_eq!((found("web"), found("db")), (Some(41), None));
        let earlier = Listed {
            id: "1123456789ab".to_owned(),
            restarts: Some(2),
            ..Listed::default()
        };
        let again = ask(&socket, &[earlier]).unwrap();
        assert_eq!(
            again.iter().find(|one| one.name == "db").unwrap().restarts,
            Some(2)
        );
    }

    #[test]
    fn an_engine_that_says_nothing_or_too_much_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let flood = dir.path().join("flood.sock");
        let listener = std::os::unix::net::UnixListener::bind(&flood).unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n[");
                while stream.write_all(&[b' '; 65_536]).is_ok() {}
            }
        });
        let error = ask(&flood, &[]).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
        let other = dir.path().join("other.sock");
        engine(&other, &[("/", "garbage")]);
        assert!(ask(&other, &[]).is_err());
        assert!(ask(&dir.path().join("none.sock"), &[]).is_err());
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
