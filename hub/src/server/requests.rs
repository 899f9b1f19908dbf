//! Reading the request on a stream that a peer opened.

use sysmon_link::{FrameReceiver, HELLO_TIMEOUT, LinkError};
use sysmon_wire::message::Request;

/// Reads a request, which follows at once on the stream that it opens.
pub(super) async fn receive(receiver: &mut FrameReceiver) -> Result<Option<Request>, LinkError> {
    let received = tokio::time::timeout(HELLO_TIMEOUT, receiver.next()).await;
    received.unwrap_or(Err(LinkError::HelloTimeout))
}
