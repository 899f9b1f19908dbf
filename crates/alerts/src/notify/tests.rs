//! Real receivers, and hubs that stop at any time.

use super::notification::tests::transition;
use super::testing::{Answer, PATIENCE, Receiver};
use super::*;

mod alertmanager;
mod flood;
mod services;

fn one(host: &str, firing: bool) -> Vec<Transition> {
    vec![Transition {
        alert: transition(host, "busy", true).alert,
        firing,
    }]
}

/// Waits until `find` finds something; it is tried again whenever the notifier's state changes.
fn wait_until<T>(what: &str, notifier: &Notifier, mut find: impl FnMut(&State) -> Option<T>) -> T {
    let shared = &notifier.shared;
    let mut found = None;
    let waited = shared
        .changed
        .wait_timeout_while(shared.lock(), PATIENCE, |state| {
            found = find(state);
            found.is_none()
        });
    drop(waited.unwrap());
    found.unwrap_or_else(|| panic!("not in time: {what}"))
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("alerts.json")
    }

    fn start(&self, routes: &[&str]) -> Notifier {
        let options = NotifierOptions {
            routes: routes.iter().map(|route| route.parse().unwrap()).collect(),
            path: Some(self.path()),
            silences: Some(SilenceFile::new(self.dir.path())),
            maintenance: Vec::new(),
        };
        let restored = NotifierState::load(&self.path());
        Notifier::start(options, restored, Clock::system()).unwrap()
    }
}

#[test]
fn a_restart_between_attempts_neither_loses_nor_repeats_a_notification() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("500 No"), Answer::Status("200 OK")]);
    let notifier = place.start(&[receiver.url()]);
    notifier.apply(one("a", true));
    wait_until("the attempt fails", &notifier, |state| {
        let failing = state.deliveries[0].health().failing;
        failing.filter(|(_, error)| error.contains("500"))
    });
    notifier.finish();
    drop(notifier);
    let again = place.start(&[receiver.url()]);
    wait_until("the notification arrives", &again, |state| {
        state.deliveries[0].health().sent
    });
    assert_eq!(again.health()[0].failing, None);
    again.finish();
    drop(again);
    // A third start sends nothing until the alert is resolved.
    let last = place.start(&[receiver.url()]);
    assert_eq!(NotifierState::load(&place.path()).firing().len(), 1);
    last.apply(one("a", false));
    let requests = receiver.wait_for(3);
    let key = |request: &String| {
        let line = request
            .lines()
            .find(|line| line.to_lowercase().starts_with("idempotency-key: "));
        line.unwrap().to_owned()
    };
    assert_eq!(
        key(&requests[0]),
        key(&requests[1]),
        "the same notification"
    );
    assert_ne!(key(&requests[1]), key(&requests[2]));
    assert!(requests[1].contains("\"state\":\"firing\"") && requests[2].contains("resolved"));
    last.finish();
    assert_eq!(receiver.requests().len(), 3);
    assert!(NotifierState::load(&place.path()).firing().is_empty());
}

#[test]
fn a_notification_repeated_after_a_kill_has_the_same_key() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Hang, Answer::Status("200 OK")]);
    let killed = place.start(&[receiver.url()]);
    killed.apply(one("a", true));
    receiver.wait_for(1);
    wait_until("the state file is written", &killed, |_| {
        (!NotifierState::load(&place.path()).firing().is_empty()).then_some(())
    });
    // The first never gets an answer, and a second one starts from the state file.
    let again = place.start(&[receiver.url()]);
    let requests = receiver.wait_for(2);
    let key = |request: &str| {
        let lower = request.to_lowercase();
        let key = lower
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned));
        key.unwrap()
    };
    assert_eq!(key(&requests[0]), key(&requests[1]));
    assert!(requests[1].contains(&key(&requests[1])), "in the JSON too");
    drop((killed, again));
}

#[test]
fn a_receiver_that_hangs_delays_no_other() {
    let place = Place::new();
    let hangs = Receiver::start(vec![Answer::Hang]);
    let works = Receiver::start(vec![Answer::Status("200 OK")]);
    let notifier = place.start(&[hangs.url(), works.url()]);
    notifier.apply(one("a", true));
    works.wait_for(1);
    let health = notifier.health();
    assert_eq!((health[0].queued, health[0].sent), (1, None));
}

#[test]
fn transitions_at_once_are_one_notification_and_a_critical_route_gets_no_warnings() {
    let place = Place::new();
    let all = Receiver::start(vec![Answer::Status("200 OK")]);
    let critical = Receiver::start(vec![Answer::Status("200 OK")]);
    let critical_only = format!("critical {}", critical.url());
    let notifier = place.start(&[all.url(), &critical_only]);
    let mut warning = one("c", true);
    warning[0].alert.severity = sysmon_wire::message::Severity::Warning;
    notifier.apply(warning);
    notifier.apply(one("a", true));
    notifier.apply(one("b", true));
    let request = all.wait_for(1).remove(0);
    assert!(
        request.contains("CRITICAL busy: 2 hosts: a, b\\nWARNING c"),
        "{request}"
    );
    let request = critical.wait_for(1).remove(0);
    assert!(
        request.contains("hosts: a, b") && !request.contains("WARNING"),
        "{request}"
    );
}

#[test]
fn a_silenced_alert_is_notified_when_the_silence_is_removed() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("200 OK")]);
    let file = SilenceFile::new(place.dir.path());
    let silence = crate::silence::Silence {
        id: "1".to_owned(),
        scope: "a".parse().unwrap(),
        from: UnixMs(0),
        until: UnixMs(i64::MAX),
        by: "jane".to_owned(),
        reason: "new disks".to_owned(),
    };
    file.write(&[silence]).unwrap();
    let notifier = place.start(&[receiver.url()]);
    notifier.apply(one("a", true));
    notifier.apply(one("b", true));
    let request = receiver.wait_for(1).remove(0);
    assert!(
        request.contains("CRITICAL b") && !request.contains("CRITICAL a"),
        "{request}"
    );
    let reasons: Vec<_> = notifier
        .active(Clock::system().now())
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, [Some("new disks".to_owned()), None]);
    file.write(&[]).unwrap();
    let request = receiver.wait_for(2).remove(1);
    assert!(
        request.contains("CRITICAL a") && !request.contains("CRITICAL b"),
        "{request}"
    );
}

#[test]
fn a_route_that_stays_keeps_its_queue() {
    let place = Place::new();
    let (first, other) = ("http://127.0.0.1:1/a", "http://127.0.0.1:1/b");
    let notifier = place.start(&[first, other]);
    notifier.apply(one("a", true));
    let route = |text: &str| text.parse::<Route>().unwrap();
    notifier.reconfigure(
        vec![route("http://127.0.0.1:1/c"), route(other)],
        Vec::new(),
    );
    let health = notifier.health();
    let queued: Vec<_> = health.iter().map(|health| health.queued).collect();
    assert_eq!(queued, [0, 1]);
}

#[test]
fn acknowledgements_survive_a_restart() {
    let place = Place::new();
    let notifier = place.start(&[]);
    notifier.apply(one("a", true));
    let jane = Acknowledgement {
        by: "jane".into(),
        at: UnixMs(7),
        note: "on it".into(),
    };
    assert_eq!(notifier.acknowledge(&"a".parse().unwrap(), Some(&jane)), 1);
    notifier.finish();
    drop(notifier);
    let again = place.start(&[]);
    assert_eq!(
        again.active(Clock::system().now())[0].0.acknowledged,
        Some(jane)
    );
}
