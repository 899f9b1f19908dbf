//! OTLP over gRPC: `MetricsService/Export`.
//!
//! The codec hands over bytes: they are checked before they are decoded, as over HTTP.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use axum::routing::post;
use prost::Message;
use prost::bytes::{Buf, BufMut};
use sysmon_otlp::{MESSAGE_BYTES_MAX, MessageError};
use tokio::time::timeout;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::peer::Peer;
use super::receive::{ReceiveError, Turn, receive, turn};
use crate::server::Hub;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// Time for a message and its answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(EXPORT, post(export))
        .fallback(|| async { answer(Status::unimplemented("this hub receives metrics only")) })
        .with_state(hub)
}

async fn export(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let turn = match turn(&hub, &peer).await {
        Ok(turn) => turn,
        Err(error) => return answer(status(&error)),
    };
    let export = Export {
        hub,
        peer,
        turn: Some(turn),
    };
    let mut grpc = Grpc::new(Bare)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    match timeout(CALL_TIMEOUT, grpc.unary(export, request)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => answer(Status::deadline_exceeded("the message took too long")),
    }
}

fn answer(status: Status) -> Response {
    status.into_http::<tonic::body::Body>().map(Body::new)
}

fn status(error: &ReceiveError) -> Status {
    let code = match error {
        ReceiveError::Message(MessageError::Malformed) => Code::InvalidArgument,
        // Not a code that tells the sender to send the same again.
        ReceiveError::Message(_) => Code::OutOfRange,
        ReceiveError::Refused(_) => Code::PermissionDenied,
        ReceiveError::Busy(_) => Code::Unavailable,
    };
    Status::with_metadata(code, error.to_string(), MetadataMap::new())
}

/// One call.
struct Export {
    hub: Arc<Hub>,
    peer: Peer,
    turn: Option<Turn>,
}

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<Self::Response>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (hub, peer, turn) = (Arc::clone(&self.hub), self.peer.clone(), self.turn.take());
        Box::pin(async move {
            let turn = turn.ok_or_else(|| Status::internal("a call has one message"))?;
            let received = receive(&hub, &peer, turn, request.into_inner()).await;
            let rejections = received.map_err(|error| status(&error))?;
            Ok(tonic::Response::new(rejections.response().encode_to_vec()))
        })
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Debug)]
struct Bare;

impl Codec for Bare {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Bare {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bare {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}
