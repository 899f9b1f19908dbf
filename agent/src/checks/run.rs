//! The thread of the checks: each is tried when its time has come, few at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ipnet::IpNet;
use sysmon_clock::Clock;
use sysmon_config::check::Check;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::guard::Guard;
use super::outcome::Outcome;
use super::probe::{Environment, attempt};
use crate::background::{Background, Publisher, Reading};

/// Tries at the same time.
const TRIES_MAX: usize = 16;

/// Threads that look up names; one that a resolver holds up is not free again before its own limit.
const LOOKUPS_MAX: usize = 8;

/// The first tries begin within this time, spread over it.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// After a failure the next try is at most this far away.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

/// Tries `checks` from now on; none if there are none.
pub(crate) fn start(checks: Vec<Check>, networks: Vec<IpNet>, clock: Clock) -> Option<Background> {
    if checks.is_empty() {
        return None;
    }
    let body = move |publisher| match runtime() {
        Ok(runtime) => LocalSet::new().block_on(&runtime, all(checks, networks, clock, publisher)),
        Err(error) => tracing::warn!(%error, "cannot start the checks"),
    };
    Some(Background::spawn("checks", body))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(LOOKUPS_MAX)
        .build()
}

/// Says what the next of the checks found out.
pub type Progress<'a> = &'a mut dyn FnMut(&Check, &Outcome);

/// Tries each check once, in their order.
///
/// # Errors
/// The system has no sockets for them.
pub fn once(
    checks: &[Check],
    networks: &[IpNet],
    clock: &Clock,
    say: Progress<'_>,
) -> std::io::Result<()> {
    let environment = Environment::new(Guard::new(networks.to_vec()), clock.clone());
    let runtime = runtime()?;
    for check in checks {
        let outcome = runtime.block_on(attempt(check, &environment));
        say(check, &outcome);
    }
    // A name that is still being looked up does not delay the end.
    runtime.shutdown_background();
    Ok(())
}

#[derive(Debug)]
struct Results {
    /// In the order of the configuration.
    outcomes: BTreeMap<usize, (Check, Outcome)>,
    publisher: Publisher,
}

impl Results {
    /// Whether somebody is interested in further ones.
    fn add(&mut self, at: usize, check: &Check, outcome: Outcome) -> bool {
        self.outcomes.insert(at, (check.clone(), outcome));
        let mut reading = Reading::default();
        for (check, outcome) in self.outcomes.values() {
            let values = outcome.values(&check.name, check.expires_in);
            reading.values.extend(values);
            if let Err(reason) = &outcome.is_up {
                reading
                    .notes
                    .push(format!("check {}: {reason}", check.name));
            }
        }
        self.publisher.publish(reading);
        !self.publisher.is_closed()
    }
}

async fn all(checks: Vec<Check>, networks: Vec<IpNet>, clock: Clock, publisher: Publisher) {
    let environment = Rc::new(Environment::new(Guard::new(networks), clock));
    let tries = Rc::new(Semaphore::new(TRIES_MAX));
    let results = Rc::new(RefCell::new(Results {
        outcomes: BTreeMap::new(),
        publisher,
    }));
    let count = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    let mut running = Vec::new();
    for (at, check) in checks.into_iter().enumerate() {
        let shared = (
            Rc::clone(&environment),
            Rc::clone(&tries),
            Rc::clone(&results),
        );
        let first = FIRST_WITHIN / count * u32::try_from(at).unwrap_or(0);
        let repeated = async move {
            let (environment, tries, results) = shared;
            tokio::time::sleep(first).await;
            loop {
                let Ok(permit) = tries.acquire().await else {
                    return;
                };
                let outcome = attempt(&check, &environment).await;
                drop(permit);
                let pause = match outcome.is_up {
                    Ok(()) => check.every,
                    Err(_) => check.every.min(AGAIN_AFTER),
                };
                let pause = pause.saturating_sub(outcome.took);
                if !results.borrow_mut().add(at, &check, outcome) {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        };
        running.push(tokio::task::spawn_local(repeated));
    }
    for task in running {
        let _ = task.await;
    }
}
