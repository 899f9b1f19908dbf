//! Receivers of webhooks and mail, for tests.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Longest time that a test waits for something.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What the receiver answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// A status line without a body.
    Status(&'static str),
    /// 429, and this many seconds in `Retry-After`.
    Busy(u32),
    /// 200, and as much of a gigabyte as the client reads.
    Endless,
    /// Nothing, until the client closes the connection.
    Hang,
}

#[derive(Debug, Default)]
struct Log {
    requests: Vec<String>,
    /// Answers whose body the client did not read to its end.
    cut_short: usize,
}

/// Answers one request per connection; the last answer is repeated.
#[derive(Debug)]
pub(super) struct Receiver {
    url: String,
    log: Arc<(Mutex<Log>, Condvar)>,
}

impl Receiver {
    pub(super) fn start(answers: Vec<Answer>) -> Self {
        let serve = move |number: usize, stream, log: &(Mutex<Log>, Condvar)| {
            let answer = answers.get(number).or(answers.last()).copied();
            serve(stream, answer.unwrap(), log);
        };
        Self::listen("http://ADDRESS/hook", serve)
    }

    /// A mail server without TLS, which answers letters with the given replies.
    pub(super) fn mail(replies: Vec<&'static str>) -> Self {
        let serve = move |number: usize, stream, log: &(Mutex<Log>, Condvar)| {
            let reply = replies.get(number).or(replies.last()).copied();
            // A client may disconnect at any time.
            let _ = receive_mail(stream, reply.unwrap(), log);
        };
        Self::listen(
            "mail:smtp://ADDRESS/?from=hub@example.org&to=me@example.org",
            serve,
        )
    }

    fn listen(
        url: &str,
        serve: impl Fn(usize, TcpStream, &(Mutex<Log>, Condvar)) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = url.replace("ADDRESS", &listener.local_addr().unwrap().to_string());
        let serve = Arc::new(serve);
        let log: Arc<(Mutex<Log>, Condvar)> = Arc::default();
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                let (log, serve) = (Arc::clone(&shared), Arc::clone(&serve));
                std::thread::spawn(move || serve(number, stream, &log));
            }
        });
        Self { url, log }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.log.0.lock().unwrap().requests.clone()
    }

    /// Waits for `count` requests.
    pub(super) fn wait_for(&self, count: usize) -> Vec<String> {
        self.wait(|log| (log.requests.len() >= count).then(|| log.requests.clone()))
    }

    /// Waits until an answer was cut short.
    pub(super) fn answer_was_cut_short(&self) {
        self.wait(|log| (log.cut_short > 0).then_some(()));
    }

    fn wait<T>(&self, find: impl Fn(&Log) -> Option<T>) -> T {
        let (log, changed) = &*self.log;
        let waited =
            changed.wait_timeout_while(log.lock().unwrap(), PATIENCE, |log| find(log).is_none());
        let (log, _) = waited.unwrap();
        find(&log).unwrap_or_else(|| panic!("not in time: {log:?}"))
    }
}

fn serve(mut stream: TcpStream, answer: Answer, log: &(Mutex<Log>, Condvar)) {
    let note = |change: &dyn Fn(&mut Log)| {
        change(&mut log.0.lock().unwrap());
        log.1.notify_all();
    };
    let request = read_request(&mut stream);
    note(&|log| log.requests.push(request.clone()));
    let head = |line: &str, length: &str| {
        format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Status(line) => drop(stream.write_all(head(line, "0").as_bytes())),
        Answer::Busy(seconds) => {
            let line = format!("429 Too Many Requests\r\nRetry-After: {seconds}");
            drop(stream.write_all(head(&line, "0").as_bytes()));
        }
        Answer::Hang => while stream.read(&mut [0; 64]).is_ok_and(|read| read > 0) {},
        Answer::Endless => {
            let _ = stream.write_all(head("200 OK", "1000000000").as_bytes());
            let body =
                (0..1_000_000_000 / 65_536).try_for_each(|_| stream.write_all(&[b'x'; 65_536]));
            if body.is_err() {
                note(&|log| log.cut_short += 1);
            }
        }
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        if n == 0 || length.is_some_and(|length| body.len() >= length) {
            return String::from_utf8_lossy(&request).into_owned();
        }
    }
}

/// The subset of RFC 5321 that receives a letter, whose text is logged.
fn receive_mail(
    stream: TcpStream,
    reply: &str,
    log: &(Mutex<Log>, Condvar),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"220 mx.example.org\r\n")?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match line.get(..4).unwrap_or_default() {
            "QUIT" => "221 Bye",
            "DATA" => {
                stream.get_mut().write_all(b"354 Go on\r\n")?;
                let mut letter = String::new();
                while !letter.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut letter)? == 0 {
                        return Ok(());
                    }
                }
                log.0.lock().unwrap().requests.push(text_of(&letter));
                log.1.notify_all();
                reply
            }
            _ => "250 Fine",
        };
        stream
            .get_mut()
            .write_all(format!("{answer}\r\n").as_bytes())?;
    }
}

/// The subject and the decoded text of a letter.
fn text_of(letter: &str) -> String {
    let (head, body) = letter.split_once("\r\n\r\n").unwrap();
    let body = body.strip_suffix("\r\n.\r\n").unwrap();
    let text = match head
        .split("Content-Transfer-Encoding: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
    {
        Some("base64") => {
            let one_line: String = body.split_whitespace().collect();
            String::from_utf8(data_encoding::BASE64.decode(one_line.as_bytes()).unwrap()).unwrap()
        }
        Some("quoted-printable") => unquoted(&body.replace("=\r\n", "")),
        _ => body.to_owned(),
    };
    let subject = head.lines().find(|line| line.starts_with("Subject: "));
    format!("{}\r\n\r\n{text}", subject.unwrap())
}

/// Decodes `=C3` and the like.
fn unquoted(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let hex = |rest: &mut std::str::Bytes<'_>| [rest.next().unwrap(), rest.next().unwrap()];
        match byte {
            b'=' => bytes.extend(data_encoding::HEXUPPER.decode(&hex(&mut rest)).unwrap()),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}
