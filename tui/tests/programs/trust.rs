//! Joining with a token, revocation, and replacing the certificate authority.

use crate::place::{Place, until};

fn is_live(place: &Place, name: &str) -> bool {
    let snapshot = place.snapshot("me");
    let hosts = snapshot["hosts"].as_array().unwrap();
    hosts
        .iter()
        .any(|host| host["name"] == name && host["state"] == "live")
}

#[test]
fn a_machine_and_an_operator_join_with_the_printed_command() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    let printed = place.output(
        "sysmon-hub",
        &[
            "--state", "hub", "token", "create", "--role", "agent", "--name", "db-1",
        ],
    );
    let token = printed.split_whitespace().last().unwrap();
    assert!(printed.contains("sysmon-agent join"), "{printed}");
    let listed = place.output("sysmon-hub", &["--state", "hub", "token", "list"]);
    assert!(
        listed.contains("db-1") && listed.contains("agent"),
        "{listed}"
    );
    assert!(!listed.contains(token));
    let agent = place.run(
        "sysmon-agent",
        "join.log",
        &["--state", "db-1", "join", &address, token],
    );
    hub.has_logged("joined peer=agent db-1");
    let printed = place.output(
        "sysmon-hub",
        &[
            "--state", "hub", "token", "create", "--role", "operator", "--ttl", "5m",
        ],
    );
    let operator = printed.split_whitespace().last().unwrap();
    let joined = place.output(
        "sysmon-tui",
        &[
            "--state", "me", "join", &address, operator, "--name", "jane",
        ],
    );
    assert!(joined.contains("operator jane"), "{joined}");
    until("db-1 is live", || is_live(&place, "db-1"), |live| *live);
    // The identity is stored: a later start needs neither token nor address.
    drop(agent);
    let again = place.run("sysmon-agent", "again.log", &["--state", "db-1"]);
    again.has_logged("connected to hub");
    // A second attempt with the same token fails.
    let (code, stderr) = place.fails(
        "sysmon-agent",
        &["--state", "other", "join", &address, token],
    );
    assert_eq!(code, 1);
    assert!(stderr.contains("already used"), "{stderr}");
    assert!(!place.dir("other").exists());
    hub.has_logged("unknown token");
    // A truncated token is invalid, and a token of another hub is not sent to this one.
    let (code, _) = place.fails(
        "sysmon-agent",
        &["--state", "other", "join", &address, &token[..30]],
    );
    assert_eq!(code, 2);
    let elsewhere = Place::new();
    let _hub = elsewhere.hub();
    let foreign = elsewhere.output("sysmon-hub", &["--state", "hub", "token", "create"]);
    let foreign = foreign.split_whitespace().last().unwrap();
    let (code, stderr) = place.fails(
        "sysmon-agent",
        &["--state", "other", "join", &address, foreign],
    );
    assert_eq!(code, 1);
    assert!(stderr.contains("another authority"), "{stderr}");
}

/// As in a container: nothing but the environment, and a token in a file.
#[test]
fn machines_enrol_at_their_first_start_with_the_token_that_their_settings_name() {
    let place = Place::new();
    let _hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    let printed = place.output(
        "sysmon-hub",
        &[
            "--state", "hub", "token", "create", "--uses", "2", "--out", "token",
        ],
    );
    let token = std::fs::read_to_string(place.dir("token")).unwrap();
    assert!(!printed.contains(token.trim()), "{printed}");
    assert!(token.starts_with("sysmon1."), "{token}");
    let reference = format!("file:{}", place.dir("token").display());
    let env = [
        ("SYSMON_AGENT__HUB", address.as_str()),
        ("SYSMON_AGENT__JOIN_TOKEN", reference.as_str()),
    ];
    let start = |name: &str| {
        let log = format!("{name}.log");
        place.start_with(
            "sysmon-agent",
            &log,
            &["--state", name, "--name", name],
            &env,
        )
    };
    let first = start("db-1");
    first.has_logged("enrolled with the configured token");
    let _second = start("db-2");
    for name in ["db-1", "db-2"] {
        until(name, || is_live(&place, name), |live| *live);
    }
    let args = ["--state", "db-3", "--name", "db-3"];
    let (code, stderr) = place.fails_with("sysmon-agent", &args, &env);
    assert!(code == 1 && stderr.contains("unknown token"), "{stderr}");
    // The second start finds the identity; the token is of no use any more.
    drop(first);
    std::fs::remove_file(place.dir("token")).unwrap();
    let again = start("db-1");
    again.has_logged("connected to hub");
    // A token in the settings themselves is refused, and not repeated.
    let wrong = [("SYSMON_AGENT__JOIN_TOKEN", token.trim())];
    let (code, stderr) = place.fails_with("sysmon-agent", &args, &wrong);
    assert!(code == 2 && stderr.contains("file:/"), "{stderr}");
    assert!(!stderr.contains(token.trim()), "{stderr}");
    let named = ["--state", "hub", "token", "create", "--uses", "2", "--name"];
    let (code, stderr) = place.fails("sysmon-hub", &[&named[..], &["db-9"]].concat());
    assert!(code == 2 && stderr.contains("one machine"), "{stderr}");
}

/// A hub that lost its volume: its authority is a Secret, so every agent still trusts it.
#[test]
fn a_new_hub_takes_the_authority_that_is_passed_as_a_credential() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    let _agent = place.agent("a");
    place.issue("operator", "me");
    until("a is live", || is_live(&place, "a"), |live| *live);
    drop(hub);
    let credentials = place.dir("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let key = std::fs::read(place.dir("hub/ca/ca-key.pem")).unwrap();
    std::fs::rename(place.dir("hub"), place.dir("lost")).unwrap();
    std::fs::write(credentials.join("ca-key.pem"), key).unwrap();
    let passed = credentials.display().to_string();
    let env = [("CREDENTIALS_DIRECTORY", passed.as_str())];
    let _hub = place.hub_again_with(&address, &env);
    until("a is live again", || is_live(&place, "a"), |live| *live);
}

#[test]
fn a_revoked_certificate_is_disconnected_and_stays_refused() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    let agent = place.agent("a");
    until("a is live", || is_live(&place, "a"), |live| *live);
    let listed = place.output("sysmon-hub", &["--state", "hub", "cert", "list"]);
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with("a ") && line.ends_with("valid")),
        "{listed}"
    );
    place.output("sysmon-hub", &["--state", "hub", "cert", "revoke", "a"]);
    agent.has_logged("revoked");
    hub.has_logged("this certificate has been revoked");
    until("a is offline", || is_live(&place, "a"), |live| !*live);
    drop(hub);
    let hub = place.hub_at(&address);
    hub.has_logged("this certificate has been revoked");
    let listed = place.output("sysmon-hub", &["--state", "hub", "cert", "list"]);
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with("a ") && line.ends_with("revoked")),
        "{listed}"
    );
    let (code, stderr) = place.fails(
        "sysmon-hub",
        &["--state", "hub", "cert", "revoke", "nobody"],
    );
    assert!(code == 1 && stderr.contains("no certificate"), "{stderr}");
}

/// Stored and missing rows of a host.
fn rows_of(place: &Place, name: &str) -> (u64, u64) {
    let snapshot = place.snapshot("me");
    let hosts = snapshot["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["name"] == name).unwrap();
    let number = |field: &str| host[field].as_u64().unwrap();
    (number("rows"), number("missing_rows"))
}

fn serial(place: &Place, state: &str) -> Vec<u8> {
    std::fs::read(place.dir(state).join("cert.pem")).unwrap()
}

#[test]
fn an_authority_is_replaced_without_losing_connected_peers() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    place.issue("agent", "away");
    let agent = place.agent("a");
    until("a is live", || is_live(&place, "a"), |live| *live);
    let before = serial(&place, "a");
    let ca = |what| place.output("sysmon-hub", &["--state", "hub", "ca", what]);
    let rows = || rows_of(&place, "a").0;
    let start = rows();
    until("a pushes", rows, |rows| *rows > start + 1);
    ca("rotate");
    agent.has_logged("certificate renewed");
    assert_ne!(before, serial(&place, "a"));
    let shown = ca("show");
    assert!(
        shown.contains("agent away") && !shown.contains("agent a\n"),
        "{shown}"
    );
    let (code, complaint) = place.fails("sysmon-hub", &["--state", "hub", "ca", "rotate"]);
    assert!(code == 1 && complaint.contains("ca retire"), "{complaint}");
    // Peers that join meanwhile are trusted, and so are those with an old certificate.
    let printed = place.output("sysmon-hub", &["--state", "hub", "token", "create"]);
    let token = printed.split_whitespace().last().unwrap();
    let args = ["--state", "new", "--name", "new", "join", &address, token];
    let new = place.run("sysmon-agent", "new.log", &args);
    until("new is live", || is_live(&place, "new"), |live| *live);
    let (code, complaint) = place.fails("sysmon-hub", &["--state", "hub", "ca", "retire"]);
    assert!(
        code == 1 && complaint.contains("would be locked out"),
        "{complaint}"
    );
    place.output("sysmon-hub", &["--state", "hub", "ca", "retire", "--force"]);
    hub.has_logged("the hub's own certificate was renewed");
    until(
        "all are there again, and nothing is missing",
        || (rows_of(&place, "a"), rows_of(&place, "new")),
        |(a, new)| a.0 > 3 && a.1 == 0 && new.0 > 3 && new.1 == 0,
    );
    let late = place.run(
        "sysmon-agent",
        "away.log",
        &["--state", "away", "--hub", &address],
    );
    late.has_logged("authority");
    let audit = place.output("sysmon-hub", &["--state", "hub", "audit"]);
    for wanted in [
        "token",
        "joined",
        "renewed",
        "agent a",
        "agent new",
        "refused",
        "previous one retired",
    ] {
        assert!(audit.contains(wanted), "{wanted} is not in\n{audit}");
    }
    drop((agent, new));
}
