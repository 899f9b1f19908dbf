//! Colours and signs. Severity is never shown by colour alone.

use ratatui::style::{Color, Modifier, Style};
pub use sysmon_config::Theme as ThemeName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    None,
    Warning,
    Critical,
}

impl Severity {
    pub fn warning_if(is_high: bool) -> Self {
        match is_high {
            true => Self::Warning,
            false => Self::None,
        }
    }
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

/// A style by indices of the 256-colour palette, of which 232 to 255 are greys from dark to light.
macro_rules! style {
    ($fg:literal) => { Style::new().fg(Color::Indexed($fg)) };
    ($fg:literal bold) => { style!($fg).add_modifier(Modifier::BOLD) };
    ($fg:literal on $bg:literal) => { style!($fg).bg(Color::Indexed($bg)) };
    ($fg:literal on $bg:literal bold) => { style!($fg on $bg).add_modifier(Modifier::BOLD) };
}

macro_rules! theme {
    ($ascii:ident: $($field:ident($($style:tt)+))+) => {
        Theme { $ascii, $($field: style!($($style)+),)+ }
    };
}

impl Theme {
    pub fn new(name: ThemeName, ascii: bool) -> Self {
        let (plain, bold) = (Style::new(), Modifier::BOLD);
        match name {
            ThemeName::Dark => theme! { ascii:
                text(252) dim(243) title(252 bold) graph(109) graph_second(139) header(252 on 236)
                header_past(232 on 179 bold) selected(255 on 238) key(110 bold) warning(179)
                critical(203 bold)
            },
            ThemeName::Light => theme! { ascii:
                text(236) dim(245) title(232 bold) graph(25) graph_second(90) header(234 on 254)
                header_past(255 on 130 bold) selected(232 on 252) key(25 bold) warning(130)
                critical(160 bold)
            },
            ThemeName::HighContrast => theme! { ascii:
                text(15) dim(250) title(15 bold) graph(14) graph_second(13) header(0 on 15 bold)
                header_past(0 on 11 bold) selected(0 on 14 bold) key(14 bold) warning(11 bold)
                critical(15 on 9 bold)
            },
            // Blue and orange are distinguishable with every kind of colour blindness (Okabe & Ito, 2008).
            ThemeName::ColourBlind => theme! { ascii:
                text(252) dim(243) title(252 bold) graph(74) graph_second(175) header(252 on 236)
                header_past(232 on 221 bold) selected(255 on 238) key(74 bold) warning(221)
                critical(208 bold)
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
