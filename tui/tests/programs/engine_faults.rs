//! Engines that fail in other ways than being down: what the hub says, and that nothing is missing afterwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::Value;

use crate::engines::{Postgres, Server, free_port, victoria_metrics, victoria_metrics_with};
use crate::exports::{destination, listed};
use crate::place::{Place, until};

fn line(place: &Place, name: &str) -> Value {
    let list = listed(place);
    let found = list
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["name"] == name);
    found.unwrap().clone()
}

/// Waits until a destination fails with an error that has these words; returns the error.
fn fails_with(place: &Place, name: &str, words: &[&str]) -> String {
    let has_words = |line: &Value| {
        let error = line["error"].as_str().unwrap_or_default();
        words.iter().all(|word| error.contains(word))
    };
    let found = until(
        &format!("{name} fails with {words:?}"),
        || line(place, name),
        has_words,
    );
    found["error"].as_str().unwrap().to_owned()
}

fn is_up_to_date(line: &Value) -> bool {
    line["state"] == "running" && line["pending_ms"] == 0 && line["lag_ms"].as_i64() < Some(3_000)
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {said}");
}

/// Whole seconds of host `a` that PostgreSQL lacks between its first and its last, of all hubs that have one.
fn lacks(postgres: &Postgres) -> i64 {
    let sql = "SELECT sum(lacks) FROM (SELECT extract(epoch FROM max(time) - min(time))::bigint + 1 - count(*) AS lacks \
         FROM sysmon.rows JOIN sysmon.hosts ON hosts.id = rows.host \
         WHERE name = 'a' AND time = date_trunc('second', time) GROUP BY host) AS of_each";
    postgres.query(sql).trim().parse().unwrap()
}

/// A hub that exports to PostgreSQL, and an agent with rows there.
fn exporting(place: &Place, postgres: &Postgres) -> (crate::place::Running, crate::place::Running) {
    let exports = format!("[{}]", destination("pg", "postgres", &postgres.url()));
    let hub = place.hub_with(&[("SYSMON_HUB__EXPORT", &exports)]);
    let agent = place.agent("a");
    let has_rows = |line: &Value| line["samples_total"].as_u64() > Some(1_000);
    until("rows are there", || line(place, "pg"), has_rows);
    (hub, agent)
}

#[test]
#[ignore = "needs root and postgresql"]
fn a_database_that_was_restored_under_a_running_hub_lacks_nothing() {
    let place = Place::new();
    let mut postgres = Postgres::new(&place.dir("postgres"));
    let _running = exporting(&place, &postgres);
    let data = place.dir("postgres").join("data").display().to_string();
    let backup = place.dir("backup").display().to_string();
    postgres.server.stop();
    run("cp", &["-a", &data, &backup]);
    postgres.server.start();
    let rows = || postgres.try_query("SELECT count(*) FROM sysmon.rows");
    let before: i64 = until("it is ready", rows, Result::is_ok)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let has_more = |rows: &Result<String, String>| {
        let count = rows.as_ref().ok().and_then(|rows| rows.trim().parse().ok());
        count > Some(before + 20)
    };
    until("rows come after the backup", rows, has_more).unwrap();
    postgres.server.stop();
    run("rm", &["-r", &data]);
    run("mv", &[&backup, &data]);
    postgres.server.start();
    until("it is up to date", || line(&place, "pg"), is_up_to_date);
    assert_eq!(lacks(&postgres), 0);
}

#[test]
#[ignore = "needs root and postgresql"]
fn a_schema_that_was_changed_by_hand_is_named_and_one_that_was_renamed_is_made_anew() {
    let place = Place::new();
    let postgres = Postgres::new(&place.dir("postgres"));
    let _running = exporting(&place, &postgres);
    postgres.query("DROP VIEW sysmon.samples; ALTER TABLE sysmon.rows DROP COLUMN layout");
    let words = ["layout", "was changed by hand", "rename it to start anew"];
    fails_with(&place, "pg", &words);
    postgres.query("ALTER SCHEMA sysmon RENAME TO sysmon_old");
    until("it begins anew", || line(&place, "pg"), is_up_to_date);
    assert_eq!(lacks(&postgres), 0);
    postgres.query("DROP TABLE sysmon.cursors");
    fails_with(&place, "pg", &["cursors", "was changed by hand"]);
}

/// Both hubs are called as their machine is, and each has a host `a`.
#[test]
#[ignore = "needs root and postgresql"]
fn two_hubs_of_one_name_share_a_database_and_one_that_is_gone_stops_no_other() {
    let places = [Place::new(), Place::new()];
    let postgres = Postgres::new(&places[0].dir("postgres"));
    let [first, _second] = places.each_ref().map(|place| exporting(place, &postgres));
    let hubs = "SELECT count(*), count(DISTINCT name) FROM sysmon.hubs";
    assert_eq!(postgres.query(hubs).trim(), "2|1");
    // Rows of host `a` by hub; that each is there once is what the primary key says.
    let rows = || -> Vec<i64> {
        let sql = "SELECT count(rows.time) FROM sysmon.hosts LEFT JOIN sysmon.rows ON rows.host = hosts.id \
             WHERE hosts.name = 'a' GROUP BY hub ORDER BY hub";
        let lines = postgres.query(sql);
        lines.lines().map(|line| line.parse().unwrap()).collect()
    };
    let before = until("both have rows", rows, |rows| {
        rows.len() == 2 && !rows.contains(&0)
    });
    drop(first);
    let grows = |rows: &Vec<i64>| rows.iter().zip(&before).any(|(now, then)| *now > then + 10);
    let after = until("one goes on", rows, grows);
    until("it is up to date", || line(&places[1], "pg"), is_up_to_date);
    let (gone, other) = match after[0] > before[0] + 10 {
        true => (1, 0),
        false => (0, 1),
    };
    assert!(
        after[gone] <= before[gone] + 10 && after[other] > before[other],
        "{before:?} {after:?}"
    );
    assert_eq!(lacks(&postgres), 0);
}

/// A filesystem in memory that ends with the test.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn new(path: &Path, size: &str) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={size},mode=711");
        run(
            "mount",
            &[
                "-t",
                "tmpfs",
                "-o",
                &size,
                "tmpfs",
                &path.display().to_string(),
            ],
        );
        Self(path.to_owned())
    }

    /// Fills what is free but for some bytes.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        let block = [1; 4096];
        while file.write_all(&block).is_ok() {}
        filler
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
#[ignore = "needs root and postgresql"]
fn a_full_disk_of_the_database_is_named_and_leaves_no_hole() {
    let place = Place::new();
    let disk = Tmpfs::new(&place.dir("disk"), "220m");
    run("chmod", &["711", &place.dir("").display().to_string()]);
    let postgres = Postgres::new(&place.dir("disk").join("postgres"));
    let _running = exporting(&place, &postgres);
    let filler = disk.fill();
    let error = fails_with(&place, "pg", &["No space left on device", "free space"]);
    assert!(!error.contains('\n'));
    std::fs::remove_file(filler).unwrap();
    until("it is up to date", || line(&place, "pg"), is_up_to_date);
    assert_eq!(lacks(&postgres), 0);
}

/// A server that takes whatever comes, each time after a wait.
fn slow_server(wait: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(&mut BufReader::new(stream), wait));
        }
    });
    port
}

fn answer(stream: &mut BufReader<TcpStream>, wait: Duration) -> Option<()> {
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            (stream.read_line(&mut line).ok()? > 0).then_some(())?;
            let value = line.to_lowercase();
            if let Some(value) = value.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        // What this server is about.
        std::thread::sleep(wait);
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok()?;
    }
}

/// VictoriaMetrics with a certificate of 127.0.0.1 that expired; returns the certificate's file too.
fn expired(place: &Place) -> (Server, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let (cert, key_file) = (place.dir("expired.pem"), place.dir("expired.key"));
    std::fs::write(&cert, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let tls = [
        "-tls".to_owned(),
        format!("-tlsCertFile={}", cert.display()),
        format!("-tlsKeyFile={}", key_file.display()),
    ];
    (victoria_metrics_with(&place.dir("expired-vm"), &tls), cert)
}

#[test]
#[ignore = "needs victoria-metrics"]
fn slow_silent_and_expired_engines_are_named_and_slow_no_other() {
    let place = Place::new();
    let vm = victoria_metrics(&place.dir("vm"));
    let (expired, certificate) = expired(&place);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = |port: u16| format!("http://127.0.0.1:{port}/api/v1/write");
    let silent_port = silent.local_addr().unwrap().port();
    let slow_port = slow_server(Duration::from_secs(4));
    let of_expired = format!(
        "{{ name = \"expired\", kind = \"remote-write\", url = \"https://127.0.0.1:{}/api/v1/write\", ca = \"{}\" }}",
        expired.port,
        certificate.display()
    );
    let exports = [
        destination("vm", "remote-write", &url(vm.port)),
        destination("slow", "remote-write", &url(slow_port)),
        destination("silent", "remote-write", &url(silent_port)),
        destination(
            "absent",
            "postgres",
            &format!("postgres://x@127.0.0.1:{}/x", free_port()),
        ),
        of_expired,
    ];
    let exports = format!("[{}]", exports.join(", "));
    let _hub = place.hub_with(&[("SYSMON_HUB__EXPORT", &exports)]);
    let _agent = place.agent("a");
    let sent = |name: &str| line(&place, name)["samples_total"].as_u64();
    until(
        "the slow one gets rows",
        || sent("slow"),
        |sent| *sent > Some(0),
    );
    fails_with(&place, "expired", &["127.0.0.1", "expired"]);
    fails_with(&place, "absent", &["cannot write to postgres://127.0.0.1"]);
    fails_with(&place, "silent", &["cannot reach http://127.0.0.1", "time"]);
    let of_vm = line(&place, "vm");
    assert_eq!(of_vm["state"], "running");
    assert!(of_vm["lag_ms"].as_i64() < Some(15_000), "{of_vm}");
    place.issue("operator", "me");
    let host = place.snapshot("me")["hosts"][0].clone();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let behind = now.as_millis() as i64 - host["last_sample_ms"].as_i64().unwrap();
    assert!(behind < 4_000, "the hub itself is {behind} ms behind");
}
