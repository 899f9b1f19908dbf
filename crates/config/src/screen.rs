//! Display settings of the terminal: theme, columns and order of the fleet table.

use crate::suggest::suggest;
use crate::value::Value;

/// An enum whose variants have names in the configuration.
macro_rules! named {
    ($(#[$meta:meta])* $id:ident { $($(#[$attribute:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $id {
            $(#[doc = concat!("`", $name, "`")] $(#[$attribute])* $variant,)*
        }

        impl $id {
            /// Every variant with its name.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),*];

            /// The names as an array of TOML.
            #[allow(dead_code, reason = "only of columns there is a list")]
            pub(crate) const TOML: &'static str = $crate::screen::toml_array!($($name),*);

            /// The name in the configuration.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;

macro_rules! toml_array {
    ($first:literal $(, $rest:literal)*) => {
        concat!("[\"", $first, "\"" $(, ", \"", $rest, "\"")*, "]")
    };
}
pub(crate) use toml_array;

named! {
    /// A column of the fleet table, in the default order.
    Column {
        Up = "up",
        Cpu = "cpu",
        CpuLine = "cpu-line",
        Memory = "mem",
        MemoryBar = "mem-bar",
        Load = "load",
        Received = "net.rx",
        Transmitted = "net.tx",
        Read = "disk.read",
        Written = "disk.write",
        Filesystem = "fs",
        Temperature = "temp",
        /// The busiest process.
        Top = "top",
    }
}

impl Column {
    /// All columns.
    pub fn all() -> Vec<Self> {
        Self::ALL.iter().map(|(_, column)| *column).collect()
    }
}

named! {
    /// What hosts are sorted by.
    #[derive(Default)]
    Order {
        #[default]
        Worst = "worst",
        Cpu = "cpu",
        Memory = "memory",
        Load = "load",
        Network = "network",
        Disk = "disk",
        Filesystem = "filesystem",
        Name = "name",
    }
}

named! {
    /// Colour theme of the terminal.
    #[derive(Default)]
    Theme {
        /// Dark or light, as the terminal's background is.
        #[default]
        Auto = "auto",
        Dark = "dark",
        Light = "light",
        HighContrast = "high-contrast",
        ColourBlind = "colour-blind",
        Mono = "mono",
    }
}

named! {
    /// A colour of the terminal's palette.
    Colour {
        Ridge = "ridge",
        Sel = "sel",
        Rule = "rule",
        Ghost = "ghost",
        Faint = "faint",
        Dim = "dim",
        Text = "text",
        Bright = "bright",
        Slate = "slate",
        Slate2 = "slate2",
        Teal = "teal",
        Teal2 = "teal2",
        Sand = "sand",
        Sand2 = "sand2",
        Clay = "clay",
        Clay2 = "clay2",
        Red = "red",
        Wine = "wine",
        Orange = "orange",
        Umber = "umber",
        Amber = "amber",
        Soot = "soot",
        Fog = "fog",
        Night = "night",
        Leaf = "leaf",
        Sky = "sky",
        In = "in",
        Out = "out",
        Hue1 = "h1",
        Hue2 = "h2",
        Hue3 = "h3",
        Hue4 = "h4",
        Hue5 = "h5",
        Hue6 = "h6",
    }
}

/// Colours that replace those of the theme.
pub(crate) fn own_colours(value: &Value) -> Result<Vec<(Colour, u32)>, String> {
    let Value::Table(entries) = value else {
        return Err(format!(
            "{value} should be a table of colours, such as {{ red = \"#ff5a55\" }}"
        ));
    };
    let own = |(name, value): &(String, Value)| {
        let colour = find(Colour::ALL, name, "colour")?;
        let text = value.text("a colour such as \"#ff5a55\"")?;
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let rgb = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let rgb =
            rgb.ok_or_else(|| format!("{name}: {text:?} is no colour of the form #rrggbb"))?;
        Ok((colour, rgb))
    };
    entries.iter().map(own).collect()
}

/// Looks `text` up in a table of names.
pub(crate) fn find<T: Copy>(
    table: &[(&'static str, T)],
    text: &str,
    what: &str,
) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let near = suggest(text, table.iter().map(|(name, _)| *name));
        format!("there is no {what} {text:?}{near}")
    })
}

pub(crate) fn columns(value: &Value) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for name in value.list("a list of columns such as [\"cpu\", \"mem\", \"load\"]")? {
        let column = find(Column::ALL, name, "column")?;
        if columns.contains(&column) {
            return Err(format!("{name} is listed twice"));
        }
        columns.push(column);
    }
    Ok(columns)
}

pub(crate) fn order(value: &Value) -> Result<Order, String> {
    let text = value.text("a text such as \"worst\"")?;
    find(Order::ALL, text, "order")
}

/// Accepts the American spelling too.
pub(crate) fn theme(value: &Value) -> Result<Theme, String> {
    let name = match value.text("a text")? {
        "color-blind" => "colour-blind",
        other => other,
    };
    find(Theme::ALL, name, "theme")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_colours_have_known_names_and_six_digits() {
        let table = |name: &str, text: &str| {
            let entry = (name.to_owned(), Value::Text(text.to_owned()));
            own_colours(&Value::Table(vec![entry]))
        };
        assert_eq!(
            table("red", "#01020f").unwrap(),
            [(Colour::Red, 0x01_02_0f)]
        );
        let error = table("rad", "#010203").unwrap_err();
        assert!(error.contains("did you mean \"red\""), "{error}");
        for wrong in ["010203", "#12345", "#gggggg", ""] {
            let error = table("red", wrong).unwrap_err();
            assert!(error.contains("#rrggbb"), "{error}");
        }
        assert!(own_colours(&Value::Integer(1)).is_err());
    }
}
