//! Services on the page: whether each is up, a bar for each of the last days, and what operators say.

use maud::{Markup, html};
use sysmon_wire::UnixMs;

use super::text::{date_of, moment};
use crate::mirror::{IncidentView, ServiceView, ServicesView, Value};

const DAY_MS: i64 = 86_400_000;

/// Of which share of a day a service has to be up for its bar to be whole, and to be more than a failure.
const WHOLE: f64 = 0.999;
const PARTLY: f64 = 0.95;

/// `99.98 %`, with more digits the nearer it is to all of the time; all of it only if it is.
fn percent(share: Option<Value>) -> String {
    let Some(Value(share)) = share else {
        return "–".to_owned();
    };
    if share >= 1.0 {
        return "100 %".to_owned();
    }
    let percent = share * 100.0;
    let digits = match percent {
        99.9.. => 3,
        99.0.. => 2,
        _ => 1,
    };
    let factor = 10f64.powi(digits);
    let cut = (percent * factor).floor() / factor;
    format!("{cut:.*} %", usize::try_from(digits).unwrap_or(1))
}

fn words(state: &str) -> &'static str {
    match state {
        "up" => "Up",
        "partly" => "Partly down",
        "down" => "Down",
        _ => "Not known",
    }
}

fn class(share: Option<Value>) -> &'static str {
    match share {
        None => "is-unknown",
        Some(Value(share)) if share >= WHOLE => "is-up",
        Some(Value(share)) if share >= PARTLY => "is-partly",
        Some(_) => "is-down",
    }
}

fn days(service: &ServiceView<'_>, as_of: UnixMs) -> Markup {
    let count = service.days.len();
    let first = as_of.0.div_euclid(DAY_MS) - i64::try_from(count).unwrap_or(0) + 1;
    let known = service.days.iter().flatten().count();
    let label = format!("Each of the last {count} days, {known} of them known");
    let width = count.max(1) * 4;
    html! {
        svg.days viewBox=(format!("0 0 {width} 24")) preserveAspectRatio="none" role="img" aria-label=(label) {
            @for (at, share) in service.days.iter().enumerate() {
                @let day = UnixMs((first + i64::try_from(at).unwrap_or(0)) * DAY_MS);
                rect.(class(*share)) x=(at * 4) width="3" height="24" {
                    title { (date_of(day)) ": " (percent(*share)) }
                }
            }
        }
    }
}

fn item(service: &ServiceView<'_>, as_of: UnixMs) -> Markup {
    let uptime = &service.uptime;
    let shares = [
        ("24 h", uptime.day),
        ("7 d", uptime.week),
        ("30 d", uptime.month),
        ("90 d", uptime.quarter),
    ];
    html! {
        li class={ "is-" (service.state) } {
            div.head {
                h3 { (service.name) }
                span.condition { (words(service.state)) }
            }
            (days(service, as_of))
            p.shares {
                @for (span, share) in shares {
                    span { small { (span) } " " (percent(share)) }
                }
            }
        }
    }
}

fn incident(incident: &IncidentView<'_>) -> Markup {
    let names: Vec<&str> = incident
        .services
        .iter()
        .map(sysmon_wire::Label::as_str)
        .collect();
    html! {
        li.open[incident.resolved_ms.is_none()] {
            h3 { (incident.title) }
            p {
                small {
                    @if !names.is_empty() { (names.join(", ")) " · " }
                    "since " (moment(incident.opened_ms))
                    @match incident.resolved_ms {
                        Some(at) => { ", resolved " (moment(at)) }
                        None => { ", not resolved yet" }
                    }
                }
            }
            @if !incident.updates.is_empty() {
                ol {
                    @for update in &incident.updates {
                        li { small { (moment(update.time_ms)) } " " (update.text) }
                    }
                }
            }
        }
    }
}

fn incidents(all: &[IncidentView<'_>], is_open: bool) -> Markup {
    let shown: Vec<_> = all
        .iter()
        .filter(|one| one.resolved_ms.is_none() == is_open)
        .collect();
    let title = if is_open {
        "Incidents"
    } else {
        "Past incidents"
    };
    html! {
        @if !shown.is_empty() {
            section.incidents aria-label=(title) {
                h2 { (title) }
                ul { @for one in shown { (incident(one)) } }
            }
        }
    }
}

/// Incidents that last, and all services.
pub(super) fn above(view: &ServicesView<'_>) -> Markup {
    html! {
        (incidents(&view.incidents, true))
        @if !view.services.is_empty() {
            section #services aria-label="Services" {
                h2 { "Services" }
                ul { @for service in &view.services { (item(service, view.as_of_ms)) } }
            }
        }
    }
}

/// Incidents that are resolved.
pub(super) fn below(view: &ServicesView<'_>) -> Markup {
    incidents(&view.incidents, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_all_of_the_time_only_if_it_is() {
        let text = |share| percent(Some(Value(share)));
        assert_eq!(text(1.0), "100 %");
        assert_eq!(text(0.999_999), "99.999 %");
        assert_eq!(text(0.992), "99.20 %");
        assert_eq!(text(0.0), "0.0 %");
        assert_eq!(percent(None), "–");
    }
}
