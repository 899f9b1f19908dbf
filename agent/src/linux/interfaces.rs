//! Network interfaces: `/proc/net/dev` (proc_pid_net(5)) and `/sys/class/net`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sysmon_wire::metrics::{
    Metric, NET_DROPPED, NET_ERRORS, NET_IO, NET_PACKETS, NET_SPEED, NET_UP,
};
use sysmon_wire::{Label, LimitState};

use super::links::{Link, counted};
use super::listing::ListLimit;
use super::parse::{lines, numbers, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};
use crate::total::Total;

/// Interfaces with series of their own; further ones still count towards the total.
const INTERFACES_MAX: usize = 128;

/// Interfaces that count towards the total.
const COUNTED_MAX: usize = 1024;

const COLUMNS: usize = 16;

const DIRECTION: &str = "network.io.direction";
const NAME: &str = "network.interface.name";

/// Column of the file, its metric and direction.
const COUNTERS: [(usize, Metric, &str); 8] = [
    (0, NET_IO, "receive"),
    (1, NET_PACKETS, "receive"),
    (2, NET_ERRORS, "receive"),
    (3, NET_DROPPED, "receive"),
    (8, NET_IO, "transmit"),
    (9, NET_PACKETS, "transmit"),
    (10, NET_ERRORS, "transmit"),
    (11, NET_DROPPED, "transmit"),
];

const RECEIVED: usize = 0;
const TRANSMITTED: usize = 8;

#[derive(Debug)]
struct Interface {
    name: Vec<u8>,
    label: Label,
    link: Link,
    /// Whether it counts towards the host's total.
    counts: bool,
    /// None for those that are counted only.
    series: Option<Series>,
    /// Bytes received and transmitted in the sample before.
    before: Option<[u64; 2]>,
    columns: [u64; COLUMNS],
    seen: bool,
}

#[derive(Debug)]
struct Series {
    counters: [Slot; COUNTERS.len()],
    up: (KernelFile, Slot),
    speed: (KernelFile, Slot),
}

#[derive(Debug)]
pub(super) struct Interfaces {
    file: KernelFile,
    class: PathBuf,
    interfaces: Vec<Interface>,
    limit: ListLimit,
    changed: bool,
    received: Total,
    transmitted: Total,
}

impl Interfaces {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut total =
            |direction: &str| Total::new(board.slot(NET_IO.series(&[(DIRECTION, direction)])));
        Self {
            file: KernelFile::open(&roots.net().join("dev")),
            class: roots.sys.join("class/net"),
            interfaces: Vec::new(),
            limit: ListLimit::new("interfaces", INTERFACES_MAX),
            changed: false,
            received: total("receive"),
            transmitted: total("transmit"),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let Some(text) = self.file.read(context.buffer) else {
            return;
        };
        self.parse(text, context.board);
    }

    /// Link state and speed, which rarely change.
    pub(super) fn collect_slow(&mut self, context: &mut Context<'_>) {
        for series in self.interfaces.iter_mut().filter_map(|i| i.series.as_mut()) {
            // Both files fail with EINVAL while the interface is down.
            for (file, slot) in [&mut series.up, &mut series.speed] {
                let value = file.read_i64(context.buffer).filter(|value| *value >= 0);
                context.board.set_or_clear(*slot, value);
            }
        }
    }

    /// Reads again how the interfaces are stacked: ports are added to a bridge without an interface coming or going.
    pub(super) fn scan(&mut self) {
        for interface in &mut self.interfaces {
            interface.link = Link::read(&self.class, interface.label.as_str());
        }
        let links = self.interfaces.iter();
        let links = links
            .map(|i| (i.label.to_string(), i.link.clone()))
            .collect();
        let counted: HashSet<&str> = counted(&links).into_iter().collect();
        for interface in &mut self.interfaces {
            interface.counts = counted.contains(interface.label.as_str());
        }
        self.changed = false;
    }

    fn parse(&mut self, text: &[u8], board: &mut Board) {
        // Two header lines.
        for (at, line) in lines(text).skip(2).enumerate() {
            let Some(colon) = line.iter().position(|&b| b == b':') else {
                continue;
            };
            let (name, rest) = line.split_at(colon);
            let name = name.trim_ascii();
            let (columns, count) = numbers::<COLUMNS>(words(rest.get(1..).unwrap_or_default()));
            if count < COLUMNS {
                continue;
            }
            let found = match self.interfaces.get(at) {
                Some(interface) if interface.name == name => Some(at),
                _ => self
                    .interfaces
                    .iter()
                    .position(|interface| interface.name == name),
            };
            let index = match found {
                Some(index) => index,
                None if self.interfaces.len() >= COUNTED_MAX => continue,
                None => {
                    self.changed = true;
                    self.interfaces.push(Interface::new(name));
                    self.interfaces.len() - 1
                }
            };
            if let Some(interface) = self.interfaces.get_mut(index) {
                interface.update(&columns, board);
            }
        }
        self.forget(board);
        if self.changed {
            self.scan();
        }
        self.publish(board);
    }

    fn forget(&mut self, board: &mut Board) {
        let before = self.interfaces.len();
        self.interfaces.retain_mut(|interface| {
            let seen = std::mem::take(&mut interface.seen);
            if let (false, Some(series)) = (seen, &interface.series) {
                series.counters.iter().for_each(|slot| board.release(*slot));
                board.release(series.up.1);
                board.release(series.speed.1);
            }
            seen
        });
        self.changed |= self.interfaces.len() < before;
        if self.changed {
            self.show(board);
        }
    }

    /// Gives series to interfaces, as far as there is room.
    fn show(&mut self, board: &mut Board) {
        // A veth is short-lived, and its bridge counts the same traffic.
        let is_shown = |i: &&mut Interface| !i.label.as_str().starts_with("veth");
        let mut present = self
            .interfaces
            .iter()
            .filter(|i| i.series.is_some())
            .count();
        for interface in self.interfaces.iter_mut().filter(is_shown) {
            if interface.series.is_some() {
                continue;
            }
            if present < INTERFACES_MAX {
                let series = Series::new(&self.class, interface.label.as_str(), board);
                interface.series = Some(series);
                interface.show(board);
            }
            present += 1;
        }
        self.limit.set_present(present);
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }

    fn publish(&mut self, board: &mut Board) {
        for interface in &mut self.interfaces {
            let now = interface.bytes();
            let before = interface.before.replace(now);
            if interface.counts {
                self.received.add(before.map(|b| b[0]), now[0]);
                self.transmitted.add(before.map(|b| b[1]), now[1]);
            }
        }
        self.received.publish(board);
        self.transmitted.publish(board);
    }
}

impl Series {
    fn new(class: &Path, name: &str, board: &mut Board) -> Self {
        let mut slot = |metric: Metric, direction: Option<&str>| {
            let direction = direction.map(|d| (DIRECTION, d));
            let attributes: Vec<_> = direction.into_iter().chain([(NAME, name)]).collect();
            board.slot(metric.series(&attributes))
        };
        let open = |file: &str| KernelFile::open_each_time(class.join(name).join(file));
        Self {
            counters: COUNTERS.map(|(_, metric, direction)| slot(metric, Some(direction))),
            up: (open("carrier"), slot(NET_UP, None)),
            speed: (open("speed"), slot(NET_SPEED, None)),
        }
    }
}

impl Interface {
    fn new(name: &[u8]) -> Self {
        Self {
            name: name.to_vec(),
            label: Label::from_bytes(name),
            link: Link::default(),
            counts: false,
            series: None,
            before: None,
            columns: [0; COLUMNS],
            seen: false,
        }
    }

    fn update(&mut self, columns: &[u64; COLUMNS], board: &mut Board) {
        self.seen = true;
        self.columns = *columns;
        self.show(board);
    }

    fn show(&self, board: &mut Board) {
        let slots = self.series.iter().flat_map(|series| series.counters);
        for (slot, (at, _, _)) in slots.zip(COUNTERS) {
            board.set_u64(slot, self.columns.get(at).copied().unwrap_or(0));
        }
    }

    /// Bytes received and transmitted.
    fn bytes(&self) -> [u64; 2] {
        [self.columns[RECEIVED], self.columns[TRANSMITTED]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use proptest::prelude::*;
    use sysmon_wire::ABSENT;

    const HEAD: &str = "Inter-|   Receive |  Transmit\n face |bytes packets|bytes\n";

    fn interfaces(physical: &[&str], board: &mut Board) -> (Interfaces, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        for name in physical {
            std::fs::create_dir_all(dir.path().join("class/net").join(name).join("device"))
                .unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        (Interfaces::new(&roots, board), dir)
    }

    fn line(name: &str, rx: u64, tx: u64) -> String {
        format!("{name:>6}: {rx} 2 3 4 0 0 0 0 {tx} 6 7 8 0 0 0 0\n")
    }

    #[test]
    fn physical_interfaces_are_the_total_and_veths_have_no_series() {
        let mut board = Board::new();
        let (mut all, _dir) = interfaces(&["eth0"], &mut board);
        let text = [
            HEAD,
            &line("lo", 5, 5),
            &line("eth0", 100, 50),
            &line("docker0", 9, 9),
            &line("veth12", 9, 9),
        ];
        all.parse(text.concat().as_bytes(), &mut board);
        assert_eq!(value(&board, "system.network.io", &["receive"]), 100);
        assert_eq!(
            value(&board, "system.network.io", &["eth0", "transmit"]),
            50
        );
        assert_eq!(
            value(&board, "system.network.errors", &["lo", "receive"]),
            3
        );
        assert_eq!(
            value(
                &board,
                "system.network.packet.dropped",
                &["docker0", "transmit"]
            ),
            8
        );
        assert_eq!(
            value(&board, "system.network.io", &["veth12", "receive"]),
            ABSENT
        );
    }

    #[test]
    fn an_interface_that_returns_has_values_again_and_names_of_the_past_take_no_room() {
        let mut board = Board::new();
        let (mut all, dir) = interfaces(&[], &mut board);
        let mut buffer = crate::linux::ReadBuffer::default();
        let mut slow = |all: &mut Interfaces, board: &mut Board| {
            all.collect_slow(&mut Context {
                board,
                buffer: &mut buffer,
                now: sysmon_wire::UnixMs(0),
            });
        };
        let up = |board: &Board| value(board, "system.network.link.up", &["wan0"]);
        let carrier = dir.path().join("class/net/wan0/carrier");
        std::fs::create_dir_all(carrier.parent().unwrap()).unwrap();
        let only = |name: &str, n| [HEAD, &line(name, n, n)].concat();
        for round in 0..3 * INTERFACES_MAX as u64 {
            std::fs::write(&carrier, "1\n").unwrap();
            all.parse(only("wan0", round).as_bytes(), &mut board);
            slow(&mut all, &mut board);
            assert_eq!(up(&board), 1, "round {round}");
            // Gone and made anew between two samples: the file is another one.
            std::fs::remove_file(&carrier).unwrap();
            slow(&mut all, &mut board);
            assert_eq!(up(&board), ABSENT);
            all.parse(only(&format!("tap{round}"), 1).as_bytes(), &mut board);
            assert_eq!(all.interfaces.len(), 1);
        }
    }

    #[test]
    fn the_surplus_of_interfaces_is_counted_and_shown_when_there_is_room() {
        let mut board = Board::new();
        let (mut all, _dir) = interfaces(&[], &mut board);
        let lines = |from: usize, to: usize| {
            let lines = (from..to).map(|n| line(&format!("tap{n}"), 7, 7));
            HEAD.to_owned() + &lines.collect::<String>()
        };
        let last = format!("tap{INTERFACES_MAX}");
        let of_last = |board: &Board| value(board, "system.network.io", &[&last, "receive"]);
        all.parse(lines(0, INTERFACES_MAX + 1).as_bytes(), &mut board);
        assert_eq!((of_last(&board), all.limit().is_reached()), (ABSENT, true));
        all.parse(lines(2, INTERFACES_MAX + 1).as_bytes(), &mut board);
        assert_eq!((of_last(&board), all.limit().is_reached()), (7, false));
    }

    #[test]
    fn without_physical_interfaces_the_total_is_all_but_the_loopback() {
        let mut board = Board::new();
        let (mut all, _dir) = interfaces(&[], &mut board);
        let at = |n: u64| [HEAD, &line("lo", 5, 5), &line("tun0", n, n)].concat();
        all.parse(at(7).as_bytes(), &mut board);
        all.parse(at(9).as_bytes(), &mut board);
        assert_eq!(value(&board, "system.network.io", &["receive"]), 9);
        all.parse([HEAD, &line("lo", 6, 6)].concat().as_bytes(), &mut board);
        assert_eq!(
            value(&board, "system.network.io", &["tun0", "receive"]),
            ABSENT
        );
        assert_eq!(value(&board, "system.network.io", &["receive"]), 9);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(text in "(\\PC{0,8}:( [0-9]{1,21}){0,20}\n){0,5}") {
            let mut board = Board::new();
            let (mut all, _dir) = interfaces(&[], &mut board);
            all.parse([HEAD, &text].concat().as_bytes(), &mut board);
        }
    }
}
