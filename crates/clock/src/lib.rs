//! The only place that reads the system's clocks and random numbers.
//!
//! Programs create one [`Clock`] and one [`Random`] in `main` and pass them down; tests and simulations pass
//! [`ManualTime`] and [`Random::seeded`]. `clippy.toml` disallows `SystemTime::now` and its like elsewhere.
#![warn(clippy::missing_errors_doc)]

mod clock;
mod random;

pub use clock::{Clock, ManualTime, TimeSource};
pub use random::{NoRandomness, Random};
