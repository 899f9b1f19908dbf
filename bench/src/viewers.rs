//! Many who watch an edge's page live: whether each gets every update, and how late.

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

/// Who connect at the same time: an edge takes them one by one.
const AT_ONCE: usize = 128;

/// How long one waits to be let in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time in which nothing is counted, once all are there.
const SETTLE: Duration = Duration::from_secs(3);

/// One of so many looks into what it gets.
const LOOKS: usize = 50;

/// The most that a frame's head has before its content.
const HEAD_MAX: usize = 10;

thread_local! {
    /// What was read last: nobody keeps it, so one does for all.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// Messages of a WebSocket, from bytes in pieces of any size.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    left: usize,
    /// Whether the current frame ends its message.
    is_last: bool,
    /// The content so far, if it is looked into.
    kept: Option<Vec<u8>>,
}

impl Frames {
    fn new(looks: bool) -> Self {
        Self {
            kept: looks.then(Vec::new),
            ..Self::default()
        }
    }

    /// Takes what came; calls `whole` at the end of each message, and says whether all was as it should be.
    fn take(&mut self, mut bytes: &[u8], mut whole: impl FnMut(&[u8])) -> bool {
        loop {
            if self.left > 0 {
                let (content, rest) = bytes.split_at(self.left.min(bytes.len()));
                if let Some(kept) = &mut self.kept {
                    kept.extend_from_slice(content);
                }
                self.left -= content.len();
                bytes = rest;
                if self.left > 0 {
                    return true;
                }
                if !self.is_last {
                    continue;
                }
                whole(self.kept.as_deref().unwrap_or_default());
                if let Some(kept) = &mut self.kept {
                    kept.clear();
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

/// The length that a frame's head tells, once it is whole.
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

/// What one viewer saw.
#[derive(Clone, Debug, Default)]
struct Seen {
    frames: u64,
    bytes: u64,
    is_lost: bool,
    /// Milliseconds from the edge's encoding to here, of those who look.
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
            bail!("the edge said no");
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

/// The edge's clock in an update.
fn told_at(json: &[u8]) -> Option<i64> {
    let fleet: serde_json::Value = serde_json::from_slice(json).ok()?;
    fleet.get("now_ms")?.as_i64()
}

/// Watches until told to stop; counts once told to.
async fn watch(stream: TcpStream, looks: bool, mut counts: watch::Receiver<Option<bool>>) -> Seen {
    let (mut frames, mut seen) = (Frames::new(looks), Seen::default());
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
                let is_good = ready.is_ok() && READ.with_borrow_mut(|buffer| match stream.try_read(buffer) {
                    Ok(0) => false,
                    Ok(length) => {
                        let came = buffer.get(..length).unwrap_or_default();
                        seen.bytes += if state.is_some() { length as u64 } else { 0 };
                        frames.take(came, |content| if state.is_some() {
                            seen.frames += 1;
                            let late = told_at(content).map(|told| now().0 - told);
                            seen.late.extend(late);
                        })
                    }
                    Err(error) => error.kind() == ErrorKind::WouldBlock,
                });
                if !is_good {
                    seen.is_lost = true;
                    return seen;
                }
            }
        }
    }
}

/// As many files as the system gives.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        // If not, it is told which viewer has none.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

/// So many watch the edge at `address` for `span`; what came of it, as JSON.
pub async fn viewers(
    address: &str,
    count: usize,
    span: Duration,
) -> anyhow::Result<serde_json::Value> {
    raise_file_limit();
    let (tell, told) = watch::channel(None);
    let (start, mut watching, mut connecting) = (Instant::now(), JoinSet::new(), JoinSet::new());
    let mut number = 0;
    while number < count || !connecting.is_empty() {
        while number < count && connecting.len() < AT_ONCE {
            let address = address.to_owned();
            connecting.spawn(async move { timeout(PATIENCE, connect(&address)).await });
            number += 1;
        }
        let Some(connected) = connecting.join_next().await else {
            break;
        };
        let at = watching.len();
        let stream = connected?.context("an edge that lets nobody in")?;
        let stream = stream.with_context(|| format!("viewer {at} is not let in"))?;
        watching.spawn(watch(stream, at.is_multiple_of(LOOKS), told.clone()));
    }
    let connected = start.elapsed();
    sleep(SETTLE).await;
    let (start, _) = (Instant::now(), tell.send_replace(Some(true)));
    sleep(span).await;
    let seconds = start.elapsed().as_secs_f64();
    tell.send_replace(Some(false));
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
    fn frames_are_counted_however_they_come() {
        let all = [vec![b'a'; 5], vec![b'b'; 300], vec![b'c'; 70_000]];
        let bytes: Vec<u8> = all.iter().flat_map(|content| frame(content)).collect();
        for piece in [1, 7, 4096, bytes.len()] {
            let (mut frames, mut seen) = (Frames::new(true), Vec::new());
            for bytes in bytes.chunks(piece) {
                assert!(frames.take(bytes, |content| seen.push(content.to_vec())));
            }
            assert_eq!(seen, all);
        }
        let mut parts = frame(b"ab");
        parts[0] = 0x01;
        parts.extend(frame(b"c"));
        parts[4] = 0x80;
        let (mut frames, mut seen) = (Frames::new(true), Vec::new());
        assert!(frames.take(&parts, |content| seen.push(content.to_vec())));
        assert_eq!(seen, [b"abc"], "one message of two frames");
        let (mut frames, mut count) = (Frames::new(false), 0);
        assert!(frames.take(&bytes, |content| count += 1 + content.len()));
        assert_eq!(count, 3, "nothing is kept");
        assert!(!frames.take(&[0x88, 2], |_| {}), "the edge ends it");
    }

    #[tokio::test]
    async fn each_gets_what_is_said_and_who_is_lost_is_told() {
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
        let told = viewers(&address, 3, Duration::from_secs(1)).await.unwrap();
        assert_eq!(
            (&told["viewers"], &told["lost"]),
            (&3.into(), &1.into()),
            "{told}"
        );
        let rate = told["updates_per_second_median"].as_f64().unwrap();
        assert!((5.0..12.0).contains(&rate), "{told}");
        assert!(told["late_ms_median"].as_i64().unwrap() >= 5, "{told}");
    }
}
