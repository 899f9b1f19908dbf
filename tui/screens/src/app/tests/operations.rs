//! Acknowledging and silencing from the fleet, a host, the alerts and the palette.

use sysmon_wire::alerts::{AlertState, Alerts, SilenceState};
use sysmon_wire::message::{AlertLine, Reply, Request, Severity};
use sysmon_wire::{Label, UnixMs};

use super::{State, fleet, press, remark, reply, screen, tick};
use crate::keys::Mode;
use crate::subscriptions::Topic;
use crate::testing::fleet_update;

const NOW: i64 = 1_000_000;

/// Three hosts, of which the first has two firing alerts and the tag `web`.
fn alerted(acknowledged: Option<&str>) -> State {
    let mut state = fleet();
    let mut update = fleet_update(&[("a", 100), ("b", 200), ("c", 300)]);
    let line = |rule: &str, severity, acknowledged: Option<&str>| AlertLine {
        rule: rule.into(),
        severity,
        since: UnixMs(NOW - 60_000),
        summary: "".into(),
        acknowledged: acknowledged.map(Label::new),
        silenced: None,
        metric: "".into(),
    };
    update.lines[0].alerts = vec![
        line("hot", Severity::Critical, acknowledged),
        line("full", Severity::Warning, None),
    ];
    update.lines[0].facts.tags = vec!["web".into()];
    reply(&mut state, Topic::Fleet, Reply::Fleet(update));
    tick(&mut state, NOW);
    state
}

fn asked(state: &State) -> Option<&Request> {
    state.request(Topic::Alerts)
}

fn silence(scope: &str, until: i64, reason: &str) -> Request {
    Request::Silence {
        scope: scope.into(),
        until: UnixMs(until),
        reason: reason.into(),
    }
}

fn changed(changed: u32) -> Reply {
    Reply::Alerts(Alerts {
        changed,
        ..Alerts::default()
    })
}

#[test]
fn two_hours_of_silence_are_three_keys_in_the_fleet_and_on_a_host() {
    for way in ["", "\n", "\np"] {
        let mut state = alerted(None);
        press(&mut state, way);
        let place = state.context.mode();
        press(&mut state, "S2\n");
        let wanted = silence("a", NOW + 2 * 3_600_000, "");
        assert_eq!(asked(&state), Some(&wanted), "{way:?}");
        assert_eq!(state.context.mode(), place);
        reply(&mut state, Topic::Alerts, changed(1));
        assert!(
            remark(&state).starts_with("a silenced until 02:16:40"),
            "{}",
            remark(&state)
        );
        tick(&mut state, NOW + 1_000);
        assert_eq!(asked(&state), None, "asked once");
    }
}

#[test]
fn tab_chooses_the_alert_or_the_tag_and_the_prompt_says_what_it_understood() {
    let mut state = alerted(None);
    press(&mut state, "S");
    let text = screen(&state, 120, 24);
    assert!(
        text.contains("silence a for ") && text.contains("1, 2 or 8 hours"),
        "{text}"
    );
    press(&mut state, "\t30m load");
    let text = screen(&state, 120, 24);
    assert!(text.contains("silence a:hot for 30m load"), "{text}");
    assert!(text.contains("until 00:46:40, for 30 min: load"), "{text}");
    press(&mut state, "\t\t");
    assert!(screen(&state, 120, 24).contains("silence #web for "));
    press(&mut state, "\t\t\n");
    assert_eq!(
        asked(&state),
        Some(&silence("a:hot", NOW + 1_800_000, "load"))
    );
}

#[test]
fn what_cannot_be_read_stays_in_the_prompt() {
    let mut state = alerted(None);
    press(&mut state, "S\n");
    assert_eq!(state.context.mode(), Mode::Silence);
    press(&mut state, "soon\n");
    assert_eq!(
        (state.context.mode(), state.prompt.input.as_str()),
        (Mode::Silence, "soon")
    );
    assert!(
        remark(&state).contains("is not a span"),
        "{}",
        remark(&state)
    );
    assert_eq!(asked(&state), None);
    press(&mut state, "\u{1b}");
    assert_eq!(state.context.mode(), Mode::Fleet);
}

#[test]
fn the_palette_silences_with_scope_span_and_reason() {
    let mut state = alerted(None);
    press(&mut state, ":silence db-*:hot 2h Load test\n");
    let wanted = silence("db-*:hot", NOW + 2 * 3_600_000, "Load test");
    assert_eq!(asked(&state), Some(&wanted));
    assert_eq!(state.context.mode(), Mode::Fleet);
    let refused = Reply::Refused {
        reason: "no host is called \"db-*\"".into(),
    };
    reply(&mut state, Topic::Alerts, refused);
    assert_eq!(remark(&state), "no host is called \"db-*\"");
    tick(&mut state, NOW + 1_000);
    assert_eq!(asked(&state), None, "a refused request is not sent again");
    press(&mut state, ":silence db-1\n");
    assert_eq!(state.context.mode(), Mode::Palette);
    assert!(
        remark(&state).contains("for how long?"),
        "{}",
        remark(&state)
    );
}

#[test]
fn the_palette_acknowledges_with_a_note() {
    let mut state = alerted(None);
    press(&mut state, ":ack a:hot fan ordered\n");
    let asked_for = Request::Acknowledge {
        host: "a".into(),
        rule: Some("hot".into()),
        note: "fan ordered".into(),
    };
    assert_eq!(asked(&state), Some(&asked_for));
    let mut state = alerted(None);
    press(&mut state, ":ack \n");
    assert!(remark(&state).contains("acknowledge what?"));
    assert_eq!(asked(&state), None);
}

#[test]
fn the_worst_alert_of_the_selected_host_is_acknowledged_with_one_key_and_back() {
    let acknowledge = |is_back: bool| {
        let (host, rule) = (Label::new("a"), Some(Label::new("hot")));
        match is_back {
            true => Request::Unacknowledge { host, rule },
            false => Request::Acknowledge {
                host,
                rule,
                note: "".into(),
            },
        }
    };
    for way in ["A", "\nA", "\npA"] {
        let mut state = alerted(None);
        press(&mut state, way);
        assert_eq!(asked(&state), Some(&acknowledge(false)), "{way:?}");
        reply(&mut state, Topic::Alerts, changed(1));
        assert_eq!(remark(&state), "hot on a acknowledged; A withdraws it");
        let mut state = alerted(Some("jane"));
        press(&mut state, way);
        assert_eq!(asked(&state), Some(&acknowledge(true)), "{way:?}");
    }
    let mut state = alerted(None);
    press(&mut state, "jA");
    assert_eq!(
        (remark(&state), asked(&state)),
        ("no alert is firing on b", None)
    );
    press(&mut state, "k<A");
    assert!(
        remark(&state).contains("in the present"),
        "{}",
        remark(&state)
    );
}

#[test]
fn a_second_key_withdraws_even_before_the_fleet_was_updated() {
    use sysmon_wire::alerts::Acknowledgement;
    let mut state = alerted(None);
    press(&mut state, "A");
    let answer = Alerts {
        changed: 1,
        alerts: vec![AlertState {
            host: "a".into(),
            rule: "hot".into(),
            device: "".into(),
            severity: Severity::Critical,
            since: UnixMs(NOW - 60_000),
            summary: "".into(),
            acknowledged: Some(Acknowledgement {
                by: "jane".into(),
                at: UnixMs(NOW),
                note: "".into(),
            }),
            silenced: None,
        }],
        ..Alerts::default()
    };
    reply(&mut state, Topic::Alerts, Reply::Alerts(answer));
    press(&mut state, "A");
    assert!(matches!(asked(&state), Some(Request::Unacknowledge { .. })));
}

#[test]
fn silences_are_listed_and_s_ends_the_selected_one() {
    let mut state = alerted(None);
    press(&mut state, ":silences\n");
    assert_eq!(asked(&state), Some(&Request::Alerts));
    let alerts = Alerts {
        alerts: vec![AlertState {
            host: "a".into(),
            rule: "hot".into(),
            device: "".into(),
            severity: Severity::Critical,
            since: UnixMs(5),
            summary: "".into(),
            acknowledged: None,
            silenced: None,
        }],
        silences: vec![SilenceState {
            id: "3".into(),
            scope: "ci-*".into(),
            from: UnixMs(5),
            until: UnixMs(NOW + 3_600_000),
            by: "ops".into(),
            reason: "runner upgrade".into(),
        }],
        ..Alerts::default()
    };
    reply(&mut state, Topic::Alerts, Reply::Alerts(alerts));
    let text = screen(&state, 120, 24);
    let line = text.lines().find(|line| line.contains("ci-*")).unwrap();
    assert!(
        line.contains("silenced") && line.contains("01:16:40 by ops: runner upgrade"),
        "{text}"
    );
    press(&mut state, "S");
    assert_eq!(asked(&state), Some(&Request::Unsilence { id: "3".into() }));
    reply(&mut state, Topic::Alerts, changed(1));
    assert_eq!(remark(&state), "silence of ci-* ended");
    tick(&mut state, NOW + 1_000);
    assert_eq!(asked(&state), Some(&Request::Unsilence { id: "3".into() }));
    tick(&mut state, NOW + 2_000);
    assert_eq!(asked(&state), Some(&Request::Alerts), "then the list again");
}

#[test]
fn without_a_hub_nothing_is_asked_for() {
    use super::{HubEvent, Message, update};
    let mut state = alerted(None);
    let lost = HubEvent::Lost {
        reason: "gone".to_owned(),
        retry_in_ms: 1_000,
    };
    update(&mut state, Message::Hub(lost));
    press(&mut state, "A");
    assert_eq!(remark(&state), "hub unreachable: cannot acknowledge");
    press(&mut state, "S");
    assert_eq!(remark(&state), "hub unreachable: cannot silence");
    assert_eq!(state.context.mode(), Mode::Fleet);
}
