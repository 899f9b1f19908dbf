//! The command line.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::Command;

fn edge(args: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_sysmon-edge"))
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
fn without_an_identity_the_error_names_the_next_command() {
    let (code, _, stderr) = edge(&[]);
    assert_eq!(code, 1);
    assert!(stderr.contains("sysmon-hub token create"), "{stderr}");
    let (code, help, _) = edge(&["--help"]);
    assert!(code == 0 && help.contains("Examples:"), "{help}");
    let (code, _, _) = edge(&["join", "localhost", "no-token"]);
    assert_eq!(code, 2);
}
