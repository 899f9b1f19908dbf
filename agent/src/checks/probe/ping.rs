//! ICMP echo over a datagram socket, which needs no privileges (`net.ipv4.ping_group_range`).

use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::{Attempt, add};

const PAYLOAD: &[u8; 16] = b"sysmon echo test";

/// RFC 792 and RFC 4443.
const REQUEST: (u8, u8) = (8, 128);
const REPLY: (u8, u8) = (0, 129);

const SEQUENCE: [u8; 2] = [0, 1];

/// Type, code, checksum and identifier, which the kernel fills in, and the sequence number.
const HEADER: usize = 8;

/// Sends an echo request to the first address of `host` and waits for the reply.
pub(super) async fn echo(attempt: &mut Attempt<'_>, host: &str) -> Result<(), String> {
    let addresses = attempt.addresses(host, 0, false).await?;
    let Some(address) = addresses.first() else {
        return Err(format!("{host} has no address"));
    };
    let socket = socket(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "the system does not let the agent ping: set net.ipv4.ping_group_range, see Checks"
                .to_owned()
        }
        _ => format!("no socket: {error}"),
    })?;
    let start = attempt.environment.clock.instant();
    let sent = socket.send(&request(address)).await;
    sent.map_err(|error| super::reason(&error))?;
    let mut answer = [0; 64];
    loop {
        let received = socket.recv(&mut answer).await;
        let length = received.map_err(|error| super::reason(&error))?;
        if is_reply(answer.get(..length).unwrap_or_default(), address) {
            let took = attempt.environment.clock.instant() - start;
            add(&mut attempt.phases.first_byte, took);
            return Ok(());
        }
    }
}

fn socket(address: &SocketAddr) -> std::io::Result<UdpSocket> {
    let (domain, protocol) = match address {
        SocketAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        SocketAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.connect(&(*address).into())?;
    UdpSocket::from_std(socket.into())
}

const fn of(kinds: (u8, u8), address: &SocketAddr) -> u8 {
    match address {
        SocketAddr::V4(_) => kinds.0,
        SocketAddr::V6(_) => kinds.1,
    }
}

fn request(address: &SocketAddr) -> [u8; HEADER + PAYLOAD.len()] {
    let mut packet = [0; HEADER + PAYLOAD.len()];
    let (header, payload) = packet.split_at_mut(HEADER);
    payload.copy_from_slice(PAYLOAD);
    header.copy_from_slice(&[
        of(REQUEST, address),
        0,
        0,
        0,
        0,
        0,
        SEQUENCE[0],
        SEQUENCE[1],
    ]);
    packet
}

fn is_reply(packet: &[u8], address: &SocketAddr) -> bool {
    let payload = packet.get(HEADER..);
    packet.first() == Some(&of(REPLY, address))
        && packet.get(6..HEADER) == Some(&SEQUENCE)
        && payload == Some(PAYLOAD)
}
