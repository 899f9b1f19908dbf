//! The panel below the table: the selected host's last minutes.

use sysmon_wire::message::{Reply, Request};
use sysmon_wire::{Label, Process, UnixMs};

use crate::context::Context;
use crate::model::host_rows::{HostRows, WINDOW_MS};
use crate::subscriptions::{Subscription, Topic};

/// How long the selection has to rest: hosts passed while an arrow key is held are not requested.
const REST_MS: i64 = 300;

const PROCESSES_MS: i64 = 5_000;

#[derive(Debug)]
pub(super) struct Preview {
    pub host: HostRows,
    at: Option<UnixMs>,
    from: UnixMs,
    /// Those that use most CPU first.
    pub processes: Vec<Process>,
    processes_at: UnixMs,
}

impl Preview {
    fn new(name: Label, context: &Context) -> Self {
        Self {
            host: HostRows::new(name),
            at: context.at,
            from: context.moment() - WINDOW_MS,
            processes: Vec::new(),
            processes_at: context.moment(),
        }
    }

    fn subscriptions(&self, wanted: &mut Vec<Subscription>) {
        let rows = Request::Host {
            host: self.host.name.clone(),
            from: self.from,
            until: self.at,
        };
        let processes = Request::Processes {
            host: self.host.name.clone(),
            at: Some(self.processes_at),
        };
        wanted.push(Subscription::new(Topic::Preview, rows));
        wanted.push(Subscription::new(Topic::PreviewProcesses, processes));
    }

    fn receive(&mut self, reply: Reply, is_first_row: bool) {
        if is_first_row {
            self.host = HostRows::new(self.host.name.clone());
        }
        match reply {
            Reply::Processes { mut processes, .. } => {
                processes.sort_by_key(|process| std::cmp::Reverse(process.cpu_permille));
                self.processes = processes;
            }
            // What cannot be read is reported when the host is opened.
            reply => drop(self.host.receive(reply)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct PreviewPanel {
    pub shown: Option<Preview>,
    /// A host selected since, and when.
    next: Option<(Label, UnixMs)>,
}

impl PreviewPanel {
    /// Follows the selection; `selected` is `None` where the panel is hidden.
    pub(super) fn follow(&mut self, selected: Option<Label>, context: &Context) {
        let Some(name) = selected else {
            *self = Self::default();
            return;
        };
        let (at, now) = (context.at, context.now);
        let is_same = |preview: &&mut Preview| preview.host.name == name;
        if let Some(preview) = self.shown.as_mut().filter(is_same)
            && preview.at == at
        {
            self.next = None;
            if at.is_none() && now - preview.processes_at >= PROCESSES_MS {
                preview.processes_at = now;
            }
            return;
        }
        let has_rested = match &self.next {
            Some((other, since)) if *other == name => now - *since >= REST_MS,
            _ => {
                self.next = Some((name.clone(), now));
                false
            }
        };
        // The first one replaces nothing, and of the same host only the moment differs.
        let may_replace = match &self.shown {
            Some(preview) => preview.host.name == name,
            None => true,
        };
        if has_rested || may_replace {
            self.next = None;
            self.shown = Some(Preview::new(name, context));
        }
    }

    pub(super) fn subscriptions(&self, wanted: &mut Vec<Subscription>) {
        if let Some(preview) = &self.shown {
            preview.subscriptions(wanted);
        }
    }

    pub(super) fn receive(&mut self, topic: Topic, reply: Reply, is_first: bool) {
        if let Some(preview) = &mut self.shown {
            preview.receive(reply, is_first && topic == Topic::Preview);
        }
    }
}
