//! How long it takes from the pasted line until the machine's first row can be seen.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::programs::{PATIENCE, Running, program, wait_for_file};

/// Times it is measured.
const TRIES: usize = 5;

/// What a program prints.
fn printed(program: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a host is live, and something is known of it.
fn is_seen(snapshot: &str, name: &str) -> bool {
    let snapshot: Value = serde_json::from_str(snapshot).unwrap_or_default();
    let hosts = snapshot.get("hosts").and_then(Value::as_array);
    hosts.into_iter().flatten().any(|host| {
        let is = |key: &str, value: &str| host.get(key).and_then(Value::as_str) == Some(value);
        let rows = host.get("rows").and_then(Value::as_u64);
        is("name", name) && is("state", "live") && rows > Some(0)
    })
}

/// Joins machines to a new hub, one after the other, and tells how long each took, in words.
pub fn joining() -> anyhow::Result<String> {
    let (hub, agent, tui) = (
        program("sysmon-hub")?,
        program("sysmon-agent")?,
        program("sysmon-tui")?,
    );
    let dir = tempfile::tempdir()?;
    let state = dir.path().join("hub").display().to_string();
    let _hub = Running::start(
        &hub,
        &["--state", &state, "--listen", "127.0.0.1:0"],
        dir.path(),
    )?;
    let address = wait_for_file(&dir.path().join("hub/address"))?;
    let mut times = Vec::new();
    for number in 0..TRIES {
        let name = format!("joined-{number}");
        let args = ["--state", &state, "token", "create", "--name", &name];
        let token = printed(&hub, &args)?;
        let token = token.split_whitespace().last().context("no token")?;
        let own = dir.path().join(&name).display().to_string();
        let start = Instant::now();
        let _agent = Running::start(
            &agent,
            &["--state", &own, "join", &address, token],
            dir.path(),
        )?;
        let ask = ["--hub", &address, "--state", &state, "snapshot", "--json"];
        while !is_seen(&printed(&tui, &ask)?, &name) {
            if start.elapsed() > PATIENCE {
                bail!("{name} is not to be seen");
            }
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0, std::time::Duration::as_millis);
    Ok(format!(
        "from the line that joins to the first row seen: median {} ms, longest {} ms, of {TRIES}\n",
        ms(TRIES / 2),
        ms(TRIES - 1)
    ))
}
