//! One session with a hub, asked one thing at a time: what `status`, `snapshot` and `query` need.

use sysmon_link::{Connector, HubSession};
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::{Points, Purpose, Query, Reply, Request};
use sysmon_wire::{Label, UnixMs};

use crate::hub_figures::{self, ReceivedFigures};
use crate::{ClientError, FleetSnapshot, PointsParts};

/// How far back the hub's own rows are requested: two make a rate, and one or another may be late.
const FIGURES_REACH_MS: i64 = 5_000;

/// A session with a hub; dropping it closes the connection.
#[derive(Debug)]
pub struct Client {
    session: HubSession,
}

impl Client {
    /// Connects to `hub`, a `HOST:PORT`.
    ///
    /// # Errors
    /// The hub cannot be reached or refuses the identity.
    pub async fn connect(connector: &Connector, hub: &str) -> Result<Self, ClientError> {
        let session = connector.connect(hub, Purpose::View).await?;
        Ok(Self { session })
    }

    /// The fleet and the hub, now or at a past moment.
    ///
    /// # Errors
    /// The connection breaks, or the hub refuses, for example a moment before its history begins.
    pub async fn fleet(&self, at: Option<UnixMs>) -> Result<FleetSnapshot, ClientError> {
        let mut snapshot = FleetSnapshot::default();
        let fleet = Request::Fleet {
            at,
            once: true,
            spark_points: 0,
            spark_step_ms: 1000,
            sparks: Vec::new(),
        };
        for request in [Request::Status, fleet] {
            self.replies(&request, |reply| match reply {
                Reply::Status(status) => snapshot.hub = Some(status),
                Reply::Fleet(update) => snapshot.add(update),
                _ => {}
            })
            .await?;
        }
        Ok(snapshot)
    }

    /// The fleet now, with the hub's own figures and its alerts.
    ///
    /// # Errors
    /// As for [`Client::fleet`].
    pub async fn status(&self) -> Result<FleetSnapshot, ClientError> {
        let mut snapshot = self.fleet(None).await?;
        if let Some(hub) = &snapshot.hub {
            snapshot.figures = Some(self.figures(hub.name.as_str(), hub.now).await?);
        }
        snapshot.alerts = Some(self.alerts(&Request::Alerts).await?);
        Ok(snapshot)
    }

    /// The series that answer a query.
    ///
    /// # Errors
    /// The connection breaks, or the hub refuses the query: an unknown metric or host, too many points.
    pub async fn query(&self, query: Query) -> Result<Vec<Points>, ClientError> {
        let mut parts = PointsParts::default();
        self.replies(&Request::Query(query), |reply| {
            if let Reply::Points(part) = reply {
                parts.push(part);
            }
        })
        .await?;
        Ok(parts.into_series())
    }

    /// Acknowledges the alerts of a host and rule, which may be patterns, or withdraws that without a `note`; the
    /// result counts them.
    ///
    /// # Errors
    /// The connection breaks, or this identity may not acknowledge.
    pub async fn acknowledge(
        &self,
        host: &str,
        rule: &str,
        note: Option<&str>,
    ) -> Result<Alerts, ClientError> {
        let (host, rule) = (Label::new(host), Some(Label::new(rule)));
        let request = match note.map(Label::new) {
            Some(note) => Request::Acknowledge { host, rule, note },
            None => Request::Unacknowledge { host, rule },
        };
        self.alerts(&request).await
    }

    async fn alerts(&self, request: &Request) -> Result<Alerts, ClientError> {
        self.first(request, |reply| match reply {
            Reply::Alerts(alerts) => Some(alerts),
            _ => None,
        })
        .await
    }

    /// What `pick` makes of the first reply that it accepts; the request is cancelled then.
    ///
    /// # Errors
    /// The connection breaks, the hub refuses the request, or no reply is accepted.
    pub async fn first<T>(
        &self,
        request: &Request,
        pick: impl Fn(Reply) -> Option<T>,
    ) -> Result<T, ClientError> {
        let mut replies = self.session.request(request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Refused { reason } => return Err(ClientError::Refused(reason)),
                reply => {
                    if let Some(answer) = pick(reply) {
                        return Ok(answer);
                    }
                }
            }
        }
        Err(ClientError::NoAnswer)
    }

    /// The hub's own figures; none of a hub that has just started.
    async fn figures(&self, hub: &str, now: UnixMs) -> Result<ReceivedFigures, ClientError> {
        let request = Request::Host {
            host: hub_figures::host_name(hub),
            from: now - FIGURES_REACH_MS,
            until: Some(now),
        };
        let mut figures = ReceivedFigures::default();
        let mut replies = self.session.request(&request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                // The status is worth reading without figures that cannot be decoded or are not there.
                Reply::HostRestart => figures = ReceivedFigures::default(),
                Reply::HostSeries(table) => figures.define(table.keys().unwrap_or_default()),
                Reply::HostKeyframe(block) | Reply::HostRows(block) => {
                    let _ = figures.add(&block.0);
                }
                _ => {}
            }
        }
        Ok(figures)
    }

    async fn replies(
        &self,
        request: &Request,
        mut read: impl FnMut(Reply),
    ) -> Result<(), ClientError> {
        let mut replies = self.session.request(request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Refused { reason } => return Err(ClientError::Refused(reason)),
                reply => read(reply),
            }
        }
        Ok(())
    }
}
