use std::io::{Read, Write};
use std::net::TcpListener;

use super::apcupsd::tests::{RECORDED, sent};
use super::*;

fn sources(list: &[(&str, u16, Option<&str>)]) -> Vec<UpsSource> {
    let source = |(host, port, name): &(&str, u16, Option<&str>)| UpsSource {
        program: UpsProgram::Nut,
        host: (*host).to_owned(),
        port: *port,
        name: name.map(str::to_owned),
    };
    list.iter().map(source).collect()
}

fn ups(name: &str, state: Result<State, &str>) -> Ups {
    Ups {
        name: name.to_owned(),
        state: state.map_err(str::to_owned),
    }
}

fn on_battery() -> State {
    State {
        on_battery: Some(true),
        runtime_s: Some(600),
        ..State::default()
    }
}

/// The values as `NAME metric=value`.
fn shown(reading: &Reading) -> Vec<String> {
    let values = reading.values.iter().map(|(key, value)| {
        let name = key.attributes.first().map_or("", |(_, name)| name.as_str());
        let metric = key.metric.name.as_str().trim_start_matches("hw.ups.");
        format!("{name} {metric}={value}")
    });
    values.collect()
}

fn away() -> Answer {
    Err("cannot connect".to_owned())
}

#[test]
fn a_supply_that_vanishes_is_unreachable_and_has_no_other_value() {
    let mut supplies = Supplies::new(&sources(&[("nas", 3493, None)]));
    // Before its names are known, the server stands for them.
    let reading = supplies.reading(vec![away()]);
    assert_eq!(shown(&reading), ["nas:3493 reachable=0"]);
    assert_eq!(
        reading.notes,
        ["cannot ask nut:nas:3493 about its UPS: cannot connect"]
    );
    let reading = supplies.reading(vec![Ok(vec![ups("a", Ok(on_battery()))])]);
    assert_eq!(
        shown(&reading),
        ["a reachable=1", "a on_battery=1", "a runtime=600"]
    );
    assert!(reading.notes.is_empty());
    let reading = supplies.reading(vec![Ok(vec![ups("a", Err("no news"))])]);
    assert_eq!(shown(&reading), ["a reachable=0"]);
    assert_eq!(reading.notes, ["UPS a of nas:3493: no news"]);
    let reading = supplies.reading(vec![away()]);
    assert_eq!(shown(&reading), ["a reachable=0"]);
    // Taken out of the configuration of upsd, which answers.
    let reading = supplies.reading(vec![Ok(Vec::new())]);
    assert!(shown(&reading).is_empty());
}

#[test]
fn a_named_supply_is_unreachable_from_the_start() {
    let mut supplies = Supplies::new(&sources(&[("nas", 3493, Some("rack"))]));
    let reading = supplies.reading(vec![away()]);
    assert_eq!(shown(&reading), ["rack reachable=0"]);
}

#[test]
fn supplies_of_one_name_are_told_apart_by_their_servers() {
    let mut supplies = Supplies::new(&sources(&[("a", 1, None), ("b", 2, None)]));
    let one = |name: &str| Ok(vec![ups(name, Ok(State::default()))]);
    let reading = supplies.reading(vec![one("ups"), one("ups")]);
    assert_eq!(
        shown(&reading),
        ["ups@a:1 reachable=1", "ups@b:2 reachable=1"]
    );
    let reading = supplies.reading(vec![one("ups"), away()]);
    assert_eq!(
        shown(&reading),
        ["ups@a:1 reachable=1", "ups@b:2 reachable=0"],
        "the same names while one is unreachable"
    );
    let reading = supplies.reading(vec![one("ups"), one("other")]);
    assert_eq!(shown(&reading), ["ups reachable=1", "other reachable=1"]);
}

#[test]
fn supplies_beyond_the_limit_are_left_out_and_counted() {
    let mut supplies = Supplies::new(&sources(&[("a", 1, None)]));
    let many = (0..UPSES_MAX + 3).map(|n| ups(&format!("u{n}"), Ok(State::default())));
    let reading = supplies.reading(vec![Ok(many.collect())]);
    assert_eq!((reading.values.len(), reading.left_out), (UPSES_MAX, 3));
    assert!(reading.notes[0].contains("3 UPSes left out"));
}

/// A server on loopback that sends this in answer to one request; returns where it listens.
fn server(answer: Vec<u8>) -> (thread::JoinHandle<Vec<u8>>, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let playing = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64];
        let count = stream.read(&mut request).unwrap();
        request.truncate(count);
        // The client may have hung up.
        let _ = stream.write_all(&answer);
        request
    });
    (playing, port)
}

fn asked(program: UpsProgram, answer: Vec<u8>) -> (Answer, Vec<u8>) {
    let (playing, port) = server(answer);
    let source = UpsSource {
        program,
        host: "127.0.0.1".to_owned(),
        port,
        name: None,
    };
    let answer = ask(&source, &Clock::system());
    (answer, playing.join().unwrap())
}

#[test]
fn what_apcupsd_sent_is_understood_over_a_connection() {
    let (answer, request) = asked(UpsProgram::Apcupsd, sent(RECORDED));
    assert_eq!(request, b"\0\x06status");
    let upses = answer.unwrap();
    assert_eq!(upses[0].name, "closet");
    assert_eq!(upses[0].state.as_ref().unwrap().low_battery, Some(true));
}

#[test]
fn servers_that_send_too_much_or_too_little_are_an_error() {
    for program in [UpsProgram::Nut, UpsProgram::Apcupsd] {
        let too_much = asked(program, vec![b'x'; 200 << 10]).0.unwrap_err();
        assert!(too_much.contains("longer than 65536 bytes"), "{too_much}");
        let too_little = asked(program, b"BEGIN".to_vec()).0.unwrap_err();
        assert!(too_little.contains("check the port"), "{too_little}");
        let nothing = asked(program, Vec::new()).0.unwrap_err();
        assert!(nothing.contains("check the port"), "{nothing}");
    }
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut closed = sources(&[("127.0.0.1", port, None)]);
    let error = ask(&closed.remove(0), &Clock::system()).unwrap_err();
    assert!(error.contains("cannot connect to 127.0.0.1"), "{error}");
}
