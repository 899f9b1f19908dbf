//! What is kept over a restart: alerts that fire, and what waits for each route.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::super::desk::Open;
use super::super::engine::Alert;
use super::queue::Queue;

/// What was kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Kept {
    /// Alerts that fire.
    #[serde(default)]
    open: Vec<Open>,
    /// What waits, by the number of its route.
    #[serde(default)]
    waiting: Vec<(u32, Queue)>,
    /// Alerts that fire, as hubs kept them before they knew who was told.
    #[serde(default)]
    firing: Vec<Alert>,
}

#[derive(Serialize)]
struct ToKeep<'a> {
    open: Vec<&'a Open>,
    waiting: Vec<(u32, &'a Queue)>,
}

impl Kept {
    /// What is in a file; nothing if there is none or it makes no sense.
    pub fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Alerts that fire.
    pub fn firing(&self) -> Vec<Alert> {
        let open = self.open.iter().map(|open| &open.alert);
        open.chain(&self.firing).cloned().collect()
    }

    pub(super) fn into_parts(self) -> (Vec<Open>, HashMap<u32, Queue>) {
        let mut open = self.open;
        open.extend(self.firing.into_iter().map(|alert| Open {
            alert,
            told: true,
            acknowledged: None,
        }));
        let mut queues: HashMap<u32, Queue> = self.waiting.into_iter().collect();
        // Whether what was on its way arrived is not known: better twice than never.
        queues.values_mut().for_each(Queue::failed);
        (open, queues)
    }

    pub(super) fn to_text<'a>(
        open: impl Iterator<Item = &'a Open>,
        waiting: impl Iterator<Item = (u32, &'a Queue)>,
    ) -> String {
        let to_keep = ToKeep {
            open: open.collect(),
            waiting: waiting.collect(),
        };
        serde_json::to_string(&to_keep).unwrap_or_default()
    }
}

pub(super) fn write(path: &Path, text: &str) {
    let temporary = path.with_extension("new");
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
    if let Err(error) = written {
        tracing::warn!(
            "alerts are not kept over a restart: {}: {error}",
            path.display()
        );
    }
}
