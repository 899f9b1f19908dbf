//! The clipboard and exported files.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::format_moment;

use super::message::Effect;
use super::state::State;
use super::view;
use crate::fleet::{self, HostRow};
use crate::keys::Mode;
use crate::records::Records;
use crate::screen::Screen;
use crate::{svg, text};

/// Bytes copied at most: what terminals accept at once.
const COPY_MAX: usize = 64 << 10;

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

pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    match selected_text(state) {
        Some((_, text)) if text.len() > COPY_MAX => {
            state.remark("too long to copy");
            Vec::new()
        }
        Some((name, text)) => {
            state.remark(format!("copied {name}"));
            vec![Effect::Copy(text)]
        }
        None => {
            state.remark("nothing to copy");
            Vec::new()
        }
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
