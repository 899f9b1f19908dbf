//! A webhook receiver and a mail server with TLS, as targets of notifications.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Received messages, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<Vec<String>>>);

impl Received {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// How many contain this text.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.all()
            .iter()
            .filter(|text| text.contains(words))
            .count()
    }

    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

/// Serves each connection on a thread of its own.
fn listen(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A webhook receiver that responds with an error until the flag is set.
pub(crate) fn webhook() -> (String, Received, Arc<AtomicBool>) {
    let received = Received::default();
    let accepts = Arc::new(AtomicBool::new(false));
    let (seen, is_accepted) = (received.clone(), Arc::clone(&accepts));
    let address = listen(move |stream| {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            let line = line.to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let is_accepted = is_accepted.load(Ordering::SeqCst);
        let status = if is_accepted { "200 OK" } else { "500 Not yet" };
        if is_accepted {
            seen.add(String::from_utf8(body).unwrap());
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let _ = reader.into_inner().write_all(answer.as_bytes());
    });
    (format!("http://{address}/hook"), received, accepts)
}

/// A mail server with implicit TLS and one user, whose certificate is written to `ca`.
pub(crate) fn mail_server(ca: &Path) -> (SocketAddr, Received) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(ca, made.cert.pem()).unwrap();
    let certificate: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let (config, received) = (Arc::new(config), Received::default());
    let seen = received.clone();
    let address = listen(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        // A client may disconnect at any time.
        let _ = converse(StreamOwned::new(session, stream), &seen);
    });
    (address, received)
}

/// The subset of RFC 5321 that receives a message.
fn converse(stream: impl Read + Write, received: &Received) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut is_known = false;
    let say = |stream: &mut BufReader<_>, text: &str| {
        let stream: &mut dyn Write = BufReader::get_mut(stream);
        stream.write_all(text.as_bytes())?;
        stream.flush()
    };
    say(&mut stream, "220 mx.example.org\r\n")?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        match line.get(..4).unwrap_or_default().to_uppercase().as_str() {
            "EHLO" => say(&mut stream, "250-mx.example.org\r\n250 AUTH PLAIN\r\n")?,
            "AUTH" => {
                // NUL hub NUL secret.
                is_known = line.trim_end().ends_with("AGh1YgBzZWNyZXQ=");
                let answer = if is_known {
                    "235 Welcome\r\n"
                } else {
                    "535 Who?\r\n"
                };
                say(&mut stream, answer)?;
            }
            "DATA" if is_known => {
                say(&mut stream, "354 Go on\r\n")?;
                let mut letter = String::new();
                while !letter.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut letter)? == 0 {
                        return Ok(());
                    }
                }
                received.add(letter);
                say(&mut stream, "250 Taken\r\n")?;
            }
            "QUIT" => return say(&mut stream, "221 Bye\r\n"),
            _ => say(&mut stream, "250 Fine\r\n")?,
        }
    }
}
