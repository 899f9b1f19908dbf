//! The program on a terminal: events in, frames out.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_util::StreamExt;
use ratatui::layout::Size;
use sysmon_clock::{Clock, Random};
use sysmon_link::Connector;
use sysmon_wire::{Label, UnixMs};
use tokio::time::Instant;

use super::message::{Effect, Message};
use super::save::save;
use super::state::{Options, State};
use super::update::update;
use super::view::draw;
use crate::feed::{HubEvent, ScreenEnd, channel};
use crate::stats::Stats;
use crate::terminal::Terminal;

/// Messages handled between two frames, so that a flood of them cannot freeze the screen.
const BATCH: usize = 256;

const TITLE: &str = "sysmon";

/// Time between two frames on a slow line, unless a key asks for one.
const SLOW_LINE: Duration = Duration::from_secs(5);

/// Replies wait this long for further ones, so that one frame shows all of them.
const WITH_OTHERS: Duration = Duration::from_millis(5);

/// A new second on the clock waits this long for the hosts' rows of it.
const WITH_HOSTS: Duration = Duration::from_millis(60);

#[derive(Debug)]
pub struct RunOptions<'a> {
    pub low_bandwidth: bool,
    /// Whether statistics are wanted at the end.
    pub stats: bool,
    /// The host to open, and the moment to show.
    pub host: Option<Label>,
    pub at: Option<UnixMs>,
    /// Whether a host that is the only one is opened.
    pub opens_alone: bool,
    /// Whether the first keys are named to the user.
    pub greets: bool,
    pub identity: Option<&'a Path>,
    pub clock: Clock,
    pub random: Random,
}

/// Shows the hub's fleet until the user quits or `stop` completes.
///
/// # Errors
/// The terminal cannot be read or written.
pub async fn run(
    connector: &Connector,
    hub: &str,
    options: Options,
    run: &RunOptions<'_>,
    stop: impl Future<Output = ()>,
) -> io::Result<Stats> {
    let (screen, feeder) = channel();
    let start = Instant::now();
    let mut terminal = Terminal::enter(TITLE)?;
    if run.stats {
        terminal.compare();
    }
    let mut state = State::new(options);
    state.opens_alone = run.opens_alone;
    if run.host.is_some() || run.at.is_some() {
        state.opens = Some((run.host.clone(), run.at));
    }
    let colours = terminal.colours();
    state.context.set_colours(match run.low_bandwidth {
        true => colours.shorter(),
        false => colours,
    });
    let mut shell = Shell {
        state,
        terminal,
        stats: Stats::default(),
        clock: run.clock.clone(),
        every: match run.low_bandwidth {
            true => SLOW_LINE,
            false => Duration::ZERO,
        },
        drawn: start,
        due: Some(start),
        greets: run.greets,
    };
    let shown = tokio::select! {
        shown = shell.show(screen) => shown,
        () = stop => Ok(()),
        () = feeder.run(connector, hub, run.identity, &run.random) => Ok(()),
    };
    let mut stats = shell.stats;
    stats.bytes = shell.terminal.bytes_written();
    stats.bytes_of_reference = shell.terminal.bytes_of_reference();
    stats.ran = start.elapsed();
    drop(shell.terminal);
    connector.close().await;
    shown.map(|()| stats)
}

#[derive(PartialEq)]
enum Flow {
    Continue,
    Quit,
}

struct Shell {
    state: State,
    terminal: Terminal,
    stats: Stats,
    clock: Clock,
    /// Time between two frames at least.
    every: Duration,
    drawn: Instant,
    /// When what has changed is drawn; `None` if nothing has.
    due: Option<Instant>,
    greets: bool,
}

impl Shell {
    async fn show(&mut self, mut screen: ScreenEnd) -> io::Result<()> {
        self.redraw();
        update(&mut self.state, Message::Tick(self.clock.now()));
        if std::mem::take(&mut self.greets) {
            self.state.greet();
        }
        let mut events = EventStream::new();
        loop {
            self.draw_if_due()?;
            let is_busy = self.terminal.is_busy();
            let sleep = self.sleep(is_busy);
            let message = tokio::select! {
                biased;
                event = events.next() => match event {
                    Some(event) => of_event(event?),
                    // No key can be pressed any more: the terminal is gone.
                    None => return Ok(()),
                },
                sent = self.terminal.sent(), if is_busy => {
                    sent?;
                    continue;
                }
                event = screen.events.recv() => event.map(Message::Hub),
                () = tokio::time::sleep(sleep) => None,
            };
            let wait = match &message {
                None => Some(WITH_HOSTS),
                Some(Message::Hub(HubEvent::Reply { .. })) => Some(WITH_OTHERS),
                // What a key does is drawn at once.
                Some(_) => None,
            };
            let mut messages = vec![Message::Tick(self.clock.now())];
            messages.extend(message);
            while messages.len() < BATCH
                && let Ok(event) = screen.events.try_recv()
            {
                messages.push(Message::Hub(event));
            }
            for message in messages {
                if self.handle(message, &screen).await? == Flow::Quit {
                    return Ok(());
                }
            }
            if self.state.is_dirty {
                let soon = match wait {
                    None => Instant::now(),
                    Some(wait) => (Instant::now() + wait).max(self.drawn + self.every),
                };
                self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
            }
        }
    }

    fn draw_if_due(&mut self) -> io::Result<()> {
        if self.due.is_none_or(|due| due > Instant::now()) || self.terminal.is_busy() {
            return Ok(());
        }
        (self.state.is_dirty, self.due) = (false, None);
        self.drawn = Instant::now();
        let state = &self.state;
        self.terminal
            .draw(|area, buffer| draw(state, area, buffer))?;
        self.stats.frames.add(self.drawn.elapsed());
        Ok(())
    }

    async fn handle(&mut self, message: Message, screen: &ScreenEnd) -> io::Result<Flow> {
        let start = Instant::now();
        let mut effects = VecDeque::from(update(&mut self.state, message));
        self.stats.updates.add(start.elapsed());
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Quit => return Ok(Flow::Quit),
                Effect::Suspend => {
                    self.terminal.suspend(TITLE).await?;
                    self.redraw();
                }
                Effect::Redraw => self.redraw(),
                Effect::Copy(text) => self.terminal.copy(&text).await?,
                Effect::Ring(text) => self.terminal.ring(&text).await?,
                Effect::Export { path, content } => {
                    let remark = Message::Remark(save(&path, &content));
                    effects.extend(update(&mut self.state, remark));
                }
                // The feeder lives as long as this screen.
                Effect::Hub(change) => drop(screen.changes.send(change)),
            }
        }
        Ok(Flow::Continue)
    }

    fn redraw(&mut self) {
        self.state.context.size = self.terminal.redraw();
        self.state.is_dirty = true;
    }

    /// Time until something has to be done if nothing happens: the next whole second, or the next frame.
    fn sleep(&self, is_busy: bool) -> Duration {
        let ms = 1000 - self.clock.now().0.rem_euclid(1000);
        let second = Duration::from_millis(ms.unsigned_abs());
        match self.due.filter(|_| !is_busy) {
            Some(due) => second.min(due.saturating_duration_since(Instant::now())),
            None => second,
        }
    }
}

fn of_event(event: Event) -> Option<Message> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(key)),
        Event::Mouse(mouse) => Some(Message::Mouse(mouse)),
        Event::Paste(text) => Some(Message::Paste(text)),
        Event::Resize(width, height) => Some(Message::Resize(Size::new(width, height))),
        _ => None,
    }
}
