//! Service notifications to systemd (sd_notify(3)); no-ops elsewhere.

use std::time::Duration;

/// Reports that the service is ready; `systemctl status` shows `status`.
pub fn ready(status: &str) {
    #[cfg(target_os = "linux")]
    {
        use sd_notify::NotifyState;
        // Fails without a service manager.
        let _ = sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)]);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = status;
}

/// Reports that the service is stopping.
pub fn stopping() {
    #[cfg(target_os = "linux")]
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
}

/// Feeds the watchdog while it is polled, so poll it on the task that must not hang. Without a watchdog it waits for ever.
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
