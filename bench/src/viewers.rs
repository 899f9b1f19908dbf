//! Many live viewers of an edge: whether each receives every update, and with what delay.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::swarm::now;

const CONNECTING_MAX: usize = 128;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Time between the last connection and the start of the measurement.
const SETTLE: Duration = Duration::from_secs(3);

/// One in this many viewers parses its updates; the others only count bytes and frames.
const PARSING_EVERY: usize = 50;

const HEAD_MAX: usize = 10;

thread_local! {
    /// The most recent read; shared by all viewers, because none keeps it.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// Decodes WebSocket messages from arbitrary pieces.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
    /// Whether the current frame ends its message.
    is_last: bool,
    /// The content so far, if it is to be parsed.
    content: Option<Vec<u8>>,
}

impl Frames {
    fn new(parses: bool) -> Self {
        Self {
            content: parses.then(Vec::new),
            ..Self::default()
        }
    }

    /// Decodes `bytes` and calls `on_message` at the end of each message. False for anything but unmasked text.
    fn decode(&mut self, mut bytes: &[u8], mut on_message: impl FnMut(&[u8])) -> bool {
        loop {
            if self.left > 0 {
                let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
                if let Some(content) = &mut self.content {
                    content.extend_from_slice(part);
                }
                self.left -= part.len();
                bytes = rest;
                if self.left > 0 {
                    return true;
                }
                if !self.is_last {
                    continue;
                }
                on_message(self.content.as_deref().unwrap_or_default());
                if let Some(content) = &mut self.content {
                    content.clear();
                }
            }
            let Some((byte, rest)) = bytes.split_first() else {
                return true;
            };
            self.head.push(*byte);
            bytes = rest;
            // An edge sends text, in one frame (0x81) or several (0x01, 0x00, …, 0x80).
            let first = self.head.first().copied().unwrap_or_default();
            if !matches!(first, 0x81 | 0x01 | 0x00 | 0x80) || self.head.len() > HEAD_MAX {
                return false;
            }
            self.is_last = first & 0x80 != 0;
            if let Some(length) = length(&self.head) {
                self.left = length;
                self.head.clear();
            }
        }
    }
}

fn length(head: &[u8]) -> Option<usize> {
    let big = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    match *head.get(1)? {
        126 => head.get(2..4).map(big),
        127 => head.get(2..10).map(big),
        short => Some(usize::from(short)),
    }
}

#[derive(Clone, Debug, Default)]
struct Seen {
    frames: u64,
    bytes: u64,
    is_lost: bool,
    /// Milliseconds from encoding at the edge to here; only of viewers that parse.
    late: Vec<i64>,
}

async fn connect(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /api/v1/live HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if tokio::io::AsyncReadExt::read(&mut stream, &mut byte).await? == 0 || head.len() > 4096 {
            bail!("the edge closed the connection");
        }
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        bail!(
            "{}",
            String::from_utf8_lossy(&head)
                .lines()
                .next()
                .unwrap_or_default()
        );
    }
    Ok(stream)
}

/// The time of an update, on the clock of the edge.
fn encoded_at(json: &[u8]) -> Option<i64> {
    let fleet: serde_json::Value = serde_json::from_slice(json).ok()?;
    fleet.get("now_ms")?.as_i64()
}

/// Receives updates until stopped; `counts` starts and stops counting.
async fn watch(stream: TcpStream, parses: bool, mut counts: watch::Receiver<Option<bool>>) -> Seen {
    let (mut frames, mut seen) = (Frames::new(parses), Seen::default());
    loop {
        let state = *counts.borrow_and_update();
        if state == Some(false) {
            return seen;
        }
        tokio::select! {
            changed = counts.changed() => if changed.is_err() {
                return seen;
            },
            ready = stream.readable() => {
                let is_open = ready.is_ok() && READ.with_borrow_mut(|buffer| match stream.try_read(buffer) {
                    Ok(0) => false,
                    Ok(length) => {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        seen.bytes += if state.is_some() { length as u64 } else { 0 };
                        frames.decode(bytes, |content| if state.is_some() {
                            seen.frames += 1;
                            let late = encoded_at(content).map(|encoded| now().0 - encoded);
                            seen.late.extend(late);
                        })
                    }
                    Err(error) => error.kind() == ErrorKind::WouldBlock,
                });
                if !is_open {
                    seen.is_lost = true;
                    return seen;
                }
            }
        }
    }
}

fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        // On failure, the first viewer without a file reports it.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// Follows the edge at `address` with `count` viewers for `span`, and returns the result as JSON.
pub async fn viewers(
    address: &str,
    count: usize,
    span: Duration,
) -> anyhow::Result<serde_json::Value> {
    raise_file_limit();
    let (control, counts) = watch::channel(None);
    let (start, mut watching, mut connecting) = (Instant::now(), JoinSet::new(), JoinSet::new());
    let mut number = 0;
    while number < count || !connecting.is_empty() {
        while number < count && connecting.len() < CONNECTING_MAX {
            let address = address.to_owned();
            connecting.spawn(async move { timeout(CONNECT_TIMEOUT, connect(&address)).await });
            number += 1;
        }
        let Some(connected) = connecting.join_next().await else {
            break;
        };
        let at = watching.len();
        let stream = connected?.context("the edge did not respond in time")?;
        let stream = stream.with_context(|| format!("viewer {at} cannot connect"))?;
        watching.spawn(watch(
            stream,
            at.is_multiple_of(PARSING_EVERY),
            counts.clone(),
        ));
    }
    let connected = start.elapsed();
    sleep(SETTLE).await;
    let (start, _) = (Instant::now(), control.send_replace(Some(true)));
    sleep(span).await;
    let seconds = start.elapsed().as_secs_f64();
    control.send_replace(Some(false));
    let seen = watching.join_all().await;
    Ok(report(&seen, connected, seconds))
}

fn report(seen: &[Seen], connected: Duration, seconds: f64) -> serde_json::Value {
    let mut frames: Vec<u64> = seen.iter().map(|one| one.frames).collect();
    frames.sort_unstable();
    let mut late: Vec<i64> = seen
        .iter()
        .flat_map(|one| one.late.iter().copied())
        .collect();
    late.sort_unstable();
    let of = |share: f64| (late.len().saturating_sub(1) as f64 * share) as usize;
    let rate = |frames: Option<&u64>| frames.map(|frames| *frames as f64 / seconds);
    json!({
        "viewers": seen.len(),
        "lost": seen.iter().filter(|one| one.is_lost).count(),
        "connected_ms": connected.as_millis() as u64,
        "updates_per_second_fewest": rate(frames.first()),
        "updates_per_second_median": rate(frames.get(frames.len() / 2)),
        "late_ms_median": late.get(of(0.5)),
        "late_ms_p99": late.get(of(0.99)),
        "late_ms_most": late.last(),
        "bytes_per_second": seen.iter().map(|one| one.bytes).sum::<u64>() as f64 / seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(content: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x81];
        match content.len() {
            short @ ..126 => frame.push(short as u8),
            long @ ..65536 => frame.extend([&[126], &(long as u16).to_be_bytes()[..]].concat()),
            huge => frame.extend([&[127], &(huge as u64).to_be_bytes()[..]].concat()),
        }
        frame.extend(content);
        frame
    }

    #[test]
    fn frames_are_decoded_from_any_pieces() {
        let all = [vec![b'a'; 5], vec![b'b'; 300], vec![b'c'; 70_000]];
        let bytes: Vec<u8> = all.iter().flat_map(|content| frame(content)).collect();
        for piece in [1, 7, 4096, bytes.len()] {
            let (mut frames, mut seen) = (Frames::new(true), Vec::new());
            for bytes in bytes.chunks(piece) {
                assert!(frames.decode(bytes, |content| seen.push(content.to_vec())));
            }
            assert_eq!(seen, all);
        }
        let mut parts = frame(b"ab");
        parts[0] = 0x01;
        parts.extend(frame(b"c"));
        parts[4] = 0x80;
        let (mut frames, mut seen) = (Frames::new(true), Vec::new());
        assert!(frames.decode(&parts, |content| seen.push(content.to_vec())));
        assert_eq!(seen, [b"abc"], "one message of two frames");
        let (mut frames, mut count) = (Frames::new(false), 0);
        assert!(frames.decode(&bytes, |content| count += 1 + content.len()));
        assert_eq!(count, 3, "no content is stored");
        assert!(!frames.decode(&[0x88, 2], |_| {}), "a close frame");
    }

    #[tokio::test]
    async fn updates_and_lost_connections_are_counted_per_viewer() {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut some = [0; 1024];
                    let _ = stream.read(&mut some).await;
                    let _ = stream.write_all(b"HTTP/1.1 101 x\r\n\r\n").await;
                    let ticks = if number == 0 { 35 } else { 1000 };
                    for _ in 0..ticks {
                        let json = format!("{{\"now_ms\":{}}}", now().0 - 5);
                        if stream.write_all(&frame(json.as_bytes())).await.is_err() {
                            return;
                        }
                        sleep(Duration::from_millis(100)).await;
                    }
                });
            }
        });
        let report = viewers(&address, 3, Duration::from_secs(1)).await.unwrap();
        assert_eq!(
            (&report["viewers"], &report["lost"]),
            (&3.into(), &1.into()),
            "{report}"
        );
        let rate = report["updates_per_second_median"].as_f64().unwrap();
        assert!((5.0..12.0).contains(&rate), "{report}");
        assert!(report["late_ms_median"].as_i64().unwrap() >= 5, "{report}");
    }
}
