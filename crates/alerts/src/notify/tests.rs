//! Real receivers, and hubs that stop in the middle.

use std::time::{Duration, Instant};

use super::message::tests::told;
use super::testing::{Answer, Receiver};
use super::*;

fn news(host: &str, firing: bool) -> News {
    News {
        transitions: vec![Transition {
            alert: told(host, "busy", true).alert,
            firing,
        }],
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
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
        Notifier::start(options, Kept::load(&self.path())).unwrap()
    }
}

#[test]
fn a_receiver_gets_one_message_for_one_incident_over_a_restart_in_its_middle() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("500 No"), Answer::Status("200 OK")]);
    let notifier = place.start(&[receiver.url()]);
    notifier.tell(news("a", true));
    until("the attempt failed", || {
        notifier.health()[0]
            .failing
            .clone()
            .filter(|(_, why)| why.contains("500"))
    });
    notifier.finish();
    drop(notifier);
    let again = place.start(&[receiver.url()]);
    until("it arrived", || again.health()[0].told);
    assert_eq!(again.health()[0].failing, None);
    again.finish();
    drop(again);
    // A third start has nothing to tell, until it is over.
    let last = place.start(&[receiver.url()]);
    assert_eq!(Kept::load(&place.path()).firing().len(), 1);
    last.tell(news("a", false));
    let requests = receiver.has(3);
    let key = |request: &String| {
        let line = request
            .lines()
            .find(|line| line.to_lowercase().starts_with("idempotency-key: "));
        line.unwrap().to_owned()
    };
    assert_eq!(key(&requests[0]), key(&requests[1]), "tried again");
    assert_ne!(key(&requests[1]), key(&requests[2]));
    assert!(requests[1].contains("\"state\":\"firing\"") && requests[2].contains("resolved"));
    last.finish();
    assert_eq!(receiver.requests().len(), 3);
    assert!(Kept::load(&place.path()).firing().is_empty());
}

#[test]
fn what_a_killed_hub_tells_twice_has_the_same_key() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Hang, Answer::Status("200 OK")]);
    let killed = place.start(&[receiver.url()]);
    killed.tell(news("a", true));
    receiver.has(1);
    until("it is kept", || {
        (!Kept::load(&place.path()).firing().is_empty()).then_some(())
    });
    // The first never hears that it arrived, and a second one starts with what is in the file.
    let again = place.start(&[receiver.url()]);
    let requests = receiver.has(2);
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
fn a_receiver_that_hangs_holds_up_nobody_else() {
    let place = Place::new();
    let hangs = Receiver::start(vec![Answer::Hang]);
    let works = Receiver::start(vec![Answer::Status("200 OK")]);
    let notifier = place.start(&[hangs.url(), works.url()]);
    let start = Instant::now();
    notifier.tell(news("a", true));
    works.has(1);
    assert!(start.elapsed() < Duration::from_secs(5));
    let health = notifier.health();
    assert_eq!((health[0].waiting, health[0].told), (1, None));
}

#[test]
fn what_happens_at_once_is_one_message_and_warnings_go_where_they_are_wanted() {
    let place = Place::new();
    let all = Receiver::start(vec![Answer::Status("200 OK")]);
    let bad = Receiver::start(vec![Answer::Status("200 OK")]);
    let critical = format!("critical {}", bad.url());
    let notifier = place.start(&[all.url(), &critical]);
    let mut mild = news("c", true);
    mild.transitions[0].alert.severity = sysmon_wire::message::Severity::Warning;
    notifier.tell(mild);
    notifier.tell(news("a", true));
    notifier.tell(news("b", true));
    let request = all.has(1).remove(0);
    assert!(
        request.contains("CRITICAL busy: 2 hosts: a, b\\nWARNING c"),
        "{request}"
    );
    let request = bad.has(1).remove(0);
    assert!(
        request.contains("hosts: a, b") && !request.contains("WARNING"),
        "{request}"
    );
}

#[test]
fn what_is_silenced_is_told_when_the_silence_is_taken_back() {
    let place = Place::new();
    let receiver = Receiver::start(vec![Answer::Status("200 OK")]);
    let file = SilenceFile::new(place.dir.path());
    let silence = super::super::silence::Silence {
        id: "1".to_owned(),
        scope: Scope::of("a"),
        from: UnixMs(0),
        until: UnixMs(i64::MAX),
        reason: "new disks".to_owned(),
    };
    file.write(&[silence]).unwrap();
    let notifier = place.start(&[receiver.url()]);
    notifier.tell(news("a", true));
    notifier.tell(news("b", true));
    let request = receiver.has(1).remove(0);
    assert!(
        request.contains("CRITICAL b") && !request.contains("CRITICAL a"),
        "{request}"
    );
    let reasons: Vec<_> = notifier
        .open(now())
        .into_iter()
        .map(|(_, reason)| reason)
        .collect();
    assert_eq!(reasons, [Some("new disks".to_owned()), None]);
    file.write(&[]).unwrap();
    let request = receiver.has(2).remove(1);
    assert!(
        request.contains("CRITICAL a") && !request.contains("CRITICAL b"),
        "{request}"
    );
}

#[test]
fn what_waits_for_a_route_that_stays_goes_on_waiting() {
    let place = Place::new();
    let (nobody, other) = ("http://127.0.0.1:1/a", "http://127.0.0.1:1/b");
    let notifier = place.start(&[nobody, other]);
    notifier.tell(news("a", true));
    let route = |text: &str| text.parse::<Route>().unwrap();
    notifier.reroute(
        vec![route("http://127.0.0.1:1/c"), route(other)],
        Vec::new(),
    );
    let waiting: Vec<_> = notifier
        .health()
        .iter()
        .map(|health| health.waiting)
        .collect();
    assert_eq!(waiting, [0, 1]);
}

#[test]
fn acknowledged_is_kept() {
    let place = Place::new();
    let notifier = place.start(&[]);
    notifier.tell(news("a", true));
    let jane = Acknowledged {
        by: "jane".to_owned(),
        at: UnixMs(7),
        note: "on it".to_owned(),
    };
    assert_eq!(notifier.acknowledge(&Scope::of("a"), Some(&jane)), 1);
    notifier.finish();
    drop(notifier);
    let again = place.start(&[]);
    assert_eq!(again.open(now())[0].0.acknowledged, Some(jane));
}
