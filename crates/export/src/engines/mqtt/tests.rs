//! MQTT against a real broker.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::channel;

use serde_json::Value;
use sysmon_wire::ABSENT;
use sysmon_wire::metrics::SUMMARY;
use tempfile::TempDir;

use super::*;
use crate::destination::EngineKind;
use crate::engines::address::tests::options;
use crate::engines::servers::{Certificates, Server, free_port};
use crate::engines::values::tests::host;

const T: i64 = 1_700_000_000_000;

struct Broker {
    dir: TempDir,
    port: u16,
    server: Option<Server>,
}

impl Broker {
    fn start(configuration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let text = format!("listener {port} 127.0.0.1\n{configuration}\n");
        std::fs::write(dir.path().join("mosquitto.conf"), text).unwrap();
        let mut broker = Self {
            dir,
            port,
            server: None,
        };
        broker.restart();
        broker
    }

    fn restart(&mut self) {
        drop(self.server.take());
        let mut command = Command::new("mosquitto");
        command
            .arg("-c")
            .arg(self.dir.path().join("mosquitto.conf"));
        self.server = Some(Server::start(&mut command, "running"));
    }

    fn options(&self) -> DestinationOptions {
        options(EngineKind::Mqtt, &format!("mqtt://127.0.0.1:{}", self.port))
    }

    fn engine(&self) -> Mqtt {
        Mqtt::new(&self.options()).unwrap()
    }

    /// All that is retained, as the broker's own client sees it.
    fn retained(&self) -> BTreeMap<String, String> {
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_sub");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-t",
            "#",
            "-v",
            "-W",
            "1",
            "--retained-only",
        ]);
        let output = command.output().unwrap().stdout;
        let text = String::from_utf8(output).unwrap();
        let pair = |line: &str| {
            let (topic, payload) = line.split_once(' ')?;
            Some((topic.to_owned(), payload.to_owned()))
        };
        text.lines().filter_map(pair).collect()
    }
}

fn values(cpu: i64, rx: i64) -> [i64; SUMMARY] {
    let mut values = [ABSENT; SUMMARY];
    (values[0], values[3]) = (cpu, rx);
    values
}

fn write(engine: &mut Mqtt, hosts: &[HostNow]) -> Result<Sent, EngineError> {
    write_as(engine, T, hosts)
}

fn write_as(engine: &mut Mqtt, created: i64, hosts: &[HostNow]) -> Result<Sent, EngineError> {
    engine.send_present(&Present {
        hosts,
        created: UnixMs(created),
    })
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn each_host_is_a_device_with_a_state_and_leaves_nothing_once_forgotten() {
    let broker = Broker::start("allow_anonymous true");
    let mut engine = broker.engine();
    let hosts = [
        host("db-1", T, values(613, 1_000)),
        host("a/b", T, values(1, ABSENT)),
    ];
    assert_eq!(write(&mut engine, &hosts).unwrap().samples, 3);
    let retained = broker.retained();
    let other = topic_name("a/b");
    assert_eq!(retained["sysmon/hub/availability"], "online");
    assert_eq!(retained["sysmon/hosts/db-1/availability"], "online");
    assert_eq!(
        retained["sysmon/hosts/db-1/state"],
        r#"{"name":"db-1","state":"live","last_sample_ms":1700000000000,"metrics":{"cpu":0.613,"net.rx":1000}}"#
    );
    assert!(retained.contains_key(&format!("sysmon/hosts/{other}/state")));
    let device: Value =
        serde_json::from_str(&retained["homeassistant/device/sysmon_db-1/config"]).unwrap();
    assert_eq!(device["device"]["name"], "db-1");
    assert_eq!(device["components"].as_object().unwrap().len(), 2);
    assert_eq!(retained.len(), 2 + 2 * 3, "{retained:?}");

    let mut silent = host("db-1", T + 1, values(2, 3));
    silent.state = HostState::Offline;
    write(&mut engine, &[silent.clone()]).unwrap();
    let retained = broker.retained();
    assert_eq!(retained["sysmon/hosts/db-1/availability"], "offline");
    assert_eq!(retained.len(), 2 + 3, "{retained:?}");
    let mut restarted = broker.engine();
    write(&mut restarted, &[]).unwrap();
    assert_eq!(
        broker.retained().len(),
        2,
        "a restarted hub removes what was forgotten meanwhile"
    );
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn a_broker_that_lost_everything_gets_all_of_it_again() {
    let mut broker = Broker::start("allow_anonymous true");
    let mut engine = broker.engine();
    let hosts = [host("a", T, values(1, 2)), host("b", T, values(3, 4))];
    write(&mut engine, &hosts).unwrap();
    let before = broker.retained();
    broker.restart();
    assert_eq!(broker.retained(), BTreeMap::new());
    let error = write(&mut engine, &hosts).unwrap_err();
    assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
    write(&mut engine, &hosts).unwrap();
    assert_eq!(broker.retained(), before);
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn the_broker_says_when_the_hub_is_gone() {
    let broker = Broker::start("allow_anonymous true");
    let mut engine = broker.engine();
    write(&mut engine, &[host("a", T, values(1, 2))]).unwrap();
    drop(engine);
    while broker.retained()["sysmon/hub/availability"] == "online" {}
    let mut restarted = broker.engine();
    write(&mut restarted, &[host("a", T, values(1, 2))]).unwrap();
    assert_eq!(broker.retained()["sysmon/hub/availability"], "online");
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn a_second_hub_under_the_same_prefix_is_refused_until_the_first_is_gone() {
    let broker = Broker::start("allow_anonymous true");
    let mut engine = broker.engine();
    let hosts = [host("a", T, values(1, 2))];
    write(&mut engine, &hosts).unwrap();
    let mut second = broker.engine();
    let error = write_as(&mut second, T + 5, &[]).unwrap_err();
    assert!(
        matches!(&error, EngineError::Misconfigured(text) if text.starts_with("another hub publishes")),
        "{error}"
    );
    assert!(broker.retained().contains_key("sysmon/hosts/a/state"));
    let mut other = broker.options();
    other
        .options
        .insert("prefix".to_owned(), "site/two".to_owned());
    other
        .options
        .insert("discovery".to_owned(), "false".to_owned());
    write_as(&mut Mqtt::new(&other).unwrap(), T + 5, &hosts).unwrap();
    let retained = broker.retained();
    assert!(retained.contains_key("site/two/hosts/a/state"));
    assert!(
        !retained.keys().any(|topic| topic.contains("site_two")),
        "{retained:?}"
    );
    write(&mut engine, &hosts).unwrap();
    drop(engine);
    while broker.retained()["sysmon/hub/availability"] == "online" {}
    write_as(&mut second, T + 5, &[]).unwrap();
    assert!(!broker.retained().contains_key("sysmon/hosts/a/state"));
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn credentials_and_permissions_are_checked_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (passwords, access) = (dir.path().join("passwords"), dir.path().join("access"));
    for (user, password) in [("sysmon", "geheim"), ("reader", "geheim")] {
        let mut command = Command::new("mosquitto_passwd");
        command.arg("-b");
        if !passwords.exists() {
            command.arg("-c");
        }
        let done = command.arg(&passwords).args([user, password]).status();
        assert!(done.unwrap().success());
    }
    std::fs::write(
        &access,
        "user sysmon\ntopic readwrite sysmon/#\ntopic write homeassistant/#\nuser reader\ntopic read sysmon/#\n",
    )
    .unwrap();
    let broker = Broker::start(&format!(
        "allow_anonymous false\nuser root\npassword_file {}\nacl_file {}",
        passwords.display(),
        access.display()
    ));
    let engine = |user: &str, password: &str| {
        let mut configured = broker.options();
        configured.login = Some((user.to_owned(), Secret::new(password)));
        Mqtt::new(&configured).unwrap()
    };
    let mut good = engine("sysmon", "geheim");
    assert_eq!(good.test().unwrap(), "is a broker for MQTT 3.1.1");
    write(&mut good, &[host("a", T, values(1, 2))]).unwrap();
    for mut wrong in [
        engine("sysmon", "geheimer"),
        engine("nobody", "geheim"),
        broker.engine(),
    ] {
        let error = wrong.test().unwrap_err();
        assert!(matches!(error, EngineError::Misconfigured(_)), "{error}");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
    let error = engine("reader", "geheim").test().unwrap_err().to_string();
    assert!(
        error.contains("let the user read and write the topics"),
        "{error}"
    );
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn tls_checks_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let files = Certificates::make(dir.path());
    let port = free_port();
    let _broker = Broker::start(&format!(
        "allow_anonymous true\nuser root\nlistener {port} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true",
        files.ca.display(),
        files.certificate.display(),
        files.key.display()
    ));
    let mut configured = options(EngineKind::Mqtt, &format!("mqtts://127.0.0.1:{port}"));
    let unknown = Mqtt::new(&configured)
        .unwrap()
        .test()
        .unwrap_err()
        .to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    configured.ca = Some(files.ca.clone());
    assert!(
        Mqtt::new(&configured).unwrap().test().is_err(),
        "the broker wants a certificate"
    );
    configured.identity = Some((files.certificate.clone(), files.key.clone()));
    Mqtt::new(&configured).unwrap().test().unwrap();
}

#[test]
#[ignore = "needs mosquitto and mosquitto-clients"]
fn many_hosts_are_published_in_windows() {
    let broker = Broker::start("allow_anonymous true");
    let mut engine = broker.engine();
    let hosts: Vec<_> = (0..1_050)
        .map(|n| host(&format!("h{n}"), T, values(n, 1)))
        .collect();
    assert_eq!(write(&mut engine, &hosts).unwrap().samples, 2_100);
    assert_eq!(write(&mut engine, &hosts).unwrap().samples, 0);
    assert_eq!(broker.retained().len(), 2 + 3 * 1_050);
    write(&mut engine, &hosts[..1]).unwrap();
    assert_eq!(broker.retained().len(), 2 + 3);
}

#[test]
fn a_broker_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let mut engine = Mqtt::new(&options(EngineKind::Mqtt, &url)).unwrap();
    let (sender, result) = channel();
    std::thread::spawn(move || sender.send(write(&mut engine, &[])));
    let result = result.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(
        matches!(result, Err(EngineError::Unavailable { .. })),
        "{result:?}"
    );
}

#[test]
fn settings_are_checked() {
    let error = |url: &str, key: &str, value: &str| {
        let mut options = options(EngineKind::Mqtt, url);
        options.options.insert(key.to_owned(), value.to_owned());
        Mqtt::new(&options).unwrap_err().to_string()
    };
    assert!(error("mqtt://a/topic", "prefix", "x").starts_with("url: "));
    assert!(error("mqtt://a,b", "prefix", "x").starts_with("url: "));
    assert!(error("mqtt://a", "prefix", "x/#").starts_with("prefix: "));
    assert!(error("mqtt://a", "discovery", "+/x").starts_with("discovery: "));
    assert!(error("http://a", "prefix", "x").contains("mqtts://HOST:8883"));
}
