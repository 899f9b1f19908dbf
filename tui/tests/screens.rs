//! What the screens look like: real rows through a real fleet, drawn at several sizes.
//!
//! After an intended change: `INSTA_UPDATE=always cargo test -p sysmon-tui --test screens`, then look
//! at the difference.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::sync::OnceLock;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Color;
use sysmon_agent::run::Source;
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolHealth;
use sysmon_config::{Column, Order, Theme};
use sysmon_hub::changes;
use sysmon_hub::core::Core;
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::query::{Past, Plan};
use sysmon_hub::timeline::timeline;
use sysmon_hub::top::top;
use sysmon_hub::view::{HostWatch, SparkRequest, fleet_picture};
use sysmon_screens::app::{Message, Options, State, deliver, draw, open_host, update};
use sysmon_screens::burst::Burst;
use sysmon_screens::events::STEPS;
use sysmon_screens::feed::HubEvent;
use sysmon_screens::host::Pane;
use sysmon_screens::keys::{Keymap, Mode};
use sysmon_screens::model::host_rows::{HostRows, WINDOW_MS};
use sysmon_screens::model::summary::CPU;
use sysmon_screens::model::window::ChartSpan;
use sysmon_screens::subscriptions::Topic;
use sysmon_screens::text::plain;
use sysmon_store::Limits;
use sysmon_wire::alerts::{Acknowledgement, AlertState, Alerts};
use sysmon_wire::message::{
    AlertLine, FleetUpdate, HostLine, Reply, Request, RunId, Severity, TopBy,
};
use sysmon_wire::metrics::{CPU_UTILIZATION, NET_IO};
use sysmon_wire::{Row, RowEncoder, SeriesTable, UnixMs};

/// 2026-05-04 12:00:00 UTC.
const NOON: i64 = 1_777_896_000_000;

/// Eight hosts with ten minutes behind them; the last was cut off a minute ago.
fn core() -> Core {
    let mut core = Core::new(FleetOptions {
        stale_after: Duration::from_secs(5),
        offline_after: Duration::from_secs(30),
        retention: Duration::from_hours(24),
        memory_bytes: 1 << 30,
    });
    for number in 0..8 {
        let mut host = Simulated::new(number);
        let id = core.host_id(&host.name().as_str().into()).unwrap();
        core.fleet.set_facts(id, host.facts());
        core.fleet.series(id, host.row().series.to_vec());
        let silent_s = if number == 7 { 60 } else { 0 };
        for second in 0..=600 - silent_s {
            let time = UnixMs(NOON + (second - 600) * 1000);
            host.sample(time, SpoolHealth::default());
            core.fleet
                .name_processes(id, host.row().processes.to_vec(), time);
            let row = Row {
                seq: second as u64 + 1,
                time,
                values: host.row().values.to_vec(),
            };
            core.apply(id, RunId(number), &row, time).unwrap();
        }
    }
    core.review_silence(UnixMs(NOON));
    core
}

/// The same fleet for every picture.
fn shared() -> &'static Core {
    static CORE: OnceLock<Core> = OnceLock::new();
    CORE.get_or_init(core)
}

/// What can be on screen.
const PLACES: [(&str, Mode); 12] = [
    ("fleet", Mode::Fleet),
    ("columns", Mode::Columns),
    ("host", Mode::Host),
    ("pane", Mode::Pane),
    ("burst", Mode::Burst),
    ("processes", Mode::Processes),
    ("process", Mode::Process),
    ("top", Mode::Top),
    ("changes", Mode::Changes),
    ("events", Mode::Events),
    ("help", Mode::Help),
    ("compare", Mode::Compare),
];

/// Two minutes before now.
const PAST: UnixMs = UnixMs(NOON - 120_000);

const NOW: UnixMs = UnixMs(NOON + 200);

fn state(theme: Theme, ascii: bool, size: Size, at: Option<UnixMs>) -> State {
    let mut state = State::new(Options {
        theme,
        ascii,
        zone: TimeZone::UTC,
        keys: Keymap::default(),
        sort: Order::default(),
        columns: Column::all(),
        filters: vec![("web".to_owned(), "#web".to_owned())],
        pinned: Vec::new(),
        bell: true,
        colours: Vec::new(),
    });
    state.context.size = size;
    update(&mut state, Message::Tick(NOW));
    state.context.at = at;
    let connected = HubEvent::Connected {
        hub: "lan-box".into(),
        clock_offset_ms: 0,
    };
    update(&mut state, Message::Hub(connected));
    let sparks = SparkRequest {
        points: ChartSpan::default().points(),
        step_ms: ChartSpan::default().step_ms() as u32,
        aliases: vec![CPU as u8],
    };
    let frames = fleet_picture(&shared().fleet.view(), at, NOW, &sparks);
    for (n, frame) in frames.into_iter().enumerate() {
        deliver(&mut state, Topic::Fleet, Some(Reply::Fleet(frame)), n == 0);
    }
    reply(&mut state, Topic::Fleet, Reply::Complete);
    update(&mut state, Message::Tick(NOW));
    panel(&mut state);
    let window = state.context.window();
    let timeline = timeline(shared(), None, window.from, window.to, STEPS);
    reply(&mut state, Topic::Timeline, Reply::Timeline(timeline));
    state
}

/// A reply that is not the first.
fn reply(state: &mut State, topic: Topic, reply: Reply) {
    deliver(state, topic, Some(reply), false);
}

/// Answers what the panel below the table requests.
fn panel(state: &mut State) {
    let Some(Request::Host { host, .. }) = state.request(Topic::Preview).cloned() else {
        return;
    };
    let moment = state.context.at.unwrap_or(UnixMs(NOON));
    let id = shared().fleet.find(host.as_str()).unwrap();
    for part in HostWatch::new(id, moment - WINDOW_MS).updates(&shared().fleet.view(), Some(moment))
    {
        reply(state, Topic::Preview, part);
    }
    let fleet = shared().fleet.view();
    let host = fleet.host(id).unwrap();
    let (time, processes) = host.processes_at(moment, 10_000).unwrap_or_default();
    let list = Reply::Processes {
        time,
        all: false,
        processes: processes.processes,
    };
    reply(state, Topic::PreviewProcesses, list);
}

/// Goes to one of the places, of a host where it is of one.
fn go(state: &mut State, place: Mode, name: &str) {
    let fleet = shared().fleet.view();
    let id = fleet.find(name).unwrap();
    let moment = state.context.at.unwrap_or(UnixMs(NOON));
    if place == Mode::Top {
        let list = top(&fleet, None, moment, TopBy::Cpu, 200);
        reply(state, Topic::Top, list);
    } else if !matches!(place, Mode::Fleet | Mode::Columns | Mode::Events) {
        open_host(state, name.into());
        let mut watch = HostWatch::new(id, moment - WINDOW_MS);
        for part in watch.updates(&fleet, state.context.at) {
            reply(state, Topic::Host, part);
        }
        reply(state, Topic::Host, Reply::Complete);
        let host = fleet.host(id).unwrap();
        let (time, processes) = host.processes_at(moment, 10_000).unwrap_or_default();
        let list = Reply::Processes {
            time,
            all: false,
            processes: processes.processes,
        };
        reply(state, Topic::HostProcesses, list);
        let changes = changes::of_host(host, moment, 40).unwrap_or_default();
        let time = moment;
        reply(state, Topic::Changes, Reply::Changes { time, changes });
    }
    if place == Mode::Process {
        state.screens.processes.open_selected();
    }
    state.context.enter(place);
    if place == Mode::Events {
        reply(state, Topic::Alerts, Reply::Alerts(alerts()));
    }
    state.screens.host.panes.go(Pane::Network);
    if place == Mode::Compare {
        state.context.host = None;
        compare(state);
    }
    if place == Mode::Help {
        state
            .context
            .set_modes(&[Mode::Fleet, Mode::Host, Mode::Help]);
    }
}

/// A firing alert, an acknowledged and a silenced one.
fn alerts() -> Alerts {
    let alert = |host: &str, rule: &str, severity, minutes: i64, summary: &str| AlertState {
        host: host.into(),
        rule: rule.into(),
        device: "".into(),
        severity,
        since: UnixMs(NOON - minutes * 60_000),
        summary: summary.into(),
        acknowledged: None,
        silenced: None,
    };
    let mut acknowledged = alert(
        "web-2",
        "disk-full",
        Severity::Critical,
        40,
        "/srv is full in 2 h",
    );
    acknowledged.acknowledged = Some(Acknowledgement {
        by: "jane".into(),
        at: UnixMs(NOON - 600_000),
        note: "making room".into(),
    });
    let mut silenced = alert(
        "build-1",
        "cpu",
        Severity::Warning,
        9,
        "cpu is saturated: 99 %",
    );
    silenced.silenced = Some("release".into());
    let open = alert(
        "db-1",
        "memory",
        Severity::Warning,
        3,
        "memory is short: 34 % of the time",
    );
    Alerts {
        alerts: vec![silenced, acknowledged, open],
        ..Alerts::default()
    }
}

/// Compares all hosts.
fn compare(state: &mut State) {
    let hosts = shared().fleet.machines();
    let names = hosts.map(|(_, host)| host.name.clone()).collect();
    if state.screens.compare.lines().is_empty() {
        state.screens.compare.hosts(names, true);
    }
    state.screens.compare.follow(state.context.chart_window());
    let limits = Limits {
        bytes: u64::MAX,
        rows: Duration::from_hours(24),
        minutes: Duration::from_hours(24),
        hours: Duration::from_hours(24),
    };
    let requests = state.screens.compare.requests().into_iter().enumerate();
    for (line, request) in requests {
        let Request::Query(query) = request else {
            panic!("{request:?}");
        };
        let plan = Plan::new(&query, &shared().fleet, &limits, NOW).unwrap();
        for (id, series) in &plan.hosts {
            let host = shared().fleet.host(*id).unwrap();
            for part in plan.of_host(host.into(), series, &Past::default()).unwrap() {
                reply(state, Topic::Compare(line), Reply::Points(part));
            }
        }
        deliver(state, Topic::Compare(line), None, false);
    }
}

fn drawn(state: &State) -> String {
    let area = Rect::new(0, 0, state.context.size.width, state.context.size.height);
    let mut buffer = Buffer::empty(area);
    draw(state, area, &mut buffer);
    plain(&buffer)
}

fn sizes() -> [(u16, u16); 4] {
    [(120, 30), (80, 24), (200, 50), (20, 5)]
}

#[test]
fn every_screen_live_and_past_at_four_sizes() {
    for (width, height) in sizes() {
        for (name, place) in PLACES {
            for (when, at) in [("", None), ("-past", Some(PAST))] {
                let mut state = state(Theme::Dark, false, Size::new(width, height), at);
                go(&mut state, place, "db-1");
                insta::assert_snapshot!(format!("{name}-{width}x{height}{when}"), drawn(&state));
            }
        }
    }
}

#[test]
fn no_screen_is_too_small_or_too_large_to_draw() {
    for (width, height) in [(1, 1), (3, 2), (2, 30), (300, 3), (40, 6), (400, 120)] {
        for (_, place) in PLACES {
            let mut state = state(Theme::Dark, false, Size::new(width, height), None);
            fire(&mut state);
            for name in ["db-1", "edge-1"] {
                go(&mut state, place, name);
                drawn(&state);
            }
        }
    }
}

#[test]
fn groups_at_four_sizes_open_and_folded_live_and_past() {
    for (width, height) in sizes() {
        for (when, at) in [("", None), ("-past", Some(PAST))] {
            let mut state = state(Theme::Dark, false, Size::new(width, height), at);
            key(&mut state, '#');
            insta::assert_snapshot!(format!("groups-{width}x{height}{when}"), drawn(&state));
            key(&mut state, 'z');
            insta::assert_snapshot!(format!("folded-{width}x{height}{when}"), drawn(&state));
        }
    }
    let mut state = state(Theme::Mono, true, Size::new(100, 30), None);
    key(&mut state, '#');
    assert!(drawn(&state).is_ascii());
    insta::assert_snapshot!("groups-ascii", drawn(&state));
}

fn key(state: &mut State, c: char) {
    let event = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
    update(state, Message::Key(event));
}

#[test]
fn before_anything_was_recorded_no_host_is_offline() {
    let before = Some(UnixMs(NOON - 1_200_000));
    let state = state(Theme::Dark, false, Size::new(120, 30), before);
    let drawn = drawn(&state);
    assert_eq!(drawn.matches("no data yet").count(), 8, "{drawn}");
    assert!(!drawn.contains("OFFLINE"), "{drawn}");
    insta::assert_snapshot!("fleet-before", drawn);
}

#[test]
fn every_pane_fills_the_screen() {
    // Processes have a screen of their own.
    for pane in Pane::ALL
        .iter()
        .copied()
        .filter(|pane| *pane != Pane::Processes)
    {
        let mut state = state(Theme::Dark, false, Size::new(80, 24), None);
        go(&mut state, Mode::Pane, "db-1");
        state.screens.host.panes.go(pane);
        let name = pane.title().to_lowercase();
        insta::assert_snapshot!(
            format!("pane-{}-80x24", name.replace(' ', "-")),
            drawn(&state)
        );
    }
}

#[test]
fn a_cursor_stands_in_every_chart_of_a_pane_at_three_sizes() {
    for (width, height) in [(80, 24), (120, 30), (200, 50)] {
        let mut state = state(Theme::Dark, false, Size::new(width, height), None);
        go(&mut state, Mode::Pane, "db-1");
        for _ in 0..12 {
            update(&mut state, Message::Key(KeyEvent::from(KeyCode::Left)));
        }
        let text = drawn(&state);
        assert!(text.contains("cursor 11:5"), "{text}");
        assert!(!text.contains('┊'), "the host is live: {text}");
        insta::assert_snapshot!(format!("pane-cursor-{width}x{height}"), text);
    }
}

/// A host with so many processors, and ten minutes.
fn with_processors(count: i64) -> HostRows {
    let mut host = HostRows::new("big".into());
    let numbers = (0..count).map(|number| number.to_string());
    let keys: Vec<_> = numbers
        .map(|number| CPU_UTILIZATION.series(&[("cpu.logical_number", &number)]))
        .collect();
    host.add_series(&SeriesTable::new(&keys)).unwrap();
    let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
    for second in 0..=600 {
        let values: Vec<i64> = (0..count).map(|n| (n * 8 + second) % 1001).collect();
        let time = UnixMs(NOON + (second - 600) * 1000);
        encoder.encode(second as u64 + 1, time, &values, &mut block);
    }
    host.add_rows(true, &block).unwrap();
    host
}

#[test]
fn a_few_processors_and_many_fit_on_a_screen() {
    for count in [4, 128] {
        let mut state = state(Theme::Dark, false, Size::new(80, 24), None);
        state.context.host = Some(with_processors(count));
        state.context.enter(Mode::Pane);
        state.screens.host.panes.go(Pane::Cores);
        let drawn = drawn(&state);
        let last = format!("  {} ", count - 1);
        assert!(drawn.lines().any(|line| line.contains(last.trim_start())));
        insta::assert_snapshot!(format!("processors-{count}"), drawn);
    }
}

/// A minute of a host at ten samples a second, after some at one, with a gap of a second.
#[test]
fn a_burst_is_shown_with_its_gaps() {
    let mut state = state(Theme::Dark, false, Size::new(120, 30), None);
    let mut host = HostRows::new("fast".into());
    let keys = [
        CPU_UTILIZATION.series(&[]),
        NET_IO.series(&[("network.io.direction", "receive")]),
    ];
    host.add_series(&SeriesTable::new(&keys)).unwrap();
    let (mut encoder, mut block) = (RowEncoder::new(), Vec::new());
    let times = (-60..-30)
        .map(|n| n * 1000)
        .chain(-300..=0)
        .map(|n: i64| match n {
            ..-900 => n,
            n => n * 100,
        });
    for (seq, ms) in (1..).zip(times.filter(|ms| !(-12_000..-11_000).contains(ms))) {
        let cpu = 300 + (ms / 100 % 7) * 60;
        encoder.encode(
            seq,
            UnixMs(NOON + ms),
            &[cpu, 1_000_000_000 + ms * 900],
            &mut block,
        );
    }
    host.add_rows(true, &block).unwrap();
    state.context.host = Some(host);
    state.context.enter(Mode::Burst);
    state.screens.burst.asked = Some(Burst::new(UnixMs(NOON - 30_000)));
    let drawn = drawn(&state);
    assert!(
        drawn.contains("100 ms") && drawn.contains("30 s left"),
        "{drawn}"
    );
    insta::assert_snapshot!("burst-live", drawn);
}

#[test]
fn a_theme_changes_no_letter_but_colours() {
    for (name, place) in PLACES {
        let look = |theme| {
            let mut state = state(theme, false, Size::new(120, 30), Some(PAST));
            go(&mut state, place, "db-1");
            let area = Rect::new(0, 0, 120, 30);
            let mut buffer = Buffer::empty(area);
            draw(&state, area, &mut buffer);
            buffer
        };
        let dark = look(Theme::Dark);
        for theme in [
            Theme::Light,
            Theme::HighContrast,
            Theme::ColourBlind,
            Theme::Mono,
        ] {
            let other = look(theme);
            assert_eq!(plain(&dark), plain(&other), "{name}");
            assert_ne!(dark, other, "{name}");
        }
    }
}

#[test]
fn a_comparison_in_one_chart_live_and_past_and_of_a_host_with_its_past() {
    for (width, height, ascii) in [
        (120, 30, false),
        (80, 24, false),
        (40, 12, false),
        (80, 24, true),
    ] {
        let look = ["", "-ascii"][usize::from(ascii)];
        let size = Size::new(width, height);
        let mut all = state(Theme::Dark, ascii, size, Some(PAST));

        go(&mut all, Mode::Compare, "db-1");
        all.screens.compare.is_overlaid = true;
        all.screens.compare.select(3);
        insta::assert_snapshot!(format!("overlay-{width}x{height}{look}"), drawn(&all));
        let mut one = state(Theme::Dark, ascii, size, None);

        for _ in 0..3 {
            // A day, a week, an hour.
            one.screens.compare.itself("db-1".into());
        }
        go(&mut one, Mode::Compare, "db-1");
        insta::assert_snapshot!(format!("itself-{width}x{height}{look}"), drawn(&one));
    }
}

#[test]
fn in_ascii_there_is_nothing_else() {
    for (name, place) in PLACES {
        let mut state = state(Theme::Mono, true, Size::new(100, 30), None);
        go(&mut state, place, "web-1");
        let drawn = drawn(&state);
        assert!(drawn.is_ascii(), "{drawn}");
        insta::assert_snapshot!(format!("{name}-ascii"), drawn);
    }
}

#[test]
fn the_past_and_a_lost_hub_cannot_be_taken_for_the_present() {
    let mut state = state(Theme::Dark, false, Size::new(120, 20), None);
    state.context.at = Some(UnixMs(NOON - 7_200_000));
    let past = drawn(&state);
    assert!(past.lines().next().unwrap().contains("PAST"), "{past}");
    state.context.at = None;
    let lost = HubEvent::Lost {
        reason: "no answer".to_owned(),
        retry_in_ms: 3000,
    };
    update(&mut state, Message::Hub(lost));
    let lost = drawn(&state);
    let header = lost.lines().next().unwrap();
    assert!(header.contains("HUB UNREACHABLE"), "{lost}");
    assert!(!lost.contains("live"), "{lost}");
}

/// The colours of a screen that are neither grey nor of the header.
fn hues(state: &State) -> Vec<(u8, u8, u8)> {
    let area = Rect::new(0, 0, state.context.size.width, state.context.size.height);
    let mut buffer = Buffer::empty(area);
    draw(state, area, &mut buffer);
    // Keys stay as they are: they still work.
    let body = buffer.content.iter().skip(usize::from(area.width));
    let last = usize::from(area.width) * usize::from(area.height - 2);
    let colours = body.take(last).flat_map(|cell| [cell.fg, cell.bg]);
    let mut found: Vec<_> = colours
        .filter_map(|colour| match colour {
            Color::Rgb(r, g, b) if r.max(g).max(b) - r.min(g).min(b) > 0x30 => Some((r, g, b)),
            _ => None,
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn while_the_hub_is_lost_nothing_has_a_colour_and_requests_say_so() {
    for (width, height) in sizes() {
        let mut state = state(Theme::Dark, false, Size::new(width, height), None);
        fire(&mut state);
        if width >= 80 {
            assert!(!hues(&state).is_empty(), "{width}x{height}");
        }
        let lost = HubEvent::Lost {
            reason: "no answer".to_owned(),
            retry_in_ms: 3000,
        };
        update(&mut state, Message::Hub(lost));
        assert_eq!(hues(&state), [], "{width}x{height}");
        insta::assert_snapshot!(format!("lost-{width}x{height}"), drawn(&state));
        key(&mut state, 'A');
        assert!(drawn(&state).contains("unreachable"), "{}", drawn(&state));
    }
}

/// A rule fires about the processors of `db-1`.
fn fire(state: &mut State) {
    let line = |line: &HostLine| {
        let mut line = line.clone();
        line.alerts = vec![AlertLine {
            rule: "saturated".into(),
            severity: Severity::Critical,
            since: UnixMs(NOON - 400_000),
            summary: "system.cpu.load_average.5m is 41.2, over 32.0".into(),
            acknowledged: None,
            silenced: None,
            metric: "load5".into(),
        }];
        line
    };
    let host = state.screens.fleet.host(&"db-1".into()).unwrap();
    let update = FleetUpdate {
        now: NOW,
        lines: vec![line(&host.line)],
        ticks: Vec::new(),
        gone: Vec::new(),
        sparks: Vec::new(),
    };
    reply(state, Topic::Fleet, Reply::Fleet(update));
}

#[test]
fn a_firing_rule_is_on_top_in_its_column_and_in_every_header() {
    for (width, height) in sizes() {
        let mut state = state(Theme::Dark, false, Size::new(width, height), None);
        fire(&mut state);
        let text = drawn(&state);
        if width >= 80 {
            assert!(text.contains("load5 41.2, limit 32.0"), "{text}");
        }
        insta::assert_snapshot!(format!("firing-{width}x{height}"), text);
        for place in [Mode::Host, Mode::Processes, Mode::Events] {
            go(&mut state, place, "db-1");
            let header = drawn(&state).lines().next().unwrap().to_owned();
            if width >= 80 {
                assert!(header.contains("▲ 1 critical"), "{place:?}: {header}");
            }
        }
    }
}

#[test]
fn a_host_that_is_offline_or_late_is_dead_on_its_screen_and_in_the_preview() {
    for (name, now, word) in [
        ("offline", NOW, "OFFLINE 1 min"),
        ("late", UnixMs(NOON - 48_000), "LATE 12 s"),
    ] {
        for (width, height) in sizes() {
            let mut state = state(Theme::Dark, false, Size::new(width, height), None);
            update(&mut state, Message::Tick(now));
            go(&mut state, Mode::Host, "edge-1");
            let text = drawn(&state);
            assert!(text.contains(word), "{text}");
            assert!(!text.contains("loading"), "{text}");
            if name == "offline" {
                assert_eq!(hues(&state), [], "{width}x{height}");
            }
            // The charts end where it was heard last, and say so.
            assert_eq!(text.contains('┊'), width >= 80, "{text}");
            insta::assert_snapshot!(format!("host-{name}-{width}x{height}"), text);
            state.context.enter(Mode::Pane);
            state.screens.host.panes.go(Pane::Cpu);
            assert_eq!(drawn(&state).contains('┊'), width >= 80);
        }
    }
}
