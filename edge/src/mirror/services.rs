//! Services and incidents as the hub sends them, bounded. Pure.

use serde::Serialize;
use sysmon_wire::limits::{INCIDENT_UPDATES_MAX, INCIDENTS_MAX, SERVICE_DAYS, SERVICES_MAX};
use sysmon_wire::message::{Incident, Service, Services};
use sysmon_wire::{Label, UnixMs};

use super::view::{SCHEMA, Value};

/// At most as much of everything as the protocol allows, whatever was sent.
pub(super) fn bounded(mut services: Services) -> Services {
    services.services.truncate(SERVICES_MAX);
    for service in &mut services.services {
        let surplus = service.days.len().saturating_sub(SERVICE_DAYS);
        service.days.drain(..surplus);
    }
    services.incidents.truncate(INCIDENTS_MAX);
    for incident in &mut services.incidents {
        incident.services.truncate(SERVICES_MAX);
        incident.updates.truncate(INCIDENT_UPDATES_MAX);
    }
    services
}

#[derive(Debug, Serialize)]
pub struct ServicesView<'a> {
    pub as_of_ms: UnixMs,
    pub incidents: Vec<IncidentView<'a>>,
    schema: u32,
    pub services: Vec<ServiceView<'a>>,
}

#[derive(Debug, Serialize)]
pub struct ServiceView<'a> {
    /// The share of each day (UTC) in which it was up, the last one today; none where nothing is known.
    pub days: Vec<Option<Value>>,
    pub name: &'a Label,
    pub state: &'static str,
    pub uptime: UptimeView,
}

#[derive(Debug, Serialize)]
pub struct UptimeView {
    #[serde(rename = "24h")]
    pub day: Option<Value>,
    #[serde(rename = "30d")]
    pub month: Option<Value>,
    #[serde(rename = "7d")]
    pub week: Option<Value>,
    #[serde(rename = "90d")]
    pub quarter: Option<Value>,
}

#[derive(Debug, Serialize)]
pub struct IncidentView<'a> {
    pub opened_ms: UnixMs,
    pub resolved_ms: Option<UnixMs>,
    pub services: &'a [Label],
    pub title: &'a Label,
    pub updates: Vec<UpdateView<'a>>,
}

#[derive(Debug, Serialize)]
pub struct UpdateView<'a> {
    pub text: &'a Label,
    pub time_ms: UnixMs,
}

pub(super) fn view(services: &Services, as_of: UnixMs) -> ServicesView<'_> {
    ServicesView {
        as_of_ms: as_of,
        incidents: services.incidents.iter().map(incident).collect(),
        schema: SCHEMA,
        services: services.services.iter().map(service).collect(),
    }
}

fn share(millionths: Option<u32>) -> Option<Value> {
    millionths.map(|share| Value(f64::from(share.min(1_000_000)) / 1e6))
}

fn service(service: &Service) -> ServiceView<'_> {
    let [day, week, month, quarter] = service.shares.map(share);
    ServiceView {
        days: service.days.iter().copied().map(share).collect(),
        name: &service.name,
        state: service.state.as_str(),
        uptime: UptimeView {
            day,
            month,
            week,
            quarter,
        },
    }
}

fn incident(incident: &Incident) -> IncidentView<'_> {
    let updates = incident.updates.iter().map(|update| UpdateView {
        text: &update.text,
        time_ms: update.time,
    });
    IncidentView {
        opened_ms: incident.opened,
        resolved_ms: incident.resolved,
        services: &incident.services,
        title: &incident.title,
        updates: updates.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_protocol_allows_is_left_out() {
        let service = Service {
            days: (0..200).map(Some).collect(),
            ..Service::default()
        };
        let sent = Services {
            services: vec![service; 100],
            incidents: Vec::new(),
        };
        let bounded = bounded(sent);
        assert_eq!(bounded.services.len(), SERVICES_MAX);
        assert_eq!(bounded.services[0].days.len(), SERVICE_DAYS);
        assert_eq!(bounded.services[0].days[89], Some(199), "today stays");
        let view = serde_json::to_value(view(&bounded, UnixMs(5))).unwrap();
        assert_eq!(view["services"][0]["days"][89], 0.000_199);
        assert!(view["services"][0]["uptime"]["90d"].is_null());
    }
}
