//! Network interfaces: `/proc/net/dev` (proc_pid_net(5)) and `/sys/class/net`.

use std::path::PathBuf;

use sysmon_wire::Label;
use sysmon_wire::metrics::{
    Metric, NET_DROPPED, NET_ERRORS, NET_IO, NET_PACKETS, NET_SPEED, NET_UP,
};

use super::parse::{lines, numbers, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};
use crate::total::Total;

/// Interfaces with series of their own; further ones still count towards the total.
const INTERFACES_MAX: usize = 128;

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
    has_series: bool,
    physical: bool,
    loopback: bool,
    counters: [Slot; COUNTERS.len()],
    up: (KernelFile, Slot),
    speed: (KernelFile, Slot),
    /// Bytes received and transmitted in the sample before, and in this one.
    before: Option<[u64; 2]>,
    now: [u64; 2],
    seen: bool,
}

#[derive(Debug)]
pub(super) struct Interfaces {
    file: KernelFile,
    class: PathBuf,
    interfaces: Vec<Interface>,
    received: Total,
    transmitted: Total,
}

impl Interfaces {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut total =
            |direction: &str| Total::new(board.slot(NET_IO.series(&[(DIRECTION, direction)])));
        Self {
            file: KernelFile::open(&roots.proc.join("net/dev")),
            class: roots.sys.join("class/net"),
            interfaces: Vec::new(),
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
        for interface in self.interfaces.iter_mut().filter(|i| i.has_series) {
            // Both files fail with EINVAL while the interface is down.
            for (file, slot) in [&mut interface.up, &mut interface.speed] {
                if !file.exists() {
                    continue;
                }
                let value = file.read_i64(context.buffer).filter(|value| *value >= 0);
                context.board.set_or_clear(*slot, value);
            }
        }
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
            let index = found.unwrap_or_else(|| {
                let interface = self.new_interface(name, board);
                self.interfaces.push(interface);
                self.interfaces.len() - 1
            });
            if let Some(interface) = self.interfaces.get_mut(index) {
                interface.update(&columns, board);
            }
        }
        self.publish(board);
    }

    /// Sums the physical interfaces, or all but the loopback where there are none (as in a container), and
    /// clears the values of removed ones.
    fn publish(&mut self, board: &mut Board) {
        let any_physical = self.interfaces.iter().any(|i| i.physical && i.seen);
        for interface in &mut self.interfaces {
            if !interface.seen {
                if interface.before.take().is_some() {
                    interface
                        .counters
                        .iter()
                        .for_each(|slot| board.clear(*slot));
                    board.clear(interface.up.1);
                    board.clear(interface.speed.1);
                }
                continue;
            }
            interface.seen = false;
            let counts = if any_physical {
                interface.physical
            } else {
                !interface.loopback
            };
            let before = interface.before.replace(interface.now);
            if counts {
                self.received.add(before.map(|b| b[0]), interface.now[0]);
                self.transmitted.add(before.map(|b| b[1]), interface.now[1]);
            }
        }
        self.received.publish(board);
        self.transmitted.publish(board);
    }

    fn new_interface(&self, name: &[u8], board: &mut Board) -> Interface {
        let label = Label::from_bytes(name);
        let text = label.as_str();
        let folder = self.class.join(text);
        let series_before = self.interfaces.iter().filter(|i| i.has_series).count();
        // A veth is short-lived, and its bridge counts the same traffic.
        let has_series = !text.starts_with("veth") && series_before < INTERFACES_MAX;
        let mut slot = |metric: Metric, direction: Option<&str>| {
            if !has_series {
                return Slot::NONE;
            }
            let direction = direction.map(|d| (DIRECTION, d));
            let attributes: Vec<_> = direction.into_iter().chain([(NAME, text)]).collect();
            board.slot(metric.series(&attributes))
        };
        let open = |file: &str| KernelFile::open(&folder.join(file));
        Interface {
            counters: COUNTERS.map(|(_, metric, direction)| slot(metric, Some(direction))),
            up: (open("carrier"), slot(NET_UP, None)),
            speed: (open("speed"), slot(NET_SPEED, None)),
            name: name.to_vec(),
            has_series,
            physical: folder.join("device").exists(),
            loopback: text == "lo",
            before: None,
            now: [0; 2],
            seen: false,
        }
    }
}

impl Interface {
    fn update(&mut self, columns: &[u64; COLUMNS], board: &mut Board) {
        self.seen = true;
        let column = |at: usize| columns.get(at).copied().unwrap_or(0);
        for (slot, (at, _, _)) in self.counters.iter().zip(COUNTERS) {
            board.set_u64(*slot, column(at));
        }
        self.now = [column(RECEIVED), column(TRANSMITTED)];
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
