//! A receiver of webhooks, for tests.

use std::io::{Read, Write};
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let log: Arc<(Mutex<Log>, Condvar)> = Arc::default();
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                let answer = answers.get(number).or(answers.last()).copied();
                let log = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, answer.unwrap(), &log));
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
