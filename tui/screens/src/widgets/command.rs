//! The command of a process, with its container at the end of the line.

use ratatui::style::Style;
use sysmon_wire::ProcessIdentity;
use unicode_width::UnicodeWidthStr;

use super::paint::Pen;
use crate::format::fit;
use crate::theme::Theme;

pub(crate) fn command(
    identity: &ProcessIdentity,
    pen: &mut Pen<'_>,
    on: impl Fn(Style) -> Style,
    theme: &Theme,
) {
    let container = identity.cgroup.as_str();
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
    pen.text(
        &fit(
            identity.command.as_str(),
            room.min(identity.command.as_str().width()),
        ),
        on(theme.text),
    );
    pen.skip(2).text(container, on(theme.graph));
}
