//! The program on a terminal: events in, frames out.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use sysmon_link::Connector;
use sysmon_wire::UnixMs;
use sysmon_wire::alerts::Alerts;

use crate::feed::{Screen, channel};
use crate::save::save;
use crate::state::{Feed, Options, State};
use crate::stats::Stats;
use crate::terminal::Terminal;
use crate::update::{Effect, Message, update};

/// Messages taken between two frames, so that a flood of them cannot keep the screen from moving.
const BATCH: usize = 256;

/// What the terminal's title bar says.
const TITLE: &str = "sysmon";

/// Time between two frames on a slow line, unless a key asks for one.
const SLOW_LINE: Duration = Duration::from_secs(5);

/// What hosts tell waits this long for what they tell besides, so that one frame shows all of it.
const WITH_OTHERS: Duration = Duration::from_millis(5);

/// A new second on the clock waits this long for what hosts tell of it.
const WITH_HOSTS: Duration = Duration::from_millis(60);

/// Shows the hub's fleet until the user quits or `stop` is done; what that took. `identity` is where the
/// connector's identity is kept when it has been renewed.
pub async fn run(
    connector: &Connector,
    hub: &str,
    options: Options,
    low_bandwidth: bool,
    identity: Option<&Path>,
    stop: impl Future<Output = ()>,
) -> io::Result<Stats> {
    let (screen, feeder) = channel();
    let start = Instant::now();
    let mut stats = Stats::default();
    let mut terminal = Terminal::enter(TITLE)?;
    let every = if low_bandwidth {
        SLOW_LINE
    } else {
        Duration::ZERO
    };
    let shown = tokio::select! {
        shown = show(&mut terminal, options, screen, every, &mut stats) => shown,
        () = stop => Ok(()),
        () = feeder.run(connector, hub, identity) => Ok(()),
    };
    stats.bytes = terminal.bytes_written();
    stats.ran = start.elapsed();
    drop(terminal);
    connector.close().await;
    shown.map(|()| stats)
}

async fn show(
    terminal: &mut Terminal,
    options: Options,
    mut screen: Screen,
    every: Duration,
    stats: &mut Stats,
) -> io::Result<()> {
    let mut state = State::new(options);
    state.size = terminal.redraw();
    update(&mut state, Message::Tick(now()));
    let mut events = EventStream::new();
    let mut drawn = Instant::now();
    // When what has changed is drawn; nothing has if not set.
    let mut due = Some(drawn);
    loop {
        if due.is_some_and(|due| due <= Instant::now()) && !terminal.is_busy() {
            (state.dirty, due) = (false, None);
            drawn = Instant::now();
            terminal.draw(|area, buffer| crate::view::draw(&state, area, buffer))?;
            stats.frames.add(drawn.elapsed());
        }
        let is_busy = terminal.is_busy();
        let message = tokio::select! {
            biased;
            event = events.next() => match event {
                Some(event) => of_event(event?),
                // Nobody can press a key any more: the terminal is gone.
                None => return Ok(()),
            },
            sent = terminal.sent(), if is_busy => {
                sent?;
                continue;
            }
            feed = screen.feed.recv() => feed.map(Message::Feed),
            () = tokio::time::sleep(until(due, is_busy)) => None,
        };
        let wait = match &message {
            None => Some(WITH_HOSTS),
            Some(Message::Feed(
                Feed::Fleet(_)
                | Feed::Preview(_)
                | Feed::HostRows { .. }
                | Feed::Processes { .. }
                | Feed::Top { .. }
                | Feed::Alerts(Alerts { changed: 0, .. }),
            )) => Some(WITH_OTHERS),
            // What a key does, and what it asks for, is drawn at once.
            Some(_) => None,
        };
        let mut messages = vec![Message::Tick(now())];
        messages.extend(message);
        while messages.len() < BATCH
            && let Ok(feed) = screen.feed.try_recv()
        {
            messages.push(Message::Feed(feed));
        }
        for message in messages {
            let start = Instant::now();
            let effects = update(&mut state, message);
            stats.updates.add(start.elapsed());
            for effect in effects {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Suspend => {
                        terminal.suspend(TITLE).await?;
                        state.size = terminal.redraw();
                        state.dirty = true;
                    }
                    Effect::Redraw => {
                        state.size = terminal.redraw();
                        state.dirty = true;
                    }
                    Effect::Copy(text) => terminal.copy(&text).await?,
                    Effect::Export { path, content } => {
                        let told = Message::Told(save(&path, &content));
                        update(&mut state, told);
                    }
                    // The feeder lives as long as this screen.
                    asked => drop(screen.effects.send(asked)),
                }
            }
        }
        if state.dirty {
            let soon = match wait {
                None => Instant::now(),
                Some(wait) => (Instant::now() + wait).max(drawn + every),
            };
            due = Some(due.map_or(soon, |due| due.min(soon)));
        }
    }
}

/// Time until something has to be done, if nothing happens.
fn until(due: Option<Instant>, is_busy: bool) -> Duration {
    let second = until_next_second();
    match due.filter(|_| !is_busy) {
        Some(due) => second.min(due.saturating_duration_since(Instant::now())),
        None => second,
    }
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// The clock on screen moves on whole seconds.
fn until_next_second() -> Duration {
    let ms = 1000 - now().0.rem_euclid(1000);
    Duration::from_millis(ms as u64)
}

fn of_event(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(key)),
        Event::Mouse(mouse) => Some(Message::Mouse(mouse)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(width, height) => {
            Some(Message::Resize(ratatui::layout::Size::new(width, height)))
        }
        _ => None,
    }
}
