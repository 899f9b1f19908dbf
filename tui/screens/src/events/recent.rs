//! The last events, a line each, beside other things on a wide screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment};

use super::state::Events;
use super::strip::sign;
use crate::context::Context;
use crate::format::fit;
use crate::widgets::paint::Pen;
use crate::widgets::section::Section;

const DAY_MS: i64 = 86_400_000;
const HOST: usize = 12;

pub(crate) fn draw(events: &Events, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = match context.is_lost() {
        true => context.theme.faded(),
        false => context.theme,
    };
    Section::new(&theme, "EVENTS").draw(&theme, area, buffer);
    let room = usize::from(area.height.saturating_sub(1));
    let moment = context.moment();
    let past = events.events().iter().rev();
    let shown = past.filter(|event| event.time <= moment).take(room);
    for (row, event) in (1..).zip(shown) {
        let clock = match moment - event.time < DAY_MS {
            true => format_clock(event.time.0, &context.zone),
            false => format_moment(event.time.0, &context.zone),
        };
        let clock = clock.get(..5).unwrap_or(&clock);
        let (sign, style) = sign(event.kind, &theme);
        let mut pen = Pen::new(buffer, area, row);
        pen.text(clock, theme.dim)
            .skip(1)
            .text(sign, style)
            .skip(1)
            .text(&fit(event.host.as_str(), HOST), theme.text)
            .skip(1);
        let room = pen.room();
        pen.text(&fit(&super::what(event), room), theme.dim);
    }
    if events.events().is_empty() {
        Pen::new(buffer, area, 1).text("none in this span", theme.faint);
    }
}
