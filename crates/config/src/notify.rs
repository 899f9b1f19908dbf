//! Telling systemd how the service does (sd_notify(3)); elsewhere nothing happens.

use std::time::Duration;

/// Says that the service is up, in a few words that `systemctl status` shows.
pub fn ready(status: &str) {
    #[cfg(target_os = "linux")]
    {
        use sd_notify::NotifyState;
        // Without a service manager there is nobody to tell.
        let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = status;
}

/// Says that the service is ending.
pub fn stopping() {
    #[cfg(target_os = "linux")]
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

/// Says that the service is alive, for as long as this is awaited; so it has to be awaited by what
/// must not hang. Without a watchdog it waits for ever.
pub async fn watchdog() {
    #[cfg(target_os = "linux")]
    if let Some(limit) = sd_notify::watchdog_enabled() {
        let period = (limit / 2).max(Duration::from_millis(100));
        loop {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
            tokio::time::sleep(period).await;
        }
    }
    std::future::pending::<()>().await;
}
