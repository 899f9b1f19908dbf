//! The web page as browsers, programs and attackers request it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::indexing_slicing, reason = "a test that panics has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sysmon_clock::ManualTime;
use sysmon_edge::web::{Access, App, Listener, Logins, Options, Tls, serve};
use sysmon_wire::message::{
    AlertLine, FleetUpdate, HostHealth, HostLine, HostState, HostTick, Severity, Spark,
};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{HostFacts, UnixMs};

/// The clock never advances, so that rate limits do not depend on how fast the test runs.
const NOW: UnixMs = UnixMs(1_800_000_000_000);

/// An edge that serves until the test ends.
struct Edge {
    app: Arc<App>,
    url: String,
    address: SocketAddr,
}

impl Edge {
    fn start(options: Options, tls: Option<Tls>) -> Self {
        let app = Arc::new(App::new(options, ManualTime::new(NOW).clock()));
        let (started, url) = std::sync::mpsc::channel();
        let served = Arc::clone(&app);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), tls).unwrap();
                started.send(listener.url().unwrap()).unwrap();
                tokio::select! {
                    () = served.publish_forever() => {}
                    () = serve(Arc::clone(&served), listener) => {}
                }
            });
        });
        let url = url.recv().unwrap();
        let address = url.split("//").nth(1).unwrap().parse().unwrap();
        Self { app, url, address }
    }

    /// An edge with two hosts.
    fn new() -> Self {
        let options = Options {
            title: "Shops & more".to_owned(),
            proxies: vec!["127.0.0.1/32".parse().unwrap()],
            access: Access::Anyone,
        };
        let edge = Self::start(options, None);
        edge.update(&["Shop", "b<b>"]);
        edge
    }

    fn update(&self, names: &[&str]) {
        let now = self.app.clock().now();
        let indexed = || names.iter().enumerate();
        let line = |(index, name): (usize, &&str)| HostLine {
            index: index as u32,
            name: (*name).into(),
            facts: HostFacts::unknown(),
            health: HostHealth::default(),
            notes: Vec::new(),
            alerts: vec![AlertLine {
                metric: "".into(),
                acknowledged: None,
                silenced: None,
                rule: "disk-full".into(),
                summary: "".into(),
                severity: Severity::Critical,
                since: now - 60_000,
            }],
        };
        let tick = |(index, _): (usize, &&str)| HostTick {
            index: index as u32,
            state: HostState::Live,
            time: now,
            values: vec![500; SUMMARY],
        };
        let update = FleetUpdate {
            gone: Vec::new(),
            now,
            lines: indexed().map(line).collect(),
            ticks: indexed().map(tick).collect(),
            sparks: vec![Spark {
                index: 0,
                alias: 0,
                end: now,
                points: vec![250; 60],
            }],
        };
        let mut mirror = self.app.mirror();
        let stream = mirror.begin();
        mirror.apply(stream, update, now).unwrap();
        mirror.complete(stream).unwrap();
        drop(mirror);
        self.app.publish();
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        let time_out = Some(Duration::from_secs(10));
        stream.set_read_timeout(time_out).unwrap();
        stream.set_write_timeout(time_out).unwrap();
        stream
    }

    fn send(&self, request: &[u8]) -> Reply {
        let mut stream = self.connect();
        // A request that is refused early still gets its response.
        let _ = stream.write_all(request);
        Reply::read(&mut stream)
    }

    fn get_with(&self, path: &str, headers: &str) -> Reply {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        self.send(head.as_bytes())
    }

    fn get(&self, path: &str) -> Reply {
        self.get_with(path, "")
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn read(stream: &mut impl Read) -> Self {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let end = all.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or(all.len());
        let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        Self {
            status: status.unwrap_or(0),
            body: all.get(end + 4..).unwrap_or_default().to_vec(),
            head,
        }
    }

    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[test]
fn malformed_requests_get_an_error_and_do_not_affect_others() {
    let edge = Edge::new();
    let long = "x".repeat(10 << 20);
    let series = |query: &str| format!("/api/v1/hosts/Shop/series?{query}");
    let cases = [
        ("/api/v1/hosts/nobody".to_owned(), 404),
        ("/api/v1/hosts/%ff".to_owned(), 400),
        ("/hosts/nobody".to_owned(), 404),
        ("/badge/nobody.svg".to_owned(), 404),
        (series("metric=none"), 400),
        (series(""), 400),
        (series("metric=cpu&step=0"), 400),
        (series("metric=cpu&step=-5"), 400),
        (series("metric=cpu&step=x"), 400),
        (series("metric=cpu&from=9&to=1"), 400),
        (series("metric=cpu&from=99999999999999999999"), 400),
        (series("metric=cpu&from=0&to=9223372036854775807"), 200),
        (series("metric=cpu&from=-9223372036854775808"), 200),
        (series("metric=cpu&step=9223372036854775807"), 200),
        ("/api/v1/sparks?metric=none".to_owned(), 400),
        ("/api/v1/sparks".to_owned(), 400),
        ("/api/v1/../../etc/passwd".to_owned(), 404),
        ("/assets/..%2f..%2fetc%2fpasswd".to_owned(), 404),
        ("/assets/app.js".to_owned(), 404),
        ("/nowhere".to_owned(), 404),
        ("/api/v1/nowhere".to_owned(), 404),
        ("/api/v1/live".to_owned(), 426),
        (series(&format!("metric={long}")), 431),
        (format!("/{}", "a".repeat(15_000)), 404),
    ];
    for (path, wanted) in cases {
        let reply = edge.get(&path);
        let path = path.get(..60).unwrap_or(&path);
        assert_eq!(reply.status, wanted, "{path}");
        if wanted == 400 && path.contains("series") {
            assert!(reply.json()["error"].is_string(), "{path}");
        }
    }
    let flood: String = (0..100).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(edge.get_with("/", &flood).status, 431);
    let fat = format!("X: {}\r\n", "y".repeat(100_000));
    assert_eq!(edge.get_with("/", &fat).status, 431);
    assert_eq!(edge.get_with("/", "Content-Length: 9\r\n").status, 413);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"] {
        for path in ["/api/v1/fleet", "/nowhere"] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let reply = edge.send(head.as_bytes());
            assert_eq!((reply.status, reply.header("allow")), (405, "get, head"));
        }
    }
    assert_eq!(edge.send(b"\x16\x03\x01\x02nonsense\r\n\r\n").status, 400);
    assert_eq!(edge.get("/api/v1/fleet").status, 200);
}

#[test]
fn pages_are_complete_without_a_script_and_load_nothing_from_elsewhere() {
    let edge = Edge::new();
    for path in ["/", "/hosts/Shop", "/hosts/b%3Cb%3E"] {
        let reply = edge.get(path);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, "text/html; charset=utf-8")
        );
        let page = reply.text();
        for part in [
            "Shops &amp; more",
            "50 %",
            "disk-full",
            "<svg class=",
            "lang=\"en\"",
            "#main",
        ] {
            assert!(page.contains(part), "{part} in {path}: {page}");
        }
        for never in [
            "http:", "https:", "<b>", "style=", "onclick", "<script>", "<style",
        ] {
            let found = page.replace("aria-hidden=\"true\"", "").contains(never);
            assert!(!found, "{never} in {path}: {page}");
        }
    }
    let policy = edge.get("/").header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
    let headers = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "deny"),
        ("referrer-policy", "no-referrer"),
        ("strict-transport-security", "max-age=31536000"),
    ];
    for path in ["/", "/nowhere", "/api/v1/fleet", "/healthz"] {
        let reply = edge.get(path);
        for (name, value) in headers {
            assert_eq!(reply.header(name), value, "{name} of {path}");
        }
    }
}

/// Bytes of a page and its assets, compressed, with heads.
fn weight(edge: &Edge, path: &str) -> usize {
    let page = edge.get(path).text();
    let own = |word: &&str| word.starts_with("/assets/");
    let assets: Vec<_> = page.split('"').filter(own).map(str::to_owned).collect();
    assert!(assets.len() >= 3, "{page}");
    let fetch = |path: &str| {
        let reply = edge.get_with(path, "Accept-Encoding: gzip, br\r\n");
        assert_eq!(
            (reply.status, reply.header("content-encoding")),
            (200, "gzip"),
            "{path}"
        );
        if path.starts_with("/assets/") {
            let immutable = "public, max-age=31536000, immutable";
            assert_eq!(reply.header("cache-control"), immutable);
        }
        reply.head.len() + reply.body.len()
    };
    fetch(path) + assets.iter().map(|path| fetch(path)).sum::<usize>()
}

#[test]
fn a_page_with_its_assets_is_small() {
    let edge = Edge::new();
    let (fleet, host) = (weight(&edge, "/"), weight(&edge, "/hosts/Shop"));
    assert!(fleet < 20_000 && host < 50_000, "{fleet} and {host} bytes");
}

#[test]
fn an_unchanged_body_is_not_sent_again() {
    let edge = Edge::new();
    for path in [
        "/api/v1/fleet",
        "/api/v1/alerts",
        "/api/v1/openapi.json",
        "/badge.svg",
    ] {
        let first = edge.get(path);
        let tag = first.header("etag").replace("w/", "W/");
        assert!(first.status == 200 && !tag.is_empty(), "{path}");
        let again = edge.get_with(path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    let head = edge.send(b"HEAD /api/v1/fleet HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let fleet = edge.get("/api/v1/fleet").json();
    assert_eq!(fleet["hosts"][0]["metrics"]["cpu"], 0.5);
    let alerts = edge.get("/api/v1/alerts").json();
    assert_eq!(alerts["alerts"][0]["rule"], "disk-full");
    assert_eq!(alerts["alerts"][0].get("summary"), None);
    let sparks = edge.get("/api/v1/sparks?metric=cpu").json();
    assert_eq!(sparks["hosts"]["Shop"].as_array().unwrap().len(), 30);
}

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn watch(edge: &Edge, headers: &str) -> (u16, TcpStream) {
    let mut stream = edge.connect();
    let head = format!("GET /api/v1/live HTTP/1.1\r\nHost: x\r\n{UPGRADE}{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), stream)
}

/// The next WebSocket frame: its first byte and its payload.
fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let length = match head[1] {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            usize::from(u16::from_be_bytes(length))
        }
        short => usize::from(short),
    };
    let mut content = vec![0; length];
    stream.read_exact(&mut content).unwrap();
    (head[0], content)
}

#[test]
fn a_protocol_error_ends_one_viewer_and_not_the_others() {
    let edge = Edge::new();
    let (status, mut good) = watch(&edge, "");
    assert_eq!(status, 101);
    let (first, content) = frame(&mut good);
    let fleet: Value = serde_json::from_slice(&content).unwrap();
    assert_eq!((first, &fleet["schema"]), (0x81, &1.into()));
    let cases: [(&[u8], u16); 4] = [
        (&[0xff; 64], 1002),
        (b"\x81\x02hi", 1002),
        (&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'], 1008),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8], 1000),
    ];
    for (garbage, wanted) in cases {
        let (_, mut bad) = watch(&edge, "");
        bad.write_all(garbage).unwrap();
        let why = loop {
            let (first, content) = frame(&mut bad);
            if first == 0x88 {
                break u16::from_be_bytes([content[0], content[1]]);
            }
        };
        assert_eq!(why, wanted);
    }
    // A ping is answered, and updates go on.
    good.write_all(&[0x89, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .unwrap();
    let mut seen = [false; 2];
    while seen != [true; 2] {
        match frame(&mut good) {
            (0x8a, content) => seen[0] = content == b"hi",
            (first, _) => seen[1] = first == 0x81,
        }
    }
    let events = edge.connect();
    (&events)
        .write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut received = Vec::new();
    while !String::from_utf8_lossy(&received).contains("data: {\"as_of_ms\"") {
        let mut some = [0; 512];
        let read = (&events).read(&mut some).unwrap();
        received.extend(&some[..read]);
        assert!(read > 0);
    }
}

#[test]
fn requests_and_viewers_of_one_address_are_limited() {
    let edge = Edge::new();
    let from = |address: &str| format!("X-Forwarded-For: {address}\r\n");
    let status = |address: &str| edge.get_with("/healthz", &from(address)).status;
    let codes: Vec<_> = (0..201).map(|_| status("9.9.9.9")).collect();
    assert!(codes[..200].iter().all(|code| *code == 200));
    assert_eq!(codes[200], 429);
    assert_eq!(status("8.8.8.8"), 200);
    let watched: Vec<_> = (0..33).map(|_| watch(&edge, &from("7.7.7.7"))).collect();
    let accepted = watched.iter().filter(|(status, _)| *status == 101).count();
    assert_eq!((accepted, watched.last().unwrap().0), (32, 429));
    assert_eq!(watch(&edge, &from("6.6.6.6")).0, 101);
}

#[test]
fn a_private_page_requires_a_login() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("logins");
    std::fs::write(&file, "jane:secret\n").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&file, open).unwrap();
        assert!(
            Logins::read(&file)
                .unwrap_err()
                .to_string()
                .contains("chmod")
        );
        let closed = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, closed).unwrap();
    }
    let options = Options {
        access: Access::Logins(Logins::read(&file).unwrap()),
        ..Options::default()
    };
    let edge = Edge::start(options, None);
    let login = "Authorization: Basic amFuZTpzZWNyZXQ=\r\n";
    for path in [
        "/",
        "/api/v1/fleet",
        "/metrics",
        "/badge.svg",
        "/nowhere",
        "/api/v1/live",
    ] {
        let reply = edge.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.header("www-authenticate").starts_with("basic"));
        assert_ne!(edge.get_with(path, login).status, 401, "{path}");
    }
    // Neither pages nor badges nor refusals are stored anywhere; what is the same for everybody may be.
    edge.update(&["Shop"]);
    for path in [
        "/",
        "/hosts/Shop",
        "/badge.svg",
        "/badge/Shop.svg",
        "/api/v1/fleet",
        "/metrics",
        "/nowhere",
    ] {
        for headers in ["", login] {
            let reply = edge.get_with(path, headers);
            let cache = reply.header("cache-control");
            assert_eq!(cache, "private, no-store", "{path} {}", reply.status);
            assert_eq!(
                reply.header("cross-origin-resource-policy"),
                "same-origin",
                "{path}"
            );
        }
    }
    assert!(
        !edge
            .get_with("/assets/app.js", login)
            .header("cache-control")
            .contains("private")
    );
    assert_eq!(edge.get("/healthz").status, 200);
    let foreign = format!("{login}Origin: https://elsewhere.example\r\n");
    assert_eq!(watch(&edge, &foreign).0, 403);
    assert_eq!(watch(&edge, &format!("{login}Origin: http://x\r\n")).0, 101);
}

#[test]
fn users_that_a_trusted_proxy_names_may_see_the_page() {
    let behind = |proxy: &str| {
        let options = Options {
            proxies: vec![proxy.parse::<std::net::IpAddr>().unwrap().into()],
            access: Access::Proxy("X-Forwarded-User".parse().unwrap()),
            ..Options::default()
        };
        Edge::start(options, None)
    };
    let (edge, elsewhere) = (behind("127.0.0.1"), behind("10.0.0.1"));
    let jane = "X-Forwarded-User: jane@example.org\r\n";
    for path in [
        "/",
        "/api/v1/fleet",
        "/metrics",
        "/badge.svg",
        "/api/v1/live",
    ] {
        assert_eq!(edge.get(path).status, 403, "{path}");
        assert_ne!(edge.get_with(path, jane).status, 403, "{path}");
        // From another address anybody can set the header.
        assert_eq!(elsewhere.get_with(path, jane).status, 403, "{path}");
    }
    let twice = format!("{jane}X-Forwarded-User: joe\r\n");
    for headers in ["X-Forwarded-User: \r\n", "X-Remote-User: jane\r\n", &twice] {
        assert_eq!(edge.get_with("/", headers).status, 403, "{headers}");
    }
    assert_eq!(edge.get("/healthz").status, 200);
    let foreign = format!("{jane}Origin: https://elsewhere.example\r\n");
    assert_eq!(watch(&edge, &foreign).0, 403);
    assert_eq!(watch(&edge, jane).0, 101);
}

#[test]
fn certificates_in_files_make_it_https() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["page.example".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    assert!(Tls::read(key.clone(), certificate.clone()).is_err());
    let tls = Tls::read(certificate, key).unwrap();
    let edge = Edge::start(Options::default(), Some(tls));
    assert!(edge.url.starts_with("https://"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = |config| {
        let name = "page.example".try_into().unwrap();
        let session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        rustls::StreamOwned::new(session, edge.connect())
    };
    let mut stream = client(config.clone());
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    assert_eq!(Reply::read(&mut stream).status, 200);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut stream = client(config);
    // The preface, and settings that change nothing.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(head[3], 4, "settings come first");
    // A request without TLS gets no response.
    assert_eq!(edge.get("/healthz").status, 0);
}
