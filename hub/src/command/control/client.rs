//! Sends a command to the running hub.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sysmon_config::Failure;
use sysmon_files::SocketPath;

use super::{Order, Outcome, SOCKET};
use crate::command::Context;

/// Longest time for a command; forgetting a host waits for a commit.
const ANSWER_MAX: Duration = Duration::from_secs(60);

const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What the running hub answers to a command; none if no hub is running with this state directory.
pub(super) fn ask(context: &Context, order: &Order) -> Result<Option<Outcome>, Failure> {
    let dir = context.state.dir();
    let connected =
        SocketPath::of(dir, SOCKET).and_then(|socket| UnixStream::connect(socket.path()));
    let stream = match connected {
        Ok(stream) => stream,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => {
            let place = dir.display();
            return Err(anyhow!(
                "cannot reach the hub of {place}: {error}; run this as the hub's user or as root"
            )
            .into());
        }
    };
    let exchange = || -> anyhow::Result<Outcome> {
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        (&stream).write_all(&serde_json::to_vec(order)?)?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        (&stream).take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
        if answer.is_empty() {
            return Err(anyhow!("it closed the connection; see its log"));
        }
        Ok(serde_json::from_slice(&answer)?)
    };
    let answer = exchange().with_context(|| format!("no answer from the hub of {}", dir.display()));
    Ok(Some(answer?))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}
