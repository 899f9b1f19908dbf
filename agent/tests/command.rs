//! The command line of the agent.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

fn agent(args: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sysmon-agent"))
        .args(args)
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn a_sample_is_printed_as_table_and_json() {
    let (code, table, _) = agent(&["sample"]);
    assert_eq!(code, 0);
    assert!(table.contains("system.cpu.utilization"), "{table}");
    let (code, json, _) = agent(&["sample", "--json"]);
    assert_eq!(code, 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["schema"], 1);
    let series = json["series"].as_array().unwrap();
    assert!(
        series
            .iter()
            .any(|s| s["metric"] == "system.memory.utilization"),
        "{json}"
    );
}

#[test]
fn without_a_hub_it_fails_with_an_error_message() {
    let (code, _, stderr) = agent(&[]);
    assert_ne!(code, 0);
    assert!(
        stderr.lines().last().unwrap().starts_with("sysmon-agent: "),
        "{stderr}"
    );
    let (code, help, _) = agent(&["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("Examples:"));
}
