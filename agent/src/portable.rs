//! Systems without collectors of their own: the metrics of the sysinfo crate.
//!
//! Compiled and tested on Linux too, so that it keeps working.

use std::collections::HashMap;

use sysinfo::{Components, Disks, Networks, System};
use sysmon_wire::metrics::{
    CPU_COUNT, CPU_UTILIZATION, FS_LIMIT, FS_UTILIZATION, LOAD_1M, LOAD_5M, LOAD_15M,
    MEMORY_AVAILABLE, MEMORY_LIMIT, MEMORY_USAGE, MEMORY_UTILIZATION, NET_IO, PAGING_LIMIT,
    PAGING_UTILIZATION, TEMPERATURE, UPTIME,
};
use sysmon_wire::{
    ABSENT, HostFacts, Label, LimitState, Process, ProcessArguments, ProcessIdentity, SeriesKey,
    UnixMs,
};

use crate::VERSION;
use crate::board::Board;
use crate::present::PresentSeries;
use crate::total::Total;

const DIRECTION: &str = "network.io.direction";

const SLOW_EVERY: u64 = 10;

/// A collector for any system that sysinfo supports. Unsupported metrics are left out.
#[derive(Debug)]
pub struct PortableCollector {
    system: Option<System>,
    disks: Option<Disks>,
    networks: Option<Networks>,
    components: Option<Components>,
    /// Of interfaces, and of disks and sensors.
    series: [PresentSeries; 2],
    traffic: HashMap<String, [u64; 2]>,
    received: Total,
    transmitted: Total,
    samples: u64,
}

impl PortableCollector {
    pub fn new(board: &mut Board) -> Self {
        let mut total =
            |direction: &str| Total::new(board.slot(NET_IO.series(&[(DIRECTION, direction)])));
        Self {
            system: System::new().ok(),
            disks: Disks::new_with_refreshed_list().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            components: Components::new_with_refreshed_list().ok(),
            series: Default::default(),
            traffic: HashMap::new(),
            received: total("receive"),
            transmitted: total("transmit"),
            samples: 0,
        }
    }

    pub fn ranked(&self) -> &[ProcessIdentity] {
        &[]
    }

    pub fn take_arguments(&mut self, _again: bool) -> Vec<ProcessArguments> {
        Vec::new()
    }

    pub fn processes(&self) -> Vec<Process> {
        Vec::new()
    }

    pub fn limits(&self) -> impl Iterator<Item = LimitState> {
        std::iter::empty()
    }

    pub fn notes(&self) -> Vec<String> {
        vec!["processes are not collected on this operating system".to_owned()]
    }

    pub fn sample(&mut self, _now: UnixMs, _all_processes: bool, board: &mut Board) {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            // Utilization is computed between two refreshes.
            if self.samples > 0 {
                processors(system, board);
            }
            memory(system, board);
        }
        if let Ok(seconds) = System::uptime() {
            set(board, UPTIME.series(&[]), seconds);
        }
        self.network(board);
        if self.samples.is_multiple_of(SLOW_EVERY) {
            self.disks(board);
            self.temperatures(board);
            let [_, series] = &mut self.series;
            series.release_others(board);
        }
        self.samples += 1;
    }

    pub fn facts(&self) -> HostFacts {
        let text = |value: Result<String, sysinfo::Error>| Label::new(&value.unwrap_or_default());
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_memory();
            system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
        }
        let cpus = system.as_ref().map(System::cpus).unwrap_or_default();
        HostFacts {
            os: text(System::long_os_version()),
            kernel: text(System::kernel_version()),
            arch: Label::new(&System::cpu_arch()),
            cpu_model: Label::new(cpus.first().map_or("", sysinfo::Cpu::brand)),
            cpus: cpus.len() as u32,
            memory_bytes: system.as_ref().map_or(0, System::total_memory),
            boot: UnixMs(System::boot_time().unwrap_or(0).saturating_mul(1000) as i64),
            agent_version: Label::new(VERSION),
            tags: Vec::new(),
            ..HostFacts::unknown()
        }
    }

    fn network(&mut self, board: &mut Board) {
        let Some(networks) = &mut self.networks else {
            return;
        };
        networks.refresh(true);
        let [series, _] = &mut self.series;
        let mut traffic = HashMap::new();
        for (name, data) in networks.iter() {
            let now = [data.total_received(), data.total_transmitted()];
            let name = name.to_string_lossy().into_owned();
            let label = Label::new(&name);
            for (direction, value) in ["receive", "transmit"].into_iter().zip(now) {
                let key = NET_IO.series(&[
                    (DIRECTION, direction),
                    ("network.interface.name", label.as_str()),
                ]);
                series.set(board, key, signed(value));
            }
            let is_loopback = name.starts_with("lo");
            let before = self.traffic.get(&name).copied();
            traffic.insert(name, now);
            if !is_loopback {
                self.received.add(before.map(|b| b[0]), now[0]);
                self.transmitted.add(before.map(|b| b[1]), now[1]);
            }
        }
        series.release_others(board);
        self.traffic = traffic;
        self.received.publish(board);
        self.transmitted.publish(board);
    }

    fn disks(&mut self, board: &mut Board) {
        let Some(disks) = &mut self.disks else { return };
        disks.refresh(true);
        let [_, series] = &mut self.series;
        let mut worst = None;
        for disk in disks.iter().filter(|disk| disk.total_space() > 0) {
            let point = Label::new(&disk.mount_point().to_string_lossy());
            let here = [("system.filesystem.mountpoint", point.as_str())];
            let used = disk.total_space().saturating_sub(disk.available_space());
            let permille = share(used, disk.total_space());
            series.set(board, FS_LIMIT.series(&here), signed(disk.total_space()));
            series.set(board, FS_UTILIZATION.series(&here), signed(permille));
            if !disk.is_read_only() {
                worst = worst.max(Some(permille));
            }
        }
        if let Some(permille) = worst {
            set(board, FS_UTILIZATION.series(&[]), permille);
        }
    }

    fn temperatures(&mut self, board: &mut Board) {
        let Some(components) = &mut self.components else {
            return;
        };
        components.refresh(true);
        let [_, series] = &mut self.series;
        let mut hottest = None;
        for component in components.iter() {
            let Some(degrees) = component
                .temperature()
                .filter(|t| t.is_finite() && *t > 0.0)
            else {
                continue;
            };
            let thousandths = (f64::from(degrees) * 1000.0) as u64;
            let label = Label::new(component.label());
            let key = TEMPERATURE.series(&[("hw.name", label.as_str())]);
            series.set(board, key, signed(thousandths));
            hottest = hottest.max(Some(thousandths));
        }
        if let Some(thousandths) = hottest {
            set(board, TEMPERATURE.series(&[]), thousandths);
        }
    }
}

fn processors(system: &System, board: &mut Board) {
    let permille = |percent: f32| (f64::from(percent) * 10.0).round() as u64;
    set(
        board,
        CPU_UTILIZATION.series(&[]),
        permille(system.global_cpu_usage()),
    );
    set(board, CPU_COUNT.series(&[]), system.cpus().len() as u64);
    for (number, cpu) in system.cpus().iter().enumerate() {
        let number = number.to_string();
        let key = CPU_UTILIZATION.series(&[("cpu.logical_number", &number)]);
        set(board, key, permille(cpu.usage()));
    }
    if let Ok(load) = System::load_average() {
        let loads = [
            (LOAD_1M, load.one),
            (LOAD_5M, load.five),
            (LOAD_15M, load.fifteen),
        ];
        for (metric, value) in loads {
            set(board, metric.series(&[]), (value * 100.0).round() as u64);
        }
    }
}

fn memory(system: &System, board: &mut Board) {
    let (total, available) = (system.total_memory(), system.available_memory());
    let used = total.saturating_sub(available);
    set(board, MEMORY_LIMIT.series(&[]), total);
    set(board, MEMORY_AVAILABLE.series(&[]), available);
    set(
        board,
        MEMORY_USAGE.series(&[("system.memory.state", "used")]),
        used,
    );
    set(board, MEMORY_UTILIZATION.series(&[]), share(used, total));
    set(board, PAGING_LIMIT.series(&[]), system.total_swap());
    if system.total_swap() > 0 {
        let permille = share(system.used_swap(), system.total_swap());
        set(board, PAGING_UTILIZATION.series(&[]), permille);
    }
}

fn share(part: u64, whole: u64) -> u64 {
    if whole == 0 {
        0
    } else {
        (u128::from(part) * 1000 / u128::from(whole)) as u64
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(ABSENT)
}

fn set(board: &mut Board, key: SeriesKey, value: u64) {
    let slot = board.slot(key);
    board.set_u64(slot, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_processors() {
        let mut board = Board::new();
        let mut collector = PortableCollector::new(&mut board);
        collector.sample(UnixMs(0), false, &mut board);
        let total = MEMORY_LIMIT.series(&[]);
        let at = board.keys().iter().position(|key| *key == total).unwrap();
        assert!(board.values()[at] > 1 << 20);
        assert!(collector.facts().cpus > 0);
    }
}
