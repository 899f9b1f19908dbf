//! Colours and signs. Severity is never shown by colour alone.

use ratatui::style::{Color, Modifier, Style};
pub use sysmon_config::Colour as Ink;
pub use sysmon_config::Theme as ThemeName;

use crate::model::step::STEPS;
use crate::terminal::colours::Colours;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    #[default]
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

/// A row for each colour: its RGB value in the dark, the light, the high-contrast and the colour-blind theme, and its
/// style in a terminal of sixteen colours.
macro_rules! palette {
    ($($name:ident $dark:literal $light:literal $contrast:literal $blind:literal $basic:expr;)*) => {
        const fn row(ink: Ink) -> ([u32; 4], Style) {
            match ink {
                $(Ink::$name => ([$dark, $light, $contrast, $blind], $basic),)*
            }
        }
    };
}

const PLAIN: Style = Style::new();

const fn basic(index: u8) -> Style {
    PLAIN.fg(Color::Indexed(index))
}

const fn strong(style: Style) -> Style {
    style.add_modifier(Modifier::BOLD)
}

const fn reversed(style: Style) -> Style {
    style.add_modifier(Modifier::REVERSED)
}

// Blue and orange are distinguishable with every kind of colour blindness (Okabe & Ito, 2008).
#[rustfmt::skip]
palette! {
    //      dark     light    contrast blind
    Ridge   0x161b23 0xefece6 0x262626 0x161b23 PLAIN;
    Sel     0x1f2835 0xe3e7ee 0x005f87 0x1f2835 reversed(PLAIN);
    Rule    0x2c3440 0xd6d3cb 0x6c6c6c 0x2c3440 basic(8);
    Ghost   0x303947 0xdcdad4 0x767676 0x303947 basic(8);
    Faint   0x626e82 0x85868a 0xb2b2b2 0x626e82 basic(8);
    Dim     0x8490a3 0x6b7079 0xd0d0d0 0x8490a3 basic(7);
    Text    0xc4ccd8 0x33383f 0xffffff 0xc4ccd8 PLAIN;
    Bright  0xf2f5f9 0x0b0e13 0xffffff 0xf2f5f9 strong(PLAIN);
    Slate   0x7689a3 0x5b7190 0xafd7ff 0x7689a3 basic(7);
    Slate2  0x48576c 0xa9b7ca 0x8787af 0x48576c basic(8);
    Teal    0x57b0a8 0x0f7f78 0x00ffff 0x56b4e9 basic(6);
    Teal2   0x3c7f7b 0x6fb8b1 0x00d7d7 0x3a7ea6 basic(6);
    Sand    0xd9bd7d 0x94690a 0xffff00 0xf0e442 basic(3);
    Sand2   0xa38a55 0xd9b65f 0xd7d700 0xa89f2e basic(3);
    Clay    0xdf8b62 0xb84a14 0xff8700 0xe69f00 strong(basic(3));
    Clay2   0xa9603c 0xdd8a5c 0xd75f00 0xa87400 strong(basic(3));
    Red     0xff5a55 0xc8161d 0xff5f5f 0xff7a1a strong(basic(1));
    Wine    0x3a171c 0xfbe0de 0x5f0000 0x3d2208 PLAIN;
    Orange  0xffa63d 0xb85600 0xffaf00 0xf0e442 basic(11);
    Umber   0x33240f 0xfcebd3 0x5f3700 0x33300f PLAIN;
    Amber   0xf0b93a 0xf2b829 0xffd700 0xf0e442 reversed(basic(3));
    Soot    0x14161a 0x14161a 0x000000 0x14161a PLAIN;
    Fog     0xd5dbe4 0x3f4650 0xffffff 0xd5dbe4 reversed(basic(7));
    Night   0x0e1116 0xfbfaf7 0x000000 0x0e1116 PLAIN;
    Leaf    0x79b88a 0x2f8450 0x00ff87 0x56b4e9 basic(2);
    Sky     0x86b6ea 0x1f63b5 0x5fd7ff 0x86b6ea strong(basic(4));
    In      0x5a8aa3 0x2f7c9e 0x5fafff 0x5a8aa3 basic(6);
    Out     0x9182b2 0x7656ad 0xd787ff 0xcc79a7 basic(5);
    Hue1    0x7fb2ec 0x2166b8 0x5fafff 0x56b4e9 basic(12);
    Hue2    0xe0b45f 0x9a6a00 0xffd75f 0xe69f00 basic(3);
    Hue3    0x5cbcae 0x0d7f74 0x00ffd7 0x009e73 basic(6);
    Hue4    0xe07f9d 0xb8305c 0xff87af 0xcc79a7 basic(13);
    Hue5    0xa3be63 0x5d7a10 0xafff5f 0xf0e442 basic(2);
    Hue6    0xa98fe0 0x6b45b5 0xaf87ff 0x0072b2 basic(5);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    pub text: Style,
    /// Labels and units.
    pub dim: Style,
    /// Scales, zeros and what is idle.
    pub faint: Style,
    /// Titles and key figures.
    pub title: Style,
    /// Rules and tracks.
    pub rule: Style,
    /// What is dead or not yet.
    pub ghost: Style,
    pub graph: Style,
    pub graph_second: Style,
    pub header: Style,
    pub header_past: Style,
    /// The header while the hub cannot be reached.
    pub header_lost: Style,
    pub selected: Style,
    pub key: Style,
    /// The dot of a live picture.
    pub live: Style,
    pub receive: Style,
    pub transmit: Style,
    /// Numbers by their step.
    pub level: [Style; STEPS],
    /// Meters by their step.
    pub meter: [Style; STEPS],
    /// Columns of a line of small bars by their step.
    pub spark: [Style; STEPS],
    /// Charts by height: below 30 %, below 60 %, then by step.
    pub area: [Style; STEPS + 1],
    pub hues: [Style; 6],
    warning: Style,
    critical: Style,
    /// A cell that a firing rule is about.
    warning_cell: Style,
    critical_cell: Style,
    /// The ground of a host's alert line.
    warning_line: Style,
    critical_line: Style,
    pub ascii: bool,
}

/// Which of the palette's columns a theme has.
fn column(name: ThemeName) -> usize {
    match name {
        ThemeName::Auto | ThemeName::Dark | ThemeName::Mono => 0,
        ThemeName::Light => 1,
        ThemeName::HighContrast => 2,
        ThemeName::ColourBlind => 3,
    }
}

struct Inks<'a> {
    column: usize,
    colours: Colours,
    /// Colours that replace those of the theme.
    own: &'a [(Ink, u32)],
}

impl Inks<'_> {
    fn colour(&self, ink: Ink) -> Option<Color> {
        let own = self.own.iter().find(|(own, _)| *own == ink);
        let of_theme = || row(ink).0.get(self.column).copied();
        let value = own.map(|(_, value)| *value).or_else(of_theme)?;
        let [_, red, green, blue] = value.to_be_bytes();
        match self.colours {
            Colours::True => Some(Color::Rgb(red, green, blue)),
            Colours::Many => Some(Color::Indexed(self.colours.nearest_to((red, green, blue)))),
            Colours::Sixteen => None,
        }
    }

    fn fg(&self, ink: Ink) -> Style {
        match self.colour(ink) {
            Some(colour) => PLAIN.fg(colour),
            None => row(ink).1,
        }
    }

    fn bold(&self, ink: Ink) -> Style {
        strong(self.fg(ink))
    }

    fn ground(&self, ink: Ink) -> Style {
        match self.colour(ink) {
            Some(colour) => PLAIN.bg(colour),
            None => self.fg(ink),
        }
    }

    /// Ink on a ground; with sixteen colours what the ground is there.
    fn on(&self, ink: Ink, ground: Ink) -> Style {
        match self.colour(ink) {
            Some(colour) => self.ground(ground).fg(colour),
            None => self.ground(ground),
        }
    }
}

impl Theme {
    pub fn new(name: ThemeName, ascii: bool, colours: Colours) -> Self {
        Self::with_own(name, ascii, colours, &[])
    }

    /// The same with some colours replaced.
    pub fn with_own(name: ThemeName, ascii: bool, colours: Colours, own: &[(Ink, u32)]) -> Self {
        if name == ThemeName::Mono {
            return Self::mono(ascii);
        }
        let inks = Inks {
            column: column(name),
            colours,
            own,
        };
        let fg = |ink| inks.fg(ink);
        let is_basic = colours == Colours::Sixteen;
        let critical_cell = match is_basic {
            true => reversed(strong(basic(1))),
            false => strong(inks.on(Ink::Night, Ink::Red)),
        };
        Self {
            text: fg(Ink::Text),
            dim: fg(Ink::Dim),
            faint: fg(Ink::Faint),
            title: inks.bold(Ink::Bright),
            rule: fg(Ink::Rule),
            ghost: fg(Ink::Ghost),
            graph: fg(Ink::Slate),
            graph_second: fg(Ink::Out),
            header: inks.on(Ink::Dim, Ink::Ridge),
            header_past: strong(inks.on(Ink::Soot, Ink::Amber)),
            header_lost: strong(inks.on(Ink::Night, Ink::Fog)),
            selected: inks.ground(Ink::Sel),
            key: inks.bold(Ink::Sky),
            live: fg(Ink::Leaf),
            receive: fg(Ink::In),
            transmit: fg(Ink::Out),
            level: [Ink::Text, Ink::Teal, Ink::Sand, Ink::Clay].map(fg),
            meter: [Ink::Slate, Ink::Teal, Ink::Sand, Ink::Clay].map(fg),
            spark: [Ink::Slate2, Ink::Teal2, Ink::Sand2, Ink::Clay2].map(fg),
            area: [Ink::Slate2, Ink::Slate, Ink::Teal, Ink::Sand, Ink::Clay].map(fg),
            hues: [
                Ink::Hue1,
                Ink::Hue2,
                Ink::Hue3,
                Ink::Hue4,
                Ink::Hue5,
                Ink::Hue6,
            ]
            .map(fg),
            warning: fg(Ink::Orange),
            critical: fg(Ink::Red),
            warning_cell: inks.bold(Ink::Orange),
            critical_cell,
            warning_line: inks.ground(Ink::Umber),
            critical_line: inks.ground(Ink::Wine),
            ascii,
        }
    }

    /// Bold, dim and reverse only.
    fn mono(ascii: bool) -> Self {
        let dim = PLAIN.add_modifier(Modifier::DIM);
        let (bold, reverse) = (strong(PLAIN), reversed(PLAIN));
        Self {
            text: PLAIN,
            dim,
            faint: dim,
            title: bold,
            rule: dim,
            ghost: dim,
            graph: PLAIN,
            graph_second: PLAIN,
            header: PLAIN,
            header_past: strong(reverse),
            header_lost: reverse,
            selected: reverse,
            key: bold,
            live: PLAIN,
            receive: PLAIN,
            transmit: dim,
            level: [PLAIN, PLAIN, bold, bold],
            meter: [PLAIN; STEPS],
            spark: [dim, PLAIN, PLAIN, PLAIN],
            area: [dim, dim, PLAIN, PLAIN, PLAIN],
            hues: [PLAIN; 6],
            warning: bold,
            critical: bold.add_modifier(Modifier::UNDERLINED),
            warning_cell: bold.add_modifier(Modifier::UNDERLINED),
            critical_cell: strong(reverse),
            warning_line: PLAIN,
            critical_line: PLAIN,
            ascii,
        }
    }

    /// The same without any colour of value, time or severity: nothing on screen is known to be true any more.
    pub fn faded(&self) -> Self {
        let flat = |style: Style, tone: Style| Style {
            bg: style.bg,
            ..tone
        };
        let dim = self.dim;
        Self {
            text: dim,
            dim: self.faint,
            title: dim,
            graph: self.faint,
            graph_second: self.ghost,
            key: strong(dim),
            live: self.faint,
            receive: self.faint,
            transmit: self.ghost,
            level: [dim; STEPS],
            meter: [self.faint; STEPS],
            spark: [self.ghost; STEPS],
            area: [self.ghost, self.ghost, self.faint, self.faint, self.faint],
            hues: [dim; 6],
            warning: dim,
            critical: strong(dim),
            warning_cell: strong(dim),
            critical_cell: strong(dim),
            warning_line: flat(self.header, PLAIN),
            critical_line: flat(self.header, PLAIN),
            ..*self
        }
    }

    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::None => self.text,
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    /// The cell that a firing rule is about.
    pub fn severity_cell(&self, severity: Severity) -> Style {
        match severity {
            Severity::None => self.text,
            Severity::Warning => self.warning_cell,
            Severity::Critical => self.critical_cell,
        }
    }

    /// The ground of a line about a firing rule.
    pub fn severity_line(&self, severity: Severity) -> Style {
        match severity {
            Severity::None => self.text,
            Severity::Warning => self.warning_line,
            Severity::Critical => self.critical_line,
        }
    }

    /// The style on the background of a row that may be selected.
    pub fn on(&self, is_selected: bool, style: Style) -> Style {
        let back = Style {
            fg: None,
            ..self.selected
        };
        if is_selected && style.bg.is_none() {
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
            (Severity::Warning, true) => "*",
            (Severity::Critical, false) => "▲",
            (Severity::Critical, true) => "^",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_colours_replace_those_of_the_theme_where_there_are_colours() {
        let own = [(Ink::Red, 0x01_02_03)];
        let theme = |colours| {
            Theme::with_own(ThemeName::Dark, false, colours, &own).severity(Severity::Critical)
        };
        assert_eq!(theme(Colours::True).fg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(theme(Colours::Many).fg, Some(Color::Indexed(16)));
        assert_eq!(theme(Colours::Sixteen), strong(basic(1)));
        let usual = Theme::new(ThemeName::Dark, false, Colours::True);
        assert_eq!(
            usual.severity(Severity::Critical).fg,
            Some(Color::Rgb(0xff, 0x5a, 0x55))
        );
    }
}
