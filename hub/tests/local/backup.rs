//! A backup of a running hub, restored onto an empty directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sysmon_agent::observer::Observer;
use sysmon_agent::run::{AgentOptions, Summary, run_observed};
use sysmon_agent::simulated::Simulated;
use sysmon_agent::spool::SpoolLimits;
use sysmon_certs::{HubState, Identity, Token};
use sysmon_clock::{Clock, Random};
use sysmon_link::{Connector, LinkError};
use sysmon_store::store::{Store, TableRows};
use sysmon_wire::UnixMs;
use tokio::sync::Notify;

use crate::hub::LocalHub;

pub(crate) fn address(hub: &LocalHub) -> String {
    let state = HubState::new(&hub.state(), &Random::system());
    state.address().unwrap().to_string()
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

pub(crate) fn join(hub: &LocalHub, name: &str, bound: bool) -> Result<Identity, String> {
    let mut args = vec!["token", "create"];
    if bound {
        args.extend(["--name", name]);
    }
    let printed = hub.print(&args);
    let token: Token = printed.trim().rsplit(' ').next().unwrap().parse().unwrap();
    wait(async {
        let connector = Connector::for_joining(token.fingerprint(), "1", &Clock::system()).unwrap();
        let (hub, random) = (address(hub), Random::system());
        let joined = connector.join(&hub, &token, name, &random).await;
        joined.map_err(|error| error.to_string())
    })
}

/// Rows that an agent pushes.
const ROWS: u64 = 20;

/// Notices when enough rows are acknowledged, or there are rows that the hub refuses.
#[derive(Debug, Default)]
struct Watch {
    acknowledged: AtomicU64,
    is_refused: AtomicBool,
    is_done: Notify,
}

impl Observer for Watch {
    fn failed(&self, _error: &LinkError) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    fn disconnected(&self, _error: &LinkError) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    fn pushed(&self, _seq: u64, _time: UnixMs) {
        if self.is_refused.load(Ordering::Relaxed) {
            self.is_done.notify_one();
        }
    }

    fn acknowledged(&self, ranges: &[(u64, u64)]) {
        let rows: u64 = ranges.iter().map(|(low, high)| high - low + 1).sum();
        if self.acknowledged.fetch_add(rows, Ordering::Relaxed) + rows >= ROWS {
            self.is_done.notify_one();
        }
    }
}

/// Pushes rows until some are acknowledged or the hub refuses them; returns what became of them.
pub(crate) fn push(hub: &LocalHub, identity: &Identity) -> Summary {
    let options = AgentOptions {
        hub: address(hub),
        interval: Duration::from_millis(100),
        spool: SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_hours(1),
        },
        state: None,
        clock: Clock::system(),
        random: Random::system(),
    };
    wait(async {
        let connector = Connector::new(identity, "1", &Clock::system()).unwrap();
        let watch = Arc::<Watch>::default();
        let observer = Arc::clone(&watch) as Arc<dyn Observer>;
        let stop = watch.is_done.notified();
        run_observed(options, connector, Simulated::new(1), stop, observer).await
    })
}

fn rows(tables: &[TableRows], table: &str) -> u64 {
    let found = tables.iter().find(|rows| rows.table == table);
    found.unwrap().rows
}

fn backup(hub: &LocalHub, file: &Path, passphrase: &Path) {
    let (file, passphrase) = (file.to_str().unwrap(), passphrase.to_str().unwrap());
    hub.print(&["backup", "--passphrase-file", passphrase, file]);
}

#[test]
fn a_restored_backup_has_every_row_and_lets_in_whom_the_hub_knew() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let known = join(&hub, "db-1", true).unwrap();
    let stolen = join(&hub, "web-1", true).unwrap();
    let pushed = push(&hub, &known);
    assert!(pushed.rows > 20 && pushed.waiting == 0, "{pushed:?}");
    hub.print(&["cert", "revoke", "web-1"]);
    hub.print(&[
        "alerts",
        "silence",
        "db-1",
        "--for",
        "1h",
        "--reason",
        "new disks",
    ]);
    let unused = hub.print(&["token", "create", "--name", "later"]);
    let (file, passphrase) = (
        hub.dir.path().join("backup.age"),
        hub.dir.path().join("passphrase"),
    );
    sysmon_files::write_private(&passphrase, "correct horse\n").unwrap();
    backup(&hub, &file, &passphrase);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        fs::read(&file)
            .unwrap()
            .starts_with(b"age-encryption.org/v1")
    );
    hub.stop();

    let mut other = LocalHub::new(None);
    fs::remove_dir(other.state()).unwrap();
    let (file, passphrase) = (file.to_str().unwrap(), passphrase.to_str().unwrap());
    let (code, _, stderr) = other.run(&["restore", file]);
    assert!(
        code == 1 && stderr.contains("--passphrase-file"),
        "{stderr}"
    );
    let said = other.print(&["restore", "--passphrase-file", passphrase, file]);
    assert!(said.contains("history checked"), "{said}");
    let (before, after) = (
        Store::check(&hub.state().join("history.db")).unwrap(),
        Store::check(&other.state().join("history.db")).unwrap(),
    );
    for table in ["host", "series", "chunk", "bucket", "run"] {
        assert_eq!(rows(&before, table), rows(&after, table), "{table}");
    }
    // The hub's own figures went on for a moment.
    assert!(rows(&after, "log") > 0 && rows(&after, "log") <= rows(&before, "log"));

    other.start();
    let status = other.print(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let host = &status["hosts"][0];
    assert_eq!(host["name"], "db-1");
    assert!(other.print(&["alerts", "silences"]).contains("new disks"));
    // The identity of before the backup, a token of before, and a new one.
    assert_eq!(push(&other, &known).waiting, 0);
    let token: Token = unused.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let joined = wait(async {
        let connector = Connector::for_joining(token.fingerprint(), "1", &Clock::system()).unwrap();
        connector
            .join(&address(&other), &token, "x", &Random::system())
            .await
    });
    assert_eq!(joined.unwrap().peer().name.as_str(), "later");
    join(&other, "new-1", false).unwrap();
    assert!(
        join(&other, "DB-1", false)
            .unwrap_err()
            .contains("is taken")
    );
    assert!(push(&other, &stolen).waiting > 0, "it stays revoked");
}

#[test]
fn a_backup_is_never_restored_over_a_running_hub_or_by_chance_over_another_state() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let file = hub.dir.path().join("backup.tar");
    let file = file.to_str().unwrap();
    let (code, _, stderr) = hub.run(&["backup", file]);
    assert!(code == 2 && stderr.contains("--unencrypted"), "{stderr}");
    hub.print(&["backup", "--unencrypted", file]);
    let (code, _, stderr) = hub.run(&["restore", "--force", file]);
    let pid = hub.child.as_ref().unwrap().id();
    assert!(
        code == 1 && stderr.contains(&format!("process {pid}")),
        "{stderr}"
    );
    // Revoked after the backup: the restored hub must not let it in again.
    let stolen = join(&hub, "stolen", true).unwrap();
    hub.print(&["cert", "revoke", "stolen"]);
    hub.stop();
    let (code, _, stderr) = hub.run(&["restore", file]);
    assert!(code == 2 && stderr.contains("--force"), "{stderr}");
    let said = hub.print(&["restore", "--force", file]);
    assert!(said.contains("before-restore-1"), "{said}");
    assert!(hub.state().join("before-restore-1/history.db").exists());
    hub.start();
    assert!(push(&hub, &stolen).waiting > 0);
    assert!(hub.print(&["cert", "list"]).contains("revoked"));
}

#[test]
fn a_damaged_or_foreign_archive_changes_nothing() {
    let mut hub = LocalHub::new(None);
    hub.start();
    let file = hub.dir.path().join("backup.tar");
    hub.print(&["backup", "--unencrypted", file.to_str().unwrap()]);
    let whole = fs::read(&file).unwrap();
    let other = LocalHub::new(None);
    fs::remove_dir(other.state()).unwrap();
    let page = whole.len() - whole.len() / 3;
    let mut damaged = whole.clone();
    damaged[page..page + 9_000].fill(0xa5);
    let cases = [
        (whole[..whole.len() / 2].to_vec(), "cannot restore"),
        (whole[..whole.len() - 1_536].to_vec(), "its end is missing"),
        (damaged, "cannot restore"),
        (b"not an archive".to_vec(), "cannot restore"),
    ];
    for (bytes, wanted) in cases {
        fs::write(&file, &bytes).unwrap();
        let (code, _, stderr) = other.run(&["restore", file.to_str().unwrap()]);
        assert!(code == 1 && stderr.contains(wanted), "{wanted}: {stderr}");
        let left = fs::read_dir(other.state()).unwrap().flatten();
        let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["lock"]);
    }
}
