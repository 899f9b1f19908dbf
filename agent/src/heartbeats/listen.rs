//! Hears reports: a small HTTP server on loopback.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use sysmon_clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::book::Book;
use super::store::Store;
use crate::background::{Background, Publisher, Reading};

/// Reports at the same time.
const CONNECTIONS_MAX: usize = 16;

const HEAD_BYTES_MAX: usize = 16 << 10;

/// Time that one report may take.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often definitions are read again if they have changed, and whether one is late.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Hears reports at `address` from now on, of the heartbeats in an agent's state directory.
pub(crate) fn start(address: SocketAddr, store: Store, clock: Clock) -> Background {
    Background::spawn("heartbeats", move |publisher| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => {
                let heard = hear(address, Heard::new(store, clock, publisher));
                LocalSet::new().block_on(&runtime, heard);
            }
            Err(error) => tracing::warn!(%error, "cannot hear heartbeats"),
        }
    })
}

struct Heard {
    book: Book,
    store: Store,
    changed: Option<SystemTime>,
    clock: Clock,
    publisher: Publisher,
    /// What keeps it from working.
    problems: [Option<String>; 2],
}

const LISTENING: usize = 0;
const FILES: usize = 1;

impl Heard {
    fn new(store: Store, clock: Clock, publisher: Publisher) -> Self {
        let mut heard = Self {
            changed: store.changed(),
            book: Book::default(),
            store,
            clock,
            publisher,
            problems: [None, None],
        };
        match heard.store.load() {
            Ok(book) => heard.book = book,
            Err(error) => heard.problems[FILES] = Some(format!("heartbeats: {error}")),
        }
        heard
    }

    fn publish(&self) {
        let mut reading: Reading = self.book.reading(self.clock.now());
        let problems = self.problems.iter().flatten().cloned();
        reading.notes.extend(problems);
        self.publisher.publish(reading);
    }

    /// Reads the definitions again if they have changed.
    fn look(&mut self) {
        let changed = self.store.changed();
        if changed != self.changed {
            self.changed = changed;
            let read = self.store.reload(&mut self.book);
            self.note(read.err());
        }
        self.publish();
    }

    fn note(&mut self, problem: Option<super::StoreError>) {
        self.problems[FILES] = problem.map(|problem| format!("heartbeats: {problem}"));
    }

    /// What to answer to a report with this token.
    fn report(&mut self, token: &str, failed: Option<u8>) -> StatusCode {
        self.look();
        if self.book.beat(token, failed, self.clock.now()).is_none() {
            return StatusCode::UNAUTHORIZED;
        }
        let saved = self.store.save_beats(&self.book);
        self.note(saved.err());
        self.publish();
        StatusCode::NO_CONTENT
    }
}

async fn hear(address: SocketAddr, heard: Heard) {
    let heard = Rc::new(RefCell::new(heard));
    heard.borrow().publish();
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut listener = None;
    loop {
        if listener.is_none() {
            let bound = TcpListener::bind(address).await;
            let problem = bound.as_ref().err();
            let problem = problem.map(|e| format!("cannot hear heartbeats at {address}: {e}"));
            heard.borrow_mut().problems[LISTENING] = problem;
            listener = bound.ok();
        }
        let accepted = timeout(LOOK_EVERY, accept(listener.as_ref(), &connections)).await;
        let Ok(Some((stream, permit))) = accepted else {
            let mut heard = heard.borrow_mut();
            if heard.publisher.is_closed() {
                return;
            }
            heard.look();
            continue;
        };
        let heard = Rc::clone(&heard);
        tokio::task::spawn_local(async move {
            let _ = timeout(REPORT_TIMEOUT, serve(stream, &heard)).await;
            drop(permit);
        });
    }
}

/// The next connection, once there are few enough.
async fn accept(
    listener: Option<&TcpListener>,
    connections: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let permit = Arc::clone(connections).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, permit))
}

async fn serve(stream: TcpStream, heard: &RefCell<Heard>) {
    let service = service_fn(async |request: Request<Incoming>| {
        let (status, text) = answer(&request, heard);
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = status;
        Ok::<_, Infallible>(response)
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(request: &Request<Incoming>, heard: &RefCell<Heard>) -> (StatusCode, &'static str) {
    if request.method() != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "send a POST\n");
    }
    // The body is not read.
    let failed = match status(request.uri().path()) {
        Ok(failed) => failed,
        Err(problem) => return (StatusCode::NOT_FOUND, problem),
    };
    let authorization = request.headers().get(AUTHORIZATION);
    let token = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match heard.borrow_mut().report(token.unwrap_or(""), failed) {
        StatusCode::UNAUTHORIZED => (
            StatusCode::UNAUTHORIZED,
            "no heartbeat has this token: see sysmon-agent heartbeat list\n",
        ),
        status => (status, ""),
    }
}

/// The exit status that a path reports: `/` and `/0` success, `/7` a failure.
fn status(path: &str) -> Result<Option<u8>, &'static str> {
    match path.trim_matches('/') {
        "" | "0" => Ok(None),
        number => match number.parse::<u8>() {
            Ok(status) => Ok(Some(status)),
            Err(_) => Err("write / or the exit status of the job, such as /1\n"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_exit_status() {
        assert_eq!(status("/"), Ok(None));
        assert_eq!(status("/0"), Ok(None));
        assert_eq!(status("/137"), Ok(Some(137)));
        for wrong in ["/256", "/-1", "/backup", "/1/2"] {
            assert!(status(wrong).is_err(), "{wrong}");
        }
    }
}
