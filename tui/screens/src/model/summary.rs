//! The values that the hub sends of every host, by their place in [`sysmon_wire::metrics::ALIASES`].

use crate::format::{amount, degrees, load, percent};

pub const CPU: usize = 0;
pub const MEMORY: usize = 1;
pub const LOAD: usize = 2;
pub const RECEIVED: usize = 3;
pub const TRANSMITTED: usize = 4;
pub const READ: usize = 5;
pub const WRITTEN: usize = 6;
pub const FILESYSTEM: usize = 7;
pub const TEMPERATURE: usize = 8;

pub fn value_text(place: usize, value: Option<f64>) -> String {
    match place {
        CPU | MEMORY | FILESYSTEM => percent(value) + "%",
        LOAD => load(value),
        TEMPERATURE => degrees(value) + "°",
        _ => amount(value) + "B/s",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_unit() {
        let texts = [CPU, LOAD, TEMPERATURE, RECEIVED].map(|place| value_text(place, Some(0.5)));
        assert_eq!(texts, ["50%", "0.50", "0°", "0B/s"]);
        assert_eq!(value_text(CPU, None), "–%");
    }
}
