//! A receiver of webhooks, for tests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What it answers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Answer {
    /// A status line, and nothing else.
    Status(&'static str),
    /// 200, and then as much as is taken of it.
    Endless,
    /// Nothing, for a long time.
    Hang,
}

/// Answers requests one after the other; the last answer is given to all that follow.
pub(in super::super) struct Receiver {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    pub(in super::super) fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else {
                    return;
                };
                let answer = answers.get(number).or(answers.last()).copied();
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, answer.unwrap(), &seen));
            }
        });
        Self { url, requests }
    }

    pub(in super::super) fn url(&self) -> &str {
        &self.url
    }

    pub(in super::super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Waits until it has so many requests.
    pub(in super::super) fn has(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let requests = self.requests();
            if requests.len() >= count {
                return requests;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "only {requests:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(mut stream: TcpStream, answer: Answer, seen: &Mutex<Vec<String>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = stream.read(&mut buffer).unwrap_or(0);
        request.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        if n == 0 || length.is_some_and(|length| body.len() >= length) {
            break;
        }
    }
    seen.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&request).into_owned());
    let head = |line: &str, length: &str| {
        format!("HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
    };
    match answer {
        Answer::Status(line) => drop(stream.write_all(head(line, "0").as_bytes())),
        Answer::Hang => std::thread::sleep(Duration::from_secs(30)),
        Answer::Endless => {
            let _ = stream.write_all(head("200 OK", "1000000000").as_bytes());
            while stream.write_all(&[b'x'; 65_536]).is_ok() {}
        }
    }
}
