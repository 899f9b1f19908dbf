//! Compression of requests. Pure.

use std::io::{self, Write};

use super::super::DestinationError;
use crate::destination::DestinationOptions;

/// zstd's default: a higher level costs more than it saves.
const LEVEL: i32 = 3;

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Zstd,
    Gzip,
    None,
}

impl Encoding {
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::None];

    /// As the option and the protocol name it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }

    /// What a destination is configured with, if it is.
    pub(super) fn of(options: &DestinationOptions) -> Result<Option<Self>, DestinationError> {
        let Some(wanted) = options.options.get("compression") else {
            return Ok(None);
        };
        let mut all = Self::ALL.into_iter();
        let found = all.find(|encoding| encoding.as_str() == wanted);
        let unknown =
            || DestinationError::Setting("compression: write zstd, gzip or none".to_owned());
        found.map(Some).ok_or_else(unknown)
    }
}

/// Compresses one request after the other with the same memory.
pub(super) struct Compressor {
    pub(super) encoding: Encoding,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            zstd: None,
        }
    }

    /// Appends the compressed message.
    pub(super) fn compress(&mut self, message: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self.encoding {
            Encoding::None => out.extend_from_slice(message),
            Encoding::Gzip => {
                let mut gzip = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
                gzip.write_all(message)?;
                gzip.finish()?;
            }
            Encoding::Zstd => {
                let compressor = match self.zstd.take() {
                    Some(compressor) => compressor,
                    None => zstd::bulk::Compressor::new(LEVEL)?,
                };
                let compressor = self.zstd.insert(compressor);
                let begin = out.len();
                out.resize(begin + zstd::zstd_safe::compress_bound(message.len()), 0);
                let free = out.get_mut(begin..).unwrap_or_default();
                let length = compressor.compress_to_buffer(message, free)?;
                out.truncate(begin + length);
            }
        }
        Ok(())
    }
}
