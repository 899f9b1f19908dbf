//! An agent in a container whose own /proc, root and network are not the host's.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const AGENT: &str = env!("CARGO_BIN_EXE_sysmon-agent");

fn sample(output: &std::process::Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The values of an attribute of a metric.
fn attributes(sample: &Value, metric: &str, attribute: &str) -> BTreeSet<String> {
    let series = sample["series"].as_array().unwrap();
    let of = series.iter().filter(|series| series["metric"] == metric);
    let values = of.filter_map(|series| series["attributes"][attribute].as_str());
    values.map(str::to_owned).collect()
}

fn processes(sample: &Value) -> f64 {
    let series = sample["series"].as_array().unwrap();
    let is_total = |series: &&Value| {
        series["metric"] == "system.process.count" && series["attributes"] == serde_json::json!({})
    };
    series.iter().find(is_total).unwrap()["value"]
        .as_f64()
        .unwrap()
}

/// One sample in new namespaces, in which the host's root is at `host`.
fn in_container(dir: &std::path::Path, flags: &str) -> Value {
    let script = format!(
        "set -e; cd {}; mkdir -p host; mount --rbind / host; mount -t proc none /proc
         mount --bind os-release /usr/lib/os-release
         {AGENT} sample --json {flags}",
        dir.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--net", "--fork", "sh", "-c", &script]);
    sample(&command.output().unwrap())
}

#[test]
#[ignore = "needs root"]
fn an_agent_in_a_container_reports_the_host_and_not_the_container() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("os-release"),
        "PRETTY_NAME=\"A container\"\n",
    )
    .unwrap();
    let host = Command::new(AGENT).args(["sample", "--json"]).output();
    let host = sample(&host.unwrap());
    let at = |path: &str| dir.path().join("host").join(path).display().to_string();
    let flags = format!(
        "--proc {} --sys {} --rootfs {}",
        at("proc"),
        at("sys"),
        at("")
    );
    let own = in_container(dir.path(), "");
    let seen = in_container(dir.path(), &flags);
    assert_eq!(
        own["host"]["os"], "A container",
        "the container differs from the host"
    );
    assert!(processes(&own) < 5.0);
    assert_eq!(seen["host"], {
        // Computed from the clock, so it may differ by a little.
        let mut facts = host["host"].clone();
        facts["boot"] = seen["host"]["boot"].clone();
        facts
    });
    assert!(processes(&seen) > 2.0 * processes(&own));
    for (metric, attribute) in [
        ("system.filesystem.limit", "system.filesystem.mountpoint"),
        ("system.network.io", "network.interface.name"),
    ] {
        let expected = attributes(&host, metric, attribute);
        assert_eq!(attributes(&seen, metric, attribute), expected, "{metric}");
    }
    assert!(
        attributes(
            &host,
            "system.filesystem.limit",
            "system.filesystem.mountpoint"
        )
        .contains("/")
    );
}
