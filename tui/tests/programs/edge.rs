//! The public page: shows what it may, keeps standing while the hub is away, and gives nothing else away.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::place::{Place, until};

/// An answer's status, head and body.
fn get(address: &str, path: &str) -> (u16, String, String) {
    request(address, &format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n"))
}

fn request(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that is reset after the answer has been read.
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

fn json(address: &str, path: &str) -> Value {
    let (_, _, body) = get(address, path);
    serde_json::from_str(&body).unwrap_or_default()
}

fn state(fleet: &Value, name: &str) -> String {
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

#[test]
fn the_page_shows_what_it_may_and_outlives_the_hub() {
    let place = Place::new();
    place.issue("edge", "cloud");
    let listen = format!("127.0.0.1:{}", free_port());
    let edge = place.run(
        "sysmon-edge",
        "edge.log",
        &[
            "--state",
            "cloud",
            "--listen",
            &listen,
            "--web",
            "127.0.0.1:0",
        ],
    );
    edge.has_logged("shows the page on");
    let log = std::fs::read_to_string(place.dir("edge.log")).unwrap();
    let web = log
        .split("http://")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
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
    // What was not to be shown is nowhere.
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
    // What is wrong gets its answer.
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
        let (status, _, body) = get(&web, path);
        assert_eq!(status, wanted, "{path}: {body}");
    }
    assert_eq!(
        request(
            &web,
            "POST /api/v1/fleet HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        )
        .0,
        405
    );
    // An agent goes, and comes back.
    drop(agent_a);
    until("Shop is offline", fleet, |fleet| {
        state(fleet, "Shop") == "offline"
    });
    let _agent_a = place.agent("a");
    until("Shop is back", fleet, |fleet| {
        state(fleet, "Shop") == "live"
    });
    // The hub goes; the page stays and says so. It comes back, and the page goes on.
    drop(hub);
    until("the page says that the hub is away", fleet, |fleet| {
        fleet["live"] == false
    });
    assert!(get(&web, "/").2.contains("the hub is away"));
    let _hub = place.hub_again_with(&address, &env);
    until("the page goes on", fleet, |fleet| {
        fleet["live"] == true && state(fleet, "Shop") == "live"
    });
}
