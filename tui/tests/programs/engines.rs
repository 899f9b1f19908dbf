//! Servers of others that the hub exports to, on free ports of this machine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::until;

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A server whose data outlives it.
pub(crate) struct Server {
    command: Command,
    child: Option<Child>,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Server {
    pub(crate) fn new(mut command: Command, port: u16) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut server = Self {
            command,
            child: None,
            port,
        };
        server.start();
        server
    }

    pub(crate) fn start(&mut self) {
        self.child = Some(self.command.spawn().unwrap());
        let port = self.port;
        until(
            "the server listens",
            || TcpStream::connect(("127.0.0.1", port)).is_ok(),
            |is| *is,
        );
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Servers write what they have. On SIGTERM, PostgreSQL would wait for its clients.
            let _ = Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status();
            let _ = child.wait();
        }
    }

    /// Posts a text.
    pub(crate) fn post(&self, path: &str, body: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 204 "), "{path}: {answer}");
    }

    /// What a GET answers.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{path}: {answer}");
        body.to_owned()
    }
}

pub(crate) fn victoria_metrics(dir: &Path) -> Server {
    victoria_metrics_with(dir, &["-search.disableCache".to_owned()])
}

/// VictoriaMetrics with further arguments.
pub(crate) fn victoria_metrics_with(dir: &Path, arguments: &[String]) -> Server {
    let port = free_port();
    let mut command = Command::new("victoria-metrics");
    command.args([
        &format!("-storageDataPath={}", dir.display()),
        &format!("-httpListenAddr=127.0.0.1:{port}"),
        "-retentionPeriod=1y",
        "-search.latencyOffset=0s",
    ]);
    command.args(arguments);
    Server::new(command, port)
}

pub(crate) fn prometheus(dir: &Path) -> Server {
    std::fs::create_dir_all(dir).unwrap();
    let config = dir.join("prometheus.yml");
    // Rows of an outage come after newer ones.
    std::fs::write(
        &config,
        "storage:\n  tsdb:\n    out_of_order_time_window: 1h\n",
    )
    .unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus");
    command.args([
        &format!("--config.file={}", config.display()),
        &format!("--storage.tsdb.path={}", dir.join("data").display()),
        &format!("--web.listen-address=127.0.0.1:{port}"),
        "--web.enable-remote-write-receiver",
    ]);
    Server::new(command, port)
}

/// The values of a selector by host and second, from an answer of Prometheus' query API.
pub(crate) fn points(answer: &str) -> Vec<(String, i64, f64)> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let series = answer["data"]["result"].as_array().unwrap().clone();
    let of_one = |series: Value| {
        let host = series["metric"]["host"].as_str().unwrap().to_owned();
        let values = series["values"].as_array().unwrap().clone();
        values.into_iter().filter_map(move |point| {
            // An agent's first row is not on a whole second; queries show the second.
            let time = point[0].as_f64().unwrap().floor() as i64 * 1000;
            let value: f64 = point[1].as_str().unwrap().parse().unwrap();
            // VictoriaMetrics shows staleness markers, a millisecond after a row, among what was written.
            (!value.is_nan()).then(|| (host.clone(), time, value))
        })
    };
    series.into_iter().flat_map(of_one).collect()
}

/// A cluster of PostgreSQL, which does not run as root.
pub(crate) struct Postgres {
    pub(crate) server: Server,
    sockets: PathBuf,
}

fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
            "--",
        ])
        .arg(program);
    command.current_dir("/");
    command
}

impl Postgres {
    pub(crate) fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let owner = Command::new("chown")
            .arg("-R")
            .arg("postgres:")
            .arg(dir)
            .status()
            .unwrap();
        assert!(owner.success());
        // The test's directory is private; the server has to pass through it.
        let parent = dir.parent().unwrap();
        assert!(
            Command::new("chmod")
                .arg("711")
                .arg(parent)
                .status()
                .unwrap()
                .success()
        );
        let bin = bin();
        let data = dir.join("data");
        let init = as_postgres(&format!("{bin}/initdb"))
            .args([
                "--no-sync",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            init.status.success(),
            "{}",
            String::from_utf8_lossy(&init.stderr)
        );
        let port = free_port();
        let mut command = as_postgres(&format!("{bin}/postgres"));
        command.arg("-D").arg(&data).arg("-k").arg(dir).args([
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]);
        if has_timescale() {
            command.args(["-c", "shared_preload_libraries=timescaledb"]);
            command.args(["-c", "timescaledb.telemetry_level=off"]);
        }
        let postgres = Self {
            server: Server::new(command, port),
            sockets: dir.to_owned(),
        };
        until(
            "the server is ready",
            || postgres.try_query_in("postgres", "SELECT 1"),
            Result::is_ok,
        )
        .unwrap();
        for database in ["metrics", "narrow"] {
            postgres.query_in("postgres", &format!("CREATE DATABASE {database}"));
            if has_timescale() {
                postgres.query_in(database, "CREATE EXTENSION timescaledb");
            }
        }
        postgres
    }

    pub(crate) fn url(&self) -> String {
        self.url_of("metrics")
    }

    pub(crate) fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.server.port
        )
    }

    pub(crate) fn try_query(&self, sql: &str) -> Result<String, String> {
        self.try_query_in("metrics", sql)
    }

    fn try_query_in(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = as_postgres("psql")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                database,
                "-p",
                &self.server.port.to_string(),
                "-h",
            ])
            .arg(&self.sockets)
            .args(["-c", sql])
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    pub(crate) fn query(&self, sql: &str) -> String {
        self.query_in("metrics", sql)
    }

    pub(crate) fn query_in(&self, database: &str, sql: &str) -> String {
        self.try_query_in(database, sql)
            .unwrap_or_else(|error| panic!("{error} in {database}: {sql}"))
    }
}

/// Whether tests use TimescaleDB, of which Debian has no package: `SYSMON_TIMESCALEDB=1`.
pub(crate) fn has_timescale() -> bool {
    std::env::var_os("SYSMON_TIMESCALEDB").is_some()
}

/// Where Debian puts the server's programs.
fn bin() -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap().flatten();
    let newest = versions.map(|entry| entry.path()).max().unwrap();
    newest.join("bin").display().to_string()
}
