//! A conversation with a server of UPSes: bounded in time and bytes, whatever the server sends.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use sysmon_clock::Clock;

/// Time for connecting, and for all requests with their answers.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of one answer.
const ANSWER_MAX: usize = 64 << 10;

/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Server<'a> {
    stream: TcpStream,
    /// When the conversation has to have ended.
    until: Instant,
    clock: &'a Clock,
}

impl<'a> Server<'a> {
    pub(super) fn connect(host: &str, port: u16, clock: &'a Clock) -> Result<Self, String> {
        let addresses = (host, port)
            .to_socket_addrs()
            .map_err(|error| format!("cannot resolve {host}: {error}"))?;
        let until = clock.instant() + TIMEOUT;
        let mut failed = format!("{host} has no address");
        for address in addresses.take(ADDRESSES_MAX) {
            let Some(left) = time_left(until, clock) else {
                break;
            };
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => {
                    let until = clock.instant() + TIMEOUT;
                    return Ok(Self {
                        stream,
                        until,
                        clock,
                    });
                }
                Err(error) => failed = format!("cannot connect to {address}: {error}"),
            }
        }
        Err(failed)
    }

    /// Sends a request and reads until `is_whole` finds the end of the answer, which is returned up to where the server
    /// closed the connection if it did so earlier.
    pub(super) fn ask(
        &mut self,
        request: &[u8],
        is_whole: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, String> {
        let set = self.stream.set_write_timeout(Some(TIMEOUT));
        set.and_then(|()| self.stream.write_all(request))
            .map_err(|error| format!("cannot send the request: {error}"))?;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while !is_whole(&answer) {
            if answer.len() >= ANSWER_MAX {
                return Err(format!("its answer is longer than {ANSWER_MAX} bytes"));
            }
            let late = || format!("it did not answer within {} s", TIMEOUT.as_secs());
            let left = time_left(self.until, self.clock).ok_or_else(late)?;
            let read = self.stream.set_read_timeout(Some(left));
            let read = read.and_then(|()| self.stream.read(&mut part));
            match read {
                Ok(0) => break,
                Ok(count) => answer.extend(part.iter().take(count)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Err(late()),
                Err(error) => return Err(format!("cannot read its answer: {error}")),
            }
        }
        Ok(answer)
    }
}

/// None once no time is left.
fn time_left(until: Instant, clock: &Clock) -> Option<Duration> {
    let left = until.saturating_duration_since(clock.instant());
    (!left.is_zero()).then_some(left)
}
