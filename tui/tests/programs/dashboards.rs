//! Every query of Grafana's dashboards, run as Grafana runs it, against engines that a hub feeds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::engines::{Postgres, Server, free_port, victoria_metrics};
use crate::exports::destination;
use crate::otlp_sender::Sender;
use crate::place::{Place, until};

/// A query, and where it stands: dashboard, panel and letter.
#[derive(Clone, Debug)]
struct Query {
    place: (String, String, String),
    text: String,
    /// Of Prometheus: whether it asks for one moment. Of PostgreSQL: whether it is no series over time.
    is_table: bool,
}

fn dashboards(kind: &str) -> Vec<(String, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/dashboards");
    let files = std::fs::read_dir(root.join(kind)).unwrap();
    let mut found = Vec::new();
    for path in files.map(|file| file.unwrap().path()) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        found.push((name, serde_json::from_str(&text).unwrap()));
    }
    assert_eq!(found.len(), 4);
    found
}

fn queries(kind: &str) -> Vec<Query> {
    let mut found = Vec::new();
    for (dashboard, content) in dashboards(kind) {
        let rows = content["panels"].as_array().unwrap().iter();
        let closed = rows.clone().filter_map(|row| row["panels"].as_array());
        for panel in rows.clone().chain(closed.flatten()) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let query = target.get("expr").unwrap_or(&target["rawSql"]);
                found.push(Query {
                    place: (
                        dashboard.clone(),
                        text(&panel["title"]),
                        text(&target["refId"]),
                    ),
                    text: text(query),
                    is_table: target["format"] == "table",
                });
            }
        }
    }
    found
}

/// The values of each variable, as a dashboard with everything chosen has them.
fn variables(kind: &str, values: impl Fn(&Value) -> Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (_, content) in dashboards(kind) {
        for variable in content["templating"]["list"].as_array().unwrap() {
            if variable["type"] == "query" {
                let name = variable["name"].as_str().unwrap().to_owned();
                found.insert(name, values(&variable["query"]));
            }
        }
    }
    found
}

fn now_s() -> i64 {
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn label_values(vm: &Server, query: &Value) -> Vec<String> {
    let query = query["query"].as_str().unwrap();
    let inner = query.strip_prefix("label_values(").unwrap();
    let (series, label) = inner.strip_suffix(')').unwrap().rsplit_once(", ").unwrap();
    let series = series.replace("$host", ".+").replace("$hub", ".+");
    let path = format!(
        "/api/v1/label/{label}/values?match%5B%5D={}",
        encoded(&series)
    );
    let answer: Value = serde_json::from_str(&vm.get(&path)).unwrap();
    serde_json::from_value(answer["data"].clone()).unwrap()
}

/// A query with Grafana's variables and intervals filled in.
fn expanded(query: &Query, chosen: &BTreeMap<String, Vec<String>>) -> String {
    let mut text = query.text.replace("$__rate_interval", "20s");
    for (name, values) in chosen {
        text = text.replace(
            &format!("\"${name}\""),
            &format!("\"({})\"", values.join("|")),
        );
    }
    assert!(!text.contains('$'), "{text}");
    text
}

/// How many values Prometheus' API answers.
fn in_victoria(vm: &Server, query: &Query, chosen: &BTreeMap<String, Vec<String>>) -> usize {
    let (text, now) = (encoded(&expanded(query, chosen)), now_s());
    let path = match query.is_table {
        true => format!("/api/v1/query?query={text}&time={now}"),
        false => format!(
            "/api/v1/query_range?query={text}&start={}&end={now}&step=5",
            now - 120
        ),
    };
    let answer: Value = serde_json::from_str(&vm.get(&path)).unwrap();
    let result = answer["data"]["result"].as_array().unwrap();
    let values = |series: &Value| series["values"].as_array().map_or(1, Vec::len);
    result.iter().map(values).sum()
}

/// SQL with what Grafana's data source for PostgreSQL makes of its macros.
fn sql(query: &Query, chosen: &BTreeMap<String, Vec<String>>) -> String {
    let now = now_s();
    let time = |s: i64| format!("to_timestamp({s})");
    let mut text = query.text.replace("$__interval", "5s");
    for (name, values) in chosen {
        let values: Vec<_> = values.iter().map(|value| format!("'{value}'")).collect();
        text = text.replace(&format!("(${name})"), &format!("({})", values.join(", ")));
    }
    while let Some(at) = text.find("$__") {
        let (before, rest) = text.split_at(at);
        let (name, rest) = rest.split_once('(').unwrap();
        let (arguments, rest) = rest.split_once(')').unwrap();
        let arguments: Vec<_> = arguments.split(',').map(str::trim).collect();
        let group = |column: &str, every: &str| {
            let seconds = every.strip_suffix('s').unwrap();
            format!("floor(extract(epoch from {column})/{seconds})*{seconds}")
        };
        let macro_text = match (name, arguments.as_slice()) {
            ("$__timeFilter", [column]) => {
                format!("{column} BETWEEN {} AND {}", time(now - 120), time(now))
            }
            ("$__timeGroup", [column, every]) => group(column, every),
            ("$__timeGroupAlias", [column, every]) => {
                format!("{} AS \"time\"", group(column, every))
            }
            ("$__timeTo", [""]) => time(now),
            unknown => panic!("{unknown:?} in {query:?}"),
        };
        text = format!("{before}{macro_text}{rest}");
    }
    assert!(!text.contains('$'), "{text}");
    text
}

/// How many rows with a value PostgreSQL answers.
fn in_postgres(pg: &Postgres, query: &Query, chosen: &BTreeMap<String, Vec<String>>) -> usize {
    let rows = pg.query(&sql(query, chosen));
    let has_value = |line: &&str| query.is_table || !line.ends_with('|');
    rows.lines().filter(has_value).count()
}

/// Runs queries until each has found something.
fn run(queries: Vec<Query>, rows: impl Fn(&Query) -> usize) {
    let left = RefCell::new(queries);
    let empty = || {
        left.borrow_mut().retain(|query| rows(query) == 0);
        let left = left.borrow();
        left.iter().map(|query| query.place.clone()).collect()
    };
    until("every query finds something", empty, Vec::is_empty);
}

/// Prometheus itself accepts every expression.
fn check_with_promtool(place: &Place, queries: &[Query], chosen: &BTreeMap<String, Vec<String>>) {
    let rules: Vec<_> = queries
        .iter()
        .enumerate()
        .map(|(at, query)| json!({ "record": format!("query:{at}"), "expr": expanded(query, chosen) }))
        .collect();
    let file = place.dir("rules.yml");
    let groups = json!({ "groups": [{ "name": "dashboards", "rules": rules }] });
    std::fs::write(&file, groups.to_string()).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output();
    let checked = checked.unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}

/// A server with a certificate, which ends with the test.
struct TlsServer(std::process::Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tls_server(place: &Place, port: u16) -> TlsServer {
    let (key, certificate) = (place.dir("tls.key"), place.dir("tls.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "30", "-subj", "/CN=localhost", "-keyout"])
        .args([key.as_os_str(), "-out".as_ref(), certificate.as_os_str()])
        .output();
    assert!(made.unwrap().status.success());
    let server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-key",
        ])
        .args([key.as_os_str(), "-cert".as_ref(), certificate.as_os_str()])
        .stdin(std::process::Stdio::piped())
        .spawn();
    TlsServer(server.unwrap())
}

/// An agent with a check that has every phase, and a heartbeat that was heard.
fn agent_with_checks(place: &Place, vm: &Server) -> (crate::place::Running, TlsServer) {
    let secure = free_port();
    let server = tls_server(place, secure);
    let checks = format!(
        "[\"web: http://localhost:{}/health every 1s within 1s\", \"tls: tls localhost:{secure} untrusted every 1s within 1s\"]",
        vm.port
    );
    place.issue("agent", "a");
    let added = place.output("sysmon-agent", &["--state", "a", "heartbeat", "add", "job"]);
    let token = added.split("Bearer ").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    let heartbeats = format!("127.0.0.1:{}", free_port());
    let agent = place.agent_with(
        "a",
        &place.address(),
        &[
            ("SYSMON_AGENT__CHECKS", &checks),
            ("SYSMON_AGENT__HEARTBEATS", &heartbeats),
        ],
    );
    let report =
        format!("POST / HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    let listens = || std::net::TcpStream::connect(&heartbeats).is_ok();
    until("heartbeats are heard", listens, |is| *is);
    assert_eq!(crate::edge::request(&heartbeats, &report).0, 204);
    (agent, server)
}

#[test]
#[ignore = "needs root and openssl and postgresql and prometheus and victoria-metrics"]
fn every_query_of_the_dashboards_finds_what_the_hub_has() {
    let place = Place::new();
    let vm = victoria_metrics(&place.dir("vm"));
    let pg = Postgres::new(&place.dir("postgres"));
    let url = format!("http://127.0.0.1:{}/api/v1/write", vm.port);
    let exports = format!(
        "[{}, {}]",
        destination("vm", "remote-write", &url),
        destination("pg", "postgres", &pg.url())
    );
    let otlp = format!("127.0.0.1:{}", free_port());
    let rules = "[\"silent: silent for 2s critical\", \"up: uptime > 0\"]";
    let _hub = place.hub_with(&[
        ("SYSMON_HUB__EXPORT", &exports),
        ("SYSMON_HUB__ALERTS", rules),
        ("SYSMON_HUB__OTLP_HTTP", &otlp),
    ]);
    let _checking = agent_with_checks(&place, &vm);
    let other = place.agent("b");
    let _sender = Sender::start(otlp);
    let events = || pg.try_query("SELECT count(*) FROM sysmon.alerts");
    let is_some = |events: &Result<String, String>| events.as_ref().is_ok_and(|n| n.trim() != "0");
    until("an alert fires", events, is_some).unwrap();
    drop(other);

    let of_victoria = || variables("prometheus", |query| label_values(&vm, query));
    let all =
        |chosen: &BTreeMap<String, Vec<String>>| chosen.values().all(|values| !values.is_empty());
    let in_vm = until("variables have values", of_victoria, all);
    let in_pg = variables("postgres", |query| {
        let rows = pg.query(query.as_str().unwrap());
        rows.lines().map(str::to_owned).collect()
    });
    assert_eq!(in_vm, in_pg);
    let promql = queries("prometheus");
    check_with_promtool(&place, &promql, &in_vm);

    run(promql, |query| in_victoria(&vm, query, &in_vm));
    run(queries("postgres"), |query| in_postgres(&pg, query, &in_pg));
}
