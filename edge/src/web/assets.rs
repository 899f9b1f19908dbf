//! Scripts and styles, built into the program. Their names contain a hash, so browsers cache them without asking again.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{App, response};

const JS: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

type File = (&'static str, &'static str, &'static str, &'static str);

const FILES: [File; 5] = [
    ("app", "js", JS, include_str!("../../assets/app.js")),
    ("style", "css", CSS, include_str!("../../assets/style.css")),
    (
        "uPlot",
        "js",
        JS,
        include_str!("../../assets/vendor/uPlot.js"),
    ),
    (
        "uPlot",
        "css",
        CSS,
        include_str!("../../assets/vendor/uPlot.css"),
    ),
    (
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../../assets/icon.svg"),
    ),
];

#[derive(Debug)]
pub struct Assets(Vec<Asset>);

#[derive(Debug)]
struct Asset {
    stem: &'static str,
    extension: &'static str,
    name: String,
    hash: u64,
    content_type: &'static str,
    content: &'static str,
    gzipped: Bytes,
}

impl Assets {
    pub fn new() -> Self {
        let asset = |&(stem, extension, content_type, content): &File| {
            let hash = sysmon_wire::fnv1a(content.as_bytes());
            Asset {
                stem,
                extension,
                name: format!("{stem}.{hash:016x}.{extension}"),
                hash,
                content_type,
                content,
                gzipped: response::gzip(content.as_bytes()),
            }
        };
        Self(FILES.iter().map(asset).collect())
    }

    pub(super) fn path(&self, stem: &str, extension: &str) -> String {
        let found = self
            .0
            .iter()
            .find(|asset| (asset.stem, asset.extension) == (stem, extension));
        found.map_or_else(String::new, |asset| format!("/assets/{}", asset.name))
    }
}

impl Default for Assets {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) async fn serve(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = app.assets.0.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = response::tagged(&headers, asset.hash, asset.content_type, || {
        if response::accepts_gzip(&headers) {
            response::compressed(asset.gzipped.clone())
        } else {
            asset.content.into_response()
        }
    });
    let immutable = HeaderValue::from_static("public, max-age=31536000, immutable");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, immutable);
    response
}
