//! Runs the mode for screen readers: lines in, lines out; the terminal stays as it is.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use ratatui::layout::Size;
use sysmon_link::Connector;
use tokio::sync::mpsc;

use super::linear::{Announcer, command};
use super::message::{Effect, Message};
use super::run::RunOptions;
use super::state::{Options, State};
use super::update::update;
use crate::feed::channel;

const SECOND: Duration = Duration::from_secs(1);

/// Lines that wait until they are answered.
const LINES_QUEUE: usize = 16;

/// Bytes of a command at most; what follows is ignored.
const LINE_MAX: usize = 1_000;

/// Announces what changes in the fleet, and answers commands from standard input, until it ends or `stop` completes.
///
/// # Errors
/// Standard output cannot be written, or the thread that reads commands cannot be started.
pub async fn run_linear(
    connector: &Connector,
    hub: &str,
    options: Options,
    run: &RunOptions<'_>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let (mut screen, feeder) = channel();
    let mut state = State::new(options);
    // Nothing is drawn: no chart and no list needs rows.
    state.context.size = Size::new(1, 1);
    let mut lines = lines()?;
    let mut announcer = Announcer::default();
    let show = async {
        loop {
            let mut effects = update(&mut state, Message::Tick(run.clock.now()));
            let mut answers = Vec::new();
            tokio::select! {
                event = screen.events.recv() => {
                    let Some(event) = event else { return Ok(()) };
                    effects.extend(update(&mut state, Message::Hub(event)));
                }
                line = lines.recv() => {
                    let Some(line) = line else { return Ok(()) };
                    state.remark = None;
                    let (said, more) = command(&mut state, &line);
                    answers = said;
                    effects.extend(more);
                    effects.extend(update(&mut state, Message::Tick(run.clock.now())));
                }
                () = tokio::time::sleep(SECOND) => {}
            }
            for effect in effects {
                match effect {
                    Effect::Quit => return Ok(()),
                    // The feeder lives as long as this loop.
                    Effect::Hub(change) => drop(screen.changes.send(change)),
                    _ => {}
                }
            }
            answers.extend(announcer.news(&state));
            if !answers.is_empty() {
                say(&answers)?;
            }
        }
    };
    let ended = tokio::select! {
        ended = show => ended,
        () = stop => Ok(()),
        () = feeder.run(connector, hub, run.identity, &run.random) => Ok(()),
    };
    connector.close().await;
    ended
}

fn say(lines: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// The lines of standard input, read by a thread that ends with the program.
fn lines() -> io::Result<mpsc::Receiver<String>> {
    let (sender, receiver) = mpsc::channel(LINES_QUEUE);
    let read = move || {
        for line in io::stdin().lock().lines() {
            let Ok(mut line) = line else { return };
            line.truncate(line.floor_char_boundary(LINE_MAX));
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("input".to_owned());
    thread.spawn(read)?;
    Ok(receiver)
}
