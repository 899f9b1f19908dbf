//! The commands without a running hub.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::process::Command;

fn hub(home: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sysmon-hub"))
        .args(args)
        .env("HOME", home)
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
fn identities_are_issued_once_and_only_for_known_roles() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("db-1").display().to_string();
    let issue = |role: &str| {
        hub(
            home.path(),
            &[
                "cert", "issue", "--role", role, "--name", "db-1", "--out", &out,
            ],
        )
    };
    let (code, told, _) = issue("agent");
    assert!(code == 0 && told.contains(&out), "{told}");
    let key = Path::new(&out).join("key.pem");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let (code, _, stderr) = issue("agent");
    assert!(
        code == 2 && stderr.contains("holds an identity already"),
        "{stderr}"
    );
    let (code, _, stderr) = issue("hub");
    assert!(
        code == 2 && stderr.contains("choose agent, operator, edge or gateway"),
        "{stderr}"
    );
    assert!(key.exists());
}

#[test]
fn check_validates_the_configuration_and_status_fails_without_a_hub() {
    let home = tempfile::tempdir().unwrap();
    let (code, told, _) = hub(home.path(), &["check"]);
    assert!(code == 0 && told.contains("would listen on"), "{told}");
    let (code, _, stderr) = hub(home.path(), &["status"]);
    assert!(code == 1 && stderr.contains("hub"), "{stderr}");
    let (code, _, _) = hub(home.path(), &["--no-such-flag"]);
    assert_eq!(code, 2);
    let config = home.path().join("config.toml");
    std::fs::write(&config, "[hub]\nmetrics = \"0.0.0.0:9797\"\n").unwrap();
    let (code, _, stderr) = hub(home.path(), &["--config", &config.display().to_string()]);
    assert!(
        code == 2
            && stderr.contains("config.toml:2: [hub] metrics: 0.0.0.0:9797 is not on loopback"),
        "{stderr}"
    );
}
