//! A program on a pseudo-terminal, and what it shows.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::programs::PATIENCE;

/// Rows and columns of a terminal.
pub(crate) type Size = (u16, u16);

/// Some programs ask where the cursor is before they begin, and the answer.
const WHERE: &[u8] = b"\x1b[6n";
const HERE: &[u8] = b"\x1b[1;1R";

/// What was on the screen after a read, and when that read came.
struct Shown {
    at: Instant,
    text: String,
}

/// A program on a pseudo-terminal.
pub(crate) struct OnTerminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    writer: Arc<Mutex<Box<dyn Write + Send>>>,
    _master: Box<dyn MasterPty + Send>,
    screens: Receiver<Shown>,
    bytes: Arc<AtomicU64>,
    started: Instant,
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OnTerminal {
    /// Starts a program.
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
        let (counted, answers) = (Arc::clone(&bytes), Arc::clone(&writer));
        std::thread::spawn(move || read(reader, parser, &counted, &answers, &sender));
        Ok(Self {
            child,
            writer,
            _master: pair.master,
            screens,
            bytes,
            started,
        })
    }

    /// Waits until it shows this; when that was.
    pub(crate) fn wait_for(&self, wanted: &str) -> anyhow::Result<Instant> {
        let shown = self.wait_until(PATIENCE, |text| text.contains(wanted))?;
        shown.with_context(|| format!("{wanted:?} never came on the screen"))
    }

    /// Waits so long for a screen that is as wanted; when it came.
    pub(crate) fn wait_until(
        &self,
        patience: Duration,
        is_wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Option<Instant>> {
        let end = Instant::now() + patience;
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            match self.screens.recv_timeout(rest) {
                Ok(shown) if is_wanted(&shown.text) => return Ok(Some(shown.at)),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the program has ended"),
            }
        }
    }

    /// The last screen it showed before it ended.
    pub(crate) fn last_words(&self) -> String {
        let mut last = String::new();
        while let Ok(shown) = self.screens.recv_timeout(PATIENCE) {
            last = shown.text;
        }
        last
    }

    /// Forgets what it has shown.
    pub(crate) fn forget(&self) {
        while self.screens.try_recv().is_ok() {}
    }

    /// Types this; when that was.
    pub(crate) fn type_in(&self, keys: &str) -> anyhow::Result<Instant> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let at = Instant::now();
        writer.write_all(keys.as_bytes())?;
        writer.flush()?;
        Ok(at)
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Bytes it has written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or(0)
    }
}

/// Reads what a program writes until it ends or nobody looks.
fn read(
    mut reader: Box<dyn Read + Send>,
    mut parser: vt100::Parser,
    counted: &AtomicU64,
    answers: &Mutex<Box<dyn Write + Send>>,
    screens: &mpsc::Sender<Shown>,
) {
    let mut buffer = [0; 65536];
    while let Ok(n @ 1..) = reader.read(&mut buffer) {
        let at = Instant::now();
        counted.fetch_add(n as u64, Ordering::Relaxed);
        let bytes = buffer.get(..n).unwrap_or_default();
        if bytes.windows(WHERE.len()).any(|bytes| bytes == WHERE) {
            let mut writer = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = writer.write_all(HERE);
        }
        parser.process(bytes);
        let text = parser.screen().contents();
        if screens.send(Shown { at, text }).is_err() {
            return;
        }
    }
}
