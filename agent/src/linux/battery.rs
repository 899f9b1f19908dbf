//! Batteries: `/sys/class/power_supply` (Documentation/ABI/testing/sysfs-class-power).

use sysmon_wire::Label;
use sysmon_wire::metrics::{BATTERY_CHARGE, BATTERY_DISCHARGING};

use super::hwmon::text;
use super::{Context, KernelFile, Roots};
use crate::board::{Board, Slot};

const BATTERIES_MAX: usize = 8;

#[derive(Debug)]
struct Supply {
    name: String,
    capacity: (KernelFile, Slot),
    status: (KernelFile, Slot),
}

#[derive(Debug)]
pub(super) struct Battery {
    supplies: Vec<Supply>,
}

impl Battery {
    pub(super) fn new(roots: &Roots, board: &mut Board) -> Self {
        let mut battery = Self {
            supplies: Vec::new(),
        };
        battery.scan(roots, board);
        battery
    }

    pub(super) fn scan(&mut self, roots: &Roots, board: &mut Board) {
        let folder = roots.sys.join("class/power_supply");
        self.supplies.retain(|supply| {
            let is_present = folder.join(&supply.name).exists();
            if !is_present {
                board.clear(supply.capacity.1);
                board.clear(supply.status.1);
            }
            is_present
        });
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            let known = self.supplies.iter().any(|supply| supply.name == name);
            let is_battery = text(&path.join("type")).as_deref() == Some("Battery");
            if known || !is_battery || self.supplies.len() >= BATTERIES_MAX {
                continue;
            }
            let label = Label::new(&name);
            let mut slot = |metric: sysmon_wire::metrics::Metric| {
                board.slot(metric.series(&[("hw.name", label.as_str())]))
            };
            self.supplies.push(Supply {
                capacity: (
                    KernelFile::open(&path.join("capacity")),
                    slot(BATTERY_CHARGE),
                ),
                status: (
                    KernelFile::open(&path.join("status")),
                    slot(BATTERY_DISCHARGING),
                ),
                name,
            });
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for supply in &mut self.supplies {
            if let Some(percent) = supply.capacity.0.read_i64(context.buffer) {
                context
                    .board
                    .set(supply.capacity.1, percent.saturating_mul(10));
            }
            if let Some(status) = supply.status.0.read(context.buffer) {
                context.board.set(
                    supply.status.1,
                    i64::from(status.trim_ascii() == b"Discharging"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::ReadBuffer;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::UnixMs;

    #[test]
    fn batteries_are_read_and_mains_supplies_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for (supply, kind) in [("BAT0", "Battery"), ("AC", "Mains")] {
            let path = dir.path().join("class/power_supply").join(supply);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("type"), kind).unwrap();
            std::fs::write(path.join("capacity"), "87\n").unwrap();
            std::fs::write(path.join("status"), "Discharging\n").unwrap();
        }
        let roots = Roots {
            sys: dir.path().to_owned(),
            ..collector_roots()
        };
        let mut board = Board::new();
        let mut battery = Battery::new(&roots, &mut board);
        let context = &mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        };
        battery.collect(context);
        assert_eq!(board.keys().len(), 2);
        assert_eq!(value(&board, "hw.battery.charge", &["BAT0"]), 870);
        assert_eq!(value(&board, "hw.battery.discharging", &["BAT0"]), 1);
    }
}
