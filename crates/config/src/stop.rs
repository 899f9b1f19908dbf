//! Signals that stop a program or make it reload its configuration.

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Completes on SIGINT, SIGTERM or SIGHUP.
pub async fn stop_signal() {
    let mut hangups = Hangups::new();
    tokio::select! {
        () = end_signal() => {}
        _ = hangups.next() => {}
    }
}

/// Completes on SIGINT or SIGTERM, for programs that reload on SIGHUP (see [`Hangups`]).
pub async fn end_signal() {
    #[cfg(unix)]
    {
        let mut waiting = tokio::task::JoinSet::new();
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            // Without a handler the signal ends the program at once.
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
    /// A request to reload the configuration.
    Reload,
    /// The terminal that started the program was closed.
    TerminalGone,
}

/// Receives SIGHUP; never yields on systems without it.
#[derive(Debug)]
pub struct Hangups {
    #[cfg(unix)]
    signal: Option<Signal>,
    #[cfg(unix)]
    had_terminal: bool,
}

impl Hangups {
    /// Starts receiving.
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
            // Standard input stops being a terminal when the terminal is closed.
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
