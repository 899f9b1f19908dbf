//! When a program is told to stop.

/// Done when somebody presses ctrl-C or the system asks the program to end.
pub async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut waiting = tokio::task::JoinSet::new();
        for kind in [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ] {
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
