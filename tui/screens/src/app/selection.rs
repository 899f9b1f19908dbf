//! A span of a chart that is being selected with the mouse, and what was shown before.

use ratatui::layout::Position;
use sysmon_wire::{Label, UnixMs};

use crate::keys::Mode;
use crate::model::window::{ChartSpan, Window};

/// The button was pressed over a chart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drag {
    pub(super) begin: Position,
    /// The cell under the mouse when the button was pressed, and that under it now.
    pub(super) first: Window,
    pub(super) last: Window,
    pub(super) has_moved: bool,
}

impl Drag {
    pub(super) fn span(&self) -> Window {
        Window {
            from: self.first.from.min(self.last.from),
            to: self.first.to.max(self.last.to),
        }
    }

    /// The shortest span of charts that covers what is selected, or the longest there is.
    pub(super) fn covering(&self) -> ChartSpan {
        let Window { from, to } = self.span();
        let covers = |span: &ChartSpan| span.ms() >= to - from;
        let longest = || ChartSpan::all().last().unwrap_or_default();
        ChartSpan::all().find(covers).unwrap_or_else(longest)
    }
}

/// What was shown where a span was selected.
#[derive(Clone, Debug)]
pub(super) struct Selected {
    pub(super) mode: Mode,
    pub(super) host: Option<Label>,
    pub(super) span: ChartSpan,
    pub(super) at: Option<UnixMs>,
}
