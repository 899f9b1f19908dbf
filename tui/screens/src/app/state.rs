//! Everything on screen.

use jiff::tz::TimeZone;
use sysmon_config::{Column, Order};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Request;

use crate::burst::BurstScreen;
use crate::changes::Changes;
use crate::compare::Compare;
use crate::context::Context;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::help::Help;
use crate::host::HostScreen;
use crate::keys::{Keymap, Mode};
use crate::processes::Processes;
use crate::screen::Screen;
use crate::subscriptions::{Subscriptions, Topic};
use crate::theme::ThemeName;
use crate::top::Top;

const REMARK_MS: i64 = 5_000;

#[derive(Clone, Debug)]
pub struct Options {
    pub theme: ThemeName,
    pub ascii: bool,
    pub zone: TimeZone,
    pub keys: Keymap,
    pub sort: Order,
    pub columns: Vec<Column>,
}

/// All screens. A new one is listed here and in [`Screens::of`] and its like.
#[derive(Debug)]
pub struct Screens {
    pub fleet: Fleet,
    pub host: HostScreen,
    pub burst: BurstScreen,
    pub processes: Processes,
    pub top: Top,
    pub changes: Changes,
    pub events: Events,
    pub compare: Compare,
    pub help: Help,
}

/// The screen of a mode, shared or mutable; prompts have that of the fleet.
macro_rules! screen_of {
    ($screens:ident, $mode:ident $(, $mut:tt)?) => {
        match $mode {
            Mode::Host | Mode::Pane => &$($mut)? $screens.host,
            Mode::Burst => &$($mut)? $screens.burst,
            Mode::Processes | Mode::Process => &$($mut)? $screens.processes,
            Mode::Top => &$($mut)? $screens.top,
            Mode::Changes => &$($mut)? $screens.changes,
            Mode::Events => &$($mut)? $screens.events,
            Mode::Compare => &$($mut)? $screens.compare,
            Mode::Help => &$($mut)? $screens.help,
            _ => &$($mut)? $screens.fleet,
        }
    };
}

/// The screens that follow the clock or request something.
macro_rules! all_screens {
    ($screens:ident $(, $mut:tt)?) => {
        [
            &$($mut)? $screens.fleet,
            &$($mut)? $screens.host,
            &$($mut)? $screens.burst,
            &$($mut)? $screens.top,
            &$($mut)? $screens.changes,
            &$($mut)? $screens.events,
            &$($mut)? $screens.compare,
        ]
    };
}

impl Screens {
    pub fn of(&self, mode: Mode) -> &dyn Screen {
        screen_of!(self, mode)
    }

    pub fn of_mut(&mut self, mode: Mode) -> &mut dyn Screen {
        screen_of!(self, mode, mut)
    }

    pub(super) fn about(&mut self, topic: Topic) -> &mut dyn Screen {
        match topic {
            Topic::Fleet | Topic::Preview | Topic::PreviewProcesses => &mut self.fleet,
            Topic::Host => &mut self.host,
            Topic::HostProcesses => &mut self.processes,
            Topic::Burst => &mut self.burst,
            Topic::Top => &mut self.top,
            Topic::Changes => &mut self.changes,
            Topic::Timeline | Topic::Alerts => &mut self.events,
            Topic::Compare(_) => &mut self.compare,
        }
    }

    pub(super) fn all(&self) -> [&dyn Screen; 7] {
        all_screens!(self)
    }

    pub(super) fn all_mut(&mut self) -> [&mut dyn Screen; 7] {
        all_screens!(self, mut)
    }
}

#[derive(Debug, Default)]
pub struct Prompt {
    pub input: String,
    /// Whether the input is a proposal that the first typed character replaces.
    pub is_proposed: bool,
    pub chosen: usize,
    pub filter_before: String,
}

#[derive(Debug)]
pub struct State {
    pub context: Context,
    pub screens: Screens,
    pub prompt: Prompt,
    /// A remark for the footer, and until when.
    pub remark: Option<(String, UnixMs)>,
    pub is_dirty: bool,
    /// Milliseconds that this machine's clock is ahead of the hub's.
    pub(super) clock_offset_ms: i64,
    pub(super) subscriptions: Subscriptions,
}

impl State {
    pub fn new(options: Options) -> Self {
        let Options { theme, ascii, .. } = options;
        Self {
            context: Context::new(theme, ascii, options.zone, options.keys),
            screens: Screens {
                fleet: Fleet::new(options.sort.into(), options.columns),
                host: HostScreen::default(),
                burst: BurstScreen::default(),
                processes: Processes::default(),
                top: Top::default(),
                changes: Changes::default(),
                events: Events::default(),
                compare: Compare::default(),
                help: Help::default(),
            },
            prompt: Prompt::default(),
            remark: None,
            is_dirty: true,
            clock_offset_ms: 0,
            subscriptions: Subscriptions::default(),
        }
    }

    pub(super) fn screen(&self) -> &dyn Screen {
        self.screens.of(self.context.place())
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remark = Some((text.into(), self.context.now + REMARK_MS));
    }

    pub fn request(&self, topic: Topic) -> Option<&Request> {
        self.subscriptions.request(topic)
    }
}
