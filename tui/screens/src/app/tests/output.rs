//! The clipboard and exported files.

use serde_json::{Value, json};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostProcess, Points};

use super::super::output::{file_name, records};
use super::{Effect, fleet, press, processes, remark};
use crate::app::State;
use crate::keys::Mode;
use crate::model::host_rows::HostRows;
use crate::model::window::Window;
use crate::testing::{change, process};

fn json_of(state: &State) -> Value {
    serde_json::from_str(&records(state).to_json()).unwrap()
}

fn copied(state: &mut State, keys: &str) -> String {
    match press(state, keys).first() {
        Some(Effect::Copy(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_selected_row_is_copied() {
    let mut state = fleet();
    assert_eq!(copied(&mut state, "jy"), "b  live  cpu 20%");
    assert_eq!(remark(&state), "copied b; y copies its value");
    assert!(copied(&mut state, "\ny").starts_with("b  "));
    assert_eq!(press(&mut state, "py"), []);
    assert!(remark(&state).contains("nothing"));
    processes(&mut state, vec![process(7, "cc1", 905, 5 << 20)]);
    let text = copied(&mut state, "y");
    assert!(
        text.starts_with("7  root  cc1  cpu 90.5%  memory 5"),
        "{text}"
    );
}

#[test]
fn the_extension_decides_the_format() {
    let mut state = fleet();
    press(&mut state, "e");
    assert_eq!(state.prompt.input, "sysmon-fleet-1970-01-01T00-16-40.svg");
    let [Effect::Export { path, content }] = &press(&mut state, "\n")[..] else {
        panic!()
    };
    assert!(path.ends_with(".svg") && content.starts_with("<svg") && !content.contains("save"));
    assert_eq!(state.context.mode(), Mode::Fleet);
    let mut of = |name: &str| match &press(&mut state, &format!("e\u{15}{name}\n"))[..] {
        [Effect::Export { content, .. }] => content.clone(),
        _ => String::new(),
    };
    assert!(of("x.txt").starts_with(" sysmon"));
    assert!(of("x.JSON").contains("\"hosts\""));
    assert!(of("x.csv").starts_with("name,"));
    assert_eq!(of("x.png"), "");
    assert!(remark(&state).contains(".svg, .txt"));
}

#[test]
fn records_are_what_the_screen_shows_in_its_order() {
    let mut state = fleet();
    press(&mut state, "/b\n");
    let json = json_of(&state);
    assert_eq!(json["hosts"][0]["name"], "b");
    assert_eq!(json["hosts"][0]["cpu"], 0.2);
    assert_eq!(json["hosts"].as_array().unwrap().len(), 1);
    let csv = records(&state).to_csv();
    let head = "name,state,last_sample_ms,cpu,mem,load1,";
    assert!(csv.starts_with(head), "{csv}");
    assert!(csv.contains("\r\nb,live,1000,0.2,,"), "{csv}");
    state.context.enter(Mode::Processes);
    processes(&mut state, vec![process(7, "cc \"x\", y", 900, 5)]);
    let csv = records(&state).to_csv();
    let row = "\r\n7,1,root,\"cc \"\"x\"\", y\",,S,1,0.9,5,0,0\r\n";
    assert!(csv.contains(row), "{csv}");
    state.context.enter(Mode::Changes);
    let list = vec![change("a", "cpu", f64::NAN, 0.9)];
    state.screens.changes.set(UnixMs(9000), list);
    let json = json_of(&state);
    assert_eq!(json["time_ms"], json!(9000));
    assert_eq!(json["changes"][0]["before"], Value::Null);
}

#[test]
fn points_of_a_comparison_have_their_own_time() {
    let mut state = fleet();
    state.context.enter(Mode::Compare);
    state.screens.compare.itself("a".into());
    state.screens.compare.follow(Window {
        from: UnixMs(90_000_000),
        to: UnixMs(90_060_000),
    });
    let part = Points {
        host: "a".into(),
        metric: "system.cpu.utilization".into(),
        unit: "1".into(),
        attributes: Vec::new(),
        start: UnixMs(3_600_000),
        step_ms: 1_000,
        values: vec![0.5],
    };
    state.screens.compare.add(1, &part);
    let csv = records(&state).to_csv();
    assert_eq!(csv, "time_ms,host,metric,value\r\n3600000,a,cpu,0.5\r\n");
    state.context.at = Some(UnixMs(90_000_000));
    state.screens.compare.select(1);
    let text = copied(&mut state, "y");
    assert!(text.starts_with("a 1 d before  cpu 50%"), "{text}");
    assert!(file_name(&state).starts_with("sysmon-compare-cpu-"));
}

#[test]
fn the_busiest_of_all_hosts_name_their_host() {
    let mut state = fleet();
    state.context.enter(Mode::Top);
    let row = HostProcess {
        host: "b".into(),
        process: process(7, "cc1", 900, 5),
    };
    state.screens.top.set(UnixMs(5000), 1, vec![row]);
    let csv = records(&state).to_csv();
    assert!(csv.contains("\r\nb,7,1,root,cc1,,1,0.9,5,0,0\r\n"), "{csv}");
    assert!(copied(&mut state, "y").starts_with("b  7  root  cc1  cpu 90.0%"));
    let name = "sysmon-processes-1970-01-01T00-16-40.svg";
    assert_eq!(file_name(&state), name);
    // The details of one.
    state.context.enter(Mode::Process);
    processes(
        &mut state,
        vec![process(8, "x", 1, 1), process(9, "y", 2, 1)],
    );
    state.screens.processes.open_selected();
    let csv = records(&state).to_csv();
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains("\r\n9,"), "{csv}");
}

#[test]
fn a_file_name_is_plain() {
    let mut state = fleet();
    assert_eq!(file_name(&state), "sysmon-fleet-1970-01-01T00-16-40.svg");
    state.context.enter(Mode::Host);
    state.context.host = Some(HostRows::new("../x y".into()));
    assert_eq!(file_name(&state), "sysmon-..-x-y-1970-01-01T00-16-40.svg");
}
