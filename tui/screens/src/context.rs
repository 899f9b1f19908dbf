//! What every screen may know: the terminal, the moment shown, the connection to the hub and the open host.

use jiff::tz::TimeZone;
use ratatui::layout::Size;
use sysmon_wire::{Label, UnixMs};

use crate::keys::{Keymap, Mode};
use crate::model::ROW_MS;
use crate::model::host_rows::HostRows;
use crate::model::window::{ChartSpan, Window};
use crate::terminal::colours::Colours;
use crate::theme::{Ink, Theme, ThemeName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Connecting {
        to: String,
    },
    Connected {
        hub: Label,
    },
    /// What is shown stays on screen.
    Lost {
        reason: String,
        retry_at: UnixMs,
    },
}

#[derive(Debug)]
pub struct Context {
    pub theme: Theme,
    pub theme_name: ThemeName,
    pub colours: Colours,
    /// Colours that replace those of the theme.
    own_colours: Vec<(Ink, u32)>,
    pub zone: TimeZone,
    pub keys: Keymap,
    pub now: UnixMs,
    /// The moment shown; `None` while live.
    pub at: Option<UnixMs>,
    pub size: Size,
    pub link: Link,
    /// Whether the hub was reached at any time.
    pub was_reached: bool,
    /// The span of the charts on every screen; that of the strip follows from it.
    pub chart_span: ChartSpan,
    pub host: Option<HostRows>,
    /// The newest row of the open host when it was opened, if it was silent then.
    pub host_heard: Option<UnixMs>,
    /// When the last alert of the fleet was resolved, as far as the strip of time reaches.
    pub resolved_at: Option<UnixMs>,
    /// Milliseconds between rows of the fleet.
    pub fleet_resolution_ms: i64,
    /// The engine that the fleet's rows come from, or why it cannot be asked.
    pub fleet_beyond: Option<Label>,
    /// The screens and prompts on top of each other, the current one last; never empty.
    modes: Vec<Mode>,
}

impl Context {
    pub fn new(theme_name: ThemeName, ascii: bool, zone: TimeZone, keys: Keymap) -> Self {
        let colours = Colours::default();
        Self {
            theme: Theme::new(theme_name, ascii, colours),
            colours,
            own_colours: Vec::new(),
            theme_name,
            zone,
            keys,
            now: UnixMs(0),
            at: None,
            size: Size::new(80, 24),
            link: Link::Connecting { to: String::new() },
            was_reached: false,
            chart_span: ChartSpan::default(),
            host: None,
            host_heard: None,
            resolved_at: None,
            fleet_resolution_ms: ROW_MS,
            fleet_beyond: None,
            modes: vec![Mode::Fleet],
        }
    }

    pub fn set_theme(&mut self, name: ThemeName) {
        self.theme_name = name;
        let own = &self.own_colours;
        self.theme = Theme::with_own(name, self.theme.ascii, self.colours, own);
    }

    /// Replaces some colours of every theme.
    pub fn set_own_colours(&mut self, own: Vec<(Ink, u32)>) {
        self.own_colours = own;
        self.set_theme(self.theme_name);
    }

    pub fn set_colours(&mut self, colours: Colours) {
        self.colours = colours;
        self.set_theme(self.theme_name);
    }

    /// Whether the hub was connected and cannot be reached now: what is shown may not be true any more.
    pub fn is_lost(&self) -> bool {
        self.was_reached && matches!(self.link, Link::Lost { .. })
    }

    pub fn mode(&self) -> Mode {
        self.modes.last().copied().unwrap_or(Mode::Fleet)
    }

    pub fn place(&self) -> Mode {
        let mut modes = self.modes.iter().rev();
        let place = modes.find(|mode| mode.is_place());
        place.copied().unwrap_or(Mode::Fleet)
    }

    pub fn enter(&mut self, mode: Mode) {
        self.modes.push(mode);
    }

    pub fn leave(&mut self) -> Mode {
        match self.modes.len() {
            0 | 1 => Mode::Fleet,
            _ => self.modes.pop().unwrap_or(Mode::Fleet),
        }
    }

    /// Replaces all modes: the last is the current one, those before are the way back.
    pub fn set_modes(&mut self, modes: &[Mode]) {
        self.modes = modes.to_vec();
    }

    pub fn modes(&self) -> &[Mode] {
        &self.modes
    }

    /// The moment shown, or now.
    pub fn moment(&self) -> UnixMs {
        self.at.unwrap_or(self.now)
    }

    /// Milliseconds between rows of what is shown: more than [`ROW_MS`] where only minutes or hours are stored.
    pub fn resolution_ms(&self) -> i64 {
        let of_host = self.host.as_ref().map(HostRows::resolution_ms);
        self.at
            .map_or(ROW_MS, |_| of_host.unwrap_or(self.fleet_resolution_ms))
    }

    /// The engine that what is shown comes from, or why it cannot be asked.
    pub fn beyond(&self) -> Option<&Label> {
        let of_host = self.host.as_ref().map(|host| host.beyond.as_ref());
        self.at
            .and_then(|_| of_host.unwrap_or(self.fleet_beyond.as_ref()))
    }

    /// Whether what is shown consists of minutes or hours instead of seconds.
    pub fn is_downsampled(&self) -> bool {
        self.resolution_ms() > ROW_MS
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    /// Seconds until the next attempt to reach the hub; 0 if there is none.
    pub fn retry_in_s(&self) -> i64 {
        match &self.link {
            Link::Lost { retry_at, .. } => ((*retry_at - self.now) / 1000).max(0),
            _ => 0,
        }
    }

    pub fn host_name(&self) -> Option<&Label> {
        self.host.as_ref().map(|host| &host.name)
    }

    /// What the strip of time shows.
    pub fn window(&self) -> Window {
        Window::of(self.chart_span.strip_ms(), self.now, self.at)
    }

    /// What a chart of several hosts shows.
    pub fn chart_window(&self) -> Window {
        Window::of(self.chart_span.ms(), self.now, self.at)
    }
}
