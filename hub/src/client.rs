//! Asking a running hub for one picture: what `status` and `snapshot` do.

use sysmon_link::{Connector, LinkError};
use sysmon_wire::UnixMs;
use sysmon_wire::message::{Purpose, Reply, Request};

use crate::report::Picture;

/// The fleet and the hub, now or at a past moment.
pub async fn picture(
    connector: &Connector,
    hub: &str,
    at: Option<UnixMs>,
) -> Result<Picture, LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let mut picture = Picture::default();
    let fleet = Request::Fleet {
        at,
        once: true,
        spark_points: 0,
        spark_step_ms: 1000,
        sparks: Vec::new(),
    };
    for request in [Request::Status, fleet] {
        let mut replies = session.request(&request).await?;
        while let Some(reply) = replies.next().await? {
            match reply {
                Reply::Status(status) => picture.hub = Some(status),
                Reply::Fleet(update) => picture.add(update),
                Reply::Refused { reason } => return Err(LinkError::Refused(reason.to_string())),
                _ => {}
            }
        }
    }
    Ok(picture)
}
