//! The running hub's side: performs the commands of its own user and of root.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser;
use sysmon_config::Failure;
use sysmon_files::SocketPath;
use sysmon_hub::server::Hub;

use super::{Order, Outcome, SOCKET, is_change, perform};
use crate::command::Context;
use crate::command::args::Args;

/// The longest command line is that of a silence with its reason.
const ORDER_BYTES_MAX: u64 = 64 << 10;

const ORDER_TIME_MAX: Duration = Duration::from_secs(2);

/// Listens until it is dropped. Commands are performed one after the other, on a thread of their own.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    socket: SocketPath,
}

impl ControlSocket {
    /// Listens in the state directory, whose lock this process holds.
    pub(crate) fn open(context: &Context, hub: &Arc<Hub>) -> io::Result<Self> {
        let dir = context.state.dir();
        let socket = SocketPath::of(dir, SOCKET)?;
        match fs::remove_file(socket.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(socket.path())?;
        fs::set_permissions(socket.path(), fs::Permissions::from_mode(0o600))?;
        let (context, hub) = (context.clone(), Arc::clone(hub));
        let thread = std::thread::Builder::new().name("control".to_owned());
        thread.spawn(move || {
            for stream in listener.incoming() {
                let served = stream.and_then(|stream| serve(&context, &hub, &stream));
                if let Err(error) = served {
                    tracing::warn!(%error, "a command on the control socket failed");
                }
            }
        })?;
        Ok(Self { socket })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // A socket that is left only costs the next command an attempt to connect.
        let _ = fs::remove_file(self.socket.path());
    }
}

fn serve(context: &Context, hub: &Hub, mut stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(ORDER_TIME_MAX))?;
    stream.set_write_timeout(Some(ORDER_TIME_MAX))?;
    if !is_permitted(stream)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut order = Vec::new();
    stream.take(ORDER_BYTES_MAX).read_to_end(&mut order)?;
    let outcome = Outcome::from(execute(context, hub, &order));
    stream.write_all(&serde_json::to_vec(&outcome)?)
}

/// Whether the hub's own user or root is on the other side. On systems that do not say, the permissions of the
/// socket and its directory decide alone.
fn is_permitted(stream: &UnixStream) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        let peer = rustix::net::sockopt::socket_peercred(stream)?;
        Ok(peer.uid.is_root() || peer.uid == rustix::process::geteuid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        Ok(true)
    }
}

fn execute(context: &Context, hub: &Hub, order: &[u8]) -> Result<String, Failure> {
    let order: Order = serde_json::from_slice(order).context("cannot read the command")?;
    let program = std::iter::once("sysmon-hub".to_owned());
    let args = Args::try_parse_from(program.chain(order.arguments)).map_err(|_| {
        anyhow!(
            "the running hub does not know this command: restart it to run the installed version"
        )
    })?;
    let command = args.command.filter(is_change);
    let command =
        command.ok_or_else(|| anyhow!("the running hub does not perform this command"))?;
    // The configuration may have been reloaded since the start; a faulty one was not.
    let mut context = context.clone();
    if let Ok(config) = context.args.common.load() {
        context.config = config;
    }
    perform(&context, &command, Some(hub))
}
