//! A program on a pseudo-terminal, and what it shows.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::programs::PATIENCE;

/// Rows and columns of the terminal that is measured.
const ROWS: NonZeroU16 = NonZeroU16::new(40).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(120).unwrap();

/// Some programs ask where the cursor is before they begin, and the answer.
const WHERE: &[u8] = b"\x1b[6n";
const HERE: &[u8] = b"\x1b[1;1R";

/// A program on a pseudo-terminal.
pub(crate) struct OnTerminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    _master: Box<dyn portable_pty::MasterPty + Send>,
    screens: std::sync::mpsc::Receiver<String>,
    /// Bytes it has written.
    pub(crate) bytes: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl OnTerminal {
    /// Starts a program.
    pub(crate) fn start(program: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let size = PtySize {
            rows: ROWS.get(),
            cols: COLUMNS.get(),
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size)?;
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        let child = pair.slave.spawn_command(command)?;
        let mut reader = pair.master.try_clone_reader()?;
        let mut writer = pair.master.take_writer()?;
        let (sender, screens) = std::sync::mpsc::channel();
        let bytes = std::sync::Arc::<std::sync::atomic::AtomicU64>::default();
        let read = std::sync::Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                read.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
                let read = buffer.get(..n).unwrap_or_default();
                if read.windows(WHERE.len()).any(|bytes| bytes == WHERE) {
                    let _ = writer.write_all(HERE);
                }
                parser.process(read);
                if sender.send(parser.screen().contents()).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            _master: pair.master,
            screens,
            bytes,
        })
    }

    /// Waits until it shows this.
    pub(crate) fn wait_for(&self, wanted: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let screen = self.screens.recv_timeout(PATIENCE)?;
            if screen.contains(wanted) {
                return Ok(());
            }
        }
        bail!("{wanted:?} never came on the screen")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.process_id().unwrap_or(0)
    }
}
