//! The panel below the table: the selected host's last minutes.

use sysmon_wire::message::{Reply, Request};
use sysmon_wire::{Label, Process, UnixMs};

use crate::context::Context;
use crate::model::host_rows::{HostRows, WINDOW_MS};
use crate::model::long_history::HistoryRequests;
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
    /// When it was heard last, if it is silent.
    heard: Option<UnixMs>,
    history: HistoryRequests,
}

impl Preview {
    fn new(name: Label, heard: Option<UnixMs>, context: &Context) -> Self {
        let heard = heard.filter(|_| context.at.is_none());
        let end = heard.unwrap_or(context.moment());
        Self {
            host: HostRows::new(name),
            at: context.at,
            from: end - WINDOW_MS,
            processes: Vec::new(),
            processes_at: end,
            heard,
            history: HistoryRequests::default(),
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
        self.history.subscriptions(Topic::PreviewHistory, wanted);
    }

    fn receive(&mut self, reply: Reply, is_rows: bool, is_first: bool) {
        if is_rows && is_first {
            self.host.begin();
        }
        match reply {
            Reply::Processes { mut processes, .. } => {
                processes.sort_by_key(|process| std::cmp::Reverse(process.cpu_permille));
                self.processes = processes;
            }
            Reply::Complete if !is_rows => {}
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
    pub(super) fn follow(&mut self, selected: Option<(Label, Option<UnixMs>)>, context: &Context) {
        let Some((name, heard)) = selected else {
            *self = Self::default();
            return;
        };
        let (at, now) = (context.at, context.now);
        if let Some(preview) = &mut self.shown {
            let host = &mut preview.host;
            host.set_span(context.chart_span);
            let name = host.name.clone();
            let history = &mut preview.history;
            history.follow(Some(&name), context.chart_span, (now, preview.at), None);
        }
        let is_same = |preview: &&mut Preview| preview.host.name == name;
        if let Some(preview) = self.shown.as_mut().filter(is_same)
            && preview.at == at
            && (at.is_some() || preview.heard.is_some() == heard.is_some())
        {
            self.next = None;
            if at.is_none() && heard.is_none() && now - preview.processes_at >= PROCESSES_MS {
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
            self.shown = Some(Preview::new(name, heard, context));
        }
    }

    pub(super) fn subscriptions(&self, wanted: &mut Vec<Subscription>) {
        if let Some(preview) = &self.shown {
            preview.subscriptions(wanted);
        }
    }

    pub(super) fn receive(&mut self, topic: Topic, reply: Reply, is_first: bool) {
        if let Some(preview) = &mut self.shown {
            preview.receive(reply, topic == Topic::Preview, is_first);
        }
    }
}
