//! Acknowledging and silencing from any screen, and what is typed for a silence. Pure.

use jiff::tz::TimeZone;
use sysmon_config::time::{format_clock, format_moment, format_span, parse_deadline, parse_span};
use sysmon_wire::message::HostLine;
use sysmon_wire::{Label, UnixMs};

use super::state::State;
use crate::keys::Mode;
use crate::operation::Operation;
use crate::screen::Outcome;

pub(super) const SILENCE_HINT: &str = "1, 2 or 8 hours, 30m, until 14:00; then a reason";

const DAY_MS: i64 = 86_400_000;

/// A bare number counts hours, of so many digits at most.
const HOURS_DIGITS: usize = 3;

/// When a silence ends, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SilenceText {
    pub(super) until: UnixMs,
    pub(super) reason: String,
}

/// Reads `2`, `2h load test`, `30m`, `until 14:00 upgrade` or `until tomorrow 9:00`.
pub(super) fn parse_silence(
    text: &str,
    now: UnixMs,
    zone: &TimeZone,
) -> Result<SilenceText, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let Some((first, rest)) = words.split_first() else {
        return Err(format!("for how long? {SILENCE_HINT}"));
    };
    let of = |until: UnixMs, reason: &[&str]| SilenceText {
        until,
        reason: reason.join(" ").trim_matches('"').to_owned(),
    };
    if matches!(*first, "until" | "till") {
        let mut wrong = format!("until when? {SILENCE_HINT}");
        // A date and a time are two words.
        for count in [2, 1] {
            let (Some(when), Some(reason)) = (rest.get(..count), rest.get(count..)) else {
                continue;
            };
            match parse_deadline(&when.join(" "), now.0, zone) {
                Ok(until) => return Ok(of(UnixMs(until), reason)),
                Err(error) => wrong = error.to_string(),
            }
        }
        return Err(wrong);
    }
    let is_hours = first.len() <= HOURS_DIGITS && first.bytes().all(|b| b.is_ascii_digit());
    let span = match is_hours {
        true => parse_span(&format!("{first}h")),
        false => parse_span(first),
    };
    let span = span.map_err(|error| error.to_string())?;
    let ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Ok(of(UnixMs(now.0.saturating_add(ms)), rest))
}

/// When a silence ends, in words: `until 14:00:00`, with the date where that is not today.
pub(super) fn until_text(until: UnixMs, now: UnixMs, zone: &TimeZone) -> String {
    match until - now {
        ..DAY_MS => format!("until {}", format_clock(until.0, zone)),
        _ => format!("until {}", format_moment(until.0, zone)),
    }
}

/// What is understood of the silence that is being typed.
pub(super) fn understood(state: &State) -> Result<String, String> {
    let context = &state.context;
    if state.prompt.input.trim().is_empty() {
        return Ok(SILENCE_HINT.to_owned());
    }
    let silence = parse_silence(&state.prompt.input, context.now, &context.zone)?;
    let until = until_text(silence.until, context.now, &context.zone);
    let lasts = format_span(silence.until - context.now);
    Ok(match silence.reason.as_str() {
        "" => format!("{until}, for {lasts}"),
        reason => format!("{until}, for {lasts}: {reason}"),
    })
}

/// The scope that is being silenced.
pub(super) fn chosen_scope(state: &State) -> &str {
    let scopes = &state.prompt.scopes;
    scopes.get(state.prompt.chosen).map_or("", String::as_str)
}

/// Silences the next or the previous of the scopes that the selection offers.
pub(super) fn choose_scope(state: &mut State, by: isize) {
    let count = state.prompt.scopes.len() as isize;
    if count > 0 {
        let to = (state.prompt.chosen as isize + by).rem_euclid(count);
        state.prompt.chosen = usize::try_from(to).unwrap_or(0);
    }
}

/// Opens the prompt for a silence of one of `scopes`.
pub(super) fn prompt_silence(state: &mut State, scopes: Vec<String>) {
    if !state.context.is_connected() {
        return state.remark("hub unreachable: cannot silence");
    }
    state.prompt.input.clear();
    state.prompt.is_proposed = false;
    state.prompt.chosen = 0;
    state.prompt.scopes = scopes;
    state.context.enter(Mode::Silence);
}

/// Silences what is selected where no screen has a meaning of its own: the group, or the open or selected host.
pub(super) fn silence(state: &mut State) {
    let is_fleet = state.context.place() == Mode::Fleet;
    let group = state.screens.fleet.selected_group().filter(|_| is_fleet);
    if let Some(group) = group {
        return match &group.tag {
            Some(tag) => prompt_silence(state, vec![format!("#{tag}")]),
            None => state.remark("hosts without a tag have no name to silence them by"),
        };
    }
    let Some(line) = line(state) else {
        return state.remark("no host is selected");
    };
    let alerts = line.alerts.iter();
    let of_rules = alerts.map(|alert| format!("{}:{}", line.name, alert.rule));
    let of_tags = line.facts.tags.iter().map(|tag| format!("#{tag}"));
    let scopes: Vec<String> = std::iter::once(line.name.to_string())
        .chain(of_rules)
        .chain(of_tags)
        .collect();
    prompt_silence(state, scopes);
}

/// Acknowledges the worst alert of the open or selected host; if that is acknowledged, withdraws it.
pub(super) fn acknowledge(state: &mut State) -> Vec<Outcome> {
    if state.context.at.is_some() {
        return vec![Outcome::Remark(
            "alerts are acknowledged in the present; End shows it".to_owned(),
        )];
    }
    let Some(line) = line(state) else {
        return vec![Outcome::Remark("no host is selected".to_owned())];
    };
    let Some(alert) = line.alerts.first() else {
        return vec![Outcome::Remark(format!(
            "no alert is firing on {}",
            line.name
        ))];
    };
    vec![Outcome::Operate(Operation::Acknowledge {
        host: line.name.clone(),
        rule: Some(alert.rule.clone()),
        note: Label::default(),
        is_acknowledged: alert.acknowledged.is_none(),
    })]
}

/// The open host, or the one that is selected in the fleet. The fleet's line is the newer one.
fn line(state: &State) -> Option<&HostLine> {
    let fleet = &state.screens.fleet;
    match state.context.host_name() {
        Some(name) => {
            let known = fleet.host(name).map(|host| &host.line);
            known.or(state.context.host.as_ref()?.line.as_ref())
        }
        None => fleet.selected().map(|host| &host.line),
    }
}

/// Sends what was asked for, if there is a hub.
pub(super) fn operate(state: &mut State, operation: Operation) {
    if !state.context.is_connected() {
        let verb = operation.verb();
        return state.remark(format!("hub unreachable: cannot {verb}"));
    }
    state.screens.events.alerts.operate(operation);
}

/// Accepts the prompt for a silence; what cannot be read stays, to be corrected.
pub(super) fn accept_silence(state: &mut State) -> Vec<Outcome> {
    let scope = chosen_scope(state).to_owned();
    let text = std::mem::take(&mut state.prompt.input);
    match operation(state, &scope, &text) {
        Ok(operation) => {
            state.context.leave();
            vec![Outcome::Operate(operation)]
        }
        Err(error) => {
            state.prompt.input = text;
            vec![Outcome::Remark(error)]
        }
    }
}

/// The acknowledgement that the palette's `ack HOST[:RULE] NOTE` asks for.
pub(super) fn acknowledge_command(text: &str) -> Result<Operation, String> {
    let (scope, note) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let (host, rule) = match scope.split_once(':') {
        Some((host, rule)) => (host, Some(Label::new(rule))),
        None => (scope, None),
    };
    if host.is_empty() {
        return Err(
            "acknowledge what? a host or one of its alerts, db-1:disk-full; then a note".to_owned(),
        );
    }
    Ok(Operation::Acknowledge {
        host: Label::new(host),
        rule,
        note: Label::new(note.trim().trim_matches('"')),
        is_acknowledged: true,
    })
}

/// The silence that the palette's `silence SCOPE FOR REASON` asks for.
pub(super) fn silence_command(state: &State, text: &str) -> Result<Operation, String> {
    let (scope, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if scope.is_empty() {
        return Err("silence what? a host, db-*:cpu, #web or :rule".to_owned());
    }
    operation(state, scope, rest)
}

fn operation(state: &State, scope: &str, text: &str) -> Result<Operation, String> {
    let SilenceText { until, reason } =
        parse_silence(text, state.context.now, &state.context.zone)?;
    Ok(Operation::Silence {
        scope: Label::new(scope),
        until,
        reason: Label::new(&reason),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_is_of_a_host_or_one_of_its_alerts_with_a_note() {
        let read = |text: &str| match acknowledge_command(text) {
            Ok(Operation::Acknowledge {
                host, rule, note, ..
            }) => Ok((
                host.to_string(),
                rule.map(|rule| rule.to_string()),
                note.to_string(),
            )),
            Ok(_) => panic!("an acknowledgement"),
            Err(error) => Err(error),
        };
        let all = Ok(("db-1".to_owned(), None, "disk ordered".to_owned()));
        assert_eq!(read("db-1 disk ordered"), all);
        assert_eq!(read(" db-1  \"disk ordered\" "), all);
        let one = Ok((
            "db-1".to_owned(),
            Some("disk-full".to_owned()),
            String::new(),
        ));
        assert_eq!(read("db-1:disk-full"), one);
        assert!(read("").unwrap_err().contains("acknowledge what?"));
        assert!(read(":hot").is_err());
    }

    #[test]
    fn a_silence_is_a_number_of_hours_a_span_or_a_moment_and_a_reason() {
        // 2026-05-04 13:00 UTC.
        let now = UnixMs(1_777_899_600_000);
        let read = |text: &str| parse_silence(text, now, &TimeZone::UTC);
        let minutes = |text: &str| {
            let silence = read(text).unwrap();
            ((silence.until - now) / 60_000, silence.reason)
        };
        let no = String::new;
        assert_eq!(minutes("2"), (120, no()));
        assert_eq!(minutes("8 new disks"), (480, "new disks".to_owned()));
        assert_eq!(minutes("30m"), (30, no()));
        assert_eq!(minutes("2h \"load test\""), (120, "load test".to_owned()));
        assert_eq!(minutes("until 14:00 upgrade"), (60, "upgrade".to_owned()));
        assert_eq!(minutes("until 12:00"), (23 * 60, no()), "tomorrow");
        let tomorrow = minutes("until tomorrow 9:00 new disks");
        assert_eq!(tomorrow, (20 * 60, "new disks".to_owned()));
        assert_eq!(minutes("until 2026-05-05 x"), (11 * 60, "x".to_owned()));
        for (wrong, says) in [
            ("", "for how long?"),
            ("until", "until when?"),
            ("until soon", "is not a time"),
            ("until 2020-01-01", "is in the past"),
            ("load test", "is not a span"),
            ("0", "greater than zero"),
        ] {
            let said = read(wrong).unwrap_err();
            assert!(said.contains(says), "{wrong}: {said}");
        }
    }
}
