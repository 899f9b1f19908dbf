//! Host-wide TCP and UDP statistics: `/proc/net/snmp`, `netstat` and `sockstat`
//! (Documentation/networking/snmp_counter.rst; RFC 4022 and 4113 name the counters).

use sysmon_wire::metrics::{
    Metric, NET_CONNECTIONS, TCP_LISTEN_OVERFLOWS, TCP_OPENS, TCP_RETRANSMITS, TCP_SEGMENTS,
    UDP_DATAGRAMS, UDP_ERRORS,
};

use super::parse::{lines, number, words};
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

type Column = (&'static [u8], &'static [u8], Slot);

#[derive(Debug)]
pub(super) struct Network {
    snmp: KernelFile,
    netstat: KernelFile,
    sockstat: KernelFile,
    counters: [Column; 8],
    overflows: [Column; 1],
    sockets: [Column; 4],
    udp_errors: Slot,
}

impl Network {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let net = roots.net();
        let receive = ("network.io.direction", "receive");
        let transmit = ("network.io.direction", "transmit");
        let side = "network.tcp.side";
        let socket = |transport, state| {
            let state = ("network.connection.state", state);
            [("network.transport", transport), state]
        };
        let mut row = |table, name, metric: Metric, attributes: &[(&str, &str)]| -> Column {
            (table, name, board.slot(metric.series(attributes)))
        };
        Self {
            snmp: KernelFile::open(&net.join("snmp")),
            netstat: KernelFile::open(&net.join("netstat")),
            sockstat: KernelFile::open(&net.join("sockstat")),
            counters: [
                row(b"Tcp:", b"ActiveOpens", TCP_OPENS, &[(side, "active")]),
                row(b"Tcp:", b"PassiveOpens", TCP_OPENS, &[(side, "passive")]),
                row(
                    b"Tcp:",
                    b"CurrEstab",
                    NET_CONNECTIONS,
                    &socket("tcp", "established"),
                ),
                row(b"Tcp:", b"InSegs", TCP_SEGMENTS, &[receive]),
                row(b"Tcp:", b"OutSegs", TCP_SEGMENTS, &[transmit]),
                row(b"Tcp:", b"RetransSegs", TCP_RETRANSMITS, &[]),
                row(b"Udp:", b"InDatagrams", UDP_DATAGRAMS, &[receive]),
                row(b"Udp:", b"OutDatagrams", UDP_DATAGRAMS, &[transmit]),
            ],
            overflows: [row(
                b"TcpExt:",
                b"ListenOverflows",
                TCP_LISTEN_OVERFLOWS,
                &[],
            )],
            sockets: [
                row(b"TCP:", b"inuse", NET_CONNECTIONS, &socket("tcp", "in_use")),
                row(
                    b"TCP:",
                    b"orphan",
                    NET_CONNECTIONS,
                    &socket("tcp", "orphan"),
                ),
                row(b"TCP:", b"tw", NET_CONNECTIONS, &socket("tcp", "time_wait")),
                row(b"UDP:", b"inuse", NET_CONNECTIONS, &socket("udp", "in_use")),
            ],
            udp_errors: board.slot(UDP_ERRORS.series(&[])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        if let Some(text) = self.snmp.read(context.buffer) {
            parse_table(text, &self.counters, context.board);
            let errors = ["InErrors", "NoPorts", "SndbufErrors"];
            let sum = errors
                .iter()
                .filter_map(|name| column(text, b"Udp:", name.as_bytes()));
            context.board.set_u64(self.udp_errors, sum.sum());
        }
        if let Some(text) = self.sockstat.read(context.buffer) {
            parse_pairs(text, &self.sockets, context.board);
        }
    }

    /// `/proc/net/netstat` has about 150 counters, of which one is used, so it is read less often.
    pub(super) fn collect_slow(&mut self, context: &mut Context<'_>) {
        if let Some(text) = self.netstat.read(context.buffer) {
            parse_table(text, &self.overflows, context.board);
        }
    }
}

/// Each table is a line of names followed by a line of values, both starting with the same word.
fn parse_table(text: &[u8], columns: &[Column], board: &mut Board) {
    for (table, name, slot) in columns {
        if let Some(value) = column(text, table, name) {
            board.set_u64(*slot, value);
        }
    }
}

fn column(text: &[u8], table: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = lines(text).filter(|line| line.starts_with(table));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = words(names).position(|word| word == name)?;
    words(values).nth(at).and_then(number)
}

/// A line is a name followed by pairs of a name and a value.
fn parse_pairs(text: &[u8], columns: &[Column], board: &mut Board) {
    for line in lines(text) {
        let mut words = words(line);
        let Some(first) = words.next() else { continue };
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let slot = columns
                .iter()
                .find(|(line, column, _)| *line == first && *column == name);
            if let (Some((_, _, slot)), Some(value)) = (slot, number(value)) {
                board.set_u64(*slot, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};

    #[test]
    fn counters_are_found_by_name_in_any_column() {
        let mut board = Board::new();
        let network = Network::new(&collector_roots(), &mut board);
        let text = b"Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: RtoAlgorithm MaxConn ActiveOpens CurrEstab RetransSegs\nTcp: 1 -1 52 7 3\nUdp: InDatagrams NoPorts InErrors\nUdp: 100 2 1\n";
        parse_table(text, &network.counters, &mut board);
        assert_eq!(value(&board, "system.network.tcp.opens", &["active"]), 52);
        assert_eq!(
            value(
                &board,
                "system.network.connection.count",
                &["tcp", "established"]
            ),
            7
        );
        assert_eq!(value(&board, "system.network.tcp.retransmits", &[]), 3);
        assert_eq!(
            value(&board, "system.network.udp.datagrams", &["receive"]),
            100
        );
        assert_eq!(column(text, b"Udp:", b"NoPorts"), Some(2));
    }

    #[test]
    fn socket_counts_are_read_from_pairs() {
        let mut board = Board::new();
        let network = Network::new(&collector_roots(), &mut board);
        let text =
            b"sockets: used 290\nTCP: inuse 8 orphan 1 tw 4 alloc 10 mem 1\nUDP: inuse 2 mem 0\n";
        parse_pairs(text, &network.sockets, &mut board);
        assert_eq!(
            value(
                &board,
                "system.network.connection.count",
                &["tcp", "time_wait"]
            ),
            4
        );
        assert_eq!(
            value(
                &board,
                "system.network.connection.count",
                &["udp", "in_use"]
            ),
            2
        );
    }
}
