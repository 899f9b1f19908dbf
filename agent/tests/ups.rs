//! UPSes of a real `upsd` with its driver for tests, `dummy-ups`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const AGENT: &str = env!("CARGO_BIN_EXE_sysmon-agent");

/// Where NUT's programs are: Debian has a script in their place in `/sbin`, which reads `/etc/nut`.
const FOLDERS: [&str; 3] = ["/lib/nut", "/usr/lib/nut", "/usr/libexec/nut"];

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// NUT with configuration and state in a directory of its own.
struct Nut<'a> {
    dir: &'a Path,
    port: u16,
    user: String,
}

impl<'a> Nut<'a> {
    fn new(dir: &'a Path) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = port.local_addr().unwrap().port();
        let ups = |name: &str| {
            format!("[{name}]\ndriver = dummy-ups\nport = {name}.dev\npollinterval = 1\n")
        };
        let nut = Self {
            dir,
            port,
            user: user(),
        };
        nut.write("ups.conf", &(ups("rack") + &ups("desk")));
        nut.write("upsd.conf", &format!("LISTEN 127.0.0.1 {port}\n"));
        nut.write("upsd.users", "");
        nut.write("nut.conf", "MODE=standalone\n");
        nut
    }

    fn write(&self, name: &str, text: &str) {
        // In one step: the driver reads its file whenever that changes.
        let new = self.dir.join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.dir.join(name)).unwrap();
    }

    fn start(&self, program: &str, args: &[&str]) -> Running {
        let paths = FOLDERS.map(|folder| Path::new(folder).join(program));
        let path = paths.iter().find(|path| path.exists()).unwrap();
        let mut command = Command::new(path);
        command.args(args).args(["-F", "-u", &self.user]);
        for name in ["NUT_CONFPATH", "NUT_STATEPATH", "NUT_ALTPIDPATH"] {
            command.env(name, self.dir);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Running(command.spawn().unwrap())
    }

    /// What the agent says of its UPSes: `NAME METRIC` with the value.
    fn sample(&self, ups: &str) -> BTreeMap<String, f64> {
        let config = self.dir.join("config.toml");
        let ups = ups.replace("PORT", &self.port.to_string());
        std::fs::write(&config, format!("[agent]\nups = [\"{ups}\"]\n")).unwrap();
        let output = Command::new(AGENT)
            .args(["sample", "--json", "--config"])
            .arg(config)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let value = |series: &Value| {
            let metric = series["metric"].as_str()?.strip_prefix("hw.ups.")?;
            let name = series["attributes"]["hw.name"].as_str()?;
            Some((format!("{name} {metric}"), series["value"].as_f64()?))
        };
        let series = json["series"].as_array().unwrap();
        series.iter().filter_map(value).collect()
    }

    /// Samples until this has that value: the programs need a while to start, to read and to notice.
    fn until(&self, ups: &str, what: &str, value: f64) -> BTreeMap<String, f64> {
        for _ in 0..200 {
            let sample = self.sample(ups);
            if sample.get(what) == Some(&value) {
                return sample;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("{what} was never {value}: {:?}", self.sample(ups));
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn of(sample: &BTreeMap<String, f64>) -> Vec<(&str, f64)> {
    sample.iter().map(|(k, v)| (k.as_str(), *v)).collect()
}

#[test]
#[ignore = "needs nut-server"]
fn supplies_of_upsd_are_followed_from_mains_to_battery_to_gone() {
    let dir = tempfile::tempdir().unwrap();
    let nut = Nut::new(dir.path());
    let on_line = "ups.status: OL CHRG\nbattery.charge: 87\nbattery.runtime: 1840\n\
        ups.load: 23.5\ninput.voltage: 231.4\n";
    nut.write("rack.dev", on_line);
    nut.write("desk.dev", "ups.status: OL RB\nbattery.charge: 100\n");
    let rack = nut.start("dummy-ups", &["-a", "rack"]);
    let desk = nut.start("dummy-ups", &["-a", "desk"]);
    let upsd = nut.start("upsd", &[]);

    let all = "nut:127.0.0.1:PORT";
    nut.until(all, "rack input.voltage", 231.4);
    let sample = nut.until(all, "desk charge", 1.0);
    let expected = [
        ("desk charge", 1.0),
        ("desk low_battery", 0.0),
        ("desk on_battery", 0.0),
        ("desk reachable", 1.0),
        ("desk replace_battery", 1.0),
        ("rack charge", 0.87),
        ("rack input.voltage", 231.4),
        ("rack load", 0.235),
        ("rack low_battery", 0.0),
        ("rack on_battery", 0.0),
        ("rack reachable", 1.0),
        ("rack replace_battery", 0.0),
        ("rack runtime", 1840.0),
    ];
    assert_eq!(of(&sample), expected);

    // The mains fail.
    nut.write("rack.dev", "ups.status: OB DISCHRG LB\nbattery.charge: 9\n");
    let sample = nut.until(all, "rack low_battery", 1.0);
    assert_eq!(sample["rack on_battery"], 1.0);
    assert_eq!(sample["desk on_battery"], 0.0);

    // A driver ends: upsd still lists the UPS, and has no values of it.
    drop(rack);
    let sample = nut.until(all, "rack reachable", 0.0);
    let of_rack = sample.keys().filter(|key| key.starts_with("rack"));
    assert_eq!(of_rack.count(), 1, "{sample:?}");
    assert_eq!(sample["desk reachable"], 1.0);

    let one = "nut:127.0.0.1:PORT/desk";
    let sample = nut.until(one, "desk reachable", 1.0);
    assert!(sample.keys().all(|key| key.starts_with("desk")));
    drop((desk, upsd));
    let sample = nut.until(one, "desk reachable", 0.0);
    assert_eq!(of(&sample), [("desk reachable", 0.0)]);
    let none = nut.until("nut:127.0.0.1:PORT/nobody", "nobody reachable", 0.0);
    assert_eq!(none.len(), 1);
}
