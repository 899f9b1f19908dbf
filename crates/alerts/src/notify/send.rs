//! One attempt to deliver a notification: limited in time, and of the answer only the status is read.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use sysmon_wire::UnixMs;
use ureq::http::StatusCode;

use super::error::{ATTEMPT_MAX, SendError};
use super::notification::Notification;
use super::receivers::{Address, Method, Request, Service};
use super::route::{Route, Target};

/// Time between two checks whether a command has exited.
const EXIT_POLL: Duration = Duration::from_millis(20);

/// Sends a notification over a route, once.
///
/// # Errors
/// It did not arrive, as far as is known; the message contains no secret of the route.
pub fn send(route: &Route, notification: &Notification, now: UnixMs) -> Result<(), SendError> {
    match &route.target {
        Target::Command(command) => run(command, notification),
        Target::Mail(mail) => mail.send(notification, ATTEMPT_MAX),
        Target::Service(service, address) => {
            let requests = (service.requests)(address, notification, now);
            let mut requests = requests.iter();
            requests.try_for_each(|one| request(service, address, &notification.id(), one))
        }
    }
}

fn request(
    service: &Service,
    address: &Address,
    id: &str,
    request: &Request,
) -> Result<(), SendError> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ATTEMPT_MAX))
        // A redirect's target is not the receiver that was configured.
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    let builder = match request.method {
        Method::Post => agent.post(&request.url),
        Method::Put => agent.put(&request.url),
    };
    let headers = request.headers.iter();
    let builder = headers.fold(
        builder.header("Idempotency-Key", id),
        |builder, (name, value)| builder.header(*name, value),
    );
    // The answer's body is not read, however long it is.
    match builder.send(&request.body) {
        Ok(answer) if is_success(service, answer.status()) => Ok(()),
        Ok(answer) => Err(SendError::Status {
            status: answer.status(),
            retry_after: answer
                .headers()
                .get("Retry-After")
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .map(Duration::from_secs),
        }),
        // The error may contain the URL, whose path is a secret.
        Err(error) => {
            let error = error.to_string().replace(&request.url, "the URL");
            Err(SendError::Http(address.hide_in(&error)))
        }
    }
}

fn is_success(service: &Service, status: StatusCode) -> bool {
    status.is_success() && !(service.is_204_failure && status == StatusCode::NO_CONTENT)
}

fn run(command: &str, notification: &Notification) -> Result<(), SendError> {
    let mut shell = Command::new("/bin/sh");
    // What the shell starts ends with it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let json = notification.json().to_string();
    if let Some(mut stdin) = child.stdin.take() {
        // On a thread, because a command that does not read its input must not block this one.
        let write = move || drop(stdin.write_all(json.as_bytes()));
        let _ = std::thread::Builder::new()
            .name("alert".to_owned())
            .spawn(write);
    }
    match exit_status(&mut child)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(SendError::Exit(status)),
        None => {
            kill_group(&mut child);
            let _ = child.wait();
            Err(SendError::CommandTimeout)
        }
    }
}

/// Kills a command with everything that it has started, unless that left its process group.
fn kill_group(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// Waits for the exit of a command; none after [`ATTEMPT_MAX`].
fn exit_status(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    for _ in 0..ATTEMPT_MAX.as_millis() / EXIT_POLL.as_millis() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(EXIT_POLL);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Receiver};
    use super::*;

    fn notification() -> Notification {
        Notification::test("hub", UnixMs(5))
    }

    fn sent(answer: Answer) -> (Result<(), String>, Receiver) {
        let receiver = Receiver::start(vec![answer]);
        let route = receiver.url().parse().unwrap();
        let sent = send(&route, &notification(), UnixMs(6));
        (sent.map_err(|error| error.to_string()), receiver)
    }

    #[test]
    fn the_status_of_the_answer_decides_and_errors_hide_the_url() {
        let (result, receiver) = sent(Answer::Status("204 No Content"));
        assert!(result.is_ok() && receiver.requests()[0].contains("only a test"));
        let (result, _) = sent(Answer::Status("302 Found"));
        assert!(result.unwrap_err().contains("302"));
        let (result, _) = sent(Answer::Status("500 No"));
        assert!(result.unwrap_err().contains("500"));
        let unreachable = "http://127.0.0.1:1/secret".parse().unwrap();
        let error = send(&unreachable, &notification(), UnixMs(6)).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn an_endless_answer_is_not_read() {
        let (result, receiver) = sent(Answer::Endless);
        assert_eq!(result, Ok(()));
        receiver.answer_was_cut_short();
    }

    #[test]
    fn commands_get_the_json_and_may_ignore_it_or_fail() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let route: Route = format!("command:cat > {}", file.display()).parse().unwrap();
        send(&route, &notification(), UnixMs(6)).unwrap();
        let json = std::fs::read_to_string(file).unwrap();
        assert!(json.contains("only a test"));
        let failed = send(
            &"command:exit 3".parse().unwrap(),
            &notification(),
            UnixMs(6),
        )
        .unwrap_err();
        assert!(failed.to_string().contains("exit status: 3"), "{failed}");
        let ignores = "command:exec <&-; true".parse().unwrap();
        assert!(send(&ignores, &notification(), UnixMs(6)).is_ok());
    }

    #[test]
    fn what_a_command_has_started_ends_with_it_at_the_time_limit() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("alive");
        let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let path = fifo.clone();
        // The end comes once every process that holds the other end has exited.
        let ended = std::thread::spawn(move || std::fs::read(path).unwrap());
        let route: Route = format!("command:sleep 1000 > {} & wait", fifo.display())
            .parse()
            .unwrap();
        let late = send(&route, &notification(), UnixMs(6)).unwrap_err();
        assert!(matches!(late, SendError::CommandTimeout), "{late}");
        assert!(ended.join().unwrap().is_empty());
    }
}
