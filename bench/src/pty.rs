//! A program in a pseudo-terminal, and its screen.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::programs::TIMEOUT;

pub(crate) type Size = (u16, u16);

/// The request for the cursor position, which some programs send first, and the response.
const CURSOR_REQUEST: &[u8] = b"\x1b[6n";
const CURSOR_RESPONSE: &[u8] = b"\x1b[1;1R";

/// The text on the screen after a read, and the time of the read.
struct Screen {
    at: Instant,
    text: String,
}

/// A program in a pseudo-terminal, killed on drop.
pub(crate) struct PtyProgram {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    _master: Box<dyn MasterPty + Send>,
    screens: Receiver<Screen>,
    bytes: Arc<AtomicU64>,
    started: Instant,
}

impl Drop for PtyProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl PtyProgram {
    pub(crate) fn start(program: &Path, args: &[&str], size: Size) -> anyhow::Result<Self> {
        let (rows, cols) = size;
        let pair = native_pty_system().openpty(PtySize {
            rows,
            cols,
            ..PtySize::default()
        })?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("COLORTERM", "truecolor");
        command.env("LANG", "C.UTF-8");
        command.env("TZ", "UTC");
        let started = Instant::now();
        let child = pair.slave.spawn_command(command)?;
        let reader = pair.master.try_clone_reader()?;
        let writer = Arc::new(Mutex::new(pair.master.take_writer()?));
        let (sender, screens) = mpsc::channel();
        let bytes = Arc::<AtomicU64>::default();
        let parser = vt100::Parser::new(
            rows.try_into().context("a terminal needs rows")?,
            cols.try_into().context("a terminal needs columns")?,
            0,
        );
        let (bytes_read, responses) = (Arc::clone(&bytes), Arc::clone(&writer));
        std::thread::spawn(move || read(reader, parser, &bytes_read, &responses, &sender));
        Ok(Self {
            child,
            writer,
            _master: pair.master,
            screens,
            bytes,
            started,
        })
    }

    /// Waits until the screen contains `text` and returns when it first did.
    pub(crate) fn wait_for(&self, text: &str) -> anyhow::Result<Instant> {
        let shown = self.wait_until(TIMEOUT, |screen| screen.contains(text))?;
        shown.with_context(|| format!("{text:?} did not appear on the screen within {TIMEOUT:?}"))
    }

    /// Waits for a matching screen and returns when it came; none after the time-out.
    pub(crate) fn wait_until(
        &self,
        time_out: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Option<Instant>> {
        let end = Instant::now() + time_out;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            match self.screens.recv_timeout(rest) {
                Ok(shown) if matches(&shown.text) => return Ok(Some(shown.at)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the program has exited; run it by hand to see why")
                }
            }
        }
    }

    /// The last screen that comes, at most until the time-out.
    pub(crate) fn last_screen(&self) -> String {
        let end = Instant::now() + TIMEOUT;
        let mut last = String::new();
        let rest = || end.saturating_duration_since(Instant::now());
        while let Ok(shown) = self.screens.recv_timeout(rest()) {
            last = shown.text;
        }
        last
    }

    pub(crate) fn discard(&self) {
        while self.screens.try_recv().is_ok() {}
    }

    pub(crate) fn type_in(&self, keys: &str) -> anyhow::Result<Instant> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        writer.write_all(keys.as_bytes())?;
        writer.flush()?;
        Ok(at)
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or(0)
    }
}

fn read(
    mut reader: Box<dyn Read + Send>,
    mut parser: vt100::Parser,
    bytes_read: &AtomicU64,
    responses: &Mutex<Box<dyn Write + Send>>,
    screens: &mpsc::Sender<Screen>,
) {
    let mut buffer = [0; 65536];
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        let at = Instant::now();
        bytes_read.fetch_add(n as u64, Ordering::Relaxed);
        let bytes = buffer.get(..n).unwrap_or_default();
        if bytes
            .windows(CURSOR_REQUEST.len())
            .any(|bytes| bytes == CURSOR_REQUEST)
        {
            let mut writer = responses.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writer.write_all(CURSOR_RESPONSE);
        }
        parser.process(bytes);
        let text = parser.screen().contents();
        if screens.send(Screen { at, text }).is_err() {
            return;
        }
    }
}
