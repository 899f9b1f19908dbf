//! What follows from the points of one moment: utilizations, limits and the host's totals. Pure.

use std::collections::BTreeMap;

use sysmon_wire::metrics::{
    CPU_COUNT, CPU_UTILIZATION, DISK_IO, FS_INODES_LIMIT, FS_LIMIT, FS_READ_ONLY, FS_UTILIZATION,
    MEMORY_LIMIT, MEMORY_UTILIZATION, Metric, NET_IO, PAGING_LIMIT, PAGING_UTILIZATION,
    PROCESS_COUNT,
};
use sysmon_wire::{Label, Number, SeriesKey};

use crate::names::{
    CPU, DEVICE, DISK_DIRECTION, INTERFACE, MEMORY_STATE, MODE, MOUNT, NET_DIRECTION, PAGING_STATE,
    PROCESS_STATE, Role, SPACE_STATE, is_derived_disk, is_partition_of, is_virtual_filesystem,
    is_virtual_interface,
};
use crate::point::{Input, scaled};
use crate::total::Total;

/// Modes in which a processor is not busy, as in an agent.
const IDLE: [&str; 2] = ["idle", "iowait"];

/// Modes that other modes contain.
const CONTAINED: [&str; 2] = ["guest", "guest_nice"];

/// Memory states that add up to the memory: the others are parts of these.
const MEMORY_STATES: [&str; 5] = ["used", "free", "buffers", "cached", "inactive"];

/// Seconds in each mode.
type CpuTimes = BTreeMap<Label, f64>;

/// A filesystem's space.
#[derive(Debug, Default)]
struct Space {
    states: BTreeMap<Label, f64>,
    is_virtual: bool,
    is_read_only: Option<bool>,
}

/// The points of a moment that something is computed from.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// By processor; the empty name stands for all of them.
    cpu: BTreeMap<Label, CpuTimes>,
    memory: BTreeMap<Label, f64>,
    memory_limit: Option<f64>,
    /// The share that is in use, where they say so.
    memory_share: Option<f64>,
    swap: BTreeMap<(Label, Label), f64>,
    processes: BTreeMap<Label, f64>,
    /// By direction and device.
    network: BTreeMap<Label, BTreeMap<Label, f64>>,
    disk: BTreeMap<Label, BTreeMap<Label, f64>>,
    /// By device and mount point.
    spaces: BTreeMap<(Label, Label), Space>,
    inodes: BTreeMap<(Label, Label), f64>,
    uptime: Option<f64>,
}

/// What is remembered from one row to the next.
#[derive(Debug, Default)]
pub(crate) struct State {
    cpu: BTreeMap<Label, CpuTimes>,
    network: BTreeMap<Label, Total>,
    disk: BTreeMap<Label, Total>,
    uptime: Option<f64>,
}

/// What is known of a host besides its series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) cpus: Option<u32>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) uptime_s: Option<f64>,
    /// The machine has booted since the row before.
    pub(crate) is_another_boot: bool,
}

impl Inputs {
    /// Adds a point; one that was there before stays as it is.
    pub(crate) fn add(&mut self, input: &Input) {
        let empty = || Label::new("");
        let get = |name| input.attribute(name).cloned().unwrap_or_else(empty);
        let value = input.value;
        let place = || (get(DEVICE), get(MOUNT));
        match input.role {
            Role::Plain => {}
            Role::Cpu => {
                let times = self.cpu.entry(get(CPU)).or_default();
                times.entry(get(MODE)).or_insert(value);
            }
            Role::Memory => {
                self.memory.entry(get(MEMORY_STATE)).or_insert(value);
            }
            Role::MemoryLimit => self.memory_limit = self.memory_limit.or(Some(value)),
            Role::MemoryShare if get(MEMORY_STATE) == "used" => {
                self.memory_share = self.memory_share.or(Some(value));
            }
            Role::MemoryShare => {}
            Role::Swap => {
                let key = (get(PAGING_STATE), get(DEVICE));
                self.swap.entry(key).or_insert(value);
            }
            Role::Processes => {
                self.processes.entry(get(PROCESS_STATE)).or_insert(value);
            }
            Role::Network => {
                let devices = self.network.entry(get(NET_DIRECTION)).or_default();
                devices.entry(get(INTERFACE)).or_insert(value);
            }
            Role::Disk => {
                let devices = self.disk.entry(get(DISK_DIRECTION)).or_default();
                devices.entry(get(DEVICE)).or_insert(value);
            }
            Role::Space => {
                let space = self.spaces.entry(place()).or_default();
                space.states.entry(get(SPACE_STATE)).or_insert(value);
                let kind = input.attribute("type").map(Label::as_str);
                space.is_virtual |= kind.is_some_and(is_virtual_filesystem);
                let mode = input.attribute("mode").map(Label::as_str);
                space.is_read_only = space.is_read_only.or(mode.map(|mode| mode == "ro"));
            }
            Role::Inodes => *self.inodes.entry(place()).or_default() += value,
            Role::Uptime => self.uptime = self.uptime.or(Some(value)),
        }
    }

    /// The memory: as they say, or what the share in use is a share of, or the sum of its states.
    fn memory_limit(&self) -> Option<f64> {
        let used = self.memory.get("used").zip(self.memory_share);
        let whole = used.map(|(used, share)| used / share);
        let states = MEMORY_STATES.iter();
        let sum = states.filter_map(|state| self.memory.get(*state)).sum();
        let limits = [self.memory_limit, whole, Some(sum)];
        let mut limits = limits.into_iter().flatten();
        limits.find(|limit| limit.is_finite() && *limit > 0.0)
    }

    /// The series that follow, with their values; `state` is that of the row before, and becomes that of this one.
    pub(crate) fn derive(self, state: &mut State) -> (Vec<(SeriesKey, i64)>, Sizes) {
        let mut out = Values(Vec::new());
        let is_another_boot = match (state.uptime, self.uptime) {
            (Some(before), Some(now)) => now < before,
            _ => is_reset(&state.cpu, &self.cpu),
        };
        let mut sizes = Sizes {
            uptime_s: self.uptime,
            is_another_boot,
            ..Sizes::default()
        };
        let limit = self.memory_limit();
        if self.uptime.is_some() {
            state.uptime = self.uptime;
        }
        if !self.cpu.is_empty() {
            let all = Label::new("");
            let cpus = self.cpu.keys().filter(|name| **name != all).count();
            if cpus > 0 {
                sizes.cpus = u32::try_from(cpus).ok();
                out.add(CPU_COUNT, &[], cpus as f64);
            }
            processors(&state.cpu, &self.cpu, &mut out);
            state.cpu = self.cpu;
        }
        if let Some(limit) = limit {
            sizes.memory_bytes = Some(limit as u64);
            out.add(MEMORY_LIMIT, &[], limit);
            let used = self.memory.get("used").map(|used| used / limit);
            if let Some(share) = self.memory_share.or(used) {
                out.add(MEMORY_UTILIZATION, &[], share);
            }
        }
        swap(&self.swap, &mut out);
        if !self.processes.is_empty() {
            let all = self.processes.values().sum();
            out.add(PROCESS_COUNT, &[], all);
        }
        totals(
            NET_IO,
            NET_DIRECTION,
            self.network,
            &mut state.network,
            &mut out,
            |name, _| is_virtual_interface(name),
        );
        totals(
            DISK_IO,
            DISK_DIRECTION,
            self.disk,
            &mut state.disk,
            &mut out,
            |name, others| {
                is_derived_disk(name)
                    || others
                        .iter()
                        .any(|disk| is_partition_of(name, disk.as_str()))
            },
        );
        spaces(&self.spaces, &mut out);
        for ((device, mount), inodes) in &self.inodes {
            out.add(FS_INODES_LIMIT, &place(device, mount), *inodes);
        }
        (out.0, sizes)
    }
}

struct Values(Vec<(SeriesKey, i64)>);

impl Values {
    fn add(&mut self, metric: Metric, attributes: &[(&str, &str)], value: f64) {
        if let Some(value) = scaled(Number::from(value), 1.0, metric.scale) {
            self.0.push((metric.series(attributes), value));
        }
    }
}

/// Seconds in all modes, and in those in which the processor is idle.
fn sums(times: &CpuTimes) -> (f64, f64) {
    let is_counted = |mode: &Label| !CONTAINED.contains(&mode.as_str());
    let counted = times.iter().filter(|(mode, _)| is_counted(mode));
    counted.fold((0.0, 0.0), |(all, idle), (mode, seconds)| {
        let is_idle = IDLE.contains(&mode.as_str());
        (all + seconds, idle + if is_idle { *seconds } else { 0.0 })
    })
}

fn is_reset(before: &BTreeMap<Label, CpuTimes>, now: &BTreeMap<Label, CpuTimes>) -> bool {
    let all = |cpus: &BTreeMap<Label, CpuTimes>| cpus.values().map(|t| sums(t).0).sum::<f64>();
    // A processor that was taken offline is no boot.
    !before.is_empty() && !now.is_empty() && all(now) < all(before) / 2.0
}

fn processors(
    before: &BTreeMap<Label, CpuTimes>,
    now: &BTreeMap<Label, CpuTimes>,
    out: &mut Values,
) {
    let all = Label::new("");
    let has_total = now.contains_key(&all);
    let mut total = (CpuTimes::new(), CpuTimes::new());
    for (cpu, times) in now {
        let Some(earlier) = before.get(cpu) else {
            continue;
        };
        let attributes = match cpu.as_str() {
            "" => Vec::new(),
            number => vec![(CPU, number)],
        };
        utilization(earlier, times, &attributes, out);
        for (sum, times) in [(&mut total.0, earlier), (&mut total.1, times)] {
            for (mode, seconds) in times {
                *sum.entry(mode.clone()).or_default() += seconds;
            }
        }
    }
    if !has_total {
        utilization(&total.0, &total.1, &[], out);
    }
}

/// The busy share and that of each mode between two readings.
fn utilization(before: &CpuTimes, now: &CpuTimes, attributes: &[(&str, &str)], out: &mut Values) {
    let ((all_before, idle_before), (all, idle)) = (sums(before), sums(now));
    let passed = all - all_before;
    if passed <= 0.0 {
        return;
    }
    let share = |seconds: f64| (seconds / passed).clamp(0.0, 1.0);
    out.add(CPU_UTILIZATION, attributes, 1.0 - share(idle - idle_before));
    for (mode, seconds) in now {
        let is_shown = *mode != "idle" && !CONTAINED.contains(&mode.as_str());
        if let Some(earlier) = before.get(mode).filter(|_| is_shown) {
            let attributes = [attributes, &[(MODE, mode.as_str())]].concat();
            out.add(CPU_UTILIZATION, &attributes, share(seconds - earlier));
        }
    }
}

fn swap(swap: &BTreeMap<(Label, Label), f64>, out: &mut Values) {
    if swap.is_empty() {
        return;
    }
    let sum = |wanted: &str| -> f64 {
        let found = swap.iter().filter(|((state, _), _)| *state == wanted);
        found.map(|(_, value)| value).sum()
    };
    // What is cached is in use on the device as well.
    let (used, free) = (sum("used"), sum("free"));
    let limit = used + free + sum("cached");
    out.add(PAGING_LIMIT, &[], limit);
    if limit > 0.0 {
        out.add(PAGING_UTILIZATION, &[], (limit - free) / limit);
    }
}

fn totals(
    metric: Metric,
    direction_name: &str,
    directions: BTreeMap<Label, BTreeMap<Label, f64>>,
    state: &mut BTreeMap<Label, Total>,
    out: &mut Values,
    is_left_out: impl Fn(&str, &[Label]) -> bool,
) {
    for (direction, devices) in directions {
        // One without a device is the host's total already.
        if devices.contains_key("")
            || !matches!(
                direction.as_str(),
                "receive" | "transmit" | "read" | "write"
            )
        {
            continue;
        }
        let names: Vec<Label> = devices.keys().cloned().collect();
        let is_counted = |name: &Label| !is_left_out(name.as_str(), &names);
        let counted = devices.into_iter().filter(|(name, _)| is_counted(name));
        let sum = state
            .entry(direction.clone())
            .or_default()
            .advance(counted.collect());
        out.add(metric, &[(direction_name, direction.as_str())], sum);
    }
}

fn place<'a>(device: &'a Label, mount: &'a Label) -> Vec<(&'a str, &'a str)> {
    let names = [(DEVICE, device.as_str()), (MOUNT, mount.as_str())];
    names
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn spaces(spaces: &BTreeMap<(Label, Label), Space>, out: &mut Values) {
    let mut worst = None;
    for ((device, mount), space) in spaces {
        let attributes = place(device, mount);
        let limit: f64 = space.states.values().sum();
        out.add(FS_LIMIT, &attributes, limit);
        let [used, free] = ["used", "free"].map(|state| space.states.get(state).copied());
        let share = used.zip(free).map(|(used, free)| used / (used + free));
        if let Some(share) = share.filter(|share| share.is_finite()) {
            out.add(FS_UTILIZATION, &attributes, share);
            let counts = !space.is_virtual && space.is_read_only != Some(true);
            worst = worst.max(counts.then_some((share * 1e6) as u64));
        }
        if let Some(is_read_only) = space.is_read_only {
            out.add(FS_READ_ONLY, &attributes, f64::from(u8::from(is_read_only)));
        }
    }
    if let Some(worst) = worst {
        out.add(FS_UTILIZATION, &[], worst as f64 / 1e6);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(role: Role, attributes: &[(&str, &str)], value: f64) -> Input {
        let attributes = attributes
            .iter()
            .map(|(n, v)| (Label::new(n), Label::new(v)));
        Input {
            role,
            attributes: attributes.collect(),
            value,
        }
    }

    fn derived(inputs: &[Input], state: &mut State) -> impl Fn(SeriesKey) -> Option<i64> + use<> {
        let mut all = Inputs::default();
        inputs.iter().for_each(|input| all.add(input));
        let (values, _) = all.derive(state);
        move |key| {
            values
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, value)| *value)
        }
    }

    #[test]
    fn processors_are_busy_by_what_passed_between_two_readings() {
        let times = |user: f64, idle: f64, wait: f64| {
            ["0", "1"].into_iter().flat_map(move |cpu| {
                [
                    ("user", user),
                    ("idle", idle),
                    ("iowait", wait),
                    ("guest", 9e9),
                ]
                .map(|(mode, seconds)| input(Role::Cpu, &[(CPU, cpu), (MODE, mode)], seconds))
            })
        };
        let mut state = State::default();
        let first = derived(&times(100.0, 900.0, 0.0).collect::<Vec<_>>(), &mut state);
        assert_eq!(first(CPU_UTILIZATION.series(&[])), None);
        assert_eq!(first(CPU_COUNT.series(&[])), Some(2));
        let second = derived(&times(103.0, 905.0, 2.0).collect::<Vec<_>>(), &mut state);
        assert_eq!(second(CPU_UTILIZATION.series(&[])), Some(300));
        assert_eq!(second(CPU_UTILIZATION.series(&[(CPU, "1")])), Some(300));
        assert_eq!(
            second(CPU_UTILIZATION.series(&[(MODE, "iowait")])),
            Some(200)
        );
        assert_eq!(second(CPU_UTILIZATION.series(&[(MODE, "idle")])), None);
        let same = derived(&times(103.0, 905.0, 2.0).collect::<Vec<_>>(), &mut state);
        assert_eq!(
            same(CPU_UTILIZATION.series(&[])),
            None,
            "no time has passed"
        );
    }

    #[test]
    fn memory_and_swap_have_a_limit_and_a_share() {
        let state = |name, value| input(Role::Memory, &[(MEMORY_STATE, name)], value);
        let swap = |device, name, value| {
            input(Role::Swap, &[(DEVICE, device), (PAGING_STATE, name)], value)
        };
        let values = derived(
            &[
                state("used", 300.0),
                state("free", 500.0),
                state("buffers", 50.0),
                state("cached", 150.0),
                // A part of what is cached.
                state("slab_reclaimable", 40.0),
                swap("a", "used", 10.0),
                swap("a", "free", 30.0),
                swap("b", "free", 60.0),
            ],
            &mut State::default(),
        );
        assert_eq!(values(MEMORY_LIMIT.series(&[])), Some(1_000));
        assert_eq!(values(MEMORY_UTILIZATION.series(&[])), Some(300));
        assert_eq!(values(PAGING_LIMIT.series(&[])), Some(100));
        assert_eq!(values(PAGING_UTILIZATION.series(&[])), Some(100));
    }

    #[test]
    fn totals_count_each_byte_once() {
        let disk = |name, value| {
            input(
                Role::Disk,
                &[(DEVICE, name), (DISK_DIRECTION, "read")],
                value,
            )
        };
        let net = |name, value| {
            input(
                Role::Network,
                &[(INTERFACE, name), (NET_DIRECTION, "receive")],
                value,
            )
        };
        let values = derived(
            &[
                disk("sda", 100.0),
                disk("sda1", 90.0),
                disk("dm-0", 90.0),
                disk("loop3", 5.0),
                disk("nvme0n1", 7.0),
                net("eth0", 1_000.0),
                net("lo", 9.0),
                net("docker0", 400.0),
                net("veth1", 400.0),
            ],
            &mut State::default(),
        );
        assert_eq!(
            values(DISK_IO.series(&[(DISK_DIRECTION, "read")])),
            Some(107)
        );
        assert_eq!(
            values(NET_IO.series(&[(NET_DIRECTION, "receive")])),
            Some(1_000)
        );
    }

    #[test]
    fn the_fullest_filesystem_is_a_writable_one_on_a_disk() {
        let space = |mount, kind, mode, used, free| {
            [("used", used), ("free", free), ("reserved", 10.0)].map(|(state, value)| {
                let attributes = [
                    (DEVICE, "/dev/x"),
                    (MOUNT, mount),
                    ("type", kind),
                    ("mode", mode),
                    (SPACE_STATE, state),
                ];
                input(Role::Space, &attributes, value)
            })
        };
        let values = derived(
            &[
                space("/", "ext4", "rw", 40.0, 60.0),
                space("/snap", "squashfs", "ro", 100.0, 0.0),
                space("/cd", "ext4", "ro", 99.0, 1.0),
                space("/run", "tmpfs", "rw", 90.0, 10.0),
            ]
            .concat(),
            &mut State::default(),
        );
        assert_eq!(values(FS_UTILIZATION.series(&[])), Some(400));
        let root = [(DEVICE, "/dev/x"), (MOUNT, "/")];
        assert_eq!(values(FS_UTILIZATION.series(&root)), Some(400));
        assert_eq!(values(FS_LIMIT.series(&root)), Some(110));
        let cd = [(DEVICE, "/dev/x"), (MOUNT, "/cd")];
        assert_eq!(values(FS_READ_ONLY.series(&cd)), Some(1));
    }

    #[test]
    fn a_boot_shows_in_uptime_or_in_the_time_of_all_processors() {
        let mut state = State::default();
        let mut boots = |inputs: &[Input]| {
            let mut all = Inputs::default();
            inputs.iter().for_each(|input| all.add(input));
            all.derive(&mut state).1.is_another_boot
        };
        let cpu = |seconds| input(Role::Cpu, &[(CPU, "0"), (MODE, "idle")], seconds);
        assert!(!boots(&[cpu(1_000.0)]));
        assert!(!boots(&[cpu(900.0)]), "a processor may have gone");
        assert!(boots(&[cpu(3.0)]));
        assert!(!boots(&[input(Role::Uptime, &[], 100.0), cpu(90.0)]));
        assert!(boots(&[input(Role::Uptime, &[], 5.0), cpu(95.0)]));
    }
}
