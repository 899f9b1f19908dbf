//! OTLP over gRPC: `MetricsService/Export`.
//!
//! The codec hands over bytes: they are checked before they are decoded, as over HTTP.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::header;
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

use super::BODY_TIMEOUT;
use super::peer::Peer;
use super::receive::{ReceiveError, Turn, receive, turn};
use crate::server::Hub;

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// What gRPC adds to a message: whether it is compressed, and its length.
const FRAME_BYTES: usize = 5;

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
    let kind = request.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return answer(Status::invalid_argument(
            "send gRPC, or OTLP over HTTP to [hub] otlp_http",
        ));
    }
    let turn = match turn(&hub, &peer).await {
        Ok(turn) => turn,
        Err(error) => return answer(status(&error)),
    };
    // Read before it is decoded, so that a slow sender does not have its turn for long.
    let (parts, body) = request.into_parts();
    let body = match timeout(
        BODY_TIMEOUT,
        to_bytes(body, MESSAGE_BYTES_MAX + FRAME_BYTES),
    )
    .await
    {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return answer(status(&MessageError::TooLong.into())),
        Err(_) => return answer(Status::deadline_exceeded("the message took too long")),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let export = Export {
        hub,
        peer,
        turn: Some(turn),
    };
    let mut grpc = Grpc::new(Bare)
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    grpc.unary(export, request).await.map(Body::new)
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
