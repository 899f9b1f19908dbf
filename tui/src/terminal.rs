//! The terminal: one write a frame of the cells that changed, and always given back as it was.

use std::io::{self, Write};
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

/// Whether the terminal is ours, so that whoever ends the program first gives it back.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// A terminal that shows frames.
#[derive(Debug)]
pub struct Terminal {
    output: Output,
    shown: Buffer,
    next: Buffer,
    /// Nothing on the screen is known, so every cell is written.
    is_unknown: bool,
}

/// Collects a frame, and writes it at once.
#[derive(Debug, Default)]
struct Output {
    frame: Vec<u8>,
    written: u64,
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
    fn send(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let sent = out.write_all(&self.frame).and_then(|()| out.flush());
        self.written += self.frame.len() as u64;
        self.frame.clear();
        sent
    }
}

impl Terminal {
    /// Takes the terminal: raw mode, the alternate screen, no cursor, mouse clicks and wheel.
    pub fn enter(title: &str) -> io::Result<Self> {
        take(title)?;
        restore_on_panic();
        let size = size();
        let area = Rect::new(0, 0, size.width, size.height);
        Ok(Self {
            output: Output::default(),
            shown: Buffer::empty(area),
            next: Buffer::empty(area),
            is_unknown: true,
        })
    }

    /// Shows what `view` draws; writes nothing if that is what is there.
    pub fn draw(&mut self, view: impl FnOnce(Rect, &mut Buffer)) -> io::Result<()> {
        let area = self.next.area;
        self.next.reset();
        view(area, &mut self.next);
        let changed = self.shown.diff(&self.next);
        if changed.is_empty() && !self.is_unknown {
            return Ok(());
        }
        queue!(self.output, BeginSynchronizedUpdate)?;
        if self.is_unknown {
            queue!(self.output, Clear(ClearType::All))?;
            self.is_unknown = false;
        }
        CrosstermBackend::new(&mut self.output).draw(changed.into_iter())?;
        queue!(self.output, EndSynchronizedUpdate)?;
        self.output.send()?;
        std::mem::swap(&mut self.shown, &mut self.next);
        Ok(())
    }

    /// Takes the terminal's size anew, and draws every cell with the next frame.
    pub fn redraw(&mut self) -> Size {
        let size = size();
        let area = Rect::new(0, 0, size.width, size.height);
        self.shown = Buffer::empty(area);
        self.next = Buffer::empty(area);
        self.is_unknown = true;
        size
    }

    /// Puts a text on the clipboard, where the terminal lets programs do that (OSC 52).
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        self.output.frame.extend_from_slice(&clipboard(text));
        self.output.send()
    }

    /// Bytes written so far.
    pub fn bytes_written(&self) -> u64 {
        self.output.written
    }

    /// Leaves the terminal to the shell until it calls the program back.
    #[cfg(unix)]
    pub fn suspend(&mut self, title: &str) -> io::Result<()> {
        use rustix::process::{Signal, kill_current_process_group};
        leave();
        kill_current_process_group(Signal::TSTP)?;
        take(title)
    }

    /// There is no such thing here.
    #[cfg(not(unix))]
    pub fn suspend(&mut self, _title: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        leave();
    }
}

/// The terminal's size; 80×24 where it does not tell.
pub fn size() -> Size {
    match crossterm::terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => Size::new(width, height),
        _ => Size::new(80, 24),
    }
}

/// The sequence that sets the clipboard; base64 lets no control character of the text through.
fn clipboard(text: &str) -> Vec<u8> {
    format!("\x1b]52;c;{}\x07", BASE64.encode(text.as_bytes())).into_bytes()
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

/// Gives the terminal back as it was; harmless if it is not ours.
pub fn leave() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        // Whatever fails here, there is nobody left to tell.
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
    fn what_is_copied_is_encoded() {
        assert_eq!(clipboard("a\x07b"), b"\x1b]52;c;YQdi\x07");
    }
}
