//! The screen of one moment, without a terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_link::{Connector, HubSession, LinkError};
use sysmon_wire::message::{Purpose, Request};
use sysmon_wire::{Label, UnixMs};

use crate::app::{Effect, Message, Options, State, draw, open_host, update};
use crate::feed::HubEvent;
use crate::subscriptions::Change;

/// Rounds of requests: the fleet, what its reply leads to, and what follows from that.
const ROUNDS_MAX: usize = 4;

/// The screen as a terminal of `size` would show it: the fleet or one host, now or at a moment.
///
/// # Errors
/// The hub cannot be reached, or does not show the host.
pub async fn screen(
    connector: &Connector,
    hub: &str,
    host: Option<&Label>,
    at: Option<UnixMs>,
    size: Size,
    options: Options,
    now: UnixMs,
) -> Result<Buffer, LinkError> {
    let mut state = State::new(options);
    state.context.size = size;
    update(&mut state, Message::Tick(now));
    state.context.at = at;
    if let Some(name) = host {
        open_host(&mut state, name.clone());
    }
    let session = connector.connect(hub, Purpose::View).await?;
    let connected = HubEvent::Connected {
        hub: session.hub.clone(),
        clock_offset_ms: session.clock_offset_ms,
    };
    let mut effects = update(&mut state, Message::Hub(connected));
    for _ in 0..ROUNDS_MAX {
        effects = answer(&session, &mut state, effects).await?;
    }
    let refused = state
        .context
        .host
        .as_ref()
        .and_then(|host| host.refused.clone());
    if let Some(reason) = refused {
        return Err(LinkError::Refused(reason.to_string()));
    }
    let area = Rect::new(0, 0, size.width, size.height);
    let mut buffer = Buffer::empty(area);
    draw(&state, area, &mut buffer);
    Ok(buffer)
}

/// Sends the requests among the effects and handles their replies; returns the effects of those.
async fn answer(
    session: &HubSession,
    state: &mut State,
    effects: Vec<Effect>,
) -> Result<Vec<Effect>, LinkError> {
    let mut next = Vec::new();
    for effect in effects {
        let Effect::Hub(Change::Open { serial, request }) = effect else {
            continue;
        };
        let request = at_once(request, state.context.moment());
        let mut replies = session.request(&request).await?;
        loop {
            let reply = replies.next().await?;
            let is_last = reply.is_none();
            let event = HubEvent::Reply { serial, reply };
            next.extend(update(state, Message::Hub(event)));
            if is_last {
                break;
            }
        }
    }
    Ok(next)
}

/// The same request without updates that follow.
fn at_once(mut request: Request, moment: UnixMs) -> Request {
    match &mut request {
        Request::Fleet { once, .. } => *once = true,
        Request::Host { until: at, .. }
        | Request::Processes { at, .. }
        | Request::Top { at, .. } => {
            *at = at.or(Some(moment));
        }
        _ => {}
    }
    request
}
