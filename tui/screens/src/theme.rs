//! Colours and signs. Severity is never shown by colour alone.

use ratatui::style::{Color, Modifier, Style};
pub use sysmon_config::Theme as ThemeName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    None,
    Warning,
    Critical,
}

impl From<sysmon_wire::message::Severity> for Severity {
    fn from(severity: sysmon_wire::message::Severity) -> Self {
        match severity {
            sysmon_wire::message::Severity::Warning => Self::Warning,
            sysmon_wire::message::Severity::Critical => Self::Critical,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub text: Style,
    /// Labels and what matters less.
    pub dim: Style,
    pub title: Style,
    pub graph: Style,
    pub graph_second: Style,
    pub header: Style,
    pub header_past: Style,
    pub selected: Style,
    pub key: Style,
    warning: Style,
    critical: Style,
    pub ascii: bool,
}

impl Theme {
    pub fn new(name: ThemeName, ascii: bool) -> Self {
        let plain = Style::new();
        let fg = |index: u8| Style::new().fg(Color::Indexed(index));
        let bold = Modifier::BOLD;
        let on = |fg: u8, bg: u8| Style::new().fg(Color::Indexed(fg)).bg(Color::Indexed(bg));
        // Indices of the 256-colour palette: 232–255 are greys from dark to light.
        match name {
            ThemeName::Dark => Self {
                text: fg(252),
                dim: fg(243),
                title: fg(252).add_modifier(bold),
                graph: fg(109),
                graph_second: fg(139),
                header: on(252, 236),
                header_past: on(232, 179).add_modifier(bold),
                selected: on(255, 238),
                key: fg(110).add_modifier(bold),
                warning: fg(179),
                critical: fg(203).add_modifier(bold),
                ascii,
            },
            ThemeName::Light => Self {
                text: fg(236),
                dim: fg(245),
                title: fg(232).add_modifier(bold),
                graph: fg(25),
                graph_second: fg(90),
                header: on(234, 254),
                header_past: on(255, 130).add_modifier(bold),
                selected: on(232, 252),
                key: fg(25).add_modifier(bold),
                warning: fg(130),
                critical: fg(160).add_modifier(bold),
                ascii,
            },
            ThemeName::HighContrast => Self {
                text: fg(15),
                dim: fg(250),
                title: fg(15).add_modifier(bold),
                graph: fg(14),
                graph_second: fg(13),
                header: on(0, 15).add_modifier(bold),
                header_past: on(0, 11).add_modifier(bold),
                selected: on(0, 14).add_modifier(bold),
                key: fg(14).add_modifier(bold),
                warning: fg(11).add_modifier(bold),
                critical: on(15, 9).add_modifier(bold),
                ascii,
            },
            // Blue and orange are distinguishable with every kind of colour blindness (Okabe & Ito, 2008).
            ThemeName::ColourBlind => Self {
                text: fg(252),
                dim: fg(243),
                title: fg(252).add_modifier(bold),
                graph: fg(74),
                graph_second: fg(175),
                header: on(252, 236),
                header_past: on(232, 221).add_modifier(bold),
                selected: on(255, 238),
                key: fg(74).add_modifier(bold),
                warning: fg(221),
                critical: fg(208).add_modifier(bold),
                ascii,
            },
            ThemeName::Mono => Self {
                text: plain,
                dim: plain,
                title: plain.add_modifier(bold),
                graph: plain,
                graph_second: plain,
                header: plain.add_modifier(Modifier::REVERSED),
                header_past: plain.add_modifier(Modifier::REVERSED | bold),
                selected: plain.add_modifier(Modifier::REVERSED),
                key: plain.add_modifier(bold),
                warning: plain.add_modifier(bold),
                critical: plain.add_modifier(bold | Modifier::UNDERLINED),
                ascii,
            },
        }
    }

    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::None => self.text,
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    /// The style on the background of a row that may be selected.
    pub fn on(&self, is_selected: bool, style: Style) -> Style {
        let back = Style {
            fg: None,
            ..self.selected
        };
        if is_selected {
            style.patch(back)
        } else {
            style
        }
    }

    /// The sign at the left of a row that may be selected.
    pub fn mark(&self, is_selected: bool) -> &'static str {
        match is_selected {
            true => self.pick("▌", ">"),
            false => " ",
        }
    }

    /// The first of a pair where there is Unicode, the second in ASCII.
    pub fn pick<'a>(&self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.ascii { ascii } else { unicode }
    }

    pub fn severity_sign(&self, severity: Severity) -> &'static str {
        match (severity, self.ascii) {
            (Severity::None, _) => " ",
            (Severity::Warning, false) => "◆",
            (Severity::Warning, true) => "!",
            (Severity::Critical, false) => "▲",
            (Severity::Critical, true) => "#",
        }
    }
}
