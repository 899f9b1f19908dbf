//! What happens: `(state, message) → effects`. Pure.

mod act;
mod compare;
mod fleet;
mod give;
mod mouse;
mod palette;
mod panes;
mod preview;
#[cfg(test)]
mod tests;
mod timeline;
mod top;
mod travel;
mod typing;

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;
use sysmon_wire::message::TopBy;
use sysmon_wire::{Label, UnixMs};

use crate::keys::Mode;
use crate::state::compare::Question;
use crate::state::host::HostView;
use crate::state::{Feed, Link, State};
use crate::view;

/// How long a remark stays in the footer.
const REMARK_MS: i64 = 5_000;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize(Size),
    /// Time passed; this machine's clock.
    Tick(UnixMs),
    /// Something was done that is to be told.
    Told(String),
    /// The hub told something.
    Feed(Feed),
}

/// What the rim is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End the program.
    Quit,
    /// Leave the terminal to the shell.
    Suspend,
    /// Draw every cell anew.
    Redraw,
    /// Follow the fleet live, or show it as it was.
    WatchFleet {
        /// The moment; none for now.
        at: Option<UnixMs>,
    },
    /// Follow a host, or show it as it was.
    OpenHost {
        /// Its name.
        name: Label,
        /// The earliest row wanted.
        from: UnixMs,
        /// The latest; none to follow it live.
        until: Option<UnixMs>,
    },
    /// Stop following the host.
    CloseHost,
    /// Ask for ten samples a second of this host for a minute; none for no more.
    Burst(Option<Label>),
    /// Follow the host that is selected among all, from a moment on and until another; none no more.
    Preview(Option<(Label, UnixMs, Option<UnixMs>)>),
    /// Ask which of its processes used most.
    PreviewProcesses {
        /// The host.
        host: Label,
        /// The moment.
        at: UnixMs,
    },
    /// Ask when there are rows, and what happened.
    AskTimeline {
        /// To this host, or to all.
        host: Option<Label>,
        /// From this moment.
        from: UnixMs,
        /// Up to this one.
        to: UnixMs,
    },
    /// Ask what fires, and who takes care of it.
    AskAlerts,
    /// Whoever looks takes care of an alert.
    Acknowledge {
        /// The host.
        host: Label,
        /// The rule.
        rule: Label,
        /// Or does so no more, if not set.
        done: bool,
    },
    /// Follow the busiest processes of all hosts, or show those of a moment; none no more.
    WatchTop(Option<(Option<UnixMs>, TopBy)>),
    /// Ask for one metric of several hosts.
    Compare(Question),
    /// Put a text on the clipboard.
    Copy(String),
    /// Save a file that is not there yet.
    Export {
        /// What it is to be called.
        path: String,
        /// What is to stand in it.
        content: String,
    },
    /// Ask what is different from before.
    AskChanges {
        /// Of this host, or of all.
        host: Option<Label>,
        /// The moment; none for now.
        at: Option<UnixMs>,
    },
}

/// Takes a message.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = take(state, message);
    effects.extend(timeline::refresh(state));
    effects.extend(timeline::refresh_alerts(state));
    effects.extend(preview::refresh(state));
    effects.extend(compare::refresh(state));
    effects.extend(top::refresh(state));
    effects
}

fn take(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Key(event) => typing::key(state, event),
        Message::Mouse(event) => mouse::mouse(state, event),
        Message::Paste(text) => {
            typing::paste(state, &text);
            Vec::new()
        }
        Message::Resize(size) => {
            state.size = size;
            state.dirty = true;
            state.fleet.scroll(state.fleet_rows());
            vec![Effect::Redraw]
        }
        Message::Tick(local) => {
            tick(state, local);
            Vec::new()
        }
        Message::Told(text) => {
            state.dirty = true;
            remark(state, text);
            Vec::new()
        }
        Message::Feed(feed) => {
            state.dirty = true;
            take_feed(state, feed)
        }
    }
}

fn tick(state: &mut State, local: UnixMs) {
    let now = local - state.clock_offset_ms;
    // The clock shows seconds; only a new one is worth a frame.
    if now.floor(1000) != state.now.floor(1000) {
        state.dirty = true;
    }
    state.now = now;
    if state
        .remark
        .as_ref()
        .is_some_and(|(_, until)| now >= *until)
    {
        state.remark = None;
        state.dirty = true;
    }
}

fn take_feed(state: &mut State, feed: Feed) -> Vec<Effect> {
    match feed {
        Feed::Connecting { to } => {
            if !matches!(state.link, Link::Lost { .. }) {
                state.link = Link::Connecting { to };
            }
        }
        Feed::Connected {
            hub,
            version,
            clock_offset_ms,
        } => {
            state.clock_offset_ms = clock_offset_ms;
            state.timeline.forget_asked();
            state.timeline.alerts.forget_asked();
            state.compare.forget_asked();
            preview::forget(state);
            state.top.asked = None;
            state.hub = Some(hub.clone());
            state.link = Link::Connected { hub, version };
        }
        Feed::Lost {
            reason,
            retry_in_ms,
        } => {
            state.link = Link::Lost {
                reason,
                retry_at: state.now + retry_in_ms,
            };
        }
        Feed::FleetBegin => state.fleet.begin(),
        Feed::FleetResolution { step_ms } => state.fleet.set_resolution(step_ms),
        Feed::FleetComplete => {
            state.fleet.complete();
            state.timeline.forget_asked();
            state.fleet.scroll(state.fleet_rows());
        }
        Feed::Fleet(update) => {
            state.fleet.apply(update);
            state.fleet.scroll(state.fleet_rows());
        }
        Feed::HostBegin => {
            if let Some(host) = &mut state.host {
                *host = HostView::new(host.name.clone());
            }
        }
        Feed::HostResolution { step_ms } => {
            // What is shown of them is of another moment.
            state.processes.clear();
            if let Some(host) = &mut state.host {
                host.set_resolution(step_ms);
            }
        }
        Feed::HostLine(_) | Feed::HostSeries(_) | Feed::HostRows { .. } | Feed::HostComplete => {
            let taken = state.host.as_mut().map(|host| take_host(host, feed));
            if let Some(Err(error)) = taken {
                remark(state, error);
            }
        }
        Feed::Preview(feed) => {
            if let Some(preview) = &mut state.preview {
                match *feed {
                    Feed::HostBegin => preview.host = HostView::new(preview.host.name.clone()),
                    Feed::Processes { processes, .. } => preview.take_processes(processes),
                    // What cannot be read is told when the host is opened.
                    feed => drop(take_host(&mut preview.host, feed)),
                }
            }
        }
        Feed::Processes {
            time,
            all,
            processes,
        } => {
            state.processes.take(time, all, processes);
            state.processes.scroll(view::processes::rows(state.size));
        }
        Feed::Changes { time, changes } => {
            state.changes.take(time, changes);
            state.changes.scroll(view::changes::rows(state.size));
        }
        Feed::Top {
            time,
            hosts,
            processes,
        } => {
            state.top.take(time, hosts, processes);
            state.top.scroll(view::top::rows(state.size));
        }
        Feed::Timeline(timeline) => {
            state.timeline.take(timeline);
            state.timeline.scroll(view::events::rows(state.size));
        }
        Feed::Alerts(alerts) => timeline::take_alerts(state, alerts),
        Feed::BurstRefused { reason } => {
            state.burst = None;
            remark(state, reason.to_string());
        }
        Feed::Compare { number, line, part } => state.compare.take(number, line, &part),
        Feed::CompareComplete { number } => state.compare.complete(number),
        Feed::CompareRefused { reason } => state.compare.refused = Some(reason),
        Feed::Refused { reason } => {
            if let Some(host) = &mut state.host {
                host.refused = Some(reason.clone());
            }
            if state.place() == Mode::Top {
                state.top.refused = Some(reason.clone());
            }
            remark(state, reason.to_string());
        }
    }
    Vec::new()
}

/// Takes something about one host.
fn take_host(host: &mut HostView, feed: Feed) -> Result<(), String> {
    match feed {
        Feed::HostResolution { step_ms } => host.set_resolution(step_ms),
        Feed::HostLine(line) => host.line = Some(*line),
        Feed::HostSeries(table) => {
            return host.add_series(&table).map_err(|error| error.to_string());
        }
        Feed::HostRows { keyframe, block } => {
            return host
                .add_rows(keyframe, &block)
                .map_err(|error| error.to_string());
        }
        Feed::HostComplete => host.complete = true,
        _ => {}
    }
    Ok(())
}

fn remark(state: &mut State, text: String) {
    state.remark = Some((text, state.now + REMARK_MS));
}
