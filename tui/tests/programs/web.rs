//! `sysmon-tui --web`: the page without a separate hub or edge.

use crate::edge::{get, json, request, state};
use crate::place::{Place, Running, until};

/// A running page and its address.
fn page(place: &Place, more: &[&str]) -> (Running, String) {
    let page = place.run("sysmon-tui", "web.log", &[&["--web", "0"], more].concat());
    page.has_logged("until ctrl-C");
    let log = std::fs::read_to_string(place.dir("web.log")).unwrap();
    let address = log.split(['/', ' ']).nth(2).unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{log}");
    (page, address)
}

fn ask(address: &str, path: &str, host: &str) -> (u16, String, String) {
    request(
        address,
        &format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"),
    )
}

#[test]
fn this_machine_and_a_demo_are_served_to_this_machine_only() {
    let place = Place::new();
    let (page, address) = page(&place, &["--demo", "2"]);
    let fleet =
        || serde_json::from_str(&ask(&address, "/api/v1/fleet", &address).2).unwrap_or_default();
    let fleet: serde_json::Value = until("all are live", fleet, |fleet: &serde_json::Value| {
        let hosts = fleet["hosts"].as_array().cloned().unwrap_or_default();
        hosts.len() == 3 && hosts.iter().all(|host| host["metrics"]["mem"].is_number())
    });
    assert_eq!(state(&fleet, "web-1"), "live", "{fleet}");
    let (status, _, html) = ask(&address, "/", "localhost");
    assert!(
        status == 200 && html.contains("2 simulated hosts") && html.contains("web-1"),
        "{html}"
    );
    // Simulated hosts have past rows.
    let path = "/api/v1/hosts/web-1/series?metric=cpu";
    let series = || {
        serde_json::from_str::<serde_json::Value>(&ask(&address, path, &address).2)
            .unwrap_or_default()
    };
    until("the past is there", series, |series| {
        let points = series["points"].as_array().cloned().unwrap_or_default();
        points.iter().filter(|point| point[1].is_number()).count() > 30
    });
    // No other data of the hub, and no response to foreign host names.
    for part in ["processes", "address", "user", "kernel"] {
        assert!(!fleet.to_string().contains(part), "{part}");
    }
    assert_eq!(get(&address, "/api/v1/fleet").0, 421);
    assert_eq!(json(&address, "/")["hosts"], serde_json::Value::Null);
    assert_eq!(page.terminate(), Some(0));
}

#[test]
fn an_address_reachable_by_others_is_refused() {
    let place = Place::new();
    for open in ["0.0.0.0:8080", "[::]:8080"] {
        let (code, why) = place.fails("sysmon-tui", &["--web", open]);
        assert!(code == 2 && why.contains("sysmon-edge"), "{why}");
    }
    let (code, why) = place.fails("sysmon-tui", &["--web", "0", "snapshot"]);
    assert!(
        code == 2 && why.contains("cannot be combined with a command"),
        "{why}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, why) = place.fails("sysmon-tui", &["--web", &port]);
    assert!(
        code == 1 && why.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{why}"
    );
}
