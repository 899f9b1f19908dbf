//! The public page: serves shared data only, and keeps serving while the hub is unreachable.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::place::{Place, until};

/// Status, head and body of a response.
pub(crate) fn get(address: &str, path: &str) -> (u16, String, String) {
    request(address, &format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n"))
}

pub(crate) fn request(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // The connection may be reset after the response.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

pub(crate) fn json(address: &str, path: &str) -> Value {
    let (_, _, body) = get(address, path);
    serde_json::from_str(&body).unwrap_or_default()
}

pub(crate) fn state(fleet: &Value, name: &str) -> String {
    let hosts = fleet["hosts"].as_array().cloned().unwrap_or_default();
    let host = hosts.into_iter().find(|host| host["name"] == name);
    host.map_or_else(String::new, |host| {
        host["state"].as_str().unwrap_or_default().to_owned()
    })
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A running edge, and its addresses for browsers and for the hub.
fn edge(place: &Place) -> (crate::place::Running, String, String) {
    place.issue("edge", "cloud");
    let listen = format!("127.0.0.1:{}", free_port());
    let web = ["--listen", &listen, "--web", "127.0.0.1:0"];
    let edge = place.run(
        "sysmon-edge",
        "edge.log",
        &[&["--state", "cloud"], &web[..]].concat(),
    );
    edge.has_logged("edge started");
    let log = std::fs::read_to_string(place.dir("edge.log")).unwrap();
    let web = log.split("http://").nth(1).unwrap();
    let web = web.split_whitespace().next().unwrap().to_owned();
    (edge, web, listen)
}

/// The hub connects to its edges, so they learn of a new authority only by what the hub shows when it does.
#[test]
fn an_edge_stays_connected_while_the_authority_is_replaced() {
    let place = Place::new();
    let (edge, web, listen) = edge(&place);
    let edges = format!("[\"{listen}\"]");
    let hub = place.hub_with(&[
        ("SYSMON_HUB__EDGES", edges.as_str()),
        ("SYSMON_HUB__SHARE", "[\"*\"]"),
    ]);
    let agent = place.agent("a");
    let seen = || {
        let fleet = json(&web, "/api/v1/fleet");
        fleet["hosts"][0]["last_sample_ms"].as_i64().unwrap_or(0)
    };
    until("the edge shows the agent", seen, |seen| *seen > 0);
    let ca = |words: &[&str]| {
        let all = [&["--state", "hub", "ca"], words].concat();
        place.output("sysmon-hub", &all)
    };
    ca(&["rotate"]);
    edge.has_logged("certificate renewed");
    agent.has_logged("certificate renewed");
    until(
        "nobody is missing",
        || ca(&["show"]),
        |shown| shown.contains("every peer has a certificate of the new one"),
    );
    ca(&["retire"]);
    hub.has_logged("the hub's own certificate was renewed");
    let before = seen();
    until("the edge still shows the agent", seen, |seen| {
        *seen > before + 2_000
    });
}

/// The hub dials out: the edge has no token and does not know the hub, and the hub's network opens no port.
#[cfg(unix)]
#[test]
fn an_edge_is_paired_by_a_code_shows_the_fleet_and_is_removed() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let hub = place.hub_with(&[("SYSMON_HUB__SHARE", "[\"*\"]")]);
    let _agent = place.agent("a");
    let listen = format!("127.0.0.1:{}", free_port());
    let pair = [
        "--state", "cloud", "--listen", &listen, "pair", "--name", "cloud",
    ];
    let pairing = place.run("sysmon-edge", "pair.log", &pair);
    pairing.has_logged("pairing code: ");
    let log = std::fs::read_to_string(place.dir("pair.log")).unwrap();
    let code = log.split("pairing code: ").nth(1).unwrap();
    let code = code.lines().next().unwrap().to_owned();
    let write = |name: &str, code: &str| {
        std::fs::write(place.dir(name), code).unwrap();
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(place.dir(name), mode).unwrap();
    };
    write("code", &code);
    write("wrong", "00000-00000-00000-00000-00000");
    let add = |code: &'static str| {
        [
            "--state",
            "hub",
            "edge",
            "add",
            listen.as_str(),
            "--code-file",
            code,
        ]
        .map(ToOwned::to_owned)
    };
    let (wrong, right) = (add("wrong"), add("code"));
    let (failed, complaint) = place.fails("sysmon-hub", &wrong.each_ref().map(String::as_str));
    assert!(
        failed == 1 && complaint.contains("does not have this pairing code"),
        "{complaint}"
    );
    let added = place.output("sysmon-hub", &right.each_ref().map(String::as_str));
    assert!(
        added.contains("edge cloud at") && added.contains("paired"),
        "{added}"
    );
    pairing.has_logged("identity saved in");
    let web = [
        "--state",
        "cloud",
        "--listen",
        &listen,
        "--web",
        "127.0.0.1:0",
    ];
    let edge = place.run("sysmon-edge", "edge.log", &web);
    edge.has_logged("hub connected");
    let log = std::fs::read_to_string(place.dir("edge.log")).unwrap();
    let web = log.split("http://").nth(1).unwrap();
    let web = web.split_whitespace().next().unwrap().to_owned();
    let shown = || state(&json(&web, "/api/v1/fleet"), "a");
    until("the page shows the agent", shown, |state| state == "live");
    let list = || place.output("sysmon-hub", &["--state", "hub", "edge", "list"]);
    assert!(
        list().contains("cloud") && list().contains(&listen),
        "{}",
        list()
    );
    place.output("sysmon-hub", &["--state", "hub", "edge", "remove", "cloud"]);
    assert!(!list().contains("cloud"), "{}", list());
    edge.has_logged("connection closed");
    drop(hub);
}

/// The writable memory of a process, except pages that were never written.
#[cfg(target_os = "linux")]
fn memory(pid: u32) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    const PAGE: u64 = 4096;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let pages = std::fs::File::open(format!("/proc/{pid}/pagemap")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        let mut entries = vec![0; ((to - from) / PAGE * 8) as usize];
        pages.read_exact_at(&mut entries, from / PAGE * 8).unwrap();
        for (at, entry) in entries.chunks(8).enumerate() {
            let mut page = [0; PAGE as usize];
            // Present or swapped out; some pages, such as those mapped by the kernel, cannot be read.
            let is_used = entry[7] & 0xc0 != 0;
            if is_used
                && memory
                    .read_exact_at(&mut page, from + at as u64 * PAGE)
                    .is_ok()
            {
                all.extend(page);
            }
        }
    }
    all
}

/// The ends of all words that start with `planted`.
#[cfg(target_os = "linux")]
fn planted(bytes: &[u8]) -> std::collections::BTreeSet<String> {
    let words = bytes.split(|byte| *byte == b'p');
    let ends = words.filter_map(|word| word.strip_prefix(b"lanted"));
    let letters = |end: &[u8]| {
        let letters = end.iter().take_while(|byte| byte.is_ascii_lowercase());
        letters.map(|byte| char::from(*byte)).collect()
    };
    ends.map(letters).collect()
}

/// A process that is killed at the end of the test.
#[cfg(target_os = "linux")]
struct Busy(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every kind of page of the edge.
#[cfg(target_os = "linux")]
const PAGES: [&str; 12] = [
    "/",
    "/hosts/Shop",
    "/api/v1/fleet",
    "/api/v1/hosts/Shop",
    "/api/v1/hosts/Shop/series?metric=mem",
    "/api/v1/sparks?metric=mem",
    "/api/v1/alerts",
    "/api/v1/openapi.json",
    "/metrics",
    "/badge.svg",
    "/badge/Shop.svg",
    "/api/v1/services",
];

/// One that is shared under another name, and one that is not; nothing listens at the port.
const CHECKS: &str = "[\"pub: tcp 127.0.0.1:9 every 1s within 1s\", \"plantedcheck: tcp 127.0.0.1:9 every 1s within 1s\"]";

/// Everything that an edge has: in memory, in files, in its log and on its pages.
#[cfg(target_os = "linux")]
fn held(place: &Place, edge: u32, web: &str) -> Vec<u8> {
    let mut held = memory(edge);
    let is_read = held.windows(4).any(|word| word == b"Shop");
    assert!(is_read, "the memory was read");
    for entry in std::fs::read_dir(place.dir("cloud")).unwrap() {
        let entry = entry.unwrap();
        // Besides files there is a socket.
        if entry.file_type().unwrap().is_file() {
            held.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    held.extend(std::fs::read(place.dir("edge.log")).unwrap());
    for path in PAGES {
        let (status, head, body) = get(web, path);
        assert_eq!(status, 200, "{path}");
        held.extend(format!("{head}{body}").into_bytes());
    }
    held
}

/// Private data of agent and hub is planted as a tag, a name, a process, a metric and an alert's note.
#[cfg(target_os = "linux")]
#[test]
fn unshared_data_never_reaches_the_edge() {
    let place = Place::new();
    let (edge, web, listen) = edge(&place);
    let textfiles = place.dir("textfiles");
    std::fs::create_dir(&textfiles).unwrap();
    let metric = "plantedmetric{mount=\"/plantedmount\",user=\"planteduser\"} 7\n";
    std::fs::write(textfiles.join("x.prom"), metric).unwrap();
    // Busy, so that it is among the ranked processes of every row.
    let program = place.dir("plantedcommand");
    std::fs::copy("/bin/sh", &program).unwrap();
    let _process = Busy(
        std::process::Command::new(&program)
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap(),
    );
    let edges = format!("[\"{listen}\"]");
    let hub = place.hub_with(&[
        ("SYSMON_HUB__EDGES", edges.as_str()),
        ("SYSMON_HUB__SHARE", "[\"plantedhost=Shop\"]"),
        ("SYSMON_HUB__SHARE_METRICS", "[\"mem\", \"load1\"]"),
        ("SYSMON_HUB__SHARE_CHECKS", "[\"pub=Store\"]"),
        ("SYSMON_HUB__ALERTS", "[\"seven: plantedmetric > 1\"]"),
    ]);
    let textfiles = textfiles.to_str().unwrap().to_owned();
    let _agent = place.agent_with(
        "plantedhost",
        &place.address(),
        &[
            ("SYSMON_AGENT__TAGS", "[\"plantedtag\"]"),
            ("SYSMON_AGENT__TEXTFILES", textfiles.as_str()),
            ("SYSMON_AGENT__CHECKS", CHECKS),
        ],
    );
    let _other = place.agent("plantedother");
    until(
        "the alert is shown",
        || get(&web, "/api/v1/alerts").2,
        |alerts| alerts.contains("\"seven\""),
    );
    until(
        "what was chosen is shown",
        || json(&web, "/api/v1/fleet")["metrics"].clone(),
        |metrics| *metrics == serde_json::json!(["mem", "load1"]),
    );
    let alerts = |words: &[&str]| {
        let all = [&["--state", "hub", "alerts"], words].concat();
        place.output("sysmon-hub", &all);
    };
    let is_acknowledged =
        || json(&web, "/api/v1/alerts")["alerts"][0]["acknowledged_ms"].is_number();
    alerts(&["ack", "plantedhost:seven", "--note", "plantednote"]);
    until("it is acknowledged", is_acknowledged, |is| *is);
    assert!(get(&web, "/").2.contains(", acknowledged "));
    let opened = "--state hub incident open Slow --check plantedcheck --check pub";
    place.output("sysmon-hub", &opened.split(' ').collect::<Vec<_>>());
    until(
        "the shared check and the incident are shown",
        || json(&web, "/api/v1/services"),
        |all| {
            all["services"][0]["name"] == "Store"
                && all["services"][0]["state"] == "down"
                && all["incidents"][0]["services"] == serde_json::json!(["Store"])
        },
    );
    let names = [
        "user", "mount", "metric", "command", "host", "other", "tag", "note", "check",
    ];
    until(
        "all of it has reached the hub",
        || planted(&memory(hub.id())),
        |known| names.iter().all(|name| known.contains(*name)),
    );
    assert_eq!(planted(&held(&place, edge.id(), &web)), [].into());
    alerts(&["unack", "plantedhost:seven"]);
    until("it is withdrawn", is_acknowledged, |is| !is);
}

#[test]
fn the_page_serves_shared_hosts_and_survives_the_hub() {
    let place = Place::new();
    let (_edge, web, listen) = edge(&place);
    let fleet = || json(&web, "/api/v1/fleet");
    assert_eq!(fleet()["live"], false);
    assert_eq!(get(&web, "/readyz").0, 503);
    let edges = format!("[\"{listen}\"]");
    let env = [
        ("SYSMON_HUB__EDGES", edges.as_str()),
        ("SYSMON_HUB__SHARE", "[\"a=Shop\", \"b\"]"),
    ];
    let hub = place.hub_with(&env);
    let address = place.address();
    let agent_a = place.agent_with(
        "a",
        &address,
        &[("SYSMON_AGENT__TAGS", "[\"planted-tag\"]")],
    );
    let _agent_b = place.agent("b");
    let _agent_c = place.agent("planted-host");
    until("both are live", fleet, |fleet| {
        state(fleet, "Shop") == "live" && state(fleet, "b") == "live"
    });
    let page = get(&web, "/").2;
    assert!(page.contains("Shop") && page.contains("<table"), "{page}");
    let (status, head, series) = get(&web, "/api/v1/hosts/Shop/series?metric=cpu");
    assert_eq!(status, 200, "{series}");
    for header in [
        "content-security-policy",
        "strict-transport-security",
        "x-content-type-options",
    ] {
        assert!(head.to_lowercase().contains(header), "{header} in {head}");
    }
    // Unshared data is absent.
    let paths = [
        "/",
        "/hosts/Shop",
        "/api/v1/fleet",
        "/api/v1/hosts/Shop",
        "/api/v1/alerts",
        "/metrics",
        "/badge.svg",
    ];
    for path in paths {
        let (status, _, body) = get(&web, path);
        assert_eq!(status, 200, "{path}");
        for secret in ["planted", "127.0.0.1", "\"a\"", "/dev/", "Debian"] {
            assert!(!body.contains(secret), "{secret} in {path}: {body}");
        }
    }
    invalid_requests_are_refused(&web);
    // An agent stops and starts again.
    drop(agent_a);
    until("Shop is offline", fleet, |fleet| {
        state(fleet, "Shop") == "offline"
    });
    let _agent_a = place.agent("a");
    until("Shop is back", fleet, |fleet| {
        state(fleet, "Shop") == "live"
    });
    // The hub stops: the page keeps serving and says so. The hub starts again: the page is live again.
    drop(hub);
    until(
        "the page says that the hub is disconnected",
        fleet,
        |fleet| fleet["live"] == false,
    );
    assert!(get(&web, "/").2.contains("Hub disconnected"));
    let _hub = place.hub_again_with(&address, &env);
    until("the page goes on", fleet, |fleet| {
        fleet["live"] == true && state(fleet, "Shop") == "live"
    });
}

fn invalid_requests_are_refused(web: &str) {
    let cases = [
        ("/api/v1/hosts/nobody", 404),
        ("/api/v1/hosts/a", 404),
        ("/api/v1/hosts/Shop/series?metric=none", 400),
        ("/api/v1/hosts/Shop/series?metric=cpu&step=0", 400),
        ("/api/v1/hosts/Shop/series?metric=cpu&from=9&to=1", 400),
        ("/api/v1/hosts/Shop/series?metric=cpu&from=x", 400),
        ("/api/v1/../../etc/passwd", 404),
        ("/assets/..%2f..%2fetc%2fpasswd", 404),
        ("/nowhere", 404),
        ("/badge/Shop.svg", 200),
        ("/api/v1/openapi.json", 200),
        ("/healthz", 200),
        ("/readyz", 200),
    ];
    for (path, wanted) in cases {
        let (status, _, body) = get(web, path);
        assert_eq!(status, wanted, "{path}: {body}");
    }
    assert_eq!(
        request(
            web,
            "POST /api/v1/fleet HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        )
        .0,
        405
    );
}
