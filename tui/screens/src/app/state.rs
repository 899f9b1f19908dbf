//! Everything on screen.

use jiff::tz::TimeZone;
use sysmon_config::{Column, Order};
use sysmon_wire::message::Request;
use sysmon_wire::{Label, UnixMs};

use super::alarm::Alarm;
use super::selection::{Drag, Selected};
use super::visit::Visit;
use crate::burst::BurstScreen;
use crate::changes::Changes;
use crate::checks::Checks;
use crate::compare::Compare;
use crate::context::Context;
use crate::events::Events;
use crate::fleet::Fleet;
use crate::help::Help;
use crate::host::HostScreen;
use crate::keys::{Action, Keymap, Mode};
use crate::model::arguments::Arguments;
use crate::processes::Processes;
use crate::screen::Screen;
use crate::subscriptions::{Subscriptions, Topic};
use crate::theme::{Ink, ThemeName};
use crate::top::Top;

const REMARK_MS: i64 = 5_000;
const GREETING_MS: i64 = 30_000;

#[derive(Clone, Debug)]
pub struct Options {
    pub theme: ThemeName,
    pub ascii: bool,
    pub zone: TimeZone,
    pub keys: Keymap,
    pub sort: Order,
    pub columns: Vec<Column>,
    /// Saved filters, by name.
    pub filters: Vec<(String, String)>,
    /// Hosts that are always first.
    pub pinned: Vec<String>,
    /// Whether a new critical alert rings the bell.
    pub bell: bool,
    /// Colours that replace those of the theme.
    pub colours: Vec<(Ink, u32)>,
}

/// A row for each screen: field, type, the modes it is shown in, and the topics whose replies it gets.
macro_rules! screens {
    ($($field:ident: $type:ty = ($modes:pat, $($topics:pat,)?);)*) => {
        #[derive(Debug)]
        pub struct Screens {
            $(pub $field: $type,)*
        }

        impl Screens {
            pub fn of(&self, mode: Mode) -> &dyn Screen {
                match mode {
                    $($modes => &self.$field,)*
                }
            }

            pub fn of_mut(&mut self, mode: Mode) -> &mut dyn Screen {
                match mode {
                    $($modes => &mut self.$field,)*
                }
            }

            pub(super) fn about(&mut self, topic: Topic) -> &mut dyn Screen {
                match topic {
                    $($($topics => &mut self.$field,)?)*
                }
            }

            pub(super) fn all(&self) -> impl Iterator<Item = &dyn Screen> {
                [$(&self.$field as &dyn Screen),*].into_iter()
            }

            pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut dyn Screen> {
                [$(&mut self.$field as &mut dyn Screen),*].into_iter()
            }
        }
    };
}

// Prompts are shown over the fleet.
screens! {
    fleet: Fleet = (
        Mode::Fleet | Mode::Columns | Mode::Filter | Mode::Time | Mode::Palette | Mode::Export
            | Mode::Silence,
        Topic::Fleet
            | Topic::FleetHistory
            | Topic::Busiest
            | Topic::Total(_)
            | Topic::Preview
            | Topic::PreviewProcesses
            | Topic::PreviewHistory(_),
    );
    host: HostScreen = (Mode::Host | Mode::Pane, Topic::Host | Topic::History(_),);
    burst: BurstScreen = (Mode::Burst, Topic::Burst,);
    processes: Processes = (Mode::Processes | Mode::Process, Topic::HostProcesses,);
    top: Top = (Mode::Top, Topic::Top,);
    changes: Changes = (Mode::Changes, Topic::Changes,);
    events: Events = (Mode::Events, Topic::Timeline | Topic::Load | Topic::Alerts,);
    compare: Compare = (Mode::Compare, Topic::Compare(_),);
    checks: Checks = (Mode::Checks, Topic::Checks(_),);
    help: Help = (Mode::Help,);
}

#[derive(Debug, Default)]
pub struct Prompt {
    pub input: String,
    /// Whether the input is a proposal that the first typed character replaces.
    pub is_proposed: bool,
    pub chosen: usize,
    pub filter_before: String,
    /// What can be silenced, of which [`Self::chosen`] is.
    pub scopes: Vec<String>,
}

#[derive(Debug)]
pub struct State {
    pub context: Context,
    pub screens: Screens,
    pub prompt: Prompt,
    /// A remark for the footer, and until when.
    pub remark: Option<(String, UnixMs)>,
    pub is_dirty: bool,
    /// Whether the last key copied something.
    pub(super) has_copied: bool,
    pub(super) filters: Vec<(String, String)>,
    pub(super) alarm: Alarm,
    /// As the hub was asked for.
    pub(super) hub_address: String,
    /// The host and the moment to show as soon as the fleet is known.
    pub opens: Option<(Option<Label>, Option<UnixMs>)>,
    /// Whether a host that is alone is opened when it is first seen.
    pub opens_alone: bool,
    /// Milliseconds that this machine's clock is ahead of the hub's.
    pub(super) clock_offset_ms: i64,
    pub(super) subscriptions: Subscriptions,
    /// The places from which hosts were opened, the last one last.
    pub(super) visits: Vec<Visit>,
    /// The span of a chart that is being selected with the mouse.
    pub(super) drag: Option<Drag>,
    /// What was shown before spans were selected, the last one last.
    pub(super) selected: Vec<Selected>,
    /// What the processes of the open host, of the preview and of the busiest list were called with.
    pub(super) arguments: [(Topic, Arguments); 3],
}

impl State {
    pub fn new(options: Options) -> Self {
        let Options { theme, ascii, .. } = options;
        let mut context = Context::new(theme, ascii, options.zone, options.keys);
        context.set_own_colours(options.colours);
        Self {
            context,
            screens: Screens {
                checks: Checks::default(),
                fleet: Fleet::new(options.sort.into(), options.columns, &options.pinned),
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
            has_copied: false,
            filters: options.filters,
            alarm: Alarm::new(options.bell),
            hub_address: String::new(),
            opens: None,
            opens_alone: false,
            clock_offset_ms: 0,
            subscriptions: Subscriptions::default(),
            visits: Vec::new(),
            drag: None,
            selected: Vec::new(),
            arguments: [Topic::HostProcesses, Topic::PreviewProcesses, Topic::Top]
                .map(|topic| (topic, Arguments::default())),
        }
    }

    pub(super) fn screen(&self) -> &dyn Screen {
        self.screens.of(self.context.place())
    }

    pub(super) fn remark(&mut self, text: impl Into<String>) {
        self.remark = Some((text.into(), self.context.now + REMARK_MS));
    }

    /// What a new user needs first, until a key is pressed.
    pub(super) fn greet(&mut self) {
        let context = &self.context;
        let words = [
            (Action::Open, "opens a host"),
            (Action::Earlier, "goes back in time"),
            (Action::Palette, "finds everything"),
            (Action::Help, "explains the screen"),
        ];
        let hint = |(action, word)| {
            let key = context
                .keys
                .key_of(context.place(), action, context.theme.ascii);
            key.map(|key| format!("{key} {word}"))
        };
        let hints: Vec<String> = words.into_iter().filter_map(hint).collect();
        self.remark = Some((hints.join("   "), context.now + GREETING_MS));
    }

    pub fn request(&self, topic: Topic) -> Option<&Request> {
        self.subscriptions.request(topic)
    }
}
