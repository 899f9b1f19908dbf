//! Which requests to the hub are open: compares what the screens declare with what is open.

use sysmon_wire::message::Request;

/// What a request is for; at most one is open for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    Fleet,
    /// The busiest process of each host.
    Busiest,
    /// Values of the whole fleet, by their place.
    Total(usize),
    /// CPU of all hosts over a long time.
    FleetHistory,
    Preview,
    PreviewProcesses,
    Host,
    HostProcesses,
    /// What the host's charts show of the time before its rows.
    History(usize),
    PreviewHistory(usize),
    Burst,
    Top,
    Changes,
    Timeline,
    /// The use of processors under the strip of time.
    Load,
    Alerts,
    Compare(usize),
    /// What is known of all checks, by what it is.
    Checks(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub topic: Topic,
    /// A new round opens the same request again.
    pub round: u32,
    pub request: Request,
}

impl Subscription {
    pub fn new(topic: Topic, request: Request) -> Self {
        Self {
            topic,
            round: 0,
            request,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Open {
        serial: u32,
        request: Request,
    },
    Close {
        serial: u32,
    },
    /// Closes what is left of an earlier connection.
    CloseAll,
}

#[derive(Debug)]
struct Open {
    subscription: Subscription,
    serial: u32,
    has_reply: bool,
}

/// The open requests, each with a serial number that its replies carry.
#[derive(Debug, Default)]
pub struct Subscriptions {
    open: Vec<Open>,
    serial: u32,
    is_cleared: bool,
}

impl Subscriptions {
    /// Opens, replaces and closes requests so that exactly those in `wanted` are open.
    pub fn update(&mut self, wanted: Vec<Subscription>) -> Vec<Change> {
        let mut changes = Vec::new();
        if std::mem::take(&mut self.is_cleared) {
            changes.push(Change::CloseAll);
        }
        self.open.retain(|open| {
            let is_wanted = wanted.contains(&open.subscription);
            if !is_wanted {
                let serial = open.serial;
                changes.push(Change::Close { serial });
            }
            is_wanted
        });
        for subscription in wanted {
            if self
                .open
                .iter()
                .any(|open| open.subscription == subscription)
            {
                continue;
            }
            self.serial = self.serial.wrapping_add(1);
            let serial = self.serial;
            let request = subscription.request.clone();
            changes.push(Change::Open { serial, request });
            self.open.push(Open {
                subscription,
                serial,
                has_reply: false,
            });
        }
        changes
    }

    pub fn clear(&mut self) {
        self.open.clear();
        self.is_cleared = true;
    }

    /// The topic of a reply, and whether it is the first one; `None` if its request is no longer open.
    pub fn topic(&mut self, serial: u32) -> Option<(Topic, bool)> {
        let open = self.open.iter_mut().find(|open| open.serial == serial)?;
        let is_first = !std::mem::replace(&mut open.has_reply, true);
        Some((open.subscription.topic, is_first))
    }

    pub fn request(&self, topic: Topic) -> Option<&Request> {
        let mut open = self.open.iter().map(|open| &open.subscription);
        let found = open.find(|subscription| subscription.topic == topic)?;
        Some(&found.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::UnixMs;

    fn processes(at: i64) -> Subscription {
        let request = Request::Processes {
            host: "a".into(),
            at: Some(UnixMs(at)),
        };
        Subscription::new(Topic::HostProcesses, request)
    }

    fn alerts(round: u32) -> Subscription {
        Subscription {
            round,
            ..Subscription::new(Topic::Alerts, Request::Alerts)
        }
    }

    #[test]
    fn only_what_differs_is_opened_and_closed() {
        let mut open = Subscriptions::default();
        let first = open.update(vec![processes(1), alerts(0)]);
        assert_eq!(first.len(), 2);
        assert_eq!(open.update(vec![alerts(0), processes(1)]), []);
        let second = open.update(vec![processes(2), alerts(0)]);
        assert_eq!(second[0], Change::Close { serial: 1 });
        assert!(matches!(second[1], Change::Open { serial: 3, .. }));
        assert_eq!(open.topic(1), None, "a late reply to a replaced request");
        assert_eq!(open.topic(3), Some((Topic::HostProcesses, true)));
        assert_eq!(open.topic(3), Some((Topic::HostProcesses, false)));
        assert_eq!(
            open.update(vec![processes(2), alerts(1)]).len(),
            2,
            "asked again"
        );
        open.clear();
        let again = open.update(vec![processes(2)]);
        assert_eq!((again.len(), &again[0]), (2, &Change::CloseAll));
    }
}
