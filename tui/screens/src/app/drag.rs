//! Selecting a span of a chart or of the strip with the mouse, and the way back from it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use sysmon_config::time::format_clock;
use sysmon_wire::UnixMs;

use super::navigation::{set_span, show};
use super::selection::{Drag, Selected};
use super::state::State;
use crate::events::strip;
use crate::layout::parts;
use crate::model::window::Window;
use crate::widgets::plot::Plot;

/// Selections that are remembered: nobody goes back further.
const SELECTED_MAX: usize = 32;

/// The strip or the chart at a place.
fn plot_at(state: &State, place: Position) -> Option<Plot> {
    let context = &state.context;
    if !context.mode().is_place() {
        return None;
    }
    let parts = parts(Rect::new(0, 0, context.size.width, context.size.height))?;
    if let Some(area) = parts.strip.filter(|strip| strip.contains(place)) {
        let plot = strip::plot(context.window(), area);
        return plot.area.contains(place).then_some(plot);
    }
    state.screen().plot_at(place, context)
}

/// The button is pressed; whether that is over a chart.
pub(super) fn begin(state: &mut State, place: Position) -> bool {
    let cell = plot_at(state, place).map(|plot| plot.moments(plot.cell(place.x)));
    state.drag = cell.map(|cell| Drag {
        begin: place,
        first: cell,
        last: cell,
        has_moved: false,
    });
    state.drag.is_some()
}

/// The mouse is moved with the button pressed.
pub(super) fn follow(state: &mut State, place: Position) {
    let Some(mut drag) = state.drag else { return };
    // The chart may be gone meanwhile.
    let Some(plot) = plot_at(state, drag.begin) else {
        state.drag = None;
        return;
    };
    drag.last = plot.moments(plot.cell(place.x));
    drag.has_moved |= place.x != drag.begin.x;
    state.drag = Some(drag);
    if drag.has_moved {
        let Window { from, to } = drag.span();
        let clock = |moment: UnixMs| format_clock(moment.0, &state.context.zone);
        let (from, to) = (clock(from), clock(to));
        let text = drag.covering().text();
        state.remark(format!("{from} to {to}: release to see {text}"));
    }
}

/// The button is released: shows what was selected, or says where the click was.
pub(super) fn end(state: &mut State) -> Option<Position> {
    let drag = state.drag.take()?;
    if !drag.has_moved {
        return Some(drag.begin);
    }
    state.is_dirty = true;
    let plot = plot_at(state, drag.begin)?;
    let context = &state.context;
    let to = drag.span().to;
    // What ends where the present does stays live.
    let at = match context.at {
        None if to >= plot.window.to => None,
        _ => Some(to.floor(1000).min(context.now.floor(1000))),
    };
    if state.selected.len() >= SELECTED_MAX {
        state.selected.remove(0);
    }
    state.selected.push(Selected {
        mode: context.mode(),
        host: context.host_name().cloned(),
        span: context.chart_span,
        at: context.at,
    });
    let span = drag.covering();
    set_span(state, span);
    show(state, at);
    let (text, zone) = (span.text(), &state.context.zone);
    let remark = match at {
        Some(at) => format!("{text} to {}; Esc leads back", format_clock(at.0, zone)),
        None => format!("charts show {text}; Esc leads back"),
    };
    state.remark(remark);
    None
}

/// Returns to what was shown before a span was selected here; whether one was.
pub(super) fn back(state: &mut State) -> bool {
    let here = |selected: &Selected| {
        let context = &state.context;
        selected.mode == context.mode() && selected.host.as_ref() == context.host_name()
    };
    if !state.selected.last().is_some_and(here) {
        return false;
    }
    if let Some(Selected { span, at, .. }) = state.selected.pop() {
        set_span(state, span);
        show(state, at);
    }
    true
}

/// Returns to the span that was shown before anything was selected.
pub(super) fn forget(state: &mut State) {
    if let Some(span) = state.selected.first().map(|first| first.span) {
        set_span(state, span);
    }
    state.selected.clear();
}

/// Marks the span that is being selected.
pub(super) fn draw(state: &State, buffer: &mut Buffer) {
    let Some(drag) = state.drag.filter(|drag| drag.has_moved) else {
        return;
    };
    let Some(plot) = plot_at(state, drag.begin) else {
        return;
    };
    let ground = Style {
        fg: None,
        ..state.context.theme.selected
    };
    let Window { from, to } = drag.span();
    let (first, last) = (plot.cell_of(from), plot.cell_of(to - 1));
    let marked = Rect {
        x: plot.area.x + first,
        width: last.saturating_sub(first) + 1,
        ..plot.area
    };
    for place in marked.intersection(buffer.area).positions() {
        if let Some(cell) = buffer.cell_mut(place) {
            cell.set_style(ground);
        }
    }
}
