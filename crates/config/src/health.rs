//! Whether a program is alive: its main loop answers on a socket in its state directory. For health checks of containers.

use std::path::Path;

use crate::Failure;

/// Name of the socket.
#[cfg(unix)]
const SOCKET: &str = "health.sock";

/// What the main loop answers.
#[cfg(unix)]
const ANSWER: &[u8] = b"ok\n";

/// Longest wait for the answer.
#[cfg(unix)]
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Answers health checks while it is polled, so poll it on the task that must not hang. Where the socket cannot be made it
/// logs that and waits for ever.
pub async fn answer(state: &Path) {
    #[cfg(unix)]
    match listener(state) {
        Ok((listener, _path)) => loop {
            // A connection that fails is the concern of the one who asked.
            if let Ok((stream, _)) = listener.accept().await {
                let _ = stream.try_write(ANSWER);
            }
        },
        Err(error) => {
            let state = state.display();
            tracing::warn!(%state, %error, "cannot listen for health checks");
        }
    }
    #[cfg(not(unix))]
    let _ = state;
    std::future::pending::<()>().await;
}

#[cfg(unix)]
fn listener(state: &Path) -> std::io::Result<(tokio::net::UnixListener, sysmon_files::SocketPath)> {
    let socket = sysmon_files::SocketPath::of(state, SOCKET)?;
    match std::fs::remove_file(socket.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok((tokio::net::UnixListener::bind(socket.path())?, socket))
}

/// Asks the program with this state directory.
///
/// # Errors
/// It does not run, or does not answer.
#[cfg(unix)]
pub fn check(program: &str, state: &Path) -> Result<(), Failure> {
    use std::io::Read;
    let ask = || -> std::io::Result<bool> {
        let socket = sysmon_files::SocketPath::of(state, SOCKET)?;
        let mut stream = std::os::unix::net::UnixStream::connect(socket.path())?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let mut answer = [0; ANSWER.len()];
        stream.read_exact(&mut answer)?;
        Ok(answer == *ANSWER)
    };
    let place = state.display();
    let problem = match ask() {
        Ok(true) => return Ok(crate::print("ok\n")?),
        Ok(false) => format!("the program of {place} answered something else than {program}"),
        Err(error) => format!("no {program} answers in {place}: {error}"),
    };
    Err(anyhow::anyhow!(problem).into())
}

/// Asks the program with this state directory.
///
/// # Errors
/// Always: there are no such sockets on this system.
#[cfg(not(unix))]
pub fn check(program: &str, _: &Path) -> Result<(), Failure> {
    Err(anyhow::anyhow!("{program} cannot be asked on this system; look for its process").into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_healthy_while_its_loop_answers_and_after_a_kill_is_not() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check("sysmon-test", dir.path()).is_err(), "never started");
        for _ in 0..2 {
            // The second finds the socket that the first left.
            let state = dir.path().to_owned();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let program = std::thread::spawn(move || {
                crate::runtime().unwrap().block_on(async {
                    tokio::select! {
                        () = answer(&state) => {}
                        _ = stopped => {}
                    }
                });
            });
            let socket = dir.path().join(SOCKET);
            while std::os::unix::net::UnixStream::connect(&socket).is_err() {
                std::thread::yield_now();
            }
            check("sysmon-test", dir.path()).unwrap();
            drop(stop);
            program.join().unwrap();
            assert!(socket.exists(), "as after a kill");
            assert!(check("sysmon-test", dir.path()).is_err(), "killed");
        }
    }
}
