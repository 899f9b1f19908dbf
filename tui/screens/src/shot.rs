//! One picture of the screen, without a terminal.

use std::time::SystemTime;

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_link::{Connector, LinkError, Replies};
use sysmon_wire::message::{Purpose, Reply, Request};
use sysmon_wire::{Label, UnixMs};

use crate::feed::{of_fleet, of_host, of_processes, of_timeline};
use crate::keys::Mode;
use crate::state::fleet::{CPU, RECEIVED, SPARK_POINTS, SPARK_STEP_MS};
use crate::state::host::{HostView, WINDOW_MS};
use crate::state::timeline::STEPS;
use crate::state::{Feed, Options, State};
use crate::update::{Effect, Message, update};

/// The screen as a terminal of `size` would show it: the fleet or one host, now or at a moment.
pub async fn screen(
    connector: &Connector,
    hub: &str,
    host: Option<&Label>,
    at: Option<UnixMs>,
    size: Size,
    options: Options,
) -> Result<Buffer, LinkError> {
    let mut state = State::new(options);
    state.size = size;
    update(
        &mut state,
        Message::Tick(UnixMs::from_system(SystemTime::now())),
    );
    let session = connector.connect(hub, Purpose::View).await?;
    let connected = Feed::Connected {
        hub: session.hub.clone(),
        version: session.version.clone(),
        clock_offset_ms: session.clock_offset_ms,
    };
    update(&mut state, Message::Feed(connected));
    state.at = at;
    let fleet = Request::Fleet {
        at,
        once: true,
        spark_points: SPARK_POINTS,
        spark_step_ms: SPARK_STEP_MS,
        sparks: vec![CPU as u8, RECEIVED as u8],
    };
    let mut effects = take(&mut state, session.request(&fleet).await?, of_fleet).await?;
    if let Some(name) = host {
        effects.clear();
        state.host = Some(HostView::new(name.clone()));
        state.mode = Mode::Host;
        let until = at.unwrap_or(state.now);
        let request = Request::Host {
            host: name.clone(),
            from: until - WINDOW_MS,
            until: Some(until),
        };
        take(&mut state, session.request(&request).await?, of_host).await?;
        let refused = state.host.as_ref().and_then(|host| host.refused.clone());
        if let Some(reason) = refused {
            return Err(LinkError::Refused(reason.to_string()));
        }
        let request = Request::Processes {
            host: name.clone(),
            at: Some(until),
        };
        // A moment without processes is shown without.
        let of_known =
            |reply| of_processes(reply).filter(|feed| !matches!(feed, Feed::Refused { .. }));
        take(&mut state, session.request(&request).await?, of_known).await?;
    }
    // What the panel below the table asks for, if there is room for one.
    for effect in effects {
        let Effect::Preview(Some((host, from, _))) = effect else {
            continue;
        };
        let until = Some(state.moment());
        let of_preview = |of: fn(Reply) -> Option<Feed>| {
            move |reply| of(reply).map(|feed| Feed::Preview(Box::new(feed)))
        };
        let processes = Request::Processes {
            host: host.clone(),
            at: until,
        };
        let rows = Request::Host { host, from, until };
        take(
            &mut state,
            session.request(&rows).await?,
            of_preview(of_host),
        )
        .await?;
        let replies = session.request(&processes).await?;
        take(&mut state, replies, of_preview(of_processes)).await?;
    }
    let window = state.timeline.window(state.now, state.at);
    let timeline = Request::Timeline {
        host: host.cloned(),
        from: window.from,
        to: window.to,
        steps: STEPS,
    };
    take(&mut state, session.request(&timeline).await?, of_timeline).await?;
    let area = Rect::new(0, 0, size.width, size.height);
    let mut buffer = Buffer::empty(area);
    crate::view::draw(&state, area, &mut buffer);
    Ok(buffer)
}

/// Takes what is told; what that asks for.
async fn take(
    state: &mut State,
    mut replies: Replies,
    of: impl Fn(Reply) -> Option<Feed>,
) -> Result<Vec<Effect>, LinkError> {
    let mut effects = Vec::new();
    while let Some(reply) = replies.next().await? {
        if let Some(feed) = of(reply) {
            effects.extend(update(state, Message::Feed(feed)));
        }
    }
    Ok(effects)
}
