//! A host that sends, as OTLP, what the machine that runs the tests may lack: sensors, batteries, UPSes, graphics cards,
//! containers, updates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric as OtlpMetric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use sysmon_wire::Kind;
use sysmon_wire::metrics::*;

const CORE: &[&str] = &["cpu.logical_number"];
const DISK: &[&str] = &["system.device"];
const SENSOR: &[&str] = &["hw.name"];
const GPU: &[&str] = &["hw.id"];
const CONTAINER: &[&str] = &["container.name"];
const UNIT: &[&str] = &["systemd.unit.name"];

/// Metrics with their attributes.
const SENT: &[(Metric, &[&str])] = &[
    (CPU_UTILIZATION, &[]),
    (CPU_FREQUENCY, CORE),
    (PAGING_UTILIZATION, &[]),
    (DISK_ERRORS, DISK),
    (RAID_MISSING, DISK),
    (DISK_HEALTH_FAILING, DISK),
    (DISK_HEALTH_SELF_TEST, DISK),
    (DISK_HEALTH_TEMPERATURE, DISK),
    (DISK_HEALTH_WEAR, DISK),
    (DISK_HEALTH_SPARE, DISK),
    (DISK_HEALTH_REALLOCATED, DISK),
    (DISK_HEALTH_PENDING, DISK),
    (DISK_HEALTH_UNCORRECTABLE, DISK),
    (DISK_HEALTH_INTERFACE_ERRORS, DISK),
    (DISK_HEALTH_POWER_ON, DISK),
    (FS_ERRORS, DISK),
    (NET_SPEED, &["network.interface.name"]),
    (TEMPERATURE, &[]),
    (TEMPERATURE, SENSOR),
    (TEMPERATURE_LIMIT, SENSOR),
    (FAN_SPEED, SENSOR),
    (POWER, SENSOR),
    (ENERGY, SENSOR),
    (BATTERY_CHARGE, SENSOR),
    (BATTERY_DISCHARGING, SENSOR),
    (UPS_REACHABLE, SENSOR),
    (UPS_ON_BATTERY, SENSOR),
    (UPS_LOW_BATTERY, SENSOR),
    (UPS_REPLACE_BATTERY, SENSOR),
    (UPS_CHARGE, SENSOR),
    (UPS_LOAD, SENSOR),
    (UPS_RUNTIME, SENSOR),
    (UPS_INPUT_VOLTAGE, SENSOR),
    (GPU_UTILIZATION, GPU),
    (GPU_MEMORY_LIMIT, GPU),
    (GPU_MEMORY_USAGE, GPU),
    (CONTAINER_CPU_TIME, CONTAINER),
    (CONTAINER_CPU_THROTTLED, CONTAINER),
    (CONTAINER_MEMORY_USAGE, CONTAINER),
    (CONTAINER_DISK_IO, &["container.name", "disk.io.direction"]),
    (CONTAINER_PIDS, CONTAINER),
    (CONTAINER_RUNNING, CONTAINER),
    (CONTAINER_UNHEALTHY, CONTAINER),
    (CONTAINER_RESTARTS, CONTAINER),
    (CONTAINER_EXIT_CODE, CONTAINER),
    (CONTAINER_OOM_KILLS, CONTAINER),
    (UNITS_FAILED, &[]),
    (UNITS_FAILED, UNIT),
    (UNIT_ACTIVE, UNIT),
    (UNIT_RESTARTS, UNIT),
    (UNIT_MEMORY, UNIT),
    (PROCESS_WATCHED, &["process.executable.name"]),
    (UNITS_RESTARTING, &[]),
    (UNITS_RESTARTING, UNIT),
    (PACKAGE_UPDATES, &[]),
    (PACKAGE_UPDATES, &["system.update.kind"]),
    (REBOOT_REQUIRED, &[]),
    (REBOOT_REQUIRED, &["system.reboot.reason"]),
    (CLOCK_SYNCHRONIZED, &[]),
    (CLOCK_ERROR, &[]),
    (ENTROPY, &[]),
    (USERS, &[]),
];

fn attribute(name: &str, value: &str) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn sent(of: &Metric, attributes: &[&str], now: Duration, start: Duration) -> OtlpMetric {
    // Dashboards offer interfaces that have traffic.
    let value = |name: &str| match name {
        "network.interface.name" => "lo",
        "system.update.kind" => "security",
        _ => "read",
    };
    let attributes = attributes.iter().map(|name| attribute(name, value(name)));
    let value = match of.kind {
        Kind::Gauge => 1,
        Kind::Counter => (now - start).as_secs() as i64,
    };
    let point = NumberDataPoint {
        attributes: attributes.collect(),
        start_time_unix_nano: start.as_nanos() as u64,
        time_unix_nano: now.as_nanos() as u64,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let data = match of.kind {
        Kind::Gauge => metric::Data::Gauge(Gauge {
            data_points: vec![point],
        }),
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: vec![point],
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic: true,
        }),
    };
    OtlpMetric {
        name: of.name.to_owned(),
        unit: of.unit.to_owned(),
        data: Some(data),
        ..OtlpMetric::default()
    }
}

fn post(address: &str, now: Duration, start: Duration) {
    let metrics = SENT.iter();
    let metrics = metrics.map(|(metric, attributes)| sent(metric, attributes, now, start));
    let body = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![attribute("host.name", "otlp")],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let body = body.encode_to_vec();
    let head = format!(
        "POST /v1/metrics HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    // The body of an answer that rejects nothing is empty.
    let is_whole = answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n");
    assert!(is_whole, "{answer}");
}

/// Sends once a second until it is dropped.
pub(crate) struct Sender {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    pub(crate) fn start(address: String) -> Self {
        let (stop, stopped) = sync_channel::<()>(1);
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let thread = std::thread::spawn(move || {
            let start = Duration::from_secs(now().as_secs());
            let mut second = start;
            while stopped.recv_timeout(second.saturating_sub(now()))
                == Err(RecvTimeoutError::Timeout)
            {
                post(&address, second, start);
                second += Duration::from_secs(1);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.take();
        let ended = self.thread.take().unwrap().join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the sender failed"
        );
    }
}
