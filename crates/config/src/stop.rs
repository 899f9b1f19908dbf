//! When a program is told to stop, or to read its configuration again.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Done when somebody presses ctrl-C, closes the terminal, or the system asks the program to end.
pub async fn stop_signal() {
    let mut hangups = Hangups::new();
    tokio::select! {
        () = end_signal() => {}
        _ = hangups.next() => {}
    }
}

/// The same but for hang-ups, for programs that [`Hangups`] tell to read their configuration again.
pub async fn end_signal() {
    #[cfg(unix)]
    {
        let mut waiting = tokio::task::JoinSet::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // A signal that cannot be waited for ends the program the hard way, as it would anyway.
            if let Ok(mut signal) = signal(kind) {
                waiting.spawn(async move { signal.recv().await });
            }
        }
        waiting.join_next().await;
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// What a hang-up (SIGHUP) means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Somebody sent it: the configuration is to be read again.
    Reload,
    /// The terminal that the program was started from is gone, and with it whoever would stop it.
    TerminalGone,
}

/// Hang-ups from here on; where there is no such signal, none ever comes.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<Signal>,
    #[cfg(unix)]
    had_terminal: bool,
}

impl Hangups {
    /// Takes them from here on.
    pub fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: signal(SignalKind::hangup()).ok(),
            #[cfg(unix)]
            had_terminal: has_terminal(),
        }
    }

    /// Waits for the next.
    pub async fn next(&mut self) -> Hangup {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            // A terminal that is gone is no terminal any more: then this is its last message.
            return if self.had_terminal && !has_terminal() {
                Hangup::TerminalGone
            } else {
                Hangup::Reload
            };
        }
        std::future::pending().await
    }
}

impl Default for Hangups {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(unix)]
fn has_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}
