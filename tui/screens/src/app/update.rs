//! What happens: `(state, message) → effects`. Pure.

use sysmon_wire::message::Reply;
use sysmon_wire::{Label, UnixMs};

use super::message::{Effect, Message};
use super::state::State;
use super::{act, mouse, navigation, typing, way};
use crate::context::Link;
use crate::feed::HubEvent;
use crate::keys::Mode;
use crate::screen::{Answer, Outcome};
use crate::subscriptions::Topic;

pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    let mut effects = handle(state, message);
    for screen in state.screens.all_mut() {
        screen.refresh(&state.context);
    }
    if state.context.is_connected() {
        let mut wanted = Vec::new();
        for screen in state.screens.all() {
            screen.subscriptions(&state.context, &mut wanted);
        }
        let changes = state.subscriptions.update(wanted);
        effects.extend(changes.into_iter().map(Effect::Hub));
    }
    effects
}

fn handle(state: &mut State, message: Message) -> Vec<Effect> {
    state.is_dirty |= !matches!(message, Message::Tick(_) | Message::Mouse(_));
    match message {
        Message::Key(event) => return typing::key(state, event),
        Message::Mouse(event) => return mouse::mouse(state, event),
        Message::Paste(text) => typing::paste(state, &text),
        Message::Resize(size) => {
            state.context.size = size;
            state.screens.of_mut(Mode::Fleet).reveal(&state.context);
            return vec![Effect::Redraw];
        }
        Message::Tick(local) => tick(state, local),
        Message::Remark(text) => state.remark(text),
        Message::Hub(event) => return receive(state, event),
    }
    Vec::new()
}

fn tick(state: &mut State, local: UnixMs) {
    let now = local - state.clock_offset_ms;
    // The clock shows seconds; only a new one is worth a frame.
    state.is_dirty |= now.floor(1000) != state.context.now.floor(1000);
    state.context.now = now;
    if state
        .remark
        .as_ref()
        .is_some_and(|(_, until)| now >= *until)
    {
        state.remark = None;
        state.is_dirty = true;
    }
}

fn receive(state: &mut State, event: HubEvent) -> Vec<Effect> {
    match event {
        HubEvent::Connecting { to } => {
            state.hub_address.clone_from(&to);
            if !matches!(state.context.link, Link::Lost { .. }) {
                state.context.link = Link::Connecting { to };
            }
        }
        HubEvent::Connected {
            hub,
            clock_offset_ms,
        } => {
            state.clock_offset_ms = clock_offset_ms;
            state.context.link = Link::Connected { hub };
            state.context.was_reached = true;
            state.subscriptions.clear();
            state.alarm.forget();
            state.screens.host.request(&state.context);
            for screen in state.screens.all_mut() {
                screen.disconnected();
            }
        }
        HubEvent::Lost {
            reason,
            retry_in_ms,
        } => {
            state.context.link = Link::Lost {
                reason,
                retry_at: state.context.now + retry_in_ms,
            };
        }
        HubEvent::Reply { serial, reply } => {
            if let Some((topic, is_first)) = state.subscriptions.topic(serial) {
                return deliver(state, topic, reply, is_first);
            }
        }
    }
    Vec::new()
}

/// Delivers a reply to its screen; `None` is the end of the replies.
pub fn deliver(
    state: &mut State,
    topic: Topic,
    mut reply: Option<Reply>,
    is_first: bool,
) -> Vec<Effect> {
    let mut known = state.arguments.iter_mut();
    if let Some((_, arguments)) = known.find(|(of, _)| *of == topic) {
        if is_first {
            arguments.clear();
        }
        match &mut reply {
            Some(Reply::Arguments(new)) => {
                arguments.add(std::mem::take(new));
                return Vec::new();
            }
            Some(list) => arguments.fill(list),
            None => {}
        }
    }
    match (topic, &reply) {
        (Topic::Fleet, Some(Reply::Complete)) => state.screens.events.forget_requested(),
        (Topic::Alerts, Some(Reply::Alerts(alerts))) => {
            state.screens.fleet.set_alert_marks(&alerts.alerts);
        }
        // The processes on screen are of another moment.
        (Topic::Host, Some(Reply::Resolution { .. })) => {
            state.screens.processes.clear();
            state.screens.host.set_processes(&[]);
        }
        (Topic::HostProcesses, Some(Reply::Processes { processes, .. })) => {
            state.screens.host.set_processes(processes);
        }
        _ => {}
    }
    let screen = state.screens.about(topic);
    let answer = Answer {
        topic,
        reply,
        is_first,
    };
    let is_whole = topic == Topic::Fleet && matches!(answer.reply, Some(Reply::Complete));
    let outcomes = screen.reply(answer, &mut state.context);
    let mut effects = act::apply(state, outcomes);
    if topic == Topic::Fleet && state.context.at.is_none() {
        let new = state.alarm.of(&state.screens.fleet, is_whole);
        effects.extend(new.map(Effect::Ring));
    }
    if is_whole && let Some((host, at)) = state.opens.take() {
        open_asked(state, host, at);
    } else if is_whole && std::mem::take(&mut state.opens_alone) {
        effects.extend(open_alone(state));
    }
    effects
}

/// Does what is asked of the application outside of a screen.
pub(super) fn carry_out(state: &mut State, outcomes: Vec<Outcome>) -> Vec<Effect> {
    act::apply(state, outcomes)
}

/// Shows the host and the moment that the command line asks for.
fn open_asked(state: &mut State, host: Option<Label>, at: Option<UnixMs>) {
    state.opens_alone = false;
    if let Some(host) = host {
        match state.screens.fleet.host(&host).is_some() {
            true => way::open_host(state, host),
            false => state.remark(format!("there is no host {host:?}")),
        }
    }
    if at.is_some() {
        navigation::show(state, at);
    }
}

/// Opens the host that is the only one, if nothing else was opened yet.
fn open_alone(state: &mut State) -> Vec<Effect> {
    let names: Vec<_> = state.screens.fleet.names().take(2).cloned().collect();
    let [name] = names.as_slice() else {
        return Vec::new();
    };
    let name = name.clone();
    match state.context.mode() {
        Mode::Fleet => act::apply(state, vec![Outcome::Open(name)]),
        _ => Vec::new(),
    }
}
