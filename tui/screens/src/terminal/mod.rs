//! The terminal: one write per frame of the cells that changed, and always restored at the end.
//!
//! A frame is written on a thread, and the next is drawn only after it was written: a slow connection gets fewer
//! frames, each of the newest data, and delays neither keys nor replies.

pub mod colours;
mod difference;

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, SetTitle, disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute, queue};
use data_encoding::BASE64;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use tokio::task::{JoinHandle, spawn_blocking};

use self::colours::Colours;
use self::difference::{Print, write_difference};

/// Whether the terminal has to be restored, so that it is restored once, however the program ends.
static ENTERED: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
pub struct Terminal {
    output: Output,
    colours: Colours,
    shown: Vec<Print>,
    next: Buffer,
    /// Nothing on the screen is known, so every cell is written.
    is_unknown: bool,
    reference: Option<Reference>,
}

/// What ratatui's own backend would write for the same frames.
#[derive(Debug, Default)]
struct Reference {
    before: Buffer,
    bytes: u64,
}

impl Reference {
    fn add(&mut self, next: &Buffer, is_whole: bool) -> io::Result<()> {
        if is_whole || self.before.area != next.area {
            self.before = Buffer::empty(next.area);
        }
        let mut written = Vec::new();
        let changed = self.before.diff(next);
        CrosstermBackend::new(&mut written).draw(changed.into_iter())?;
        self.bytes += written.len() as u64;
        self.before.clone_from(next);
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Output {
    frame: Vec<u8>,
    written: u64,
    /// The frame that is being written; returns its buffer.
    sending: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// The backend flushes after every command; only [`Output::send`] writes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn send(&mut self) {
        let mut frame = mem::take(&mut self.frame);
        self.written += frame.len() as u64;
        self.sending = Some(spawn_blocking(move || {
            let mut out = io::stdout().lock();
            out.write_all(&frame)?;
            out.flush()?;
            frame.clear();
            Ok(frame)
        }));
    }

    /// Waits until everything is written. The write goes on if this is cancelled.
    async fn sent(&mut self) -> io::Result<()> {
        if let Some(sending) = &mut self.sending {
            let frame = sending.await;
            self.sending = None;
            self.frame = frame.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

impl Terminal {
    /// Prepares the terminal: raw mode, the alternate screen, no cursor, mouse clicks and wheel.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn enter(title: &str) -> io::Result<Self> {
        take(title)?;
        restore_on_panic();
        let size = size();
        let area = Rect::new(0, 0, size.width, size.height);
        Ok(Self {
            output: Output::default(),
            colours: colours(),
            shown: Vec::new(),
            next: Buffer::empty(area),
            is_unknown: true,
            reference: None,
        })
    }

    /// Counts from now on what ratatui's own backend would write.
    pub fn compare(&mut self) {
        self.reference = Some(Reference::default());
    }

    /// Bytes that ratatui's own backend would have written, if they are counted.
    pub fn bytes_of_reference(&self) -> Option<u64> {
        self.reference.as_ref().map(|reference| reference.bytes)
    }

    pub fn colours(&self) -> Colours {
        self.colours
    }

    pub fn is_busy(&self) -> bool {
        self.output.sending.is_some()
    }

    /// Waits until the last frame is written. The write goes on if this is cancelled.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub async fn sent(&mut self) -> io::Result<()> {
        self.output.sent().await
    }

    /// Shows what `view` draws, unless the last frame is still being written; writes nothing if nothing changed.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub fn draw(&mut self, view: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        if self.is_busy() {
            return Ok(());
        }
        let area = self.next.area;
        self.next.reset();
        view(area, &mut self.next);
        if let Some(reference) = &mut self.reference {
            reference.add(&self.next, self.is_unknown)?;
        }
        queue!(self.output, BeginSynchronizedUpdate)?;
        if self.is_unknown {
            queue!(self.output, Clear(ClearType::All))?;
        }
        let begin = self.output.frame.len();
        let frame = &mut self.output.frame;
        write_difference(&mut self.shown, &self.next, self.colours, frame);
        let is_changed = self.output.frame.len() > begin;
        if !is_changed && !self.is_unknown {
            self.output.frame.clear();
            return Ok(());
        }
        self.is_unknown = false;
        queue!(self.output, EndSynchronizedUpdate)?;
        self.output.send();
        Ok(())
    }

    /// Reads the terminal's size, and draws every cell with the next frame.
    pub fn redraw(&mut self) -> Size {
        let size = size();
        let area = Rect::new(0, 0, size.width, size.height);
        self.shown.clear();
        self.next = Buffer::empty(area);
        self.is_unknown = true;
        size
    }

    /// Copies a text to the clipboard, if the terminal allows it (OSC 52).
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub async fn copy(&mut self, text: &str) -> io::Result<()> {
        self.sent().await?;
        self.output.frame.extend_from_slice(&clipboard(text));
        self.output.send();
        Ok(())
    }

    /// Rings the bell, and asks the terminal for a notification (OSC 9), which those that know none ignore.
    ///
    /// # Errors
    /// The terminal cannot be written.
    pub async fn ring(&mut self, text: &str) -> io::Result<()> {
        self.sent().await?;
        self.output.frame.extend_from_slice(&notification(text));
        self.output.send();
        Ok(())
    }

    pub fn bytes_written(&self) -> u64 {
        self.output.written
    }

    /// Returns to the shell until it resumes the program.
    ///
    /// # Errors
    /// The terminal cannot be written.
    #[cfg(unix)]
    pub async fn suspend(&mut self, title: &str) -> io::Result<()> {
        use rustix::process::{Signal, kill_current_process_group};
        self.sent().await?;
        leave();
        kill_current_process_group(Signal::TSTP)?;
        take(title)
    }

    /// Does nothing: this system cannot suspend programs.
    ///
    /// # Errors
    /// The terminal cannot be written.
    #[cfg(not(unix))]
    #[expect(clippy::unused_async, reason = "as on systems that can")]
    pub async fn suspend(&mut self, _title: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        leave();
    }
}

/// The terminal's size; 80×24 if unknown.
pub fn size() -> Size {
    match crossterm::terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => Size::new(width, height),
        _ => Size::new(80, 24),
    }
}

fn colours() -> Colours {
    let set = |name| std::env::var(name).unwrap_or_default();
    Colours::of(&set("TERM"), &set("COLORTERM"))
}

/// The sequence that sets the clipboard; base64 lets no control character of the text through.
fn clipboard(text: &str) -> Vec<u8> {
    format!("\x1b]52;c;{}\x07", BASE64.encode(text.as_bytes())).into_bytes()
}

/// The sequence of a notification, and the bell; no control character of the text gets through.
fn notification(text: &str) -> Vec<u8> {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    format!("\x1b]9;{plain}\x07\x07").into_bytes()
}

fn take(title: &str) -> io::Result<()> {
    enable_raw_mode()?;
    ENTERED.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableMouseCapture,
        EnableBracketedPaste,
        SetTitle(title),
        cursor::Hide
    )
}

/// Restores the terminal, if it was prepared.
pub fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // There is nowhere left to report an error.
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            DisableMouseCapture,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        leave();
        before(info);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_text_is_encoded() {
        assert_eq!(clipboard("a\x07b"), b"\x1b]52;c;YQdi\x07");
    }
}
