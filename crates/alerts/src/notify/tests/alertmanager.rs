//! A real Alertmanager: what it shows, and what it tells its own receiver.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::*;

struct Alertmanager {
    process: Child,
    url: String,
    _dir: tempfile::TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Alertmanager {
    /// Passes what it hears on to `hook` at once, each alert by itself.
    fn start(hook: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("alertmanager.yml");
        let text = format!(
            "route: {{receiver: us, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
             receivers: [{{name: us, webhook_configs: [{{url: '{hook}', send_resolved: true}}]}}]\n"
        );
        std::fs::write(&config, text).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let process = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Self {
            process,
            url: format!("http://{address}"),
            _dir: dir,
        };
        let clock = Clock::system();
        let end = clock.instant() + PATIENCE;
        while ureq::get(format!("{}/-/ready", started.url))
            .call()
            .is_err()
        {
            assert!(clock.instant() < end, "it does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }

    /// Hosts and ends of the alerts that it shows as firing.
    fn alerts(&self) -> Vec<(String, String)> {
        let answer = ureq::get(format!("{}/api/v2/alerts", self.url)).call();
        let text = answer.unwrap().body_mut().read_to_string().unwrap();
        let alerts: Value = serde_json::from_str(&text).unwrap();
        let mut alerts: Vec<_> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                (text(&alert["labels"]["host"]), text(&alert["endsAt"]))
            })
            .collect();
        alerts.sort();
        alerts
    }
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alertmanager_shows_an_alert_while_it_fires_and_reports_its_beginning_and_end_once() {
    let receiver = Receiver::start(vec![Answer::Status("200 OK")]);
    let alertmanager = Alertmanager::start(receiver.url());
    let place = Place::new();
    let notifier = place.start(&[&format!("alertmanager:{}", alertmanager.url)]);
    let now = Clock::system().now();
    let transition = |host: &str, since: UnixMs, firing: bool| {
        let mut one = one(host, firing).remove(0);
        one.alert.since = since;
        one
    };
    // One fires since an hour and the other since a moment.
    let (old, young) = (now - 3_600_000, now);
    notifier.apply(vec![
        transition("old", old, true),
        transition("young", young, true),
    ]);
    let begun = receiver.wait_for(2);
    assert!(
        begun
            .iter()
            .all(|one| one.contains("\"status\":\"firing\""))
    );
    let alerts = alertmanager.alerts();
    let hosts: Vec<&str> = alerts.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(hosts, ["old", "young"]);
    for (_, end) in &alerts {
        let end = end.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let minutes = (end - now.0) / 60_000;
        assert!(
            (9..=11).contains(&minutes),
            "longer than its own five minutes: {minutes}"
        );
    }
    notifier.apply(vec![
        transition("old", old, false),
        transition("young", young, false),
    ]);
    let ended = receiver.wait_for(4).split_off(2);
    assert!(
        ended
            .iter()
            .all(|one| one.contains("\"status\":\"resolved\"")),
        "{ended:#?}"
    );
    assert!(alertmanager.alerts().is_empty());
    notifier.finish();
    assert_eq!(receiver.requests().len(), 4);
}

#[test]
#[ignore = "needs prometheus-alertmanager"]
fn alertmanager_takes_the_test_of_a_route() {
    let receiver = Receiver::start(vec![Answer::Status("200 OK")]);
    let alertmanager = Alertmanager::start(receiver.url());
    let route = format!("alertmanager:{}", alertmanager.url)
        .parse()
        .unwrap();
    let now = Clock::system().now();
    send(&route, &Notification::test("hub", now), now).unwrap();
    assert!(receiver.wait_for(1)[0].contains("only a test of the route"));
}
