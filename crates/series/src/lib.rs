//! The compressed ring: one host's rows in, any past second out.
//!
//! Newest rows stay in the sparse form they travelled in; every [`ROWS_PER_CHUNK`] of them are
//! turned into columns and compressed. Pure: times come in with the rows, nothing is read from a
//! clock, and nothing is written anywhere.

mod buckets;
mod chunk;
mod column;
mod resample;
mod ring;

pub use buckets::{Bucket, Buckets, rows_of_buckets};
pub use chunk::{Chunk, ChunkError};
pub use resample::{RATE_UNIT_SUFFIX, Resample, Steps, quantile, rate};
pub use ring::{Changes, HeadChanges, ROWS_PER_CHUNK, Ring, Table};
