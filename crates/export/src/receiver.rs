//! A receiver of OTLP for tests and measurements: over gRPC and HTTP on one port, with answers that the caller chooses.

use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{DataPointFlags, number_data_point};
use prost::Message;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn Error + Send + Sync>;

/// Decides what is answered.
type Answers = Arc<Mutex<dyn FnMut(Call) -> Answer + Send>>;

/// What was received.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Path of the request.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The message.
    pub message: ExportMetricsServiceRequest,
    /// Bytes of the message as it came, and decompressed.
    pub bytes: [usize; 2],
}

/// What a receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The points are taken.
    Taken,
    /// They are, but for so many, with the reason.
    Partial(i64, String),
    /// A status of gRPC, with its details.
    Grpc(u32, String, Vec<u8>),
    /// A status of HTTP, with the text of `Retry-After` and the body.
    Http(u16, Option<String>, Vec<u8>),
    /// None, for ever.
    Hang,
    /// None: it closes.
    Close,
}

/// A running receiver, which ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    cpu_us: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Receiver {
    /// Starts to listen, with TLS if a configuration is given.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        answer: impl FnMut(Call) -> Answer + Send + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let cpu_us = Arc::new(AtomicU64::new(0));
        let answers: Answers = Arc::new(Mutex::new(answer));
        let used = Arc::clone(&cpu_us);
        let thread = thread::Builder::new()
            .name("otlp receiver".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        _ = stopped => {}
                        _ = listen(listener, tls, answers, used) => {}
                    }
                });
            })?;
        Ok(Self {
            address,
            cpu_us,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time until the last answer, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        self.cpu_us.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn listen(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    answers: Answers,
    cpu_us: Arc<AtomicU64>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, answers, cpu_us) = (tls.clone(), Arc::clone(&answers), Arc::clone(&cpu_us));
        tokio::spawn(serve(stream, tls, answers, cpu_us));
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answers: Answers,
    cpu_us: Arc<AtomicU64>,
) -> Result<(), Failure> {
    let service = service_fn(move |request| {
        let (answers, cpu_us) = (Arc::clone(&answers), Arc::clone(&cpu_us));
        async move {
            let answer = answer(request, &answers).await;
            cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
            // hyper cannot do with any boxed error.
            answer.map_err(io::Error::other)
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    match tls {
        Some(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            server.serve_connection(TokioIo::new(stream), service).await
        }
        None => server.serve_connection(TokioIo::new(stream), service).await,
    }
}

#[cfg(unix)]
fn thread_cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    (time.tv_sec * 1_000_000 + time.tv_nsec / 1_000).unsigned_abs()
}

#[cfg(not(unix))]
fn thread_cpu_us() -> u64 {
    0
}

async fn answer(
    request: Request<Incoming>,
    answers: &Answers,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Failure> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_grpc = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc");
    let (compressed, encoding) = match is_grpc {
        true => (
            body.get(5..).unwrap_or_default(),
            head.headers.get("grpc-encoding"),
        ),
        false => (&body[..], head.headers.get("content-encoding")),
    };
    let message = decompress(encoding, compressed)?;
    let bytes = [compressed.len(), message.len()];
    let call = Call {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        message: ExportMetricsServiceRequest::decode(message.as_slice())?,
        bytes,
    };
    let answer = {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        (*answers)(call)
    };
    respond(answer, is_grpc).await
}

fn decompress(encoding: Option<&HeaderValue>, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut message = Vec::new();
    match encoding.map(HeaderValue::as_bytes) {
        Some(b"zstd") => message = zstd::decode_all(body)?,
        Some(b"gzip") => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut message)?;
        }
        Some(other) => return Err(format!("encoded as {other:?}").into()),
        None => message.extend_from_slice(body),
    }
    Ok(message)
}

async fn respond(
    answer: Answer,
    is_grpc: bool,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Failure> {
    let full = |body: Vec<u8>| Full::new(Bytes::from(body));
    let partial = match answer {
        Answer::Taken => None,
        Answer::Partial(rejected_data_points, error_message) => Some(ExportMetricsPartialSuccess {
            rejected_data_points,
            error_message,
        }),
        Answer::Grpc(code, message, details) => {
            let details = data_encoding::BASE64.encode(&details);
            let response = Response::builder()
                .header("content-type", "application/grpc")
                .header("grpc-status", code)
                .header("grpc-message", message)
                .header("grpc-status-details-bin", details);
            return Ok(response.body(full(Vec::new()).boxed())?);
        }
        Answer::Http(status, retry_after, body) => {
            let mut response = Response::builder().status(status);
            if let Some(wait) = retry_after {
                response = response.header("retry-after", wait);
            }
            return Ok(response.body(full(body).boxed())?);
        }
        Answer::Hang => std::future::pending().await,
        Answer::Close => return Err("it closes".into()),
    };
    let message = ExportMetricsServiceResponse {
        partial_success: partial,
    };
    let message = message.encode_to_vec();
    if !is_grpc {
        let response = Response::builder().header("content-type", "application/x-protobuf");
        return Ok(response.body(full(message).boxed())?);
    }
    let mut body = vec![0];
    body.extend_from_slice(&(message.len() as u32).to_be_bytes());
    body.extend_from_slice(&message);
    let trailers = async {
        let status = ("grpc-status".try_into(), HeaderValue::from_static("0"));
        let (Ok(name), value) = status else {
            return None;
        };
        Some(Ok(HeaderMap::from_iter([(name, value)])))
    };
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(full(body).with_trailers(trailers).boxed())?)
}

/// One value of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// `host.name` of its resource.
    pub host: String,
    /// Its metric.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// Whether the metric is a cumulative, monotonic sum.
    pub is_counter: bool,
    /// Its own attributes.
    pub attributes: Vec<(String, String)>,
    /// When a counter began, in nanoseconds.
    pub begin: u64,
    /// Its time in nanoseconds.
    pub time: u64,
    /// Its value; none if it is not a float.
    pub value: Option<f64>,
    /// Whether it says that there is no value.
    pub has_ended: bool,
}

/// Every point of a message.
pub fn points(message: &ExportMetricsServiceRequest) -> Vec<Point> {
    let mut points = Vec::new();
    for of_host in &message.resource_metrics {
        let resource = of_host.resource.iter().flat_map(|it| &it.attributes);
        let host = texts(resource).find(|(name, _)| name == "host.name");
        let host = host.map_or_else(String::new, |(_, host)| host);
        let metrics = of_host.scope_metrics.iter().flat_map(|it| &it.metrics);
        for metric in metrics {
            let (is_counter, data) = match &metric.data {
                Some(Data::Gauge(gauge)) => (false, &gauge.data_points),
                Some(Data::Sum(sum)) => (
                    sum.is_monotonic && sum.aggregation_temporality == 2,
                    &sum.data_points,
                ),
                _ => continue,
            };
            points.extend(data.iter().map(|point| Point {
                host: host.clone(),
                metric: metric.name.clone(),
                unit: metric.unit.clone(),
                is_counter,
                attributes: texts(&point.attributes).collect(),
                begin: point.start_time_unix_nano,
                time: point.time_unix_nano,
                value: match point.value {
                    Some(number_data_point::Value::AsDouble(value)) => Some(value),
                    _ => None,
                },
                has_ended: point.value.is_none()
                    && point.flags & DataPointFlags::NoRecordedValueMask as u32 != 0,
            }));
        }
    }
    points
}

/// Attributes whose values are texts.
pub fn texts<'a>(
    attributes: impl IntoIterator<Item = &'a KeyValue>,
) -> impl Iterator<Item = (String, String)> {
    attributes
        .into_iter()
        .filter_map(|attribute| match &attribute.value {
            Some(AnyValue {
                value: Some(Value::StringValue(text)),
            }) => Some((attribute.key.clone(), text.clone())),
            _ => None,
        })
}
