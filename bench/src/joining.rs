//! Time from the `join` command until the machine's first row is visible.

use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::programs::{LocalHub, Running, TIMEOUT, output, program};
use crate::report::Times;

const TRIES: usize = 5;

fn is_visible(snapshot: &str, name: &str) -> bool {
    let snapshot: Value = serde_json::from_str(snapshot).unwrap_or_default();
    let hosts = snapshot.get("hosts").and_then(Value::as_array);
    hosts.into_iter().flatten().any(|host| {
        let is = |key: &str, value: &str| host.get(key).and_then(Value::as_str) == Some(value);
        let rows = host.get("rows").and_then(Value::as_u64);
        is("name", name) && is("state", "live") && rows > Some(0)
    })
}

/// Joins machines to a new hub, one after the other, and reports how long each took.
pub fn joining() -> anyhow::Result<String> {
    let (agent, tui) = (program("sysmon-agent")?, program("sysmon-tui")?);
    let hub = LocalHub::start()?;
    let mut times = Vec::new();
    for number in 0..TRIES {
        let name = format!("joined-{number}");
        let created = hub.command(&["token", "create", "--name", &name])?;
        let token = created.split_whitespace().last().context("no token")?;
        let state = hub.path(&name);
        let start = Instant::now();
        let args = ["--state", &state, "join", &hub.address, token];
        let _agent = Running::start(&agent, &args, hub.home())?;
        let snapshot = [
            "--hub",
            &hub.address,
            "--state",
            &hub.state,
            "snapshot",
            "--json",
        ];
        while !is_visible(&output(&tui, &snapshot)?, &name) {
            if start.elapsed() > TIMEOUT {
                bail!("{name} did not appear within {TIMEOUT:?}");
            }
        }
        times.push(start.elapsed());
    }
    let times = Times::new(times);
    Ok(format!(
        "from the join command to the first visible row: median {:.0} ms, maximum {:.0} ms, {TRIES} runs\n",
        times.quantile_ms(0.5),
        times.quantile_ms(1.0)
    ))
}
