//! One attempt to tell something: it takes a limited time, and of the answer only the first line is read.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::message::Message;
use super::route::{Form, Route, Target};

/// How long one attempt may take.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);

/// Characters kept of why an attempt failed.
const WHY_MAX: usize = 200;

/// Sends a message over a route; an error says why it did not arrive.
pub fn send(route: &Route, message: &Message) -> Result<(), String> {
    let sent = match &route.target {
        Target::Command(command) => run(command, message),
        Target::Mail(mail) => mail.send(message, ATTEMPT_MAX),
        Target::Post(form, url) => post(*form, url, message),
    };
    sent.map_err(|why| why.chars().take(WHY_MAX).collect())
}

fn post(form: Form, url: &str, message: &Message) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ATTEMPT_MAX))
        // A receiver that sends us elsewhere is not the one that was configured.
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    let body = message.body(form);
    let mut request = agent.post(url).header("Idempotency-Key", message.id());
    request = match form {
        Form::Ntfy => {
            let priority = if message.is_critical() {
                "urgent"
            } else {
                "default"
            };
            request
                .header("Content-Type", "text/plain; charset=utf-8")
                .header("Title", message.title())
                .header("Priority", priority)
        }
        _ => request.header("Content-Type", "application/json"),
    };
    // The answer's body is not read, however long it is.
    match request.send(&body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status())),
        // What went wrong may name the address, whose path is a secret.
        Err(error) => Err(error.to_string().replace(url, "the address")),
    }
}

fn run(command: &str, message: &Message) -> Result<(), String> {
    let mut child = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let start = Instant::now();
    let json = message.json().to_string();
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read is free to, and must not hold us up.
        let write = move || drop(stdin.write_all(json.as_bytes()));
        let _ = std::thread::Builder::new()
            .name("alert".to_owned())
            .spawn(write);
    }
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("it failed: {status}")),
            None if start.elapsed() < ATTEMPT_MAX => std::thread::sleep(Duration::from_millis(20)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it took longer than {} s", ATTEMPT_MAX.as_secs()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answer, Receiver};
    use super::*;
    use sysmon_wire::UnixMs;

    fn sent(answer: Answer) -> (Result<(), String>, Vec<String>) {
        let receiver = Receiver::start(vec![answer]);
        let route = receiver.url().parse().unwrap();
        (
            send(&route, &Message::test("hub", UnixMs(5))),
            receiver.requests(),
        )
    }

    #[test]
    fn what_a_receiver_answers_is_told() {
        let (result, requests) = sent(Answer::Status("204 No Content"));
        assert!(result.is_ok() && requests[0].contains("only a test"));
        let (result, _) = sent(Answer::Status("302 Found"));
        assert!(result.unwrap_err().contains("302"));
        let (result, _) = sent(Answer::Status("500 No"));
        assert!(result.unwrap_err().contains("500"));
        let nobody = "http://127.0.0.1:1/secret".parse().unwrap();
        let why = send(&nobody, &Message::test("hub", UnixMs(5))).unwrap_err();
        assert!(!why.contains("secret"), "{why}");
    }

    #[test]
    fn a_gigabyte_in_answer_is_not_read() {
        // Reading it all would run into the time-out of an attempt.
        let (result, _) = sent(Answer::Endless);
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn commands_get_the_message_and_may_fail() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out");
        let message = Message::test("hub", UnixMs(5));
        let route: Route = format!("command:cat > {}", file.display()).parse().unwrap();
        send(&route, &message).unwrap();
        assert!(
            std::fs::read_to_string(file)
                .unwrap()
                .contains("only a test")
        );
        let failed = send(&"command:exit 3".parse().unwrap(), &message).unwrap_err();
        assert!(failed.contains("failed"));
        let deaf = send(&"command:exec <&-; true".parse().unwrap(), &message);
        assert_eq!(deaf, Ok(()));
    }
}
