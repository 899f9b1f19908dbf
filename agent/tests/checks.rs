//! Checks and heartbeats as an operator uses them: the commands, and the values of a running agent.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output};
use std::time::Duration;

use sysmon_agent::run::Source;
use sysmon_agent::sampler::Sampler;
use sysmon_agent::spool::SpoolHealth;
use sysmon_clock::Clock;
use sysmon_config::{AgentConfig, check::read_line};
use sysmon_wire::metrics::CHECK_UP;

fn agent(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sysmon-agent"))
        .args(arguments)
        .output()
        .unwrap();
    let text = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(text).unwrap())
}

/// Samples until the check has this value.
fn wait_for(sampler: &mut Sampler, name: &str, wanted: i64) {
    let key = CHECK_UP.series(&[("sysmon.check.name", name)]);
    for _ in 0..1000 {
        sampler.sample(Clock::system().now(), SpoolHealth::default());
        let row = sampler.row();
        let at = row.series.iter().position(|other| *other == key);
        if at.is_some_and(|at| row.values[at] == wanted) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{name} is never {wanted}: {:?}", sampler.notes());
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn post(address: SocketAddr, path: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_job_reports_with_the_token_that_the_command_printed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let at_state = ["--state", state.to_str().unwrap()];
    let (output, text) = agent(
        &[
            &["heartbeat", "add", "backup", "--every", "1d"],
            &at_state[..],
        ]
        .concat(),
    );
    assert!(output.status.success(), "{text}");
    let token = text.split("Bearer ").nth(1).unwrap();
    let token = token.split('"').next().unwrap();

    let config = AgentConfig {
        heartbeats: Some(free_address()),
        ..AgentConfig::default()
    };
    let address = config.heartbeats.unwrap();
    let mut sampler = Sampler::new(&config, &Clock::system());
    sampler.hear(&config, &state);
    wait_for(&mut sampler, "backup", 1);
    assert_eq!(post(address, "/3", token), "HTTP/1.1 204 No Content");
    wait_for(&mut sampler, "backup", 0);
    let notes = sampler.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.starts_with("heartbeat backup failed with status 3")),
        "{notes:?}"
    );
    assert_eq!(post(address, "/", "wrong"), "HTTP/1.1 401 Unauthorized");
    assert_eq!(post(address, "/", token), "HTTP/1.1 204 No Content");
    wait_for(&mut sampler, "backup", 1);

    // Another agent with the same state knows when it was heard.
    let (_, text) = agent(&[&["heartbeat", "list"], &at_state[..]].concat());
    assert!(
        text.contains("on time") && !text.contains("never"),
        "{text}"
    );
    let (output, _) = agent(&[&["heartbeat", "remove", "backup"], &at_state[..]].concat());
    assert!(output.status.success());
    assert_eq!(post(address, "/", token), "HTTP/1.1 401 Unauthorized");
}

#[test]
fn a_check_is_tried_by_the_command_and_by_the_running_agent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let open = listener.local_addr().unwrap();
    let line = format!("db: tcp {open} every 1s within 1s");
    let (output, text) = agent(&["check", "--line", &line]);
    assert!(output.status.success() && text.starts_with("db"), "{text}");
    let config = AgentConfig {
        checks: vec![read_line(&line).unwrap()],
        ..AgentConfig::default()
    };
    let mut sampler = Sampler::new(&config, &Clock::system());
    wait_for(&mut sampler, "db", 1);
    drop(listener);
    wait_for(&mut sampler, "db", 0);
    let (output, text) = agent(&["check", "--line", &line]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("DOWN") && text.contains("connection refused"),
        "{text}"
    );

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, format!("[agent]\nchecks = [\"{line}\"]\n")).unwrap();
    let (output, text) = agent(&["check", "bd", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    std::fs::write(&file, "[agent]\nchecks = [\n\"db: tcpp a:1\",\n]\n").unwrap();
    let (output, text) = agent(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("config.toml:2") && text.contains("did you mean \"tcp\""),
        "{text}"
    );
}
