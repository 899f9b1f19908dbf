//! Scripts and styles: in the program, with a hash in their names, so that browsers keep them for ever.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;

const FILES: [(&str, &str, &str, &str); 4] = [
    (
        "app",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/app.js"),
    ),
    (
        "style",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../assets/style.css"),
    ),
    (
        "uPlot",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../../assets/vendor/uPlot.js"),
    ),
    (
        "uPlot",
        "css",
        "text/css; charset=utf-8",
        include_str!("../../assets/vendor/uPlot.css"),
    ),
];

/// All assets, by the names they are served under.
#[derive(Debug)]
pub struct Assets(Vec<Asset>);

#[derive(Debug)]
struct Asset {
    stem: &'static str,
    extension: &'static str,
    name: String,
    kind: &'static str,
    content: &'static str,
}

impl Assets {
    /// Names every asset by its content.
    pub fn new() -> Self {
        let asset = |&(stem, extension, kind, content): &(
            &'static str,
            &'static str,
            &'static str,
            &'static str,
        )| Asset {
            stem,
            extension,
            name: format!("{stem}.{:016x}.{extension}", hash(content.as_bytes())),
            kind,
            content,
        };
        Self(FILES.iter().map(asset).collect())
    }

    /// The path of an asset.
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

/// FNV-1a: it tells versions apart, nothing more.
fn hash(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325u64;
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(super) async fn serve(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    match app.assets.0.iter().find(|asset| asset.name == name) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.content,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
