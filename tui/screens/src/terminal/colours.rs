//! The colours of a terminal, and their RGB values (as in xterm).

const BASIC: [(u8, u8, u8); 16] = [
    (0x00, 0x00, 0x00),
    (0xcd, 0x00, 0x00),
    (0x00, 0xcd, 0x00),
    (0xcd, 0xcd, 0x00),
    (0x00, 0x00, 0xee),
    (0xcd, 0x00, 0xcd),
    (0x00, 0xcd, 0xcd),
    (0xe5, 0xe5, 0xe5),
    (0x7f, 0x7f, 0x7f),
    (0xff, 0x00, 0x00),
    (0x00, 0xff, 0x00),
    (0xff, 0xff, 0x00),
    (0x5c, 0x5c, 0xff),
    (0xff, 0x00, 0xff),
    (0x00, 0xff, 0xff),
    (0xff, 0xff, 0xff),
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// Any RGB value.
    #[default]
    True,
    /// The palette of 256.
    Many,
    /// The basic ones only.
    Sixteen,
}

impl Colours {
    /// By the variables `TERM` and `COLORTERM`.
    pub(crate) fn of(term: &str, colorterm: &str) -> Self {
        let is_old = ["linux", "ansi", "cygwin", "xterm", "screen"].contains(&term);
        if colorterm.is_empty() && (is_old || term.ends_with("-16color")) {
            Self::Sixteen
        } else if ["truecolor", "24bit"].contains(&colorterm) || term.ends_with("-direct") {
            Self::True
        } else {
            Self::Many
        }
    }

    /// The same with at most 256 colours, whose sequences are shorter.
    pub fn shorter(self) -> Self {
        match self {
            Self::True => Self::Many,
            few => few,
        }
    }

    /// The nearest colour of the palette of 256, apart from the first sixteen, which terminals change.
    pub fn nearest_to(self, (red, green, blue): (u8, u8, u8)) -> u8 {
        let away = |index: &u8| {
            let (r, g, b) = indexed(*index);
            let parts = [(r, red), (g, green), (b, blue)];
            parts
                .iter()
                .map(|(one, other)| u32::from(one.abs_diff(*other)).pow(2))
                .sum::<u32>()
        };
        (16..=255).min_by_key(away).unwrap_or(16)
    }

    /// The nearest colour of the palette.
    pub(super) fn nearest(self, index: u8) -> u8 {
        if self != Self::Sixteen || index < 16 {
            return index;
        }
        let (r, g, b) = indexed(index);
        let away = |(at, (red, green, blue)): &(u8, &(u8, u8, u8))| {
            let parts = [(r, *red), (g, *green), (b, *blue)];
            let sum: u32 = parts
                .iter()
                .map(|(one, other)| u32::from(one.abs_diff(*other)).pow(2))
                .sum();
            (sum, *at)
        };
        (0..)
            .zip(&BASIC)
            .min_by_key(away)
            .map_or(index, |(at, _)| at)
    }
}

pub(crate) fn indexed(index: u8) -> (u8, u8, u8) {
    match index {
        0..16 => BASIC.get(usize::from(index)).copied().unwrap_or_default(),
        16..232 => {
            // A cube of six levels a channel.
            let level = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
            let n = index - 16;
            (level(n / 36), level(n / 6 % 6), level(n % 6))
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            (grey, grey, grey)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colours_have_names() {
        for (term, colorterm, wanted) in [
            ("xterm-256color", "", Colours::Many),
            ("xterm", "truecolor", Colours::True),
            ("xterm-256color", "24bit", Colours::True),
            ("xterm-kitty", "", Colours::Many),
            ("xterm", "", Colours::Sixteen),
            ("linux", "", Colours::Sixteen),
            ("rxvt-16color", "", Colours::Sixteen),
        ] {
            assert_eq!(Colours::of(term, colorterm), wanted, "{term} {colorterm}");
        }
    }

    #[test]
    fn the_nearest_is_like_it() {
        let few = Colours::Sixteen;
        // Greys from dark to light, a red, an orange.
        for (index, wanted) in [
            (5, 5),
            (232, 0),
            (243, 8),
            (252, 7),
            (255, 7),
            (160, 1),
            (203, 9),
        ] {
            assert_eq!(few.nearest(index), wanted, "{index}");
        }
        assert_eq!(Colours::Many.nearest(243), 243);
        // A grey, and a red of the cube.
        assert_eq!(few.nearest_to((0x1f, 0x1f, 0x1f)), 234);
        assert_eq!(few.nearest_to((0xff, 0x5a, 0x55)), 203);
    }
}
