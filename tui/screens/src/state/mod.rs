//! Everything the screen shows. Pure: times and events come in as messages.

pub mod alerts;
pub mod arrange;
pub mod burst;
pub mod changes;
pub mod compare;
pub mod fleet;
pub mod host;
pub mod palette;
pub mod panes;
pub mod pattern;
pub mod preview;
pub mod processes;
pub mod shown;
pub mod spark;
pub mod timeline;
pub mod top;

use jiff::tz::TimeZone;
use ratatui::layout::Size;
use sysmon_config::{Column, Order};
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::{Change, FleetUpdate, HostLine, HostProcess, Points};
use sysmon_wire::{Label, Process, SeriesTable, UnixMs};

use crate::keys::{Keymap, Mode};
use crate::theme::{Theme, ThemeName};
use burst::Burst;
use changes::Changes;
use compare::Compare;
use fleet::FleetState;
use host::HostView;
use panes::Panes;
use preview::Preview;
use processes::Processes;
use sysmon_wire::timeline::Timeline;
use timeline::TimelineState;
use top::Top;

/// Milliseconds from one row to the next, where every one is kept.
pub const ROWS_MS: i64 = 1_000;

/// What is set once, at the start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Colours.
    pub theme: ThemeName,
    /// ASCII characters only.
    pub ascii: bool,
    /// The time zone of clocks.
    pub zone: TimeZone,
    /// What the keys do.
    pub keys: Keymap,
    /// What hosts are sorted by.
    pub sort: Order,
    /// Columns of the table of hosts.
    pub columns: Vec<Column>,
}

/// How the connection to the hub is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nobody has answered yet.
    Connecting {
        /// Where the hub should be.
        to: String,
    },
    /// Updates come in.
    Connected {
        /// The hub's name.
        hub: Label,
        /// Its version.
        version: Label,
    },
    /// The connection is gone; what is shown stays.
    Lost {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_at: UnixMs,
    },
}

/// What the connection to the hub brings.
#[derive(Debug)]
pub enum Feed {
    /// A connection is being made.
    Connecting {
        /// Where to.
        to: String,
    },
    /// It stands.
    Connected {
        /// The hub's name.
        hub: Label,
        /// Its version.
        version: Label,
        /// How far this machine's clock is ahead of the hub's.
        clock_offset_ms: i64,
    },
    /// It is gone, or was refused.
    Lost {
        /// Why.
        reason: String,
        /// How long until it is tried again.
        retry_in_ms: i64,
    },
    /// A new picture of the fleet begins.
    FleetBegin,
    /// A part of the picture, and after `FleetComplete` what changes.
    Fleet(FleetUpdate),
    /// The picture is of minutes or hours.
    FleetResolution {
        /// Milliseconds from one to the next.
        step_ms: i64,
    },
    /// The picture is whole.
    FleetComplete,
    /// A new picture of the open host begins.
    HostBegin,
    /// Its rows are minutes or hours.
    HostResolution {
        /// Milliseconds from one to the next.
        step_ms: i64,
    },
    /// What the open host is.
    HostLine(Box<HostLine>),
    /// Series of the open host.
    HostSeries(SeriesTable),
    /// Rows of the open host.
    HostRows {
        /// Whether they begin with a keyframe.
        keyframe: bool,
        /// The rows.
        block: Vec<u8>,
    },
    /// All rows asked for are here.
    HostComplete,
    /// The same about the host that is selected among all.
    Preview(Box<Feed>),
    /// Processes of the open host.
    Processes {
        /// The moment.
        time: UnixMs,
        /// Whether these are all, or only those that used most.
        all: bool,
        /// The processes.
        processes: Vec<Process>,
    },
    /// What is different from before.
    Changes {
        /// The end of the minute that was compared.
        time: UnixMs,
        /// The most telling first.
        changes: Vec<Change>,
    },
    /// When there are rows, and what happened.
    Timeline(Timeline),
    /// What fires, and who takes care of it.
    Alerts(Alerts),
    /// The busiest processes of all hosts.
    Top {
        /// The moment.
        time: UnixMs,
        /// Of how many hosts.
        hosts: u32,
        /// The processes.
        processes: Vec<HostProcess>,
    },
    /// A host is not sampled more often.
    BurstRefused {
        /// Why.
        reason: Label,
    },
    /// A part of one line of the comparison.
    Compare {
        /// The question's number.
        number: u32,
        /// The line's place in the question.
        line: usize,
        /// The part.
        part: Points,
    },
    /// The answer to a question of the comparison is whole.
    CompareComplete {
        /// The question's number.
        number: u32,
    },
    /// The hub does not answer a question of the comparison.
    CompareRefused {
        /// Why.
        reason: Label,
    },
    /// The hub does not show what was asked for.
    Refused {
        /// Why.
        reason: Label,
    },
}

/// Everything the screen shows.
#[derive(Debug)]
pub struct State {
    /// Colours and signs.
    pub theme: Theme,
    /// Its name.
    pub theme_name: ThemeName,
    /// The time zone of clocks.
    pub zone: TimeZone,
    /// What the keys do.
    pub keys: Keymap,
    /// The hub's clock.
    pub now: UnixMs,
    /// How far this machine's clock is ahead of the hub's.
    pub clock_offset_ms: i64,
    /// The size of the terminal.
    pub size: Size,
    /// How the connection is.
    pub link: Link,
    /// The name of the hub last connected to.
    pub hub: Option<Label>,
    /// What keys mean now.
    pub mode: Mode,
    /// The modes to go back to.
    pub back: Vec<Mode>,
    /// All hosts.
    pub fleet: FleetState,
    /// Columns of their table.
    pub columns: Vec<Column>,
    /// The open host.
    pub host: Option<HostView>,
    /// The selected host's last minutes.
    pub preview: Option<Preview>,
    /// The host that was selected since, and when.
    pub preview_wanted: Option<(Label, UnixMs)>,
    /// How far the host screen is scrolled.
    pub host_scroll: u16,
    /// The panes of the host screen.
    pub panes: Panes,
    /// The burst of the open host that was asked for last.
    pub burst: Option<Burst>,
    /// How far the help is scrolled.
    pub help_scroll: u16,
    /// Processes of the open host.
    pub processes: Processes,
    /// The busiest processes of all hosts.
    pub top: Top,
    /// What is different from before.
    pub changes: Changes,
    /// Hosts beside each other.
    pub compare: Compare,
    /// The strip of time, and what happened.
    pub timeline: TimelineState,
    /// The moment shown, if it is not now.
    pub at: Option<UnixMs>,
    /// The filter before a new one was begun.
    pub filter_before: String,
    /// What is being typed at a prompt.
    pub input: String,
    /// Whether that was only proposed, so that what is typed takes its place.
    pub is_proposed: bool,
    /// Which command of the palette is chosen, or which column.
    pub chosen: usize,
    /// A remark for the footer, and until when.
    pub remark: Option<(String, UnixMs)>,
    /// Whether anything changed since the last frame.
    pub dirty: bool,
}

impl State {
    /// A screen that shows nothing yet.
    pub fn new(options: Options) -> Self {
        Self {
            theme: Theme::new(options.theme, options.ascii),
            theme_name: options.theme,
            zone: options.zone,
            keys: options.keys,
            now: UnixMs(0),
            clock_offset_ms: 0,
            size: Size::new(80, 24),
            link: Link::Connecting { to: String::new() },
            hub: None,
            mode: Mode::Fleet,
            back: Vec::new(),
            fleet: FleetState::new(options.sort.into()),
            columns: options.columns,
            host: None,
            preview: None,
            preview_wanted: None,
            host_scroll: 0,
            panes: Panes::default(),
            burst: None,
            processes: Processes::default(),
            top: Top::default(),
            changes: Changes::default(),
            compare: Compare::default(),
            timeline: TimelineState::default(),
            help_scroll: 0,
            filter_before: String::new(),
            at: None,
            input: String::new(),
            is_proposed: false,
            chosen: 0,
            remark: None,
            dirty: true,
        }
    }

    /// The moment shown.
    pub fn moment(&self) -> UnixMs {
        self.at.unwrap_or(self.now)
    }

    /// Milliseconds from one row to the next in what is shown: more than a second where only minutes or hours are kept.
    pub fn resolution_ms(&self) -> i64 {
        let of_host = self.host.as_ref().map(HostView::resolution_ms);
        let of_fleet = self.fleet.resolution_ms();
        self.at.map_or(ROWS_MS, |_| of_host.unwrap_or(of_fleet))
    }

    /// The screen that prompts and help stand over.
    pub fn place(&self) -> Mode {
        let is_place = |mode: &Mode| {
            matches!(
                mode,
                Mode::Fleet
                    | Mode::Host
                    | Mode::Pane
                    | Mode::Burst
                    | Mode::Process
                    | Mode::Top
                    | Mode::Processes
                    | Mode::Changes
                    | Mode::Events
                    | Mode::Compare
            )
        };
        let modes = std::iter::once(&self.mode).chain(self.back.iter().rev());
        modes
            .copied()
            .find(|mode| is_place(mode))
            .unwrap_or(Mode::Fleet)
    }

    /// How many hosts fit on the fleet screen.
    pub fn fleet_rows(&self) -> usize {
        crate::view::fleet::rows(self.size).max(1)
    }
}
