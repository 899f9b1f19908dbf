//! A running hub's own figures, over QUIC and over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests wait in real time and issue certificates for the present"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::CertificateDer;
use sysmon_certs::{BearerToken, HubState, Identity};
use sysmon_client::Client;
use sysmon_clock::{Clock, Random};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{
    AlertOptions, BoundHub, EdgeOptions, HistoryOptions, Hub, HubOptions, MetricsOptions,
    StartError,
};
use sysmon_link::Connector;
use sysmon_store::Limits;
use sysmon_wire::message::{Purpose, Reply, Request, RunId, Spark};
use sysmon_wire::metrics::{CPU_UTILIZATION, HUB_INGEST_ROWS, HUB_MEMORY_USAGE};
use sysmon_wire::{Label, Row, UnixMs};
use tokio::sync::oneshot;

/// Bound for every wait, for busy machines.
const PATIENCE: Duration = Duration::from_secs(40);

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A hub on a thread of its own, in a directory of its own.
struct Running {
    dir: tempfile::TempDir,
    hub: Arc<Hub>,
    owner: Identity,
    identity: Identity,
    quic: SocketAddr,
    http: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn plain(address: SocketAddr) -> MetricsOptions {
    MetricsOptions {
        address,
        token: None,
        certificate: None,
    }
}

fn options(dir: &std::path::Path, metrics: MetricsOptions) -> HubOptions {
    HubOptions {
        listen: local(0),
        name: "lan-box".to_owned(),
        fleet: FleetOptions {
            stale_after: Duration::from_secs(5),
            offline_after: Duration::from_secs(30),
            retention: Duration::from_secs(3600),
            memory_bytes: 1 << 26,
        },
        history: Some(HistoryOptions {
            path: dir.join("history.db"),
            limits: Limits {
                bytes: 1 << 26,
                rows: Duration::from_hours(24),
                minutes: Duration::from_hours(24 * 30),
                hours: Duration::from_hours(24 * 730),
            },
        }),
        access: None,
        clock: Clock::system(),
        random: Random::system(),
        alerts: AlertOptions::default(),
        edges: EdgeOptions::default(),
        metrics: Some(metrics),
        otlp: None,
        otlp_http: None,
        exports: Vec::new(),
        history_beyond: None,
        heartbeat: None,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

impl Running {
    fn start() -> Self {
        Self::start_with(|_| plain(local(0)))
    }

    /// Starts with metrics as `metrics` says; it may write files into the directory.
    fn start_with(metrics: impl FnOnce(&Path) -> MetricsOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let metrics = metrics(dir.path());
        let state = HubState::new(dir.path(), &sysmon_clock::Random::system());
        let now = SystemTime::now();
        let authority = state.authority(now).unwrap();
        let name = "lan-box".parse().unwrap();
        let identity = state.hub_identity(&authority, &name, now, 30).unwrap();
        let owner = state.owner_identity(&authority, now, 30).unwrap();
        let runtime = runtime();
        let hub = {
            let _guard = runtime.enter();
            BoundHub::bind(options(dir.path(), metrics), &identity).unwrap()
        };
        let shared = Arc::clone(&hub.hub);
        let (quic, http) = (hub.loopback().unwrap(), hub.metrics_address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(hub.serve(async {
                let _ = stopped.await;
            }));
        });
        Self {
            dir,
            hub: shared,
            owner,
            identity,
            quic,
            http,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn connect(&self) -> TcpStream {
        let address = local(self.http.port());
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Status, head and body of the response to a request.
    fn ask(&self, request: &str) -> (u16, String, String) {
        let head = format!("{request} HTTP/1.1\r\nHost: localhost");
        Self::ask_over(self.connect(), &head)
    }

    fn ask_over(mut stream: impl Read + Write, head: &str) -> (u16, String, String) {
        let request = format!("{head}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    /// Repeats a request until the response is as wanted.
    fn until(&self, request: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let (status, _, body) = self.ask(request);
            if wanted(status, &body) {
                return body;
            }
            assert!(start.elapsed() < PATIENCE, "{request}: {status} {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn metrics_are_read_by_get_and_head_alone() {
    let hub = Running::start();
    let (status, head, body) = hub.ask("GET /metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"));
    assert!(head.contains("connection: close"), "{head}");
    for line in [
        "# TYPE sysmon_hub_ingest_rows_total counter",
        "sysmon_hub_ingest_rows_total 0",
        "sysmon_hub_subscriber_count 0",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in\n{body}");
    }
    assert!(body.contains("\nsysmon_hub_ring_usage_bytes "), "{body}");
    hub.until("GET /metrics", |_, body| {
        body.contains("\nsysmon_hub_commit_time_seconds 0.")
    });
    let (status, _, body) = hub.ask("HEAD /metrics");
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(hub.ask("POST /metrics").0, 405);
    assert_eq!(hub.ask("GET /").0, 404);
    // A HEAD request that announces a body.
    let (status, _, _) = hub.ask("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\nX: x");
    assert_eq!(status, 413);
}

#[test]
fn on_loopback_requests_for_another_host_name_are_refused() {
    let hub = Running::start();
    for (host, status) in [
        ("evil.example", 421),
        ("192.0.2.1", 421),
        ("localhost:9797", 200),
        ("127.0.0.1", 200),
        ("[::1]:9797", 200),
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}");
        let (answered, head, body) = Running::ask_over(hub.connect(), &request);
        assert_eq!(answered, status, "{host}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert_eq!(body.contains("sysmon_hub_"), status == 200, "{host}");
    }
    let (status, ..) = Running::ask_over(hub.connect(), "GET /metrics HTTP/1.0");
    assert_eq!(status, 421, "no host at all");
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn token(dir: &Path) -> BearerToken {
    let path = dir.join("metrics-token");
    sysmon_files::write_private(&path, TOKEN).unwrap();
    BearerToken::read(&path).unwrap()
}

/// The answer to a request over TLS, by a client that trusts `roots`.
fn ask_tls(
    hub: &Running,
    roots: &[CertificateDer<'static>],
    name: &str,
    head: &str,
) -> (u16, String, String) {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = name.to_owned().try_into().unwrap();
    let client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    Running::ask_over(rustls::StreamOwned::new(client, hub.connect()), head)
}

#[test]
fn outside_loopback_metrics_need_tls_and_the_token() {
    let hub = Running::start_with(|dir| MetricsOptions {
        // Every address, the loopback one included.
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        token: Some(token(dir)),
        certificate: None,
    });
    let with = |path: &str, token: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: hub.example{token}");
        ask_tls(
            &hub,
            hub.identity.authorities(),
            "hub.sysmon.internal",
            &head,
        )
    };
    let authorization = |value: &str| format!("\r\nAuthorization: {value}");
    for path in ["/metrics", "/healthz", "/other"] {
        let basic = authorization(&format!("Basic {TOKEN}"));
        let longer = authorization(&format!("Bearer {TOKEN}0"));
        for wrong in [String::new(), authorization("Bearer x"), basic, longer] {
            let (status, head, body) = with(path, &wrong);
            assert_eq!(status, 401, "{path} {wrong}");
            assert!(head.contains("www-authenticate: bearer"), "{head}");
            assert!(!body.contains("sysmon_hub_"), "{body}");
        }
    }
    let right = authorization(&format!("Bearer {TOKEN}"));
    let (status, _, body) = with("/metrics", &right);
    assert!(
        status == 200 && body.contains("sysmon_hub_"),
        "{status} {body}"
    );
    assert_eq!(with("/healthz", &right).0, 200);
    // Without TLS there is no answer.
    let mut plain = hub.connect();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: x{right}\r\n\r\n");
    plain.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
}

#[test]
fn outside_loopback_metrics_without_a_token_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Running::start();
    let runtime = runtime();
    let _guard = runtime.enter();
    let metrics = plain(SocketAddr::from(([0, 0, 0, 0], 0)));
    let error = BoundHub::bind(options(dir.path(), metrics), &hub.identity).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("metrics_token") && error.contains("not on loopback"),
        "{error}"
    );
}

#[test]
fn metrics_have_the_certificate_in_files_and_follow_its_renewal() {
    let write = |dir: &Path, name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        sysmon_files::write_private(&dir.join("key.pem"), key).unwrap();
        made.cert.der().clone()
    };
    let mut first = None;
    let hub = Running::start_with(|dir| {
        let files = dir.join("tls");
        std::fs::create_dir(&files).unwrap();
        first = Some(write(&files, "one.example"));
        MetricsOptions {
            address: local(0),
            token: None,
            certificate: Some((files.join("cert.pem"), files.join("key.pem"))),
        }
    });
    let get = |root, name: &str| {
        let head = "GET /healthz HTTP/1.1\r\nHost: localhost";
        ask_tls(&hub, &[root], name, head).0
    };
    assert_eq!(get(first.unwrap(), "one.example"), 200);
    let second = write(&hub.dir.path().join("tls"), "two.example");
    assert_eq!(get(second, "two.example"), 200);
}

#[test]
fn failing_commits_make_the_hub_unhealthy() {
    let hub = Running::start();
    let (status, _, body) = hub.ask("GET /healthz");
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    let other = rusqlite::Connection::open(hub.dir.path().join("history.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reason = hub.until("GET /healthz", |status, _| status == 503);
    assert!(reason.contains("database is locked"), "{reason}");
    other.execute_batch("ROLLBACK").unwrap();
    hub.until("GET /healthz", |status, _| status == 200);
}

#[test]
fn a_metrics_port_in_use_is_an_error() {
    let hub = Running::start();
    let runtime = runtime();
    let _guard = runtime.enter();
    let error =
        BoundHub::bind(options(hub.dir.path(), plain(hub.http)), &hub.identity).unwrap_err();
    assert!(matches!(error, StartError::Metrics(_)), "{error}");
    assert!(error.to_string().contains("for metrics"), "{error}");
}

#[test]
fn the_status_has_the_hubs_own_figures_and_no_further_host() {
    let hub = Running::start();
    let runtime = runtime();
    runtime.block_on(async {
        let connector = Connector::new(&hub.owner, "0", &sysmon_clock::Clock::system()).unwrap();
        let address = hub.quic.to_string();
        let start = Instant::now();
        // Two rows exist after two seconds.
        let picture = loop {
            let client = Client::connect(&connector, &address).await.unwrap();
            let picture = client.status().await.unwrap();
            let own = picture.figures.as_ref().unwrap();
            if own.rate(&HUB_INGEST_ROWS).is_some() {
                break picture;
            }
            assert!(start.elapsed() < PATIENCE, "{own:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let own = picture.figures.as_ref().unwrap();
        assert_eq!(
            own.rate(&HUB_INGEST_ROWS),
            Some(0.0),
            "its own rows do not count"
        );
        if cfg!(target_os = "linux") {
            assert!(own.value(&HUB_MEMORY_USAGE) > Some(1e6), "{own:?}");
        }
        assert!(picture.hosts.is_empty(), "the hub is no host");
        let json = picture.to_json();
        assert_eq!(json["hub"]["ingest_rows_per_second"], 0.0);
        assert_eq!(json["hub"]["agents"], 0);
        assert!(json["hub"]["ring_bytes"].is_u64(), "as it was");
        assert!(picture.to_table().contains("0 rows/s · commit "));
        connector.close().await;
    });
}

#[test]
fn rules_added_by_a_reload_apply_to_the_hubs_own_figures() {
    let hub = Running::start();
    let reload = |rules: &[&str]| {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let alerts = AlertOptions {
            rules,
            ..AlertOptions::default()
        };
        hub.hub.reload(HubOptions {
            alerts,
            ..options(hub.dir.path(), plain(hub.http))
        });
    };
    let alerts = || {
        let core = hub.hub.core();
        let fleet = &core.fleet;
        let own = fleet.find("hub:lan-box").and_then(|id| fleet.host(id));
        own.map_or(0, |host| host.alerts.len())
    };
    assert_eq!(alerts(), 0);
    reload(&["rings: sysmon.hub.ring.usage > 1"]);
    let start = Instant::now();
    while alerts() == 0 {
        assert!(start.elapsed() < PATIENCE, "no alert is firing");
        std::thread::sleep(Duration::from_millis(20));
    }
    reload(&[
        "rings: sysmon.hub.ring.usage > 1",
        "lag: sysmon.hub.lag > 60",
    ]);
    assert_eq!(alerts(), 1, "it is still firing");
    reload(&[]);
    assert_eq!(alerts(), 0, "it is resolved with its rule");
}

/// More hosts than fit one message.
const MANY: usize = 150;

#[test]
fn present_values_of_many_hosts_are_sent_before_their_history() {
    let hub = Running::start();
    let now = UnixMs::from_system(SystemTime::now()).floor(1000);
    for n in 0..MANY {
        let mut core = hub.hub.core();
        let id = core.host_id(&Label::new(&format!("host-{n}"))).unwrap();
        let keys = vec![CPU_UTILIZATION.series(&[])];
        core.fleet.series(id, keys);
        for seq in 1..=3 {
            let time = now - (4 - seq as i64) * 1000;
            let values = vec![500];
            let row = Row { seq, time, values };
            core.apply(id, RunId(n as u64 + 1), &row, now).unwrap();
        }
    }
    let runtime = runtime();
    runtime.block_on(async {
        let connector = Connector::new(&hub.owner, "0", &sysmon_clock::Clock::system()).unwrap();
        let to = hub.quic.to_string();
        let session = connector.connect(&to, Purpose::View).await.unwrap();
        let request = Request::Fleet {
            at: None,
            once: false,
            spark_points: 5,
            spark_step_ms: 1000,
            sparks: vec![0],
        };
        let mut replies = session.request(&request).await.unwrap();
        let (mut ticks, mut sparks, mut is_whole) = (0, 0, false);
        while sparks < MANY {
            let reply = tokio::time::timeout(PATIENCE, replies.next())
                .await
                .unwrap();
            match reply.unwrap().unwrap() {
                Reply::Fleet(update) if is_whole => {
                    let known = |spark: &&Spark| spark.points.contains(&500);
                    sparks += update.sparks.iter().filter(known).count();
                }
                Reply::Fleet(update) => {
                    ticks += update.ticks.len();
                    assert_eq!(update.sparks, [], "they wait");
                }
                Reply::Complete => is_whole = true,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((ticks, sparks), (MANY, MANY));
    });
}
