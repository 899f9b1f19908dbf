//! Tries against servers on loopback, well-behaved and not.

use std::future::Future;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use sysmon_config::check::read_line;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const DAY_S: i64 = 86_400;

fn environment() -> Environment {
    Environment::new(Guard::default(), Clock::system())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// A server on loopback that answers each connection by `serve`; its port.
async fn server<F, S>(serve: S) -> u16
where
    S: Fn(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// A server that reads a request and answers with this text.
async fn answering(text: impl Into<String>) -> u16 {
    let text: Arc<str> = text.into().into();
    server(move |mut stream| {
        let text = Arc::clone(&text);
        async move {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(text.as_bytes()).await;
        }
    })
    .await
}

async fn tried(line: &str) -> Outcome {
    attempt(&read_line(line).unwrap(), &environment()).await
}

async fn why(line: &str) -> String {
    tried(line).await.is_up.unwrap_err()
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nX-Cache: HIT from a\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[test]
fn an_answer_is_compared_with_what_is_expected() {
    block_on(async {
        let port = answering(ok("all ok")).await;
        let url = format!("a: http://127.0.0.1:{port}/x");
        let outcome = tried(&format!(
            "{url} expect 200 body 'l ok' header 'x-cache: HIT'"
        ))
        .await;
        assert_eq!(outcome.is_up, Ok(()));
        assert!(outcome.phases.connect.is_some() && outcome.phases.first_byte.is_some());
        assert_eq!((outcome.phases.dns, outcome.phases.tls), (None, None));
        assert_eq!(
            why(&format!("{url} expect 204")).await,
            "status 200 instead of 204"
        );
        assert_eq!(
            why(&format!("{url} body 'not ok'")).await,
            "the text is not in the body"
        );
        assert!(
            why(&format!("{url} header 'x-cache: MISS'"))
                .await
                .contains("is not")
        );
        assert!(why(&format!("{url} header age")).await.contains("missing"));
        let down = answering("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(
            why(&format!("a: http://127.0.0.1:{down}/")).await,
            "status 503"
        );
    });
}

#[test]
fn a_port_that_is_closed_or_silent_is_down() {
    block_on(async {
        let port = server(|stream| async move {
            tokio::time::sleep(Duration::from_hours(1)).await;
            drop(stream);
        })
        .await;
        assert_eq!(
            tried(&format!("a: tcp 127.0.0.1:{port}")).await.is_up,
            Ok(())
        );
        let silent = why(&format!("a: http://127.0.0.1:{port}/ within 50ms")).await;
        assert_eq!(silent, "no answer within 50ms");
        let silent = why(&format!("a: tls 127.0.0.1:{port} within 50ms")).await;
        assert_eq!(silent, "no TLS handshake within 50ms");
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        let refused = why(&format!("a: tcp 127.0.0.1:{closed}")).await;
        assert_eq!(refused, format!("127.0.0.1:{closed}: connection refused"));
        assert!(
            why("a: tcp no-such-name.invalid:1")
                .await
                .contains("not known by name")
        );
        assert!(
            why("a: tcp 169.254.169.254:80")
                .await
                .contains("may not reach")
        );
    });
}

#[test]
fn servers_that_misbehave_cost_a_bounded_time_and_amount() {
    block_on(async {
        let drip = server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(b".").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        let slow = why(&format!("a: http://127.0.0.1:{drip}/ body ok within 200ms")).await;
        assert_eq!(slow, "the answer did not end within 200ms");
        let flood = server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let part = [b'x'; 65_536];
            while stream.write_all(&part).await.is_ok() {}
        })
        .await;
        let much = why(&format!("a: http://127.0.0.1:{flood}/ body ok")).await;
        assert_eq!(much, "the text is not in the first MiB of the body");
        let heads = server(|mut stream| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            while stream.write_all(b"X-A: b\r\n").await.is_ok() {}
        })
        .await;
        assert!(
            tried(&format!("a: http://127.0.0.1:{heads}/"))
                .await
                .is_up
                .is_err()
        );
        let other = answering("SSH-2.0-OpenSSH_9.2\r\n").await;
        let other = why(&format!("a: http://127.0.0.1:{other}/")).await;
        assert_eq!(other, "the answer is not HTTP/1.1");
        let gone = answering("").await;
        let gone = why(&format!("a: http://127.0.0.1:{gone}/")).await;
        assert_eq!(gone, "the connection ended before the answer");
    });
}

#[test]
fn redirects_end_and_never_lead_to_secrets_of_the_machine() {
    block_on(async {
        let to = |target: &str| {
            answering(format!(
                "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
            ))
        };
        let circle = to("/again").await;
        let url = format!("a: http://127.0.0.1:{circle}/");
        assert_eq!(why(&url).await, "more than 5 redirects");
        assert_eq!(tried(&format!("{url} expect 302")).await.is_up, Ok(()));
        let metadata = to("http://169.254.169.254/latest/meta-data/").await;
        let url = format!("a: http://127.0.0.1:{metadata}/");
        assert!(why(&url).await.contains("may not reach"));
        let target = answering(ok("here")).await;
        let found = to(&format!("http://127.0.0.1:{target}/")).await;
        let url = format!("a: http://127.0.0.1:{found}/ body here");
        assert_eq!(tried(&url).await.is_up, Ok(()));
    });
}

/// A server with a certificate of an authority of its own; its port, and an environment that trusts the authority.
async fn tls_server(days: i64) -> (u16, Environment) {
    let now = Clock::system().now().0 / 1000;
    let at =
        |days: i64| time::OffsetDateTime::from_unix_timestamp(now + days * DAY_S + 60).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority
        .distinguished_name
        .push(DnType::CommonName, "test");
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let leaf_key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (leaf.not_before, leaf.not_after) = (at(-400), at(days));
    let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();

    let mut environment = environment();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let provider = Arc::clone(&environment.provider);
    let trusted =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    environment.trusted = Some(trusted.build().unwrap());

    let key = rustls_pki_types::PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let port = server(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(ok("secure").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    (port, environment)
}

#[test]
fn a_certificate_is_verified_and_its_expiry_known_even_if_it_is_not_trusted() {
    block_on(async {
        let (port, trusting) = tls_server(9).await;
        let check = |line: String| read_line(&line).unwrap();
        let url = check(format!("a: https://localhost:{port}/ body secure"));
        let outcome = attempt(&url, &trusting).await;
        assert_eq!(outcome.is_up, Ok(()));
        assert_eq!(outcome.expiry_s.map(|left| left / DAY_S), Some(9));
        assert!(outcome.phases.tls.is_some());

        let distrusted = attempt(&url, &environment()).await;
        assert!(distrusted.is_up.unwrap_err().contains("does not trust"));
        assert_eq!(distrusted.expiry_s.map(|left| left / DAY_S), Some(9));
        let open = check(format!("a: tls localhost:{port} untrusted"));
        assert_eq!(attempt(&open, &environment()).await.is_up, Ok(()));

        let other = check(format!("a: tls 127.0.0.1:{port}"));
        let other = attempt(&other, &trusting).await;
        assert_eq!(
            other.is_up,
            Err("the certificate is for another name".to_owned())
        );

        let (port, trusting) = tls_server(-3).await;
        let expired = attempt(&check(format!("a: tls localhost:{port}")), &trusting).await;
        assert_eq!(
            expired.is_up,
            Err("the certificate expired 2 days ago".to_owned())
        );
        assert!(expired.expiry_s.is_some_and(|left| left < 0));

        let plain = answering("220 mail\r\n").await;
        let plain = attempt(&check(format!("a: tls localhost:{plain}")), &trusting).await;
        assert!(plain.is_up.unwrap_err().starts_with("no TLS handshake"));
    });
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs dnsmasq-base"]
fn records_of_a_real_server_are_compared() {
    block_on(async {
        let port = {
            let free = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap().port()
        };
        let server = Command::new("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--no-resolv",
                "--no-hosts",
                "--conf-file=/dev/null",
            ])
            .args([
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                "--user=root",
                "--pid-file=",
            ])
            .args([&format!("--port={port}")])
            .args([
                "--host-record=shop.test,192.0.2.7",
                "--mx-host=shop.test,mail.shop.test,10",
            ])
            .args(["--txt-record=shop.test,v=spf1 -all", "--local=/test/"])
            .stderr(Stdio::null())
            .spawn();
        let _server = Running(server.unwrap());
        let at = format!("at 127.0.0.1:{port}");
        for _ in 0..500 {
            if tried(&format!("a: dns shop.test A {at} within 1s"))
                .await
                .is_up
                .is_ok()
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for right in [
            format!("dns shop.test A {at} expect 192.0.2.7"),
            format!("dns shop.test MX {at} expect mail.shop.test"),
            format!("dns shop.test TXT {at} expect spf1"),
        ] {
            let outcome = tried(&format!("a: {right}")).await;
            assert_eq!(outcome.is_up, Ok(()), "{right}");
            assert!(outcome.phases.dns.is_some());
        }
        let other = why(&format!("a: dns shop.test A {at} expect 192.0.2.8")).await;
        assert_eq!(other, "no record A contains \"192.0.2.8\"");
        let none = why(&format!("a: dns shop.test AAAA {at}")).await;
        assert_eq!(none, "shop.test has no record AAAA");
        let unknown = why(&format!("a: dns nothing.test A {at}")).await;
        assert_eq!(unknown, "nothing.test has no record A");
        let silent = why("a: dns shop.test A at 127.0.0.1:9 within 300ms").await;
        assert!(silent.starts_with("no answer"), "{silent}");
    });
}

#[test]
#[ignore = "needs root"]
fn loopback_answers_a_ping() {
    // As distributions set it; without it the system refuses the socket.
    let range = "/proc/sys/net/ipv4/ping_group_range";
    if std::fs::read_to_string(range).is_ok_and(|text| text.starts_with('1')) {
        std::fs::write(range, "0 2147483647").unwrap();
    }
    block_on(async {
        let outcome = tried("a: ping 127.0.0.1").await;
        assert_eq!(outcome.is_up, Ok(()));
        assert!(outcome.phases.first_byte.is_some());
        assert!(why("a: ping 169.254.1.1").await.contains("may not reach"));
    });
}
