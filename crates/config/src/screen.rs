//! Display settings of the terminal: theme, columns and order of the fleet table.

use crate::suggest::suggest;
use crate::value::Value;

/// A column of the fleet table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// How long the host has been up.
    Up,
    /// The last minutes of its processors.
    CpuLine,
    /// Share of its processors in use.
    Cpu,
    /// Share of its memory in use, as a bar.
    MemoryBar,
    /// Share of its memory in use.
    Memory,
    /// Load over one minute.
    Load,
    /// The last minutes of what it received.
    NetLine,
    /// Bytes received a second.
    Received,
    /// Bytes transmitted a second.
    Transmitted,
    /// Bytes read from disks a second.
    Read,
    /// Bytes written to disks a second.
    Written,
    /// Share of the fullest filesystem in use.
    Filesystem,
    /// Degrees of the hottest sensor.
    Temperature,
}

impl Column {
    /// Every column with its name, in the default order.
    pub const ALL: [(&'static str, Self); 13] = [
        ("up", Self::Up),
        ("cpu-line", Self::CpuLine),
        ("cpu", Self::Cpu),
        ("mem-bar", Self::MemoryBar),
        ("mem", Self::Memory),
        ("load", Self::Load),
        ("net-line", Self::NetLine),
        ("net.rx", Self::Received),
        ("net.tx", Self::Transmitted),
        ("disk.read", Self::Read),
        ("disk.write", Self::Written),
        ("fs", Self::Filesystem),
        ("temp", Self::Temperature),
    ];

    /// All of them.
    pub fn all() -> Vec<Self> {
        Self::ALL.map(|(_, column)| column).to_vec()
    }

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, column)| *column == self);
        known.map_or("", |(name, _)| name)
    }
}

/// What hosts are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Severity, worst first.
    #[default]
    Worst,
    /// Their names.
    Name,
    /// Use of processors.
    Cpu,
    /// Use of memory.
    Memory,
    /// Load.
    Load,
    /// Bytes received.
    Network,
    /// Bytes read from disks.
    Disk,
    /// Use of the fullest filesystem.
    Filesystem,
}

impl Order {
    /// Every order with its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("worst", Self::Worst),
        ("name", Self::Name),
        ("cpu", Self::Cpu),
        ("memory", Self::Memory),
        ("load", Self::Load),
        ("network", Self::Network),
        ("disk", Self::Disk),
        ("filesystem", Self::Filesystem),
    ];
}

/// Colour theme of the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// Maximum contrast.
    HighContrast,
    /// Distinguishable with red-green colour blindness.
    ColourBlind,
    /// No colour.
    Mono,
}

impl Theme {
    /// Every theme, with its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("dark", Self::Dark),
        ("light", Self::Light),
        ("high-contrast", Self::HighContrast),
        ("colour-blind", Self::ColourBlind),
        ("mono", Self::Mono),
    ];
}

/// Looks `text` up in a table of names.
fn named<T: Copy>(table: &[(&'static str, T)], text: &str, what: &str) -> Result<T, String> {
    let found = table.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let near = suggest(text, table.iter().map(|(name, _)| *name));
        format!("there is no {what} {text:?}{near}")
    })
}

/// Columns by their names, each once.
pub(crate) fn columns(value: &Value) -> Result<Vec<Column>, String> {
    let mut columns = Vec::new();
    for name in value.list("a list of columns such as [\"cpu\", \"mem\", \"load\"]")? {
        let column = named(&Column::ALL, name, "column")?;
        if columns.contains(&column) {
            return Err(format!("{name} is listed twice"));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// An order by its name.
pub(crate) fn order(value: &Value) -> Result<Order, String> {
    named(
        &Order::ALL,
        value.text("a text such as \"worst\"")?,
        "order",
    )
}

/// A theme by its name; the American spelling is accepted too.
pub(crate) fn theme(value: &Value) -> Result<Theme, String> {
    let text = value.text("a text")?;
    let name = match text {
        "color-blind" => "colour-blind",
        other => other,
    };
    named(&Theme::ALL, name, "theme")
}
