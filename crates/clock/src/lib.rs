//! The only place that reads the system's clocks and its randomness.
//!
//! Programs make one [`Clock`] and one [`Random`] in `main` and hand them in; tests and simulations hand in
//! [`ManualTime`] and [`Random::seeded`]. `clippy.toml` disallows `SystemTime::now` and its like everywhere else.

mod clock;
mod random;

pub use clock::{Clock, ManualTime, TimeSource};
pub use random::{NoRandomness, Random};
