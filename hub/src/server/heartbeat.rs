//! The hub's own heartbeat: a request each minute to a service that alarms when it stays away.

use std::sync::Arc;
use std::time::Duration;

use super::Hub;

/// Between two requests.
const EVERY: Duration = Duration::from_secs(60);

/// Time that one may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Sends a heartbeat to `url` for as long as this is awaited and the history takes in what arrives; never without one.
pub(super) async fn keep_sending(hub: &Arc<Hub>, url: Option<&str>) {
    let Some(url) = url else {
        return std::future::pending().await;
    };
    let mut logged = String::new();
    // What the hub had a minute ago has to be durable by now.
    let mut expected = 0;
    loop {
        let durable = *hub.durable.borrow();
        let problem = match is_healthy(expected, durable) {
            false => Some("the history falls behind, so no heartbeat is sent".to_owned()),
            true => {
                let target = url.to_owned();
                let sent = tokio::task::spawn_blocking(move || send(&target)).await;
                sent.unwrap_or_else(|error| Err(error.to_string())).err()
            }
        };
        let problem = problem.unwrap_or_default();
        if problem != logged {
            match problem.as_str() {
                "" => tracing::info!("the heartbeat arrives again"),
                problem => tracing::warn!(problem, "heartbeat"),
            }
            logged = problem;
        }
        expected = hub.core().fleet.generation();
        tokio::time::sleep(EVERY).await;
    }
}

const fn is_healthy(expected: u64, durable: u64) -> bool {
    durable >= expected
}

/// Sends one; the error does not contain the URL, which is a secret.
fn send(url: &str) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .http_status_as_error(false)
        .build()
        .into();
    match agent.post(url).send_empty() {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the heartbeat was refused: {}", answer.status())),
        Err(error) => {
            let error = error.to_string().replace(url, "the URL");
            Err(format!("the heartbeat did not arrive: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request with this status; its URL.
    fn answering(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (url, served)
    }

    #[test]
    fn a_heartbeat_is_a_request_whose_answer_counts() {
        let (url, served) = answering("200 OK");
        assert_eq!(send(&url), Ok(()));
        assert!(served.join().unwrap().starts_with("POST /secret HTTP/1.1"));
        for status in ["404 Not Found", "302 Found", "500 Oops"] {
            let (url, served) = answering(status);
            let refused = send(&url).unwrap_err();
            assert!(
                refused.contains(&status[..3]) && !refused.contains("secret"),
                "{refused}"
            );
            served.join().unwrap();
        }
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}/secret", listener.local_addr().unwrap())
        };
        let failed = send(&closed).unwrap_err();
        assert!(!failed.contains("secret"), "{failed}");
    }

    #[test]
    fn a_hub_whose_history_stands_still_is_not_healthy() {
        assert!(is_healthy(0, 0) && is_healthy(7, 7) && is_healthy(7, 9));
        assert!(!is_healthy(7, 6));
    }
}
