//! Telling somebody: routes, the queue in front of them, and the thread that sends.
//!
//! | route | what is sent |
//! |---|---|
//! | `https://…`, `http://…` | a POST of JSON: `{"schema":1,"text":…,"alerts":[…]}` |
//! | `slack:https://…`, `teams:https://…` | a POST of `{"text":…}` |
//! | `discord:https://…` | a POST of `{"content":…}` |
//! | `ntfy:https://…` | a POST of the text, with title and priority |
//! | `command:…` | the JSON on a command's standard input, run through the shell |

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sysmon_wire::message::Severity;
use thiserror::Error;

use super::engine::{Alert, Transition};

/// Messages that wait; past that the oldest are dropped, for the newest state is what matters.
const WAITING_MAX: usize = 1_000;

/// How long one attempt may take, and what is read of the answer.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// Waits between attempts: doubled each time between these.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// Alerts told in one message; of more only the number.
const TOLD_MAX: usize = 20;

/// Where alerts are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    kind: RouteKind,
    target: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RouteKind {
    Json,
    Text,
    Content,
    Ntfy,
    Command,
}

/// A text that is no route.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0:?} is no route for alerts: write https://…, slack:https://…, teams:https://…, discord:https://…, ntfy:https://… or command:…"
)]
pub struct RouteError(String);

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let kinds = [
            ("slack:", RouteKind::Text),
            ("teams:", RouteKind::Text),
            ("discord:", RouteKind::Content),
            ("ntfy:", RouteKind::Ntfy),
            ("command:", RouteKind::Command),
        ];
        let found = kinds
            .iter()
            .find_map(|(prefix, kind)| Some((*kind, text.strip_prefix(prefix)?)));
        let (kind, target) = found.unwrap_or((RouteKind::Json, text));
        let is_url = target.starts_with("https://") || target.starts_with("http://");
        let is_good = if kind == RouteKind::Command {
            !target.trim().is_empty()
        } else {
            is_url
        };
        is_good
            .then(|| Self {
                kind,
                target: target.to_owned(),
            })
            .ok_or_else(|| RouteError(text.to_owned()))
    }
}

impl fmt::Display for Route {
    /// Without what may be secret: the path of a webhook is its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            RouteKind::Command => write!(f, "command {}", self.target),
            _ => {
                let host = self.target.split('/').nth(2).unwrap_or_default();
                write!(f, "webhook at {host}")
            }
        }
    }
}

/// What is told of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    alert: Alert,
    firing: bool,
}

impl From<Transition> for Told {
    fn from(transition: Transition) -> Self {
        Self {
            alert: transition.alert,
            firing: transition.firing,
        }
    }
}

impl Told {
    fn line(&self) -> String {
        let alert = &self.alert;
        let state = match (self.firing, alert.severity) {
            (false, _) => "RESOLVED",
            (true, Severity::Critical) => "CRITICAL",
            (true, Severity::Warning) => "WARNING",
        };
        format!("{state} {}: {} ({})", alert.host, alert.summary, alert.rule)
    }

    fn is_about(&self, other: &Self) -> bool {
        let (a, b) = (&self.alert, &other.alert);
        a.rule == b.rule && a.host == b.host && a.what == b.what
    }
}

/// What waits to be told, oldest first. Pure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    waiting: VecDeque<Told>,
    /// How many were dropped because there were too many.
    dropped: u64,
}

impl Queue {
    /// Adds something to tell. Of one alert only the newest state is told; if nobody knows that it fired,
    /// nobody needs to know that it is over.
    pub fn add(&mut self, told: Told) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| !waiting.is_about(&told));
        let was_untold = self.waiting.len() < before;
        if was_untold && !told.firing {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(told);
    }

    /// Everything that waits, in one message; none if nothing does.
    pub fn message(&self) -> Option<Message> {
        (!self.waiting.is_empty()).then(|| Message(self.waiting.iter().cloned().collect()))
    }

    /// The message arrived.
    pub fn told(&mut self, message: &Message) {
        self.waiting.retain(|waiting| !message.0.contains(waiting));
    }
}

/// What is sent at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(Vec<Told>);

impl Message {
    /// A message for trying out a route.
    pub fn test(hub: &str) -> Self {
        Self(vec![Told {
            alert: Alert {
                rule: "test".to_owned(),
                severity: Severity::Warning,
                host: hub.to_owned(),
                what: String::new(),
                since: sysmon_wire::UnixMs::default(),
                value: None,
                summary: "this is only a test of the route".to_owned(),
            },
            firing: true,
        }])
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut lines: Vec<_> = self.0.iter().take(TOLD_MAX).map(Told::line).collect();
        if self.0.len() > TOLD_MAX {
            lines.push(format!("and {} more", self.0.len() - TOLD_MAX));
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let alert = |told: &Told| {
            let alert = &told.alert;
            json!({
                "state": if told.firing { "firing" } else { "resolved" },
                "rule": alert.rule, "severity": alert.severity.as_str(), "host": alert.host,
                "what": alert.what, "since_ms": alert.since.0, "value": alert.value, "summary": alert.summary,
            })
        };
        json!({ "schema": 1, "text": self.text(), "alerts": self.0.iter().map(alert).collect::<Vec<_>>() })
    }

    fn is_critical(&self) -> bool {
        self.0
            .iter()
            .any(|told| told.firing && told.alert.severity == Severity::Critical)
    }
}

/// Sends a message over a route; an error says why it did not arrive.
pub fn send(route: &Route, message: &Message) -> Result<(), String> {
    match route.kind {
        RouteKind::Command => run(&route.target, message),
        RouteKind::Json => post(route, "application/json", &[], &message.json().to_string()),
        RouteKind::Text => post(
            route,
            "application/json",
            &[],
            &json!({ "text": message.text() }).to_string(),
        ),
        RouteKind::Content => post(
            route,
            "application/json",
            &[],
            &json!({ "content": message.text() }).to_string(),
        ),
        RouteKind::Ntfy => {
            let priority = if message.is_critical() {
                "urgent"
            } else {
                "default"
            };
            post(
                route,
                "text/plain; charset=utf-8",
                &[("Title", "sysmon"), ("Priority", priority)],
                &message.text(),
            )
        }
    }
}

fn post(
    route: &Route,
    content_type: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ATTEMPT_MAX))
        // A receiver that sends us elsewhere is not the one that was configured.
        .max_redirects(0)
        .build()
        .into();
    let mut request = agent
        .post(&route.target)
        .header("Content-Type", content_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    // The answer's body is not read, however long it is.
    match request.send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        Err(error) => Err(error.to_string()),
    }
}

fn run(command: &str, message: &Message) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read is free to.
        let _ = stdin.write_all(message.json().to_string().as_bytes());
    }
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it failed: {status}")),
            None if start.elapsed() < ATTEMPT_MAX => std::thread::sleep(Duration::from_millis(20)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", ATTEMPT_MAX.as_secs()));
            }
        }
    }
}

/// What is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Alerts that fire.
    pub firing: Vec<Alert>,
    /// What waits for each route, in their order.
    pub queues: Vec<Queue>,
}

impl Kept {
    /// What is in a file; nothing if there is none or it makes no sense.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn save(&self, path: &Path) {
        let temporary = path.with_extension("new");
        let text = serde_json::to_string(self).unwrap_or_default();
        let saved =
            std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
        if let Err(error) = saved {
            tracing::warn!(
                "alerts are not kept over a restart: {}: {error}",
                path.display()
            );
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub struct News {
    /// What became of alerts.
    pub transitions: Vec<Transition>,
    /// All alerts that fire now.
    pub firing: Vec<Alert>,
}

/// What the thread is told.
#[derive(Debug)]
enum Order {
    Tell(News),
    Reroute(Vec<Route>),
}

/// Tells alerts on a thread of its own.
#[derive(Clone, Debug)]
pub struct Notifier {
    orders: Sender<Order>,
}

impl Notifier {
    /// Starts the thread; `path` is where what waits is kept.
    pub fn start(routes: Vec<Route>, path: PathBuf, kept: Kept) -> std::io::Result<Self> {
        let (orders, received) = channel();
        std::thread::Builder::new()
            .name("alerts".to_owned())
            .spawn(move || tell(routes, &path, kept, &received))?;
        Ok(Self { orders })
    }

    /// Tells news as soon as that can be.
    pub fn tell(&self, news: News) {
        for transition in &news.transitions {
            let told = Told::from(transition.clone());
            if transition.firing {
                tracing::warn!("{}", told.line());
            } else {
                tracing::info!("{}", told.line());
            }
        }
        // Without the thread the log is all there is.
        let _ = self.orders.send(Order::Tell(news));
    }

    /// Tells over other routes from now on. What waits for a route that stays goes on waiting.
    pub fn reroute(&self, routes: Vec<Route>) {
        let _ = self.orders.send(Order::Reroute(routes));
    }
}

/// A route, what waits for it, and when it is tried again.
struct Lane {
    route: Route,
    queue: Queue,
    wait: Duration,
    next: Instant,
}

impl Lane {
    fn new(route: Route, queue: Queue) -> Self {
        Self {
            route,
            queue,
            wait: RETRY.0,
            next: Instant::now(),
        }
    }
}

fn tell(routes: Vec<Route>, path: &Path, mut kept: Kept, orders: &Receiver<Order>) {
    kept.queues.resize(routes.len(), Queue::default());
    let lanes = routes.into_iter().zip(kept.queues.drain(..));
    let mut lanes: Vec<Lane> = lanes
        .map(|(route, queue)| Lane::new(route, queue))
        .collect();
    let mut firing = kept.firing;
    loop {
        let waiting = lanes.iter().filter(|lane| lane.queue.message().is_some());
        let next = waiting.map(|lane| lane.next).min();
        let pause = next.map_or(Duration::from_secs(3600), |next| {
            next.saturating_duration_since(Instant::now())
        });
        match orders.recv_timeout(pause) {
            Ok(Order::Tell(more)) => {
                firing = more.firing;
                for told in more.transitions.into_iter().map(Told::from) {
                    lanes
                        .iter_mut()
                        .for_each(|lane| lane.queue.add(told.clone()));
                }
                save(path, &firing, &lanes);
            }
            Ok(Order::Reroute(routes)) => {
                lanes = reroute(lanes, routes);
                save(path, &firing, &lanes);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for lane in &mut lanes {
            attempt(lane);
        }
        save(path, &firing, &lanes);
    }
}

/// Lanes for these routes: those there were, with what waits, and new ones.
fn reroute(mut lanes: Vec<Lane>, routes: Vec<Route>) -> Vec<Lane> {
    let lane = |route: Route| match lanes.iter().position(|lane| lane.route == route) {
        Some(at) => lanes.swap_remove(at),
        None => Lane::new(route, Queue::default()),
    };
    routes.into_iter().map(lane).collect()
}

fn save(path: &Path, firing: &[Alert], lanes: &[Lane]) {
    let kept = Kept {
        firing: firing.to_vec(),
        queues: lanes.iter().map(|lane| lane.queue.clone()).collect(),
    };
    kept.save(path);
}

fn attempt(lane: &mut Lane) {
    if lane.next > Instant::now() {
        return;
    }
    let Some(message) = lane.queue.message() else {
        return;
    };
    match send(&lane.route, &message) {
        Ok(()) => {
            lane.queue.told(&message);
            lane.wait = RETRY.0;
        }
        Err(why) => {
            tracing::warn!("{} was not told: {why}; trying again", lane.route);
            lane.next = Instant::now() + lane.wait;
            lane.wait = (lane.wait * 2).min(RETRY.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use sysmon_wire::UnixMs;

    fn told(host: &str, firing: bool) -> Told {
        Told {
            alert: Alert {
                rule: "busy".to_owned(),
                severity: Severity::Critical,
                host: host.to_owned(),
                what: String::new(),
                since: UnixMs(5),
                value: Some(0.97),
                summary: "cpu is 97 %".to_owned(),
            },
            firing,
        }
    }

    #[test]
    fn of_one_alert_only_the_newest_state_is_told() {
        let mut queue = Queue::default();
        queue.add(told("a", true));
        queue.add(told("b", true));
        queue.add(told("a", false));
        assert_eq!(
            queue.message().unwrap().text(),
            "CRITICAL b: cpu is 97 % (busy)"
        );
        let message = queue.message().unwrap();
        queue.add(told("b", false));
        assert!(queue.message().is_none(), "nobody was told of it");
        queue.add(told("b", true));
        queue.told(&message);
        assert!(queue.message().is_none());
        queue.add(told("b", false));
        assert!(queue.message().unwrap().text().starts_with("RESOLVED"));
        for n in 0..WAITING_MAX * 2 {
            queue.add(told(&n.to_string(), true));
        }
        assert_eq!(queue.waiting.len(), WAITING_MAX);
        assert!(queue.message().unwrap().text().ends_with("and 980 more"));
    }

    #[test]
    fn routes_are_read_and_shown_without_their_secret() {
        let route: Route = "slack:https://hooks.example.org/T1/secret".parse().unwrap();
        assert_eq!(route.to_string(), "webhook at hooks.example.org");
        assert!("command:/usr/bin/true".parse::<Route>().is_ok());
        for bad in ["", "slack:", "ftp://x", "command:", "mail"] {
            assert!(bad.parse::<Route>().is_err(), "{bad}");
        }
    }

    /// A receiver that answers each request with one of these lines; what it was sent.
    fn receiver(
        answers: &'static [&'static str],
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let n = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let length = text
                        .split("content-length: ")
                        .nth(1)
                        .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
                    let body = text.split("\r\n\r\n").nth(1).map_or(0, str::len);
                    if n == 0 || length.is_some_and(|length| body >= length) {
                        break;
                    }
                }
                requests.push(String::from_utf8_lossy(&request).into_owned());
                stream
                    .write_all(
                        format!(
                            "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                        )
                        .as_bytes(),
                    )
                    .unwrap();
            }
            requests
        });
        (url, thread)
    }

    #[test]
    fn a_receiver_gets_one_message_for_one_incident_even_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("alerts.json");
        let (url, thread) = receiver(&["500 No", "200 OK"]);
        let routes: Vec<Route> = vec![url.parse().unwrap()];
        let transition = Transition {
            alert: told("a", true).alert,
            firing: true,
        };
        let news = News {
            transitions: vec![transition.clone()],
            firing: vec![transition.alert.clone()],
        };
        let notifier = Notifier::start(routes.clone(), path.clone(), Kept::default()).unwrap();
        notifier.tell(news);
        // The first attempt is answered with an error; then the hub is gone.
        let until = |wanted: bool| {
            for _ in 0..500 {
                let kept = Kept::load(&path);
                if !kept.queues.is_empty() && (kept.queues[0].message().is_some() == wanted) {
                    return kept;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            panic!("never {wanted}");
        };
        let kept = until(true);
        assert_eq!(kept.firing, [transition.alert]);
        std::thread::sleep(Duration::from_millis(300));
        drop(notifier);
        let _again = Notifier::start(routes, path.clone(), kept).unwrap();
        until(false);
        let requests = thread.join().unwrap();
        assert_eq!(requests.len(), 2);
        assert!(
            requests[1].contains("\"state\":\"firing\"") && requests[1].contains("cpu is 97 %")
        );
    }

    #[test]
    fn receivers_that_redirect_or_are_not_there_are_told_of() {
        let (url, thread) = receiver(&["302 Found"]);
        let message = Message::test("hub");
        assert!(
            send(&url.parse().unwrap(), &message)
                .unwrap_err()
                .contains("302")
        );
        thread.join().unwrap();
        assert!(send(&"http://127.0.0.1:1/".parse().unwrap(), &message).is_err());
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let route: Route = format!("command:cat > {}", file.display()).parse().unwrap();
        send(&route, &message).unwrap();
        assert!(
            std::fs::read_to_string(file)
                .unwrap()
                .contains("only a test")
        );
        assert!(
            send(&"command:exit 3".parse().unwrap(), &message)
                .unwrap_err()
                .contains("failed")
        );
    }

    #[test]
    fn what_waits_for_a_route_that_stays_goes_on_waiting() {
        let route = |text: &str| text.parse::<Route>().unwrap();
        let lanes = ["https://a", "https://b"].map(|text| {
            let mut queue = Queue::default();
            queue.add(told(text, true));
            Lane::new(route(text), queue)
        });
        let lanes = reroute(lanes.into(), vec![route("https://c"), route("https://b")]);
        let waiting: Vec<_> = lanes.iter().map(|lane| lane.queue.message()).collect();
        assert_eq!(
            waiting,
            [None, Some(Message(vec![told("https://b", true)]))]
        );
    }
}
