//! The list of checks.
//!
//! ```text
//!  CHECKS  12, 1 down · 5 m
//!     CHECK          FROM          STATE           TOOK    CERT    24 h   30 d   TOOK 5 m 0–250 ms
//!  ▌  shop           web-1         DOWN 3 m           –    20 d  99.3 % 99.98 %  ▂▂▂▃▂▂×××
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_config::time::format_clock;

use super::state::{Checks, Row};
use crate::context::Context;
use crate::format::{fit, milliseconds, short_span};
use crate::layout::{below, list_rows};
use crate::theme::Severity;
use crate::widgets::paint::{Pen, fill, more, note};
use crate::widgets::section::headline;
use crate::widgets::sparkline::{round_scale, sparkline};

const LINES_ABOVE: u16 = 2;

pub(super) const FIRST_ROW: u16 = 1 + LINES_ABOVE;

const NAME_WIDTH: usize = 18;
const HOST_WIDTH: usize = 14;
const STATE_WIDTH: usize = 11;
const TOOK_WIDTH: usize = 8;
const CERTIFICATE_WIDTH: usize = 7;
const SHARE_WIDTH: usize = 9;

/// What leaves first on a narrow screen needs the most cells.
const WITH_CERTIFICATE: u16 = 70;
const WITH_SHARES: u16 = 90;

const TREND_MIN: usize = 12;
const TREND_MAX: usize = 60;

pub(super) fn rows(screen: Size) -> usize {
    list_rows(screen, LINES_ABOVE)
}

pub(super) fn draw(checks: &Checks, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let (all, down) = checks.counts();
    let count = match down {
        0 => format!("{all}"),
        down => format!("{all}, {down} down"),
    };
    let at = format!("at {}", format_clock(context.moment().0, &context.zone));
    let filter = match checks.filter.is_empty() {
        true => String::new(),
        false => format!("filter {}", checks.filter.text()),
    };
    headline(theme, area, "CHECKS", &[&count, &at, &filter], buffer);
    let message = match (&checks.refused, checks.is_answered()) {
        (Some(reason), _) => Some(reason.as_str()),
        (None, false) => Some("waiting for the hub"),
        (None, true) if all == 0 => Some("no host checks anything: see [agent] checks"),
        (None, true) if checks.shown_len() == 0 => Some("no matching check"),
        _ => None,
    };
    if let Some(message) = message {
        note(buffer, area, LINES_ABOVE, message, theme.text);
        return;
    }
    let trend = trend_width(area);
    let top = scale(checks);
    headings(context, area, (trend, top), buffer);
    let height = usize::from(area.height.saturating_sub(LINES_ABOVE));
    let selected = checks.selected_at();
    let shown = checks.shown().enumerate().skip(checks.top).take(height);
    for ((at, row), line) in shown.zip(LINES_ABOVE..) {
        let place = Rect {
            y: area.y + line,
            height: 1,
            ..area
        };
        draw_row(row, context, at == selected, place, (trend, top), buffer);
    }
    let list = below(area, LINES_ABOVE);
    let is_more = checks.top + height < checks.shown_len();
    more(buffer, list, checks.top > 0, is_more, theme);
}

fn used(area: Rect) -> usize {
    let mut used = 3 + NAME_WIDTH + 2 + HOST_WIDTH + 2 + STATE_WIDTH + TOOK_WIDTH;
    if area.width >= WITH_CERTIFICATE {
        used += CERTIFICATE_WIDTH;
    }
    if area.width >= WITH_SHARES {
        used += 2 * SHARE_WIDTH;
    }
    used
}

fn trend_width(area: Rect) -> usize {
    let left = usize::from(area.width).saturating_sub(used(area) + 3);
    match left.min(TREND_MAX) {
        few if few < TREND_MIN => 0,
        width => width,
    }
}

/// The top of the scale of all trends, in microseconds.
fn scale(checks: &Checks) -> i64 {
    let times = checks.shown().flat_map(|row| row.took.iter().flatten());
    let highest = times.copied().fold(0.0, f64::max);
    round_scale(((highest * 1e6).ceil() as i64).max(1_000))
}

fn headings(context: &Context, area: Rect, (trend, top): (usize, i64), buffer: &mut Buffer) {
    let dim = context.theme.dim;
    let mut pen = Pen::new(buffer, area, 1);
    pen.skip(3).text(&fit("CHECK", NAME_WIDTH), dim);
    pen.skip(2).text(&fit("FROM", HOST_WIDTH), dim);
    pen.skip(2).text(&fit("STATE", STATE_WIDTH), dim);
    pen.right("TOOK", TOOK_WIDTH, dim);
    if area.width >= WITH_CERTIFICATE {
        pen.right("CERT", CERTIFICATE_WIDTH, dim);
    }
    if area.width >= WITH_SHARES {
        pen.right("24 h", SHARE_WIDTH, dim)
            .right("30 d", SHARE_WIDTH, dim);
    }
    if trend > 0 {
        let span = short_span(context.chart_span.ms());
        let dash = context.theme.pick("–", "-");
        let title = format!("TOOK {span} 0{dash}{} ms", top as f64 / 1e3);
        pen.skip(3).text(&title, dim);
    }
}

fn draw_row(
    row: &Row,
    context: &Context,
    is_selected: bool,
    line: Rect,
    (trend, top): (usize, i64),
    buffer: &mut Buffer,
) {
    let theme = &context.theme;
    if is_selected {
        fill(buffer, line, theme.selected);
    }
    let on = |style| theme.on(is_selected, style);
    let mut pen = Pen::new(buffer, line, 0);
    pen.text(theme.mark(is_selected), on(theme.key)).skip(2);
    pen.text(&fit(row.name.as_str(), NAME_WIDTH), on(theme.text))
        .skip(2);
    pen.text(&fit(row.host.as_str(), HOST_WIDTH), on(theme.dim))
        .skip(2);
    let (state, style) = match row.is_up() {
        Some(true) => ("up".to_owned(), theme.text),
        None => ("unknown".to_owned(), theme.dim),
        Some(false) => {
            let since = row.down_since().map_or(0, |since| context.moment() - since);
            let since = short_span(since.max(0));
            (format!("DOWN {since}"), theme.severity(Severity::Critical))
        }
    };
    pen.text(&fit(&state, STATE_WIDTH), on(style));
    pen.right(&milliseconds(row.took()), TOOK_WIDTH, on(theme.text));
    if line.width >= WITH_CERTIFICATE {
        let left = row.expiry.map(|left| format!("{:.0} d", left / 86_400.0));
        pen.right(&left.unwrap_or_default(), CERTIFICATE_WIDTH, on(theme.text));
    }
    if line.width >= WITH_SHARES {
        pen.right(&share(row.day), SHARE_WIDTH, on(theme.text));
        pen.right(&share(row.month), SHARE_WIDTH, on(theme.text));
    }
    if trend > 0 {
        pen.skip(3);
        let steps = row.up.len();
        for at in steps.saturating_sub(trend)..steps {
            let took = row.took.get(at).copied().flatten();
            match row.up.get(at).copied().flatten() {
                Some(0.0) => {
                    let down = theme.severity(Severity::Critical);
                    pen.text(theme.pick("×", "x"), on(down));
                }
                _ => {
                    let value = took.map(|took| (took * 1e6) as i64);
                    let bar = sparkline(std::iter::once(value), top, theme.ascii);
                    pen.text(&bar, on(theme.graph));
                }
            }
        }
    }
}

pub(super) fn state_text(row: &Row) -> String {
    match row.is_up() {
        Some(true) => format!("up, {}", milliseconds(row.took())),
        Some(false) => "down".to_owned(),
        None => "unknown".to_owned(),
    }
}

/// `99.98 %`: more decimals the nearer it is to all of the time, and all of it only if it is.
fn share(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(1.0) => "100 %".to_owned(),
        Some(share) => {
            let percent = share * 100.0;
            let decimals = match percent {
                99.9.. => 3,
                99.0.. => 2,
                _ => 1,
            };
            let factor = 10f64.powi(decimals);
            let cut = (percent * factor).floor() / factor;
            format!("{cut:.*} %", usize::try_from(decimals).unwrap_or(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::filled;
    use super::*;
    use crate::keys::Mode;
    use crate::testing::{context, drawn};

    fn screen(checks: &Checks, width: u16, height: u16) -> String {
        drawn(checks, &mut context(Mode::Checks), (width, height))
    }

    #[test]
    fn the_list_is_readable_at_every_size() {
        assert!(screen(&Checks::default(), 80, 10).contains("waiting for the hub"));
        let mut none = Checks::default();
        none.complete(0);
        assert!(screen(&none, 80, 10).contains("no host checks anything"));
        let checks = filled();
        let text = screen(&checks, 140, 12);
        for wanted in [
            "2, 1 down",
            "DOWN",
            "20 d",
            "95.0 %",
            "12 ms",
            "××",
            "shop",
            "db",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(screen(&checks, 40, 10).contains("shop"));
        for (width, height) in [(1, 1), (20, 5), (300, 80)] {
            screen(&checks, width, height);
        }
    }

    #[test]
    fn a_share_is_never_rounded_up_to_all_of_the_time() {
        assert_eq!(share(Some(1.0)), "100 %");
        assert_eq!(share(Some(0.999_999_9)), "99.999 %");
        assert_eq!(share(Some(0.9951)), "99.51 %");
        assert_eq!(share(Some(0.5)), "50.0 %");
        assert_eq!(share(None), "–");
    }
}
