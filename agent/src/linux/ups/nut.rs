//! Network UPS Tools: requests to `upsd` and its answers (docs/net-protocol.txt of NUT).

use sysmon_config::is_ups_name;

use super::server::Server;
use super::{Answer, State, UPSES_MAX, Ups, number};

/// UPSes of a server that are listed; [`UPSES_MAX`] of them are asked for.
const LISTED_MAX: usize = 256;

pub(super) fn ask(server: &mut Server<'_>, name: Option<&str>) -> Answer {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => names(&list(server, "UPS")?)?,
    };
    let mut upses = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        let state = match at {
            0..UPSES_MAX => state(&name, &list(server, &format!("VAR {name}"))?),
            // Counted as left out.
            _ => Ok(State::default()),
        };
        upses.push(Ups { name, state });
    }
    Ok(upses)
}

fn list(server: &mut Server<'_>, what: &str) -> Result<String, String> {
    let answer = server.ask(format!("LIST {what}\n").as_bytes(), |answer| {
        is_whole(answer, what)
    })?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether an answer has its last line: the end of the list, or an error instead of it.
fn is_whole(answer: &[u8], what: &str) -> bool {
    let is_error = answer.starts_with(b"ERR ") && answer.ends_with(b"\n");
    is_error || answer.ends_with(format!("\nEND LIST {what}\n").as_bytes())
}

/// The lines of a list, without the two around it.
fn items<'a>(answer: &'a str, what: &str) -> Result<impl Iterator<Item = &'a str>, String> {
    if let Some(error) = answer.strip_prefix("ERR ") {
        return Err(explained(error.trim_end()));
    }
    let rest = answer.strip_prefix(&format!("BEGIN LIST {what}\n"));
    let list = rest.and_then(|rest| rest.strip_suffix(&format!("END LIST {what}\n")));
    let list = list.ok_or("it did not answer as upsd does: check the port")?;
    Ok(list.lines())
}

fn explained(error: &str) -> String {
    let code = error.split_whitespace().next().unwrap_or_default();
    match code {
        "UNKNOWN-UPS" => "upsd has no UPS of that name: see `upsc -l`".to_owned(),
        "DATA-STALE" => "upsd has no news of it: check its cable and its driver".to_owned(),
        "DRIVER-NOT-CONNECTED" => {
            "its driver does not run: see `systemctl status nut-driver@NAME`".to_owned()
        }
        "ACCESS-DENIED" => "upsd allows no access from this host".to_owned(),
        _ => {
            let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
            let code: String = code.chars().filter(fits).take(40).collect();
            format!("upsd answered with the error {code}")
        }
    }
}

/// The names in an answer to `LIST UPS`: lines of `UPS name "description"`.
fn names(answer: &str) -> Result<Vec<String>, String> {
    let name = |line: &str| {
        let mut words = words(line).into_iter();
        (words.next()? == "UPS").then(|| words.next())?
    };
    let names = items(answer, "UPS")?.filter_map(name);
    let mut names: Vec<_> = names
        .filter(|name| is_ups_name(name))
        .take(LISTED_MAX)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// The state in an answer to `LIST VAR name`: lines of `VAR name variable "value"`.
fn state(name: &str, answer: &str) -> Result<State, String> {
    let mut state = State::default();
    for line in items(answer, &format!("VAR {name}"))? {
        let words = words(line);
        let [kind, ups, variable, value] = words.as_slice() else {
            continue;
        };
        if kind != "VAR" || ups != name {
            continue;
        }
        match variable.as_str() {
            // A driver that has just started does not know yet.
            "ups.status" if value.trim().is_empty() || value == "WAIT" => {}
            "ups.status" => {
                let has = |flag| Some(value.split_whitespace().any(|word| word == flag));
                state.on_battery = has("OB");
                state.low_battery = has("LB");
                state.replace_battery = has("RB");
            }
            "battery.charge" => state.set_charge(number(value)),
            "battery.runtime" => state.set_runtime(number(value)),
            "ups.load" => state.set_load(number(value)),
            "input.voltage" => state.set_input(number(value)),
            _ => {}
        }
    }
    Ok(state)
}

/// The words of a line. One in quotes may contain spaces, and `\` before a quote or another `\`.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let (mut is_quoted, mut characters) = (false, line.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(characters.next()),
            ' ' if !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As upsd 2.8.0 answered.
    const LIST_UPS: &str = "BEGIN LIST UPS\nUPS rack \"Rack \\\"left\\\"\"\nUPS desk \"Description unavailable\"\nEND LIST UPS\n";
    const LIST_VAR: &str = "BEGIN LIST VAR rack\n\
        VAR rack battery.charge \"87\"\n\
        VAR rack battery.runtime \"1840\"\n\
        VAR rack device.mfr \"Example\"\n\
        VAR rack device.model \"Dummy UPS\"\n\
        VAR rack device.type \"ups\"\n\
        VAR rack driver.name \"dummy-ups\"\n\
        VAR rack driver.parameter.pollinterval \"2\"\n\
        VAR rack driver.version \"2.8.0\"\n\
        VAR rack input.voltage \"231.4\"\n\
        VAR rack ups.load \"23.5\"\n\
        VAR rack ups.status \"OL\"\n\
        END LIST VAR rack\n";

    #[test]
    fn names_and_states_are_read_from_the_lists_of_upsd() {
        assert_eq!(names(LIST_UPS).unwrap(), ["desk", "rack"]);
        let on_line = State {
            on_battery: Some(false),
            low_battery: Some(false),
            replace_battery: Some(false),
            charge_permille: Some(870),
            load_permille: Some(235),
            runtime_s: Some(1840),
            input_decivolts: Some(2314),
        };
        assert_eq!(state("rack", LIST_VAR).unwrap(), on_line);
        let low = "BEGIN LIST VAR a\nVAR a ups.status \"OB DISCHRG LB RB\"\nEND LIST VAR a\n";
        let flags = State {
            on_battery: Some(true),
            low_battery: Some(true),
            replace_battery: Some(true),
            ..State::default()
        };
        assert_eq!(state("a", low).unwrap(), flags);
        let starting = "BEGIN LIST VAR a\nVAR a ups.status \"WAIT\"\nEND LIST VAR a\n";
        assert_eq!(state("a", starting).unwrap(), State::default());
        let empty = "BEGIN LIST VAR a\nEND LIST VAR a\n";
        assert_eq!(state("a", empty).unwrap(), State::default());
    }

    #[test]
    fn values_that_no_supply_can_have_are_left_out() {
        let of = |variable: &str, value: &str| {
            let text = format!("BEGIN LIST VAR a\nVAR a {variable} \"{value}\"\nEND LIST VAR a\n");
            state("a", &text).unwrap()
        };
        for wrong in ["-1", "nan", "inf", "1e300", "", "100 %", "101"] {
            assert_eq!(of("battery.charge", wrong), State::default(), "{wrong}");
        }
        assert_eq!(of("ups.load", "118").load_permille, Some(1180));
        assert_eq!(of("battery.runtime", "1e9"), State::default());
        assert_eq!(of("battery.runtime", "42.6").runtime_s, Some(43));
    }

    #[test]
    fn an_answer_ends_with_its_list_or_an_error() {
        assert!(is_whole(LIST_UPS.as_bytes(), "UPS"));
        assert!(is_whole(b"ERR DATA-STALE\n", "VAR a"));
        assert!(is_whole(LIST_VAR.as_bytes(), "VAR rack"));
        let half = LIST_VAR.len() / 2;
        assert!(!is_whole(&LIST_VAR.as_bytes()[..half], "VAR rack"));
        assert!(!is_whole(b"", "UPS"));
        let fails = |answer: &str| state("rack", answer).unwrap_err();
        assert!(fails("ERR DATA-STALE\n").contains("cable"));
        assert!(fails("ERR UNKNOWN-UPS\n").contains("upsc -l"));
        assert!(fails("ERR \u{1b}[31mX Y\n").ends_with("the error 31mX"));
        assert!(fails("SSH-2.0-OpenSSH_9.2\n").contains("check the port"));
        assert!(fails(LIST_UPS).contains("check the port"));
    }

    #[test]
    fn names_that_could_be_more_than_a_name_are_not_asked_for() {
        let answer = "BEGIN LIST UPS\nUPS \"a b\" \"\"\nUPS \"a\\\"b\" \"\"\nUPS ok \"\"\nUPS\nEND LIST UPS\n";
        assert_eq!(names(answer).unwrap(), ["ok"]);
    }

    proptest! {
        #[test]
        fn arbitrary_answers_do_not_panic(text in "\\PC*", lines in "([A-Z a-z.\"\\\\\n]){0,200}") {
            for text in [&text, &lines] {
                let _ = (names(text), is_whole(text.as_bytes(), "UPS"));
                let _ = state("a", &format!("BEGIN LIST VAR a\nVAR a {text}\nEND LIST VAR a\n"));
            }
        }
    }
}
