//! The program on a terminal: events in, frames out.

use std::io;
use std::time::{Duration, SystemTime};

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use sysmon_link::Connector;
use sysmon_wire::UnixMs;

use crate::feed::{Screen, channel};
use crate::save::save;
use crate::state::{Options, State};
use crate::terminal::Terminal;
use crate::update::{Effect, Message, update};

/// Messages taken between two frames, so that a flood of them cannot keep the screen from moving.
const BATCH: usize = 256;

/// What the terminal's title bar says.
const TITLE: &str = "sysmon";

/// Shows the hub's fleet until the user quits or `stop` is done.
pub async fn run(
    connector: &Connector,
    hub: &str,
    options: Options,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (screen, feeder) = channel();
    let mut terminal = Terminal::enter(TITLE)?;
    let shown = tokio::select! {
        shown = show(&mut terminal, options, screen) => shown,
        () = stop => Ok(()),
        () = feeder.run(connector, hub) => Ok(()),
    };
    drop(terminal);
    connector.close().await;
    shown
}

async fn show(terminal: &mut Terminal, options: Options, mut screen: Screen) -> io::Result<()> {
    let mut state = State::new(options);
    state.size = terminal.redraw();
    update(&mut state, Message::Tick(now()));
    let mut events = EventStream::new();
    loop {
        if std::mem::take(&mut state.dirty) {
            terminal.draw(|area, buffer| crate::view::draw(&state, area, buffer))?;
        }
        let message = tokio::select! {
            biased;
            event = events.next() => match event {
                Some(event) => of_event(event?),
                // Nobody can press a key any more: the terminal is gone.
                None => return Ok(()),
            },
            feed = screen.feed.recv() => feed.map(Message::Feed),
            () = tokio::time::sleep(until_next_second()) => None,
        };
        let mut messages = vec![Message::Tick(now())];
        messages.extend(message);
        while messages.len() < BATCH
            && let Ok(feed) = screen.feed.try_recv()
        {
            messages.push(Message::Feed(feed));
        }
        for message in messages {
            for effect in update(&mut state, message) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Suspend => {
                        terminal.suspend(TITLE)?;
                        state.size = terminal.redraw();
                        state.dirty = true;
                    }
                    Effect::Redraw => {
                        state.size = terminal.redraw();
                        state.dirty = true;
                    }
                    Effect::Copy(text) => terminal.copy(&text)?,
                    Effect::Export { path, content } => {
                        let told = Message::Told(save(&path, &content));
                        update(&mut state, told);
                    }
                    // The feeder lives as long as this screen.
                    asked => drop(screen.effects.send(asked)),
                }
            }
        }
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
