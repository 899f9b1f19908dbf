//! The clipboard and exported files.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::format_moment;
use unicode_width::UnicodeWidthStr;

use super::message::Effect;
use super::state::State;
use super::view;
use crate::fleet::{self, HostRow};
use crate::keys::Mode;
use crate::model::summary::{CPU, value_text};
use crate::records::Records;
use crate::screen::Screen;
use crate::{svg, text};

/// Bytes copied at most: what terminals accept at once.
const COPY_MAX: usize = 64 << 10;

/// Cells of a copied value that the remark repeats.
const SHOWN_MAX: usize = 40;

/// The screen whose rows are copied and exported; events have none of their own.
fn source(state: &State) -> &dyn Screen {
    match state.context.place() {
        Mode::Events => &state.screens.fleet,
        place => state.screens.of(place),
    }
}

fn host_row(state: &State) -> Option<&HostRow> {
    state.screens.fleet.host(state.context.host_name()?)
}

fn selected_text(state: &State) -> Option<(String, String)> {
    if matches!(state.context.place(), Mode::Host | Mode::Pane | Mode::Burst) {
        let host = host_row(state)?;
        return Some((host.line.name.to_string(), fleet::text(host)));
    }
    source(state).selected_text(&state.context)
}

/// Copies the selected row; again, the value that it is sorted by.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let is_again = std::mem::replace(&mut state.has_copied, true);
    let value = || match state.context.place() {
        Mode::Host | Mode::Pane | Mode::Burst => {
            let host = host_row(state)?;
            Some((
                format!("cpu of {}", host.line.name),
                value_text(CPU, Some(host.value(CPU)?)),
            ))
        }
        _ => source(state).selected_value(&state.context),
    };
    let text = match is_again {
        true => value().or_else(|| selected_text(state)),
        false => selected_text(state),
    };
    match text {
        Some((_, text)) if text.len() > COPY_MAX => {
            state.remark("too long to copy");
            Vec::new()
        }
        Some((name, text)) => {
            state.remark(match (is_again, text.width() <= SHOWN_MAX) {
                (true, true) => format!("copied {name}: {text}"),
                (true, false) => format!("copied {name}"),
                (false, _) => format!("copied {name}; y copies its value"),
            });
            vec![Effect::Copy(text)]
        }
        None => {
            state.remark("nothing to copy");
            Vec::new()
        }
    }
}

/// Copies the command by which somebody else sees the same: hub, host and moment.
pub(super) fn copy_link(state: &mut State) -> Vec<Effect> {
    let context = &state.context;
    let mut command = "sysmon-tui".to_owned();
    if !state.hub_address.is_empty() {
        command += &format!(" --hub {}", state.hub_address);
    }
    let host = match context.place() {
        Mode::Fleet => state.screens.fleet.selected().map(|host| &host.line.name),
        _ => context.host_name(),
    };
    if let Some(host) = host {
        command += &format!(" --host {}", quoted(host.as_str()));
    }
    // The same moment for everybody, wherever they are.
    let at = context.moment().floor(1000);
    command += &format!(" --at {}", at.0);
    state.remark(format!("copied {command}"));
    vec![Effect::Copy(command)]
}

/// A text as a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    match text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// What the screen shows; a host's screen without records has the host's row.
pub(super) fn records(state: &State) -> Records {
    let records = source(state).records(&state.context);
    records.unwrap_or_else(|| fleet::records(&state.context, host_row(state).into_iter()))
}

pub(super) fn export(state: &mut State, path: &str) -> Vec<Effect> {
    let extension = path.rsplit_once('.').map(|(_, end)| end.to_lowercase());
    let content = match extension.as_deref() {
        Some("svg") => {
            let host = state.context.host_name();
            let what = host.map_or("the fleet", |name| name.as_str());
            svg::svg(
                &screen(state),
                &format!("sysmon: {what}"),
                state.context.theme_name.into(),
            )
        }
        Some("txt") => text::plain(&screen(state)),
        Some("json") => records(state).to_json(),
        Some("csv") => records(state).to_csv(),
        _ => {
            state.remark("file name needs the extension .svg, .txt, .json or .csv");
            return Vec::new();
        }
    };
    let path = path.to_owned();
    vec![Effect::Export { path, content }]
}

fn screen(state: &State) -> Buffer {
    let area = Rect::new(0, 0, state.context.size.width, state.context.size.height);
    let mut buffer = Buffer::empty(area);
    view::draw(state, area, &mut buffer);
    buffer
}

/// A name for a file, in characters that every filesystem accepts.
pub(super) fn file_name(state: &State) -> String {
    let context = &state.context;
    let stem = source(state).file_stem(context);
    let stem = stem.unwrap_or_else(|| "fleet".to_owned());
    let time = format_moment(context.moment().0, &context.zone).replace(' ', "T");
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '-'
        }
    };
    let name: String = format!("sysmon-{stem}-{time}").chars().map(plain).collect();
    name + ".svg"
}
