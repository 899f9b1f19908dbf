//! The command of a process with its arguments, and its container at the end of the line.

use ratatui::style::Style;
use sysmon_wire::Process;
use unicode_width::UnicodeWidthStr;

use super::paint::Pen;
use crate::format::fit;
use crate::model::process::program;
use crate::theme::Theme;

pub(crate) fn command(
    process: &Process,
    pen: &mut Pen<'_>,
    on: impl Fn(Style) -> Style,
    theme: &Theme,
) {
    let container = process.identity.cgroup.as_str();
    // Paths of the system's own groups say little; a container's name says much.
    let container = if container.starts_with('/') {
        ""
    } else {
        container
    };
    let room = pen.room().saturating_sub(if container.is_empty() {
        0
    } else {
        container.width() + 2
    });
    let (command, arguments) = (
        process.identity.command.as_str(),
        process.arguments.as_str(),
    );
    // Beside its arguments, a program's name says what its path would.
    let name = match arguments.is_empty() {
        true => command,
        false => program(process),
    };
    pen.text(&fit(name, room.min(name.width())), on(theme.text));
    let left = room.saturating_sub(name.width() + 1);
    if !arguments.is_empty() && left > 1 {
        let arguments = fit(arguments, left.min(arguments.width()));
        pen.skip(1).text(&arguments, on(theme.dim));
    }
    pen.skip(2).text(container, on(theme.graph));
}
