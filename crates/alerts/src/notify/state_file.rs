//! The state file, which survives a restart: firing alerts, and the delivery queue of each route.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::queue::DeliveryQueue;
use crate::Alert;
use crate::active::{ActiveAlert, ActiveAlerts};

/// Contents of the state file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct NotifierState {
    #[serde(default)]
    active: Vec<ActiveAlert>,
    /// By the number of the route.
    #[serde(default)]
    queues: Vec<(u32, DeliveryQueue)>,
}

#[derive(Serialize)]
struct NotifierStateRef<'a> {
    active: Vec<&'a ActiveAlert>,
    queues: Vec<(u32, &'a DeliveryQueue)>,
}

impl NotifierState {
    /// Loads a state file; empty if there is none or it is damaged.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Renames a host in a state file that no notifier uses.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn rename_host(path: &Path, from: &str, to: &str) -> std::io::Result<()> {
        let state = Self::load(path);
        if state.active.iter().all(|active| active.alert.host != from) {
            return Ok(());
        }
        let mut active = ActiveAlerts::new(state.active);
        active.rename_host(from, to);
        let queues = state.queues.iter().map(|(route, queue)| (*route, queue));
        let text = Self::to_text(active.iter(), queues);
        Ok(sysmon_files::write_private(path, text)?)
    }

    /// The firing alerts.
    pub fn firing(&self) -> Vec<Alert> {
        let alerts = self.active.iter().map(|active| &active.alert);
        alerts.cloned().collect()
    }

    pub(super) fn into_parts(self) -> (Vec<ActiveAlert>, HashMap<u32, DeliveryQueue>) {
        (self.active, self.queues.into_iter().collect())
    }

    pub(super) fn to_text<'a>(
        active: impl Iterator<Item = &'a ActiveAlert>,
        queues: impl Iterator<Item = (u32, &'a DeliveryQueue)>,
    ) -> String {
        let state = NotifierStateRef {
            active: active.collect(),
            queues: queues.collect(),
        };
        serde_json::to_string(&state).unwrap_or_default()
    }
}

pub(super) fn write(path: &Path, text: &str) {
    if let Err(error) = sysmon_files::write_private(path, text) {
        tracing::warn!(path = %path.display(), %error, "cannot write the alert state file");
    }
}
