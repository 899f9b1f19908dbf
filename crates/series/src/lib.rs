//! The compressed ring: one host's rows in, any past second out.
//!
//! The newest rows stay in the sparse form they travel in; every [`ROWS_PER_CHUNK`] of them are compressed into a
//! [`Chunk`] of columns. Pure: no clock, no files.
#![warn(clippy::missing_errors_doc)]

mod buckets;
mod chunk;
mod column;
mod error;
mod rate;
mod resample;
mod ring;
mod unscaled;

pub use buckets::{Bucket, Buckets, rows_from_buckets};
pub use chunk::Chunk;
pub use error::ChunkError;
pub use rate::{RATE_UNIT_SUFFIX, rate};
pub use resample::{Resample, Steps, quantile};
pub use ring::{Changes, HeadChanges, ROWS_PER_CHUNK, Ring, Table, Tail};
pub use unscaled::Unscaled;
